/** What the API serves at the moment, custom resources included: the composition root hands in how to find out. */
import type { Resource } from "../api/resource.ts";

export interface ServedResource {
  resource: Resource;
  verbs: readonly string[];
}

export interface ServedResources {
  /** One entry per kind, at its preferred version. */
  resources: readonly ServedResource[];
  /** Groups whose resources could not be found out (an aggregated API that does not answer); what they hold is unknown. */
  failures: readonly { groupVersion: string; message: string }[];
}

export type Discover = () => Promise<ServedResources>;

export function can(served: ServedResource, ...verbs: string[]): boolean {
  return verbs.every((verb) => served.verbs.includes(verb));
}
