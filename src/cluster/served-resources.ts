/** What the API serves at the moment, as controllers that act on every kind want to know it: one version a kind, other servers' kinds too. */
import type { Resource } from "../api/resource.ts";
import { servedGroups } from "../apiserver/discovery/discovery.ts";
import type { ResourceRegistry, ServedResource } from "../apiserver/resource-registry.ts";
import type { Discover, ServedResource as Found, ServedResources } from "../controller-manager/served-resources.ts";

export function discoveryOf(registry: ResourceRegistry): Discover {
  return async () => {
    const own = onePerKind(registry).map(
      ({ group, version, kind, plural, definition, verbs }): Found => ({
        resource: { group, version, kind, plural, scope: definition.scope } satisfies Resource,
        verbs: [...verbs],
      }),
    );
    const { resources, failures } = foreignResources(registry);
    return { resources: [...own, ...resources], failures };
  };
}

/** In the version in which it is stored, where that is served. */
function onePerKind(registry: ResourceRegistry): ServedResource[] {
  const found = new Map<string, ServedResource>();
  for (const served of registry.all()) {
    const { storedAs } = served.definition;
    const isStored = !storedAs || (storedAs.group === served.group && storedAs.version === served.version);
    const key = `${served.plural}.${storedAs?.group ?? served.group}`;
    if (isStored || !found.has(key)) found.set(key, served);
  }
  return [...found.values()];
}

/** As an APIService's server tells of its resources (APIResourceDiscovery). */
interface Discovered {
  resource: string;
  responseKind: { kind: string };
  scope: Resource["scope"];
  verbs: readonly string[];
}

function foreignResources(registry: ResourceRegistry): ServedResources {
  const resources = new Map<string, Found>();
  const failures: { groupVersion: string; message: string }[] = [];
  if (registry.foreign.size === 0) return { resources: [], failures };
  for (const { group, versions } of servedGroups(registry)) {
    for (const version of versions) {
      const groupVersion = `${group}/${version}`;
      const api = registry.inGroupVersion(groupVersion) ? undefined : registry.foreign.get(groupVersion);
      if (!api) continue;
      if (!api.available) {
        failures.push({ groupVersion, message: `stale GroupVersion discovery: ${groupVersion}` });
        continue;
      }
      for (const { resource: plural, responseKind, scope, verbs } of (api.resources ?? []) as Discovered[]) {
        const key = `${plural}.${group}`;
        if (resources.has(key)) continue;
        resources.set(key, { resource: { group, version, kind: responseKind.kind, plural, scope }, verbs });
      }
    }
  }
  return { resources: [...resources.values()], failures };
}
