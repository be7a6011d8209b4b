/** What the verbs of `config` expect on the command line. */
import type { Command, Invocation } from "../command.ts";
import { CommandError } from "../command-error.ts";
import { helpOf } from "../help.ts";

/** Shows how the command is used, and throws a CommandError, unless it was given so many arguments. */
export function exactly(count: number, name: string, command: Command, { session, args }: Invocation): string[] {
  if (args.length === count) return [...args];
  session.print(helpOf(name, command));
  const word = name.startsWith("config set-c") ? "unexpected" : "Unexpected";
  throw new CommandError(`${word} args: [${args.join(" ")}]`);
}
