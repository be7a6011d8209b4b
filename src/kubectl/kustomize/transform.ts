/** What a kustomization does to the objects under it, one function a field. They change the objects in place. */
import type { Unstructured } from "../api.ts";
import type { ImageEntry, LabelsEntry } from "./kustomization.ts";
import { mapAt, podSpecOf, podTemplateOf } from "./name-references.ts";
import { isNamespaced, type Resource, rename } from "./resource.ts";

type Fields = Record<string, unknown>;

export function setNamespace(resources: readonly Resource[], namespace: string): void {
  for (const resource of resources) {
    const { object } = resource;
    if (object.kind === "Namespace" && object.apiVersion === "v1") {
      rename(resource, namespace);
      continue;
    }
    if (!isNamespaced(object)) {
      setSubjects(object, namespace);
      continue;
    }
    resource.formerNamespaces.push(object.metadata.namespace);
    object.metadata.namespace = namespace;
    setSubjects(object, namespace);
  }
}

/** A binding's own ServiceAccount `default` is that of the new namespace. */
function setSubjects(object: Unstructured, namespace: string): void {
  if (object.kind !== "RoleBinding" && object.kind !== "ClusterRoleBinding") return;
  for (const subject of (object["subjects"] ?? []) as Fields[]) {
    if (subject["kind"] === "ServiceAccount" && subject["name"] === "default") subject["namespace"] = namespace;
  }
}

const keepsName = ({ kind }: Unstructured): boolean =>
  kind === "Namespace" || kind === "CustomResourceDefinition" || kind === "APIService";

export function setPrefixAndSuffix(resources: readonly Resource[], prefix: string, suffix: string): void {
  for (const resource of resources) {
    if (!keepsName(resource.object)) rename(resource, prefix + resource.object.metadata.name + suffix);
  }
}

export function setLabels(resources: readonly Resource[], entry: LabelsEntry): void {
  const { pairs, includeSelectors = false, includeTemplates = false } = entry;
  for (const { object } of resources) {
    object.metadata.labels = { ...object.metadata.labels, ...pairs };
    const fields = object as unknown as Fields;
    const template = podTemplateOf(fields);
    if (template && (includeSelectors || includeTemplates)) addTo(template, ["metadata", "labels"], pairs);
    if (includeSelectors) setSelectors(fields, pairs);
  }
}

function setSelectors(object: Fields, pairs: Record<string, string>): void {
  const spec = mapAt(object, "spec");
  switch (object["kind"]) {
    case "Service":
    case "ReplicationController":
      if (spec && mapAt(spec, "selector")) addTo(spec, ["selector"], pairs);
      break;
    case "Deployment":
    case "ReplicaSet":
    case "DaemonSet":
    case "StatefulSet":
      addTo(object, ["spec", "selector", "matchLabels"], pairs);
      break;
    case "NetworkPolicy":
      if (spec && mapAt(mapAt(spec, "podSelector") ?? {}, "matchLabels")) {
        addTo(spec, ["podSelector", "matchLabels"], pairs);
      }
      break;
    case "PodDisruptionBudget":
      if (spec && mapAt(mapAt(spec, "selector") ?? {}, "matchLabels")) addTo(spec, ["selector", "matchLabels"], pairs);
      break;
  }
}

export function setAnnotations(resources: readonly Resource[], annotations: Record<string, string>): void {
  for (const { object } of resources) {
    object.metadata.annotations = { ...object.metadata.annotations, ...annotations };
    const template = podTemplateOf(object as unknown as Fields);
    if (template) addTo(template, ["metadata", "annotations"], annotations);
  }
}

function addTo(holder: Fields, path: readonly string[], pairs: Record<string, string>): void {
  let current = holder;
  for (const field of path.slice(0, -1)) {
    const inner = mapAt(current, field) ?? {};
    current[field] = inner;
    current = inner;
  }
  const field = path.at(-1)!;
  current[field] = { ...mapAt(current, field), ...pairs };
}

const scalable = new Set(["Deployment", "ReplicaSet", "StatefulSet", "ReplicationController"]);

/** Whether there was such an object. */
export function setReplicas(resources: readonly Resource[], name: string, count: number): boolean {
  const named = resources.filter(
    ({ object, formerNames }) =>
      scalable.has(object.kind ?? "") && (object.metadata.name === name || formerNames.includes(name)),
  );
  for (const { object } of named) addValue(object as unknown as Fields, "replicas", count);
  return named.length > 0;
}

function addValue(object: Fields, field: string, value: unknown): void {
  object["spec"] = { ...mapAt(object, "spec"), [field]: value };
}

export function setImages(resources: readonly Resource[], images: readonly ImageEntry[]): void {
  for (const { object } of resources) {
    const podSpec = podSpecOf(object as unknown as Fields);
    for (const field of ["containers", "initContainers"]) {
      for (const container of (podSpec?.[field] ?? []) as Fields[]) {
        for (const image of images) {
          if (typeof container["image"] === "string") container["image"] = changedImage(container["image"], image);
        }
      }
    }
  }
}

/** `registry:5000/name:tag@digest`: the part after the last slash holds tag and digest. */
function changedImage(image: string, { name, newName, newTag, tagSuffix, digest }: ImageEntry): string {
  const [, path = image, tag = "", oldDigest = ""] = /^(.*?)(?::([^:/@]+))?(?:@(.+))?$/.exec(image) ?? [];
  if (path !== name) return image;
  const renamed = newName || path;
  if (digest) return `${renamed}@${digest}`;
  if (newTag) return `${renamed}:${newTag}`;
  const suffixed = tag && tagSuffix ? tag + tagSuffix : tag;
  return renamed + (suffixed ? `:${suffixed}` : "") + (oldDigest ? `@${oldDigest}` : "");
}
