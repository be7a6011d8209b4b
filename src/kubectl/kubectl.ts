/** `pinnace kubectl`: reads the command line, finds the verb, and says in kubectl's words what went wrong. */
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { StatusError } from "../apimachinery/status-error.ts";
import { CredentialError, KubeconfigError } from "../client/kubeconfig.ts";
import type { Command, CommandGroup } from "./command.ts";
import { CommandError, usageError } from "./command-error.ts";
import { commands } from "./commands/catalog.ts";
import { type Flag, flagProblem, parseFlags } from "./flags.ts";
import { globalFlags } from "./global-flags.ts";
import type { Preference, PreferredValue } from "./kuberc.ts";
import { Session, type Terminal } from "./session.ts";
import { together } from "./while-doing.ts";

/** Verbs that an interrupt ends as a failure of theirs; the others end as the signal has it. */
export const endedByInterrupt: ReadonlySet<string> = new Set(["get", "wait", "rollout", "events", "delete"]);

/** Runs one command line, `argv` being what follows `kubectl`. Resolves to the exit code. Never rejects but for a mistake in this program. */
export async function runKubectl(argv: readonly string[], terminal: Terminal): Promise<number> {
  if (argv[0] === "__complete" || argv[0] === "__completeNoDesc") {
    const { complete } = await import("./completion/complete.ts");
    return complete(argv.slice(1), terminal, argv[0] === "__complete");
  }
  try {
    const preference = await preferenceOf(argv, terminal);
    const line = preference ? await aliased(preference, argv) : { argv, values: noValues };
    return await runLine(line, preference, terminal);
  } catch (error) {
    return reportFailure(error, terminal);
  }
}

/** What a command takes where the command line says nothing, by its name. */
type ValuesOf = (name: string) => readonly PreferredValue[];
const noValues: ValuesOf = () => [];

interface Line {
  argv: readonly string[];
  values: ValuesOf;
}

/** Undefined without a file of the user's own, which is not even looked for in most homes' way. */
async function preferenceOf(argv: readonly string[], terminal: Terminal): Promise<Preference | undefined> {
  const { environment } = terminal;
  if (environment["KUBECTL_KUBERC"] === "false") return undefined;
  const isNamed = environment["KUBERC"] || argv.some((arg) => arg.startsWith("--kuberc"));
  if (!isNamed && !existsSync(join(environment["HOME"] || homedir(), ".kube", "kuberc"))) return undefined;
  const { readPreference } = await import("./kuberc.ts");
  return readPreference(argv, terminal);
}

async function aliased(preference: Preference, argv: readonly string[]): Promise<Line> {
  const { preferredValues, withAlias } = await import("./kuberc.ts");
  const line = await withAlias(preference, argv, isCommand);
  return { argv: line.argv, values: (name) => preferredValues(preference, line.alias, name) };
}

async function isCommand([verb = "", ...words]: readonly string[]): Promise<boolean> {
  const loaded = await commands[verb]?.();
  if (!loaded || words.length === 0) return loaded !== undefined;
  return "subcommands" in loaded && loaded.subcommands[words.join(" ")] !== undefined;
}

async function runLine(
  { argv, values }: Line,
  preference: Preference | undefined,
  terminal: Terminal,
): Promise<number> {
  const { verb, rest } = splitVerb(argv);
  const own: Own = { preference, values };
  if (verb === undefined || verb === "help" || (verb.startsWith("-") && !commands[verb])) {
    const { help } = await import("./help.ts");
    terminal.stdout.write(await help(rest));
    return 0;
  }
  const load = commands[verb];
  if (!load) return await runUnknown(verb, argv, terminal);
  const loaded = await load();
  if (preference) {
    const { warnOfUnknown } = await import("./kuberc.ts");
    await warnOfUnknown(preference, isCommand, terminal);
  }
  if ("run" in loaded) return await runCommand(loaded, verb, rest, terminal, own);
  return await runGroup(loaded, verb, rest, terminal, own);
}

/** The user's own wishes. */
interface Own {
  preference: Preference | undefined;
  values: ValuesOf;
}

/** A plugin's verb, or a mistake. */
async function runUnknown(verb: string, argv: readonly string[], terminal: Terminal): Promise<number> {
  if (argv[0]!.startsWith("-")) {
    const message = `Error: flags cannot be placed before plugin name: ${argv[0]}`;
    throw new CommandError(message, { isVerbatim: true });
  }
  const { runPlugin } = await import("./commands/plugin.ts");
  const exitCode = await runPlugin(argv, terminal);
  if (exitCode !== undefined) return exitCode;
  const { similarWords } = await import("./similar-words.ts");
  const similar = similarWords(verb, Object.keys(commands));
  const hint = similar.length > 0 ? `\n\nDid you mean this?\n${similar.map((each) => `\t${each}`).join("\n")}` : "";
  throw new CommandError(`error: unknown command ${JSON.stringify(verb)} for "kubectl"${hint}`, { isVerbatim: true });
}

async function runGroup(
  group: CommandGroup,
  verb: string,
  rest: readonly string[],
  terminal: Terminal,
  own: Own,
): Promise<number> {
  const end = rest.indexOf("--");
  const words = (end < 0 ? rest : rest.slice(0, end)).flatMap((arg, i) => (arg.startsWith("-") ? [] : [{ arg, i }]));
  for (const count of [2, 1]) {
    const taken = words.slice(0, count);
    const name = taken.map(({ arg }) => arg).join(" ");
    const command = taken.length === count ? group.subcommands[name] : undefined;
    if (!command) continue;
    const others = rest.filter((_, i) => !taken.some((word) => word.i === i));
    return runCommand(command, `${verb} ${name}`, others, terminal, own);
  }
  const wantsHelp = rest.some((arg) => arg === "--help" || arg === "-h");
  const [first, second] = words.map(({ arg }) => arg);
  if (first && Object.keys(group.subcommands).some((name) => name.startsWith(`${first} `))) {
    if (second && !wantsHelp) throw usageError(`${verb} ${first}`, `unknown command ${JSON.stringify(second)}`);
    const { helpOfGroup } = await import("./help.ts");
    (wantsHelp ? terminal.stdout : terminal.stderr).write(helpOfGroup(`${verb} ${first}`, membersOf(group, first)));
    return wantsHelp ? 0 : 1;
  }
  if (group.command && !wantsHelp) return runCommand(group.command, verb, rest, terminal, own);
  if (words.length > 0 && !wantsHelp && verb !== "certificate") {
    const named = words.map(({ arg }) => arg).join(" ");
    throw new CommandError(`unknown command ${JSON.stringify(named)}\nSee 'kubectl ${verb} -h' for help and examples`);
  }
  const { helpOfGroup } = await import("./help.ts");
  // As the real one, whose groups differ in this.
  const isFine = wantsHelp || verb === "certificate";
  (isFine || verb === "rollout" ? terminal.stdout : terminal.stderr).write(helpOfGroup(verb, group));
  return isFine ? 0 : 1;
}

/** The subcommands of two words that begin with this one. */
function membersOf(group: CommandGroup, word: string): CommandGroup {
  const members = Object.entries(group.subcommands).filter(([name]) => name.startsWith(`${word} `));
  return {
    summary: `${group.summary}: ${word}`,
    subcommands: Object.fromEntries(members.map(([name, command]) => [name.slice(word.length + 1), command])),
  };
}

async function runCommand(
  command: Command,
  name: string,
  argv: readonly string[],
  terminal: Terminal,
  { preference, values }: Own,
): Promise<number> {
  const end = argv.indexOf("--");
  if ((end < 0 ? argv : argv.slice(0, end)).some((arg) => arg === "--help" || arg === "-h")) {
    const { helpOf } = await import("./help.ts");
    terminal.stdout.write(helpOf(name, command));
    return 0;
  }
  // A verb's own flag hides the global one of the same name: --user of create rolebinding.
  const known = [...globalFlags, ...command.flags];
  const preferred = await checked(values(name), known);
  const { flags, args, dashAt } = parsed(command, argv, known, name);
  for (const { name: flag, default: value } of preferred) if (!flags.has(flag)) flags.give(flag, value);
  for (const { name: flag, deprecated } of command.flags) {
    if (deprecated && flags.has(flag)) {
      terminal.stderr.write(`Flag --${flag} has been deprecated, ${deprecated}\n`);
    }
  }
  const globals = flags.seenAs(globalFlags, command.flags);
  const session = new Session(terminal, globals, preference);
  try {
    if (globals.string("profile") !== "none") throw new CommandError(`unknown profile '${globals.string("profile")}'`);
    if (globals.bool("match-server-version")) await matchVersions(session);
    const exitCode = await command.run({ session, flags, args, dashAt });
    if (session.failures.length > 0) throw together(session.failures);
    if (session.warnings > 0 && globals.bool("warnings-as-errors")) {
      throw new CommandError(`${session.warnings} warning${session.warnings === 1 ? "" : "s"} received`);
    }
    return exitCode;
  } catch (error) {
    const failures = error instanceof AggregateError ? (error.errors as unknown[]) : [error];
    const exitCode = reportFailure(together([...new Set([...session.failures, ...failures])]), terminal);
    return command.failureExitCode ?? exitCode;
  } finally {
    session.close();
  }
}

/** Where failing has an exit code of its own, wrong flags have it, too. */
function parsed({ failureExitCode }: Command, argv: readonly string[], known: readonly Flag[], name: string) {
  try {
    return parseFlags(argv, known, name);
  } catch (error) {
    if (failureExitCode === undefined || !(error instanceof CommandError)) throw error;
    const message = error.message.replace(
      /See 'kubectl \S+ --help' for usage\./,
      `See 'kubectl ${name} -h' for help and examples`,
    );
    throw new CommandError(message, { exitCode: failureExitCode, isVerbatim: error.isVerbatim });
  }
}

/** Of several values for one flag the last one. Throws a CommandError for one that does not fit the command. */
async function checked(values: readonly PreferredValue[], flags: readonly Flag[]): Promise<PreferredValue[]> {
  const byName = new Map<string, PreferredValue>();
  for (const value of values) {
    const { preferenceError } = await import("./kuberc.ts");
    const flag = flags.find(({ name }) => name === value.name);
    if (!flag) throw preferenceError(value.unknown);
    const problem = flagProblem(flag, value.default);
    if (problem) throw preferenceError(`${value.invalid}: ${problem}`);
    byName.set(value.name, value);
  }
  return [...byName.values()];
}

/** Throws a CommandError unless the server is of this kubectl's very version. */
async function matchVersions(session: Session): Promise<void> {
  const { clientVersion, readServerVersion } = await import("./commands/version.ts");
  const { gitVersion } = await readServerVersion(session);
  if (gitVersion === clientVersion) return;
  throw new CommandError(`server version (${gitVersion}) differs from client version (${clientVersion})`);
}

/** Flags may come before the verb: `kubectl -n web get pods`. */
function splitVerb(argv: readonly string[]): { verb: string | undefined; rest: readonly string[] } {
  for (let i = 0; i < argv.length; i++) {
    const arg = argv[i]!;
    if (!arg.startsWith("-")) return { verb: arg, rest: [...argv.slice(0, i), ...argv.slice(i + 1)] };
    const flag = globalFlags.find(({ name, short }) => arg === `--${name}` || arg === `-${short}`);
    if (flag && flag.kind !== "bool") i++;
  }
  return { verb: undefined, rest: argv };
}

function reportFailure(error: unknown, terminal: Terminal): number {
  const failures = error instanceof AggregateError ? (error.errors as unknown[]) : [error];
  for (const failure of failures) {
    if (failure instanceof CommandError && failure.output) terminal.stdout.write(failure.output);
    // Of several each is told without a word before it.
    const isPlain = failures.length > 1 && failure instanceof CommandError;
    const text = isPlain ? failure.message : describe(failure, terminal);
    if (text) terminal.stderr.write(text.endsWith("\n") ? text : `${text}\n`);
  }
  return error instanceof CommandError ? error.exitCode : 1;
}

function describe(error: unknown, { signal }: Terminal): string {
  if (error instanceof CommandError) return error.isVerbatim ? error.message : `error: ${error.message}`;
  if (error instanceof StatusError) {
    if (error.code === 401) return `error: You must be logged in to the server (${error.reason})`;
    if (error.reason === "Invalid" && error.details?.kind) return describeInvalid(error);
    if (error.reason === "Invalid") return `The request is invalid: ${error.message.replace(/^ "" is invalid: /, "")}`;
    return error.reason
      ? `Error from server (${error.reason}): ${error.message}`
      : `Error from server: ${error.message}`;
  }
  if (error instanceof CredentialError) return `Unable to connect to the server: ${error.message}`;
  if (error instanceof KubeconfigError) return `error: ${error.message}`;
  if (signal.aborted) return "";
  if (error instanceof Error && (error as NodeJS.ErrnoException).code) return `error: ${error.message}`;
  return error instanceof Error ? `error: ${error.stack}` : String(error);
}

/** `The Pod "web" is invalid: …`, one problem a line when there are several. */
function describeInvalid({ details, message }: StatusError): string {
  const causes = details?.causes ?? [];
  const subject = `The ${details?.kind} ${JSON.stringify(details?.name ?? "")} is invalid`;
  if (causes.length === 0) return `${subject}: ${message}`;
  const problems = causes.map(({ field, message: problem }) => (field ? `${field}: ${problem}` : String(problem)));
  return problems.length === 1 ? `${subject}: ${problems[0]}` : `${subject}: \n* ${problems.join("\n* ")}`;
}
