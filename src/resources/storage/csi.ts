/** What storage drivers say of themselves: CSIDrivers, CSINodes, CSIStorageCapacities. */
import type { CSIDriver, CSINode, CSINodeDriver, CSIStorageCapacity } from "../../api/storage/v1.ts";
import {
  duplicate,
  type FieldError,
  FieldPath,
  invalid,
  required,
  spec as specPath,
} from "../../apimachinery/field-error.ts";
import { qualifiedNameProblems } from "../../apimachinery/name-validation.ts";
import { Quantity } from "../../apimachinery/quantity.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { bumpGenerationOnSpecChange } from "../apps/workload.ts";
import { nodeSelectorWarnings } from "../core/deprecated-node-labels.ts";
import { internalPrinter } from "../internal-printer.ts";
import { age, boolean, integer, name, text, unset } from "../printing/columns.ts";
import { served } from "../served.ts";
import { validCsiDriverName } from "../validation/csi-driver-name.ts";
import { validLabelSelector } from "../validation/label-selector.ts";
import {
  each,
  nonNegative,
  nonNegativeMessage,
  oneOf,
  optionalOneOf,
  unchanged,
  validDnsSubdomain,
} from "../validation/rules.ts";
import { semanticallyEqual } from "../validation/semantic-equality.ts";

const root = FieldPath.root;
const shortestToken = 600;
const longestToken = 2 ** 32;
const shortestPeriod = 10;
const maximumNodeId = 256;
const tokenField = "serviceAccountTokenInSecrets";
const tokenPath = specPath.child(tokenField);

export const csiDrivers = defineResource<CSIDriver>({
  ...served("storage.k8s.io/v1", "csidrivers"),
  returnsDeletedObject: true,
  allowUnconditionalUpdate: false,
  defaults({ spec }) {
    spec.attachRequired ??= true;
    spec.podInfoOnMount ??= false;
    spec.storageCapacity ??= false;
    spec.fsGroupPolicy ??= "ReadWriteOnceWithFSType";
    if (!spec.volumeLifecycleModes?.length) spec.volumeLifecycleModes = ["Persistent"];
    spec.requiresRepublish ??= false;
    spec.seLinuxMount ??= false;
  },
  beforeCreate(driver) {
    driver.metadata.generation = 1;
    delete driver.spec.preventPodSchedulingIfMissing;
  },
  beforeUpdate(next, previous) {
    // Of a feature that is off unless someone turns it on.
    delete next.spec.preventPodSchedulingIfMissing;
    bumpGenerationOnSpecChange(next, previous);
  },
  validate: ({ spec }, previous) => [
    ...optionalOneOf(spec.fsGroupPolicy, ["File", "None", "ReadWriteOnceWithFSType"], specPath.child("fsGroupPolicy")),
    ...validTokenRequests(spec.tokenRequests, specPath.child("tokenRequests")),
    // Upstream reports these on the list.
    ...(spec.volumeLifecycleModes ?? []).flatMap((mode) =>
      oneOf(mode, ["Persistent", "Ephemeral"], specPath.child("volumeLifecycleModes")),
    ),
    ...validUpdatePeriod(spec.nodeAllocatableUpdatePeriodSeconds),
    ...(spec.serviceAccountTokenInSecrets !== undefined && !spec.tokenRequests?.length
      ? [
          invalid(
            tokenPath,
            spec.serviceAccountTokenInSecrets,
            `${tokenField} is set but no tokenRequests are specified`,
          ),
        ]
      : []),
    ...(previous
      ? [
          ...unchanged(spec.attachRequired, previous.spec.attachRequired, specPath.child("attachedRequired")),
          ...unchanged(
            spec.volumeLifecycleModes,
            previous.spec.volumeLifecycleModes,
            specPath.child("volumeLifecycleModes"),
          ),
        ]
      : []),
  ],
  columns: [
    name,
    boolean("AttachRequired", ({ spec }) => spec.attachRequired ?? true),
    boolean("PodInfoOnMount", ({ spec }) => spec.podInfoOnMount),
    boolean("StorageCapacity", ({ spec }) => spec.storageCapacity),
    text("TokenRequests", ({ spec }) => spec.tokenRequests?.map(({ audience }) => audience).join(",") || unset),
    boolean("RequiresRepublish", ({ spec }) => spec.requiresRepublish),
    text("Modes", ({ spec }) => spec.volumeLifecycleModes?.join(",") || "<none>"),
    age,
  ],
});

export const csiNodes = defineResource<CSINode>({
  ...served("storage.k8s.io/v1", "csinodes"),
  returnsDeletedObject: true,
  metadataLooks: { update: ["whole", "whole"] },
  allowUnconditionalUpdate: false,
  beforeUpdate() {},
  validate({ spec }, previous) {
    const names = new Set<string>();
    const problems = each(spec.drivers, specPath.child("drivers"), (driver, at) => {
      const errors = [...validCsiDriverName(driver.name, at.child("name")), ...validNodeId(driver.nodeID, at)];
      if (driver.allocatable?.count !== undefined) {
        errors.push(...nonNegative(driver.allocatable.count, at.child("allocatable", "count")));
      }
      if (names.has(driver.name)) errors.push(duplicate(at.child("name"), driver.name));
      names.add(driver.name);
      return [...errors, ...validTopologyKeys(driver.topologyKeys, at)];
    });
    // Upstream looks at the new spec as such and once more within the change.
    return previous ? [...problems, ...problems, ...unchangedDrivers(spec.drivers, previous.spec.drivers)] : problems;
  },
  columns: [name, integer("Drivers", ({ spec }) => spec.drivers?.length), age],
});

function validNodeId(nodeId: string | undefined, path: FieldPath): FieldError[] {
  const at = path.child("nodeID");
  if (!nodeId) return [required(at)];
  return Buffer.byteLength(nodeId) > maximumNodeId
    ? [invalid(at, nodeId, `must be ${maximumNodeId} characters or less`)]
    : [];
}

/** Upstream reports these on the driver. */
function validTopologyKeys(keys: readonly string[] | undefined | null, path: FieldPath): FieldError[] {
  const seen = new Set<string>();
  return (keys ?? []).flatMap((key) => {
    const errors = key ? [] : [required(path)];
    if (seen.has(key)) errors.push(duplicate(path, key));
    seen.add(key);
    return [...errors, ...qualifiedNameProblems(key).map((problem) => invalid(path, key, problem))];
  });
}

function validTokenRequests(requests: CSIDriver["spec"]["tokenRequests"], path: FieldPath): FieldError[] {
  const audiences = new Set<string>();
  return each(requests, path, ({ audience, expirationSeconds: seconds }, at) => {
    if (audiences.has(audience)) return [duplicate(at.child("audience"), audience)];
    audiences.add(audience);
    const secondsPath = at.child("expirationSeconds");
    if (seconds === undefined) return [];
    if (seconds < shortestToken)
      return [invalid(secondsPath, seconds, "may not specify a duration less than 10 minutes")];
    if (seconds <= longestToken) return [];
    return [invalid(secondsPath, seconds, "may not specify a duration larger than 2^32 seconds")];
  });
}

function validUpdatePeriod(seconds: number | undefined): FieldError[] {
  if (seconds === undefined || seconds >= shortestPeriod) return [];
  const path = specPath.child("nodeAllocatableUpdatePeriodSeconds");
  return [invalid(path, seconds, `must be greater than or equal to ${shortestPeriod} seconds`)];
}

export const csiStorageCapacities = defineResource<CSIStorageCapacity>({
  ...served("storage.k8s.io/v1", "csistoragecapacities"),
  metadataLooks: { update: ["whole", "change"] },
  warnings: ({ nodeTopology }) => nodeSelectorWarnings(nodeTopology, root.child("nodeTopology")),
  allowUnconditionalUpdate: false,
  validate: (next, previous) => [
    ...validLabelSelector(next.nodeTopology, root.child("nodeTopology")),
    ...validDnsSubdomain(next.storageClassName ?? "", root.child("storageClassName")),
    ...(next.capacity !== undefined && Quantity.parse(next.capacity).sign() < 0
      ? [invalid(root.child("capacity"), next.capacity, nonNegativeMessage)]
      : []),
    ...(previous ? validChange(next, previous) : []),
  ],
});

function validChange(next: CSIStorageCapacity, previous: CSIStorageCapacity): FieldError[] {
  return (["nodeTopology", "storageClassName"] as const).flatMap((field) =>
    unchanged(next[field], previous[field], root.child(field)),
  );
}

const printDriver = internalPrinter({ CSINodeDriver: "Name NodeID TopologyKeys* Allocatable*" });

/** A driver that stays may only change how many volumes it can attach. */
function unchangedDrivers(next: readonly CSINodeDriver[], previous: readonly CSINodeDriver[] = []): FieldError[] {
  return previous.flatMap((before) => {
    const { allocatable: _before, ...old } = before;
    return next
      .filter(({ name }) => name === before.name)
      .map(({ allocatable: _next, ...driver }) => driver)
      .filter((driver) => !semanticallyEqual(driver, old))
      .map((driver) => invalid(specPath.child("drivers"), printDriver("CSINodeDriver", driver), "field is immutable"));
  });
}
