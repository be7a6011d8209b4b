/** What `--help` prints: our own words over kubectl's shape. */
import type { Command, CommandGroup } from "./command.ts";
import { commands } from "./commands/catalog.ts";
import type { Flag } from "./flags.ts";

/** Of everything, or of the verb that is named. */
export async function help(args: readonly string[]): Promise<string> {
  const [verb, sub] = args.filter((arg) => !arg.startsWith("-"));
  const named = verb === undefined ? undefined : await commands[verb]?.();
  if (named && "run" in named) return helpOf(verb!, named);
  if (named)
    return sub && named.subcommands[sub] ? helpOf(`${verb} ${sub}`, named.subcommands[sub]) : helpOfGroup(verb!, named);
  const rows = await Promise.all(
    Object.entries(commands).map(async ([name, load]) => `  ${name.padEnd(15)} ${(await load()).summary}`),
  );
  return `kubectl works on a Kubernetes cluster.\n\nCommands:\n${rows.join("\n")}\n\nUse "kubectl <command> --help" for more about one of them.\n`;
}

export function helpOfGroup(name: string, { summary, subcommands, command }: CommandGroup): string {
  const rows = Object.entries(subcommands).map(([sub, command]) => `  ${sub.padEnd(15)} ${command.summary}`);
  return `${summary}.\n\nAvailable Commands:\n${rows.join("\n")}\n${command ? `\nOptions:\n${flagTexts(command.flags)}\n` : ""}\nUsage:\n  kubectl ${name} ${command ? command.usage : "SUBCOMMAND [options]"}\n\nUse "kubectl ${name} <command> --help" for more about one of them.\n`;
}

export function helpOf(name: string, { summary, usage, examples = [], flags }: Command): string {
  const shown = examples.length > 0 ? `\nExamples:\n${examples.map((line) => `  kubectl ${line}`).join("\n")}\n` : "";
  return `${summary}.\n${shown}\nOptions:\n${flagTexts(flags)}\n\nUsage:\n  kubectl ${name} ${usage}\n`;
}

function flagTexts(flags: readonly Flag[]): string {
  return flags
    .filter(({ deprecated }) => !deprecated)
    .map(flagText)
    .join("\n");
}

/** One flag with its default, as `--help` lists it. */
export function flagText({ name, short, kind, default: value, help: text }: Flag): string {
  const shown = value ?? (kind === "bool" ? false : kind === "list" ? "[]" : kind === "int" ? 0 : "''");
  return `    ${short ? `-${short}, ` : ""}--${name}=${shown}:\n\t${text[0]!.toUpperCase()}${text.slice(1)}`;
}
