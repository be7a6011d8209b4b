/** Asks a server what it serves: all of it in two answers where the server can, group by group where it is older (before 1.26). */
import type { Api } from "./api.ts";
import type { ApiResource } from "./resource-catalog.ts";

interface AggregatedList {
  items?: {
    metadata?: { name?: string };
    versions?: {
      version: string;
      resources?: {
        resource: string;
        responseKind?: { kind: string };
        scope: string;
        singularResource: string;
        shortNames?: string[];
        categories?: string[];
        verbs: string[];
        subresources?: { subresource: string }[];
      }[];
    }[];
  }[];
}

interface LegacyRoots {
  /** Of /api. */
  versions?: string[];
  /** Of /apis. */
  groups?: {
    name: string;
    versions: { version: string }[];
    preferredVersion?: { version: string };
  }[];
}

interface LegacyResources {
  resources?: {
    name: string;
    singularName?: string;
    namespaced: boolean;
    kind: string;
    verbs: string[];
    shortNames?: string[];
    categories?: string[];
  }[];
}

type Root = AggregatedList & LegacyRoots & { kind?: string };

const aggregated = ["v2", "v2beta1"]
  .map((version) => `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`)
  .concat("application/json")
  .join(",");

/** Core first, then the groups in the server's order; of each group its preferred version first. Groups that do not answer are left out. */
export async function discoverResources(api: Api): Promise<ApiResource[]> {
  const [core, groups] = (await Promise.all(["/api", "/apis"].map((path) => api.get<Root>(path, aggregated)))) as [
    Root,
    Root,
  ];
  const found = await Promise.all(
    [core, groups].map((root) => (root.kind === "APIGroupDiscoveryList" ? fromAggregated(root) : askEach(api, root))),
  );
  return found.flat();
}

function fromAggregated({ items = [] }: AggregatedList): ApiResource[] {
  return items.flatMap(({ metadata, versions = [] }) =>
    versions.flatMap(({ version, resources = [] }) =>
      resources.map((resource) => ({
        group: metadata?.name ?? "",
        version,
        kind: resource.responseKind?.kind ?? "",
        plural: resource.resource,
        singular: resource.singularResource,
        shortNames: resource.shortNames ?? [],
        categories: resource.categories ?? [],
        isNamespaced: resource.scope === "Namespaced",
        verbs: resource.verbs,
        subresources: (resource.subresources ?? []).map(({ subresource }) => subresource),
      })),
    ),
  );
}

async function askEach(api: Api, { versions, groups }: LegacyRoots): Promise<ApiResource[]> {
  const places = [
    ...(versions ?? []).map((version) => ({ group: "", version, path: `/api/${version}` })),
    ...(groups ?? []).flatMap(({ name, versions: served, preferredVersion }) =>
      [...served]
        .sort((a, b) => rank(a.version, preferredVersion) - rank(b.version, preferredVersion))
        .map(({ version }) => ({ group: name, version, path: `/apis/${name}/${version}` })),
    ),
  ];
  const answers = await Promise.all(
    places.map(async ({ group, version, path }) => {
      // An aggregated server that is away must not keep the user from the rest.
      const list = await api.get<LegacyResources>(path).catch(() => ({}) as LegacyResources);
      return fromLegacy(group, version, list);
    }),
  );
  return answers.flat();
}

const rank = (version: string, preferred: { version: string } | undefined): number =>
  version === preferred?.version ? 0 : 1;

function fromLegacy(group: string, version: string, { resources = [] }: LegacyResources): ApiResource[] {
  return resources
    .filter(({ name }) => !name.includes("/"))
    .map((resource) => ({
      group,
      version,
      kind: resource.kind,
      plural: resource.name,
      // Servers before 1.27 leave it out.
      singular: resource.singularName || resource.kind.toLowerCase(),
      shortNames: resource.shortNames ?? [],
      categories: resource.categories ?? [],
      isNamespaced: resource.namespaced,
      verbs: resource.verbs,
      subresources: resources.flatMap(({ name }) => {
        const [plural, subresource] = name.split("/");
        return plural === resource.name && subresource ? [subresource] : [];
      }),
    }));
}
