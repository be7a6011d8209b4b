/** Command-line flags as kubectl reads them (pflag): anywhere among the arguments, `--name value`, `--name=value`, `-n value`, `-nvalue`. */
import { CommandError } from "./command-error.ts";

export interface Flag {
  name: string;
  /** One letter. */
  short?: string;
  /** `pairs`: a list of `key=value`. */
  kind: "bool" | "string" | "int" | "duration" | "list" | "pairs";
  /** What a bool is without being set: `true` for `--wait`. */
  default?: boolean | string | number;
  /** What the flag means without `=value`; such a flag never takes the next argument. */
  bare?: string;
  help: string;
  /** What to use instead: said to whoever gives it; no help names the flag. */
  deprecated?: string;
}

export interface ParsedFlags {
  flags: FlagValues;
  /** What is no flag. */
  args: string[];
  /** How many arguments came before `--`; undefined without one. */
  dashAt: number | undefined;
}

/** The values of one command line. Asking for a flag that the command does not have is a mistake in the program. */
export class FlagValues {
  readonly #known: ReadonlyMap<string, Flag>;
  readonly #given = new Map<string, string[]>();

  constructor(known: ReadonlyMap<string, Flag>) {
    this.#known = known;
  }

  give(name: string, value: string): void {
    const given = this.#given.get(name);
    if (given) given.push(value);
    else this.#given.set(name, [value]);
  }

  /** The values of this line for these flags, but for those that others of the same name hide. */
  seenAs(flags: readonly Flag[], shadowed: readonly Flag[]): FlagValues {
    const view = new FlagValues(new Map(flags.map((flag) => [flag.name, flag])));
    for (const { name } of flags) {
      if (shadowed.some((flag) => flag.name === name)) continue;
      for (const value of this.#given.get(name) ?? []) view.give(name, value);
    }
    return view;
  }

  /** Whether the command has such a flag. */
  knows(name: string): boolean {
    return this.#known.has(name);
  }

  /** Whether it stands on the command line. */
  has(name: string): boolean {
    return this.#given.has(name);
  }

  bool(name: string): boolean {
    const given = this.#last(name);
    return given === undefined ? this.#flag(name).default === true : parseBool(given)!;
  }

  /** The empty string when it is absent and has no default. */
  string(name: string): string {
    return this.#last(name) ?? String(this.#flag(name).default ?? "");
  }

  number(name: string): number {
    return Number(this.#last(name) ?? this.#flag(name).default ?? 0);
  }

  /** Milliseconds; a bare number counts seconds. */
  durationMs(name: string): number {
    return parseDurationMs(this.#last(name) ?? String(this.#flag(name).default ?? "0"))!;
  }

  /** Every value of a flag that may be repeated. */
  list(name: string): string[] {
    this.#flag(name);
    return this.#given.get(name) ?? [];
  }

  /** The same, each value split at its commas. */
  commaList(name: string): string[] {
    return this.list(name).flatMap((value) => value.split(","));
  }

  #last(name: string): string | undefined {
    this.#flag(name);
    return this.#given.get(name)?.at(-1);
  }

  #flag(name: string): Flag {
    const flag = this.#known.get(name);
    if (!flag) throw new Error(`the command has no flag --${name}`);
    return flag;
  }
}

/** Throws a CommandError in kubectl's words for a flag that does not exist or a value that does not fit. */
export function parseFlags(argv: readonly string[], flags: readonly Flag[], command: string): ParsedFlags {
  const byName = new Map(flags.map((flag) => [flag.name, flag]));
  const byShort = new Map(flags.flatMap((flag) => (flag.short ? [[flag.short, flag] as const] : [])));
  const values = new FlagValues(byName);
  const args: string[] = [];
  const rest = [...argv];
  let dashAt: number | undefined;
  const fail = (message: string): never => {
    throw new CommandError(`error: ${message}\nSee 'kubectl ${command} --help' for usage.`, { isVerbatim: true });
  };
  const take = (flag: Flag, value: string) => {
    const problem = flagProblem(flag, value);
    if (problem) fail(problem);
    values.give(flag.name, value);
  };

  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    if (arg === "--") {
      dashAt = args.length;
      args.push(...rest.splice(0));
    } else if (arg.startsWith("--")) {
      const [name = "", value] = cut(arg.slice(2), "=");
      const flag = byName.get(name) ?? fail(`unknown flag: --${name}`);
      if (value !== undefined) take(flag, value);
      else if (bareValue(flag) !== undefined) take(flag, bareValue(flag)!);
      else take(flag, rest.shift() ?? fail(`flag needs an argument: --${name}`));
    } else if (arg.startsWith("-") && arg !== "-") {
      let letters = arg.slice(1);
      while (letters) {
        const letter = letters[0]!;
        const flag = byShort.get(letter) ?? fail(`unknown shorthand flag: '${letter}' in ${arg}`);
        const after = letters.slice(1);
        letters = "";
        if (after.startsWith("=")) take(flag, after.slice(1));
        else if (bareValue(flag) !== undefined) {
          take(flag, bareValue(flag)!);
          letters = after;
        } else if (after) take(flag, after);
        else take(flag, rest.shift() ?? fail(`flag needs an argument: '${letter}' in ${arg}`));
      }
    } else args.push(arg);
  }
  return { flags: values, args, dashAt };
}

const shown = (flag: Flag): string => (flag.short ? `-${flag.short}, --${flag.name}` : `--${flag.name}`);

/** What is wrong with a value for this flag; undefined when it fits. */
export function flagProblem(flag: Flag, value: string): string | undefined {
  const problem = problemOf(flag, value);
  return problem && `invalid argument ${JSON.stringify(value)} for ${JSON.stringify(shown(flag))} flag: ${problem}`;
}

function bareValue(flag: Flag): string | undefined {
  return flag.bare ?? (flag.kind === "bool" ? "true" : undefined);
}

function problemOf(flag: Flag, value: string): string | undefined {
  switch (flag.kind) {
    case "bool":
      return parseBool(value) === undefined
        ? `strconv.ParseBool: parsing ${JSON.stringify(value)}: invalid syntax`
        : undefined;
    case "int":
      return /^[-+]?\d+$/.test(value)
        ? undefined
        : `strconv.ParseInt: parsing ${JSON.stringify(value)}: invalid syntax`;
    case "duration":
      return parseDurationMs(value) === undefined ? `time: invalid duration ${JSON.stringify(value)}` : undefined;
    case "pairs":
      return value.split(",").every((pair) => pair.includes("=")) ? undefined : "malformed pair, expect string=string";
    default:
      return undefined;
  }
}

function parseBool(text: string): boolean | undefined {
  if (/^(1|t|T|true|TRUE|True)$/.test(text)) return true;
  return /^(0|f|F|false|FALSE|False)$/.test(text) ? false : undefined;
}

const unitMs: Record<string, number> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1, us: 1e-3, µs: 1e-3, ns: 1e-6 };

/** Go's durations, `1h30m`, `500ms`. A number without a unit counts seconds. */
export function parseDurationMs(text: string): number | undefined {
  if (/^[-+]?\d+$/.test(text)) return Number(text) * 1000;
  const match = /^([-+]?)((?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|ms|s|m|h))+$/.exec(text);
  if (!match) return undefined;
  let sum = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)/g)) {
    sum += Number(amount) * unitMs[unit!]!;
  }
  return match[1] === "-" ? -sum : sum;
}

/** Splits at the first `separator`. */
export function cut(text: string, separator: string): [before: string, after: string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + separator.length)];
}
