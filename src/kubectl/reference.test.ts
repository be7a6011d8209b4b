/** `docs/kubectl.md`: every verb with its examples, as the verbs themselves say them. `npx vitest run -u` writes it anew. */
import { expect, test } from "vitest";
import type { Command } from "./command.ts";
import { commands } from "./commands/catalog.ts";
import { type Flag, parseFlags } from "./flags.ts";
import { globalFlags } from "./global-flags.ts";

interface Entry {
  name: string;
  command: Command;
}

const verbs = await Promise.all(
  Object.entries(commands).map(async ([verb, load]) => {
    const loaded = await load();
    if ("run" in loaded) return { verb, summary: loaded.summary, entries: [{ name: verb, command: loaded }] };
    const below = Object.entries(loaded.subcommands).map(([sub, command]) => ({ name: `${verb} ${sub}`, command }));
    const own = loaded.command ? [{ name: verb, command: loaded.command }] : [];
    return { verb, summary: loaded.summary, entries: [...own, ...below] as Entry[] };
  }),
);

test("the reference of kubectl holds every verb with examples and flags", async () => {
  const lines = [
    "# kubectl, verb by verb",
    "",
    "`pinnace kubectl` and, in `pinnace shell`, `kubectl`. Every verb prints the same with `--help`; [what it leaves out](../src/kubectl/README.md#what-it-leaves-out).",
    "",
    `${verbs.map(({ verb }) => `[${verb}](#kubectl-${verb})`).join(" · ")}`,
    "",
    ...verbs.flatMap(({ verb, summary, entries }) => [
      `## kubectl ${verb}`,
      "",
      `${summary}.`,
      "",
      ...(entries.length > 1
        ? [
            "| | |",
            "|---|---|",
            ...entries.map((entry) => `| \`${cell(entry.name)}\` | ${entry.command.summary} |`),
            "",
          ]
        : []),
      ...block(entries.flatMap(({ command }) => command.examples ?? []).map((example) => `kubectl ${example}`)),
      ...entries.flatMap(({ name, command }) => flagsOf(name, command, entries.length > 1)),
    ]),
    "## Flags of every verb",
    "",
    ...globalFlags.map(flagLine),
  ];
  await expect(`${lines.join("\n")}\n`).toMatchFileSnapshot("../../docs/kubectl.md");
});

test("every verb has an example, and every example is one that the verb takes", () => {
  const lacking: string[] = [];
  for (const { verb, entries } of verbs) {
    const examples = entries.flatMap(({ command }) => command.examples ?? []);
    if (examples.length === 0) lacking.push(`${verb}: no example`);
    for (const example of examples) {
      const words = (example.match(/'[^']*'|"[^"]*"|\S+/g) ?? []).slice(
        0,
        (/ [|<>;&]/.exec(example)?.index ?? 1e3) + 1,
      );
      const entry = [...entries]
        .sort((a, b) => b.name.length - a.name.length)
        .find(({ name }) => example.replace(/ -\S+/g, "").startsWith(name) || example.startsWith(name));
      if (!entry) lacking.push(`${verb}: ${example}: of no command here`);
      else {
        const rest = words.slice(entry.name.split(" ").length).map((word) => word.replace(/^(['"])(.*)\1$/, "$2"));
        try {
          parseFlags(rest, [...globalFlags, ...entry.command.flags], entry.name);
        } catch (error) {
          lacking.push(`${verb}: ${example}: ${(error as Error).message}`);
        }
      }
    }
  }
  expect(lacking).toEqual([]);
});

const cell = (text: string): string => text.replaceAll("|", "\\|");
const block = (lines: readonly string[]): string[] =>
  lines.length > 0 ? [...lines.map((line) => `    ${line}`), ""] : [];

function flagsOf(name: string, { usage, flags }: Command, isOneOfSeveral: boolean): string[] {
  const head = isOneOfSeveral ? [`### kubectl ${name}`, ""] : [];
  return [
    ...head,
    `Usage: \`kubectl ${name} ${usage}\``,
    "",
    ...(flags.length > 0 ? [...flags.filter(({ deprecated }) => !deprecated).map(flagLine), ""] : []),
  ];
}

function flagLine({ name, short, default: value, help }: Flag): string {
  const preset = value === undefined || value === "" || value === false ? "" : ` (default \`${String(value)}\`)`;
  return `- ${short ? `\`-${short}\`, ` : ""}\`--${name}\`: ${help}${preset}`;
}
