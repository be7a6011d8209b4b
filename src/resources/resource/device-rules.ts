/** Rules that claims, classes and slices share: names of pools and of what devices have, taints, tolerations, conditions of binding. */
import type { DeviceTaint, DeviceToleration, OpaqueDeviceConfiguration } from "../../api/resource/v1.ts";
import {
  duplicate,
  type FieldError,
  type FieldPath,
  invalid,
  required,
  tooLong,
  tooMany,
} from "../../apimachinery/field-error.ts";
import { labelValueProblems, qualifiedNameProblems, regexMessage } from "../../apimachinery/name-validation.ts";
import { validCsiDriverName } from "../validation/csi-driver-name.ts";
import { each, obeys, oneOf, requiredOneOf, validDnsSubdomain } from "../validation/rules.ts";

const longestIdentifier = 32;
const longestPoolName = 253;
const longestParameters = 10 * 1024;
const maximumBindingConditions = 4;
const effects = ["NoExecute", "NoSchedule", "None"];
const identifierFormat = "[A-Za-z_][A-Za-z0-9_]*";
const identifierPattern = new RegExp(`^${identifierFormat}$`);
const identifierMessage = regexMessage(
  "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_'",
  identifierFormat,
  "my_name",
  "MY_NAME",
  "MyName",
);

/** Runs a rule over a list; one that is too long is not looked at. `keyOf` says what no two items may share. */
export function eachOf<T>(
  items: readonly T[] | undefined | null,
  maximum: number,
  path: FieldPath,
  rule: (item: T, path: FieldPath) => FieldError[],
  keyOf?: (item: T) => string,
): FieldError[] {
  if (!items) return [];
  if (items.length > maximum) return [tooMany(path, items.length, maximum)];
  return [...each(items, path, rule), ...(keyOf ? duplicates(items.map(keyOf), path) : [])];
}

function duplicates(keys: readonly string[], path: FieldPath): FieldError[] {
  return keys.flatMap((key, index) => (keys.indexOf(key) < index ? [duplicate(path.index(index), key)] : []));
}

/** DNS subdomains with slashes between them. */
export function validPoolName(name: string | undefined, path: FieldPath): FieldError[] {
  if (!name) return [required(path)];
  const errors = name.length > longestPoolName ? [tooLong(path, longestPoolName)] : [];
  return [...errors, ...name.split("/").flatMap((part) => validDnsSubdomain(part, path))];
}

/** `name`, or `domain/name`: what a device has. */
export function validQualifiedName(name: string, path: FieldPath): FieldError[] {
  const [first = "", second, ...rest] = name.split("/");
  if (rest.length > 0) return [invalid(path, name, "must not contain more than one slash")];
  if (second === undefined) return validIdentifier(first, path);
  return [
    ...(first ? validCsiDriverName(first, path) : [invalid(path, "", "the domain must not be empty")]),
    ...(second ? validIdentifier(second, path) : [invalid(path, "", "the name must not be empty")]),
  ];
}

/** With a domain: `gpu.example.com/model`. */
export function validFullyQualifiedName(name: string, path: FieldPath): FieldError[] {
  const detail = "a fully qualified name must be a domain and a name separated by a slash";
  return [...validQualifiedName(name, path), ...(name.includes("/") ? [] : [invalid(path, name, detail)])];
}

/** A name that can stand in an expression. */
function validIdentifier(name: string, path: FieldPath): FieldError[] {
  return [
    ...(name.length > longestIdentifier ? [tooLong(path, longestIdentifier)] : []),
    ...(identifierPattern.test(name) ? [] : [invalid(path, name, identifierMessage)]),
  ];
}

export function validOpaque(opaque: OpaqueDeviceConfiguration | undefined, path: FieldPath): FieldError[] {
  if (!opaque) return [required(path)];
  return [
    ...validCsiDriverName(opaque.driver, path.child("driver")),
    ...validRawObject(opaque.parameters, path.child("parameters")),
  ];
}

/** Any object that is not too long. */
export function validRawObject(value: unknown, path: FieldPath): FieldError[] {
  if (value === undefined || value === null) return [required(path)];
  if (JSON.stringify(value).length > longestParameters) return [tooLong(path, longestParameters)];
  if (typeof value === "object" && !Array.isArray(value)) return [];
  return [invalid(path, "<value omitted>", "must be a valid JSON object")];
}

export function validTaint({ key = "", value = "", effect }: DeviceTaint, path: FieldPath): FieldError[] {
  return [
    ...obeys(key, qualifiedNameProblems, path.child("key")),
    ...obeys(value, labelValueProblems, path.child("value")),
    ...requiredOneOf(effect, effects, path.child("effect")),
  ];
}

export function validToleration(toleration: DeviceToleration, path: FieldPath): FieldError[] {
  const { key = "", operator = "", value = "", effect } = toleration;
  const errors = key ? obeys(key, qualifiedNameProblems, path.child("key")) : [];
  const valuePath = path.child("value");
  if (operator === "Exists") {
    if (value) errors.push(invalid(valuePath, value, "must be empty for operator `Exists`"));
  } else if (operator === "Equal") errors.push(...obeys(value, labelValueProblems, valuePath));
  else errors.push(...requiredOneOf(operator, ["Equal", "Exists"], path.child("operator")));
  return effect ? [...errors, ...oneOf(effect, effects, path.child("effect"))] : errors;
}

/** Conditions under which a Pod is bound to a node with a device, and under which it is not: both or neither, and no one in both. */
export function validBinding(
  conditions: readonly string[] | undefined,
  failureConditions: readonly string[] | undefined,
  path: FieldPath,
): FieldError[] {
  const [one, other] = [path.child("bindingConditions"), path.child("bindingFailureConditions")];
  const named = (condition: string, at: FieldPath) => obeys(condition, qualifiedNameProblems, at);
  const [bind = [], fail = []] = [conditions, failureConditions];
  const errors = [
    ...eachOf(bind, maximumBindingConditions, one, named),
    ...eachOf(fail, maximumBindingConditions, other, named),
    ...duplicates(bind, one),
  ];
  for (const [index, condition] of fail.entries()) {
    const at = other.index(index);
    if (fail.indexOf(condition) < index) errors.push(duplicate(at, condition));
    if (bind.includes(condition))
      errors.push(invalid(at, condition, "bindingFailureConditions must not overlap with bindingConditions"));
  }
  if (bind.length === 0 && fail.length > 0)
    errors.push(invalid(one, conditions ?? null, "bindingConditions are required to use bindingFailureConditions"));
  if (fail.length === 0 && bind.length > 0)
    errors.push(
      invalid(other, failureConditions ?? null, "bindingFailureConditions are required to use bindingConditions"),
    );
  return errors;
}
