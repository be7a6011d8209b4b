import { expect } from "vitest";
import { refuses, refusesChanges } from "../../testing/refusals.ts";
import { persistentVolumes } from "./persistent-volume.ts";
import { persistentVolumeClaims } from "./persistent-volume-claim.ts";

const subdomain =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

const volume = {
  metadata: { name: "disk" },
  spec: { capacity: { storage: "1Gi" }, accessModes: ["ReadWriteOnce"], hostPath: { path: "/data" } },
};
const onNode = (key: string) => ({
  required: { nodeSelectorTerms: [{ matchExpressions: [{ key, operator: "In", values: ["a"] }] }] },
});

refuses(persistentVolumes, volume, [
  ["that nobody may use", { "spec.accessModes": [] }, ["spec.accessModes: Required value"]],
  [
    "used in ways nobody knows",
    { "spec.accessModes": ["Often", "ReadWriteOncePod", "ReadWriteMany"] },
    [
      'spec.accessModes: Unsupported value: "Often": supported values: "ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"',
      "spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes",
    ],
  ],
  [
    "of no size",
    { "spec.capacity": {} },
    ["spec.capacity: Required value", 'spec.capacity: Unsupported value: {}: supported values: "storage"'],
  ],
  [
    "of no bytes",
    { "spec.capacity": { storage: "0" } },
    ['spec.capacity[storage]: Invalid value: "0": must be greater than zero'],
  ],
  [
    "reclaimed in ways nobody knows",
    { "spec.persistentVolumeReclaimPolicy": "Burn" },
    ['spec.persistentVolumeReclaimPolicy: Unsupported value: "Burn": supported values: "Delete", "Recycle", "Retain"'],
  ],
  [
    "that would wipe its node",
    { "spec.persistentVolumeReclaimPolicy": "Recycle", "spec.hostPath.path": "//." },
    ["spec.persistentVolumeReclaimPolicy: Forbidden: may not be 'recycle' for a hostPath mount of '/'"],
  ],
  ["without a place", { "spec.hostPath": undefined }, ["spec: Required value: must specify a volume type"]],
  [
    "in two places",
    { "spec.nfs": { server: "s", path: "/p" } },
    ["spec.nfs: Forbidden: may not specify more than 1 volume type"],
  ],
  [
    "on a node that it does not name",
    { "spec.hostPath": undefined, "spec.local": { path: "/a/.." } },
    [
      "spec.local.path: Invalid value: \"/a/..\": must not contain '..'",
      "spec.nodeAffinity: Required value: Local volume requires node affinity",
    ],
  ],
  [
    "on nodes by nothing",
    { "spec.nodeAffinity": {} },
    ["spec.nodeAffinity.required: Required value: must specify required node constraints"],
  ],
  [
    "of a driver that it does not name, with secrets of nobody",
    { "spec.hostPath": undefined, "spec.csi": { driver: "", nodePublishSecretRef: { name: "A" } } },
    [
      "spec.csi.driver: Required value",
      "spec.csi.volumeHandle: Required value",
      `spec.csi.nodePublishSecretRef.name: Invalid value: "A": ${subdomain}`,
      "spec.csi.nodePublishSecretRef.namespace: Required value",
    ],
  ],
  [
    "on a disk of the network without its name",
    { "spec.hostPath": undefined, "spec.iscsi": { targetPortal: "", iqn: "q", lun: -1, chapAuthSession: true } },
    [
      "spec.iscsi.targetPortal: Required value",
      'spec.iscsi.iqn: Invalid value: "q": must be valid format',
      "spec.iscsi.lun: Invalid value: -1: must be between 0 and 255, inclusive",
      "spec.iscsi.secretRef: Required value",
    ],
  ],
  [
    "of classes that cannot be",
    { "spec.storageClassName": "A", "spec.volumeMode": "Odd", "spec.volumeAttributesClassName": "" },
    [
      `spec.storageClassName: Invalid value: "A": ${subdomain}`,
      'spec.volumeMode: Unsupported value: "Odd": supported values: "Block", "Filesystem"',
      "spec.volumeAttributesClassName: Required value: an empty string is disallowed",
      "spec.csi: Required value: has to be specified when using volumeAttributesClassName",
    ],
  ],
]);
refusesChanges(persistentVolumes, volume, [
  ["may give it to a claim", { "spec.claimRef": { namespace: "a", name: "b" } }, []],
  [
    "may not move it",
    { "spec.hostPath.path": "/other" },
    [
      expect.stringContaining(
        "spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation\n",
      ),
    ],
  ],
  ["may not reformat it", { "spec.volumeMode": "Block" }, ['volumeMode: Invalid value: "Block": field is immutable']],
  [
    "may not move it to another node",
    { "spec.nodeAffinity": onNode("b") },
    [
      'nodeAffinity: Invalid value: {"Required":{"NodeSelectorTerms":[{"MatchExpressions":[{"Key":"b","Operator":"In","Values":["a"]}],"MatchFields":null}]}}: field is immutable, except for updating from beta label to GA',
    ],
    { "spec.nodeAffinity": onNode("a") },
  ],
  [
    "may follow a label to its new name",
    { "spec.nodeAffinity": onNode("topology.kubernetes.io/zone") },
    [],
    { "spec.nodeAffinity": onNode("failure-domain.beta.kubernetes.io/zone") },
  ],
]);

const claim = {
  metadata: { name: "data", namespace: "default" },
  spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
};
refuses(persistentVolumeClaims, claim, [
  [
    "that says not how it is used",
    { "spec.accessModes": [] },
    ["spec.accessModes: Required value: at least 1 access mode is required"],
  ],
  ["for nothing", { "spec.resources": {} }, ["spec.resources[storage]: Required value"]],
  [
    "for no bytes",
    { "spec.resources.requests.storage": "-1" },
    ['spec.resources[storage]: Invalid value: "-1": must be greater than zero'],
  ],
  [
    "that selects in ways nobody knows",
    { "spec.selector": { matchExpressions: [{ key: "a", operator: "Near" }] } },
    ['spec.selector.matchExpressions[0].operator: Invalid value: "Near": not a valid selector operator'],
  ],
  [
    "of classes that cannot be",
    { "spec.storageClassName": "A", "spec.volumeMode": "Odd", "spec.volumeAttributesClassName": "B" },
    [
      `spec.storageClassName: Invalid value: "A": ${subdomain}`,
      'spec.volumeMode: Unsupported value: "Odd": supported values: "Block", "Filesystem"',
      `spec.volumeAttributesClassName: Invalid value: "B": ${subdomain}`,
    ],
  ],
  [
    "filled from something that is no claim",
    { "spec.dataSourceRef": { kind: "Pod", name: "" } },
    [
      "spec.dataSource.name: Required value",
      "spec.dataSource: Invalid value: \"Pod\": must be 'PersistentVolumeClaim' when referencing the default apiGroup",
      "spec.dataSourceRef.name: Required value",
      "spec.dataSourceRef: Invalid value: \"Pod\": must be 'PersistentVolumeClaim' when referencing the default apiGroup",
    ],
  ],
  [
    "filled from two things",
    {
      "spec.dataSource": { kind: "PersistentVolumeClaim", name: "a" },
      "spec.dataSourceRef": { kind: "PersistentVolumeClaim", name: "b" },
    },
    ["spec: Invalid value: {}: must match dataSourceRef"],
  ],
]);
const bound = { "status.phase": "Bound", "status.capacity": { storage: "1Gi" }, "spec.volumeName": "v" };
refusesChanges(persistentVolumeClaims, claim, [
  ["may name the volume", { "spec.volumeName": "v" }, []],
  ["may name the class", { "spec.storageClassName": "fast" }, []],
  [
    "may not change how it is used",
    { "spec.accessModes": ["ReadOnlyMany"] },
    [
      expect.stringContaining(
        "spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n",
      ),
    ],
  ],
  [
    "may not move it by annotation",
    { "metadata.annotations": { "volume.beta.kubernetes.io/storage-class": "b" } },
    ['metadata.annotations.volume.beta.kubernetes.io/storage-class: Invalid value: "b": field is immutable'],
  ],
  [
    "may not reformat it",
    { "spec.volumeMode": "Block" },
    [expect.stringContaining("spec: Forbidden:"), 'volumeMode: Invalid value: "Block": field is immutable'],
  ],
]);
refusesChanges(
  persistentVolumeClaims,
  { ...claim, ...{ status: {} } },
  [
    [
      "may not count backwards or in other things",
      {
        "status.capacity": { storage: "-1" },
        "status.allocatedResources": { cpu: "1" },
        "status.allocatedResourceStatuses": { storage: "Soon" },
      },
      [
        "status.capacity[storage]: Invalid value: -1: must be a valid resource quantity",
        'status.allocatedResourceStatuses: Unsupported value: "storage": supported values: "ControllerResizeInProgress", "ControllerResizeInfeasible", "NodeResizeInProgress", "NodeResizeInfeasible", "NodeResizePending"',
        'status.allocatedResources: Unsupported value: "cpu": supported values: "storage"',
      ],
      bound,
    ],
  ],
  "status",
);
