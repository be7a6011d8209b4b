// Reads what only Kubernetes' Go sources say of a field - whether it is a pointer, and what of it is written when it is empty - and the
// field numbers of packages that the protobuf document lacks. Writes the facts to supplement.json beside this script, which
// generate-api.mjs reads.
//
//   node scripts/generate-api/read-go.mjs --src DIR   (DIR holds k8s.io/api, k8s.io/apimachinery, k8s.io/apiextensions-apiserver)
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";

const { values } = parseArgs({ options: { src: { type: "string" } } });
const builtin = new Set(["string", "bool", "byte", "int", "int32", "int64", "float64", "map"]);
const roots = [
  "k8s.io/api",
  "k8s.io/apimachinery/pkg/apis/meta/v1",
  "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1",
];

/**
 * Per type, per JSON field, a sign, the Go type (as error messages print it) and the default that a marker gives to text, if any:
 * `*` a pointer, absent when nil; `*!` a pointer, null when nil; `?` a value, left out when empty (`omitempty`);
 * `!` a value, always written; `0` a value, left out when zero (`omitzero`).
 */
const fields = {};
const protobuf = {};

for (const root of roots) walk(root);

function walk(folder) {
  const structs = new Map();
  for (const entry of readdirSync(join(values.src, folder), { withFileTypes: true })) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory() && entry.name !== "testdata") walk(path);
    else if (/^types.*\.go$/.test(entry.name) && !entry.name.includes("swagger") && !entry.name.includes("_test"))
      readStructs(readFileSync(join(values.src, path), "utf8"), structs);
    else if (entry.name === "generated.proto" && folder.includes("apiextensions"))
      readMessages(readFileSync(join(values.src, path), "utf8"));
  }
  const goPackage = folder.slice(folder.lastIndexOf("/") + 1);
  const packageName = `io.${folder.replace("k8s.io/", "k8s/").replaceAll("/", ".")}`;
  for (const name of structs.keys()) {
    const flat = flatten(name, structs, goPackage);
    if (Object.keys(flat).length > 0) fields[`${packageName}.${name}`] = flat;
  }
}

function readStructs(text, structs) {
  for (const [, name, body] of text.matchAll(/^type (\w+) struct \{\n([\s\S]*?)^\}/gm)) {
    const members = [];
    /** Of the comment above a field. */
    let marked;
    for (const line of body.split("\n")) {
      if (/^\t\/\//.test(line)) {
        marked = /\+default=("[^"\s]*")$/.exec(line)?.[1] ?? marked;
        continue;
      }
      const match = /^\t(?:(\w+) +)?(\S+) +`[^`]*json:"([^"]*)"/.exec(line.replace(/\s+/g, " ").replace(/^ /, "\t"));
      if (match) members.push({ type: match[2], tag: match[3].split(","), marked });
      marked = undefined;
    }
    structs.set(name, members);
  }
}

function flatten(name, structs, goPackage) {
  const result = {};
  for (const { type, tag, marked } of structs.get(name) ?? []) {
    const [jsonName, ...options] = tag;
    if (jsonName === "-") continue;
    if (jsonName === "") {
      if (options.includes("inline")) Object.assign(result, flatten(type.replace(/^\*/, ""), structs, goPackage));
      continue;
    }
    const omits = options.includes("omitempty");
    const pointer = type.startsWith("*");
    const sign = options.includes("omitzero") ? "0" : (pointer ? "*" : "") + (omits ? (pointer ? "" : "?") : "!");
    result[jsonName] = `${sign} ${qualify(type.replace(/^\*/, ""), goPackage)}${marked ? ` ${marked}` : ""}`;
  }
  return result;
}

/** `[]Container` as `[]v1.Container`. */
function qualify(type, goPackage) {
  return type
    .replace(/\bmetav1\./g, "v1.")
    .replace(/(?<![\w.])[A-Za-z]\w*(?![\w.])/g, (name) => (builtin.has(name) ? name : `${goPackage}.${name}`))
    .replace(/\bbyte\b/, "uint8");
}

function readMessages(text) {
  const packageName = /^package (\S+);/m.exec(text)[1].replace("apiextensions_apiserver", "apiextensions-apiserver");
  for (const [, name, body] of text.matchAll(/^message (\w+) \{\n([\s\S]*?)^\}/gm)) {
    const message = {};
    for (const line of body.split("\n")) {
      const match = /^ {2}(optional |repeated )?(map<[^>]+>|\S+) (\w+) = (\d+);/.exec(line);
      if (!match) continue;
      let type = match[2].replaceAll(" ", "").replace(/(^|,)\./, "$1");
      if (/^[A-Z]\w*$/.test(type)) type = `${packageName}.${type}`;
      type = type.replace(/,([A-Z]\w*)>/, `,${packageName}.$1>`);
      message[match[3]] = [Number(match[4]), match[1] === "repeated " ? `repeated ${type}` : type];
    }
    protobuf[`${packageName}.${name}`] = message;
  }
}

// The aggregator's types; their source is in a module of its own.
const aggregator = "k8s.io.kube-aggregator.pkg.apis.apiregistration.v1";
const meta = "k8s.io.apimachinery.pkg.apis.meta.v1";
Object.assign(protobuf, {
  [`${aggregator}.APIService`]: {
    metadata: [1, `${meta}.ObjectMeta`],
    spec: [2, `${aggregator}.APIServiceSpec`],
    status: [3, `${aggregator}.APIServiceStatus`],
  },
  [`${aggregator}.APIServiceCondition`]: {
    type: [1, "string"],
    status: [2, "string"],
    lastTransitionTime: [3, `${meta}.Time`],
    reason: [4, "string"],
    message: [5, "string"],
  },
  [`${aggregator}.APIServiceList`]: {
    metadata: [1, `${meta}.ListMeta`],
    items: [2, `repeated ${aggregator}.APIService`],
  },
  [`${aggregator}.APIServiceSpec`]: {
    service: [1, `${aggregator}.ServiceReference`],
    group: [2, "string"],
    version: [3, "string"],
    insecureSkipTLSVerify: [4, "bool"],
    caBundle: [5, "bytes"],
    groupPriorityMinimum: [7, "int32"],
    versionPriority: [8, "int32"],
  },
  [`${aggregator}.APIServiceStatus`]: { conditions: [1, `repeated ${aggregator}.APIServiceCondition`] },
  [`${aggregator}.ServiceReference`]: { namespace: [1, "string"], name: [2, "string"], port: [3, "int32"] },
});
Object.assign(fields, {
  [`${aggregator.replace("k8s.io.", "io.k8s.")}.APIService`]: { metadata: "?", spec: "?", status: "?" },
  [`${aggregator.replace("k8s.io.", "io.k8s.")}.APIServiceCondition`]: {
    type: "!",
    status: "!",
    lastTransitionTime: "?",
    reason: "?",
    message: "?",
  },
  [`${aggregator.replace("k8s.io.", "io.k8s.")}.APIServiceList`]: { metadata: "?", items: "!" },
  [`${aggregator.replace("k8s.io.", "io.k8s.")}.APIServiceSpec`]: {
    service: "*",
    group: "?",
    version: "?",
    insecureSkipTLSVerify: "?",
    caBundle: "?",
    groupPriorityMinimum: "!",
    versionPriority: "!",
  },
  [`${aggregator.replace("k8s.io.", "io.k8s.")}.APIServiceStatus`]: { conditions: "?" },
  [`${aggregator.replace("k8s.io.", "io.k8s.")}.ServiceReference`]: { namespace: "?", name: "?", port: "*" },
});

const lines = (object) =>
  Object.entries(object)
    .map(([key, value]) => `    ${JSON.stringify(key)}: ${JSON.stringify(value)}`)
    .join(",\n");
writeFileSync(
  new URL("supplement.json", import.meta.url),
  `{\n  "protobuf": {\n${lines(protobuf)}\n  },\n  "fields": {\n${lines(fields)}\n  }\n}\n`,
);
