/** What a kustomization does to the objects under it, one function a field. They change the objects in place. */
import type { Unstructured } from "../api.ts";
import { CommandError } from "../command-error.ts";
import { compactGoJson, sortKeys } from "../printers/printable.ts";
import { type FieldSpec, type Slot, splitPath, visitField } from "./field-specs.ts";
import type { ImageEntry } from "./kustomization.ts";
import {
  idOf,
  isClusterScoped,
  isSelected,
  kindOf,
  originalIdOf,
  type Resource,
  rememberId,
  sameId,
  showKind,
  textOf,
  withAnyId,
} from "./resource.ts";

type Fields = Record<string, unknown>;

/** Which subjects of bindings get the namespace, too. */
export const subjectModes = ["defaultOnly", "none", "allServiceAccounts"];

export interface NamespaceOptions {
  specs: readonly FieldSpec[];
  /** Objects that have one keep it. */
  unsetOnly?: boolean;
  subjects?: string;
}

export function setNamespace(
  resources: readonly Resource[],
  namespace: string,
  { specs, unsetOnly = false, subjects = "defaultOnly" }: NamespaceOptions,
): void {
  for (const resource of resources) {
    rememberId(resource);
    const { object } = resource;
    const id = idOf(resource);
    const set = ({ holder, key }: Slot) => {
      const present = holder[key];
      if (typeof present === "object" && present !== null) {
        throw new CommandError("namespace field specs must target scalar nodes");
      }
      if (!unsetOnly || textOf(present) === "") holder[key] = namespace;
    };
    if (!isClusterScoped(id)) set({ holder: object.metadata as never, key: "namespace" });
    const isBinding = id.kind === "RoleBinding" || id.kind === "ClusterRoleBinding";
    if (isBinding) setSubjects(object, subjects, set);
    for (const spec of specs) {
      if (spec.path === "metadata/namespace") continue;
      if (spec.path === "metadata/name" && object.apiVersion !== "v1") continue;
      if (isBinding && spec.path === "subjects/namespace" && spec.kind === id.kind) continue;
      visitField(object, spec, set, "scalar");
    }
    const twins = resources.filter((each) => sameId(idOf(each), idOf(resource)));
    if (twins.length > 1) {
      throw new CommandError(`namespace transformation produces ID conflict: [${twins.map(shownWithPast).join(" ")}]`);
    }
  }
}

/** As kustomize keeps what it knows of an object: among its annotations. */
function shownWithPast({ object, formerIds, prefixes, suffixes }: Resource): string {
  const past = {
    previousKinds: formerIds.map(({ kind }) => kind),
    previousNames: formerIds.map(({ name }) => name),
    previousNamespaces: formerIds.map(({ namespace }) => namespace),
    prefixes,
    suffixes,
  };
  const annotations = Object.fromEntries(
    Object.entries(past)
      .filter(([, values]) => values.length > 0)
      .map(([name, values]) => [`internal.config.kubernetes.io/${name}`, values.join(",")]),
  );
  const { metadata } = object;
  const shown = { ...object, metadata: { ...metadata, annotations: { ...metadata.annotations, ...annotations } } };
  return compactGoJson(sortKeys(shown));
}

function setSubjects(object: Unstructured, mode: string, set: (slot: Slot) => void): void {
  const subjects = object["subjects"];
  if (mode === "none" || !Array.isArray(subjects)) return;
  for (const subject of subjects as Fields[]) {
    const isMeant = mode === "defaultOnly" ? subject["name"] === "default" : subject["kind"] === "ServiceAccount";
    if (isMeant) set({ holder: subject, key: "namespace" });
  }
}

const keepsName = (resource: Resource): boolean => {
  const { group, kind } = originalIdOf(resource);
  if (kind === "APIService") return group === "apiregistration.k8s.io";
  return kind === "Namespace" || kind === "CustomResourceDefinition";
};

export function setAffix(
  resources: readonly Resource[],
  { prefix = "", suffix = "" }: { prefix?: string; suffix?: string },
  specs: readonly FieldSpec[],
): void {
  for (const resource of resources) {
    if (keepsName(resource)) continue;
    const original = originalIdOf(resource);
    for (const spec of specs) {
      if (!isSelected(original, spec)) continue;
      if (spec.path === "metadata/name" && prefix + suffix) {
        if (prefix) resource.prefixes.push(prefix);
        if (suffix) resource.suffixes.push(suffix);
        rememberId(resource);
      }
      visitField(resource.object, spec, ({ holder, key }) => {
        holder[key] = prefix + textOf(holder[key]) + suffix;
      });
    }
  }
}

export function setReplicas(
  resources: readonly Resource[],
  { name = "", count = 0 }: { name?: string; count?: number },
  specs: readonly FieldSpec[],
): void {
  let isFound = false;
  for (const spec of specs) {
    const { group = "", version = "", kind = "" } = spec;
    const found = withAnyId(resources, (id) => id.name === name && isSelected(id, { group, version, kind }));
    for (const { object } of found) {
      isFound = true;
      visitField(object, spec, ({ holder, key }) => (holder[key] = count), "scalar");
    }
  }
  if (isFound) return;
  const kinds = specs.map(({ group = "", version = "", kind = "" }) => showKind({ group, version, kind }));
  throw new CommandError(
    `resource with name ${name} does not match a config with the following GVK [${kinds.join(" ")}]`,
  );
}

export function setImages(resources: readonly Resource[], image: ImageEntry, specs: readonly FieldSpec[]): void {
  const set = ({ holder, key }: Slot) => {
    if (typeof holder[key] === "string") holder[key] = changedImage(holder[key], image);
  };
  for (const { object } of resources) {
    if (object.kind !== "CustomResourceDefinition") visitContainers(object, set);
  }
  for (const { object } of resources) {
    if (object.kind === "CustomResourceDefinition") continue;
    for (const spec of specs) visitField(object, spec, set);
  }
}

/** Wherever lists of that name stand. */
function visitContainers(value: unknown, set: (slot: Slot) => void): void {
  if (Array.isArray(value)) for (const item of value) visitContainers(item, set);
  else if (typeof value === "object" && value !== null) {
    for (const [name, inner] of Object.entries(value)) {
      visitContainers(inner, set);
      if (!["containers", "initContainers"].includes(name) || !Array.isArray(inner)) continue;
      for (const container of inner as Fields[]) {
        if (typeof container === "object" && container !== null) set({ holder: container, key: "image" });
      }
    }
  }
}

/** `registry:5000/name:tag@digest`: a colon before the first slash belongs to the registry. */
function changedImage(image: string, { name = "", newName, newTag, tagSuffix, digest }: ImageEntry): string {
  const slash = Math.max(image.indexOf("/"), 0);
  const rest = image.slice(slash);
  const [at, colon] = [rest.indexOf("@"), rest.indexOf(":")];
  const end = at >= 0 && (at < colon || colon < 0) ? at : colon;
  const path = end < 0 ? image : image.slice(0, slash + end);
  if (!new RegExp(`^${name}(:[a-zA-Z0-9_.{}-]*)?(@sha256:[a-zA-Z0-9_.{}-]*)?$`).test(image)) return image;
  let tag = colon >= 0 && end === colon ? rest.slice(colon + 1, at < 0 ? undefined : at) : "";
  let oldDigest = at >= 0 ? rest.slice(at + 1) : "";
  if (newTag || digest) [tag, oldDigest] = [newTag ?? "", digest ?? ""];
  else if (tagSuffix) [tag, oldDigest] = [tag + tagSuffix, ""];
  return (newName || path) + (tag ? `:${tag}` : "") + (oldDigest ? `@${oldDigest}` : "");
}

/** Puts a value into a field of each, or into a path that the field holds. */
export function addValue(
  resources: readonly Resource[],
  value: string,
  { fieldPath, filePathPosition = 0 }: { fieldPath: string; filePathPosition?: number },
): void {
  for (const { object } of resources) {
    if (fieldPath === "metadata/namespace") {
      if (!isClusterScoped(kindOf(object))) object.metadata.namespace = value;
      continue;
    }
    const path = splitPath(fieldPath, "/");
    let holder = object as unknown as Fields;
    for (const field of path.slice(0, -1)) {
      if (typeof holder[field] !== "object" || holder[field] === null) holder[field] = {};
      holder = holder[field] as Fields;
    }
    const last = path.at(-1)!;
    holder[last] = filePathPosition > 0 ? withPart(textOf(holder[last]), filePathPosition - 1, value) : value;
  }
}

function withPart(path: string, position: number, part: string): string {
  const isAbsolute = path.startsWith("/");
  const parts = path.split("/").filter(Boolean);
  parts.splice(position, 0, part);
  return (isAbsolute ? "/" : "") + parts.join("/");
}
