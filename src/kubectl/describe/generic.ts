/** Kinds that nobody wrote a describer for: their fields, in words. */
import type { Unstructured } from "../api.ts";
import type { Outline } from "./outline.ts";

/** Every field but what the head has said, in the order of their names. */
export function writeFields(outline: Outline, object: Unstructured): void {
  const { name: _n, namespace: _s, labels: _l, annotations: _a, managedFields: _m, ...metadata } = object.metadata;
  write(outline, 0, { ...object, metadata });
}

function write(outline: Outline, level: number, value: Record<string, unknown>): void {
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [key, inner] of entries) {
    const title = words(key);
    if (Array.isArray(inner)) {
      outline.line(level, `${title}:`);
      for (const item of inner as unknown[]) {
        if (isMap(item)) write(outline, level + 1, item);
        else outline.line(level + 1, goText(item));
      }
    } else if (isMap(inner)) {
      outline.line(level, `${title}:`);
      write(outline, level + 1, inner);
    } else outline.field(level, title, inner === null ? "<nil>" : inner);
  }
}

const acronyms = new Set(["API", "URL", "UID", "OSB", "GUID"]);

/** `resourceVersion` → `Resource Version`; `podCIDRs` → `Pod CIDRs`. A name with a digit or sign in it is left as it is. */
function words(name: string): string {
  if (/[^\p{L}-]/u.test(name)) return name;
  // Three capitals or more are one word with what follows; of two the second begins the next.
  const parts = name.match(/\p{Lu}{3,}\p{Ll}*|\p{Lu}(?=\p{Lu}\p{Ll})|\p{Lu}\p{Ll}+|\p{Lu}+|\p{Ll}+|-+|\p{L}/gu) ?? [];
  return parts
    .map((part) => (acronyms.has(part.toUpperCase()) ? part.toUpperCase() : part[0]!.toUpperCase() + part.slice(1)))
    .join(" ");
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** As Go prints a value that it knows nothing of: `[1 [2]]`, `map[a:b]`. */
function goText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(goText).join(" ")}]`;
  if (!isMap(value)) return value === null ? "<nil>" : String(value);
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `map[${entries.map(([key, inner]) => `${key}:${goText(inner)}`).join(" ")}]`;
}
