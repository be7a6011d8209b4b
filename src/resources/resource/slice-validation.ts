/** What a ResourceSlice must fulfil: which nodes it is about, and which devices they have. */
import type { Device, DeviceAttribute, DeviceTaint, ResourcePool, ResourceSliceSpec } from "../../api/resource/v1.ts";
import { type FieldError, type FieldPath, invalid, required, tooLong } from "../../apimachinery/field-error.ts";
import { labelValueProblems, qualifiedNameProblems } from "../../apimachinery/name-validation.ts";
import { validNodeSelector } from "../core/pod-spec/scheduling.ts";
import { validCsiDriverName } from "../validation/csi-driver-name.ts";
import { each, obeys, requiredOneOf, unchanged, validDnsLabel, validDnsSubdomain } from "../validation/rules.ts";
import { eachNamed, validIdentifier } from "./claim-validation.ts";

const maximumDevices = 128;
const maximumProperties = 32;
const maximumTaints = 16;
const maximumPoolName = 253;
const maximumValue = 64;
const choices = "`nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection`";

export function validSlice(
  spec: ResourceSliceSpec,
  previous: ResourceSliceSpec | undefined,
  path: FieldPath,
): FieldError[] {
  const errors = [
    ...validCsiDriverName(spec.driver, path.child("driver")),
    ...validPool(spec.pool, path.child("pool")),
  ];
  if (previous) {
    errors.push(...unchanged(spec.pool?.name, previous.pool?.name, path.child("pool", "name")));
    errors.push(...unchanged(spec.driver, previous.driver, path.child("driver")));
    errors.push(...unchanged(spec.nodeName, previous.nodeName, path.child("nodeName")));
  }
  return [
    ...errors,
    ...validPlace(spec, path),
    ...eachNamed(
      spec.devices,
      maximumDevices,
      path.child("devices"),
      ({ name }) => ({ name, field: "name" }),
      validDevice,
    ),
  ];
}

function validPool(pool: ResourcePool | undefined, path: FieldPath): FieldError[] {
  const namePath = path.child("name");
  const { name = "", resourceSliceCount = 0, generation = 0 } = pool ?? {};
  const errors = name ? name.split("/").flatMap((part) => validDnsSubdomain(part, namePath)) : [required(namePath)];
  if (name.length > maximumPoolName) errors.unshift(tooLong(namePath, maximumPoolName));
  if (resourceSliceCount <= 0) {
    errors.push(invalid(path.child("resourceSliceCount"), resourceSliceCount, "must be greater than zero"));
  }
  if (generation < 0) {
    errors.push(invalid(path.child("generation"), generation, "must be greater than or equal to zero"));
  }
  return errors;
}

function validPlace(spec: ResourceSliceSpec, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const given: string[] = [];
  if (spec.nodeName !== undefined) {
    const at = path.child("nodeName");
    if (spec.nodeName === "") errors.push(invalid(at, "", "must be either unset or set to a non-empty string"));
    else {
      given.push("`nodeName`");
      errors.push(...validDnsSubdomain(spec.nodeName, at));
    }
  }
  if (spec.nodeSelector) {
    given.push("`nodeSelector`");
    const at = path.child("nodeSelector");
    const terms = spec.nodeSelector.nodeSelectorTerms;
    errors.push(...validNodeSelector(terms, at));
    if (terms?.length !== 1) {
      errors.push(invalid(at.child("nodeSelectorTerms"), terms ?? null, "must have exactly one node selector term"));
    }
  }
  for (const field of ["allNodes", "perDeviceNodeSelection"] as const) {
    if (spec[field]) given.push(`\`${field}\``);
    else if (spec[field] === false) {
      errors.push(invalid(path.child(field), false, "must be either unset or set to true"));
    }
  }
  if (given.length === 0) errors.push(required(path, `exactly one of ${choices} is required`));
  if (given.length > 1) {
    const detail = `exactly one of ${choices} is required, but multiple fields are set`;
    errors.push(invalid(path, `{${given.join(", ")}}`, detail));
  }
  return errors;
}

function validDevice(device: Device, path: FieldPath): FieldError[] {
  const { attributes = {}, capacity = {} } = device;
  const errors = validDnsLabel(device.name ?? "", path.child("name"));
  const properties = Object.keys(attributes).length + Object.keys(capacity).length;
  if (properties > maximumProperties) {
    const detail = `the total number of attributes and capacities must not exceed ${maximumProperties}`;
    errors.push(invalid(path, properties, detail));
  }
  for (const [name, attribute] of Object.entries(attributes).sort()) {
    const at = path.child("attributes").key(name);
    errors.push(...validPropertyName(name, at), ...validAttribute(attribute, at));
  }
  for (const name of Object.keys(capacity).sort()) {
    errors.push(...validPropertyName(name, path.child("capacity").key(name)));
  }
  return [...errors, ...eachNamed(device.taints, maximumTaints, path.child("taints"), undefined, validTaint)];
}

/** `name`, or `domain/name`. */
function validPropertyName(name: string, path: FieldPath): FieldError[] {
  const [first = "", ...rest] = name.split("/");
  if (rest.length === 0) return validIdentifier(first, path);
  return [...validDnsSubdomain(first, path), ...validIdentifier(rest.join("/"), path)];
}

function validAttribute(attribute: DeviceAttribute, path: FieldPath): FieldError[] {
  const given = Object.values(attribute).filter((value) => value !== undefined && value !== null);
  if (given.length === 0) return [required(path, "exactly one value must be specified")];
  if (given.length > 1) return [invalid(path, attribute, "exactly one value must be specified")];
  return (["string", "version"] as const).flatMap((field) =>
    (attribute[field]?.length ?? 0) > maximumValue ? [tooLong(path.child(field), maximumValue)] : [],
  );
}

function validTaint({ key, value = "", effect }: DeviceTaint, path: FieldPath): FieldError[] {
  return [
    ...obeys(key ?? "", qualifiedNameProblems, path.child("key")),
    ...each([value], path, (one) => obeys(one, labelValueProblems, path.child("value"))),
    ...requiredOneOf(effect, ["NoExecute", "NoSchedule", "None"], path.child("effect")),
  ];
}
