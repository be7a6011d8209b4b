/** File paths in volumes and mounts, and the modes of files. */
import { type FieldError, type FieldPath, invalid } from "../../../apimachinery/field-error.ts";

/** Relative, and never upwards. */
export function validDescendingPath(value: string, path: FieldPath): FieldError[] {
  const errors = value.startsWith("/") ? [invalid(path, value, "must be a relative path")] : [];
  return [...errors, ...withoutBacksteps(value, path)];
}

export function withoutBacksteps(value: string, path: FieldPath): FieldError[] {
  return value.split("/").includes("..") ? [invalid(path, value, "must not contain '..'")] : [];
}

/** As validDescendingPath, and not among the names that volumes keep for themselves. */
export function validUnreservedPath(value: string, path: FieldPath): FieldError[] {
  const errors = validDescendingPath(value, path);
  if (value.startsWith("..") && !value.startsWith("../") && value !== "..") {
    errors.push(invalid(path, value, "must not start with '..'"));
  }
  return errors;
}

export function validFileMode(mode: number | undefined | null, path: FieldPath): FieldError[] {
  if (mode === undefined || mode === null || (mode >= 0 && mode <= 0o777)) return [];
  return [invalid(path, mode, "must be a number between 0 and 0777 (octal), both inclusive")];
}
