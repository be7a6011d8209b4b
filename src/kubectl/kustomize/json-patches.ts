/** JSON Patch in kustomizations: a newer library than the API server's, which is stricter (what is replaced must be there) and says more. */
import {
  applyJsonPatch,
  JsonPatchError,
  type JsonPatchOperation,
  JsonPatchTestFailed,
} from "../../apimachinery/patch/json.ts";
import { CommandError } from "../command-error.ts";
import { valuesIn } from "./documents.ts";

/** In brackets it must be JSON, else it may be YAML. Throws for what is no list of operations, or a list of others. */
export function operationsIn(text: string): JsonPatchOperation[] {
  const value: unknown = text.startsWith("[") ? JSON.parse(text) : valuesIn(text)[0];
  if (!Array.isArray(value)) {
    throw new CommandError("json: cannot unmarshal object into Go value of type jsonpatch.Patch");
  }
  for (const { op, path, from, value: given } of value as JsonPatchOperation[]) {
    const needs = op === "add" || op === "replace" ? given : op === "move" || op === "copy" ? from : path;
    const isKnown = ["add", "remove", "replace", "move", "copy", "test"].includes(op ?? "");
    if (!isKnown || typeof path !== "string" || needs === undefined) {
      throw new CommandError(`jsonpatch ${op ?? ""} operation is invalid`);
    }
  }
  return value as JsonPatchOperation[];
}

/** `object` is left as it is. Throws a CommandError in the library's words. */
export function withOperations(object: unknown, operations: readonly JsonPatchOperation[]): unknown {
  return operations.reduce((document, operation) => {
    const { op = "", path = "", from = "" } = operation;
    const [parent, key] = parentOf(document, path);
    const misses = (what: string) =>
      new CommandError(`${op} operation does not apply: doc is missing ${what}: missing value`);
    if (["add", "remove", "replace"].includes(op) && path !== "" && !isContainer(parent)) {
      throw misses(op === "replace" ? `path: ${path}` : `path: ${JSON.stringify(path)}`);
    }
    if (op === "replace" && path !== "" && !has(parent, key)) throw misses(`key: ${path}`);
    if (op === "move" || op === "copy") {
      const [source, name] = parentOf(document, from);
      if (!isContainer(source)) throw misses(`from path: ${from}`);
      if (!has(source, name) && !Array.isArray(source)) {
        const place = op === "move" ? `path: '${name}'` : `from: '${from}'`;
        throw new CommandError(`error in ${op} for ${place}: unable to get nonexistent key: ${name}: missing value`);
      }
    }
    try {
      return applyJsonPatch(document, [operation]);
    } catch (error) {
      if (!(error instanceof JsonPatchError)) throw error;
      if (error instanceof JsonPatchTestFailed) throw new CommandError(`testing value ${path} failed: test failed`);
      const problem = error.message
        .replace(/^Unable to remove/, "unable to remove")
        .replace(/^strconv\.Atoi/, `value was not a proper array index: '${key}': strconv.Atoi`);
      throw new CommandError(`error in ${op} for path: '${path}': ${problem}`);
    }
  }, object);
}

const isContainer = (value: unknown): value is object => typeof value === "object" && value !== null;

function has(parent: unknown, key: string): boolean {
  if (!isContainer(parent)) return false;
  if (!Array.isArray(parent)) return Object.hasOwn(parent, key);
  const index = Number(key);
  return Number.isInteger(index) && parent.at(index) !== undefined;
}

/** What holds the last step of a pointer, if it is there, and that step. */
function parentOf(document: unknown, path: string): [parent: unknown, key: string] {
  const steps = path
    .split("/")
    .slice(1)
    .map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
  const key = steps.pop() ?? "";
  const parent = steps.reduce<unknown>((at, step) => {
    if (!isContainer(at)) return undefined;
    return Array.isArray(at) ? at.at(Number(step)) : (at as Record<string, unknown>)[step];
  }, document);
  return [parent, key];
}
