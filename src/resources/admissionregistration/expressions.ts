/** Expressions of webhooks and policies must compile before they are stored. */
import type { Compiled } from "../../apimachinery/cel/compile.ts";
import { type FieldError, type FieldPath, invalid, required } from "../../apimachinery/field-error.ts";

/** `missing` tells of a text of nothing but blanks. */
export function validExpression(
  text: string | undefined,
  path: FieldPath,
  missing: string,
  compile: (text: string) => Compiled,
): FieldError[] {
  if (!text?.trim()) return [required(path, missing)];
  const compiled = compile(text);
  if (compiled.program) return [];
  const message = compiled.message.startsWith("ERROR") ? `compilation failed: ${compiled.message}` : compiled.message;
  return [invalid(path, text, message)];
}
