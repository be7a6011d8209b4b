/** Keeps the index that RBAC decides by as the API's roles and bindings are. */
import type { DeepReadonly, KubeObject } from "../../api/object.ts";
import type { Resource } from "../../api/resource.ts";
import { ClusterRoleBindings, ClusterRoles, RoleBindings, Roles } from "../../api/resources.ts";
import type { InformerCache } from "../../controller-runtime/informer-cache.ts";
import type { RbacIndex } from "./rbac.ts";

/** Resolves when every role and binding that was there is known. Until then nobody but `system:masters` is allowed anything. */
export async function followRoles(index: RbacIndex, cache: InformerCache): Promise<void> {
  const follow = <T extends KubeObject>(
    resource: Resource<T>,
    set: (object: DeepReadonly<T>) => void,
    remove: (object: DeepReadonly<T>) => void,
  ): Promise<void> => {
    const informer = cache.informer(resource);
    informer.addHandler(({ type, object }) => (type === "DELETED" ? remove(object) : set(object)));
    return informer.synced;
  };
  await Promise.all([
    follow(
      Roles,
      (role) => index.setRole(role),
      (role) => index.deleteRole(role),
    ),
    follow(
      ClusterRoles,
      (role) => index.setRole(role),
      (role) => index.deleteRole(role),
    ),
    follow(
      RoleBindings,
      (binding) => index.setBinding(binding),
      (binding) => index.deleteBinding(binding),
    ),
    follow(
      ClusterRoleBindings,
      (binding) => index.setBinding(binding),
      (binding) => index.deleteBinding(binding),
    ),
  ]);
}
