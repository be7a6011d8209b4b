import { expect, it } from "vitest";
import { problemsOf, storedForm } from "../../testing/problems-of.ts";
import { refuses, refusesChanges } from "../../testing/refusals.ts";
import { flowSchemas } from "./flow-schema.ts";
import { priorityLevelConfigurations } from "./priority-level-configuration.ts";

const metadata = { name: "web" };
const subdomain =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const label =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";

const flow = {
  metadata,
  spec: {
    priorityLevelConfiguration: { name: "low" },
    rules: [
      {
        subjects: [{ kind: "User", user: { name: "u" } }],
        resourceRules: [{ verbs: ["get"], apiGroups: [""], resources: ["pods"], namespaces: ["*"] }],
      },
    ],
  },
};
const resourceRule = "spec.rules[0].resourceRules[0]";
refuses(flowSchemas, flow, [
  [
    "before all others",
    { "spec.matchingPrecedence": 1 },
    ["spec.matchingPrecedence: Invalid value: 1: only the schema named 'exempt' may have matchingPrecedence 1"],
  ],
  [
    "before the first",
    { "spec.matchingPrecedence": -1 },
    ["spec.matchingPrecedence: Invalid value: -1: must be a positive value"],
  ],
  [
    "after all others",
    { "spec.matchingPrecedence": 10_001 },
    ["spec.matchingPrecedence: Invalid value: 10001: must not be greater than 10000"],
  ],
  [
    "told apart in ways nobody knows, on no level",
    { "spec.distinguisherMethod": { type: "ByMood" }, "spec.priorityLevelConfiguration": {} },
    [
      'spec.distinguisherMethod.type: Unsupported value: {"Type":"ByMood"}: supported values: "ByNamespace", "ByUser"',
      "spec.priorityLevelConfiguration.name: Required value: must reference a priority level",
    ],
  ],
  [
    "on a level that nothing can be called",
    { "spec.priorityLevelConfiguration.name": "A" },
    [`spec.priorityLevelConfiguration.name: Invalid value: "A": ${subdomain}`],
  ],
  [
    "of nobody about nothing",
    { "spec.rules.0": {} },
    [
      "spec.rules[0].subjects: Required value: subjects must contain at least one value",
      "spec.rules[0]: Required value: at least one of resourceRules and nonResourceRules has to be non-empty",
    ],
  ],
  [
    "about everything and something",
    { "spec.rules.0.resourceRules.0": { verbs: ["*", "get"], apiGroups: [], resources: ["*", "pods"] } },
    [
      `${resourceRule}.verbs: Invalid value: ["*","get"]: if '*' is present, must not specify other verbs`,
      `${resourceRule}.apiGroups: Required value: resource rules must supply at least one api group`,
      `${resourceRule}.resources: Invalid value: ["*","pods"]: if '*' is present, must not specify other resources`,
      `${resourceRule}.namespaces: Required value: resource rules that are not cluster scoped must supply at least one namespace`,
    ],
  ],
  [
    "about verbs that requests do not have, in namespaces that cannot be",
    {
      "spec.rules.0.resourceRules.0.verbs": ["get", "use"],
      "spec.rules.0.resourceRules.0.namespaces": ["a.b", ""],
      "spec.rules.0.resourceRules.0.clusterScope": true,
    },
    [
      `${resourceRule}.verbs: Unsupported value: ["get","use"]: supported values: "create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"`,
      `${resourceRule}.namespaces[0]: Invalid value: "a.b": each member of this list must be '*' or a DNS-1123 label; must not contain dots`,
      `${resourceRule}.namespaces[1]: Invalid value: "": each member of this list must be '*' or a DNS-1123 label; ${label}`,
    ],
  ],
  [
    "about every namespace and one",
    { "spec.rules.0.resourceRules.0.namespaces": ["*", "a"] },
    [`${resourceRule}.namespaces: Invalid value: ["*","a"]: if '*' is present, must not specify other namespaces`],
  ],
  [
    "about paths that are none",
    {
      "spec.rules.0.nonResourceRules": [
        { verbs: ["get"], nonResourceURLs: ["", "/", "a", "/a b", "/a//b", "/a/*/*", "/a*", "/a/*"] },
        { verbs: [], nonResourceURLs: [] },
        { verbs: ["head"], nonResourceURLs: ["*", "/a"] },
      ],
    },
    [
      'spec.rules[0].nonResourceRules[0].nonResourceURLs[0]: Invalid value: "": must not be empty',
      'spec.rules[0].nonResourceRules[0].nonResourceURLs[2]: Invalid value: "a": must start with slash',
      'spec.rules[0].nonResourceRules[0].nonResourceURLs[3]: Invalid value: "/a b": must not contain white-space',
      'spec.rules[0].nonResourceRules[0].nonResourceURLs[4]: Invalid value: "/a//b": must not contain double slash',
      'spec.rules[0].nonResourceRules[0].nonResourceURLs[5]: Invalid value: "/a/*/*": wildcard can only do suffix matching',
      'spec.rules[0].nonResourceRules[0].nonResourceURLs[6]: Invalid value: "/a*": wildcard can only do suffix matching',
      "spec.rules[0].nonResourceRules[1].verbs: Required value: verbs must contain at least one value",
      "spec.rules[0].nonResourceRules[1].nonResourceURLs: Required value: nonResourceURLs must contain at least one value",
      'spec.rules[0].nonResourceRules[2].verbs: Unsupported value: ["head"]: supported values: "create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"',
      'spec.rules[0].nonResourceRules[2].nonResourceURLs: Invalid value: ["*","/a"]: if \'*\' is present, must not specify other non-resource URLs',
    ],
  ],
  [
    "of people who are none, two at once, or unnamed",
    {
      "spec.rules.0.subjects": [
        { kind: "Robot" },
        { kind: "User", group: { name: "g" }, serviceAccount: { name: "a", namespace: "b" } },
        { kind: "Group", group: {}, user: { name: "u" } },
        { kind: "ServiceAccount", serviceAccount: {} },
        { kind: "ServiceAccount", serviceAccount: { name: "A", namespace: "B.c" }, user: {}, group: {} },
        { kind: "ServiceAccount", serviceAccount: { name: "*", namespace: "b" } },
      ],
    },
    [
      'spec.rules[0].subjects[0].kind: Unsupported value: "Robot": supported values: "Group", "ServiceAccount", "User"',
      "spec.rules[0].subjects[1].user: Required value: user is required when subject kind is 'User'",
      "spec.rules[0].subjects[1].serviceAccount: Forbidden: serviceAccount is forbidden when subject kind is not 'ServiceAccount'",
      "spec.rules[0].subjects[1].group: Forbidden: group is forbidden when subject kind is not 'Group'",
      "spec.rules[0].subjects[2].group.name: Required value",
      "spec.rules[0].subjects[2].user: Forbidden: user is forbidden when subject kind is not 'User'",
      "spec.rules[0].subjects[3].serviceAccount.name: Required value",
      "spec.rules[0].subjects[3].serviceAccount.namespace: Required value: must specify namespace for service account",
      `spec.rules[0].subjects[4].serviceAccount.name: Invalid value: "A": ${subdomain}`,
      `spec.rules[0].subjects[4].serviceAccount.namespace: Invalid value: "B.c": ${label}`,
      "spec.rules[0].subjects[4].user: Forbidden: user is forbidden when subject kind is not 'User'",
      "spec.rules[0].subjects[4].group: Forbidden: group is forbidden when subject kind is not 'Group'",
    ],
  ],
  [
    "that would open the one that goes before all others",
    { "metadata.name": "exempt", "spec.matchingPrecedence": 1 },
    [
      'spec: Invalid value: {"PriorityLevelConfiguration":{"Name":"low"},"MatchingPrecedence":1,"DistinguisherMethod":null,"Rules":[{"Subjects":[{"Kind":"User","User":{"Name":"u"},"Group":null,"ServiceAccount":null}],"ResourceRules":[{"Verbs":["get"],"APIGroups":[""],"Resources":["pods"],"ClusterScope":false,"Namespaces":["*"]}],"NonResourceRules":null}]}: spec of \'exempt\' must equal the fixed value',
    ],
  ],
]);
refusesChanges(
  flowSchemas,
  flow,
  [
    [
      "may not say it twice, or nothing",
      { "status.conditions": [{ type: "A" }, { type: "A" }, {}] },
      [
        'status.conditions[1].type: Duplicate value: "A"',
        "status.conditions[2].type: Required value: must not be empty",
      ],
    ],
  ],
  "status",
);

const limited = (name: string, limits: object) => ({ metadata: { name }, spec: { type: "Limited", limited: limits } });
const queue = { type: "Queue", queuing: { queues: 4, handSize: 2, queueLengthLimit: 5 } };
const queuing = "spec.limited.limitResponse.queuing";
refuses(priorityLevelConfigurations, limited("web", { limitResponse: queue }), [
  [
    "of a type nobody knows",
    { "spec.type": "Some" },
    ['spec.type: Unsupported value: "Some": supported values: "Exempt", "Limited"'],
  ],
  [
    "of no type",
    { "spec.type": undefined },
    ['spec.type: Unsupported value: "": supported values: "Exempt", "Limited"'],
  ],
  [
    "without limits",
    { "spec.limited": undefined },
    ["spec.limited: Required value: must not be empty when type is Limited"],
  ],
  [
    "without limits under a name of no exemption",
    { "spec.type": "Exempt", "spec.exempt": { nominalConcurrencyShares: -1, lendablePercent: -1 } },
    [
      "spec.type: Invalid value: \"Exempt\": must be 'Exempt' if and only if `name` is 'exempt'",
      "spec.limited: Forbidden: must be nil if the type is not Limited",
      "spec.exempt.nominalConcurrencyShares: Invalid value: -1: must be a non-negative integer",
      "spec.exempt.lendablePercent: Invalid value: -1: must be between 0 and 100, inclusive",
    ],
  ],
  [
    "with limits under a name of exemption",
    { "metadata.name": "exempt", "spec.exempt": {} },
    [
      "spec.type: Invalid value: \"Limited\": must be 'Exempt' if and only if `name` is 'exempt'",
      "spec.exempt: Forbidden: must be nil if the type is Limited",
      'spec: Invalid value: {"Type":"Limited","Limited":{"NominalConcurrencyShares":30,"LimitResponse":{"Type":"Queue","Queuing":{"Queues":4,"HandSize":2,"QueueLengthLimit":5}},"LendablePercent":0,"BorrowingLimitPercent":null},"Exempt":{"NominalConcurrencyShares":0,"LendablePercent":0}}: spec of \'exempt\' except the \'spec.exempt\' field must equal the fixed value',
    ],
  ],
  [
    "that gives the last one more",
    { "metadata.name": "catch-all" },
    [
      expect.stringMatching(
        /^spec: Invalid value: \{"Type":"Limited",.*\}: spec of 'catch-all' must equal the fixed value$/,
      ),
    ],
  ],
  [
    "that lends more than it has and borrows less than nothing",
    {
      "spec.limited": {
        nominalConcurrencyShares: -1,
        lendablePercent: 101,
        borrowingLimitPercent: -1,
        limitResponse: { type: "Shout" },
      },
    },
    [
      "spec.limited.nominalConcurrencyShares: Invalid value: -1: must be a non-negative integer",
      'spec.limited.limitResponse.type: Unsupported value: "Shout": supported values: "Queue", "Reject"',
      "spec.limited.lendablePercent: Invalid value: 101: must be between 0 and 100, inclusive",
      "spec.limited.borrowingLimitPercent: Invalid value: -1: if specified, must be a non-negative integer",
    ],
  ],
  [
    "with less than no queues",
    { [queuing]: { queues: -1, handSize: -1, queueLengthLimit: -1 } },
    [
      `${queuing}.queueLengthLimit: Invalid value: -1: must be positive`,
      `${queuing}.queues: Invalid value: -1: must be positive`,
      `${queuing}.handSize: Invalid value: -1: must be positive`,
    ],
  ],
  [
    "with more queues than anybody has",
    { [queuing]: { queues: 10_000_001, handSize: 2 } },
    [`${queuing}.queues: Invalid value: 10000001: must not be greater than 10000000`],
  ],
  [
    "with more hands than queues",
    { [`${queuing}.handSize`]: 5 },
    [`${queuing}.handSize: Invalid value: 5: should not be greater than queues (4)`],
  ],
  [
    "with hands that no hash can deal",
    { [queuing]: { queues: 512, handSize: 8 } },
    [
      `${queuing}.handSize: Invalid value: 8: required entropy bits of deckSize 512 and handSize 8 should not be greater than 60`,
    ],
  ],
  [
    "that rejects and queues",
    { "spec.limited.limitResponse.type": "Reject" },
    [`${queuing}: Forbidden: must be nil if limited.limitResponse.type is not Limited`],
  ],
  [
    "that queues nowhere",
    { [queuing]: undefined },
    [`${queuing}: Required value: must not be empty if limited.limitResponse.type is Limited`],
  ],
  [
    "with a note of versions gone by",
    { "metadata.annotations": { "flowcontrol.k8s.io/v1beta3-preserve-zero-concurrency-shares": "" } },
    [
      "metadata.annotations: Forbidden: annotation 'flowcontrol.k8s.io/v1beta3-preserve-zero-concurrency-shares' is forbidden",
    ],
  ],
]);
refusesChanges(
  priorityLevelConfigurations,
  limited("web", { limitResponse: queue }),
  [
    [
      "may not say it twice, or nothing",
      { "status.conditions": [{ type: "A" }, { type: "A" }, {}] },
      [
        'status.conditions[1].type: Duplicate value: "A"',
        "status.conditions[2].type: Required value: must not be empty",
      ],
    ],
  ],
  "status",
);

it("the shares of the exempt level may be changed, and it is complete without any", () => {
  const exempt = { metadata: { name: "exempt" }, spec: { type: "Exempt" } };
  expect(problemsOf(priorityLevelConfigurations, exempt)).toEqual([]);
  const shares = { nominalConcurrencyShares: 7, lendablePercent: 50 };
  expect(problemsOf(priorityLevelConfigurations, { ...exempt, spec: { type: "Exempt", exempt: shares } })).toEqual([]);
});

it("numbers that are left out are filled in, queues only where there are any", () => {
  expect(storedForm(flowSchemas, flow).spec.matchingPrecedence).toBe(1000);
  const response = (limitResponse: object) =>
    storedForm(priorityLevelConfigurations, limited("web", { limitResponse })).spec.limited;
  const shares = { nominalConcurrencyShares: 30, lendablePercent: 0 };
  expect(response({ type: "Queue" })).toEqual({ limitResponse: { type: "Queue" }, ...shares });
  expect(response({ type: "Reject", queuing: {} })).toEqual({
    limitResponse: { type: "Reject", queuing: { queues: 64, handSize: 8, queueLengthLimit: 50 } },
    ...shares,
  });
});
