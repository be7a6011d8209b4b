/** ConfigMaps and Secrets from literals and files, and the hash that gives changed content a new name. */
import { isUtf8 } from "node:buffer";
import { basename } from "node:path";
import type { Unstructured } from "../api.ts";
import { CommandError } from "../command-error.ts";
import { contentHash } from "../content-hash.ts";
import { cut } from "../flags.ts";
import type { GeneratorEntry, GeneratorOptions } from "./kustomization.ts";
import type { Loader } from "./loader.ts";
import {
  annotationsOf,
  append,
  goShowId,
  idOf,
  labelsOf,
  type Resource,
  resourceOf,
  sameId,
  withAnyId,
} from "./resource.ts";

export type GeneratedKind = "ConfigMap" | "Secret";

/** What an entry makes. */
export async function generated(
  kind: GeneratedKind,
  entry: GeneratorEntry,
  general: GeneratorOptions | undefined,
  loader: Loader,
): Promise<Resource> {
  if (!entry.name) throw new CommandError("a configmap must have a name");
  const data: Record<string, string> = {};
  const binaryData: Record<string, string> = {};
  for (const [key, bytes] of await sourcesOf(entry, loader)) {
    if (key in data || key in binaryData) {
      throw new CommandError(`configmap ${entry.name} illegally repeats the key \`${key}\``);
    }
    if (kind === "Secret") data[key] = base64Lines(bytes);
    else if (isUtf8(bytes)) data[key] = bytes.toString();
    else binaryData[key] = base64Lines(bytes);
  }
  const { options } = entry;
  const labels = { ...general?.labels, ...options?.labels };
  const annotations = { ...general?.annotations, ...options?.annotations };
  const object: Unstructured = {
    apiVersion: "v1",
    kind,
    metadata: {
      name: entry.name,
      ...(entry.namespace ? { namespace: entry.namespace } : {}),
      ...(isEmpty(labels) ? {} : { labels }),
      ...(isEmpty(annotations) ? {} : { annotations }),
    },
    ...(kind === "Secret" ? { type: entry.type || "Opaque" } : {}),
    ...(isEmpty(data) ? {} : { data }),
    ...(isEmpty(binaryData) ? {} : { binaryData }),
    ...(options?.immutable || general?.immutable ? { immutable: true } : {}),
  };
  return {
    ...resourceOf(object),
    behavior: ["create", "replace", "merge"].find((each) => each === entry.behavior) ?? "unspecified",
    needsHash: !(options?.disableNameSuffixHash || general?.disableNameSuffixHash),
  };
}

const isEmpty = (map: object): boolean => Object.keys(map).length === 0;

/** Adds what has been generated, or lets it change what is there, as its behavior says. Changes `resources`. */
export function absorb(resources: Resource[], made: Resource): void {
  const id = idOf(made);
  const matches = withAnyId(resources, (each) => sameId(each, id));
  const [old] = matches;
  const { behavior } = made;
  const changes = behavior === "merge" || behavior === "replace";
  if (!old) {
    if (changes) throw new CommandError(`id ${goShowId(id)} does not exist; cannot merge or replace`);
    append(resources, [made]);
    return;
  }
  if (matches.length > 1) {
    throw new CommandError(`found multiple objects that could accept merge of ${goShowId(id)}`);
  }
  if (!changes) {
    throw new CommandError(
      `id ${goShowId(id)} exists; can not use behavior: '${behavior}', behavior must be merge or replace`,
    );
  }
  const joined = (field: "data" | "binaryData"): object =>
    behavior === "merge"
      ? { ...(old.object[field] as object), ...(made.object[field] as object) }
      : ((made.object[field] as object) ?? {});
  const { data: _data, binaryData: _binaryData, ...rest } = made.object;
  const [labels, annotations] = [
    { ...labelsOf(old), ...labelsOf(made) },
    { ...annotationsOf(old), ...annotationsOf(made) },
  ];
  const { name, namespace } = old.object.metadata;
  resources[resources.indexOf(old)] = {
    ...old,
    needsHash: old.needsHash && made.needsHash,
    origin: behavior === "merge" ? (old.origin ?? made.origin) : (made.origin ?? old.origin),
    object: {
      ...rest,
      metadata: {
        name,
        ...(namespace ? { namespace } : {}),
        ...(isEmpty(labels) ? {} : { labels }),
        ...(isEmpty(annotations) ? {} : { annotations }),
      },
      ...(isEmpty(joined("data")) ? {} : { data: joined("data") }),
      ...(isEmpty(joined("binaryData")) ? {} : { binaryData: joined("binaryData") }),
    },
  };
}

/** Long ones are broken, as kustomize does. */
function base64Lines(bytes: Buffer): string {
  const text = bytes.toString("base64");
  if (text.length <= 70) return text;
  return `${(text.match(/.{1,70}/g) ?? []).join("\n")}\n`;
}

type Pair = [key: string, value: Buffer];

async function sourcesOf({ literals = [], files = [], envs = [] }: GeneratorEntry, loader: Loader): Promise<Pair[]> {
  const named = async (what: string, names: readonly string[], work: () => Promise<Pair[]>) => {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      throw new CommandError(`loading KV pairs: ${what} [${names.join(" ")}]: ${error.message}`);
    }
  };
  return [
    ...(await named("env source files:", envs, async () => {
      const read: Pair[] = [];
      for (const file of envs) read.push(...envPairs(await loader.load(file)));
      return read;
    })),
    ...(await named("literal sources", literals, async () => literals.map(literalPair))),
    ...(await named("file sources:", files, async () => {
      const read: Pair[] = [];
      for (const source of files) {
        const [key, path] = fileSource(source);
        read.push([key, await loader.load(path)]);
      }
      return read;
    })),
  ];
}

function envPairs(content: Buffer): Pair[] {
  return content
    .toString()
    .replace(/^\uFEFF/, "")
    .split(/\r?\n/)
    .map((line) => line.trimStart())
    .filter((line) => line && !line.startsWith("#"))
    .map((line): Pair => {
      const [key, value = ""] = cut(line, "=");
      return [key, Buffer.from(value)];
    })
    .filter(([key]) => key !== "");
}

function literalPair(literal: string): Pair {
  const [key, value] = cut(literal, "=");
  if (value === undefined || key === "") {
    throw new CommandError(`invalid literal source ${literal}, expected key=value`);
  }
  return [key, Buffer.from(value.replace(/^(["'])(.*)\1$/s, "$2"))];
}

function fileSource(source: string): [key: string, path: string] {
  const [key = "", path, ...more] = source.split("=");
  if (path === undefined) return [basename(source), source];
  const shown = JSON.stringify(source);
  if (more.length > 0) throw new CommandError(`source ${shown} key name or file path contains '='`);
  if (key === "") throw new CommandError(`missing key name for file path ${JSON.stringify(path)} in source ${shown}`);
  if (path === "") throw new CommandError(`missing file path for key name ${JSON.stringify(key)} in source ${shown}`);
  return [key, path];
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
