/** What a driver is told about the volumes of a class. */
import { type FieldError, FieldPath, invalid, required, tooLong } from "../../apimachinery/field-error.ts";

const maximumCount = 512;
const maximumBytes = 256 * 1024;
const path = FieldPath.root.child("parameters");

export function validParameters(
  parameters: Readonly<Record<string, string>> | undefined,
  mayBeEmpty: boolean,
): FieldError[] {
  const entries = Object.entries(parameters ?? {}).sort();
  if (entries.length > maximumCount) return [tooLong(path, maximumCount)];
  const errors = entries.flatMap(([key]) => (key ? [] : [invalid(path, key, "field can not be empty.")]));
  const bytes = entries.reduce((sum, [key, value]) => sum + new TextEncoder().encode(key + value).length, 0);
  if (bytes > maximumBytes) errors.push(tooLong(path, maximumBytes));
  if (!mayBeEmpty && entries.length === 0) errors.push(required(path, "must contain at least one key/value pair"));
  return errors;
}
