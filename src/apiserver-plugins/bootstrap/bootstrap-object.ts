/** An object that every cluster has from its first moment. */
import type { ObjectMeta } from "../../api/meta/v1.ts";
import type { KubeObject, New } from "../../api/object.ts";
import type { Resource } from "../../api/resource.ts";

export interface BootstrapObject {
  resource: Resource;
  /** Empty for cluster-scoped objects. */
  namespace: string;
  object: { metadata: ObjectMeta };
  /**
   * `create`: written when it is missing, else left as users changed it.
   * `complete`: a role or binding that lacks something gets it back at a start, unless its annotation
   * `rbac.authorization.kubernetes.io/autoupdate` says "false"; what users added stays.
   * `keep`: written again at every start, as what depends on this server's own address must be.
   */
  policy: "create" | "complete" | "keep";
}

export function atStart<T extends KubeObject>(
  resource: Resource<T>,
  object: New<T>,
  policy: BootstrapObject["policy"] = "create",
): BootstrapObject {
  return { resource, namespace: object.metadata.namespace ?? "", object, policy };
}
