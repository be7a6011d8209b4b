/** JSON Patch (RFC 6902) with the leniencies of upstream's library: replacing a missing key adds it, negative indices count from the end. */

import type { FieldSchema, ListSchema, ValueSchema } from "../../api/schema.ts";
import { stringifyExactly } from "../serializer/big-integers.ts";
import { DecodeError } from "../serializer/decode-error.ts";
import { strictProblemsOf } from "../serializer/json-scan.ts";
import { StatusError } from "../status-error.ts";
import { deepEqual } from "./deep-equal.ts";

export interface JsonPatchOperation {
  op?: string;
  path?: string;
  from?: string;
  value?: unknown;
}

/** An operation cannot be carried out. The API server answers 422 without saying which: see rejectedPatchError. */
export class JsonPatchError extends Error {
  override name = "JsonPatchError";
}

/** A `test` found something else. */
export class JsonPatchTestFailed extends JsonPatchError {}

/** What a client is told of a patch that does not apply. */
export function rejectedPatchError(cause: unknown): StatusError {
  return new StatusError(
    422,
    "Invalid",
    "the server rejected our request due to an error in our request",
    {},
    { cause },
  );
}

const maximumOperations = 10_000;
/** How much all copy operations may add together, in bytes of JSON: what a request may hold. */
const maximumCopied = 3 * 1024 * 1024;

/**
 * The operations of a parsed body. Throws DecodeError with Go's words, and 413 when there are too many. Where fields are validated
 * (`checked`), upstream reads the operations as structs before its patch library does, and says so.
 */
export function readJsonPatch(body: unknown, checked = true): JsonPatchOperation[] {
  const refuse = (value: unknown, place: string): never => {
    const found = Array.isArray(value) ? "array" : typeof value === "boolean" ? "bool" : typeof value;
    throw new DecodeError(`json: cannot unmarshal ${found} into Go value of type ${place}`);
  };
  if (body === null) return [];
  if (!Array.isArray(body)) return refuse(body, checked ? "[]handlers.jsonPatchOp" : "jsonpatch.Patch");
  if (body.length > maximumOperations) {
    throw new StatusError(
      413,
      "RequestEntityTooLarge",
      `Request entity too large: The allowed maximum operations in a JSON patch is ${maximumOperations}, got ${body.length}`,
    );
  }
  return body.map((operation) => {
    if (operation === null) return {};
    if (typeof operation !== "object" || Array.isArray(operation))
      return refuse(operation, checked ? "handlers.jsonPatchOp" : "jsonpatch.Operation");
    if (checked) for (const name of textFields) checkText(operation, name);
    return operation as JsonPatchOperation;
  });
}

const textFields = ["op", "path", "from"] as const;

function checkText(operation: Readonly<Record<string, unknown>>, name: string): void {
  const value = operation[name];
  if (value === undefined || value === null || typeof value === "string") return;
  const found = Array.isArray(value) ? "array" : typeof value === "boolean" ? "bool" : typeof value;
  throw new DecodeError(`json: cannot unmarshal ${found} into Go struct field jsonPatchOp.${name} of type string`);
}

/** Unknown and duplicate fields of the operations, for fieldValidation: `json patch unknown field "[0].foo"`. `text` is valid JSON. */
export function jsonPatchProblems(text: string): string[] {
  return strictProblemsOf(text, operations).map((problem) => `json patch ${problem}`);
}

const field = (name: string, value: ValueSchema): FieldSchema => ({ name, value, required: false, whenEmpty: "omit" });
const operationFields = [
  ...textFields.map((name) => field(name, { kind: "scalar", scalar: "string" })),
  field("value", { kind: "any", fullName: "JSON", atomic: true }),
];
const operations: ListSchema = {
  kind: "list",
  items: {
    kind: "struct",
    atomic: false,
    type: {
      fullName: "JsonPatchOperation",
      name: "JsonPatchOperation",
      fields: operationFields,
      byName: new Map(operationFields.map((each) => [each.name, each])),
      atomic: false,
      preserveUnknown: false,
      custom: false,
    },
  },
  listType: "atomic",
  listTypeGiven: false,
  mapKeys: [],
  wrapped: false,
};

/** `document` with the operations carried out in order. It is left as it is; the result shares parts with it. Throws JsonPatchError. */
export function applyJsonPatch(document: unknown, patch: readonly JsonPatchOperation[]): unknown {
  let copied = 0;
  for (const operation of patch) {
    const { op, path, from, value = null } = operation;
    switch (op) {
      case "add":
        document = change(document, path, op, (container, key) => add(container, key, value));
        break;
      case "replace":
        if (path === "") {
          if (typeof value !== "object" || value === null)
            throw new JsonPatchError("replace operation value must be object or array");
          document = value;
          break;
        }
        document = change(document, path, op, (container, key) => replace(container, key, value));
        break;
      case "remove":
        document = change(document, path, op, remove);
        break;
      case "test": {
        const found = path === "" ? document : find(document, path, op);
        if (!deepEqual(found ?? null, value)) throw new JsonPatchTestFailed(`testing path ${path} failed: test failed`);
        break;
      }
      case "move": {
        const moved = find(document, from, op);
        document = change(document, from, op, remove);
        document = change(document, path, op, (container, key) => add(container, key, moved ?? null));
        break;
      }
      case "copy": {
        const copy = find(document, from, op);
        copied += stringifyExactly(copy ?? null).length;
        if (copied > maximumCopied) {
          throw new JsonPatchError(
            `Unable to complete the copy, the accumulated size increase of copy is ${copied}, exceeding the limit ${maximumCopied}`,
          );
        }
        document = change(document, path, op, (container, key) => add(container, key, copy ?? null));
        break;
      }
      default:
        throw new JsonPatchError(`Unexpected kind: ${op ?? "unknown"}`);
    }
  }
  return document;
}

type Container = unknown[] | Record<string, unknown>;

/** The steps of a pointer, at least one. Whatever stands before its first slash counts for nothing. */
function pointer(path: string | undefined, op: string): string[] {
  if (typeof path !== "string" || !path.includes("/"))
    throw new JsonPatchError(`${op} operation does not apply: doc is missing path: "${path ?? ""}": missing value`);
  return path
    .split("/")
    .slice(1)
    .map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
}

function find(document: unknown, path: string | undefined, op: string): unknown {
  let at = document;
  const steps = pointer(path, op);
  steps.forEach((step, i) => {
    if (typeof at !== "object" || at === null)
      throw new JsonPatchError(`${op} operation does not apply: doc is missing path: ${path}: missing value`);
    at = Array.isArray(at)
      ? at[indexOf(at, step)]
      : Object.hasOwn(at, step)
        ? (at as Record<string, unknown>)[step]
        : undefined;
    if (at === undefined && i < steps.length - 1)
      throw new JsonPatchError(`${op} operation does not apply: doc is missing path: ${path}: missing value`);
  });
  return at;
}

/** Copies what stands on the way to the path, and changes the innermost container. */
function change(
  document: unknown,
  path: string | undefined,
  op: string,
  act: (container: Container, key: string) => Container,
): unknown {
  const steps = pointer(path, op);
  const descend = (at: unknown, depth: number): unknown => {
    if (typeof at !== "object" || at === null)
      throw new JsonPatchError(`${op} operation does not apply: doc is missing path: ${path}: missing value`);
    const step = steps[depth]!;
    const container: Container = Array.isArray(at) ? [...at] : { ...at };
    if (depth === steps.length - 1) return act(container, step);
    if (Array.isArray(container)) {
      const index = indexOf(container, step);
      container[index] = descend(container[index], depth + 1);
    } else setOwn(container, step, descend(Object.hasOwn(container, step) ? container[step] : undefined, depth + 1));
    return container;
  };
  return descend(document, 0);
}

function add(container: Container, key: string, value: unknown): Container {
  if (!Array.isArray(container)) return setOwn(container, key, value);
  const index = key === "-" ? container.length : parseIndex(key);
  const at = index < 0 ? index + container.length + 1 : index;
  if (at < 0 || at > container.length)
    throw new JsonPatchError(`Unable to access invalid index: ${index}: invalid index referenced`);
  container.splice(at, 0, value);
  return container;
}

function replace(container: Container, key: string, value: unknown): Container {
  if (!Array.isArray(container)) return setOwn(container, key, value);
  container[indexOf(container, key)] = value;
  return container;
}

function remove(container: Container, key: string): Container {
  if (Array.isArray(container)) container.splice(indexOf(container, key), 1);
  else {
    if (!Object.hasOwn(container, key))
      throw new JsonPatchError(`Unable to remove nonexistent key: ${key}: missing value`);
    delete container[key];
  }
  return container;
}

function parseIndex(key: string): number {
  if (!/^[-+]?\d+$/.test(key)) throw new JsonPatchError(`strconv.Atoi: parsing ${JSON.stringify(key)}: invalid syntax`);
  return Number(key);
}

/** Of an item that is there. */
function indexOf(list: unknown[], key: string): number {
  const index = parseIndex(key);
  const at = index < 0 ? index + list.length : index;
  if (at < 0 || at >= list.length)
    throw new JsonPatchError(`Unable to access invalid index: ${index}: invalid index referenced`);
  return at;
}

function setOwn(object: Record<string, unknown>, key: string, value: unknown): Record<string, unknown> {
  if (key === "__proto__")
    Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
  else object[key] = value;
  return object;
}
