import { type Refusal, refuses, refusesChanges } from "../../testing/refusals.ts";
import { controllerRevisions } from "./controller-revision.ts";
import { daemonSets } from "./daemon-set.ts";
import { deployments } from "./deployment.ts";
import { replicaSets } from "./replica-set.ts";
import { statefulSets } from "./stateful-set.ts";

const valid = {
  metadata: { name: "web", namespace: "default" },
  spec: {
    selector: { matchLabels: { app: "web" } },
    template: { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "main", image: "nginx" }] } },
  },
};

const labelMessage =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

/** What every kind with a template and a selector refuses. `kind` as the messages name it, `owner` of the template likewise. */
const ofWorkloads = (kind: string, owner: string): Refusal[] => [
  [
    "whose selector misses its pods",
    { "spec.selector.matchLabels": { app: "other" } },
    ['spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template `labels`'],
  ],
  [
    "that selects everything",
    { "spec.selector": {} },
    [`spec.selector: Invalid value: {}: empty selector is invalid for ${kind}`],
  ],
  [
    "whose pods do not restart",
    { "spec.template.spec.restartPolicy": "Never" },
    ['spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"'],
  ],
  [
    "whose pods end by the clock",
    { "spec.template.spec.activeDeadlineSeconds": 5 },
    [`spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ${owner} is not Supported`],
  ],
  [
    "whose pods have odd labels",
    { "spec.template.metadata.labels": { app: "web", x: "a b" } },
    [`spec.template.labels: Invalid value: "a b": ${labelMessage}`],
  ],
  [
    "whose pods begin with an ephemeral container",
    { "spec.template.spec.ephemeralContainers": [{ name: "e", image: "b" }] },
    ["spec.template.spec.ephemeralContainers: Forbidden: ephemeral containers not allowed in pod template"],
  ],
  [
    "whose pods have no containers",
    { "spec.template.spec.containers": [] },
    ["spec.template.spec.containers: Required value"],
  ],
  [
    "that waits less than no time",
    { "spec.minReadySeconds": -1 },
    ["spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0"],
  ],
];

const counted: Refusal[] = [
  [
    "of less than nothing",
    { "spec.replicas": -1 },
    ["spec.replicas: Invalid value: -1: must be greater than or equal to 0"],
  ],
];

refuses(deployments, valid, [
  ...ofWorkloads("deployment", "ReplicaSet").slice(0, -1),
  ...counted,
  [
    "without a selector",
    { "spec.selector": undefined },
    [
      "spec.selector: Required value",
      'spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template `labels`',
    ],
  ],
  [
    "with a selector nobody understands",
    { "spec.selector": { matchLabels: { app: "web" }, matchExpressions: [{ key: "a", operator: "Near" }] } },
    [
      'spec.selector.matchExpressions[0].operator: Invalid value: "Near": not a valid selector operator',
      'spec.selector: Invalid value: {"matchLabels":{"app":"web"},"matchExpressions":[{"key":"a","operator":"Near"}]}: invalid label selector',
    ],
  ],
  [
    "with a strategy nobody knows",
    { "spec.strategy": { type: "Guess" } },
    [
      'spec.strategy: Unsupported value: {"Type":"Guess","RollingUpdate":null}: supported values: "Recreate", "RollingUpdate"',
    ],
  ],
  [
    "that recreates and rolls",
    { "spec.strategy": { type: "Recreate", rollingUpdate: {} } },
    ["spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'"],
  ],
  [
    "that could never roll",
    { "spec.strategy": { rollingUpdate: { maxSurge: 0, maxUnavailable: "0%" } } },
    ['spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "0%": may not be 0 when `maxSurge` is 0'],
  ],
  [
    "that rolls by numbers that are none",
    { "spec.strategy": { rollingUpdate: { maxSurge: "some", maxUnavailable: "150%" } } },
    [
      "spec.strategy.rollingUpdate.maxSurge: Invalid value: \"some\": a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
      'spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "150%": must not be greater than 100%',
    ],
  ],
  [
    "whose progress cannot be told",
    { "spec.minReadySeconds": 600 },
    ["spec.progressDeadlineSeconds: Invalid value: 600: must be greater than minReadySeconds"],
  ],
  [
    "that remembers less than nothing",
    { "spec.revisionHistoryLimit": -1, "spec.progressDeadlineSeconds": -1 },
    [
      "spec.revisionHistoryLimit: Invalid value: -1: must be greater than or equal to 0",
      "spec.progressDeadlineSeconds: Invalid value: -1: must be greater than or equal to 0",
      "spec.progressDeadlineSeconds: Invalid value: -1: must be greater than minReadySeconds",
    ],
  ],
]);

refuses(replicaSets, valid, [
  ...counted,
  ...ofWorkloads("deployment", "ReplicaSet"),
  [
    "without a selector",
    { "spec.selector": undefined },
    [
      "spec.selector: Required value",
      'spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template `labels`',
    ],
  ],
]);

refuses(daemonSets, valid, [
  ...ofWorkloads("daemonset", "DaemonSet"),
  [
    "with a strategy nobody knows",
    { "spec.updateStrategy": { type: "X" } },
    [
      'spec.updateStrategy: Unsupported value: {"Type":"X","RollingUpdate":null}: supported values: "RollingUpdate", "OnDelete"',
    ],
  ],
  [
    "that surges and lacks",
    { "spec.updateStrategy": { rollingUpdate: { maxSurge: 1, maxUnavailable: 1 } } },
    ["spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero"],
  ],
  [
    "that neither surges nor lacks",
    { "spec.updateStrategy": { rollingUpdate: { maxUnavailable: 0 } } },
    ["spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0"],
  ],
  [
    "that remembers less than nothing",
    { "spec.revisionHistoryLimit": -1 },
    ["spec.revisionHistoryLimit: Invalid value: -1: must be greater than or equal to 0"],
  ],
]);

const claim = {
  metadata: { name: "data" },
  spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
};
refuses(statefulSets, { ...valid, spec: { ...valid.spec, volumeClaimTemplates: [claim] } }, [
  ...counted,
  ...ofWorkloads("statefulset", "StatefulSet"),
  [
    "that is managed in ways nobody knows",
    { "spec.podManagementPolicy": "Chaos" },
    ["spec.podManagementPolicy: Invalid value: \"Chaos\": must be 'OrderedReady' or 'Parallel'"],
  ],
  [
    "with a strategy nobody knows",
    { "spec.updateStrategy": { type: "X" } },
    [
      'spec.updateStrategy: Invalid value: {"Type":"X","RollingUpdate":null}: must be \'RollingUpdate\' or \'OnDelete\'',
    ],
  ],
  [
    "that waits for deletion and rolls",
    { "spec.updateStrategy": { type: "OnDelete", rollingUpdate: { partition: 1 } } },
    [
      'spec.updateStrategy.rollingUpdate: Invalid value: {"Partition":1,"MaxUnavailable":null}: only allowed for updateStrategy \'RollingUpdate\'',
    ],
  ],
  [
    "with a part of less than nothing",
    {
      "spec.updateStrategy": { rollingUpdate: { partition: -1 }, type: "RollingUpdate" },
      "spec.ordinals": { start: -1 },
    },
    [
      "spec.updateStrategy.rollingUpdate.partition: Invalid value: -1: must be greater than or equal to 0",
      "spec.ordinals.start: Invalid value: -1: must be greater than or equal to 0",
    ],
  ],
  [
    "whose claims go at a time nobody knows",
    { "spec.persistentVolumeClaimRetentionPolicy": { whenScaled: "Keep" } },
    [
      'spec.persistentVolumeClaimRetentionPolicy.whenScaled: Unsupported value: "Keep": supported values: "Retain", "Delete"',
    ],
  ],
  [
    "whose claims cannot be mounted",
    { "spec.volumeClaimTemplates.0.spec.accessModes": [] },
    ["spec.volumeClaimTemplates[0].spec.accessModes: Required value: at least 1 access mode is required"],
  ],
]);

refuses(controllerRevisions, { metadata: { name: "web-1" }, revision: 1, data: { a: 1 } }, [
  ["that holds nothing", { data: undefined }, ["data: Required value: data is mandatory"]],
  ["before the first", { revision: -1 }, ["revision: Invalid value: -1: must be greater than or equal to 0"]],
]);
refusesChanges(controllerRevisions, { metadata: { name: "web-1" }, revision: 1, data: { a: 1 } }, [
  ["may renumber it", { revision: 2 }, []],
  ["may not change what it holds", { data: { a: 2 } }, ['data: Invalid value: {"a":2}: field is immutable']],
]);

const otherSelector = {
  "spec.selector.matchLabels.x": "y",
  "spec.template.metadata.labels.x": "y",
};
const selectorStands = 'spec.selector: Invalid value: {"matchLabels":{"app":"web","x":"y"}}: field is immutable';
for (const definition of [deployments, replicaSets, daemonSets] as const) {
  refusesChanges(definition, valid, [
    ["may roll out another image", { "spec.template.spec.containers.0.image": "nginx:2" }, []],
    ["may not choose other pods", otherSelector, [selectorStands]],
  ]);
}
refusesChanges(statefulSets, valid, [
  ["may roll out another image and scale", { "spec.replicas": 3, "spec.template.spec.containers.0.image": "b" }, []],
  [
    "may not move to another service",
    { "spec.serviceName": "other" },
    [
      "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
    ],
  ],
]);

for (const [definition, of] of [
  [deployments, "readyReplicas"],
  [replicaSets, "readyReplicas"],
] as const) {
  refusesChanges(
    definition,
    valid,
    [
      [
        "may not count more than there are",
        { status: { replicas: 1, readyReplicas: 1, availableReplicas: 2 } },
        [
          "status.availableReplicas: Invalid value: 2: cannot be greater than status.replicas",
          `status.availableReplicas: Invalid value: 2: cannot be greater than ${of}`,
        ],
      ],
      [
        "may not count backwards",
        {
          status: {
            replicas: -1,
            readyReplicas: -1,
            availableReplicas: -1,
            updatedReplicas: -1,
            fullyLabeledReplicas: -1,
          },
        },
        [
          "status.replicas: Invalid value: -1: must be greater than or equal to 0",
          `status.${definition === deployments ? "updatedReplicas" : "fullyLabeledReplicas"}: Invalid value: -1: must be greater than or equal to 0`,
          "status.readyReplicas: Invalid value: -1: must be greater than or equal to 0",
          "status.availableReplicas: Invalid value: -1: must be greater than or equal to 0",
        ],
      ],
    ],
    "status",
  );
}
refusesChanges(
  statefulSets,
  valid,
  [
    [
      "may not count more than there are",
      { status: { replicas: 1, currentReplicas: 2 } },
      ["status.currentReplicas: Invalid value: 2: cannot be greater than status.replicas"],
    ],
    [
      "may not forget collisions",
      { "status.collisionCount": 0 },
      ["status.collisionCount: Invalid value: 0: cannot be decremented"],
      { status: { replicas: 0, collisionCount: 1 } },
    ],
  ],
  "status",
);
refusesChanges(
  daemonSets,
  valid,
  [
    [
      "may not count backwards",
      { status: { numberReady: -1 } },
      ["status.numberReady: Invalid value: -1: must be greater than or equal to 0"],
    ],
  ],
  "status",
);
