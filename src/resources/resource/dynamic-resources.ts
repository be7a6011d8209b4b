/** Dynamic resources: devices that drivers offer, and claims for them. */
import type {
  DeviceClass,
  ResourceClaim,
  ResourceClaimSpec,
  ResourceClaimTemplate,
  ResourceSlice,
} from "../../api/resource/v1.ts";
import { type FieldError, type FieldPath, spec as specPath } from "../../apimachinery/field-error.ts";
import { validateAnnotations, validateLabels } from "../../apimachinery/object-meta-validation.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { rfc3339 } from "../../base/clock.ts";
import { bumpGenerationOnSpecChange } from "../apps/workload.ts";
import { age, name, none, text } from "../printing/columns.ts";
import { served } from "../served.ts";
import { unchanged } from "../validation/rules.ts";
import { dropGoneDevices, validClaimStatus } from "./claim-status-validation.ts";
import { validClaim, validDeviceClass } from "./claim-validation.ts";
import { validSlice } from "./slice-validation.ts";

const group = "resource.k8s.io/v1";

export const deviceClasses = defineResource<DeviceClass>({
  ...served(group, "deviceclasses"),
  returnsDeletedObject: true,
  metadataLooks: { update: ["whole", "change"] },
  beforeCreate(deviceClass) {
    deviceClass.metadata.generation = 1;
  },
  beforeUpdate: bumpGenerationOnSpecChange,
  validate({ spec }, previous) {
    const errors = validDeviceClass(spec, specPath);
    // Upstream looks at the new class as such and once more within the change.
    return previous ? [...errors, ...errors] : errors;
  },
  columns: [name, age],
});

export const resourceClaims = defineResource<ResourceClaim>({
  ...served(group, "resourceclaims"),
  returnsDeletedObject: true,
  metadataLooks: { update: ["whole", "change"] },
  statusKeeps: "metadata",
  defaults: ({ spec }) => defaultClaim(spec),
  beforeCreate(claim) {
    claim.status = {};
  },
  beforeUpdate() {},
  validate: ({ spec }, previous) => (previous ? unchanged(spec, previous.spec, specPath) : validClaim(spec, specPath)),
  beforeStatusUpdate: dropGoneDevices,
  validateStatus: validClaimStatus,
  columns: [name, text("State", stateText), age],
});

export const resourceClaimTemplates = defineResource<ResourceClaimTemplate>({
  ...served(group, "resourceclaimtemplates"),
  returnsDeletedObject: true,
  metadataLooks: { update: ["whole", "change"] },
  defaults: ({ spec }) => defaultClaim(spec.spec),
  beforeUpdate() {},
  validate: ({ spec }, previous) =>
    previous
      ? unchanged(spec, previous.spec, specPath)
      : [
          ...validTemplateMetadata(spec.metadata, specPath.child("metadata")),
          ...validClaim(spec.spec, specPath.child("spec")),
        ],
  columns: [name, age],
});

export const resourceSlices = defineResource<ResourceSlice>({
  ...served(group, "resourceslices"),
  returnsDeletedObject: true,
  beforeCreate(slice, { now }) {
    slice.metadata.generation = 1;
    stampTaints(slice, now);
    forgetSwitchedOff(slice);
  },
  beforeUpdate(slice, previous, { now }) {
    stampTaints(slice, now);
    forgetSwitchedOff(slice);
    bumpGenerationOnSpecChange(slice, previous);
  },
  validate: ({ spec }, previous) => validSlice(spec, previous?.spec, specPath),
  warnings: ({ spec: { driver } }) =>
    driver === driver.toLowerCase()
      ? []
      : [`spec.driver: driver names should be lowercase; ${JSON.stringify(driver)} contains uppercase characters`],
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

/** Tolerations that end count from here. */
function stampTaints({ spec }: ResourceSlice, now: number): void {
  for (const taint of (spec.devices ?? []).flatMap(({ taints }) => taints ?? [])) taint.timeAdded ??= rfc3339(now);
}

/** Fields of features that are off unless someone turns them on. */
function forgetSwitchedOff({ spec }: ResourceSlice): void {
  for (const device of spec.devices ?? []) {
    delete device.nodeAllocatableResourceMappings;
    for (const attribute of Object.values(device.attributes ?? {})) {
      for (const list of ["bools", "ints", "strings", "versions"] as const) delete attribute[list];
    }
  }
}

function validTemplateMetadata(metadata: ResourceClaimTemplate["spec"]["metadata"], path: FieldPath): FieldError[] {
  return [
    ...validateAnnotations(metadata?.annotations, path.child("annotations")),
    ...validateLabels(metadata?.labels, path.child("labels")),
  ];
}

function defaultClaim(spec: ResourceClaimSpec | undefined): void {
  for (const request of spec?.devices?.requests ?? []) {
    for (const one of [request.exactly, ...(request.firstAvailable ?? [])]) {
      if (!one) continue;
      one.allocationMode ??= "ExactCount";
      if (one.allocationMode === "ExactCount") one.count ??= 1;
      for (const toleration of one.tolerations ?? []) toleration.operator ??= "Equal";
    }
  }
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
