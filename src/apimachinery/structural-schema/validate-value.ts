/**
 * Checks objects against a structural schema, in upstream's words. Compiled once a schema: an object is walked once, and its path
 * turned into text only for errors. Extensions are part of the walk: embedded resources, list types, int-or-string.
 */

import type { JSONSchemaProps } from "../../api/apiextensions/v1.ts";
import { compileRegex } from "../cel/regex.ts";
import type { FieldErrorReason } from "../field-error.ts";
import { duplicate, FieldPath, invalid, notSupported, required, tooLong, tooMany } from "../field-error.ts";
import { deepEqual } from "../patch/deep-equal.ts";
import { stringifyExactly } from "../serializer/big-integers.ts";
import { formatCheck } from "./formats.ts";

/** An error that still knows its place, so that it can be left out when nothing there has changed. */
export interface PlacedError {
  steps: readonly (string | number)[];
  reason: FieldErrorReason;
  field: string;
  message: string;
}

export type ValueValidator = (value: unknown) => PlacedError[];

/** `isResource`: apiVersion, kind and metadata are checked by others. */
export function compileValidation(schema: JSONSchemaProps, isResource = true): ValueValidator {
  const check = compile(schema, isResource);
  return (value) => {
    const walk = new Walk();
    check(value, walk);
    return walk.errors;
  };
}

type Check = (value: unknown, walk: Walk) => void;

class Walk {
  readonly steps: (string | number)[] = [];
  errors: PlacedError[] = [];
  /** How much of the value fitted: tells which of several failed alternatives was meant. */
  matched = 0;

  get name(): string {
    return pathText(this.steps);
  }

  add(error: Omit<PlacedError, "steps">, ...below: (string | number)[]): void {
    this.errors.push({ ...error, steps: [...this.steps, ...below] });
  }

  invalid(value: unknown, what: string): void {
    this.add(invalid(pathOf(this.steps), value, `${this.name} in body ${what}`));
  }

  /** `type` is what the value should have been, `value` what is shown of it. */
  wrongType(type: string, value: unknown): void {
    const { message, ...error } = invalid(pathOf(this.steps), value, "");
    this.add({
      ...error,
      reason: "FieldValueTypeInvalid",
      message: `${message}: ${this.name} in body must be of type ${type}: ${stringifyExactly(value)}`,
    });
  }
}

/** `spec.ports[0].name`. */
export function pathText(steps: readonly (string | number)[]): string {
  let text = "";
  for (const step of steps) text += typeof step === "number" ? `[${step}]` : text ? `.${step}` : step;
  return text;
}

function pathOf(steps: readonly (string | number)[]): FieldPath {
  return steps.length === 0 ? nowhere : FieldPath.root.child(pathText(steps));
}

/** What upstream prints where an error belongs to no field. */
const nowhere = FieldPath.root.child("<nil>");

const typeOfValue = (value: unknown): string =>
  value === null
    ? "null"
    : Array.isArray(value)
      ? "array"
      : typeof value === "number"
        ? Number.isInteger(value)
          ? "integer"
          : "number"
        : typeof value === "bigint"
          ? "integer"
          : typeof value;

function compile(schema: JSONSchemaProps, isResource = false): Check {
  const checks: Check[] = [];
  const typed = compileType(schema);
  const alternatives = compileAlternatives(schema);
  if (alternatives) checks.push(alternatives);
  const text = compileText(schema);
  if (text) checks.push((value, walk) => typeof value === "string" && text(value, walk));
  const number = compileNumber(schema);
  if (number)
    checks.push((value, walk) => (typeof value === "number" || typeof value === "bigint") && number(value, walk));
  const list = compileList(schema);
  if (list) checks.push((value, walk) => Array.isArray(value) && list(value, walk));
  const choice = compileEnum(schema);
  if (choice) checks.push(choice);
  const object = compileObject(schema, isResource);
  checks.push(
    (value, walk) =>
      typeof value === "object" &&
      value !== null &&
      !Array.isArray(value) &&
      object(value as Record<string, unknown>, walk),
  );
  return (value, walk) => {
    if (value === null && schema.nullable) return;
    const before = walk.errors.length;
    typed?.(value, walk);
    for (const check of checks) check(value, walk);
    if (walk.errors.length === before) walk.matched++;
  };
}

function compileType(schema: JSONSchemaProps): Check | undefined {
  const types = schema["x-kubernetes-int-or-string"] ? ["integer", "string"] : schema.type ? [schema.type] : [];
  if (types.length === 0) return undefined;
  const wanted = types.join(",");
  return (value, walk) => {
    const type = typeOfValue(value);
    if (types.includes(type) || (type === "integer" && types.includes("number"))) return;
    walk.wrongType(wanted, type);
  };
}

function compileText({
  minLength,
  maxLength,
  pattern,
  format,
}: JSONSchemaProps): ((text: string, walk: Walk) => void) | undefined {
  const matches = pattern === undefined ? undefined : matcher(pattern);
  const fits = format === undefined ? undefined : formatCheck(format);
  if (minLength === undefined && maxLength === undefined && !matches && !fits) return undefined;
  return (text, walk) => {
    if (minLength !== undefined || maxLength !== undefined) {
      const length = lengthOf(text);
      if (maxLength !== undefined && length > maxLength) walk.add(tooLong(pathOf(walk.steps), maxLength));
      if (minLength !== undefined && length < minLength)
        walk.invalid(text, `should be at least ${minLength} chars long`);
    }
    if (matches && !matches(text)) walk.invalid(text, `should match '${pattern}'`);
    if (fits && !fits(text)) walk.wrongType(format!, text);
  };
}

function lengthOf(text: string): number {
  let length = 0;
  for (const _ of text) length++;
  return length;
}

/** RE2, as upstream's; a pattern that does not compile was let in by older rules and matches everything. */
function matcher(pattern: string): ((text: string) => boolean) | undefined {
  try {
    const regex = compileRegex(pattern);
    return (text) => regex.test(text);
  } catch {
    return undefined;
  }
}

/** By type and format: what a number may be so that programs can hold it. Doubles hold every number. */
const numericFormats: Readonly<Record<string, (value: number | bigint) => boolean>> = {
  "integer int32": (value) => value >= -(2 ** 31) && value < 2 ** 31,
  "integer int64": (value) => value >= -(2 ** 63) && value < 2 ** 63,
  "number float": (value) => Number.isFinite(Math.fround(Number(value))),
};

function compileNumber(schema: JSONSchemaProps): ((value: number | bigint, walk: Walk) => void) | undefined {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf, type, format } = schema;
  const fits = numericFormats[`${type} ${format}`];
  if (minimum === undefined && maximum === undefined && multipleOf === undefined && !fits) return undefined;
  return (value, walk) => {
    if (fits && !fits(value)) {
      const detail = `Checked value must be of type ${type} with format ${format} in ${walk.name}`;
      walk.add(invalid(pathOf(walk.steps), value, detail));
    }
    if (multipleOf !== undefined && !isMultiple(value, multipleOf))
      walk.invalid(value, `should be a multiple of ${multipleOf}`);
    if (maximum !== undefined && (exclusiveMaximum ? value >= maximum : value > maximum))
      walk.invalid(value, `should be less than ${exclusiveMaximum ? "" : "or equal to "}${maximum}`);
    if (minimum !== undefined && (exclusiveMinimum ? value <= minimum : value < minimum))
      walk.invalid(value, `should be greater than ${exclusiveMinimum ? "" : "or equal to "}${minimum}`);
  };
}

function isMultiple(value: number | bigint, of: number): boolean {
  if (typeof value === "bigint" && Number.isSafeInteger(of)) return value % BigInt(of) === 0n;
  return Number.isInteger(Number(value) / of);
}

function compileEnum({ enum: values }: JSONSchemaProps): Check | undefined {
  if (!values?.length) return undefined;
  const supported = values.map((value) => (typeof value === "string" ? value : stringifyExactly(value)));
  const strings = new Set(values.filter((value) => typeof value === "string"));
  return (value, walk) => {
    const fits = typeof value === "string" ? strings.has(value) : values.some((one) => deepEqual(one, value));
    if (!fits) walk.add(notSupported(pathOf(walk.steps), value, supported));
  };
}

function compileList(schema: JSONSchemaProps): ((list: unknown[], walk: Walk) => void) | undefined {
  const { items, minItems, maxItems } = schema;
  const check = items && !Array.isArray(items) ? compile(items) : undefined;
  const keys = schema["x-kubernetes-list-type"] === "map" ? (schema["x-kubernetes-list-map-keys"] ?? []) : undefined;
  const isSet = schema["x-kubernetes-list-type"] === "set";
  const itemSchema = items && !Array.isArray(items) ? items : undefined;
  return (list, walk) => {
    if (check) {
      for (let i = 0; i < list.length; i++) {
        walk.steps.push(i);
        check(list[i], walk);
        walk.steps.pop();
      }
    }
    if (minItems !== undefined && list.length < minItems) walk.invalid(list, `should have at least ${minItems} items`);
    if (maxItems !== undefined && list.length > maxItems) walk.add(tooMany(pathOf(walk.steps), list.length, maxItems));
    if ((isSet || keys) && list.length > 1) findDuplicates(list, keys, itemSchema, walk);
  };
}

function findDuplicates(
  list: readonly unknown[],
  keys: readonly string[] | undefined,
  items: JSONSchemaProps | undefined,
  walk: Walk,
): void {
  const seen = new Set<string>();
  list.forEach((item, i) => {
    let shown = item;
    if (keys) {
      if (typeof item !== "object" || item === null) return;
      const fields = item as Record<string, unknown>;
      shown = Object.fromEntries(
        keys.map((key) => [key, fields[key] ?? items?.properties?.[key]?.default]).filter(([, v]) => v !== undefined),
      );
    }
    const identity = canonicalText(shown);
    if (!seen.has(identity)) seen.add(identity);
    else walk.add(duplicate(FieldPath.root.child(pathText([...walk.steps, i])), shown), i);
  });
}

function canonicalText(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === "bigint"
      ? { int64: String(inner) }
      : typeof inner === "object" && inner !== null && !Array.isArray(inner)
        ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
        : inner,
  );
}

function compileObject(
  schema: JSONSchemaProps,
  isResource: boolean,
): (object: Record<string, unknown>, walk: Walk) => void {
  const isEmbedded = schema["x-kubernetes-embedded-resource"] === true;
  const hidden = isResource || isEmbedded;
  const properties = Object.entries(schema.properties ?? {})
    .filter(([name]) => !hidden || name !== "metadata")
    .map(([name, property]) => ({ name, check: compile(property) }));
  const known = new Set(Object.keys(schema.properties ?? {}));
  const { additionalProperties, required: names, minProperties, maxProperties } = schema;
  const values = typeof additionalProperties === "object" ? compile(additionalProperties) : undefined;
  return (object, walk) => {
    if (minProperties !== undefined || maxProperties !== undefined) {
      const count = Object.keys(object).length;
      if (minProperties !== undefined && count < minProperties)
        walk.invalid(object, `should have at least ${minProperties} properties`);
      if (maxProperties !== undefined && count > maxProperties)
        walk.add(tooMany(pathOf(walk.steps), count, maxProperties));
    }
    for (const { name, check } of properties) {
      const value = object[name];
      if (value === undefined) continue;
      walk.steps.push(name);
      check(value, walk);
      walk.steps.pop();
    }
    if (values) {
      for (const key in object) {
        if (known.has(key) || object[key] === undefined) continue;
        walk.steps.push(key);
        values(object[key], walk);
        walk.steps.pop();
      }
    }
    for (const name of names ?? []) if (object[name] === undefined) missing(walk, name);
  };
}

function missing(walk: Walk, name: string): void {
  walk.add(required(FieldPath.root.child(pathText([...walk.steps, name]))), name);
}

/** allOf, anyOf, oneOf, not. Their errors belong to no field of their own, and say where by name. */
function compileAlternatives({ allOf, anyOf, oneOf, not }: JSONSchemaProps): Check | undefined {
  const compileAll = (schemas: readonly JSONSchemaProps[] | undefined) =>
    schemas?.length && schemas.map((s) => compile(s));
  const all = compileAll(allOf);
  const any = compileAll(anyOf);
  const one = compileAll(oneOf);
  const none = not && compile(not);
  if (!all && !any && !one && !none) return undefined;
  return (value, walk) => {
    const refuse = (what: string) => walk.add(invalid(nowhere, "", `${JSON.stringify(walk.name)} must ${what}`));
    if (any) {
      const { passed, best } = attempt(any, value, walk);
      if (passed === 0) {
        refuse("validate at least one schema (anyOf)");
        walk.errors.push(...best);
      }
    }
    if (one) {
      const { passed, best } = attempt(one, value, walk);
      if (passed !== 1) {
        const found = passed === 0 ? "Found none valid" : `Found ${passed} valid alternatives`;
        refuse(`validate one and only one schema (oneOf). ${found}`);
        if (passed === 0) walk.errors.push(...best);
      }
    }
    if (all) {
      const before = walk.errors.length;
      let passed = 0;
      for (const check of all) {
        const mark = walk.errors.length;
        check(value, walk);
        if (walk.errors.length === mark) passed++;
      }
      if (walk.errors.length > before)
        refuse(`validate all the schemas (allOf)${passed === 0 ? ". None validated" : ""}`);
    }
    if (none && attempt([none], value, walk).passed > 0) refuse("not validate the schema (not)");
  };
}

/** How many of them the value passes, and the errors of the one that it came closest to. */
function attempt(checks: readonly Check[], value: unknown, walk: Walk): { passed: number; best: PlacedError[] } {
  const { errors, matched } = walk;
  let passed = 0;
  let best: PlacedError[] = [];
  let bestMatch = -1;
  for (const check of checks) {
    walk.errors = [];
    walk.matched = 0;
    check(value, walk);
    if (walk.errors.length === 0) passed++;
    else if (walk.matched > bestMatch) {
      best = walk.errors;
      bestMatch = walk.matched;
    }
  }
  walk.errors = errors;
  walk.matched = matched;
  return { passed, best };
}
