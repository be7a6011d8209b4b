/** PersistentVolumeClaimResize: claims grow only where their StorageClass allows it. */
import type { PersistentVolumeClaim } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { StorageClasses } from "../../api/resources.ts";
import { compareQuantities } from "../../apimachinery/quantity.ts";
import type { AdmissionPlugin } from "../../apiserver/admission.ts";
import type { ObjectReader } from "../object-reader.ts";
import { refuse, writes } from "./refusal.ts";

export function persistentVolumeClaimResize(objects: ObjectReader): AdmissionPlugin {
  return {
    name: "PersistentVolumeClaimResize",
    handles: (request) => writes(request, "persistentvolumeclaims", "UPDATE"),
    async validate(request) {
      const claim = request.object as PersistentVolumeClaim;
      const before = request.oldObject as DeepReadonly<PersistentVolumeClaim>;
      if (compareQuantities(sizeOf(claim), sizeOf(before)) <= 0) return;
      if (before.status?.phase !== "Bound")
        throw refuse(request, "Only bound persistent volume claims can be expanded");
      const { storageClassName = "" } = claim.spec;
      const storageClass = storageClassName ? await objects.get(StorageClasses, "", storageClassName) : undefined;
      if (storageClass?.allowVolumeExpansion) return;
      throw refuse(
        request,
        "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize",
      );
    },
  };
}

function sizeOf({ spec }: DeepReadonly<PersistentVolumeClaim>): string {
  return spec.resources?.requests?.["storage"] ?? "0";
}
