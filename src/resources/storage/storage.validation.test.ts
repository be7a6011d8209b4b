import { expect, it } from "vitest";
import { storedForm } from "../../testing/problems-of.ts";
import { refuses, refusesChanges } from "../../testing/refusals.ts";
import { csiDrivers, csiNodes, csiStorageCapacities } from "./csi.ts";
import { storageClasses } from "./storage-class.ts";
import { volumeAttachments, volumeAttributesClasses } from "./volume-attachment.ts";

const namePart =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const subdomain =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const stands = "field is immutable";
const metadata = { name: "web" };

refuses(storageClasses, { metadata, provisioner: "a.test/p" }, [
  ["of nobody", { provisioner: "" }, ["provisioner: Required value"]],
  ["of somebody without a proper name", { provisioner: "a b" }, [`provisioner: Invalid value: "a b": ${namePart}`]],
  [
    "that reclaims and binds in ways nobody knows",
    { reclaimPolicy: "X", volumeBindingMode: "Y" },
    [
      'reclaimPolicy: Unsupported value: "X": supported values: "Delete", "Retain"',
      'volumeBindingMode: Unsupported value: "Y": supported values: "Immediate", "WaitForFirstConsumer"',
    ],
  ],
  [
    "told something under no name",
    { parameters: { "": "x" } },
    ['parameters: Invalid value: "": field can not be empty.'],
  ],
  [
    "for places by nothing, twice",
    {
      allowedTopologies: [
        {
          matchLabelExpressions: [
            { key: "zone", values: ["a", "a"] },
            { key: "zone", values: [] },
          ],
        },
        { matchLabelExpressions: [{ key: "z", values: ["a"] }] },
        { matchLabelExpressions: [{ key: "z", values: ["a"] }] },
      ],
    },
    [
      'allowedTopologies[0].matchLabelExpressions[0].values[1]: Duplicate value: "a"',
      "allowedTopologies[0].matchLabelExpressions[1].values: Required value",
      'allowedTopologies[0].matchLabelExpressions[1].key: Duplicate value: "zone"',
      'allowedTopologies[2].matchLabelExpressions: Duplicate value: ""',
    ],
  ],
]);
refusesChanges(storageClasses, { metadata, provisioner: "a.test/p" }, [
  ["may let volumes grow", { allowVolumeExpansion: true }, []],
  [
    "may not make it another",
    { provisioner: "a.test/q", parameters: { a: "b" }, reclaimPolicy: "Retain" },
    [
      `parameters: Invalid value: {"a":"b"}: ${stands}`,
      `provisioner: Invalid value: "a.test/q": ${stands}`,
      `reclaimPolicy: Invalid value: "Retain": ${stands}`,
    ],
  ],
]);
refuses(csiDrivers, { metadata, spec: {} }, [
  [
    "that treats groups and lives in ways nobody knows",
    { "spec.fsGroupPolicy": "Odd", "spec.volumeLifecycleModes": ["Short"] },
    [
      'spec.fsGroupPolicy: Unsupported value: "Odd": supported values: "File", "None", "ReadWriteOnceWithFSType"',
      'spec.volumeLifecycleModes: Unsupported value: "Short": supported values: "Persistent", "Ephemeral"',
    ],
  ],
  [
    "with tokens for one audience twice, or for too short a time",
    { "spec.tokenRequests": [{ audience: "a", expirationSeconds: 5 }, { audience: "a" }] },
    [
      "spec.tokenRequests[0].expirationSeconds: Invalid value: 5: may not specify a duration less than 10 minutes",
      'spec.tokenRequests[1].audience: Duplicate value: "a"',
    ],
  ],
  [
    "with secrets for tokens that it does not ask for",
    { "spec.serviceAccountTokenInSecrets": true },
    [
      "spec.serviceAccountTokenInSecrets: Invalid value: true: serviceAccountTokenInSecrets is set but no tokenRequests are specified",
    ],
  ],
  ["never for a name longer than drivers have elsewhere", { "metadata.name": "d".repeat(64) }, []],
  [
    "that looks too often",
    { "spec.nodeAllocatableUpdatePeriodSeconds": 5 },
    ["spec.nodeAllocatableUpdatePeriodSeconds: Invalid value: 5: must be greater than or equal to 10 seconds"],
  ],
]);
refusesChanges(csiDrivers, { metadata, spec: {} }, [
  [
    "may not attach otherwise",
    { "spec.attachRequired": false, "spec.volumeLifecycleModes": ["Ephemeral"] },
    [
      `spec.attachedRequired: Invalid value: false: ${stands}`,
      `spec.volumeLifecycleModes: Invalid value: ["Ephemeral"]: ${stands}`,
    ],
  ],
]);
refuses(csiNodes, { metadata, spec: { drivers: [{ name: "a.test", nodeID: "n" }] } }, [
  [
    "with drivers that are none, or twice",
    {
      "spec.drivers": [
        { name: "", nodeID: "" },
        { name: "b", nodeID: "n", allocatable: { count: -1 } },
        { name: "b", nodeID: "n" },
      ],
    },
    [
      "spec.drivers[0].name: Required value",
      "spec.drivers[0].nodeID: Required value",
      "spec.drivers[1].allocatable.count: Invalid value: -1: must be greater than or equal to 0",
      'spec.drivers[2].name: Duplicate value: "b"',
    ],
  ],
]);
refuses(csiStorageCapacities, { metadata, storageClassName: "fast" }, [
  ["of no class", { storageClassName: "" }, [`storageClassName: Invalid value: "": ${subdomain}`]],
  ["of less than nothing", { capacity: "-1" }, ['capacity: Invalid value: "-1": must be greater than or equal to 0']],
]);
const attachment = {
  metadata,
  spec: { attacher: "a.test", nodeName: "n1", source: { persistentVolumeName: "v" } },
};
const inlineVolume = { accessModes: ["ReadWriteOnce"], csi: { driver: "a.test", volumeHandle: "h" } };
refuses(volumeAttachments, attachment, [
  [
    "of nothing to nothing by nobody",
    { spec: { attacher: "", source: {}, nodeName: "" } },
    [
      "spec.attacher: Required value",
      "spec.source: Required value: must specify exactly one of inlineVolumeSpec and persistentVolumeName",
      `spec.nodeName: Invalid value: "": ${subdomain}`,
      "spec.attacher: Required value",
    ],
  ],
]);
refuses(
  volumeAttachments,
  { ...attachment, spec: { ...attachment.spec, source: { inlineVolumeSpec: inlineVolume } } },
  [
    [
      "of what only a volume of its own may be",
      {
        "spec.source.inlineVolumeSpec": {
          claimRef: { name: "c" },
          capacity: { storage: "1Gi" },
          hostPath: { path: "/a" },
          persistentVolumeReclaimPolicy: "Delete",
          nodeAffinity: {},
          storageClassName: "fast",
          volumeMode: "Block",
        },
      },
      [
        "spec.source.inlineVolumeSpec.claimRef: Forbidden: may not be specified in the context of inline volumes",
        "spec.source.inlineVolumeSpec.capacity: Forbidden: may not be specified in the context of inline volumes",
        "spec.source.inlineVolumeSpec.csi: Required value: has to be specified in the context of inline volumes",
        "spec.source.inlineVolumeSpec.accessModes: Required value",
        "spec.source.inlineVolumeSpec.persistentVolumeReclaimPolicy: Forbidden: may only be Retain in the context of inline volumes",
        "spec.source.inlineVolumeSpec.nodeAffinity: Forbidden: may not be specified in the context of inline volumes",
        "spec.source.inlineVolumeSpec.storageClassName: Forbidden: may not be specified in the context of inline volumes",
        "spec.source.inlineVolumeSpec.volumeMode: Forbidden: may not specify volumeMode other than Filesystem in the context of inline volumes",
      ],
    ],
  ],
);
refusesChanges(volumeAttachments, attachment, [
  [
    "may not move",
    { "spec.nodeName": "n2" },
    [
      `spec: Invalid value: {"Attacher":"a.test","Source":{"PersistentVolumeName":"v","InlineVolumeSpec":null},"NodeName":"n2"}: ${stands}`,
    ],
  ],
]);
refuses(volumeAttributesClasses, { metadata, driverName: "a.test", parameters: { a: "b" } }, [
  ["of nobody", { driverName: "" }, ["driverName: Required value"]],
  ["about nothing", { parameters: {} }, ["parameters: Required value: must contain at least one key/value pair"]],
]);
refusesChanges(csiNodes, { metadata, spec: { drivers: [{ name: "a.test", nodeID: "n" }] } }, [
  ["how many volumes it takes", { "spec.drivers.0.allocatable": { count: 5 } }, []],
  ["another driver", { "spec.drivers.1": { name: "b.test", nodeID: "n" } }, []],
  [
    "what a driver calls the node",
    { "spec.drivers.0.nodeID": "m" },
    [
      'spec.drivers: Invalid value: {"Name":"a.test","NodeID":"m","TopologyKeys":null,"Allocatable":null}: field is immutable',
    ],
  ],
]);

refuses(storageClasses, { metadata, provisioner: "a.test/p" }, [
  // A term of nothing is what upstream holds each term against, once a term.
  [
    "for places that are nowhere",
    { allowedTopologies: [{}, { matchLabelExpressions: [] }] },
    Array.from(
      { length: 5 },
      (_, i) => `allowedTopologies[${i < 2 ? 0 : 1}].matchLabelExpressions: Duplicate value: ""`,
    ),
  ],
  [
    "for the same places in another order",
    {
      allowedTopologies: [
        {
          matchLabelExpressions: [
            { key: "a", values: ["x", "y"] },
            { key: "b", values: ["z"] },
          ],
        },
        {
          matchLabelExpressions: [
            { key: "b", values: ["z"] },
            { key: "a", values: ["y", "x"] },
          ],
        },
      ],
    },
    ['allowedTopologies[1].matchLabelExpressions: Duplicate value: ""'],
  ],
  [
    "for places by a name that is none",
    { allowedTopologies: [{ matchLabelExpressions: [{ key: "-", values: ["a"] }] }] },
    [`allowedTopologies[0].matchLabelExpressions[0].key: Invalid value: "-": ${namePart}`],
  ],
  [
    "of somebody whose name is no name, in lower case",
    { provisioner: "A.TEST/P Q" },
    [`provisioner: Invalid value: "a.test/p q": ${namePart}`],
  ],
  [
    "that binds without a mode",
    { volumeBindingMode: "" },
    ['volumeBindingMode: Unsupported value: "": supported values: "Immediate", "WaitForFirstConsumer"'],
  ],
  [
    "told too much",
    { parameters: { a: "x".repeat(256 * 1024) } },
    ["parameters: Too long: may not be more than 262144 bytes"],
  ],
  [
    "told too many things",
    { parameters: Object.fromEntries(Array.from({ length: 513 }, (_, i) => [`k${i}`, ""])) },
    ["parameters: Too long: may not be more than 512 bytes"],
  ],
]);
refuses(csiDrivers, { metadata, spec: {} }, [
  [
    "with tokens that are good for ages",
    {
      "spec.tokenRequests": [
        { audience: "", expirationSeconds: 2 ** 32 + 1 },
        { audience: "a", expirationSeconds: 2 ** 32 },
      ],
    },
    [
      "spec.tokenRequests[0].expirationSeconds: Invalid value: 4294967297: may not specify a duration larger than 2^32 seconds",
    ],
  ],
  ["never for what is switched off", { "spec.preventPodSchedulingIfMissing": true }, []],
]);
refusesChanges(csiDrivers, { metadata, spec: { tokenRequests: [{ audience: "a" }] } }, [
  ["may ask for other tokens", { "spec.tokenRequests": [{ audience: "b" }], "spec.fsGroupPolicy": "None" }, []],
  [
    "may not end its tokens and keep them secret",
    { "spec.tokenRequests": undefined, "spec.serviceAccountTokenInSecrets": false },
    [
      "spec.serviceAccountTokenInSecrets: Invalid value: false: serviceAccountTokenInSecrets is set but no tokenRequests are specified",
    ],
  ],
]);
it("a CSIDriver forgets what is switched off, and counts only what stays", () => {
  const driver = storedForm(csiDrivers, { metadata, spec: { preventPodSchedulingIfMissing: true } });
  expect(driver.spec.preventPodSchedulingIfMissing).toBeUndefined();
  expect(driver.metadata.generation).toBe(1);
});
refuses(csiNodes, { metadata, spec: { drivers: [{ name: "a.test", nodeID: "n" }] } }, [
  [
    "with drivers that call it by too long a name, in places that are none",
    { "spec.drivers.0": { name: `${"d".repeat(64)}_`, nodeID: "é".repeat(129), topologyKeys: ["", "a", "a", "-"] } },
    [
      "spec.drivers[0].name: Too long: may not be more than 63 bytes",
      `spec.drivers[0].name: Invalid value: "${"d".repeat(64)}_": ${subdomain}`,
      `spec.drivers[0].nodeID: Invalid value: "${"é".repeat(129)}": must be 256 characters or less`,
      "spec.drivers[0]: Required value",
      'spec.drivers[0]: Invalid value: "": name part must be non-empty',
      `spec.drivers[0]: Invalid value: "": ${namePart}`,
      'spec.drivers[0]: Duplicate value: "a"',
      `spec.drivers[0]: Invalid value: "-": ${namePart}`,
    ],
  ],
]);
refuses(csiStorageCapacities, { metadata, storageClassName: "fast" }, [
  ["never for volumes smaller than nothing, which upstream does not look at", { maximumVolumeSize: "-1" }, []],
  [
    "for nodes by operators nobody knows",
    { nodeTopology: { matchExpressions: [{ key: "a", operator: "Is" }] } },
    ['nodeTopology.matchExpressions[0].operator: Invalid value: "Is": not a valid selector operator'],
  ],
]);
refusesChanges(csiStorageCapacities, { metadata, storageClassName: "fast", capacity: "1Gi" }, [
  ["may be used up", { capacity: "0" }, []],
  [
    "may not be elsewhere, or of another class",
    { nodeTopology: { matchLabels: { a: "b" } }, storageClassName: "slow" },
    [
      `nodeTopology: Invalid value: {"matchLabels":{"a":"b"}}: ${stands}`,
      `storageClassName: Invalid value: "slow": ${stands}`,
    ],
  ],
]);
refuses(volumeAttachments, attachment, [
  [
    "of two things at once",
    { "spec.source.inlineVolumeSpec": inlineVolume },
    ["spec.source: Forbidden: must specify exactly one of inlineVolumeSpec and persistentVolumeName"],
  ],
  [
    "of what has no name",
    { "spec.source.persistentVolumeName": "" },
    ["spec.source.persistentVolumeName: Required value: must specify non empty persistentVolumeName"],
  ],
  [
    "of what has no proper name, by somebody who has none",
    { "spec.source.persistentVolumeName": "A", "spec.attacher": "a_b" },
    [
      `spec.attacher: Invalid value: "a_b": ${subdomain}`,
      `spec.source.persistentVolumeName: Invalid value: "A": ${subdomain}`,
    ],
  ],
]);
const failed = { time: "2026-01-01T00:00:00Z" };
refusesChanges(
  volumeAttachments,
  attachment,
  [
    ["may say that it is there", { "status.attached": true, "status.attachmentMetadata": { path: "/dev/a" } }, []],
    [
      // Upstream looks twice, and names another field's limit.
      "may not tell at length, or by codes that are none",
      {
        "status.attachError": { ...failed, message: "x".repeat(1025), errorCode: -1 },
        "status.detachError": { ...failed, message: "x".repeat(1024), errorCode: 0 },
        "status.attachmentMetadata": { a: "x".repeat(256 * 1024) },
      },
      [0, 1].flatMap(() => [
        "status.attachmentMetadata: Too long: may not be more than 262144 bytes",
        "status.attachError.message: Too long: may not be more than 262144 bytes",
        "status.attachError.errorCode: Invalid value: -1: must be between 0 and 2147483647, inclusive",
      ]),
    ],
  ],
  "status",
);
refuses(volumeAttributesClasses, { metadata, driverName: "a.test", parameters: { a: "b" } }, [
  ["of somebody without a proper name", { driverName: "A B" }, [`driverName: Invalid value: "a b": ${namePart}`]],
  ["never by a driver whose name is a path", { driverName: "a.test/d" }, []],
]);
refusesChanges(volumeAttributesClasses, { metadata, driverName: "a.test", parameters: { a: "b" } }, [
  ["may have labels", { "metadata.labels": { a: "b" } }, []],
  [
    "may not mean something else, or nothing",
    { driverName: "", parameters: {} },
    [
      "driverName: Forbidden: updates to driverName are forbidden.",
      "parameters: Forbidden: updates to parameters are forbidden.",
      "driverName: Required value",
      "parameters: Required value: must contain at least one key/value pair",
    ],
  ],
]);
