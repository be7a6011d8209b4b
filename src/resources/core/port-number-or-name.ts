/** Ports that may be given by number or by a container port's name. */
import type { IntOrString } from "../../api/meta/v1.ts";
import type { FieldError, FieldPath } from "../../apimachinery/field-error.ts";
import { portNameProblems } from "../../apimachinery/name-validation.ts";
import { obeys, validPort } from "../validation/rules.ts";

export function validPortNumberOrName(port: IntOrString, path: FieldPath): FieldError[] {
  return typeof port === "number" ? validPort(port, path) : obeys(port, portNameProblems, path);
}
