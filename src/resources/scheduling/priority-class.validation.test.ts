import { refuses, refusesChanges } from "../../testing/refusals.ts";
import { priorityClasses } from "./priority-class.ts";

refuses(priorityClasses, { metadata: { name: "web" }, value: 5 }, [
  [
    "above the system",
    { value: 1_000_000_001 },
    ["value: Forbidden: maximum allowed value of a user defined priority is 1000000000"],
  ],
  [
    "by a name of the system's",
    { "metadata.name": "system-mine" },
    [
      "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: system-mine is not a known system priority class",
    ],
  ],
  [
    "that takes the system's name for another value",
    { "metadata.name": "system-node-critical", globalDefault: true },
    [
      "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: value of system-node-critical PriorityClass must be 2000001000",
    ],
  ],
  [
    "that makes the system's everybody's",
    { "metadata.name": "system-cluster-critical", value: 2_000_000_000, globalDefault: true },
    [
      "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: globalDefault of system-cluster-critical PriorityClass must be false",
    ],
  ],
  ["that preempts in an unsaid way", { preemptionPolicy: "" }, ["preemptionPolicy: Required value"]],
  [
    "that preempts in ways nobody knows",
    { preemptionPolicy: "Maybe" },
    ['preemptionPolicy: Unsupported value: "Maybe": supported values: "PreemptLowerPriority", "Never"'],
  ],
]);
refusesChanges(priorityClasses, { metadata: { name: "web" }, value: 5 }, [
  ["may be described", { description: "d" }, []],
  ["may not mean something else", { value: 6 }, ["value: Forbidden: may not be changed in an update."]],
  [
    "may not preempt in another way either",
    { preemptionPolicy: "Never", value: 4 },
    [
      "value: Forbidden: may not be changed in an update.",
      'preemptionPolicy: Invalid value: "Never": field is immutable',
    ],
  ],
  ["may be everybody's from now on", { globalDefault: true, description: "d" }, []],
]);
