/** A mistake in one field of an object, worded and typed as `kubectl` users know it (field.Error upstream). */

import { goQuote } from "../base/go-quote.ts";

/** Upstream's machine-readable causes, as they appear in a Status' details. */
export type FieldErrorReason =
  | "FieldValueRequired"
  | "FieldValueInvalid"
  | "FieldValueNotSupported"
  | "FieldValueDuplicate"
  | "FieldValueForbidden"
  | "FieldValueNotFound"
  | "FieldValueTooLong"
  | "FieldValueTooMany"
  | "FieldValueTypeInvalid"
  | "InternalError";

export interface FieldError {
  reason: FieldErrorReason;
  /** Such as `spec.containers[0].name`. */
  field: string;
  /** Everything after the field: `Invalid value: "x": must be positive`. */
  message: string;
}

/** A place in an object. Immutable; children are new paths. Converts to text only when an error needs it. */
export class FieldPath {
  readonly #parent: FieldPath | undefined;
  readonly #step: string;

  private constructor(parent: FieldPath | undefined, step: string) {
    this.#parent = parent;
    this.#step = step;
  }

  static readonly root = new FieldPath(undefined, "");

  /** The path of a field by name; several names descend. */
  child(...names: string[]): FieldPath {
    let path: FieldPath = this;
    for (const name of names) path = new FieldPath(path, path.#isRoot() ? name : `.${name}`);
    return path;
  }

  index(index: number): FieldPath {
    return new FieldPath(this, `[${index}]`);
  }

  /** The path of a map entry: `metadata.labels[app]`. */
  key(key: string): FieldPath {
    return new FieldPath(this, `[${key}]`);
  }

  toString(): string {
    return this.#parent ? this.#parent.toString() + this.#step : this.#step;
  }

  #isRoot(): boolean {
    return this.#parent === undefined && this.#step === "";
  }
}

export const spec = FieldPath.root.child("spec");
export const metadata = FieldPath.root.child("metadata");
export const status = FieldPath.root.child("status");

/** `value` the way upstream prints it in an error: strings quoted, objects as JSON. */
function printed(value: unknown): string {
  if (value === undefined || value === null) return "null";
  if (typeof value === "bigint") return String(value);
  if (typeof value === "string") return goQuote(value);
  if (typeof value !== "object") return String(value);
  return JSON.stringify(value, sortedMaps).replace(/[<>&]/g, escaped);
}

/** Upstream writes maps by key, and structs, whose fields are not all text, as they are declared. */
function sortedMaps(_: string, value: unknown): unknown {
  if (typeof value === "bigint") return Number(value);
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const entries = Object.entries(value);
  const isMap = entries.length > 1 && entries.every(([key, one]) => typeof one === "string" && !/^[A-Z]/.test(key));
  return isMap ? Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1))) : value;
}

const escaped = (character: string) => `\\u00${character.charCodeAt(0).toString(16)}`;

export function required(path: FieldPath, detail = ""): FieldError {
  return {
    reason: "FieldValueRequired",
    field: path.toString(),
    message: detail ? `Required value: ${detail}` : "Required value",
  };
}

export function invalid(path: FieldPath, value: unknown, detail: string): FieldError {
  return {
    reason: "FieldValueInvalid",
    field: path.toString(),
    message: `Invalid value: ${printed(value)}${detail ? `: ${detail}` : ""}`,
  };
}

export function notSupported(path: FieldPath, value: unknown, supported: readonly string[]): FieldError {
  const list = supported.map((one) => goQuote(one)).join(", ");
  return {
    reason: "FieldValueNotSupported",
    field: path.toString(),
    message: `Unsupported value: ${printed(value)}${list ? `: supported values: ${list}` : ""}`,
  };
}

export function duplicate(path: FieldPath, value: unknown): FieldError {
  return { reason: "FieldValueDuplicate", field: path.toString(), message: `Duplicate value: ${printed(value)}` };
}

export function forbidden(path: FieldPath, detail: string): FieldError {
  return { reason: "FieldValueForbidden", field: path.toString(), message: `Forbidden${detail ? `: ${detail}` : ""}` };
}

export function notFound(path: FieldPath, value: unknown): FieldError {
  return { reason: "FieldValueNotFound", field: path.toString(), message: `Not found: ${printed(value)}` };
}

/** `value` is not repeated in the message, as upstream stopped doing for long values. */
export function tooLong(path: FieldPath, maximum: number): FieldError {
  return {
    reason: "FieldValueTooLong",
    field: path.toString(),
    message: `Too long: may not be more than ${maximum} bytes`,
  };
}

export function tooMany(path: FieldPath, actual: number, maximum: number): FieldError {
  return {
    reason: "FieldValueTooMany",
    field: path.toString(),
    message: `Too many: ${actual}: must have at most ${maximum} items`,
  };
}
