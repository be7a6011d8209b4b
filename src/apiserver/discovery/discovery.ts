/** What is served, for clients to find out: the documents of /api, /apis and below, in the legacy and the aggregated form. */
import { createHash } from "node:crypto";
import { groups as knownGroups } from "../../api/discovery.ts";
import { apiVersionOf, type GroupVersion } from "../../apimachinery/group-version.ts";
import type { SubresourceDefinition } from "../../apimachinery/resource-definition.ts";
import type { ResourceRegistry, ServedResource } from "../resource-registry.ts";

export interface DiscoveredGroupVersions {
  group: string;
  /** Most preferred first. */
  versions: string[];
}

/** Upstream's order and preference for its own groups, then the others by name and version. */
export function servedGroups(registry: ResourceRegistry, withForeign = true): DiscoveredGroupVersions[] {
  const served = new Map<string, string[]>();
  const foreign = withForeign ? registry.foreign.values() : [];
  for (const { group, version } of [...registry.groupVersions(), ...foreign]) {
    const versions = served.get(group);
    if (!versions) served.set(group, [version]);
    else if (!versions.includes(version)) versions.push(version);
  }
  const ordered: DiscoveredGroupVersions[] = [];
  for (const known of knownGroups) {
    const versions = served.get(known.group);
    if (!versions) continue;
    served.delete(known.group);
    const first = known.versions.filter((version) => versions.includes(version));
    ordered.push({
      group: known.group,
      versions: [...first, ...versions.filter((v) => !first.includes(v)).sort(byPriority)],
    });
  }
  for (const group of [...served.keys()].sort()) {
    ordered.push({ group, versions: served.get(group)!.sort(byPriority) });
  }
  return ordered;
}

/** `v2` before `v1` before `v1beta1` before `v1alpha1` before names of other forms. */
function byPriority(a: string, b: string): number {
  const left = parsedVersion(a);
  const right = parsedVersion(b);
  if (!left || !right) return left ? -1 : right ? 1 : a < b ? -1 : 1;
  return right.stability - left.stability || right.major - left.major || right.minor - left.minor;
}

function parsedVersion(text: string): { major: number; stability: number; minor: number } | undefined {
  const match = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(text);
  if (!match) return undefined;
  const stability = match[2] === "alpha" ? 0 : match[2] === "beta" ? 1 : 2;
  return { major: Number(match[1]), stability, minor: Number(match[3] ?? 0) };
}

export function apiVersions(serverAddress: string): object {
  return {
    kind: "APIVersions",
    versions: ["v1"],
    serverAddressByClientCIDRs: [{ clientCIDR: "0.0.0.0/0", serverAddress }],
  };
}

export function apiGroupList(registry: ResourceRegistry): object {
  const groups = servedGroups(registry).filter(({ group }) => group !== "");
  return { kind: "APIGroupList", apiVersion: "v1", groups: groups.map(groupEntry) };
}

export function apiGroup(registry: ResourceRegistry, name: string): object | undefined {
  const found = servedGroups(registry).find(({ group }) => group === name && group !== "");
  return found && { kind: "APIGroup", apiVersion: "v1", ...groupEntry(found) };
}

function groupEntry({ group, versions }: DiscoveredGroupVersions) {
  const entries = versions.map((version) => ({ groupVersion: `${group}/${version}`, version }));
  return { name: group, versions: entries, preferredVersion: entries[0] };
}

export function apiResourceList(registry: ResourceRegistry, groupVersion: GroupVersion): object | undefined {
  const apiVersion = apiVersionOf(groupVersion);
  const served = registry.inGroupVersion(apiVersion);
  if (!served) return undefined;
  const resources: object[] = [];
  for (const resource of [...served].sort(byPlural)) {
    const { definition } = resource;
    resources.push({
      name: definition.plural,
      singularName: singularOf(resource),
      namespaced: resource.namespaced,
      kind: definition.kind,
      verbs: [...resource.verbs],
      ...(definition.shortNames?.length ? { shortNames: definition.shortNames } : {}),
      ...(definition.categories?.length ? { categories: definition.categories } : {}),
      ...(resource.verbs.has("get") && resource.verbs.has("create")
        ? { storageVersionHash: storageHash(resource) }
        : {}),
    });
    for (const subresource of subresourcesOf(resource)) {
      const { group, version, kind } = subresource.kind ?? definition;
      const foreign = group !== "" && apiVersionOf({ group, version }) !== apiVersion;
      resources.push({
        name: `${definition.plural}/${subresource.name}`,
        singularName: "",
        namespaced: resource.namespaced,
        ...(foreign ? { group, version } : {}),
        kind,
        verbs: subresource.verbs,
      });
    }
  }
  return {
    kind: "APIResourceList",
    ...(groupVersion.group ? { apiVersion: "v1" } : {}),
    groupVersion: apiVersion,
    resources,
  };
}

/** The first bytes of a hash over the version that is stored: tells clients when that changes. */
function storageHash({ definition }: ServedResource): string {
  const { group } = definition.storedAs ?? definition;
  const version = definition.hashedVersion ?? (definition.storedAs ?? definition).version;
  return createHash("sha256")
    .update(`${group}/${version}/${definition.kind}`)
    .digest()
    .subarray(0, 8)
    .toString("base64");
}

/** `/api` or `/apis` with everything below it, in one document (APIGroupDiscoveryList). */
export function aggregatedDiscovery(registry: ResourceRegistry, core: boolean): object {
  const groups = servedGroups(registry).filter(({ group }) => (group === "") === core);
  return {
    kind: "APIGroupDiscoveryList",
    apiVersion: "apidiscovery.k8s.io/v2",
    metadata: {},
    items: groups.map(({ group, versions }) => ({
      metadata: group ? { name: group } : {},
      versions: versions.map((version) => {
        const own = registry.inGroupVersion(apiVersionOf({ group, version }));
        const foreign = own ? undefined : registry.foreign.get(`${group}/${version}`);
        return {
          version,
          resources: foreign ? (foreign.resources ?? []) : [...(own ?? [])].sort(byPlural).map(discovered),
          freshness: foreign && !foreign.available ? "Stale" : "Current",
        };
      }),
    })),
  };
}

function discovered(resource: ServedResource): object {
  const { definition } = resource;
  const subresources = subresourcesOf(resource).map((subresource) => {
    const own = subresource.kind ?? definition;
    const foreign = own.group !== "" && apiVersionOf(own) !== resource.apiVersion;
    return {
      subresource: subresource.name,
      responseKind: foreign
        ? { group: own.group, version: own.version, kind: own.kind }
        : { group: "", version: "", kind: own.kind },
      verbs: subresource.verbs,
    };
  });
  return {
    resource: definition.plural,
    responseKind: { group: "", version: "", kind: definition.kind },
    scope: definition.scope,
    singularResource: singularOf(resource),
    verbs: [...resource.verbs],
    ...(definition.shortNames?.length ? { shortNames: definition.shortNames } : {}),
    ...(definition.categories?.length ? { categories: definition.categories } : {}),
    ...(subresources.length > 0 ? { subresources } : {}),
  };
}

function singularOf({ definition }: ServedResource): string {
  return definition.singular ?? definition.kind.toLowerCase();
}

function subresourcesOf(resource: ServedResource): SubresourceDefinition[] {
  return [...resource.subresources.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function byPlural(a: ServedResource, b: ServedResource): number {
  return a.plural < b.plural ? -1 : 1;
}
