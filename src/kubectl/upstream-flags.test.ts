/** Every flag of every verb: upstream-flags.txt holds those of kubectl 1.36, a verb a line, `name/letter` where a flag has one. */
import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { Command, CommandGroup } from "./command.ts";
import { commands } from "./commands/catalog.ts";
import type { Flag } from "./flags.ts";
import { globalFlags } from "./global-flags.ts";

const upstream = readFileSync(new URL("upstream-flags.txt", import.meta.url), "utf8")
  .trimEnd()
  .split("\n")
  .map((line) => {
    const [verb = "", flags = ""] = line.split(":");
    return { verb, flags: flags.split(" ").filter(Boolean) };
  });

const namesOf = (flags: readonly Flag[]) =>
  flags
    // A letter that the global flag of this name has anyhow.
    .map(({ name, short }) => (short && short !== "n" ? `${name}/${short}` : name))
    .sort();

async function flagsOf(verb: string): Promise<readonly Flag[]> {
  if (verb === "(all)") return globalFlags;
  const [first = "", ...rest] = verb.split(" ");
  const found = (await commands[first]!()) as Command & CommandGroup;
  if (rest.length > 0) return found.subcommands[rest.join(" ")]!.flags;
  return found.flags ?? found.command!.flags;
}

test("every verb takes the flags that kubectl's takes, and no others", async () => {
  for (const { verb, flags } of upstream) {
    // One that is the global flag anyhow.
    const own = flags.filter((name) => name !== "kuberc" || verb === "(all)");
    const sorted = own.map((name) => (name === "namespace/n" ? "namespace" : name)).sort();
    expect({ verb, flags: namesOf(await flagsOf(verb)) }).toEqual({ verb, flags: sorted });
  }
});

/** The flags in a `--help`, and the verbs below it. */
function helpOf(kubectl: string, words: readonly string[]) {
  const { stdout } = spawnSync(kubectl, [...words, "--help"], { encoding: "utf8" });
  const flags = [...stdout.matchAll(/^ {4}(?:-(\w), | {4})?--([\w-]+)=/gm)].map(([, short, name]) =>
    short ? `${name}/${short}` : name!,
  );
  const lists = stdout.matchAll(/^(?:[\w ()]+ Commands.*|Available Commands):\n((?: {2}.*\n)+)/gm);
  const below = [...lists].flatMap(([, list = ""]) => [...list.matchAll(/^ {2}([\w-]+) +/gm)].map(([, verb]) => verb!));
  return { flags: [...new Set(flags)].sort(), below };
}

const kubectl = process.env["KUBECTL"];

test.skipIf(!kubectl)("the list is that of the real kubectl", { timeout: 120_000 }, () => {
  const told = new Map(upstream.map(({ verb, flags }) => [verb, flags.filter((flag) => flag !== "cpu-percent")]));
  const lacking: string[] = [];
  const visit = (words: readonly string[]) => {
    const { flags, below } = helpOf(kubectl!, words);
    const verb = words.join(" ");
    if (words.length > 0 && flags.length > 0) expect({ verb, flags: told.get(verb) }).toEqual({ verb, flags });
    if (words.length > 0 && below.length === 0 && !told.has(verb)) lacking.push(verb);
    if (words.length < 3) for (const each of below) visit([...words, each]);
  };
  visit([]);
  expect(lacking).toEqual([]);
  const globals = execFileSync(kubectl!, ["options"], { encoding: "utf8" });
  const names = [...globals.matchAll(/^ {4}(?:-(\w), | {4})?--([\w-]+)=/gm)].map(([, short, name]) =>
    short ? `${name}/${short}` : name!,
  );
  expect(told.get("(all)")).toEqual(names.sort());
});
