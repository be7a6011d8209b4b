/** What a CEL expression may name: variables, functions, and types. */
import type { Code, Range } from "./code.ts";
import type { CelType, ObjectType } from "./types.ts";
import type { Value } from "./values.ts";

/** Lengths of strings and bytes, counts of lists and maps, 1 for the rest; the target first. */
export type Sizes = readonly number[];

export interface Overload {
  /** `value.f(...)`: the first parameter is the target. */
  readonly member: boolean;
  readonly parameters: readonly CelType[];
  readonly result: CelType;
  /** Gets values that fit the parameters. Throws a CelError. */
  call(...args: Value[]): Value;
  /** What a call costs beside its arguments; must not fall when sizes grow, because estimates come from it too. Default: 1. */
  readonly cost?: (sizes: Sizes) => number;
  /** The size of the result, growing with the arguments' sizes. Default: not known. */
  readonly resultSize?: (sizes: Sizes) => number;
  /** In the place of `cost` and `resultSize`, where sizes alone do not tell. */
  readonly estimate?: (args: readonly Code[]) => { cost: Range; size?: Range };
  /** What a call did cost, in the place of `cost`. */
  readonly actual?: (args: readonly Value[], result: Value) => number;
  /** Looks at arguments that are literals, at compile time; throws a CelError to refuse them. */
  prepare?(literals: readonly (Value | undefined)[]): void;
}

type More = Partial<Pick<Overload, "cost" | "resultSize" | "prepare" | "estimate" | "actual">>;

/** Function name (with its namespace: `sets.contains`) → overloads. */
export type FunctionTable = Readonly<Record<string, readonly Overload[]>>;

export interface EnvironmentOptions {
  libraries: readonly FunctionTable[];
  /** Names may have dots. Order is that of evaluation's slots. */
  variables: Readonly<Record<string, CelType>>;
  /** Types that expressions may make or name. */
  objectTypes?: readonly ObjectType[];
  /** Such types may be made with any field, and with structs in them: `Object`, `Object.spec`. */
  openType?: string;
  /** Names of further types that stand as values (`net.IP`). */
  typeNames?: readonly string[];
  /** Items of list and map literals must be of one type. Default true, as in Kubernetes. */
  homogeneousLiterals?: boolean;
  /** Problems of type are left to evaluation. Default false; for tests of the language itself. */
  unchecked?: boolean;
  container?: string;
}

export class Environment {
  readonly variables: ReadonlyMap<string, { slot: number; type: CelType }>;
  readonly functions: ReadonlyMap<string, readonly Overload[]>;
  readonly objectTypes: ReadonlyMap<string, ObjectType>;
  readonly typeNames: ReadonlySet<string>;
  readonly homogeneousLiterals: boolean;
  readonly unchecked: boolean;
  readonly container: string;
  readonly #openType: string | undefined;

  constructor(options: EnvironmentOptions) {
    this.variables = new Map(Object.entries(options.variables).map(([name, type], slot) => [name, { slot, type }]));
    this.functions = functionsOf(options.libraries);
    this.objectTypes = new Map((options.objectTypes ?? []).map((type) => [type.name, type]));
    this.typeNames = new Set(options.typeNames ?? []);
    this.homogeneousLiterals = options.homogeneousLiterals ?? true;
    this.unchecked = options.unchecked ?? false;
    this.container = options.container ?? "";
    this.#openType = options.openType;
  }

  /** What `name{...}` makes. */
  structType(name: string): ObjectType | undefined {
    const known = this.objectTypes.get(name);
    if (known) return known;
    const open = this.#openType;
    if (open === undefined || (name !== open && !name.startsWith(`${open}.`))) return undefined;
    return { kind: "object", name, fields: new Map(), constructible: true, open: true };
  }
}

const merged = new WeakMap<readonly FunctionTable[], Map<string, readonly Overload[]>>();

/** Merged once for each list of libraries: environments are made often, libraries are not. */
function functionsOf(libraries: readonly FunctionTable[]): Map<string, readonly Overload[]> {
  const known = merged.get(libraries);
  if (known) return known;
  const table = new Map<string, readonly Overload[]>();
  for (const library of libraries) {
    for (const [name, overloads] of Object.entries(library))
      table.set(name, [...(table.get(name) ?? []), ...overloads]);
  }
  merged.set(libraries, table);
  return table;
}

export function globalFunction(
  parameters: readonly CelType[],
  result: CelType,
  call: (...args: never[]) => Value,
  more: More = {},
): Overload {
  // The dispatcher only passes values that fit the parameters.
  return { member: false, parameters, result, call: call as Overload["call"], ...more };
}

export function memberFunction(
  parameters: readonly CelType[],
  result: CelType,
  call: (...args: never[]) => Value,
  more: More = {},
): Overload {
  return { member: true, parameters, result, call: call as Overload["call"], ...more };
}
