import { expect } from "vitest";
import { refuses, refusesChanges, warns } from "../../testing/refusals.ts";
import { mutatingWebhookConfigurations, validatingWebhookConfigurations } from "./webhook.ts";

const metadata = { name: "web" };
const subdomain =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const dns1035 =
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";

const hook = {
  name: "a.b.test",
  sideEffects: "None",
  admissionReviewVersions: ["v1"],
  clientConfig: { url: "https://a.test" },
};
for (const definition of [validatingWebhookConfigurations, mutatingWebhookConfigurations] as const) {
  refuses(definition, { metadata, webhooks: [hook] }, [
    [
      "without a full name",
      { "webhooks.0.name": "x" },
      ['webhooks[0].name: Invalid value: "x": should be a domain with at least three segments separated by dots'],
    ],
    ["twice under one name", { "webhooks.1": hook }, ['webhooks[1].name: Duplicate value: "a.b.test"']],
    [
      "without an address",
      { "webhooks.0.clientConfig": {} },
      ["webhooks[0].clientConfig: Required value: exactly one of url or service is required"],
    ],
    [
      "at URLs that lead nowhere",
      { "webhooks.0.clientConfig.url": "x" },
      [
        "webhooks[0].clientConfig.url: Invalid value: \"\": 'https' is the only allowed URL scheme; desired format: https://host[/path]",
        'webhooks[0].clientConfig.url: Invalid value: "": host must be specified; desired format: https://host[/path]',
      ],
    ],
    [
      "at URLs with a port that is none",
      { "webhooks.0.clientConfig.url": "https://a.test:b/" },
      [
        'webhooks[0].clientConfig.url: Required value: url must be a valid URL: parse "https://a.test:b/": invalid port ":b" after host; desired format: https://host[/path]',
      ],
    ],
    [
      "at URLs with a login",
      { "webhooks.0.clientConfig.url": "https://u:p@a.test/" },
      ['webhooks[0].clientConfig.url: Invalid value: "u:p": user information is not permitted in the URL'],
    ],
    [
      "in the open",
      { "webhooks.0.clientConfig.url": "http://a.test?b" },
      [
        "webhooks[0].clientConfig.url: Invalid value: \"http\": 'https' is the only allowed URL scheme; desired format: https://host[/path]",
        'webhooks[0].clientConfig.url: Invalid value: "b": query parameters are not permitted in the URL',
      ],
    ],
    [
      "that says not what it does",
      { "webhooks.0.sideEffects": undefined, "webhooks.0.admissionReviewVersions": [] },
      [
        "webhooks[0].sideEffects: Required value: must specify one of None, NoneOnDryRun",
        "webhooks[0].admissionReviewVersions: Required value: must specify one of v1, v1beta1",
      ],
    ],
    [
      "that takes its time and fails in ways nobody knows",
      { "webhooks.0.timeoutSeconds": 31, "webhooks.0.failurePolicy": "Shrug" },
      [
        'webhooks[0].failurePolicy: Unsupported value: "Shrug": supported values: "Fail", "Ignore"',
        "webhooks[0].timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds",
      ],
    ],
    [
      "about everything and something",
      { "webhooks.0.rules": [{ operations: ["*", "CREATE"], apiGroups: ["*"], apiVersions: [], resources: [""] }] },
      [
        'webhooks[0].rules[0].operations: Invalid value: ["*","CREATE"]: if \'*\' is present, must not specify other operations',
        "webhooks[0].rules[0].apiVersions: Required value",
        "webhooks[0].rules[0].resources[0]: Required value",
      ],
    ],
    [
      "on conditions without names",
      {
        "webhooks.0.matchConditions": [
          { name: "a", expression: "true" },
          { name: "a", expression: " " },
          { expression: "true" },
        ],
      },
      [
        "webhooks[0].matchConditions[1].expression: Required value",
        'webhooks[0].matchConditions[1].name: Duplicate value: "a"',
        "webhooks[0].matchConditions[2].name: Required value",
      ],
    ],
    [
      "by a name that is no domain",
      { "webhooks.0.name": `${"a".repeat(254)}_` },
      [`webhooks[0].name: Invalid value: "${"a".repeat(254)}_": must be no more than 253 characters,${subdomain}`],
    ],
    [
      "without names, each for itself",
      {
        webhooks: [
          { ...hook, name: "" },
          { ...hook, name: "" },
        ],
      },
      ["webhooks[0].name: Required value", "webhooks[1].name: Required value"],
    ],
    [
      "about resources that another of its words covers",
      {
        "webhooks.0.rules": [
          { operations: [""], apiGroups: [], apiVersions: ["*", ""], resources: ["*/*", "a/b"], scope: "" },
          {
            operations: [],
            apiGroups: ["*", "a"],
            apiVersions: ["v1"],
            resources: ["*", "pods/*", "pods/log", "pods"],
          },
        ],
      },
      [
        'webhooks[0].rules[0].operations[0]: Unsupported value: "": supported values: "*", "CONNECT", "CREATE", "DELETE", "UPDATE"',
        "webhooks[0].rules[0].apiGroups: Required value",
        'webhooks[0].rules[0].apiVersions: Invalid value: ["*",""]: if \'*\' is present, must not specify other API versions',
        "webhooks[0].rules[0].apiVersions[1]: Required value",
        'webhooks[0].rules[0].resources: Invalid value: ["*/*","a/b"]: if \'*/*\' is present, must not specify other resources',
        'webhooks[0].rules[0].scope: Unsupported value: "": supported values: "*", "Cluster", "Namespaced"',
        "webhooks[0].rules[1].operations: Required value",
        'webhooks[0].rules[1].apiGroups: Invalid value: ["*","a"]: if \'*\' is present, must not specify other API groups',
        "webhooks[0].rules[1].resources[2]: Invalid value: \"pods/log\": if 'pods/*' is present, must not specify pods/log",
        'webhooks[0].rules[1].resources: Invalid value: ["*","pods/*","pods/log","pods"]: if \'*\' is present, must not specify other resources without subresources',
      ],
    ],
    [
      "in versions of no name, or twice",
      { "webhooks.0.admissionReviewVersions": ["V", "v2", "v2"] },
      [
        `webhooks[0].admissionReviewVersions[0]: Invalid value: "V": ${dns1035}`,
        'webhooks[0].admissionReviewVersions[2]: Invalid value: "v2": duplicate version',
        'webhooks[0].admissionReviewVersions: Invalid value: ["V","v2","v2"]: must include at least one of v1, v1beta1',
      ],
    ],
    [
      "that does what it should not, and matches as nobody does",
      { "webhooks.0.sideEffects": "Some", "webhooks.0.matchPolicy": "", "webhooks.0.timeoutSeconds": 0 },
      [
        'webhooks[0].matchPolicy: Unsupported value: "": supported values: "Equivalent", "Exact"',
        'webhooks[0].sideEffects: Unsupported value: "Some": supported values: "None", "NoneOnDryRun"',
        "webhooks[0].timeoutSeconds: Invalid value: 0: the timeout value must be between 1 and 30 seconds",
      ],
    ],
    [
      "for objects that no label can have",
      {
        "webhooks.0.namespaceSelector": { matchLabels: { a: "-" } },
        "webhooks.0.objectSelector": {
          matchExpressions: [
            { key: "a", operator: "In" },
            { key: "a", operator: "Is" },
          ],
        },
      },
      [
        expect.stringContaining('webhooks[0].namespaceSelector.matchLabels: Invalid value: "-": a valid label must be'),
        "webhooks[0].objectSelector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
        'webhooks[0].objectSelector.matchExpressions[1].operator: Invalid value: "Is": not a valid selector operator',
      ],
    ],
    [
      // Upstream takes the name for the namespace.
      "at a Service of no name, none of no namespace, and a port that is none",
      {
        "webhooks.0.clientConfig": { service: { namespace: "a", port: 70000 } },
        "webhooks.1": { ...hook, name: "b.b.test", clientConfig: { service: { name: "a" } } },
      },
      [
        "webhooks[0].clientConfig.service.namespace: Required value",
        "webhooks[0].clientConfig.service.port: Invalid value: 70000: port is not valid: must be between 1 and 65535, inclusive",
        "webhooks[1].clientConfig.service.name: Required value",
      ],
    ],
    [
      "at an address, on conditions that cannot be told, in this order",
      {
        "webhooks.0.clientConfig": {},
        "webhooks.0.matchConditions": [
          { name: "a b", expression: " object.a " },
          { name: "b", expression: "1 + 'a'" },
          { name: "c", expression: "variables.a" },
          { name: "d", expression: "params == null" },
          { name: "e", expression: "namespaceObject == null" },
        ],
      },
      [
        "webhooks[0].clientConfig: Required value: exactly one of url or service is required",
        'webhooks[0].matchConditions[0].expression: Invalid value: "object.a": must evaluate to bool but got dyn',
        expect.stringContaining('webhooks[0].matchConditions[0].name: Invalid value: "a b": name part must consist of'),
        "webhooks[0].matchConditions[1].expression: Invalid value: \"1 + 'a'\": compilation failed: ERROR: <input>:1:3: found no matching overload for '_+_' applied to '(int, string)'\n | 1 + 'a'\n | ..^",
        "webhooks[0].matchConditions[2].expression: Invalid value: \"variables.a\": compilation failed: ERROR: <input>:1:1: undeclared reference to 'variables' (in container '')\n | variables.a\n | ^",
        "webhooks[0].matchConditions[3].expression: Invalid value: \"params == null\": compilation failed: ERROR: <input>:1:1: undeclared reference to 'params' (in container '')\n | params == null\n | ^",
      ],
    ],
    [
      "on more conditions than anybody reads",
      {
        "webhooks.0.matchConditions": Array.from({ length: 65 }, (_, i) => ({ name: `c${i}`, expression: "true" })),
      },
      ["webhooks[0].matchConditions: Too many: 65: must have at most 64 items"],
    ],
  ]);
}
refuses(mutatingWebhookConfigurations, { metadata, webhooks: [hook] }, [
  [
    "that is asked again in ways nobody knows",
    { "webhooks.0.reinvocationPolicy": "Always", "webhooks.0.clientConfig": {} },
    [
      'webhooks[0].reinvocationPolicy: Unsupported value: "Always": supported values: "IfNeeded", "Never"',
      "webhooks[0].clientConfig: Required value: exactly one of url or service is required",
    ],
  ],
]);

for (const definition of [validatingWebhookConfigurations, mutatingWebhookConfigurations] as const) {
  refusesChanges(definition, { metadata, webhooks: [hook] }, [
    ["may ask another", { "webhooks.0.clientConfig.url": "https://b.test" }, []],
    ["may ask nobody", { webhooks: [] }, []],
    [
      "may not lose its name",
      { "webhooks.0.name": "a" },
      ['webhooks[0].name: Invalid value: "a": should be a domain with at least three segments separated by dots'],
    ],
  ]);
  warns(definition, { metadata, webhooks: [hook] }, [
    [
      "that its name will be another's",
      { "metadata.name": "a.static.k8s.io" },
      [
        'metadata.name: names ending with ".static.k8s.io" will be reserved for static manifest-based configurations when the ManifestBasedAdmissionControlConfig feature gate is enabled',
      ],
    ],
  ]);
}

const atService = {
  name: "a.b.test",
  sideEffects: "None",
  admissionReviewVersions: ["v1"],
  clientConfig: { service: { name: "hook", namespace: "default" } },
};
refuses(validatingWebhookConfigurations, { metadata, webhooks: [atService] }, [
  [
    "at a path that is none",
    { "webhooks.0.clientConfig.service.path": "/a//B/" },
    [
      'webhooks[0].clientConfig.service.path: Invalid value: "/a//B/": segment[1] may not be empty',
      `webhooks[0].clientConfig.service.path: Invalid value: "/a//B/": segment[2]: ${subdomain}`,
    ],
  ],
]);
