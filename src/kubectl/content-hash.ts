/** The ending that gives changed content a new name: `--append-hash`, and kustomize's generators. Pure. */
import { createHash } from "node:crypto";
import { compactGoJson } from "./printers/printable.ts";

/** Ten characters that stand for the content; no vowels, so that they form no words. */
export function contentHash(content: Record<string, unknown>): string {
  const hex = createHash("sha256").update(compactGoJson(content)).digest("hex");
  const replaced: Record<string, string> = { 0: "g", 1: "h", 3: "k", a: "m", e: "t" };
  return [...hex.slice(0, 10)].map((character) => replaced[character] ?? character).join("");
}
