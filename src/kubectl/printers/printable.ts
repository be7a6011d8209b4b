/** Objects made fit for `-o yaml` and `-o json`. */
import type { Unstructured } from "../api.ts";

/** Without managedFields, which only those want who ask for them. */
export function withoutManagedFields<T>(object: T): T {
  const { metadata } = object as { metadata?: Record<string, unknown> };
  if (!metadata?.["managedFields"]) return object;
  const { managedFields: _, ...kept } = metadata;
  return { ...object, metadata: kept };
}

/** Several objects as one. */
export function listOf(items: readonly Unstructured[]) {
  return { apiVersion: "v1", items, kind: "List", metadata: { resourceVersion: "" } };
}

/** Keys in order, as Go writes its maps. */
export function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, inner]) => [key, sortKeys(inner)]));
}

/** JSON as Go's encoder writes it, four blanks a level. */
export function goJson(value: unknown, indent = 4): string {
  return `${escapeHtml(JSON.stringify(sortKeys(value), undefined, indent))}\n`.replace(/: \{\}/g, ": {}");
}

/** The same with the keys in the order in which they stand, on one line unless `indent` says otherwise. */
export function goJsonInOrder(value: unknown, indent = 0): string {
  return escapeHtml(JSON.stringify(value, undefined, indent));
}

/** With the keys in order, on one line. */
export function compactGoJson(value: unknown): string {
  return escapeHtml(JSON.stringify(sortKeys(value)));
}

/** Go's encoder escapes what could end a script element. */
function escapeHtml(json: string): string {
  return json.replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
