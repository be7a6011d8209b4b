import { expect } from "vitest";
import { refuses, refusesChanges } from "../../testing/refusals.ts";
import { cronJobs } from "./cron-job.ts";
import { jobs } from "./job.ts";

const spec = {
  template: { spec: { restartPolicy: "Never", containers: [{ name: "main", image: "busybox" }] } },
};
const valid = { metadata: { name: "once", namespace: "default" }, spec };
const indexed = { "spec.completionMode": "Indexed", "spec.completions": 3 };

refuses(jobs, valid, [
  [
    "that counts backwards",
    { "spec.parallelism": -1, "spec.completions": -1, "spec.backoffLimit": -1, "spec.ttlSecondsAfterFinished": -1 },
    [
      "spec.parallelism: Invalid value: -1: must be greater than or equal to 0",
      "spec.completions: Invalid value: -1: must be greater than or equal to 0",
      "spec.backoffLimit: Invalid value: -1: must be greater than or equal to 0",
      "spec.ttlSecondsAfterFinished: Invalid value: -1: must be greater than or equal to 0",
    ],
  ],
  [
    "whose pods restart for ever",
    { "spec.template.spec.restartPolicy": "Always" },
    ['spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"'],
  ],
  [
    "that completes in ways nobody knows",
    { "spec.completionMode": "Guess" },
    ['spec.completionMode: Unsupported value: "Guess": supported values: "NonIndexed", "Indexed"'],
  ],
  [
    "with indexes without a count",
    { "spec.completionMode": "Indexed", "spec.parallelism": 100_001 },
    [
      "spec.completions: Required value: when completion mode is Indexed",
      "spec.parallelism: Invalid value: 100001: must be less than or equal to 100000 when completion mode is Indexed",
    ],
  ],
  [
    "with limits per index that it has not",
    { "spec.backoffLimitPerIndex": 1, "spec.maxFailedIndexes": 1 },
    [
      "spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode",
      "spec.maxFailedIndexes: Invalid value: 1: requires indexed completion mode",
    ],
  ],
  [
    "that lets more fail than there are, without counting failures",
    { ...indexed, "spec.maxFailedIndexes": 4 },
    [
      "spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified",
      "spec.maxFailedIndexes: Invalid value: 4: must be less than or equal to completions",
    ],
  ],
  [
    "with very many indexes that may all fail at once",
    { ...indexed, "spec.completions": 100_001, "spec.backoffLimitPerIndex": 1, "spec.parallelism": 10_001 },
    [
      "spec.maxFailedIndexes: Required value: must be specified when completions is above 100000",
      "spec.parallelism: Invalid value: 10001: must be less than or equal to 10000 when completions are above 100000 and used with backoff limit per index",
    ],
  ],
  [
    "with indexes whose pods' names would be too long",
    { ...indexed, "metadata.name": "n".repeat(62) },
    [expect.stringContaining(`metadata.name: Invalid value: "${"n".repeat(62)}": `)],
  ],
  [
    "managed by nobody",
    { "spec.managedBy": "me" },
    ['spec.managedBy: Invalid value: "me": must be a domain-prefixed path (such as "acme.io/foo")'],
  ],
  [
    "that fails by rules that are none",
    {
      "spec.podFailurePolicy.rules": [
        { onExitCodes: { containerName: "zz", values: [3, 0, 3], operator: "In" } },
        { action: "FailIndex", onPodConditions: [{ type: "a b", status: "Maybe" }] },
        { action: "Ignore" },
        { action: "Count", onExitCodes: { operator: "", values: [] }, onPodConditions: [{ type: "A" }] },
      ],
    },
    [
      'spec.podFailurePolicy.rules[0].action: Required value: valid values: ["Count" "FailIndex" "FailJob" "Ignore"]',
      'spec.podFailurePolicy.rules[0].onExitCodes.containerName: Invalid value: "zz": must be one of the container or initContainer names in the pod template',
      "spec.podFailurePolicy.rules[0].onExitCodes.values[1]: Invalid value: 0: must not be 0 for the In operator",
      "spec.podFailurePolicy.rules[0].onExitCodes.values[2]: Duplicate value: 3",
      "spec.podFailurePolicy.rules[0].onExitCodes.values: Invalid value: [3,0,3]: must be ordered",
      'spec.podFailurePolicy.rules[1].action: Invalid value: "FailIndex": requires the backoffLimitPerIndex to be set',
      expect.stringContaining(
        'spec.podFailurePolicy.rules[1].onPodConditions[0].type: Invalid value: "a b": name part must',
      ),
      'spec.podFailurePolicy.rules[1].onPodConditions[0].status: Unsupported value: "Maybe": supported values: "False", "True", "Unknown"',
      "spec.podFailurePolicy.rules[2]: Invalid value: specifying one of OnExitCodes and OnPodConditions is required",
      'spec.podFailurePolicy.rules[3].onExitCodes.operator: Required value: valid values: ["In" "NotIn"]',
      "spec.podFailurePolicy.rules[3].onExitCodes.values: Invalid value: []: at least one value is required",
      "spec.podFailurePolicy.rules[3]: Invalid value: specifying both OnExitCodes and OnPodConditions is not supported",
    ],
  ],
  [
    "that fails by rules and restarts",
    {
      "spec.template.spec.restartPolicy": "OnFailure",
      "spec.podFailurePolicy": { rules: [] },
      "spec.podReplacementPolicy": "TerminatingOrFailed",
    },
    [
      'spec.podReplacementPolicy: Unsupported value: "TerminatingOrFailed": supported values: "Failed"',
      'spec.template.spec.restartPolicy: Invalid value: "OnFailure": only "Never" is supported when podFailurePolicy is specified',
    ],
  ],
  [
    "that succeeds by indexes it has not",
    { "spec.successPolicy": { rules: [{ succeededCount: 1 }] } },
    [
      'spec.successPolicy: Invalid value: {"Rules":[{"SucceededIndexes":null,"SucceededCount":1}]}: requires indexed completion mode',
    ],
  ],
  [
    "that succeeds by rules that are none",
    {
      ...indexed,
      "spec.successPolicy.rules": [
        {},
        { succeededIndexes: "0-5" },
        { succeededIndexes: "x" },
        { succeededIndexes: "1,1" },
        { succeededIndexes: "0", succeededCount: 2 },
        { succeededCount: 4 },
      ],
    },
    [
      "spec.successPolicy.rules[0]: Required value: at least one of succeededCount or succeededIndexes must be specified",
      'spec.successPolicy.rules[1].succeededIndexes: Invalid value: "0-5": error parsing succeededIndexes: too large index: "5"',
      'spec.successPolicy.rules[2].succeededIndexes: Invalid value: "x": error parsing succeededIndexes: cannot convert string to integer for index: "x"',
      'spec.successPolicy.rules[3].succeededIndexes: Invalid value: "1,1": error parsing succeededIndexes: non-increasing order, previous: 1, current: 1',
      "spec.successPolicy.rules[4].succeededCount: Invalid value: 2: must be less than or equal to 1 (the number of indexes in the specified succeededIndexes field)",
      "spec.successPolicy.rules[5].succeededCount: Invalid value: 4: must be less than or equal to 3 (the number of specified completions)",
    ],
  ],
  [
    "that selects pods of its own choice",
    { "spec.selector": { matchLabels: { a: "b" } } },
    [
      expect.stringMatching(/^spec\.selector: Invalid value: .*: `selector` not auto-generated$/),
      expect.stringMatching(/`selector` does not match template `labels`$/),
    ],
  ],
]);

const stands = (field: string, value: string) => `spec.${field}: Invalid value: ${value}: field is immutable`;
refusesChanges(jobs, valid, [
  ["may be suspended and run wider", { "spec.suspend": true, "spec.parallelism": 3 }, []],
  ["may not complete otherwise", { "spec.completions": 5 }, [stands("completions", "5")]],
  [
    "may not run something else",
    { "spec.template.spec.containers.0.image": "nginx" },
    [
      expect.stringMatching(
        /^spec\.template: Invalid value: \{"labels":.*"Spec":\{"Volumes":null.*field is immutable$/,
      ),
    ],
  ],
  ["may not be managed by another", { "spec.managedBy": "a.test/b" }, [stands("managedBy", '"a.test/b"')]],
  [
    "may not fail by other rules",
    { "spec.podFailurePolicy": { rules: [{ action: "Count", onPodConditions: [{ type: "A" }] }] } },
    [
      stands(
        "podFailurePolicy",
        '{"Rules":[{"Action":"Count","OnExitCodes":null,"OnPodConditions":[{"Type":"A","Status":"True"}]}]}',
      ),
    ],
    { "spec.podReplacementPolicy": "Failed" },
  ],
  [
    "may grow and shrink as a whole when it has indexes",
    { "spec.completions": 2, "spec.parallelism": 2 },
    [],
    { ...indexed, "spec.parallelism": 3 },
  ],
  [
    "may not grow alone",
    { "spec.completions": 4 },
    ["spec.completions: Invalid value: 4: can only be modified in tandem with spec.parallelism"],
    { ...indexed, "spec.parallelism": 3 },
  ],
  [
    "may ask for something else while it is suspended",
    { "spec.template.spec.containers.0.resources": { requests: { cpu: "2" } } },
    [],
    { "spec.suspend": true },
  ],
  ["may move while it is suspended", { "spec.template.spec.nodeSelector": { a: "b" } }, [], { "spec.suspend": true }],
]);
refusesChanges(
  jobs,
  valid,
  [
    [
      "may not count backwards",
      { status: { active: -1 } },
      ["status.active: Invalid value: -1: must be greater than or equal to 0"],
    ],
  ],
  "status",
);

refuses(
  cronJobs,
  { metadata: { name: "often", namespace: "default" }, spec: { schedule: "*/5 * * * *", jobTemplate: { spec } } },
  [
    ["without a schedule", { "spec.schedule": "" }, ["spec.schedule: Required value"]],
    [
      "with too few fields",
      { "spec.schedule": "x y" },
      ['spec.schedule: Invalid value: "x y": expected exactly 5 fields, found 2: [x y]'],
    ],
    [
      "at a minute that no hour has",
      { "spec.schedule": "60 * * * *" },
      ['spec.schedule: Invalid value: "60 * * * *": end of range (60) above maximum (59): 60'],
    ],
    [
      "that names the zone in the schedule",
      { "spec.schedule": "TZ=UTC 0 * * * *" },
      [
        'spec.schedule: Invalid value: "TZ=UTC 0 * * * *": cannot use TZ or CRON_TZ in schedule, use timeZone field instead',
      ],
    ],
    [
      "on Mars",
      { "spec.timeZone": "Mars/One" },
      ['spec.timeZone: Invalid value: "Mars/One": unknown time zone Mars/One'],
    ],
    [
      "in a zone written small",
      { "spec.timeZone": "america/new_york" },
      ['spec.timeZone: Invalid value: "america/new_york": unknown time zone america/new_york'],
    ],
    [
      "wherever the server is",
      { "spec.timeZone": "Local" },
      [
        'spec.timeZone: Invalid value: "Local": timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones',
      ],
    ],
    [
      "that overlaps in ways nobody knows",
      { "spec.concurrencyPolicy": "Maybe" },
      ['spec.concurrencyPolicy: Unsupported value: "Maybe": supported values: "Allow", "Forbid", "Replace"'],
    ],
    [
      "that remembers less than nothing",
      { "spec.startingDeadlineSeconds": -1, "spec.successfulJobsHistoryLimit": -1, "spec.failedJobsHistoryLimit": -1 },
      [
        "spec.startingDeadlineSeconds: Invalid value: -1: must be greater than or equal to 0",
        "spec.successfulJobsHistoryLimit: Invalid value: -1: must be greater than or equal to 0",
        "spec.failedJobsHistoryLimit: Invalid value: -1: must be greater than or equal to 0",
      ],
    ],
    [
      "whose Jobs choose their pods",
      { "spec.jobTemplate.spec.selector": { matchLabels: { a: "b" } }, "spec.jobTemplate.spec.manualSelector": true },
      [
        'spec.jobTemplate.spec.selector: Invalid value: {"matchLabels":{"a":"b"}}: `selector` will be auto-generated',
        'spec.jobTemplate.spec.manualSelector: Unsupported value: true: supported values: "nil", "false"',
      ],
    ],
    [
      "whose name leaves no room for the time",
      { "metadata.name": "n".repeat(53) },
      [`metadata.name: Invalid value: "${"n".repeat(53)}": must be no more than 52 characters`],
    ],
  ],
);

const at = (time: string) => `2026-01-01T${time}:00Z`;
const condition = (type: string) => ({ type, status: "True" });
const begun = { "status.startTime": at("01:00") };
const completed = {
  ...begun,
  "status.completionTime": at("02:00"),
  "status.conditions": [condition("SuccessCriteriaMet"), condition("Complete")],
};

refusesChanges(
  jobs,
  valid,
  [
    ["that ends in order", completed, []],
    ["that fails in order", { ...begun, "status.conditions": [condition("FailureTarget"), condition("Failed")] }, []],
    [
      "that is complete without having ended",
      { "status.conditions": [condition("Complete")] },
      [
        "status.completionTime: Required value: completionTime is required for Complete jobs",
        "status.conditions: Invalid value: cannot set Complete=True condition without the SuccessCriteriaMet=true condition",
        "status.startTime: Required value: startTime is required for finished job",
      ],
    ],
    [
      "that is complete and failed, with pods that go on",
      {
        ...completed,
        "status.conditions": [condition("SuccessCriteriaMet"), condition("Complete"), condition("Failed")],
        "status.active": 1,
        "status.terminating": 1,
        "status.uncountedTerminatedPods": { failed: ["u"] },
      },
      [
        "status.conditions: Invalid value: cannot set Complete=True and Failed=true conditions",
        "status.conditions: Invalid value: cannot set Failed=True condition without the FailureTarget=true condition",
        "status.active: Invalid value: 1: active>0 is invalid for finished job",
        expect.stringContaining("uncountedTerminatedPods needs to be empty for finished job"),
        "status.terminating: Invalid value: 1: terminating>0 is invalid for finished job",
        "status.conditions: Invalid value: cannot set SuccessCriteriaMet=True and Failed=true conditions",
      ],
    ],
    [
      "whose end comes before its beginning, and early",
      { "status.startTime": at("02:00"), "status.completionTime": at("01:00") },
      [
        'status.completionTime: Invalid value: "2026-01-01T01:00:00Z": cannot set completionTime when there is no Complete=True condition',
        'status.completionTime: Invalid value: "2026-01-01T01:00:00Z": completionTime cannot be set before startTime',
      ],
    ],
    [
      "that counts backwards",
      { "status.failed": 1, "status.succeeded": 1, "status.ready": 2, "status.active": 1 },
      [
        "status.ready: Invalid value: 2: cannot set more ready pods than active",
        "status.failed: Invalid value: 1: cannot decrease the failed counter",
        "status.succeeded: Invalid value: 1: cannot decrease the succeeded counter",
      ],
      { "status.failed": 2, "status.succeeded": 2 },
    ],
    [
      "that takes back its end",
      { "status.conditions": [], "status.completionTime": undefined, "status.startTime": undefined },
      [
        "status.conditions: Invalid value: cannot disable the terminal Complete=True condition",
        "status.startTime: Required value: startTime cannot be removed for unsuspended job",
        "status.conditions: Invalid value: cannot disable the SuccessCriteriaMet=True condition",
      ],
      completed,
    ],
    [
      "that completed at another time",
      { "status.completionTime": at("03:00") },
      ['status.completionTime: Invalid value: "2026-01-01T03:00:00Z": completionTime cannot be mutated'],
      completed,
    ],
    [
      "that resumes begins anew",
      { "status.startTime": at("05:00"), "status.conditions": [] },
      [],
      { ...begun, "status.conditions": [condition("Suspended")] },
    ],
    [
      "with indexes that it has not",
      { "status.completedIndexes": "0", "status.failedIndexes": "0" },
      [
        'status.completedIndexes: Invalid value: "0": cannot set non-empty completedIndexes when non-indexed completion mode',
        'status.failedIndexes: Invalid value: "0": cannot set non-null failedIndexes when backoffLimitPerIndex is null',
        'status.failedIndexes: Invalid value: "0": failedIndexes and completedIndexes overlap at index: 0',
      ],
    ],
    [
      "with indexes that are none",
      { "status.completedIndexes": "0,x", "status.failedIndexes": "2-7" },
      [
        'status.completedIndexes: Invalid value: "0,x": error parsing completedIndexes: cannot convert string to integer for index: "x"',
        'status.failedIndexes: Invalid value: "2-7": error parsing failedIndexes: too large index: "7"',
      ],
      { ...indexed, "spec.backoffLimitPerIndex": 1 },
    ],
    [
      "with indexes that succeeded and failed",
      { "status.completedIndexes": "0-2", "status.failedIndexes": "1-2" },
      ['status.failedIndexes: Invalid value: "1-2": failedIndexes and completedIndexes overlap at index: 1'],
      { ...indexed, "spec.backoffLimitPerIndex": 1 },
    ],
    [
      "with pods to count twice",
      { "status.uncountedTerminatedPods": { succeeded: ["a", ""], failed: ["a"] } },
      [
        'status.uncountedTerminatedPods.succeeded[1]: Invalid value: "": must not be empty',
        'status.uncountedTerminatedPods.failed[0]: Duplicate value: "a"',
      ],
    ],
  ],
  "status",
);
