/** `kubectl __complete`: what may stand where the cursor is. The shells' scripts ask it at each press of Tab (cobra's protocol). */
import type { Command, CommandGroup } from "../command.ts";
import { commands } from "../commands/catalog.ts";
import { cut, type Flag, parseFlags } from "../flags.ts";
import { globalFlags } from "../global-flags.ts";
import { Session, type Terminal } from "../session.ts";
import { argumentsFor, valuesOf } from "./candidates.ts";

/** `name`, or `name<Tab>what it is`. */
export type Candidate = string;

/** Bits of the last line that tell the shell what to do with the rest. */
const directive = { default: 0, noFiles: 4 } as const;
const directiveNames = { 0: "ShellCompDirectiveDefault", 4: "ShellCompDirectiveNoFileComp" } as const;

interface Answer {
  candidates: readonly Candidate[];
  directive: 0 | 4;
}

/** `words` is what follows `kubectl`, the last one being what the cursor stands in. Never fails: an unreachable server has no names. */
export async function complete(
  words: readonly string[],
  terminal: Terminal,
  hasDescriptions: boolean,
): Promise<number> {
  const answer = await answerTo(words.slice(0, -1), words.at(-1) ?? "", terminal).catch(
    (): Answer => ({ candidates: [], directive: directive.noFiles }),
  );
  const lines = answer.candidates.map((each) => (hasDescriptions ? each : cut(each, "\t")[0]));
  terminal.stdout.write([...lines, `:${answer.directive}`].map((line) => `${line}\n`).join(""));
  terminal.stderr.write(`Completion ended with directive: ${directiveNames[answer.directive]}\n`);
  return 0;
}

async function answerTo(before: readonly string[], word: string, terminal: Terminal): Promise<Answer> {
  if (before.includes("--")) return { candidates: [], directive: directive.default };
  const { path, command, group } = await commandAt(before);
  const flags = [...(command?.flags ?? []), ...globalFlags];
  const pending = pendingFlag(before, word, flags);
  if (!pending && word.startsWith("-")) return known(flagNames(flags), word);
  if (path.length === 0 && !pending) return known(await summaries(commands), word);
  const subcommands = group ? subcommandsOf(group) : [];
  const session = sessionOf(before, flags, path, terminal);
  try {
    if (pending) {
      const args = argumentsIn(before, flags).slice(path.length);
      const values = await valuesOf(session, pending.flag.name, args);
      return values ? known(values, pending.word) : { candidates: [], directive: directive.default };
    }
    const args = argumentsIn(before, flags).slice(path.length);
    if (subcommands.length > 0 && args.length === 0 && !(group?.command && path[0] !== "rollout")) {
      return known(subcommands, word);
    }
    const found = await argumentsFor(session, path, args, word);
    if (!found) return known(subcommands, word, subcommands.length > 0 ? directive.noFiles : directive.default);
    return known(found, word);
  } finally {
    session.close();
  }
}

function known(candidates: readonly Candidate[], word: string, kind: 0 | 4 = directive.noFiles): Answer {
  return { candidates: candidates.filter((each) => each.startsWith(word)), directive: kind };
}

/** The words that are no flags and no flags' values. */
function argumentsIn(words: readonly string[], flags: readonly Flag[]): string[] {
  return words.filter((word, i) => !word.startsWith("-") && !takesValue(words[i - 1] ?? "", flags));
}

function takesValue(word: string, flags: readonly Flag[]): Flag | undefined {
  if (!word.startsWith("-") || word.includes("=")) return undefined;
  const flag = flags.find(({ name, short }) => word === `--${name}` || (short !== undefined && word === `-${short}`));
  return flag && flag.kind !== "bool" && flag.bare === undefined ? flag : undefined;
}

/** The flag whose value the cursor stands in. */
function pendingFlag(before: readonly string[], word: string, flags: readonly Flag[]) {
  const flag = takesValue(before.at(-1) ?? "", flags);
  if (flag) return { flag, word };
  const [name, value] = cut(word, "=");
  const named = value === undefined ? undefined : flags.find((each) => name === `--${each.name}`);
  return named && value !== undefined ? { flag: named, word: value } : undefined;
}

async function commandAt(before: readonly string[]) {
  const [verb, sub, subSub] = argumentsIn(before, globalFlags);
  const loaded = verb === undefined ? undefined : await commands[verb]?.();
  if (!loaded) {
    if (verb !== undefined) throw new Error(`no command ${verb}`);
    return { path: [], command: undefined, group: undefined };
  }
  if ("run" in loaded) return { path: [verb!], command: loaded, group: undefined };
  const both = `${sub} ${subSub}`;
  if (sub !== undefined && loaded.subcommands[both]) {
    return { path: [verb!, sub, subSub!], command: loaded.subcommands[both], group: undefined };
  }
  if (sub !== undefined && loaded.subcommands[sub]) {
    return { path: [verb!, sub], command: loaded.subcommands[sub], group: undefined };
  }
  return { path: [verb!], command: loaded.command, group: loaded };
}

/** The session that the finished words describe; what is not finished yet counts for nothing. */
function sessionOf(
  before: readonly string[],
  flags: readonly Flag[],
  path: readonly string[],
  terminal: Terminal,
): Session {
  const quiet = { ...terminal, stderr: terminal.stderr };
  try {
    const { flags: values } = parseFlags(before, flags, path.join(" "));
    return new Session(quiet, values.seenAs(globalFlags, []));
  } catch {
    return new Session(quiet, parseFlags([], globalFlags, "").flags);
  }
}

/** Each once, by its first name. */
function subcommandsOf({ subcommands }: CommandGroup): Candidate[] {
  const seen = new Set<Command>();
  return Object.entries(subcommands)
    .filter(([, command]) => !seen.has(command) && seen.add(command))
    .map(([name, { summary }]) => `${name}\t${summary}`);
}

function flagNames(flags: readonly Flag[]): Candidate[] {
  return flags
    .flatMap(({ name, short, help }) => [`--${name}\t${help}`, ...(short ? [`-${short}\t${help}`] : [])])
    .sort();
}

async function summaries(all: Readonly<Record<string, () => Promise<Command | CommandGroup>>>): Promise<Candidate[]> {
  return Promise.all(Object.entries(all).map(async ([name, load]) => `${name}\t${(await load()).summary}`));
}
