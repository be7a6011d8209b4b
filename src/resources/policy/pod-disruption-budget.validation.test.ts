import { refuses, refusesChanges } from "../../testing/refusals.ts";
import { podDisruptionBudgets } from "./pod-disruption-budget.ts";

const percent =
  "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";
const namePart =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const labelValue =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

refuses(
  podDisruptionBudgets,
  { metadata: { name: "web", namespace: "default" }, spec: { minAvailable: 1, selector: {} } },
  [
    [
      "that says both",
      { "spec.maxUnavailable": 1, "spec.selector": undefined },
      [
        'spec: Invalid value: {"MinAvailable":1,"Selector":null,"MaxUnavailable":1,"UnhealthyPodEvictionPolicy":null}: minAvailable and maxUnavailable cannot be both set',
      ],
    ],
    [
      "of less than nothing, or of more than all",
      { "spec.minAvailable": -1 },
      ["spec.minAvailable: Invalid value: -1: must be greater than or equal to 0"],
    ],
    [
      "of more than all",
      { "spec.minAvailable": "101%" },
      ['spec.minAvailable: Invalid value: "101%": must not be greater than 100%'],
    ],
    [
      "that evicts in ways nobody knows",
      { "spec.unhealthyPodEvictionPolicy": "Never" },
      [
        'spec.unhealthyPodEvictionPolicy: Unsupported value: "Never": supported values: "AlwaysAllow", "IfHealthyBudget"',
      ],
    ],
    [
      "of no number at all",
      { "spec.minAvailable": "many", "spec.unhealthyPodEvictionPolicy": "" },
      [
        `spec.minAvailable: Invalid value: "many": ${percent}`,
        'spec.unhealthyPodEvictionPolicy: Unsupported value: "": supported values: "AlwaysAllow", "IfHealthyBudget"',
      ],
    ],
    [
      "of pods that nobody can choose",
      {
        "spec.minAvailable": undefined,
        "spec.maxUnavailable": "-1%",
        "spec.selector": {
          matchLabels: { "a b": "c d" },
          matchExpressions: [{}, { key: "a", operator: "In" }, { key: "a", operator: "Exists", values: ["b c"] }],
        },
      },
      [
        `spec.maxUnavailable: Invalid value: "-1%": ${percent}`,
        `spec.selector.matchLabels: Invalid value: "a b": ${namePart}`,
        `spec.selector.matchLabels: Invalid value: "c d": ${labelValue}`,
        'spec.selector.matchExpressions[0].operator: Invalid value: "": not a valid selector operator',
        'spec.selector.matchExpressions[0].key: Invalid value: "": name part must be non-empty',
        `spec.selector.matchExpressions[0].key: Invalid value: "": ${namePart}`,
        "spec.selector.matchExpressions[1].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
        "spec.selector.matchExpressions[2].values: Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
        `spec.selector.matchExpressions[2].values[0]: Invalid value: "b c": ${labelValue}`,
      ],
    ],
  ],
);

const odd = { matchExpressions: [{ key: "a", operator: "In", values: ["b c"] }] };
refusesChanges(podDisruptionBudgets, { metadata: { name: "web", namespace: "default" }, spec: { selector: {} } }, [
  ["may be about other pods", { "spec.selector": { matchLabels: { a: "b" } } }, []],
  [
    "may not ask for what no label says",
    { "spec.selector": odd },
    [`spec.selector.matchExpressions[0].values[0]: Invalid value: "b c": ${labelValue}`],
  ],
  ["may go on asking for what no label says", { "spec.maxUnavailable": 1 }, [], { "spec.selector": odd }],
]);
