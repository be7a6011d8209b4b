/** What a ResourceSlice must fulfil: which nodes it is about, and which devices or shared counters it has. */
import type {
  CounterSet,
  Device,
  DeviceAttribute,
  DeviceCounterConsumption,
  ResourcePool,
  ResourceSliceSpec,
} from "../../api/resource/v1.ts";
import {
  type FieldError,
  type FieldPath,
  invalid,
  required,
  tooLong,
  tooMany,
} from "../../apimachinery/field-error.ts";
import { utf8Length } from "../../base/utf8.ts";
import { validNodeSelector } from "../core/pod-spec/scheduling.ts";
import { validCsiDriverName } from "../validation/csi-driver-name.ts";
import { unchanged, validDnsLabel, validDnsSubdomain } from "../validation/rules.ts";
import { semanticallyEqual } from "../validation/semantic-equality.ts";
import { validCapacity } from "./capacity-validation.ts";
import { eachOf, validBinding, validPoolName, validQualifiedName, validTaint } from "./device-rules.ts";

const maximumDevices = 128;
const maximumAdvancedDevices = 64;
const maximumProperties = 32;
const maximumTaints = 16;
const maximumCounterSets = 8;
const maximumCounters = 32;
const maximumConsumptions = 2;
const longestValue = 64;
const choices = "`nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection`";
const ownChoice =
  "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true in the ResourceSlice spec";
const number = "(0|[1-9]\\d*)";
const preRelease = "(0|[1-9]\\d*|\\d*[a-zA-Z-][0-9a-zA-Z-]*)";
const build = "[0-9a-zA-Z-]+";
const semanticVersion = new RegExp(
  `^${number}\\.${number}\\.${number}(-${preRelease}(\\.${preRelease})*)?(\\+${build}(\\.${build})*)?$`,
);

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
  errors.push(...validPlace(spec, path));
  if (spec.sharedCounters && spec.devices)
    errors.push(invalid(path, "", "only one of `sharedCounters` or `devices` is allowed"));
  const isAdvanced = spec.devices?.some(({ taints, consumesCounters }) => taints?.length || consumesCounters?.length);
  const before = new Map(previous?.devices?.map((device) => [device.name, device]));
  return [
    ...errors,
    ...eachOf(
      spec.devices,
      isAdvanced ? maximumAdvancedDevices : maximumDevices,
      path.child("devices"),
      (device, at) => validDevice(device, before.get(device.name), spec.perDeviceNodeSelection === true, at),
      ({ name }) => name,
    ),
    ...eachOf(
      spec.sharedCounters,
      maximumCounterSets,
      path.child("sharedCounters"),
      validCounterSet,
      ({ name }) => name,
    ),
  ];
}

function validPool(pool: ResourcePool | undefined, path: FieldPath): FieldError[] {
  const { name, resourceSliceCount = 0, generation = 0 } = pool ?? {};
  const errors = validPoolName(name, path.child("name"));
  if (resourceSliceCount <= 0) {
    errors.push(invalid(path.child("resourceSliceCount"), resourceSliceCount, "must be greater than zero"));
  }
  if (generation < 0) {
    errors.push(invalid(path.child("generation"), generation, "must be greater than or equal to zero"));
  }
  return errors;
}

function validPlace(spec: ResourceSliceSpec, path: FieldPath): FieldError[] {
  const { errors, given } = placesOf(spec, path, "must be either unset or set to a non-empty string");
  const terms = spec.nodeSelector?.nodeSelectorTerms;
  if (spec.nodeSelector && terms?.length !== 1) {
    const at = path.child("nodeSelector", "nodeSelectorTerms");
    errors.push(invalid(at, terms ?? null, "must have exactly one node selector term"));
  }
  if (spec.perDeviceNodeSelection) given.push("`perDeviceNodeSelection`");
  else if (spec.perDeviceNodeSelection === false) {
    errors.push(invalid(path.child("perDeviceNodeSelection"), false, "must be either unset or set to true"));
  }
  if (given.length === 0) errors.push(required(path, `exactly one of ${choices} is required`));
  if (given.length > 1) {
    const detail = `exactly one of ${choices} is required, but multiple fields are set`;
    errors.push(invalid(path, `{${given.join(", ")}}`, detail));
  }
  return errors;
}

/** Where a slice or a device is, and which of the fields say so. */
function placesOf(
  { nodeName, nodeSelector, allNodes }: Pick<Device, "nodeName" | "nodeSelector" | "allNodes">,
  path: FieldPath,
  noName: string,
): { errors: FieldError[]; given: string[] } {
  const errors: FieldError[] = [];
  const given: string[] = [];
  if (nodeName) {
    given.push("`nodeName`");
    errors.push(...validDnsSubdomain(nodeName, path.child("nodeName")));
  } else if (nodeName !== undefined) errors.push(invalid(path.child("nodeName"), "", noName));
  if (nodeSelector) {
    given.push("`nodeSelector`");
    errors.push(...validNodeSelector(nodeSelector.nodeSelectorTerms, path.child("nodeSelector")));
  }
  if (allNodes) given.push("`allNodes`");
  else if (allNodes === false)
    errors.push(invalid(path.child("allNodes"), false, "must be either unset or set to true"));
  return { errors, given };
}

function validDevice(
  device: Device,
  previous: Device | undefined,
  choosesNodes: boolean,
  path: FieldPath,
): FieldError[] {
  const { attributes = {}, capacity = {}, taints, consumesCounters } = device;
  const errors = validDnsLabel(device.name ?? "", path.child("name"));
  const properties = Object.keys(attributes).length + Object.keys(capacity).length;
  if (properties > maximumProperties) {
    const detail = `the total number of attributes and capacities must not exceed ${maximumProperties}`;
    errors.push(invalid(path, properties, detail));
  }
  const attributesPath = path.child("attributes");
  for (const [name, attribute] of Object.entries(attributes).sort())
    errors.push(...validQualifiedName(name, attributesPath), ...validAttribute(attribute, attributesPath.key(name)));
  if (!previous || !semanticallyEqual(previous.capacity, device.capacity)) {
    const capacityPath = path.child("capacity");
    for (const [name, one] of Object.entries(capacity).sort()) {
      errors.push(...validQualifiedName(name, capacityPath));
      errors.push(...validCapacity(one, device.allowMultipleAllocations === true, capacityPath.key(name)));
    }
  }
  if (!previous || !semanticallyEqual(previous.taints, taints))
    errors.push(...eachOf(taints, maximumTaints, path.child("taints"), validTaint));
  errors.push(
    ...eachOf(
      consumesCounters,
      maximumConsumptions,
      path.child("consumesCounters"),
      validConsumption,
      ({ counterSet }) => counterSet,
    ),
  );
  errors.push(...validOwnPlace(device, choosesNodes, path));
  return [...errors, ...validBinding(device.bindingConditions, device.bindingFailureConditions, path)];
}

function validOwnPlace(device: Device, choosesNodes: boolean, path: FieldPath): FieldError[] {
  if (!choosesNodes) {
    const detail =
      "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec";
    const says = device.nodeName !== undefined || device.nodeSelector || device.allNodes !== undefined;
    return says ? [invalid(path, null, detail)] : [];
  }
  const { errors, given } = placesOf(device, path, "must not be empty");
  if (given.length === 0) errors.push(required(path, ownChoice));
  if (given.length > 1) errors.push(invalid(path, `{${given.join(", ")}}`, ownChoice));
  return errors;
}

function validAttribute(attribute: DeviceAttribute, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  for (const field of ["string", "version"] as const) {
    const value = attribute[field];
    if (value === undefined) continue;
    const at = path.child(field);
    if (field === "version" && !semanticVersion.test(value))
      errors.push(invalid(at, value, "must be a string compatible with semver.org spec 2.0.0"));
    if (utf8Length(value) > longestValue) errors.push(tooLong(at, longestValue));
  }
  const given = Object.values(attribute).filter((value) => value !== undefined && value !== null);
  const detail = "exactly one value must be specified";
  if (given.length === 0) errors.push(invalid(path, "", detail));
  if (given.length > 1) errors.push(invalid(path, attribute, detail));
  return errors;
}

function validCounterSet({ name = "", counters }: CounterSet, path: FieldPath): FieldError[] {
  const namePath = path.child("name");
  return [
    ...(name ? validDnsLabel(name, namePath) : [required(namePath)]),
    ...validCounters(counters, path.child("counters")),
  ];
}

function validConsumption({ counterSet = "", counters }: DeviceCounterConsumption, path: FieldPath): FieldError[] {
  const setPath = path.child("counterSet");
  return [
    ...(counterSet ? validDnsLabel(counterSet, setPath) : [required(setPath)]),
    ...validCounters(counters, path.child("counters")),
  ];
}

function validCounters(counters: object | undefined, path: FieldPath): FieldError[] {
  const names = Object.keys(counters ?? {}).sort();
  if (names.length === 0) return [required(path)];
  if (names.length > maximumCounters) return [tooMany(path, names.length, maximumCounters)];
  return names.flatMap((name) => validDnsLabel(name, path));
}
