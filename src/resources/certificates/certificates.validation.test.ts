import { expect } from "vitest";
import { refuses, refusesChanges } from "../../testing/refusals.ts";
import { clientCertificate, newAuthority } from "../../testing/webhook-server.ts";
import { certificateSigningRequests } from "./certificate-signing-request.ts";
import { clusterTrustBundles } from "./cluster-trust-bundle.ts";

const metadata = { name: "web" };
const subdomain =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const label =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const noRequest = "PEM block type must be CERTIFICATE REQUEST";

/** Of a key of P-256, for CN=jane. */
const pem =
  "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlISU1IRUNBUUF3RHpFTk1Bc0dBMVVFQXd3RWFtRnVaVEJaTUJNR0J5cUdTTTQ5QWdFR0NDcUdTTTQ5QXdFSApBMElBQkphby83WmYveFRTVnhOSWdsRCsrZDhyRDRRa1Z1TDNXZUJlL2JscGZjZGdtb3ZMSDVqcGRFcVQ4YlhyCmxMV2tBbytUZkd4OWlMQXlqbHJVYnJNRnRGMmdBREFLQmdncWhrak9QUVFEQWdOSEFEQkVBaUFSMnVKZ29pdVMKZE1nbTlUZ1VhRjcvNjQ0Vnd2RU16QjZQMHU3QnFjZmZkUUlnVHBWUlc3c0J3cVBaUVJMd0Z3V2swMERERDdRNgplbm91c21kQ29IN2M0OEE9Ci0tLS0tRU5EIENFUlRJRklDQVRFIFJFUVVFU1QtLS0tLQo=";
const request = { metadata, spec: { request: pem, signerName: "a.test/b", usages: ["client auth"] } };
refuses(certificateSigningRequests, request, [
  [
    "that asks for nothing",
    { "spec.request": "AAEC" },
    ['spec.request: Invalid value: "AAEC": PEM block type must be CERTIFICATE REQUEST'],
  ],
  [
    "for uses nobody knows, or twice",
    { "spec.usages": ["client auth", "client auth", "zz"] },
    [
      expect.stringMatching(/^spec\.usages\[2\]: Unsupported value: "zz": supported values: "any", "cert sign", /),
      'spec.usages[1]: Duplicate value: "client auth"',
    ],
  ],
  ["for no use", { "spec.usages": [] }, ["spec.usages: Required value"]],
  ["that asks with no word", { "spec.request": undefined }, [`spec.request: Invalid value: null: ${noRequest}`]],
  ["that asks with an empty word", { "spec.request": "" }, [`spec.request: Invalid value: "": ${noRequest}`]],
  ["for a signer it does not name", { "spec.signerName": "" }, ["spec.signerName: Required value"]],
  [
    "to a signer of no domain, by no name",
    { "spec.signerName": "A/b..c" },
    [
      `spec.signerName: Invalid value: "A": validating label "A": ${label}`,
      'spec.signerName: Invalid value: "A": should be a domain with at least two segments separated by dots',
      `spec.signerName: Invalid value: "b..c": validating label "": ${subdomain}`,
    ],
  ],
  [
    "to a signer whose name is too long",
    { "spec.signerName": `${"a".repeat(63)}.${"b".repeat(190)}/${"c".repeat(254)}.${"d".repeat(254)}` },
    [
      "spec.signerName: Too long: may not be more than 253 bytes",
      `spec.signerName: Invalid value: "${"a".repeat(63)}.${"b".repeat(190)}": validating label "${"b".repeat(190)}": must be no more than 63 characters`,
      `spec.signerName: Invalid value: "${"c".repeat(254)}.${"d".repeat(254)}": validating label "${"c".repeat(254)}": must be no more than 253 characters`,
      "spec.signerName: Too long: may not be more than 571 bytes",
    ],
  ],
  [
    "to nobody",
    { "spec.signerName": "me" },
    [
      "spec.signerName: Invalid value: \"me\": must be a fully qualified domain and path of the form 'example.com/signer-name'",
    ],
  ],
  [
    "to the signer of old",
    { "spec.signerName": "kubernetes.io/legacy-unknown" },
    [
      'spec.signerName: Invalid value: "kubernetes.io/legacy-unknown": the legacy signerName is not allowed via this API version',
    ],
  ],
  [
    "for too short a time",
    { "spec.expirationSeconds": 5 },
    ["spec.expirationSeconds: Invalid value: 5: may not specify a duration less than 600 seconds (10 minutes)"],
  ],
]);
const approved = { type: "Approved", status: "True" };
const denied = { type: "Denied", status: "True" };
const conditions = "status.conditions";
const said = [
  { type: "B", status: "True" },
  { type: "B", status: "True" },
  { type: "", status: "False" },
];
const block = (type: string, body = "") =>
  Buffer.from(`-----BEGIN ${type}-----\n${body}-----END ${type}-----\n`).toString("base64");
refusesChanges(certificateSigningRequests, request, [
  ["does not change what is asked for", { "spec.signerName": "b.test/c" }, []],
  ["gives no verdict", { [conditions]: [] }, [], { [conditions]: [] }],
  [
    "may not give a verdict",
    { [conditions]: [approved] },
    ['status.conditions: Forbidden: updates may not add a condition of type "Approved"'],
  ],
]);
refusesChanges(
  certificateSigningRequests,
  request,
  [
    ["may approve", { [conditions]: [approved] }, []],
    [
      "may not say two things, or nothing, or half of it",
      { [conditions]: [approved, denied, { type: "", status: "" }, { type: "Failed", status: "False" }] },
      [
        'status.conditions: Invalid value: "Denied": Approved and Denied conditions are mutually exclusive',
        "status.conditions[2].type: Required value",
        "status.conditions[2].status: Required value",
        'status.conditions[3].status: Unsupported value: "False": supported values: "True"',
      ],
    ],
    [
      "may not bring a certificate",
      { "status.certificate": "AAEC" },
      [
        'status.certificate: Invalid value: "<certificate data>": must contain at least one CERTIFICATE PEM block',
        "status.certificate: Forbidden: updates may not set certificate content",
      ],
    ],
  ],
  "approval",
);
refusesChanges(
  certificateSigningRequests,
  request,
  [
    [
      "may not take a verdict back",
      { [conditions]: [] },
      ['status.conditions: Forbidden: updates may not remove a condition of type "Denied"'],
      { [conditions]: [denied] },
    ],
    [
      "may not give a verdict, or another",
      { [conditions]: [{ ...approved, reason: "B" }, denied] },
      [
        'status.conditions: Invalid value: "Denied": Approved and Denied conditions are mutually exclusive',
        'status.conditions: Forbidden: updates may not add a condition of type "Denied"',
      ],
      { [conditions]: [{ ...approved, reason: "A" }] },
    ],
    [
      "may not change a certificate",
      { "status.certificate": "" },
      ["status.certificate: Forbidden: updates may not modify existing certificate content"],
      { "status.certificate": "AAEC" },
    ],
    [
      "may not bring what is no certificate",
      { "status.certificate": "AAEC" },
      ['status.certificate: Invalid value: "<certificate data>": must contain at least one CERTIFICATE PEM block'],
    ],
    [
      "may not bring a key",
      { "status.certificate": block("RSA \tKEY") },
      [
        'status.certificate: Invalid value: "<certificate data>": only CERTIFICATE PEM blocks are allowed, found "RSA \\tKEY"',
      ],
    ],
    [
      "may not bring a certificate with remarks",
      { "status.certificate": block("CERTIFICATE", "a: b\n\nAAEC\n") },
      ['status.certificate: Invalid value: "<certificate data>": no PEM block headers are permitted'],
    ],
    [
      "may not bring nothing as a certificate",
      { "status.certificate": block("CERTIFICATE") },
      [
        'status.certificate: Invalid value: "<certificate data>": found CERTIFICATE PEM block containing 0 certificates',
      ],
    ],
    [
      "may add to what was said twice before",
      { [conditions]: [...said, { type: "C", status: "True" }, { type: "", status: "True" }] },
      [],
      { [conditions]: said },
    ],
    [
      "may not say twice what was said once",
      { [conditions]: [said[0], said[0]] },
      ['status.conditions[1].type: Duplicate value: "B"'],
      { [conditions]: said.slice(0, 1) },
    ],
  ],
  "status",
);

const authority = newAuthority();
const anchor = `${authority.certificatePem.trim()}\n`;
const leaf = clientCertificate(authority, "someone").certificatePem;
const none = 'spec.trustBundle: Invalid value: "<value omitted>"';
const bundle = { metadata: { name: "a.test:b:c" }, spec: { signerName: "a.test/b", trustBundle: anchor } };
refuses(clusterTrustBundles, bundle, [
  ["that trusts nobody", { "spec.trustBundle": "" }, [`${none}: at least one trust anchor must be provided`]],
  [
    "that trusts somebody twice",
    { "spec.trustBundle": anchor + anchor },
    [`${none}: duplicate trust anchor (indices [0 1])`],
  ],
  [
    "that trusts what is no authority",
    {
      "spec.trustBundle": [
        anchor,
        anchor.replaceAll("CERTIFICATE", "KEY"),
        anchor.replace("\n", "\na: b\n\n"),
        "-----BEGIN CERTIFICATE-----\nAAEC\n-----END CERTIFICATE-----\n",
        leaf,
      ].join("\n"),
    },
    [
      `${none}: entry 1 has bad block type: KEY`,
      `${none}: entry 2 has PEM block headers`,
      `${none}: entry 3 does not parse as X.509`,
      `${none}: entry 4 does not have the CA bit set`,
    ],
  ],
  [
    "of more than anybody reads",
    { "spec.trustBundle": "é".repeat(512 * 1024 + 1) },
    ["spec.trustBundle: Too long: may not be more than 1048576 bytes"],
  ],
  [
    "under another signer's name",
    { "metadata.name": "c.test:b:c" },
    [
      'metadata.name: Invalid value: "c.test:b:c": ClusterTrustBundle for signerName a.test/b must be named with prefix a.test:b:',
    ],
  ],
  [
    "under a signer's name without its name",
    { "metadata.name": "a.test:b:C" },
    [`metadata.name: Invalid value: "a.test:b:C": ${subdomain}`],
  ],
  [
    "of no signer under a signer's name",
    { "spec.signerName": "" },
    [
      'metadata.name: Invalid value: "a.test:b:c": ClusterTrustBundle without signer name must not have ":" in its name',
    ],
  ],
]);
refusesChanges(clusterTrustBundles, bundle, [
  [
    "may not go over to another signer",
    { "spec.signerName": "c.test/b", "metadata.name": "c.test:b:c" },
    ['spec.signerName: Invalid value: "c.test/b": field is immutable'],
  ],
  ["may keep what is no bundle", { "metadata.labels": { a: "b" } }, [], { "spec.trustBundle": "x" }],
]);
