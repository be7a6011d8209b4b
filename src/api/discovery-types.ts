/** The shape of the generated discovery table. */
import type { GroupVersionKind } from "./schema.ts";

export interface DiscoveredGroup {
  /** Empty for the core group. */
  group: string;
  /** Most preferred first. */
  versions: readonly string[];
  preferred: string;
}

export interface DiscoveredResource {
  /** Plural: `deployments`. */
  name: string;
  singularName: string;
  kind: string;
  namespaced: boolean;
  verbs: readonly string[];
  shortNames: readonly string[];
  categories: readonly string[];
  subresources: readonly DiscoveredSubresource[];
}

export interface DiscoveredSubresource {
  /** `status`, `scale`, `exec`, ... */
  name: string;
  kind: GroupVersionKind;
  verbs: readonly string[];
}
