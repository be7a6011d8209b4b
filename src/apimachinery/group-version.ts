/** Group, version, kind and resource: how the API names things. */

export interface GroupVersion {
  /** Empty for the legacy core group. */
  group: string;
  version: string;
}

export interface GroupVersionKind extends GroupVersion {
  kind: string;
}

export interface GroupResource {
  group: string;
  /** Plural, lower case: `deployments`. */
  resource: string;
}

/** `apps/v1`, or `v1` for the core group: the value of an object's apiVersion. */
export function apiVersionOf({ group, version }: GroupVersion): string {
  return group === "" ? version : `${group}/${version}`;
}

/** The reverse of apiVersionOf. Undefined when there is more than one slash or no version. */
export function parseApiVersion(apiVersion: string): GroupVersion | undefined {
  const parts = apiVersion.split("/");
  if (parts.length === 1 && parts[0]) return { group: "", version: parts[0] };
  if (parts.length === 2 && parts[0] && parts[1]) return { group: parts[0], version: parts[1] };
  return undefined;
}

/** `deployments.apps`, or `pods` for the core group: how messages name a resource. */
export function groupResourceText({ group, resource }: GroupResource): string {
  return group === "" ? resource : `${resource}.${group}`;
}

/** `/api/v1` or `/apis/apps/v1`. */
export function groupVersionPath({ group, version }: GroupVersion): string {
  return group === "" ? `/api/${version}` : `/apis/${group}/${version}`;
}
