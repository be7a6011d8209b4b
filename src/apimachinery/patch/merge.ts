/** JSON Merge Patch (RFC 7386). */
import { NumberLiteral } from "../serializer/number-literals.ts";

/** `target` with the patch laid over it: null removes, lists are replaced. Neither is changed; the result shares parts with both. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return withoutNulls(patch);
  const merged: Record<string, unknown> = isObject(target) ? { ...target } : {};
  for (const key of Object.keys(patch)) {
    const value = patch[key];
    if (value === undefined) continue;
    if (value === null) delete merged[key];
    else if (key === "__proto__")
      Object.defineProperty(merged, key, { value, enumerable: true, configurable: true, writable: true });
    else merged[key] = mergePatch(merged[key], value);
  }
  return merged;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof NumberLiteral);
}

/** Objects inside lists lose their nulls too, as upstream's library has it; a list's own nulls stay. */
function withoutNulls(value: unknown): unknown {
  return Array.isArray(value) ? value.map((item) => (item === null ? null : mergePatch(undefined, item))) : value;
}
