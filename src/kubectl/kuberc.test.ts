import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable, Writable } from "node:stream";
import { afterAll, expect, test } from "vitest";
import { systemClock } from "../base/node/system-clock.ts";
import { systemRandom } from "../base/node/system-random.ts";
import { runKubectl } from "./kubectl.ts";

const home = mkdtempSync(join(tmpdir(), "pnt-kuberc-"));
afterAll(() => rmSync(home, { recursive: true, force: true }));
const file = join(home, ".kube", "kuberc");

/** Runs one command line in a home with this kuberc; what it prints, and its exit code unless that is 0. */
async function kubectl(argv: readonly string[], kuberc?: string, environment: NodeJS.ProcessEnv = {}): Promise<string> {
  mkdirSync(join(home, ".kube"), { recursive: true });
  if (kuberc === undefined) rmSync(file, { force: true });
  else writeFileSync(file, kuberc);
  let said = "";
  const stream = () =>
    new Writable({
      write(chunk: Buffer, _encoding, done) {
        said += chunk.toString();
        done();
      },
    });
  const exitCode = await runKubectl(argv, {
    stdin: Readable.from([]),
    stdout: stream(),
    stderr: stream(),
    environment: { ...process.env, KUBECONFIG: "", HOME: home, KUBERC: "", ...environment },
    clock: systemClock,
    random: () => Promise.resolve(systemRandom),
    signal: new AbortController().signal,
  });
  return exitCode === 0 ? said : `${said}(${exitCode})`;
}

const head = "apiVersion: kubectl.config.k8s.io/v1beta1\nkind: Preference\n";
const preference = `${head}defaults:
- command: create configmap
  options: [{ name: dry-run, default: client }, { name: output, default: name }]
aliases:
- name: settings
  command: create configmap
  prependArgs: [settings]
  options: [{ name: dry-run, default: client }, { name: output, default: "jsonpath={.metadata.name} {.data}" }]
  appendArgs: [--from-literal=b=2]
`;

test("a command takes its defaults from the user's file, unless the command line says otherwise", async () => {
  expect(await kubectl(["create", "configmap", "a"], preference)).toBe("configmap/a\n");
  expect(await kubectl(["create", "cm", "a", "-o", "jsonpath={.kind}"], preference)).toBe("ConfigMap");
});

test("an alias is a command with words before and after, and flags of its own", async () => {
  expect(await kubectl(["settings", "--from-literal=a=1"], preference)).toBe('settings {"a":"1","b":"2"}');
  expect(await kubectl(["settings", "-o", "name"], preference)).toBe("configmap/settings\n");
});

test("KUBERC=off leaves the file alone, and contradicts --kuberc", async () => {
  expect(await kubectl(["settings"], preference, { KUBERC: "off" })).toContain('unknown command "settings"');
  expect(await kubectl(["version", "--client", "--kuberc", file], preference, { KUBERC: "off" })).toBe(
    "error occurred while applying preferences kuberc error disabling kuberc via KUBERC=off and passing kuberc flag are mutually exclusive\n(1)",
  );
});

test.each([
  [`${head}aliases: [{ name: a-b, command: get }]`, "invalid alias name, can only include alphabetical characters"],
  [`${head}aliases: [{ name: a, command: get }, { name: a, command: get }]`, "duplicate alias name a"],
  [`${head}defaults: [{ command: version, options: [{ name: x, default: y }] }]`, "invalid flag x for command version"],
  [`${head}credentialPluginPolicy: Some`, 'unknown plugin policy: "Some"'],
  ["kind: Foo", `kuberc error kuberc: no valid preferences found in ${file}, use --v=5 to see details`],
])("a file that makes no sense is refused: %s", async (kuberc, reason) => {
  expect(await kubectl(["version", "--client"], kuberc)).toBe(
    `error occurred while applying preferences ${reason}\n(1)`,
  );
});

test("only programs that the policy allows hand out credentials", async () => {
  const kubeconfig = join(home, "kubeconfig");
  writeFileSync(
    kubeconfig,
    `apiVersion: v1
kind: Config
clusters: [{ name: c, cluster: { server: "http://127.0.0.1:1" } }]
users: [{ name: u, user: { exec: { apiVersion: client.authentication.k8s.io/v1, command: /bin/false, interactiveMode: Never } } }]
contexts: [{ name: x, context: { cluster: c, user: u } }]
current-context: x
`,
  );
  const refused = (policy: string) => kubectl(["get", "pods", "--kubeconfig", kubeconfig], `${head}${policy}`);
  expect(await refused("credentialPluginPolicy: DenyAll")).toBe(
    'Unable to connect to the server: getting credentials: plugin "/bin/false" not allowed: policy set to "DenyAll"\n(1)',
  );
  expect(
    await refused("credentialPluginPolicy: Allowlist\ncredentialPluginAllowlist: [{ command: /bin/true }]"),
  ).toContain('plugin path "/bin/false" is not permitted by the credential plugin allowlist');
  expect(
    await refused("credentialPluginPolicy: Allowlist\ncredentialPluginAllowlist: [{ command: /bin/false }]"),
  ).toContain("executable /bin/false failed with exit code 1");
});

test("kuberc set writes what kuberc view shows", async () => {
  const option = ["--option", "output=wide"];
  expect(await kubectl(["kuberc", "set", "--section", "defaults", "--command", "get", ...option])).toBe(
    `Updated ${file}\n`,
  );
  const written = `aliases: null
apiVersion: kubectl.config.k8s.io/v1beta1
defaults:
- command: get
  options:
  - default: wide
    name: output
kind: Preference
`;
  expect(readFileSync(file, "utf8")).toBe(written);
  expect(await kubectl(["kuberc", "set", "--section", "defaults", "--command", "get"], written)).toBe(
    'error: defaults for command "get" already exist, use --overwrite to replace\n(1)',
  );
  expect(await kubectl(["kuberc", "view"], written)).toBe(written.replace("null", "[]"));
});
