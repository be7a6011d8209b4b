import { refuses, refusesChanges } from "../../testing/refusals.ts";
import { configMaps } from "./config-map.ts";
import { secrets } from "./secret.ts";

const configKey =
  "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
const metadata = { name: "conf", namespace: "default" };
const mebibyte = "x".repeat(1024 * 1024);

refuses(configMaps, { metadata, data: { a: "b" } }, [
  ["with a key of two words", { "data.a b": "" }, [`data[a b]: Invalid value: "a b": ${configKey}`]],
  ["with a key that leads upwards", { data: { "..": "" } }, ["data[..]: Invalid value: \"..\": must not be '..'"]],
  ["with a key that hides", { data: { "..a": "" } }, ["data[..a]: Invalid value: \"..a\": must not start with '..'"]],
  [
    "with a key too long for a file",
    { data: { ["k".repeat(254)]: "" } },
    [`data[${"k".repeat(254)}]: Invalid value: "${"k".repeat(254)}": must be no more than 253 characters`],
  ],
  [
    "with one key for text and bytes",
    { binaryData: { a: "AA==" } },
    ['data[a]: Invalid value: "a": duplicate of key present in binaryData'],
  ],
  ["larger than a mebibyte", { "data.b": mebibyte }, ["[]: Too long: may not be more than 1048576 bytes"]],
]);
const fixed = "Forbidden: field is immutable when `immutable` is set";
refusesChanges(configMaps, { metadata, data: { a: "b" } }, [
  ["is fine as long as it is not fixed", { data: { c: "d" } }, []],
  [
    "that is fixed is refused",
    { data: { c: "d" }, binaryData: { e: "AA==" } },
    [`data: ${fixed}`, `binaryData: ${fixed}`],
    { immutable: true },
  ],
  ["cannot be freed again", { immutable: undefined }, [`immutable: ${fixed}`], { immutable: true }],
]);

refuses(secrets, { metadata, data: { a: "YQ==" } }, [
  ["with a key of two words", { data: { "a b": "" } }, [`data[a b]: Invalid value: "a b": ${configKey}`]],
  [
    "larger than a mebibyte",
    { stringData: { b: `${mebibyte}x` } },
    ["data: Too long: may not be more than 1048576 bytes"],
  ],
  [
    "that is a certificate without its halves",
    { type: "kubernetes.io/tls" },
    ["data[tls.crt]: Required value", "data[tls.key]: Required value"],
  ],
  [
    "that is a login without a name or word",
    { type: "kubernetes.io/basic-auth" },
    ["data[username]: Required value", "data[password]: Required value"],
  ],
  ["that is a key without a key", { type: "kubernetes.io/ssh-auth" }, ["data[ssh-privatekey]: Required value"]],
  [
    "that is a token of nobody",
    { type: "kubernetes.io/service-account-token" },
    ["metadata.annotations[kubernetes.io/service-account.name]: Required value"],
  ],
  [
    "that is a registry's login without it",
    { type: "kubernetes.io/dockerconfigjson" },
    ["data[.dockerconfigjson]: Required value"],
  ],
  [
    "that is a registry's login in no known writing",
    { type: "kubernetes.io/dockercfg", stringData: { ".dockercfg": "xyz" } },
    [
      "data[.dockercfg]: Invalid value: \"<secret contents redacted>\": invalid character 'x' looking for beginning of value",
    ],
  ],
  [
    "that is a registry's login written []",
    { type: "kubernetes.io/dockerconfigjson", stringData: { ".dockerconfigjson": "[]" } },
    [
      'data[.dockerconfigjson]: Invalid value: "<secret contents redacted>": json: cannot unmarshal array into Go value of type map[string]interface {}',
    ],
  ],
  [
    "that is a registry's login written not json",
    { type: "kubernetes.io/dockerconfigjson", stringData: { ".dockerconfigjson": "not json" } },
    [
      "data[.dockerconfigjson]: Invalid value: \"<secret contents redacted>\": invalid character 'o' in literal null (expecting 'u')",
    ],
  ],
  [
    "that is a registry's login written {a}",
    { type: "kubernetes.io/dockerconfigjson", stringData: { ".dockerconfigjson": "{a}" } },
    [
      "data[.dockerconfigjson]: Invalid value: \"<secret contents redacted>\": invalid character 'a' looking for beginning of object key string",
    ],
  ],
  [
    "that is a registry's login written as nothing",
    { type: "kubernetes.io/dockerconfigjson", stringData: { ".dockerconfigjson": " " } },
    ['data[.dockerconfigjson]: Invalid value: "<secret contents redacted>": unexpected end of JSON input'],
  ],
]);
refusesChanges(secrets, { metadata, data: { a: "YQ==" } }, [
  ["may not make it another type", { type: "a.test/c" }, ['type: Invalid value: "a.test/c": field is immutable']],
  ["that is fixed is refused", { data: { a: "Yg==" } }, [`data: ${fixed}`], { immutable: true }],
  ["cannot be freed again", { immutable: false }, [`immutable: ${fixed}`], { immutable: true }],
]);
