/** The types that CEL expressions are checked with, and how they read JSON. */

/** What scalars are called in messages is their kind, but for times. */
export type ScalarKind =
  | "bool"
  | "int"
  | "uint"
  | "double"
  | "string"
  | "bytes"
  | "null"
  | "dyn"
  | "duration"
  | "timestamp";

export interface ScalarType {
  readonly kind: ScalarKind;
  /** The most characters or bytes that a schema allows; costs are estimated from it. */
  readonly maxSize?: number;
}

export interface ListType {
  readonly kind: "list";
  readonly element: CelType;
  readonly maxSize?: number;
  /** `x-kubernetes-list-type` of the schema: sets and maps are compared and joined as such. */
  readonly listType?: "set" | "map";
  readonly mapKeys?: readonly string[];
}

export interface MapType {
  readonly kind: "map";
  readonly key: CelType;
  readonly value: CelType;
  readonly maxSize?: number;
}

/** A struct. Recursive types read `fields` late. */
export interface ObjectType {
  readonly kind: "object";
  readonly name: string;
  /** By the name that expressions use, which is the escaped one. */
  readonly fields: ReadonlyMap<string, ObjectField>;
  /** Expressions may make it (`Object{...}`). */
  readonly constructible?: boolean;
  /** Has any field, of type dyn; a struct in one must be called as the path to it says (`Object.spec`). */
  readonly open?: boolean;
}

export interface ObjectField {
  readonly type: CelType;
  /** As it is called in JSON. */
  readonly jsonName: string;
}

/** A library's own type: `kubernetes.URL`, `optional_type(int)`. */
export interface OpaqueType {
  readonly kind: "opaque";
  readonly name: string;
  readonly parameters: readonly CelType[];
}

export interface TypeType {
  readonly kind: "type";
  readonly of: CelType;
}

/** Stands for a type that a call's arguments decide. */
export interface TypeParameter {
  readonly kind: "parameter";
  readonly name: string;
}

export type CelType = ScalarType | ListType | MapType | ObjectType | OpaqueType | TypeType | TypeParameter;

export const Bool: ScalarType = { kind: "bool" };
export const Int: ScalarType = { kind: "int" };
export const Uint: ScalarType = { kind: "uint" };
export const Double: ScalarType = { kind: "double" };
export const Text: ScalarType = { kind: "string" };
export const Bytes: ScalarType = { kind: "bytes" };
export const Null: ScalarType = { kind: "null" };
export const Dyn: ScalarType = { kind: "dyn" };
export const Duration: ScalarType = { kind: "duration" };
export const Timestamp: ScalarType = { kind: "timestamp" };

export function listOf(element: CelType): ListType {
  return { kind: "list", element };
}

export function mapOf(key: CelType, value: CelType): MapType {
  return { kind: "map", key, value };
}

export function opaque(name: string, ...parameters: CelType[]): OpaqueType {
  return { kind: "opaque", name, parameters };
}

export function optionalOf(type: CelType): OpaqueType {
  return opaque("optional_type", type);
}

export function typeOf(of: CelType): TypeType {
  return { kind: "type", of };
}

export function parameter(name: string): TypeParameter {
  return { kind: "parameter", name };
}

export function isOptional(type: CelType): type is OpaqueType {
  return type.kind === "opaque" && type.name === "optional_type";
}

/** An object type from a plain list of its fields. */
export function objectOf(name: string, fields: Readonly<Record<string, CelType>>): ObjectType {
  return {
    kind: "object",
    name,
    fields: new Map(Object.entries(fields).map(([key, type]) => [key, { type, jsonName: key }])),
  };
}

/** As messages write it. */
export function typeName(type: CelType): string {
  switch (type.kind) {
    case "list":
      return `list(${typeName(type.element)})`;
    case "map":
      return `map(${typeName(type.key)}, ${typeName(type.value)})`;
    case "object":
      return type.name;
    case "opaque":
      return type.parameters.length ? `${type.name}(${type.parameters.map(typeName).join(", ")})` : type.name;
    case "type":
      return `type(${typeName(type.of)})`;
    case "parameter":
      return type.name;
    case "duration":
      return "google.protobuf.Duration";
    case "timestamp":
      return "google.protobuf.Timestamp";
    default:
      return type.kind;
  }
}

/** As typeName, in the words of what is asked of an expression as a whole. */
export function declaredTypeName(type: CelType): string {
  switch (type.kind) {
    case "null":
      return "null_type";
    case "list":
      return `list(${declaredTypeName(type.element)})`;
    case "map":
      return `map(${declaredTypeName(type.key)}, ${declaredTypeName(type.value)})`;
    default:
      return typeName(type);
  }
}

/** What type parameters stand for, as far as it is known. */
export type Substitution = Map<string, CelType>;

/** With parameters replaced by what they stand for; what nothing is known of becomes `unknown`. */
export function substitute(type: CelType, known: Substitution, unknown?: CelType): CelType {
  switch (type.kind) {
    case "parameter": {
      const found = known.get(type.name);
      if (found && found !== type) return substitute(found, known, unknown);
      return unknown ?? type;
    }
    case "list": {
      const element = substitute(type.element, known, unknown);
      return element === type.element ? type : { ...type, element };
    }
    case "map": {
      const key = substitute(type.key, known, unknown);
      const value = substitute(type.value, known, unknown);
      return key === type.key && value === type.value ? type : { ...type, key, value };
    }
    case "opaque":
      if (!type.parameters.length) return type;
      return { ...type, parameters: type.parameters.map((one) => substitute(one, known, unknown)) };
    case "type":
      return { kind: "type", of: substitute(type.of, known, unknown) };
    default:
      return type;
  }
}

/** Whether a value of type `from` may stand where `to` is asked for; learns what parameters stand for. Leaves `known` alone when not. */
export function assignable(from: CelType, to: CelType, known: Substitution): boolean {
  const trial: Substitution = new Map(known);
  if (!unify(from, to, trial)) return false;
  for (const [name, type] of trial) known.set(name, type);
  return true;
}

function unify(from: CelType, to: CelType, known: Substitution): boolean {
  if (from === to) return true;
  if (to.kind === "parameter") return bind(to.name, from, known, false);
  if (from.kind === "parameter") return bind(from.name, to, known, true);
  if (from.kind === "dyn" || to.kind === "dyn") return true;
  switch (to.kind) {
    case "list":
      return from.kind === "list" && unify(from.element, to.element, known);
    case "map":
      return from.kind === "map" && unify(from.key, to.key, known) && unify(from.value, to.value, known);
    case "object":
      if (from.kind === "null") return true;
      return from.kind === "object" && from.name === to.name;
    case "opaque":
      if (from.kind === "null") return to.name !== "optional_type" || true;
      if (from.kind !== "opaque" || from.name !== to.name || from.parameters.length !== to.parameters.length)
        return false;
      return to.parameters.every((one, i) => unify(from.parameters[i]!, one, known));
    case "type":
      return from.kind === "type";
    case "duration":
    case "timestamp":
      return from.kind === to.kind || from.kind === "null";
    default:
      return from.kind === to.kind;
  }
}

function bind(name: string, type: CelType, known: Substitution, reversed: boolean): boolean {
  const bound = known.get(name);
  if (!bound) {
    if (type.kind === "parameter" && type.name === name) return true;
    if (mentions(type, name, known)) return false;
    known.set(name, type);
    return true;
  }
  if (bound.kind === "parameter" && type.kind === "parameter" && bound.name === type.name) return true;
  // The more general of the two stands from now on.
  if (type.kind === "dyn") {
    known.set(name, type);
    return true;
  }
  return reversed ? unify(bound, type, known) : unify(type, bound, known);
}

function mentions(type: CelType, name: string, known: Substitution): boolean {
  switch (type.kind) {
    case "parameter": {
      if (type.name === name) return true;
      const bound = known.get(type.name);
      return bound !== undefined && mentions(bound, name, known);
    }
    case "list":
      return mentions(type.element, name, known);
    case "map":
      return mentions(type.key, name, known) || mentions(type.value, name, known);
    case "opaque":
      return type.parameters.some((one) => mentions(one, name, known));
    case "type":
      return mentions(type.of, name, known);
    default:
      return false;
  }
}
