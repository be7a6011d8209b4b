/** What claims for devices, and classes of devices, must fulfil. */
import type {
  DeviceClaim,
  DeviceClaimConfiguration,
  DeviceClassSpec,
  DeviceConstraint,
  DeviceRequest,
  DeviceSelector,
  ExactDeviceRequest,
  ResourceClaimSpec,
} from "../../api/resource/v1.ts";
import {
  duplicate,
  type FieldError,
  type FieldPath,
  invalid,
  required,
  tooLong,
  tooMany,
} from "../../apimachinery/field-error.ts";
import { dns1123SubdomainProblems, qualifiedNameProblems } from "../../apimachinery/name-validation.ts";
import { isExtendedResource } from "../core/resource-names.ts";
import { validCsiDriverName } from "../validation/csi-driver-name.ts";
import { each, obeys, oneOf, validDnsLabel, validDnsSubdomain } from "../validation/rules.ts";
import { deviceSelectorProblem } from "./device-selector.ts";

const maximumItems = 32;
const maximumAlternatives = 8;
const maximumExpression = 10 * 1024;
const maximumParameters = 10 * 1024;
const referenceMessage =
  "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'";

/** Runs a rule over a list of bounded length whose items have distinct names. */
export function eachNamed<T>(
  items: readonly T[] | undefined | null,
  maximum: number,
  path: FieldPath,
  nameOf: ((item: T) => { name: string; field?: string }) | undefined,
  rule: (item: T, path: FieldPath) => FieldError[],
): FieldError[] {
  const errors = items && items.length > maximum ? [tooMany(path, items.length, maximum)] : [];
  errors.push(...each(items, path, rule));
  if (!nameOf) return errors;
  const seen = new Set<string>();
  for (const [index, item] of (items ?? []).entries()) {
    const { name, field } = nameOf(item);
    const at = field ? path.index(index).child(field) : path.index(index);
    if (seen.has(name)) errors.push(duplicate(at, name));
    seen.add(name);
  }
  return errors;
}

export function validClaim(spec: ResourceClaimSpec | undefined, path: FieldPath): FieldError[] {
  const devices = spec?.devices;
  const at = path.child("devices");
  const names = namesOf(devices);
  return [
    ...eachNamed(
      devices?.requests,
      maximumItems,
      at.child("requests"),
      ({ name }) => ({ name, field: "name" }),
      validRequest,
    ),
    ...eachNamed(devices?.constraints, maximumItems, at.child("constraints"), undefined, (constraint, onePath) =>
      validConstraint(constraint, names, onePath),
    ),
    ...eachNamed(devices?.config, maximumItems, at.child("config"), undefined, (config, onePath) => [
      ...validReferences(config.requests, names, onePath.child("requests")),
      ...validConfiguration(config, onePath),
    ]),
  ];
}

/** `request` and `request/alternative`. */
function namesOf(claim: DeviceClaim | undefined): ReadonlySet<string> {
  return new Set(
    (claim?.requests ?? []).flatMap(({ name, firstAvailable }) => [
      name,
      ...(firstAvailable ?? []).map((alternative) => `${name}/${alternative.name}`),
    ]),
  );
}

function validRequest({ name, exactly, firstAvailable }: DeviceRequest, path: FieldPath): FieldError[] {
  const errors = name ? validDnsLabel(name, path.child("name")) : [required(path.child("name"))];
  const choice = "exactly one of `exactly` or `firstAvailable` is required";
  if (!exactly && !firstAvailable?.length) return [...errors, required(path, choice)];
  if (exactly && firstAvailable?.length) {
    return [...errors, invalid(path, null, `${choice}, but multiple fields are set`)];
  }
  if (exactly) return [...errors, ...validWanted(exactly, path.child("exactly"))];
  return [
    ...errors,
    ...eachNamed(
      firstAvailable,
      maximumAlternatives,
      path.child("firstAvailable"),
      (alternative) => ({ name: alternative.name, field: "name" }),
      (alternative, at) => [
        ...(alternative.name ? validDnsLabel(alternative.name, at.child("name")) : [required(at.child("name"))]),
        ...validWanted(alternative, at),
      ],
    ),
  ];
}

type Wanted = Pick<ExactDeviceRequest, "deviceClassName" | "selectors" | "allocationMode" | "count">;

function validWanted({ deviceClassName, selectors, allocationMode, count }: Wanted, path: FieldPath): FieldError[] {
  const classPath = path.child("deviceClassName");
  const countPath = path.child("count");
  const errors = deviceClassName ? validDnsSubdomain(deviceClassName, classPath) : [required(classPath)];
  errors.push(...validSelectors(selectors, path.child("selectors")));
  if (allocationMode === "All") {
    if (count) errors.push(invalid(countPath, count, "must not be specified when allocationMode is 'All'"));
  } else if (allocationMode === "ExactCount") {
    if ((count ?? 0) <= 0) errors.push(invalid(countPath, count ?? 0, "must be greater than zero"));
  } else errors.push(...oneOf(allocationMode, ["All", "ExactCount"], path.child("allocationMode")));
  return errors;
}

function validSelectors(selectors: readonly DeviceSelector[] | undefined, path: FieldPath): FieldError[] {
  return eachNamed(selectors, maximumItems, path, undefined, ({ cel }, at) => {
    if (!cel) return [required(at.child("cel"))];
    const { expression = "" } = cel;
    const expressionPath = at.child("cel", "expression");
    if (expression.length > maximumExpression) return [tooLong(expressionPath, maximumExpression)];
    const problem = deviceSelectorProblem(expression);
    return problem ? [invalid(expressionPath, expression, problem)] : [];
  });
}

function validConstraint(
  { requests, matchAttribute, distinctAttribute }: DeviceConstraint,
  names: ReadonlySet<string>,
  path: FieldPath,
): FieldError[] {
  const errors = validReferences(requests, names, path.child("requests"));
  if (distinctAttribute !== undefined) {
    return [...errors, ...validAttributeName(distinctAttribute, path.child("distinctAttribute"))];
  }
  const at = path.child("matchAttribute");
  return [...errors, ...(matchAttribute === undefined ? [required(at)] : validAttributeName(matchAttribute, at))];
}

/** With a domain: `gpu.example.com/model`. */
function validAttributeName(name: string, path: FieldPath): FieldError[] {
  const [domain = "", ...rest] = name.split("/");
  if (!name) return [required(path, "name required")];
  if (rest.length === 0) return [invalid(path, name, "must include a domain")];
  return [...obeys(domain, dns1123SubdomainProblems, path), ...validIdentifier(rest.join("/"), path)];
}

/** A name that can stand in an expression. */
export function validIdentifier(name: string, path: FieldPath): FieldError[] {
  if (!name) return [required(path, "name required")];
  const errors = name.length > maximumItems ? [tooLong(path, maximumItems)] : [];
  if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) return errors;
  const detail =
    "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName', regex used for validation is '[A-Za-z_][A-Za-z0-9_]*')";
  return [...errors, invalid(path, name, detail)];
}

function validReferences(
  requests: readonly string[] | undefined,
  names: ReadonlySet<string>,
  path: FieldPath,
): FieldError[] {
  return eachNamed(
    requests,
    maximumItems,
    path,
    (name) => ({ name }),
    (name, at) => {
      const parts = name.split("/");
      if (parts.length > 2) return [invalid(at, name, referenceMessage)];
      const errors = parts.flatMap((part) => validDnsLabel(part, at));
      return names.has(name) ? errors : [...errors, invalid(at, name, referenceMessage)];
    },
  );
}

function validConfiguration({ opaque }: Pick<DeviceClaimConfiguration, "opaque">, path: FieldPath): FieldError[] {
  const at = path.child("opaque");
  if (!opaque) return [required(at)];
  const parametersPath = at.child("parameters");
  const errors = validCsiDriverName(opaque.driver, at.child("driver"));
  const parameters: unknown = opaque.parameters;
  if (parameters === undefined || parameters === null) errors.push(required(parametersPath));
  else if (JSON.stringify(parameters).length > maximumParameters) {
    errors.push(tooLong(parametersPath, maximumParameters));
  } else if (typeof parameters !== "object" || Array.isArray(parameters)) {
    errors.push(invalid(parametersPath, "<value omitted>", "must be a valid JSON object"));
  }
  return errors;
}

export function validDeviceClass(spec: DeviceClassSpec | undefined, path: FieldPath): FieldError[] {
  const errors = [
    ...validSelectors(spec?.selectors, path.child("selectors")),
    ...eachNamed(spec?.config, maximumItems, path.child("config"), undefined, validConfiguration),
  ];
  const resource = spec?.extendedResourceName;
  if (resource === undefined) return errors;
  const at = path.child("extendedResourceName");
  const problems = obeys(resource, qualifiedNameProblems, at);
  if (problems.length === 0 && !isExtendedResource(resource)) {
    problems.push(invalid(at, resource, "must be a valid extended resource name"));
  }
  return [...errors, ...problems];
}
