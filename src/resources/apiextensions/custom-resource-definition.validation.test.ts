import { expect } from "vitest";
import { refuses, refusesChanges } from "../../testing/refusals.ts";
import { customResourceDefinitions } from "./custom-resource-definition.ts";

const dns1035 =
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const subdomain =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const stands = "field is immutable";
const schema = {
  openAPIV3Schema: {
    type: "object",
    properties: { spec: { type: "object", properties: { a: { type: "string" }, b: { type: "object" } } } },
  },
};
const otherSchema = { openAPIV3Schema: { ...schema.openAPIV3Schema, description: "other" } };
const v1 = { name: "v1", served: true, storage: true, schema };
const v2 = { name: "v2", served: true, storage: false, schema };
const definition = {
  metadata: { name: "things.a.test" },
  spec: { group: "a.test", scope: "Cluster", names: { plural: "things", kind: "Thing" }, versions: [v1] },
};
const long = "a".repeat(64);

refuses(customResourceDefinitions, definition, [
  [
    "under another name",
    { "metadata.name": "things" },
    ['metadata.name: Invalid value: "things": must be spec.names.plural+"."+spec.group'],
  ],
  [
    "of no group, nowhere, under no name",
    { "metadata.name": ".", spec: { group: "", scope: "", names: { plural: "" }, versions: [v1] } },
    [
      "spec.group: Required value",
      "spec.scope: Required value",
      "spec.names.plural: Required value",
      "spec.names.singular: Required value",
      "spec.names.kind: Required value",
      "spec.names.listKind: Required value",
    ],
  ],
  [
    "of a group that is no domain",
    { "metadata.name": "things.test", "spec.group": "test" },
    ['spec.group: Invalid value: "test": should be a domain with at least one dot'],
  ],
  [
    "of a group with more than one mistake, told at once",
    { "metadata.name": `things.${"a".repeat(254)}_`, "spec.group": `${"a".repeat(254)}_` },
    [`spec.group: Invalid value: "${"a".repeat(254)}_": must be no more than 253 characters,${subdomain}`],
  ],
  [
    "by names that are none",
    {
      "metadata.name": "-.a.test",
      "spec.names": {
        plural: "-",
        singular: `${long}_`,
        kind: "T t",
        listKind: "T t",
        shortNames: ["T"],
        categories: ["_"],
      },
    },
    [
      `spec.names.plural: Invalid value: "-": ${dns1035}`,
      `spec.names.singular: Invalid value: "${long}_": must be no more than 63 characters,${dns1035}`,
      `spec.names.kind: Invalid value: "T t": may have mixed case, but should otherwise match: ${dns1035}`,
      `spec.names.listKind: Invalid value: "T t": may have mixed case, but should otherwise match: ${dns1035}`,
      `spec.names.shortNames[0]: Invalid value: "T": ${dns1035}`,
      'spec.names.listKind: Invalid value: "T t": kind and listKind may not be the same',
      `spec.names.categories[0]: Invalid value: "_": ${dns1035}`,
    ],
  ],
  [
    "without versions",
    { "spec.versions": [] },
    [
      "spec.versions: Invalid value: []: must have exactly one version marked as storage version",
      "status.storedVersions: Invalid value: null: must have at least one stored version",
    ],
  ],
  [
    "with warnings that warn of nothing, or cannot be read",
    {
      "spec.versions": [
        { ...v1, deprecationWarning: "x" },
        { ...v2, deprecated: true, deprecationWarning: "" },
        { ...v2, name: "v3", deprecated: true, deprecationWarning: `é\n${"x".repeat(256)}` },
      ],
    },
    [
      'spec.versions[0].deprecationWarning: Invalid value: "x": can only be set for deprecated versions',
      'spec.versions[1].deprecationWarning: Invalid value: "": must not be an empty string',
      `spec.versions[2].deprecationWarning: Invalid value: "é\\n${"x".repeat(256)}": must be <= 256 characters long`,
      `spec.versions[2].deprecationWarning: Invalid value: "é\\n${"x".repeat(256)}": must only contain printable UTF-8 characters; non-printable character found at index 2`,
    ],
  ],
  [
    "with columns of nothing, or of what is none",
    {
      "spec.versions.0.additionalPrinterColumns": [
        { name: "", type: "", jsonPath: "" },
        { name: "a", type: "text", format: "long", jsonPath: "spec.a" },
      ],
    },
    [
      "spec.additionalPrinterColumns[0].name: Required value",
      "spec.additionalPrinterColumns[0].type: Required value: must be one of boolean,date,integer,number,string",
      "spec.additionalPrinterColumns[0].JSONPath: Required value",
      'spec.additionalPrinterColumns[1].type: Invalid value: "text": must be one of boolean,date,integer,number,string',
      'spec.additionalPrinterColumns[1].format: Invalid value: "long": must be one of byte,date,date-time,double,float,int32,int64,password',
      'spec.additionalPrinterColumns[1].JSONPath: Invalid value: "spec.a": must be a simple json path starting with .',
    ],
  ],
  [
    "scaled by what is elsewhere",
    {
      "spec.versions.0.subresources": {
        scale: { specReplicasPath: "", statusReplicasPath: ".spec.a", labelSelectorPath: ".metadata.a" },
      },
    },
    [
      "spec.subresources.scale.specReplicasPath: Required value",
      'spec.subresources.scale.statusReplicasPath: Invalid value: ".spec.a": should be a json path under .status',
      'spec.subresources.scale.labelSelectorPath: Invalid value: ".metadata.a": should be a json path under either .spec or .status',
    ],
  ],
  [
    "selected by what is not there, twice, or no text",
    {
      "spec.versions.0.selectableFields": [
        { jsonPath: "" },
        { jsonPath: ".spec.c" },
        { jsonPath: ".spec.a" },
        { jsonPath: ".spec.a" },
        { jsonPath: ".spec.b" },
      ],
    },
    [
      "spec.selectableFields[0].jsonPath: Required value",
      'spec.selectableFields[1].jsonPath: Invalid value: ".spec.c": is an invalid path: does not refer to a valid field',
      'spec.selectableFields[3].jsonPath: Duplicate value: ".spec.a"',
      'spec.selectableFields[4].jsonPath: Invalid value: ".spec.b": must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.',
    ],
  ],
  [
    "selected by what everything is selected by",
    {
      "spec.versions.0.schema.openAPIV3Schema.properties.metadata": {
        type: "object",
        properties: { name: { type: "string" } },
      },
      "spec.versions.0.selectableFields": [{ jsonPath: ".metadata.name" }],
    },
    ['spec.selectableFields[0].jsonPath: Invalid value: ".metadata.name": must not point to fields in metadata'],
  ],
  // What all versions have in common, upstream keeps in one place, and looks for what belongs together there alone.
  [
    "selected alike in versions that are not alike",
    {
      "spec.versions": [
        { ...v1, selectableFields: [{ jsonPath: ".spec.a" }] },
        { ...v2, schema: otherSchema, selectableFields: [{ jsonPath: ".spec.a" }] },
      ],
    },
    ['spec.selectableFields: Invalid value: "": may only be set when validations.schema is included'],
  ],
  [
    "selected differently in versions that are alike",
    { "spec.versions": [{ ...v1, selectableFields: [{ jsonPath: ".spec.a" }] }, v2] },
    [
      'spec.versions[0].selectableFields: Invalid value: "": may only be set when `version.schema.openAPIV3Schema` is not included',
    ],
  ],
  [
    "never for being selected differently in versions that differ",
    {
      "spec.versions": [
        { ...v1, selectableFields: [{ jsonPath: ".spec.a" }] },
        { ...v2, schema: otherSchema },
      ],
    },
    [],
  ],
  [
    "that keeps what it does not know, and fills in what is missing",
    {
      "spec.preserveUnknownFields": true,
      "spec.versions.0.schema.openAPIV3Schema.properties.spec.properties.a.default": "x",
    },
    [
      "spec.preserveUnknownFields: Invalid value: true: must be false in order to use defaults in the schema",
      "spec.preserveUnknownFields: Invalid value: true: cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead",
    ],
  ],
  [
    "converted by nobody, in versions that nobody knows",
    { "spec.conversion": { strategy: "Webhook", webhook: { conversionReviewVersions: ["v2", "v2", "V"] } } },
    [
      "spec.conversion.webhookClientConfig: Required value: required when strategy is set to Webhook",
      'spec.conversion.conversionReviewVersions[1]: Invalid value: "v2": duplicate version',
      `spec.conversion.conversionReviewVersions[2]: Invalid value: "V": ${dns1035}`,
      'spec.conversion.conversionReviewVersions: Invalid value: ["v2","v2","V"]: must include at least one of v1, v1beta1',
    ],
  ],
  [
    "converted by somebody, and not",
    {
      "spec.conversion": {
        strategy: "None",
        webhook: { clientConfig: { url: "https://a.test" }, conversionReviewVersions: ["v1"] },
      },
    },
    [
      "spec.conversion.webhookClientConfig: Forbidden: should not be set when strategy is not set to Webhook",
      "spec.conversion.conversionReviewVersions: Forbidden: should not be set when strategy is not set to Webhook",
    ],
  ],
  [
    // Upstream takes the name for the namespace. A bad bundle is told when the definition is to be served.
    "converted by a Service without a name, whose authority nobody looks at yet",
    {
      "spec.conversion": {
        strategy: "Webhook",
        webhook: {
          clientConfig: { service: { namespace: "a" }, caBundle: "eA==" },
          conversionReviewVersions: ["v1"],
        },
      },
    },
    ["spec.conversion.webhookClientConfig.service.namespace: Required value"],
  ],
  [
    "of the project itself, without its word",
    {
      "metadata.name": "things.a.k8s.io",
      "spec.group": "a.k8s.io",
      "metadata.annotations": { "api-approved.kubernetes.io": "me" },
    },
    [
      'metadata.annotations[api-approved.kubernetes.io]: Invalid value: "me": protected groups must have approval annotation "api-approved.kubernetes.io" with either a URL or a reason starting with "unapproved", see https://github.com/kubernetes/enhancements/pull/1111',
    ],
  ],
]);

const established = [{ type: "Established", status: "True", lastTransitionTime: "2026-01-01T00:00:00Z" }];
const converted = {
  strategy: "Webhook",
  webhook: { clientConfig: { url: "https://a.test" }, conversionReviewVersions: ["v1"] },
};
refusesChanges(customResourceDefinitions, definition, [
  ["may have another kind until it is served", { "spec.names.kind": "Other", "spec.names.listKind": "Others" }, []],
  [
    "may not have another kind, elsewhere, once it is served",
    { "spec.names.kind": "Other", "spec.scope": "Namespaced" },
    [`spec.scope: Invalid value: "Namespaced": ${stands}`, `spec.names.kind: Invalid value: "Other": ${stands}`],
    { "status.conditions": established },
  ],
  [
    "may not be of another group, or under another name",
    { "spec.group": "b.test", "spec.names.plural": "others" },
    [`spec.group: Invalid value: "b.test": ${stands}`, `spec.names.plural: Invalid value: "others": ${stands}`],
  ],
  [
    "may not lose a version in which objects are stored",
    { "spec.versions": [{ ...v2, storage: true }] },
    [
      'status.storedVersions[0]: Invalid value: "v1": missing from spec.versions; v1 was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in v1 and removes v1 from status.storedVersions',
    ],
  ],
  [
    "may not be converted by whom nobody can believe, once it is served",
    { "spec.conversion.webhook.clientConfig.caBundle": "eA==" },
    [
      'spec.conversion.webhookClientConfig.caBundle: Invalid value: "eA==": unable to load root certificates: unable to parse bytes as PEM block',
    ],
    { "spec.conversion": converted, "status.conditions": established },
  ],
  [
    "may not be converted by authorities that are none, once it is served",
    {
      "spec.conversion.webhook.clientConfig.caBundle": Buffer.from(
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
      ).toString("base64"),
    },
    [expect.stringContaining("unable to load root certificates: failed to parse certificate: x509:")],
    { "spec.conversion": converted, "status.conditions": established },
  ],
  [
    "may keep an authority that was none",
    { "spec.versions.1": v2 },
    [],
    {
      "spec.conversion": {
        ...converted,
        webhook: { ...converted.webhook, clientConfig: { url: "https://a.test", caBundle: "eA==" } },
      },
      "status.conditions": established,
    },
  ],
]);
