/** OwnerReferencesPermissionEnforcement: only who may delete an object may say that another's end is its end, too. */
import type { OwnerReference } from "../../api/meta/v1.ts";
import { parseApiVersion } from "../../apimachinery/group-version.ts";
import type { AdmissionPlugin, AdmissionRequest } from "../../apiserver/admission.ts";
import { type Attributes, type Authorizer, authorizeByAll } from "../../apiserver/authorization.ts";
import type { ResourceRegistry } from "../../apiserver/resource-registry.ts";
import { refuse } from "./refusal.ts";

export function ownerReferencesPermissionEnforcement(
  registry: ResourceRegistry,
  authorizers: () => readonly Authorizer[],
): AdmissionPlugin {
  const allowed = async (attributes: Attributes) => {
    const { kind, reason = "" } = await authorizeByAll(authorizers(), attributes);
    return kind === "allow" ? undefined : reason;
  };
  const asked = ({ user, definition, namespace, name }: AdmissionRequest): Attributes => ({
    user,
    verb: "delete",
    isResource: true,
    group: definition.group,
    version: definition.version,
    resource: definition.plural,
    subresource: "",
    namespace,
    name,
    path: "",
  });
  return {
    name: "OwnerReferencesPermissionEnforcement",
    handles: ({ operation, object, definition, subresource }) =>
      (operation === "CREATE" || operation === "UPDATE") &&
      object?.metadata !== undefined &&
      !(definition.plural === "pods" && subresource === "status"),
    async validate(request) {
      const [now, before] = [ownersOf(request.object), ownersOf(request.oldObject)];
      if (JSON.stringify(now) === JSON.stringify(before)) return;
      const refusal = await allowed(asked(request));
      if (refusal !== undefined) {
        throw refuse(request, `cannot set an ownerRef on a resource you can't delete: ${refusal}`);
      }
      const blockedBefore = new Set(before.filter((owner) => owner.blockOwnerDeletion).map(({ uid }) => uid));
      for (const owner of now.filter(({ blockOwnerDeletion, uid }) => blockOwnerDeletion && !blockedBefore.has(uid))) {
        const { group, version } = parseApiVersion(owner.apiVersion) ?? { group: "", version: "" };
        const resource = [...registry.all()].find(
          (one) => one.group === group && one.version === version && one.kind === owner.kind,
        );
        const why = resource
          ? await allowed({
              ...asked(request),
              verb: "update",
              group,
              version,
              resource: resource.plural,
              subresource: "finalizers",
              namespace: resource.namespaced ? request.namespace : "",
              name: owner.name,
            })
          : `no RESTMapping found for ${owner.kind}`;
        if (why === undefined) continue;
        const text =
          "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on";
        throw refuse(request, `${text}: ${why}`);
      }
    },
  };
}

function ownersOf(object: object | undefined): readonly OwnerReference[] {
  return (object as { metadata?: { ownerReferences?: OwnerReference[] } } | undefined)?.metadata?.ownerReferences ?? [];
}
