/** What makes an object of one kind from flags. */
import type { Unstructured } from "../../api.ts";
import type { Invocation } from "../../command.ts";
import type { Flag } from "../../flags.ts";

export interface Generator {
  summary: string;
  usage: string;
  flags: readonly Flag[];
  /** How a refusal by the server begins: `failed to create role`. Absent: the refusal is said as it is. */
  failure?: string;
  /** May follow the name without `--`, as a command. */
  takesCommand?: boolean;
  /** Gets the object's name and the arguments after it. Throws a CommandError for flags that make no sense. */
  make(invocation: Invocation, name: string, rest: readonly string[]): Unstructured | Promise<Unstructured>;
}

/** By the words after `create`: `deployment`, `service nodeport`. */
export type Generators = Readonly<Record<string, Generator>>;
