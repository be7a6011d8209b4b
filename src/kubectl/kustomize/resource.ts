/** An object on its way through kustomizations, with the names that it has had: patches and references know it by any of them. */

import { parseLabelSelector } from "../../apimachinery/selectors.ts";
import type { Unstructured } from "../api.ts";
import { CommandError } from "../command-error.ts";
import type { Target } from "./kustomization.ts";
import type { Origin } from "./origin.ts";

/** What a kind is called; an empty part is unknown or, in a selector, any. */
export interface KindName {
  group: string;
  version: string;
  kind: string;
}

export interface ResourceId extends KindName {
  name: string;
  namespace: string;
}

export interface Resource {
  object: Unstructured;
  /** The ids that it has had, the first one first, with the namespaces that were meant: `default` where none was named. */
  formerIds: Pick<ResourceId, "kind" | "name" | "namespace">[];
  /** What has been put before and behind its name, the innermost first. */
  prefixes: string[];
  suffixes: string[];
  /** How a generated object meets one of its name. */
  behavior: string;
  /** A generated object whose name ends in a hash of its content. */
  needsHash: boolean;
  /** Of the variables whose values are in it. */
  variableNames: string[];
  origin?: Origin | undefined;
  transformations: Origin[];
}

export const resourceOf = (object: Unstructured): Resource => ({
  object,
  formerIds: [],
  prefixes: [],
  suffixes: [],
  behavior: "unspecified",
  needsHash: false,
  variableNames: [],
  transformations: [],
});

export function kindOf({ apiVersion = "", kind = "" }: Partial<Unstructured>): KindName {
  const slash = apiVersion.indexOf("/");
  return slash < 0
    ? { group: "", version: apiVersion, kind }
    : { group: apiVersion.slice(0, slash), version: apiVersion.slice(slash + 1), kind };
}

/** The one that it has now. */
export function idOf({ object }: Pick<Resource, "object">): ResourceId {
  const { name, namespace } = (object.metadata ?? {}) as { name?: unknown; namespace?: unknown };
  return { ...kindOf(object), name: textOf(name), namespace: textOf(namespace) };
}

/** Those that it has had, without the one that it has now. */
export const formerIdsOf = ({ object, formerIds }: Resource): ResourceId[] =>
  formerIds.map((former) => ({ ...kindOf(object), ...former }));

export const originalIdOf = (resource: Resource): ResourceId => formerIdsOf(resource)[0] ?? idOf(resource);

export function rememberId(resource: Resource): void {
  const id = idOf(resource);
  resource.formerIds.push({ kind: id.kind, name: id.name, namespace: effectiveNamespace(id) });
}

const nowhere = "_non_namespaceable_";

export function effectiveNamespace(id: ResourceId): string {
  if (isClusterScoped(id)) return nowhere;
  return id.namespace || "default";
}

export const sameKind = (a: KindName, b: KindName): boolean =>
  a.group === b.group && a.version === b.version && a.kind === b.kind;

export const sameId = (a: ResourceId, b: ResourceId): boolean =>
  sameKind(a, b) && a.name === b.name && effectiveNamespace(a) === effectiveNamespace(b);

/** Whether each part that the selector names is the kind's. */
export const isSelected = (kind: KindName, selector: Partial<KindName>): boolean =>
  (!selector.group || selector.group === kind.group) &&
  (!selector.version || selector.version === kind.version) &&
  (!selector.kind || selector.kind === kind.kind);

/** `Deployment.v1.apps`, as kustomize writes it. */
export const showKind = ({ group, version, kind }: KindName): string =>
  `${kind || "[noKind]"}.${version || "[noVer]"}.${group || "[noGrp]"}`;

/** `Deployment.v1.apps/web.shop`. */
export const showId = (id: ResourceId): string =>
  `${showKind(id)}/${id.name || "[noName]"}.${id.namespace || "[noNs]"}`;

/** As Go prints an id with all its fields. */
export const goShowId = (id: ResourceId): string =>
  `resid.ResId{Gvk:resid.Gvk{Group:${JSON.stringify(id.group)}, Version:${JSON.stringify(id.version)}, Kind:${JSON.stringify(id.kind)}, isClusterScoped:${isClusterScoped(id)}}, Name:${JSON.stringify(id.name)}, Namespace:${JSON.stringify(id.namespace)}}`;

/** A scalar as it would stand in YAML. */
export const textOf = (value: unknown): string =>
  value === undefined || value === null ? "" : typeof value === "object" ? "" : String(value);

const textMap = (map: unknown): Record<string, string> =>
  Object.fromEntries(Object.entries((map as object | undefined) ?? {}).map(([key, value]) => [key, textOf(value)]));

export const labelsOf = ({ object }: Resource): Record<string, string> => textMap(object.metadata?.labels);
export const annotationsOf = ({ object }: Resource): Record<string, string> => textMap(object.metadata?.annotations);

/** Adds resources, none of which may be there already. Changes `resources`. */
export function append(resources: Resource[], added: readonly Resource[]): void {
  for (const resource of added) {
    const id = idOf(resource);
    if (resources.some((each) => sameId(idOf(each), id))) {
      throw new CommandError(`may not add resource with an already registered id: ${showId(id)}`);
    }
    resources.push(resource);
  }
}

/** Those that have or have had an id that fits. */
export const withAnyId = (resources: readonly Resource[], fits: (id: ResourceId) => boolean): Resource[] =>
  resources.filter((each) => [...formerIdsOf(each), idOf(each)].some(fits));

/** The only one that has or has had the id. */
export function theOneFor(resources: readonly Resource[], id: ResourceId): Resource {
  const found = withAnyId(resources, (each) => sameId(each, id));
  const [only] = found;
  if (only && found.length === 1) return only;
  const problem = found.length > 1 ? "multiple matches" : "no matches";
  throw new CommandError(`${problem} for Id ${showId(id)}; failed to find unique target for patch ${showId(id)}`);
}

/** Those that a target of a patch selects: each given field must fit, and names are whole regular expressions. */
export function selectTargets(resources: readonly Resource[], target: Target): Resource[] {
  const pattern = patternsOf(target);
  return resources.filter((resource) => {
    const [current, original] = [idOf(resource), originalIdOf(resource)];
    return (
      (pattern.namespace(effectiveNamespace(original)) || pattern.namespace(effectiveNamespace(current))) &&
      (pattern.name(original.name) || pattern.name(current.name)) &&
      pattern.kind(current) &&
      hasLabelsAndAnnotations(resource, target)
    );
  });
}

export function patternsOf({ group, version, kind, name, namespace }: Target) {
  const [g, v, k, n, ns] = [group, version, kind, name, namespace].map(wholePattern);
  return {
    name: n!,
    namespace: ns!,
    kind: (each: KindName) => g!(each.group) && v!(each.version) && k!(each.kind),
  };
}

function wholePattern(pattern = ""): (text: string) => boolean {
  if (!pattern) return () => true;
  let expression: RegExp;
  try {
    expression = new RegExp(`^(?:${pattern})$`);
  } catch {
    throw new CommandError(`error parsing regexp: ${regexpProblem(pattern)}`);
  }
  return (text) => expression.test(text);
}

function regexpProblem(pattern: string): string {
  const whole = `^(?:${pattern})$`;
  const lone = /(?:^|[(|])([*+?])/.exec(pattern)?.[1];
  if (lone) return `missing argument to repetition operator: \`${lone}\``;
  if (/\[[^\]]*$/.test(pattern)) return `missing closing ]: \`${whole.slice(whole.lastIndexOf("["))}\``;
  const depth = [...pattern].reduce((sum, each) => sum + Number(each === "(") - Number(each === ")"), 0);
  return depth < 0 ? `unexpected ): \`${whole}\`` : `missing closing ): \`${whole}\``;
}

export function hasLabelsAndAnnotations(
  resource: Resource,
  { labelSelector, annotationSelector }: Pick<Target, "labelSelector" | "annotationSelector">,
): boolean {
  const fits = (selector: string | undefined, map: Record<string, string>) =>
    !selector || parsed(textOf(selector)).matches(map);
  return fits(labelSelector, labelsOf(resource)) && fits(annotationSelector, annotationsOf(resource));
}

function parsed(selector: string): ReturnType<typeof parseLabelSelector> {
  try {
    return parseLabelSelector(selector);
  } catch (error) {
    throw new CommandError((error as Error).message);
  }
}

/** By group; of kinds that are not listed nobody is asked: they count as namespaced, as in kustomize. */
const clusterScoped: Readonly<Record<string, readonly string[]>> = {
  "": ["ComponentStatus", "Namespace", "Node", "NodeProxyOptions", "PersistentVolume"],
  "admissionregistration.k8s.io": ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"],
  "apiextensions.k8s.io": ["CustomResourceDefinition"],
  "apiregistration.k8s.io": ["APIService"],
  "certificates.k8s.io": ["CertificateSigningRequest"],
  "flowcontrol.apiserver.k8s.io": ["FlowSchema", "PriorityLevelConfiguration"],
  "networking.k8s.io": ["IngressClass"],
  "node.k8s.io": ["RuntimeClass"],
  policy: ["PodSecurityPolicy"],
  "rbac.authorization.k8s.io": ["ClusterRole", "ClusterRoleBinding"],
  "scheduling.k8s.io": ["PriorityClass"],
  "storage.k8s.io": ["CSIDriver", "CSINode", "StorageClass", "VolumeAttachment"],
};
const oldVersions = new Set([
  "flowcontrol.apiserver.k8s.io/v1beta1",
  "policy/v1beta1",
  ...["admissionregistration", "apiextensions", "apiregistration", "certificates", "networking", "node"].map(
    (group) => `${group}.k8s.io/v1beta1`,
  ),
  ...["rbac.authorization", "scheduling", "storage"].map((group) => `${group}.k8s.io/v1beta1`),
]);
const onlyOld = new Set(["flowcontrol.apiserver.k8s.io", "policy"]);

export function isClusterScoped({ group, version, kind }: KindName): boolean {
  if (!clusterScoped[group]?.includes(kind)) return false;
  return oldVersions.has(`${group}/${version}`) || (version === "v1" && !onlyOld.has(group));
}
