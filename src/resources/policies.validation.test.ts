import { refuses } from "../testing/refusals.ts";
import {
  mutatingAdmissionPolicies,
  validatingAdmissionPolicies,
  validatingAdmissionPolicyBindings,
} from "./admissionregistration/policy.ts";
import { validatingWebhookConfigurations } from "./admissionregistration/webhook.ts";

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
      'spec.validations[0].message: Invalid value: " ": message must be non-empty if specified',
      'spec.validations[0].reason: Unsupported value: "Mood": supported values: "Forbidden", "Invalid", "RequestEntityTooLarge"',
      'spec.validations[1].message: Invalid value: "a\\nb": message must not contain line breaks',
      'spec.validations[2].expression: Invalid value: "1": must evaluate to bool',
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
      'spec.variables[1].name: Invalid value: "for": name is not a valid CEL identifier',
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
      'spec.matchResouces.resourceRules[0].operations[0]: Unsupported value: "READ": supported values: "*", "CONNECT", "CREATE", "DELETE", "UPDATE"',
    ],
  ],
]);

const mutation = { patchType: "JSONPatch", jsonPatch: { expression: "[]" } };
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

const webhook = {
  name: "a.b.test",
  sideEffects: "None",
  admissionReviewVersions: ["v1"],
  clientConfig: { service: { name: "hook", namespace: "default" } },
};
refuses(validatingWebhookConfigurations, { metadata, webhooks: [webhook] }, [
  [
    "at a path that is none",
    { "webhooks.0.clientConfig.service.path": "/a//B/" },
    [
      'webhooks[0].clientConfig.service.path: Invalid value: "/a//B/": segment[1] may not be empty',
      `webhooks[0].clientConfig.service.path: Invalid value: "/a//B/": segment[2]: ${subdomain}`,
    ],
  ],
]);
