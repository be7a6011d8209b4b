import { expect } from "vitest";
import { refuses, refusesChanges, warns } from "../../testing/refusals.ts";
import {
  mutatingAdmissionPolicies,
  mutatingAdmissionPolicyBindings,
  validatingAdmissionPolicies,
  validatingAdmissionPolicyBindings,
} from "./policy.ts";

const metadata = { name: "rule" };
const rule = { operations: ["CREATE"], apiGroups: [""], apiVersions: ["v1"], resources: ["pods"] };
const spec = { matchConstraints: { resourceRules: [rule] }, validations: [{ expression: "true" }] };
const label =
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const subdomain =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const namePart =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

refuses(validatingAdmissionPolicies, { metadata, spec }, [
  [
    "with parameters of no kind",
    { "spec.paramKind": { apiVersion: "a/b/c", kind: "A b" } },
    [
      'spec.paramKind.apiVersion: Invalid value: "a/b/c": unexpected GroupVersion string: a/b/c',
      `spec.paramKind.kind: Invalid value: "A b": may have mixed case, but should otherwise match: ${label}`,
    ],
  ],
  [
    "with parameters of no version",
    { "spec.paramKind": { apiVersion: "a.test/", kind: "A" } },
    ['spec.paramKind.apiVersion: Invalid value: "a.test/": version must be specified'],
  ],
  [
    "for everything and something",
    {
      "spec.matchConstraints.resourceRules": [
        {
          operations: ["*", "CREATE"],
          apiGroups: ["*", "apps"],
          apiVersions: ["*", ""],
          resources: ["pods/*", "pods/log", "*/scale", "deployments/scale", "", "*/*", "*", "pods"],
          resourceNames: ["a/b", "c", "c"],
          scope: "Galaxy",
        },
        {},
      ],
    },
    [
      "spec.matchConstraints.resourceRules[0].resourceNames[0]: Invalid value: \"a/b\": may not contain '/'",
      'spec.matchConstraints.resourceRules[0].resourceNames[2]: Duplicate value: "c"',
      'spec.matchConstraints.resourceRules[0].operations: Invalid value: ["*","CREATE"]: if \'*\' is present, must not specify other operations',
      'spec.matchConstraints.resourceRules[0].apiGroups: Invalid value: ["*","apps"]: if \'*\' is present, must not specify other API groups',
      'spec.matchConstraints.resourceRules[0].apiVersions: Invalid value: ["*",""]: if \'*\' is present, must not specify other API versions',
      "spec.matchConstraints.resourceRules[0].apiVersions[1]: Required value",
      "spec.matchConstraints.resourceRules[0].resources[1]: Invalid value: \"pods/log\": if 'pods/*' is present, must not specify pods/log",
      "spec.matchConstraints.resourceRules[0].resources[3]: Invalid value: \"deployments/scale\": if '*/scale' is present, must not specify deployments/scale",
      "spec.matchConstraints.resourceRules[0].resources[4]: Required value",
      `spec.matchConstraints.resourceRules[0].resources: Invalid value: ["pods/*","pods/log","*/scale","deployments/scale","","*/*","*","pods"]: if '*/*' is present, must not specify other resources`,
      `spec.matchConstraints.resourceRules[0].resources: Invalid value: ["pods/*","pods/log","*/scale","deployments/scale","","*/*","*","pods"]: if '*' is present, must not specify other resources without subresources`,
      'spec.matchConstraints.resourceRules[0].scope: Unsupported value: "Galaxy": supported values: "*", "Cluster", "Namespaced"',
      "spec.matchConstraints.resourceRules[1].operations: Required value",
      "spec.matchConstraints.resourceRules[1].apiGroups: Required value",
      "spec.matchConstraints.resourceRules[1].apiVersions: Required value",
      "spec.matchConstraints.resourceRules[1].resources: Required value",
    ],
  ],
  [
    "with messages nobody can read, for reasons nobody knows",
    {
      "spec.validations": [
        { expression: "true", message: " ", messageExpression: " ", reason: "Mood" },
        { expression: "true", message: "a\nb" },
        { expression: "1" },
      ],
    },
    [
      'spec.validations[0].messageExpression: Invalid value: " ": must be non-empty if specified',
      'spec.validations[0].message: Invalid value: " ": must be non-empty if specified',
      'spec.validations[0].reason: Unsupported value: "Mood": supported values: "Forbidden", "Invalid", "RequestEntityTooLarge"',
      'spec.validations[1].message: Invalid value: "a\\nb": must not contain line breaks',
      'spec.validations[2].expression: Invalid value: "1": must evaluate to bool but got int',
    ],
  ],
  [
    "with variables that are none",
    {
      "spec.variables": [
        { name: "", expression: "1" },
        { name: "for", expression: "" },
      ],
    },
    [
      "spec.variables[0].name: Required value: name is not specified",
      'spec.variables[1].name: Invalid value: "for": must be a valid CEL identifier',
      "spec.variables[1].expression: Required value: expression is not specified",
    ],
  ],
  [
    "with notes under no name, or twice",
    {
      "spec.auditAnnotations": [
        { key: "a", valueExpression: "'x'" },
        { key: "a", valueExpression: "" },
        { key: "-", valueExpression: "'x'" },
      ],
    },
    [
      "spec.auditAnnotations[1].valueExpression: Required value: valueExpression is not specified",
      'spec.auditAnnotations[1].key: Duplicate value: "a"',
      `spec.auditAnnotations[2].key: Invalid value: "rule/-": ${namePart}`,
    ],
  ],
]);

refuses(validatingAdmissionPolicyBindings, { metadata, spec: { policyName: "rule", validationActions: ["Deny"] } }, [
  [
    "with parameters by name and by label",
    { "spec.paramRef": { name: "a/b", selector: {}, parameterNotFoundAction: "Shrug" } },
    [
      "spec.paramRef.name: Invalid value: \"a/b\": may not contain '/'",
      "spec.paramRef.name: Forbidden: name and selector are mutually exclusive",
      "spec.paramRef.selector: Forbidden: name and selector are mutually exclusive",
      'spec.paramRef.parameterNotFoundAction: Unsupported value: "Shrug": supported values: "Deny", "Allow"',
    ],
  ],
  [
    "with parameters by nothing",
    { "spec.paramRef": {} },
    [
      "spec.paramRef: Required value: one of name or selector must be specified",
      "spec.paramRef.parameterNotFoundAction: Required value",
    ],
  ],
  [
    "that acts twice",
    { "spec.validationActions": ["Audit", "Audit", "Deny", "Warn"] },
    [
      'spec.validationActions[1]: Duplicate value: "Audit"',
      'spec.validationActions: Invalid value: ["Audit","Audit","Deny","Warn"]: must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)',
    ],
  ],
  [
    "for requests of no sort",
    { "spec.matchResources.resourceRules": [{ ...rule, operations: ["READ"] }] },
    [
      'spec.matchResources.resourceRules[0].operations[0]: Unsupported value: "READ": supported values: "*", "CONNECT", "CREATE", "DELETE", "UPDATE"',
    ],
  ],
]);

const mutation = { patchType: "JSONPatch", jsonPatch: { expression: "[JSONPatch{op: 'remove', path: '/a'}]" } };
const { validations: _, ...constraints } = spec;
refuses(
  mutatingAdmissionPolicies,
  { metadata, spec: { ...constraints, mutations: [mutation], reinvocationPolicy: "Never" } },
  [
    [
      "that says not whether it is asked again",
      { "spec.reinvocationPolicy": undefined },
      ["spec.reinvocationPolicy: Required value"],
    ],
  ],
);

const matchConstraints = {
  resourceRules: [{ operations: ["CREATE"], apiGroups: [""], apiVersions: ["v1"], resources: ["pods"] }],
};
refuses(validatingAdmissionPolicies, { metadata, spec: { matchConstraints, validations: [{ expression: "true" }] } }, [
  ["about nothing", { "spec.matchConstraints": undefined }, ["spec.matchConstraints: Required value"]],
  [
    "that says nothing",
    { "spec.validations": [] },
    [
      "spec.validations: Required value: validations or auditAnnotations must contain at least one item",
      "spec.auditAnnotations: Required value: validations or auditAnnotations must contain at least one item",
    ],
  ],
  [
    "without an expression",
    { "spec.validations.0.expression": " " },
    ["spec.validations[0].expression: Required value: expression is not specified"],
  ],
  [
    "with parameters of no kind",
    { "spec.paramKind": { apiVersion: "a/b/c" } },
    [
      'spec.paramKind.apiVersion: Invalid value: "a/b/c": unexpected GroupVersion string: a/b/c',
      "spec.paramKind.kind: Required value",
    ],
  ],
  [
    "that fails in ways nobody knows",
    { "spec.failurePolicy": "Shrug" },
    ['spec.failurePolicy: Unsupported value: "Shrug": supported values: "Fail", "Ignore"'],
  ],
]);
refuses(
  mutatingAdmissionPolicies,
  {
    metadata,
    spec: {
      matchConstraints,
      reinvocationPolicy: "Never",
      mutations: [{ patchType: "JSONPatch", jsonPatch: { expression: "[JSONPatch{op: 'remove', path: '/a'}]" } }],
    },
  },
  [
    [
      "that does nothing",
      { "spec.mutations": [] },
      ["spec.mutations: Required value: mutations must contain at least one item"],
    ],
    [
      "in ways nobody knows",
      { "spec.mutations.0.patchType": "Glue" },
      ['spec.mutations[0].patchType: Unsupported value: "Glue": supported values: "ApplyConfiguration", "JSONPatch"'],
    ],
  ],
);
refuses(validatingAdmissionPolicyBindings, { metadata, spec: { policyName: "p", validationActions: ["Deny"] } }, [
  ["of nothing", { "spec.policyName": "" }, ["spec.policyName: Required value"]],
  [
    "that does nothing",
    { "spec.validationActions": [] },
    ["spec.validationActions: Required value: at least one validation action is required"],
  ],
  [
    "that says it twice",
    { "spec.validationActions": ["Deny", "Warn"] },
    [
      expect.stringContaining(
        'spec.validationActions: Invalid value: ["Deny","Warn"]: must not contain both Deny and Warn',
      ),
    ],
  ],
]);

const compiledAs = (expression: string, column: number, problem: string) =>
  `compilation failed: ERROR: <input>:1:${column}: ${problem}\n | ${expression}\n | ${".".repeat(column - 1)}^`;

refuses(validatingAdmissionPolicies, { metadata, spec }, [
  [
    "in settings that are there and say nothing",
    { "spec.failurePolicy": "", "spec.matchConstraints.matchPolicy": "", "spec.paramKind": {} },
    [
      'spec.failurePolicy: Unsupported value: "": supported values: "Fail", "Ignore"',
      "spec.paramKind.apiVersion: Required value",
      "spec.paramKind.kind: Required value",
      'spec.matchConstraints.matchPolicy: Unsupported value: "": supported values: "Equivalent", "Exact"',
    ],
  ],
  [
    "with parameters of groups and versions that are none",
    { "spec.paramKind": { apiVersion: "A/V", kind: "Cm" } },
    [
      `spec.paramKind.apiVersion: Invalid value: "A": ${subdomain}`,
      `spec.paramKind.apiVersion: Invalid value: "V": ${label}`,
    ],
  ],
  [
    "for no resources",
    { "spec.matchConstraints.resourceRules": [] },
    ["spec.matchConstraints.resourceRules: Required value"],
  ],
  [
    "on conditions that read what comes later",
    {
      "spec.variables": [{ name: "a", expression: "true" }],
      "spec.matchConditions": [
        { name: "a", expression: " variables.a " },
        { name: "a", expression: "params.a" },
      ],
    },
    [
      `spec.matchConditions[0].expression: Invalid value: "variables.a": ${compiledAs("variables.a", 1, "undeclared reference to 'variables' (in container '')")}`,
      `spec.matchConditions[1].expression: Invalid value: "params.a": ${compiledAs("params.a", 1, "undeclared reference to 'params' (in container '')")}`,
      'spec.matchConditions[1].name: Duplicate value: "a"',
    ],
  ],
  [
    "never for variables that read those before them",
    {
      "spec.variables": [
        { name: "a", expression: "request" },
        { name: "b", expression: "[variables.a.anything]" },
        { name: "c", expression: "variables.b.all(x, x == 1)" },
      ],
      "spec.validations": [{ expression: "variables.c", messageExpression: "'no ' + variables.b[0]" }],
    },
    [],
  ],
  [
    "with variables that read what is not there, or those after them",
    {
      "spec.variables": [
        { name: "a", expression: "variables.b" },
        { name: "b", expression: "nothing" },
        { name: "1", expression: "1" },
      ],
      "spec.validations.0.expression": "variables.b",
    },
    [
      `spec.variables[0].expression: Invalid value: "variables.b": ${compiledAs("variables.b", 10, "undefined field 'b'")}`,
      `spec.variables[1].expression: Invalid value: "nothing": ${compiledAs("nothing", 1, "undeclared reference to 'nothing' (in container '')")}`,
      'spec.variables[2].name: Invalid value: "1": must be a valid CEL identifier',
      'spec.validations[0].expression: Invalid value: "variables.b": must evaluate to bool but got dyn',
    ],
  ],
  [
    "with variables of which it has none",
    { "spec.validations.0.expression": "variables.a" },
    [
      `spec.validations[0].expression: Invalid value: "variables.a": ${compiledAs("variables.a", 1, "undeclared reference to 'variables' (in container '')")}`,
    ],
  ],
  [
    "with expressions that make something else",
    {
      "spec.validations": [
        { expression: "object.spec.enabled", messageExpression: "1" },
        { expression: "null", messageExpression: "authorizer.path('/').check('get').reason()" },
      ],
      "spec.auditAnnotations": [
        { key: "a", valueExpression: " [1] " },
        { key: "b", valueExpression: "null" },
      ],
    },
    [
      'spec.validations[0].expression: Invalid value: "object.spec.enabled": must evaluate to bool but got dyn',
      'spec.validations[0].messageExpression: Invalid value: "1": must evaluate to string but got int',
      'spec.validations[1].expression: Invalid value: "null": must evaluate to bool but got null_type',
      `spec.validations[1].messageExpression: Invalid value: "authorizer.path('/').check('get').reason()": ${compiledAs("authorizer.path('/').check('get').reason()", 1, "undeclared reference to 'authorizer' (in container '')")}`,
      'spec.auditAnnotations[0].valueExpression: Invalid value: " [1] ": must evaluate to one of [string null_type] but got list(int)',
    ],
  ],
  [
    "that reads of the namespace what is hidden",
    { "spec.validations.0.expression": "namespaceObject.metadata.uid == 'a'" },
    [
      `spec.validations[0].expression: Invalid value: "namespaceObject.metadata.uid == 'a'": ${compiledAs("namespaceObject.metadata.uid == 'a'", 25, "undefined field 'uid'")}`,
    ],
  ],
  [
    "with notes that are too long",
    { "spec.auditAnnotations": [{ key: "a", valueExpression: `'${"é".repeat(2560)}'` }] },
    ["spec.auditAnnotations[0].valueExpression: Required value: must not exceed 5120 bytes in length"],
  ],
  [
    "with too many notes",
    { "spec.auditAnnotations": Array.from({ length: 21 }, (_, i) => ({ key: `k${i}`, valueExpression: "'x'" })) },
    [
      expect.stringMatching(
        /^spec\.auditAnnotations: Invalid value: \[\{"Key":"k0","ValueExpression":"'x'"\},.*\]: must not have more than 20 auditAnnotations$/,
      ),
    ],
  ],
]);

refusesChanges(validatingAdmissionPolicies, { metadata, spec }, [
  ["may judge otherwise", { "spec.validations.0.expression": "false" }, []],
  [
    "may not judge by nothing",
    { "spec.validations.0.expression": "" },
    ["spec.validations[0].expression: Required value: expression is not specified"],
  ],
]);
refusesChanges(
  validatingAdmissionPolicies,
  { metadata, spec },
  [
    [
      "may not warn of nothing, nowhere",
      {
        "status.typeChecking.expressionWarnings": [
          { warning: "", fieldRef: " " },
          { warning: "w", fieldRef: "spec.a" },
        ],
      },
      [
        "status.typeChecking.expressionWarnings[0].warning: Required value",
        "status.typeChecking.expressionWarnings[0].fieldRef: Required value",
      ],
    ],
    [
      "may not be in conditions without a reason",
      {
        "status.conditions": [{ type: "Ok", status: "True", lastTransitionTime: "2026-01-01T00:00:00Z", message: "" }],
      },
      ["status.conditions[0].reason: Required value"],
    ],
  ],
  "status",
);

const patch = "[JSONPatch{op: 'remove', path: '/a'}]";
const mutating = {
  metadata,
  spec: {
    ...constraints,
    mutations: [{ patchType: "JSONPatch", jsonPatch: { expression: patch } }],
    reinvocationPolicy: "Never",
  },
};
refuses(mutatingAdmissionPolicies, mutating, [
  [
    "that changes what goes",
    { "spec.matchConstraints.resourceRules": [rule, { ...rule, operations: ["DELETE", "READ"] }] },
    [
      'spec.matchConstraints.resourceRules[1].operations[1]: Unsupported value: "READ": supported values: "*", "CONNECT", "CREATE", "DELETE", "UPDATE"',
      'spec.matchConstraints.resourceRules.operations: Unsupported value: "DELETE": supported values: "*", "CONNECT", "CREATE", "UPDATE"',
      'spec.matchConstraints.resourceRules.operations: Unsupported value: "READ": supported values: "*", "CONNECT", "CREATE", "UPDATE"',
    ],
  ],
  [
    "that changes nothing, on conditions and by variables that are none",
    {
      "spec.mutations": [],
      "spec.matchConditions": [{ name: "a", expression: "Object{} == Object{}" }],
      "spec.variables": [{ name: "a", expression: "" }],
    },
    [
      expect.stringContaining("undeclared reference to 'Object'"),
      "spec.variables[0].expression: Required value: expression is not specified",
      "spec.mutations: Required value: mutations must contain at least one item",
    ],
  ],
  [
    "that says what it does not do, or not what it does",
    {
      "spec.mutations": [
        { jsonPatch: { expression: patch } },
        { patchType: "JSONPatch", applyConfiguration: { expression: "Object{}" } },
        { patchType: "ApplyConfiguration", jsonPatch: { expression: patch } },
        { patchType: "ApplyConfiguration", applyConfiguration: { expression: " " } },
      ],
      "spec.reinvocationPolicy": "Always",
    },
    [
      "spec.mutations[0].patchType: Required value",
      "spec.mutations[1].jsonPatch: Required value: must be specified when patchType is JSONPatch",
      'spec.mutations[1].applyConfiguration: Invalid value: "{applyConfiguration}": must not be specified when patchType is JSONPatch',
      "spec.mutations[2].applyConfiguration: Required value: must be specified when patchType is ApplyConfiguration",
      'spec.mutations[2].jsonPatch: Invalid value: "{jsonPatch}": must not be specified when patchType is ApplyConfiguration',
      "spec.mutations[3].applyConfiguration.expression: Required value",
      'spec.reinvocationPolicy: Unsupported value: "Always": supported values: "IfNeeded", "Never"',
    ],
  ],
  [
    "that makes something else",
    {
      "spec.mutations": [
        { patchType: "JSONPatch", jsonPatch: { expression: " [] " } },
        { patchType: "ApplyConfiguration", applyConfiguration: { expression: "Object.spec{}" } },
      ],
    },
    [
      'spec.mutations[0].jsonPatch.expression: Invalid value: "[]": must evaluate to list(JSONPatch) but got list(dyn)',
      'spec.mutations[1].applyConfiguration.expression: Invalid value: "Object.spec{}": must evaluate to Object but got Object.spec',
    ],
  ],
]);

refuses(mutatingAdmissionPolicyBindings, { metadata, spec: { policyName: "rule" } }, [
  ["of nothing", { "spec.policyName": "" }, ["spec.policyName: Required value"]],
  ["of what has no name", { "spec.policyName": "A" }, [`spec.policyName: Invalid value: "A": ${subdomain}`]],
  [
    "for what goes",
    { "spec.matchResources": { matchPolicy: "", resourceRules: [{ ...rule, operations: ["DELETE"] }] } },
    [
      'spec.matchResources.matchPolicy: Unsupported value: "": supported values: "Equivalent", "Exact"',
      'spec.matchResources.resourceRules.operations: Unsupported value: "DELETE": supported values: "*", "CONNECT", "CREATE", "UPDATE"',
    ],
  ],
]);

for (const [definition, object] of [
  [validatingAdmissionPolicies, { metadata, spec }],
  [mutatingAdmissionPolicies, mutating],
  [validatingAdmissionPolicyBindings, { metadata, spec: { policyName: "rule", validationActions: ["Deny"] } }],
  [mutatingAdmissionPolicyBindings, { metadata, spec: { policyName: "rule" } }],
] as const) {
  warns(definition, object, [
    [
      "that its name will be another's",
      { "metadata.name": "a.static.k8s.io" },
      [
        'metadata.name: names ending with ".static.k8s.io" will be reserved for static manifest-based configurations when the ManifestBasedAdmissionControlConfig feature gate is enabled',
      ],
    ],
  ]);
}
