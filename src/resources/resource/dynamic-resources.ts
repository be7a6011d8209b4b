/** Dynamic resources: devices that drivers offer, and claims for them. */
import type {
  DeviceClass,
  ResourceClaim,
  ResourceClaimSpec,
  ResourceClaimTemplate,
  ResourceSlice,
} from "../../api/resource/v1.ts";
import {
  duplicate,
  type FieldError,
  type FieldPath,
  invalid,
  required,
  spec as specPath,
} from "../../apimachinery/field-error.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { bumpGenerationOnSpecChange } from "../apps/workload.ts";
import { age, name, none, text } from "../printing/columns.ts";
import { served } from "../served.ts";
import { each, oneOf, unchanged, validDnsLabel, validDnsSubdomain } from "../validation/rules.ts";

const group = "resource.k8s.io/v1";

export const deviceClasses = defineResource<DeviceClass>({
  ...served(group, "deviceclasses"),
  beforeCreate(deviceClass) {
    deviceClass.metadata.generation = 1;
  },
  beforeUpdate: bumpGenerationOnSpecChange,
  columns: [name, age],
});

export const resourceClaims = defineResource<ResourceClaim>({
  ...served(group, "resourceclaims"),
  statusKeeps: "metadata",
  defaults: ({ spec }) => defaultClaim(spec),
  beforeCreate(claim) {
    claim.status = {};
  },
  beforeUpdate() {},
  validate: ({ spec }, previous) => [
    ...validClaim(spec, specPath),
    ...(previous ? unchanged(spec, previous.spec, specPath) : []),
  ],
  columns: [name, text("State", stateText), age],
});

export const resourceClaimTemplates = defineResource<ResourceClaimTemplate>({
  ...served(group, "resourceclaimtemplates"),
  defaults: ({ spec }) => defaultClaim(spec.spec),
  beforeUpdate() {},
  validate: ({ spec }, previous) => [
    ...validClaim(spec.spec, specPath.child("spec")),
    ...(previous ? unchanged(spec, previous.spec, specPath) : []),
  ],
  columns: [name, age],
});

export const resourceSlices = defineResource<ResourceSlice>({
  ...served(group, "resourceslices"),
  beforeCreate(slice) {
    slice.metadata.generation = 1;
  },
  beforeUpdate: bumpGenerationOnSpecChange,
  validate: ({ spec }, previous) => [
    ...(spec.driver ? validDnsSubdomain(spec.driver, specPath.child("driver")) : [required(specPath.child("driver"))]),
    ...(spec.pool?.name ? [] : [required(specPath.child("pool", "name"))]),
    ...(previous
      ? (["driver", "nodeName"] as const).flatMap((field) =>
          unchanged(spec[field], previous.spec[field], specPath.child(field)),
        )
      : []),
  ],
  fieldSelectors: {
    "spec.nodeName": ({ spec }) => spec.nodeName ?? "",
    "spec.driver": ({ spec }) => spec.driver ?? "",
  },
  columns: [
    name,
    text("Node", ({ spec }) => spec.nodeName || none),
    text("Driver", ({ spec }) => spec.driver),
    text("Pool", ({ spec }) => spec.pool?.name ?? ""),
    age,
  ],
});

function defaultClaim(spec: ResourceClaimSpec | undefined): void {
  for (const request of spec?.devices?.requests ?? []) {
    for (const one of [request.exactly, ...(request.firstAvailable ?? [])]) {
      if (!one) continue;
      one.allocationMode ??= "ExactCount";
      if (one.allocationMode === "ExactCount") one.count ??= 1;
    }
  }
}

function validClaim(spec: ResourceClaimSpec | undefined, path: FieldPath): FieldError[] {
  const names = new Set<string>();
  return each(spec?.devices?.requests, path.child("devices", "requests"), (request, at) => {
    const errors = request.name ? validDnsLabel(request.name, at.child("name")) : [required(at.child("name"))];
    if (names.has(request.name)) errors.push(duplicate(at, request.name));
    names.add(request.name);
    const { exactly, firstAvailable } = request;
    if (!exactly && !firstAvailable?.length) {
      return [...errors, required(at, "exactly one of `exactly` or `firstAvailable` is required")];
    }
    if (exactly && firstAvailable?.length) {
      return [
        ...errors,
        invalid(at, null, "exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set"),
      ];
    }
    const wanted = exactly ? [{ one: exactly, at: at.child("exactly") }] : [];
    for (const [index, one] of (firstAvailable ?? []).entries()) {
      wanted.push({ one, at: at.child("firstAvailable").index(index) });
    }
    for (const { one, at: onePath } of wanted) {
      const classPath = onePath.child("deviceClassName");
      errors.push(...(one.deviceClassName ? validDnsSubdomain(one.deviceClassName, classPath) : [required(classPath)]));
      errors.push(...oneOf(one.allocationMode, ["All", "ExactCount"], onePath.child("allocationMode")));
    }
    return errors;
  });
}

function stateText({ metadata, status }: ResourceClaim): string {
  const states: string[] = [];
  if (metadata.deletionTimestamp) states.push("deleted");
  if (!status?.allocation) {
    if (!metadata.deletionTimestamp) states.push("pending");
    return states.join(",");
  }
  states.push("allocated");
  if (status.reservedFor?.length) states.push("reserved");
  return states.join(",");
}
