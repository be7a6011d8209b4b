import { refuses, refusesChanges } from "../../testing/refusals.ts";
import { limitRanges } from "./limit-range.ts";
import { namespaces } from "./namespace.ts";
import { nodes } from "./node.ts";
import { resourceQuotas } from "./resource-quota.ts";

const namePart =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

refuses(namespaces, { metadata: { name: "shop" } }, [
  [
    "held by a finalizer nobody knows",
    { "spec.finalizers": ["mine"] },
    ['spec.finalizers: Invalid value: "mine": name is neither a standard finalizer name nor is it fully qualified'],
  ],
  [
    "held by something that is no name",
    { "spec.finalizers": ["a b/c"] },
    [
      "spec.finalizers: Invalid value: \"a b/c\": prefix part a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
    ],
  ],
]);
refusesChanges(
  namespaces,
  { metadata: { name: "shop" }, status: { phase: "Active" } },
  [
    [
      "may not end what is not deleted",
      { "status.phase": "Terminating" },
      ["status.Phase: Invalid value: \"Terminating\": may only be 'Active' if `deletionTimestamp` is empty"],
    ],
    [
      "may not revive what is deleted",
      { "status.phase": "Active" },
      ["status.Phase: Invalid value: \"Active\": may only be 'Terminating' if `deletionTimestamp` is not empty"],
      { "metadata.deletionTimestamp": "2026-01-01T00:00:00Z" },
    ],
  ],
  "status",
);

refuses(nodes, { metadata: { name: "n1" } }, [
  [
    "tainted by nothing",
    { "spec.taints": [{ key: "", effect: "" }] },
    [
      'metadata.taints[0].key: Invalid value: "": name part must be non-empty',
      `metadata.taints[0].key: Invalid value: "": ${namePart}`,
      "metadata.taints[0].effect: Required value",
    ],
  ],
  [
    "tainted twice, in ways nobody knows",
    {
      "spec.taints": [
        { key: "a", effect: "Q" },
        { key: "b", effect: "NoSchedule" },
        { key: "b", effect: "NoSchedule" },
      ],
    },
    [
      'metadata.taints[0].effect: Unsupported value: "Q": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"',
      'metadata.taints[2]: Duplicate value: {"Key":"b","Value":"","Effect":"NoSchedule","TimeAdded":null}: taints must be unique by key and effect pair',
    ],
  ],
  [
    "with ranges that are none",
    { "spec.podCIDRs": ["x"] },
    ['spec.podCIDRs[0]: Invalid value: "x": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)'],
  ],
  [
    "with two ranges of a kind",
    { "spec.podCIDRs": ["10.0.0.0/24", "10.0.1.0/24"] },
    [
      'spec.podCIDRs: Invalid value: ["10.0.0.0/24","10.0.1.0/24"]: may specify no more than one CIDR for each IP family',
    ],
  ],
  [
    "with less than nothing",
    { "status.capacity": { cpu: "-1", pods: "1.5" } },
    [
      'status.capacity.cpu: Invalid value: "-1": must be greater than or equal to 0',
      'status.capacity.pods: Invalid value: "1500m": must be an integer',
    ],
  ],
]);
refusesChanges(nodes, { metadata: { name: "n1" } }, [
  ["may take it out of service", { "spec.unschedulable": true }, []],
  ["may give it a range", { "spec.podCIDRs": ["10.0.0.0/24"] }, []],
  [
    "may not give it another range",
    { "spec.podCIDR": "10.0.1.0/24", "spec.podCIDRs": ["10.0.1.0/24"] },
    ['spec.podCIDRs: Forbidden: node updates may not change podCIDR except from "" to valid'],
    { "spec.podCIDRs": ["10.0.0.0/24"] },
  ],
  [
    "may not make it another machine",
    { "spec.providerID": "b" },
    ['spec.providerID: Forbidden: node updates may not change providerID except from "" to valid'],
    { "spec.providerID": "a" },
  ],
  [
    "may not give it an address twice",
    {
      "status.addresses": [
        { type: "InternalIP", address: "10.0.0.1" },
        { type: "InternalIP", address: "10.0.0.1" },
      ],
    },
    ['status.addresses[1]: Duplicate value: {"Type":"InternalIP","Address":"10.0.0.1"}'],
  ],
]);

const quota = { metadata: { name: "q", namespace: "default" }, spec: { hard: { pods: "1" } } };
refuses(resourceQuotas, quota, [
  [
    "of things nobody counts",
    { "spec.hard": { gold: "1", "a b": "1", pods: "-1" } },
    [
      `spec.hard[a b]: Invalid value: "a b": ${namePart}`,
      'spec.hard[a b]: Invalid value: "a b": must be a standard resource for quota',
      'spec.hard[gold]: Invalid value: "gold": must be a standard resource type or fully qualified',
      'spec.hard[gold]: Invalid value: "gold": must be a standard resource for quota',
      'spec.hard[pods]: Invalid value: "-1": must be greater than or equal to 0',
    ],
  ],
  [
    "in scopes that exclude each other",
    { "spec.scopes": ["Terminating", "NotTerminating"] },
    ['spec.scopes: Invalid value: ["Terminating","NotTerminating"]: conflicting scopes'],
  ],
  [
    "in scopes that do not count that",
    { "spec.hard": { services: "1" }, "spec.scopes": ["BestEffort"] },
    ['spec.scopes: Invalid value: ["BestEffort"]: unsupported scope applied to resource'],
  ],
  [
    "in scopes selected in ways nobody knows",
    {
      "spec.scopeSelector.matchExpressions": [
        { scopeName: "PriorityClass", operator: "In" },
        { scopeName: "BestEffort", operator: "In", values: ["a"] },
        { scopeName: "PriorityClass", operator: "Exists", values: ["a"] },
        { scopeName: "PriorityClass", operator: "Near" },
      ],
    },
    [
      "spec.scopeSelector.matchExpressions.values: Required value: must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
      "spec.scopeSelector.matchExpressions.operator: Invalid value: \"In\": must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity",
      "spec.scopeSelector.matchExpressions.values: Invalid value: [\"a\"]: must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector",
      'spec.scopeSelector.matchExpressions.operator: Invalid value: "Near": not a valid selector operator',
    ],
  ],
]);
refusesChanges(resourceQuotas, quota, [
  ["may allow more", { "spec.hard.pods": "2" }, []],
  [
    "may not count other things",
    { "spec.scopes": ["BestEffort"] },
    ['spec.scopes: Invalid value: ["BestEffort"]: field is immutable'],
  ],
]);

const range = (limit: object) => ({ "spec.limits": [limit] });
refuses(
  limitRanges,
  { metadata: { name: "l", namespace: "default" }, spec: { limits: [{ type: "Pod", max: { cpu: "1" } }] } },
  [
    [
      "of things that have no limits",
      range({ type: "Zebra" }),
      ['spec.limits[0].type: Invalid value: "Zebra": must be a standard limit type or fully qualified'],
    ],
    [
      "of one thing twice",
      { "spec.limits": [{ type: "Pod" }, { type: "Pod" }] },
      ['spec.limits[1].type: Duplicate value: "Pod"'],
    ],
    [
      "that gives pods a default",
      range({ type: "Pod", default: { cpu: "1" }, defaultRequest: { cpu: "1" } }),
      [
        "spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'",
        "spec.limits[0].defaultRequest: Forbidden: may not be specified when `type` is 'Pod'",
      ],
    ],
    [
      "of claims without a size",
      range({ type: "PersistentVolumeClaim", max: { pods: "1" } }),
      [
        "spec.limits[0].limits: Required value: either minimum or maximum storage value is required, but neither was provided",
      ],
    ],
    [
      "with a ratio below one",
      range({ type: "Pod", maxLimitRequestRatio: { cpu: "500m" } }),
      ['spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: "500m": ratio 500m is less than 1'],
    ],
    [
      "with a ratio wider than its bounds",
      range({ type: "Pod", min: { cpu: "1" }, max: { cpu: "2" }, maxLimitRequestRatio: { cpu: "3" } }),
      ['spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: "3": ratio 3 is greater than max/min = 2.000000'],
    ],
    [
      "upside down",
      range({ type: "Pod", min: { cpu: "2" }, max: { cpu: "1" } }),
      ['spec.limits[0].min[cpu]: Invalid value: "2": min value 2 is greater than max value 1'],
    ],
  ],
);
