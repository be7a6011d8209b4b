/** Kinds that nobody wrote a describer for: their fields, in words. */
import type { Unstructured } from "../api.ts";
import type { Outline } from "./outline.ts";

/** Every field but what the head has said, in the order of their titles. */
export function writeFields(outline: Outline, object: Unstructured): void {
  const { name: _n, namespace: _s, labels: _l, annotations: _a, managedFields: _m, ...metadata } = object.metadata;
  write(outline, 0, { ...object, metadata });
}

function write(outline: Outline, level: number, value: Record<string, unknown>): void {
  const entries = Object.entries(value).sort(([a], [b]) => (words(a) < words(b) ? -1 : 1));
  for (const [key, inner] of entries) {
    const title = words(key);
    if (Array.isArray(inner)) {
      outline.line(level, `${title}:`);
      for (const item of inner as unknown[]) {
        if (isMap(item)) write(outline, level + 1, item);
        else outline.line(level + 1, String(item));
      }
    } else if (isMap(inner)) {
      outline.line(level, `${title}:`);
      write(outline, level + 1, inner);
    } else outline.field(level, title, inner === null ? "<nil>" : inner);
  }
}

const acronyms = new Set(["API", "URL", "UID", "OSB", "GUID"]);

/** `resourceVersion` → `Resource Version`; `podCIDR` → `Pod CIDR`. */
function words(name: string): string {
  const spaced = name.replace(/([a-z0-9])([A-Z])/g, "$1 $2").replace(/([A-Z]+)([A-Z][a-z])/g, "$1 $2");
  return spaced
    .split(" ")
    .map((word) => (acronyms.has(word.toUpperCase()) ? word.toUpperCase() : word[0]!.toUpperCase() + word.slice(1)))
    .join(" ");
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
