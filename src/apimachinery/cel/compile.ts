/** Compiles CEL: parse, check types, and turn the tree into closures, in one walk. */
import { type Code, charge, either, exactly, type Frame, noCost, type Range, sizeRange, sum } from "./code.ts";
import { dispatch, type Matched, matchOverloads } from "./dispatch.ts";
import type { Environment } from "./environment.ts";
import { compileMacro } from "./macros.ts";
import { compileOperator } from "./operators.ts";
import { parse } from "./parser.ts";
import { formatIssues, type Issue, type Literal, type SyntaxNode } from "./syntax.ts";
import {
  assignable,
  Bool,
  Bytes,
  type CelType,
  Double,
  Dyn,
  Int,
  isOptional,
  listOf,
  mapOf,
  Null,
  optionalOf,
  parameter,
  type Substitution,
  substitute,
  Text,
  typeName,
  typeOf,
  Uint,
} from "./types.ts";
import {
  ArrayList,
  CelError,
  fromJson,
  keyOf,
  LiteralMap,
  LiteralStruct,
  MapValue,
  none,
  OptionalValue,
  TypeValue,
  UintValue,
  type Value,
} from "./values.ts";

export interface Program {
  readonly source: string;
  /** The type of its value, as far as it can be told. */
  readonly type: CelType;
  /** Of one evaluation, in upstream's units, from the sizes that types allow. */
  readonly estimatedCost: Range;
  /** Names of the variables that it reads. */
  readonly variables: ReadonlySet<string>;
  /**
   * Variables are JSON or values of this module. Those that are missing may not be read.
   * Throws a CelError when evaluation fails, CostExceeded when it costs more than `costLimit`.
   */
  evaluate(variables: Readonly<Record<string, unknown>>, costLimit?: number): Evaluation;
}

export interface Evaluation {
  value: Value;
  /** In upstream's units. */
  cost: number;
}

export type Compiled =
  | { program: Program; issues?: undefined }
  | { program?: undefined; issues: readonly Issue[]; message: string };

/** Upstream's limit for one evaluation of one expression. */
export const perCallCostLimit = 1_000_000;

/** Never throws for what a user wrote: problems come back as issues, and as upstream's text of them. */
export function compile(source: string, environment: Environment): Compiled {
  const parsed = parse(source);
  if (parsed.issues) return failed(source, parsed.issues);
  const compiler = new Compiler(environment);
  const code = compiler.compile(parsed.tree);
  if (compiler.issues.length > 0) return failed(source, compiler.issues);
  const { slotCount, read } = compiler;
  const bindings = [...environment.variables].filter(([name]) => read.has(name));
  const type = compiler.finalType(code.type);
  return {
    program: {
      source,
      type,
      estimatedCost: code.cost,
      variables: read,
      evaluate(variables, costLimit = perCallCostLimit) {
        const slots = new Array<Value>(slotCount);
        for (const [name, { slot, type }] of bindings) {
          const given = variables[name];
          if (given !== undefined) slots[slot] = fromJson(given, type);
        }
        const frame: Frame = { slots, spent: 0, limit: costLimit };
        return { value: code.run(frame), cost: frame.spent };
      },
    },
  };
}

function failed(source: string, issues: readonly Issue[]): Compiled {
  return { issues, message: formatIssues(source, issues) };
}

/** A name that a macro brought in. */
interface Local {
  name: string;
  slot: number;
  type: CelType;
  size: Range | undefined;
}

const scalarTypes: Readonly<Record<string, CelType>> = {
  bool: Bool,
  int: Int,
  uint: Uint,
  double: Double,
  string: Text,
  bytes: Bytes,
  null_type: Null,
  list: listOf(Dyn),
  map: mapOf(Dyn, Dyn),
  type: typeOf(Dyn),
  dyn: Dyn,
  "google.protobuf.Timestamp": { kind: "timestamp" },
  "google.protobuf.Duration": { kind: "duration" },
  optional_type: optionalOf(Dyn),
};

export class Compiler {
  readonly environment: Environment;
  readonly issues: Issue[] = [];
  readonly known: Substitution = new Map();
  readonly read = new Set<string>();
  slotCount: number;
  readonly #locals: Local[] = [];
  #parameters = 0;
  #mixedLists = false;

  constructor(environment: Environment) {
    this.environment = environment;
    this.slotCount = environment.variables.size;
  }

  compile(node: SyntaxNode): Code {
    switch (node.kind) {
      case "literal":
        return literalCode(node.literal);
      case "identifier":
        return this.#identifier(node);
      case "select":
        return this.#qualified(node) ?? this.#select(node);
      case "has":
        return this.#has(node);
      case "call":
        return this.#call(node);
      case "list":
        return this.#list(node);
      case "map":
        return this.#map(node);
      case "struct":
        return this.#struct(node);
      case "macro":
        return compileMacro(this, node);
    }
  }

  problem(at: number, message: string): void {
    if (!this.environment.unchecked) this.issues.push({ at, message });
  }

  /** The type with everything that is known by now. */
  typeOf(code: Code): CelType {
    return substitute(code.type, this.known);
  }

  finalType(type: CelType): CelType {
    return substitute(type, this.known, Dyn);
  }

  freshParameter(): CelType {
    return parameter(`%${this.#parameters++}`);
  }

  /** A slot that `inside` may read under `name`. */
  withLocal<T>(name: string, type: CelType, size: Range | undefined, inside: (slot: number) => T): T {
    const slot = this.slotCount++;
    this.#locals.push({ name, slot, type, size });
    try {
      return inside(slot);
    } finally {
      this.#locals.pop();
    }
  }

  mismatch(at: number, name: string, types: readonly CelType[], member: boolean): Code {
    const given = types.map((type) => typeName(substitute(type, this.known)));
    const applied = member ? `${given[0]}.(${given.slice(1).join(", ")})` : `(${given.join(", ")})`;
    this.problem(at, `found no matching overload for '${name}' applied to '${applied}'`);
    return failing("no such overload");
  }

  #identifier(node: SyntaxNode & { kind: "identifier" }): Code {
    const { name, root, at } = node;
    const found = this.#name(name, root);
    if (found) return found;
    this.problem(at, `undeclared reference to '${name}' (in container '${this.environment.container}')`);
    return failing(`no such attribute(s): ${name}`);
  }

  #name(name: string, root: boolean): Code | undefined {
    if (!root) {
      for (let i = this.#locals.length - 1; i >= 0; i--) {
        const local = this.#locals[i]!;
        if (local.name === name) return variableCode(local.slot, local.type, local.name, local.size);
      }
    }
    const variable = this.environment.variables.get(name);
    if (variable) {
      this.read.add(name);
      return variableCode(variable.slot, variable.type, name, undefined);
    }
    const type = scalarTypes[name] ?? this.environment.objectTypes.get(name);
    if (type && name !== "dyn") return typeValueCode(name, type);
    if (this.environment.typeNames.has(name)) return typeValueCode(name, Dyn);
    return undefined;
  }

  /** `a.b.c` may be a declared name with dots. A macro's variable comes before it. */
  #qualified(node: SyntaxNode): Code | undefined {
    const path = dottedName(node);
    if (!path) return undefined;
    const first = path.name.slice(0, path.name.indexOf("."));
    if (!path.root && this.#locals.some((local) => local.name === first)) return undefined;
    return this.#name(path.name, path.root);
  }

  #select({ at, operand, field, optional }: SyntaxNode & { kind: "select" }): Code {
    const target = this.compile(operand);
    const type = this.typeOf(target);
    const inner = isOptional(type) ? substitute(type.parameters[0]!, this.known) : type;
    const fieldType = this.#fieldType(inner, field, at);
    const cost = sum(target.cost, exactly(1));
    if (!optional && !isOptional(type)) {
      return {
        type: fieldType,
        cost,
        run(frame) {
          const value = target.run(frame);
          charge(frame, 1);
          return selectField(value, field);
        },
      };
    }
    return {
      type: optionalOf(isOptional(fieldType) ? fieldType.parameters[0]! : fieldType),
      cost,
      run(frame) {
        const value = target.run(frame);
        charge(frame, 1);
        return optionalField(value, field);
      },
    };
  }

  #fieldType(type: CelType, field: string, at: number): CelType {
    switch (type.kind) {
      case "map":
        return type.value;
      case "object": {
        const declared = type.fields.get(field);
        if (declared) return declared.type;
        if (type.open) return Dyn;
        this.problem(at, `undefined field '${field}'`);
        return Dyn;
      }
      case "dyn":
      case "parameter":
        return Dyn;
      default:
        this.problem(at, `type '${typeName(type)}' does not support field selection`);
        return Dyn;
    }
  }

  #has({ at, operand, field }: SyntaxNode & { kind: "has" }): Code {
    const target = this.compile(operand);
    const type = this.typeOf(target);
    this.#fieldType(isOptional(type) ? substitute(type.parameters[0]!, this.known) : type, field, at);
    return {
      type: Bool,
      cost: target.cost,
      run(frame) {
        const value = target.run(frame);
        if (value instanceof OptionalValue) return optionalField(value, field) !== none;
        if (!(value instanceof MapValue)) throw noSuchField(field);
        return value.field(field) !== undefined;
      },
    };
  }

  #call(node: SyntaxNode & { kind: "call" }): Code {
    const { at, name, target } = node;
    if (!target) {
      const operator = compileOperator(this, node);
      if (operator) return operator;
    } else {
      // `sets.contains(...)`: the target may be a namespace, unless it is a value.
      const path = dottedName(target) ?? (target.kind === "identifier" ? target : undefined);
      if (path && this.environment.functions.has(`${path.name}.${name}`)) {
        const first = path.name.split(".")[0];
        if (!this.#locals.some((local) => local.name === first)) {
          return this.#overloaded(at, `${path.name}.${name}`, node.args, false);
        }
      }
    }
    return this.#overloaded(at, name, target ? [target, ...node.args] : node.args, target !== undefined);
  }

  #overloaded(at: number, name: string, nodes: readonly SyntaxNode[], member: boolean): Code {
    const overloads = this.environment.functions.get(name)?.filter((overload) => overload.member === member);
    // What is formatted may be of any types together.
    const mixedBefore = this.#mixedLists;
    this.#mixedLists = member && name === "format";
    const args = nodes.map((node) => this.compile(node));
    this.#mixedLists = mixedBefore;
    if (!overloads?.length) {
      if (this.environment.functions.has(name))
        return this.mismatch(
          at,
          name,
          args.map(({ type }) => type),
          member,
        );
      this.problem(at, `undeclared reference to '${name}' (in container '${this.environment.container}')`);
      return failing(`unknown function: ${name}`);
    }
    const matched = matchOverloads(
      overloads,
      args.map((arg) => this.typeOf(arg)),
      this.known,
      () => this.freshParameter(),
    );
    if (!matched) {
      if (!this.environment.unchecked)
        return this.mismatch(
          at,
          name,
          args.map(({ type }) => type),
          member,
        );
      return callCode(args, { overloads, result: Dyn, exact: false });
    }
    for (const overload of matched.overloads) {
      if (!overload.prepare) continue;
      try {
        overload.prepare(args.map(({ literal }) => literal));
      } catch (error) {
        if (!(error instanceof CelError)) throw error;
        this.problem(at, error.message);
      }
    }
    return callCode(args, matched);
  }

  #list({ elements }: SyntaxNode & { kind: "list" }): Code {
    const items = elements.map(({ value }) => this.compile(value));
    let element: CelType | undefined;
    for (const [i, { optional, value }] of elements.entries()) {
      const given = optional ? this.#unwrapped(items[i]!, value.at) : this.typeOf(items[i]!);
      element = this.join(element, given, value.at);
    }
    const runs = items.map((item) => item.run);
    const optionals = elements.some(({ optional }) => optional) ? elements.map(({ optional }) => optional) : undefined;
    return {
      type: listOf(element ?? this.freshParameter()),
      cost: sum(exactly(10), ...items.map(({ cost }) => cost)),
      size: { min: optionals ? 0 : runs.length, max: runs.length },
      ...literalOf(items, optionals, (values) => new ArrayList(values)),
      run(frame) {
        charge(frame, 10);
        const values: Value[] = [];
        for (let i = 0; i < runs.length; i++) {
          const value = runs[i]!(frame);
          if (!optionals?.[i]) values.push(value);
          else if (!(value instanceof OptionalValue)) throw notOptional(value);
          else if (value.value !== undefined) values.push(value.value);
        }
        return new ArrayList(values);
      },
    };
  }

  #unwrapped(code: Code, at: number): CelType {
    const type = this.typeOf(code);
    if (isOptional(type)) return type.parameters[0]!;
    if (type.kind === "dyn" || type.kind === "parameter") return Dyn;
    this.problem(at, `expected type 'optional_type(${typeName(type)})' but found '${typeName(type)}'`);
    return Dyn;
  }

  /** The type of a literal's items so far, and one more. */
  join(sofar: CelType | undefined, next: CelType, at: number): CelType {
    if (!sofar) return next;
    const before = substitute(sofar, this.known);
    if (assignable(next, before, this.known)) return before.kind === "dyn" || next.kind !== "dyn" ? before : next;
    if (assignable(before, next, this.known)) return next;
    if (this.environment.homogeneousLiterals && !this.#mixedLists) {
      this.problem(at, `expected type '${typeName(before)}' but found '${typeName(next)}'`);
    }
    return Dyn;
  }

  #map({ entries }: SyntaxNode & { kind: "map" }): Code {
    const pairs = entries.map(({ key, value }) => ({ key: this.compile(key), value: this.compile(value) }));
    let keyType: CelType | undefined;
    let valueType: CelType | undefined;
    for (const [i, { key, value, optional }] of entries.entries()) {
      const pair = pairs[i]!;
      const given = this.typeOf(pair.key);
      if (!["bool", "int", "uint", "string", "dyn", "parameter"].includes(given.kind)) {
        this.problem(key.at, `unsupported key type: ${typeName(given)}`);
      }
      keyType = this.join(keyType, given, key.at);
      valueType = this.join(
        valueType,
        optional ? this.#unwrapped(pair.value, value.at) : this.typeOf(pair.value),
        value.at,
      );
    }
    const optional = entries.map((entry) => entry.optional);
    return {
      type: mapOf(keyType ?? this.freshParameter(), valueType ?? this.freshParameter()),
      cost: sum(exactly(30), ...pairs.flatMap(({ key, value }) => [key.cost, value.cost])),
      size: { min: optional.includes(true) ? 0 : pairs.length, max: pairs.length },
      run(frame) {
        charge(frame, 30);
        const map = new Map<unknown, { key: Value; value: Value }>();
        for (let i = 0; i < pairs.length; i++) {
          const key = pairs[i]!.key.run(frame);
          checkKey(key);
          let value = pairs[i]!.value.run(frame);
          const normal = keyOf(key);
          if (map.has(normal)) throw new CelError(`Failed with repeated key`);
          if (optional[i]) {
            if (!(value instanceof OptionalValue)) throw notOptional(value);
            if (value.value === undefined) continue;
            value = value.value;
          }
          map.set(normal, { key, value });
        }
        return new LiteralMap(map);
      },
    };
  }

  /** A struct in an open one is called by its path. */
  #checkOpenField(holder: string, { at, name }: { at: number; name: string }, code: Code): void {
    const given = structsIn(this.typeOf(code));
    const wanted = `${holder}.${name}`;
    if (given === undefined || given === wanted) return;
    this.problem(
      at,
      `unexpected type name ${JSON.stringify(given)}, expected ${JSON.stringify(wanted)}, which matches field name path from root Object type`,
    );
  }

  #struct({ at, typeName: name, fields }: SyntaxNode & { kind: "struct" }): Code {
    const type = this.environment.structType(name);
    if (!type?.constructible) {
      this.problem(at, `undeclared reference to '${name}' (in container '${this.environment.container}')`);
      return failing(`unknown type: ${name}`);
    }
    const parts = fields.map((field) => {
      const code = this.compile(field.value);
      const declared = type.fields.get(field.name);
      if (type.open) this.#checkOpenField(name, field, code);
      else if (!declared) this.problem(field.at, `undefined field '${field.name}'`);
      else {
        const given = field.optional ? this.#unwrapped(code, field.value.at) : this.typeOf(code);
        if (!assignable(given, declared.type, this.known)) {
          this.problem(
            field.at,
            `expected type of field '${field.name}' is '${typeName(declared.type)}' but provided type is '${typeName(given)}'`,
          );
        }
      }
      return { name: field.name, optional: field.optional, code };
    });
    return {
      type,
      cost: sum(exactly(40), ...parts.map(({ code }) => code.cost)),
      run(frame) {
        charge(frame, 40);
        const values = new Map<string, Value>();
        for (const { name, optional, code } of parts) {
          const value = code.run(frame);
          if (!optional) values.set(name, value);
          else if (!(value instanceof OptionalValue)) throw notOptional(value);
          else if (value.value !== undefined) values.set(name, value.value);
        }
        return new LiteralStruct(type.name, values);
      },
    };
  }
}

function structsIn(type: CelType): string | undefined {
  if (type.kind === "object") return type.open ? type.name : undefined;
  return type.kind === "list" ? structsIn(type.element) : undefined;
}

function literalOf(items: readonly Code[], optionals: unknown, make: (values: Value[]) => Value): { literal?: Value } {
  if (optionals || items.some(({ literal }) => literal === undefined)) return {};
  return { literal: make(items.map(({ literal }) => literal!)) };
}

/** The name that a chain of plain selections spells. */
function dottedName(node: SyntaxNode): { name: string; root: boolean } | undefined {
  if (node.kind === "identifier") return undefined;
  const parts: string[] = [];
  let current: SyntaxNode = node;
  while (current.kind === "select" && !current.optional) {
    parts.unshift(current.field);
    current = current.operand;
  }
  if (current.kind !== "identifier") return undefined;
  return { name: [current.name, ...parts].join("."), root: current.root };
}

function literalCode(literal: Literal): Code {
  const value = literal.kind === "null" ? null : literal.kind === "uint" ? new UintValue(literal.value) : literal.value;
  const type = scalarTypes[literal.kind === "null" ? "null_type" : literal.kind]!;
  const size = typeof value === "string" || value instanceof Uint8Array ? exactly(value.length) : undefined;
  return { type, run: () => value, cost: noCost, literal: value, ...(size ? { size } : {}) };
}

function variableCode(slot: number, type: CelType, name: string, size: Range | undefined): Code {
  return {
    type,
    cost: exactly(1),
    ...(size ? { size } : {}),
    run(frame) {
      charge(frame, 1);
      const value = frame.slots[slot];
      if (value === undefined) throw new CelError(`no such attribute(s): ${name}`);
      return value;
    },
  };
}

function typeValueCode(name: string, type: CelType): Code {
  const value = new TypeValue(name);
  return { type: typeOf(type), run: () => value, cost: exactly(1) };
}

function failing(message: string): Code {
  return {
    type: Dyn,
    cost: noCost,
    run() {
      throw new CelError(message);
    },
  };
}

function callCode(args: readonly Code[], { overloads, result, exact }: Matched): Code {
  const sizes = args.map(sizeRange);
  const mins = sizes.map(({ min }) => min);
  const maxs = sizes.map(({ max }) => max);
  const estimates = overloads.map(({ cost, resultSize, estimate }): { cost: Range; size?: Range } => {
    if (estimate) return estimate(args);
    const size = resultSize && { min: resultSize(mins), max: resultSize(maxs) };
    return { cost: cost ? { min: cost(mins), max: cost(maxs) } : exactly(1), ...(size ? { size } : {}) };
  });
  const own = estimates.map((each) => each.cost).reduce((a, b) => either(a, b));
  const cost = sum(own, ...args.map((arg) => arg.cost));
  const size = estimates.length === 1 ? estimates[0]!.size : undefined;
  return { type: result, cost, ...(size ? { size } : {}), run: dispatch(args, overloads, exact) };
}

export function selectField(value: Value, field: string): Value {
  if (!(value instanceof MapValue)) throw noSuchField(field);
  const found = value.field(field);
  if (found === undefined) throw noSuchField(field);
  return found;
}

function optionalField(value: Value, field: string): OptionalValue {
  const holder = value instanceof OptionalValue ? value.value : value;
  if (holder === undefined) return none;
  if (!(holder instanceof MapValue)) throw noSuchField(field);
  const found = holder.field(field);
  if (found === undefined) return none;
  return found instanceof OptionalValue ? found : new OptionalValue(found);
}

function noSuchField(field: string): CelError {
  return new CelError(`no such key: ${field}`);
}

function notOptional(value: Value): CelError {
  return new CelError(`cannot initialize optional entry from non-optional value ${String(value)}`);
}

function checkKey(key: Value): void {
  if (typeof key === "string" || typeof key === "bigint" || typeof key === "boolean" || key instanceof UintValue)
    return;
  throw new CelError("unsupported key type");
}
