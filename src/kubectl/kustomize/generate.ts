/** ConfigMaps and Secrets from literals and files, and the hash that gives changed content a new name. */
import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { Unstructured } from "../api.ts";
import { CommandError } from "../command-error.ts";
import { contentHash } from "../content-hash.ts";
import { cut } from "../flags.ts";
import type { GeneratorEntry, GeneratorOptions } from "./kustomization.ts";
import { type Resource, resourceOf } from "./resource.ts";

/** Adds what an entry generates to the resources, or changes what is there, as its behaviour says. */
export function generate(
  kind: "ConfigMap" | "Secret",
  entry: GeneratorEntry,
  general: GeneratorOptions | undefined,
  folder: string,
  resources: readonly Resource[],
): Resource[] {
  const object = generated(kind, entry, general, folder);
  const present = resources.find(
    ({ object: each, formerNames }) =>
      each.kind === kind && (each.metadata.name === entry.name || formerNames.includes(entry.name)),
  );
  const needsHash = !(entry.options?.disableNameSuffixHash ?? general?.disableNameSuffixHash ?? false);
  const behavior = entry.behavior ?? "create";
  if (behavior === "create") {
    if (present) {
      throw new CommandError(
        `merging from generator: id resid.ResId{Gvk:resid.Gvk{Group:"", Version:"v1", Kind:${JSON.stringify(kind)}, isClusterScoped:false}, Name:${JSON.stringify(entry.name)}, Namespace:""} exists; behavior must be merge or replace`,
      );
    }
    return [...resources, { ...resourceOf(object), needsHash }];
  }
  if (!present) {
    throw new CommandError(
      `merging from generator: id resid.ResId{Gvk:resid.Gvk{Group:"", Version:"v1", Kind:${JSON.stringify(kind)}, isClusterScoped:false}, Name:${JSON.stringify(entry.name)}, Namespace:""} does not exist; cannot merge or replace`,
    );
  }
  const isMerge = behavior === "merge";
  const joined = (field: "data" | "binaryData") => {
    const value = { ...(isMerge ? (present.object[field] as object | undefined) : {}), ...(object[field] as object) };
    return Object.keys(value).length > 0 ? { [field]: value } : {};
  };
  const { data: _data, binaryData: _binaryData, ...rest } = present.object;
  const metadata = {
    ...present.object.metadata,
    labels: { ...present.object.metadata.labels, ...object.metadata.labels },
    annotations: { ...present.object.metadata.annotations, ...object.metadata.annotations },
  };
  present.object = withoutEmptyMaps({ ...rest, metadata, ...joined("data"), ...joined("binaryData") });
  return [...resources];
}

function withoutEmptyMaps(object: Unstructured): Unstructured {
  const { labels = {}, annotations = {}, ...metadata } = object.metadata;
  return {
    ...object,
    metadata: {
      ...metadata,
      ...(Object.keys(annotations).length > 0 ? { annotations } : {}),
      ...(Object.keys(labels).length > 0 ? { labels } : {}),
    },
  };
}

function generated(
  kind: string,
  entry: GeneratorEntry,
  general: GeneratorOptions | undefined,
  folder: string,
): Unstructured {
  const text: Record<string, string> = {};
  const binary: Record<string, string> = {};
  for (const [key, bytes] of sourcesOf(entry, folder)) {
    if (key in text || key in binary) {
      throw new CommandError(`cannot add key ${JSON.stringify(key)}, another key by that name already exists`);
    }
    if (kind === "ConfigMap" && isText(bytes)) text[key] = bytes.toString();
    else if (kind === "Secret") text[key] = bytes.toString("base64");
    else binary[key] = bytes.toString("base64");
  }
  const immutable = entry.options?.immutable ?? general?.immutable;
  return withoutEmptyMaps({
    apiVersion: "v1",
    kind,
    metadata: {
      name: entry.name,
      ...(entry.namespace ? { namespace: entry.namespace } : {}),
      labels: { ...general?.labels, ...entry.options?.labels },
      annotations: { ...general?.annotations, ...entry.options?.annotations },
    },
    ...(kind === "Secret" ? { type: entry.type ?? "Opaque" } : {}),
    ...(Object.keys(text).length > 0 ? { data: text } : {}),
    ...(Object.keys(binary).length > 0 ? { binaryData: binary } : {}),
    ...(immutable ? { immutable: true } : {}),
  });
}

function sourcesOf({ literals = [], files = [], envs = [], env }: GeneratorEntry, folder: string): [string, Buffer][] {
  return [
    ...[...envs, ...(env ? [env] : [])].flatMap((file) =>
      readSource(folder, file)
        .toString()
        .split("\n")
        .map((line) => line.trimStart())
        .filter((line) => line && !line.startsWith("#"))
        .map((line): [string, Buffer] => {
          const [key, value = ""] = cut(line, "=");
          return [key, Buffer.from(value)];
        }),
    ),
    ...files.map((source): [string, Buffer] => {
      const [first, second] = cut(source, "=");
      return [second === undefined ? basename(first) : first, readSource(folder, second ?? first)];
    }),
    ...literals.map((literal): [string, Buffer] => {
      const [key, value] = cut(literal, "=");
      if (value === undefined) throw new CommandError(`invalid literal source ${literal}, expected key=value`);
      return [key, Buffer.from(value.replace(/^(["'])(.*)\1$/s, "$2"))];
    }),
  ];
}

function readSource(folder: string, file: string): Buffer {
  const path = join(folder, file);
  try {
    return readFileSync(path);
  } catch {
    throw new CommandError(
      `loading KV pairs: file sources: [${file}]: evalsymlink failure on '${path}' : lstat ${path}: no such file or directory`,
    );
  }
}

function isText(bytes: Buffer): boolean {
  return Buffer.from(bytes.toString()).equals(bytes);
}

/** Of a generated object: what its name ends in. */
export function nameSuffix({ kind, ...object }: Unstructured): string {
  return contentHash({
    kind,
    // Upstream looks the name up where it is not.
    name: "",
    data: object["data"] ?? "",
    ...(object["binaryData"] ? { binaryData: object["binaryData"] } : {}),
    ...(kind === "Secret" ? { type: object["type"] } : {}),
    ...(kind === "Secret" && object["stringData"] ? { stringData: object["stringData"] } : {}),
  });
}
