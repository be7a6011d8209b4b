/** What a verb of kubectl is. */
import type { Flag, FlagValues } from "./flags.ts";
import type { Session } from "./session.ts";

export interface Invocation {
  session: Session;
  flags: FlagValues;
  args: readonly string[];
  /** How many of `args` came before `--`. */
  dashAt: number | undefined;
}

export interface Command {
  /** One line, as `kubectl --help` lists it. */
  summary: string;
  /** What follows the verb. */
  usage: string;
  examples?: readonly string[];
  flags: readonly Flag[];
  /** The exit code of failures; 1 by default. */
  failureExitCode?: number;
  /** Resolves to the exit code. Throws a CommandError or a StatusError. */
  run(invocation: Invocation): Promise<number>;
}

/** A verb whose first argument chooses what it does: `rollout status`, `set image`. */
export interface CommandGroup {
  summary: string;
  /** What the verb does by itself; undefined: print its help. */
  command?: Command;
  /** By name; one of two words has a blank in it. */
  subcommands: Readonly<Record<string, Command>>;
}
