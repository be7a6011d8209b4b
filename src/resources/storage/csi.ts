/** What storage drivers say of themselves: CSIDrivers, CSINodes, CSIStorageCapacities. */
import type { CSIDriver, CSINode, CSIStorageCapacity } from "../../api/storage/v1.ts";
import { type FieldError, FieldPath, required, spec as specPath } from "../../apimachinery/field-error.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { age, boolean, integer, name, text, unset } from "../printing/columns.ts";
import { served } from "../served.ts";
import { each, oneOf, optionalOneOf, unchanged, validDnsSubdomain } from "../validation/rules.ts";

const root = FieldPath.root;

export const csiDrivers = defineResource<CSIDriver>({
  ...served("storage.k8s.io/v1", "csidrivers"),
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
  },
  validate: ({ spec }, previous) => [
    ...each(spec.volumeLifecycleModes, specPath.child("volumeLifecycleModes"), (mode, at) =>
      oneOf(mode, ["Ephemeral", "Persistent"], at),
    ),
    ...optionalOneOf(spec.fsGroupPolicy, ["File", "None", "ReadWriteOnceWithFSType"], specPath.child("fsGroupPolicy")),
    ...(previous
      ? unchanged(spec.attachRequired, previous.spec.attachRequired, specPath.child("attachedRequired"))
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
  allowUnconditionalUpdate: false,
  beforeUpdate() {},
  validate: ({ spec }) =>
    each(spec.drivers, specPath.child("drivers"), (driver, at) => [
      ...(driver.name ? validDnsSubdomain(driver.name.toLowerCase(), at.child("name")) : [required(at.child("name"))]),
      ...(driver.nodeID ? [] : [required(at.child("nodeID"))]),
    ]),
  columns: [name, integer("Drivers", ({ spec }) => spec.drivers?.length), age],
});

export const csiStorageCapacities = defineResource<CSIStorageCapacity>({
  ...served("storage.k8s.io/v1", "csistoragecapacities"),
  allowUnconditionalUpdate: false,
  validate: (next, previous) => [
    ...validDnsSubdomain(next.storageClassName ?? "", root.child("storageClassName")),
    ...(previous ? validChange(next, previous) : []),
  ],
});

function validChange(next: CSIStorageCapacity, previous: CSIStorageCapacity): FieldError[] {
  return (["nodeTopology", "storageClassName"] as const).flatMap((field) =>
    unchanged(next[field], previous[field], root.child(field)),
  );
}
