/** Devices that others use are looked at only from namespaces that an administrator has labelled for it (upstream does so in the kinds' own strategies). */
import type { ResourceClaim, ResourceClaimSpec, ResourceClaimTemplate } from "../../api/resource/v1.ts";
import { Namespaces } from "../../api/resources.ts";
import { type FieldError, FieldPath, forbidden } from "../../apimachinery/field-error.ts";
import { invalidError } from "../../apimachinery/status-error.ts";
import type { AdmissionPlugin } from "../../apiserver/admission.ts";
import type { ObjectReader } from "../object-reader.ts";
import { writes } from "./refusal.ts";

const label = "resource.kubernetes.io/admin-access";

export function deviceAdminAccess(objects: ObjectReader): AdmissionPlugin {
  return {
    name: "DeviceAdminAccess",
    handles: (request) =>
      writes(request, "resourceclaims.resource.k8s.io", "CREATE") ||
      writes(request, "resourceclaimtemplates.resource.k8s.io", "CREATE"),
    async validate({ definition, object, namespace, name }) {
      const isTemplate = definition.plural === "resourceclaimtemplates";
      const path = FieldPath.root.child(...(isTemplate ? ["spec", "spec"] : ["spec"]));
      const spec = isTemplate
        ? (object as unknown as ResourceClaimTemplate).spec.spec
        : (object as unknown as ResourceClaim).spec;
      const errors = adminRequests(spec, path);
      if (errors.length === 0) return;
      const found = await objects.get(Namespaces, "", namespace);
      if (found?.metadata.labels?.[label] === "true") return;
      throw invalidError(definition, name || (object?.metadata.name ?? ""), errors);
    },
  };
}

function adminRequests(spec: ResourceClaimSpec, path: FieldPath): FieldError[] {
  return (spec.devices?.requests ?? []).flatMap(({ exactly }, index) => {
    if (!exactly?.adminAccess) return [];
    const at = path.child("devices", "requests").index(index).child("exactly", "adminAccess");
    const why = `admin access to devices requires the \`${label}: true\` label on the containing namespace`;
    return [forbidden(at, why)];
  });
}
