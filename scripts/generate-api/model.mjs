// What the documents say, brought into one shape: modules (group-versions) of types, each with its fields in source order.

import { additions } from "./additions.mjs";

/** Packages whose types go to the meta/v1 module, whatever their own name. */
const metaPackages = new Set([
  "io.k8s.apimachinery.pkg.apis.meta.v1",
  "io.k8s.apimachinery.pkg.api.resource",
  "io.k8s.apimachinery.pkg.runtime",
  "io.k8s.apimachinery.pkg.util.intstr",
  "io.k8s.apimachinery.pkg.version",
]);

const withoutRef = (ref) => ref.replace("#/definitions/", "");

export function readModel(openapi, protobufDocument, supplement) {
  const warnings = [];
  const definitions = { ...openapi.definitions, ...additions };
  const protobuf = { ...protobufDocument, ...supplement.protobuf };
  const scopes = readScopes(openapi.paths);
  const groupOfPackage = readGroups(definitions);

  const modules = new Map();
  const types = new Map();
  for (const fullName of Object.keys(definitions).sort()) {
    const definition = definitions[fullName];
    const dot = fullName.lastIndexOf(".");
    const packageName = fullName.slice(0, dot);
    const isMeta = metaPackages.has(packageName);
    const group = isMeta ? "meta" : groupOfPackage.get(packageName);
    const version = isMeta ? "v1" : packageName.slice(packageName.lastIndexOf(".") + 1);
    if (group === undefined) {
      warnings.push(`${fullName}: no group known for its package`);
      continue;
    }
    const folder = group === "" ? "core" : group.split(".")[0];
    const key = `${folder}/${version}`;
    if (!modules.has(key)) modules.set(key, { key, folder, version, group: isMeta ? "" : group, types: [] });
    const gvks = definition["x-kubernetes-group-version-kind"] ?? [];
    const gvk = gvks.length === 1 ? gvks[0] : undefined;
    const scope = gvk && scopes.get(`${gvk.group}/${gvk.version}/${gvk.kind}`);
    const type = { fullName, name: fullName.slice(dot + 1), module: modules.get(key), definition, gvk, scope };
    types.set(fullName, type);
    modules.get(key).types.push(type);
  }
  for (const type of types.values())
    type.fields = readFields(type, protobuf, supplement.fields[type.fullName] ?? {}, warnings);
  return { modules: [...modules.values()], types, warnings, withoutRef };
}

/** The scope of each kind that paths serve. */
function readScopes(paths) {
  const scopes = new Map();
  for (const [path, item] of Object.entries(paths)) {
    for (const operation of Object.values(item)) {
      const gvk = operation["x-kubernetes-group-version-kind"];
      if (!gvk) continue;
      const key = `${gvk.group}/${gvk.version}/${gvk.kind}`;
      if (path.includes("/namespaces/{namespace}/")) scopes.set(key, "Namespaced");
      else if (!scopes.has(key)) scopes.set(key, "Cluster");
    }
  }
  return scopes;
}

/** The API group of each package, from the kinds in it. */
function readGroups(definitions) {
  const groups = new Map();
  for (const [fullName, definition] of Object.entries(definitions)) {
    const gvks = definition["x-kubernetes-group-version-kind"] ?? [];
    if (gvks.length === 1) groups.set(fullName.slice(0, fullName.lastIndexOf(".")), gvks[0].group);
  }
  return groups;
}

/** OpenAPI's name of a package to protobuf's. */
function protobufName(fullName) {
  return fullName.replace(/^io\.k8s\./, "k8s.io.");
}

/**
 * The fields of a type in the order of its protobuf message, which is that of its source. Where the message embeds another whose
 * fields JSON inlines, `via` holds the field numbers of the embedded messages on the way.
 */
function readFields(type, protobuf, tags, warnings) {
  const { definition, fullName } = type;
  const properties = definition.properties;
  if (!properties) return [];
  const required = new Set(definition.required ?? []);
  const messageName = protobufName(fullName);
  const found = new Map();
  // Some messages spell a field differently from JSON, but never by more than case and punctuation: Webhooks, aPIGroup, $ref.
  const plain = (name) => name.replace(/[^a-z0-9]/gi, "").toLowerCase();
  const spelling = new Map(Object.keys(properties).map((name) => [plain(name), name]));
  collect(messageName, []);
  function collect(name, via) {
    for (const [rawName, [number, protoType]] of Object.entries(protobuf[name] ?? {})) {
      const jsonName = Object.hasOwn(properties, rawName) ? rawName : spelling.get(plain(rawName));
      if (jsonName !== undefined && !found.has(jsonName)) found.set(jsonName, { via, number, protoType });
      else if (protobuf[protoType] && jsonName === undefined) collect(protoType, [...via, number]);
      else warnings.push(`${fullName}: protobuf field ${name}.${rawName} has no JSON field`);
    }
  }
  const isEnvelope = (name) => name === "apiVersion" || name === "kind";
  const typed = definition["x-kubernetes-group-version-kind"] !== undefined;
  const fields = [];
  const add = (name) => {
    const wire = found.get(name);
    const envelope = typed && isEnvelope(name) && !wire;
    if (!wire && !envelope && protobuf[messageName]) warnings.push(`${fullName}.${name}: no protobuf field`);
    const [tag, goType, marked] = (tags[name] ?? "?").split(" ");
    fields.push({
      name,
      property: properties[name],
      required: required.has(name),
      tag,
      goType,
      marked,
      envelope,
      wire,
    });
  };
  // kind and apiVersion come first, as upstream embeds TypeMeta first.
  if (typed)
    for (const name of ["kind", "apiVersion"]) if (Object.hasOwn(properties, name) && !found.has(name)) add(name);
  for (const name of found.keys()) add(name);
  for (const name of Object.keys(properties)) if (!fields.some((field) => field.name === name)) add(name);
  if (!protobuf[messageName]) warnings.push(`${fullName}: no protobuf message`);
  return fields;
}
