/** What the generated discovery table already knows of a resource, so that a kind's own file says only what the table cannot. */
import { resources } from "../api/discovery.ts";
import { parseApiVersion } from "../apimachinery/group-version.ts";
import type { ResourceDefinition, SubresourceDefinition } from "../apimachinery/resource-definition.ts";

type Discovered = Pick<
  ResourceDefinition,
  "group" | "version" | "kind" | "plural" | "singular" | "shortNames" | "categories" | "scope" | "verbs" | "hasStatus"
> & { subresources: readonly SubresourceDefinition<never>[] };

/** Names, scope, verbs and subresources of `served("apps/v1", "deployments")`. Throws when the table has no such resource. */
export function served(apiVersion: string, plural: string): Discovered {
  const groupVersion = parseApiVersion(apiVersion);
  const found = resources[apiVersion]?.find((resource) => resource.name === plural);
  if (!groupVersion || !found) throw new Error(`discovery knows no resource ${plural} in ${apiVersion}`);
  const others = found.subresources.filter(({ name }) => name !== "status" && name !== "scale");
  return {
    ...groupVersion,
    kind: found.kind,
    plural: found.name,
    singular: found.singularName,
    shortNames: found.shortNames,
    categories: found.categories,
    scope: found.namespaced ? "Namespaced" : "Cluster",
    verbs: found.verbs,
    hasStatus: found.subresources.some(({ name }) => name === "status"),
    subresources: others,
  };
}
