/** StorageObjectInUseProtection: volumes and claims stay, though deleted, for as long as something uses them. */
import type { AdmissionPlugin } from "../../apiserver/admission.ts";
import { writes } from "./refusal.ts";

const finalizers: Readonly<Record<string, string>> = {
  persistentvolumes: "kubernetes.io/pv-protection",
  persistentvolumeclaims: "kubernetes.io/pvc-protection",
  volumeattributesclasses: "kubernetes.io/vac-protection",
};

export const storageObjectInUseProtection: AdmissionPlugin = {
  name: "StorageObjectInUseProtection",
  handles: (request) =>
    writes(request, "persistentvolumes", "CREATE") ||
    writes(request, "persistentvolumeclaims", "CREATE") ||
    writes(request, "volumeattributesclasses.storage.k8s.io", "CREATE"),
  mutate({ object, definition }) {
    const finalizer = finalizers[definition.plural];
    if (!object || !finalizer || object.metadata.finalizers?.includes(finalizer)) return;
    object.metadata.finalizers = [...(object.metadata.finalizers ?? []), finalizer];
  },
};
