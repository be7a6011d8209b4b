import { expect, test } from "vitest";
import { isAsWritten, parseLab } from "./lab-document.ts";

test("a document is its files and its commands, in order", () => {
  const document = [
    "# A lab",
    "```yaml file=a.yaml",
    "a: 1",
    "```",
    "words",
    "```console until",
    "$ kubectl get pods",
    "NAME",
    "web",
    "$ echo",
    "```",
    "",
  ].join("\n");
  expect(parseLab(document)).toEqual([
    { kind: "file", name: "a.yaml", content: "a: 1\n" },
    { kind: "command", command: "kubectl get pods", expected: "NAME\nweb\n", isRepeated: true },
    { kind: "command", command: "echo", expected: "", isRepeated: true },
  ]);
});

test.each([
  ["web-<hash>-<suffix> 1/1 <age>", "web-7957885594-9x7hk   1/1     5s", true],
  ["web-<hash>-<suffix> 1/1 <age>", "web-7957885594-9x7hk   0/1     5s", false],
  ["NAME\n...\nlast", "NAME\none\ntwo\nlast", true],
  ["NAME\n...\nlast", "NAME\nlast", true],
  ["NAME\n...\nlast", "NAME\none", false],
  ["web <none> 80", "web <none> 80", true],
  ["web <none> 80", "web 10.0.2.9 80", false],
  ["<pod>:80,<pod>:80", "10.1.1.2:80,10.1.1.3:80", true],
  ["<pod>:80,<pod>:80", "10.1.1.2:80,10.1.1.3:80,10.1.1.4:80", false],
])("%j says what %j prints: %s", (expected, printed, result) => {
  expect(isAsWritten(expected, printed)).toBe(result);
});
