/** Every flag of every verb: upstream-flags.txt holds those of kubectl 1.32 (and of 1.34 --cpu and --memory of autoscale), a verb a line, `name/letter` where a flag has one. */
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
    const sorted = flags.map((name) => (name === "namespace/n" ? "namespace" : name)).sort();
    expect({ verb, flags: namesOf(await flagsOf(verb)) }).toEqual({ verb, flags: sorted });
  }
});
