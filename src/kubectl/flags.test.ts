import { expect, test } from "vitest";
import { type Flag, parseDurationMs, parseFlags } from "./flags.ts";

const flags: readonly Flag[] = [
  { name: "output", short: "o", kind: "string", help: "" },
  { name: "watch", short: "w", kind: "bool", help: "" },
  { name: "stdin", short: "i", kind: "bool", help: "" },
  { name: "tty", short: "t", kind: "bool", help: "" },
  { name: "replicas", kind: "int", default: 1, help: "" },
  { name: "filename", short: "f", kind: "list", help: "" },
  { name: "dry-run", kind: "string", default: "none", bare: "unchanged", help: "" },
];
const parse = (...argv: string[]) => parseFlags(argv, flags, "get");

test("flags stand anywhere, joined to their values or apart", () => {
  const { flags: values, args } = parse("pods", "-oyaml", "--replicas", "3", "web", "-f", "a,b", "--filename=c");
  expect(args).toEqual(["pods", "web"]);
  expect([values.string("output"), values.number("replicas"), values.commaList("filename")]).toEqual([
    "yaml",
    3,
    ["a", "b", "c"],
  ]);
  expect(parse("-o=wide").flags.string("output")).toBe("wide");
});

test("single letters may be joined, and a switch takes no argument but after =", () => {
  const { flags: values, args } = parse("-it", "web", "--watch=false", "--dry-run", "x");
  expect([values.bool("stdin"), values.bool("tty"), values.bool("watch"), values.string("dry-run")]).toEqual([
    true,
    true,
    false,
    "unchanged",
  ]);
  expect(args).toEqual(["web", "x"]);
});

test("what follows -- is left alone", () => {
  expect(parse("web", "--", "ls", "-l")).toMatchObject({ args: ["web", "ls", "-l"], dashAt: 1 });
});

test.each([
  [["--nope"], "unknown flag: --nope"],
  [["-x"], "unknown shorthand flag: 'x' in -x"],
  [["-o"], "flag needs an argument: 'o' in -o"],
  [["--output"], "flag needs an argument: --output"],
  [
    ["--watch=perhaps"],
    'invalid argument "perhaps" for "-w, --watch" flag: strconv.ParseBool: parsing "perhaps": invalid syntax',
  ],
  [["--replicas=many"], 'invalid argument "many" for "--replicas" flag'],
])("%j is refused in kubectl's words", (argv, message) => {
  expect(() => parse(...argv)).toThrow(message);
});

test("durations are Go's, and bare numbers count seconds", () => {
  expect(["1h30m", "500ms", "2", "-1s", "soon"].map(parseDurationMs)).toEqual([5_400_000, 500, 2000, -1000, undefined]);
});
