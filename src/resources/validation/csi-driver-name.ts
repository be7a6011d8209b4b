/** Names of storage drivers. */
import { type FieldError, type FieldPath, invalid, required, tooLong } from "../../apimachinery/field-error.ts";
import { dns1123SubdomainProblems } from "../../apimachinery/name-validation.ts";

const maximumLength = 63;

/** A DNS subdomain of at most 63 bytes, in which case does not matter. */
export function validCsiDriverName(driver: string | undefined, path: FieldPath): FieldError[] {
  if (!driver) return [required(path)];
  return [
    ...(driver.length > maximumLength ? [tooLong(path, maximumLength)] : []),
    ...dns1123SubdomainProblems(driver.toLowerCase()).map((problem) => invalid(path, driver, problem)),
  ];
}
