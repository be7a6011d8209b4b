/** What claims for devices, and classes of devices, must fulfil. */
import type {
  DeviceClaim,
  DeviceClassSpec,
  DeviceConstraint,
  DeviceRequest,
  DeviceSelector,
  ExactDeviceRequest,
  ResourceClaimSpec,
} from "../../api/resource/v1.ts";
import { type FieldError, type FieldPath, invalid, required, tooLong } from "../../apimachinery/field-error.ts";
import { qualifiedNameProblems } from "../../apimachinery/name-validation.ts";
import { utf8Length } from "../../base/utf8.ts";
import { isExtendedResource } from "../core/resource-names.ts";
import { each, obeys, oneOf, validDnsLabel, validDnsSubdomain } from "../validation/rules.ts";
import { eachOf, validFullyQualifiedName, validOpaque, validToleration } from "./device-rules.ts";
import { deviceSelectorProblem } from "./device-selector.ts";

const maximumItems = 32;
const maximumAlternatives = 8;
const maximumExpression = 10 * 1024;
const referenceMessage =
  "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'";

export function validClaim(spec: ResourceClaimSpec | undefined, path: FieldPath): FieldError[] {
  const devices = spec?.devices;
  const at = path.child("devices");
  const names = namesOf(devices);
  return [
    ...eachOf(devices?.requests, maximumItems, at.child("requests"), validRequest, ({ name }) => name),
    ...eachOf(devices?.constraints, maximumItems, at.child("constraints"), (constraint, onePath) =>
      validConstraint(constraint, names, onePath),
    ),
    ...eachOf(devices?.config, maximumItems, at.child("config"), ({ requests, opaque }, onePath) => [
      ...validReferences(requests, names, onePath.child("requests")),
      ...validOpaque(opaque, onePath.child("opaque")),
    ]),
  ];
}

/** `request` and `request/alternative`. */
export function namesOf(claim: DeviceClaim | undefined): ReadonlySet<string> {
  return new Set(
    (claim?.requests ?? []).flatMap(({ name, firstAvailable }) => [
      name,
      ...(firstAvailable ?? []).map((alternative) => `${name}/${alternative.name}`),
    ]),
  );
}

function validRequest({ name, exactly, firstAvailable }: DeviceRequest, path: FieldPath): FieldError[] {
  const errors = validDnsLabel(name ?? "", path.child("name"));
  const choice = "exactly one of `exactly` or `firstAvailable` is required";
  const hasAlternatives = !!firstAvailable?.length;
  errors.push(
    ...eachOf(
      firstAvailable,
      maximumAlternatives,
      path.child("firstAvailable"),
      (alternative, at) => [
        ...validDnsLabel(alternative.name ?? "", at.child("name")),
        ...validWanted(alternative, at),
      ],
      (alternative) => alternative.name,
    ),
  );
  if (exactly) errors.push(...validWanted(exactly, path.child("exactly")));
  if (!exactly && !hasAlternatives) errors.push(required(path, choice));
  if (exactly && hasAlternatives) errors.push(invalid(path, null, `${choice}, but multiple fields are set`));
  return errors;
}

type Wanted = Pick<ExactDeviceRequest, "deviceClassName" | "selectors" | "allocationMode" | "count" | "tolerations">;

function validWanted(wanted: Wanted, path: FieldPath): FieldError[] {
  const { deviceClassName, selectors, allocationMode, count, tolerations } = wanted;
  const classPath = path.child("deviceClassName");
  const countPath = path.child("count");
  const errors = deviceClassName ? validDnsSubdomain(deviceClassName, classPath) : [required(classPath)];
  errors.push(...validSelectors(selectors, path.child("selectors")));
  if (allocationMode === "All") {
    if (count) errors.push(invalid(countPath, count, "must not be specified when allocationMode is 'All'"));
  } else if (allocationMode === "ExactCount") {
    if ((count ?? 0) <= 0) errors.push(invalid(countPath, count ?? 0, "must be greater than zero"));
  } else errors.push(...oneOf(allocationMode, ["All", "ExactCount"], path.child("allocationMode")));
  errors.push(...each(tolerations, path.child("tolerations"), validToleration));
  return errors;
}

function validSelectors(selectors: readonly DeviceSelector[] | undefined, path: FieldPath): FieldError[] {
  return eachOf(selectors, maximumItems, path, ({ cel }, at) => {
    if (!cel) return [required(at.child("cel"))];
    const { expression = "" } = cel;
    const expressionPath = at.child("cel", "expression");
    if (utf8Length(expression) > maximumExpression) return [tooLong(expressionPath, maximumExpression)];
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
  if (matchAttribute !== undefined)
    return [...errors, ...validFullyQualifiedName(matchAttribute, path.child("matchAttribute"))];
  if (distinctAttribute !== undefined)
    return [...errors, ...validFullyQualifiedName(distinctAttribute, path.child("distinctAttribute"))];
  // As upstream words it, though none is set.
  const detail = 'exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set';
  return [...errors, required(path, detail)];
}

export function validReferences(
  requests: readonly string[] | undefined,
  names: ReadonlySet<string>,
  path: FieldPath,
): FieldError[] {
  return eachOf(
    requests,
    maximumItems,
    path,
    (name, at) => validReference(name, names, at),
    (name) => name,
  );
}

/** One request, or one alternative of one. */
export function validReference(name: string, names: ReadonlySet<string>, path: FieldPath): FieldError[] {
  const parts = name.split("/");
  if (parts.length > 2) return [invalid(path, name, referenceMessage)];
  const errors = parts.flatMap((part) => validDnsLabel(part, path));
  return names.has(name) ? errors : [...errors, invalid(path, name, referenceMessage)];
}

export function validDeviceClass(spec: DeviceClassSpec | undefined, path: FieldPath): FieldError[] {
  const errors = [
    ...validSelectors(spec?.selectors, path.child("selectors")),
    ...eachOf(spec?.config, maximumItems, path.child("config"), ({ opaque }, at) =>
      validOpaque(opaque, at.child("opaque")),
    ),
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
