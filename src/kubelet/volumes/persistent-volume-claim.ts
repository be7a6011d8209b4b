/** A bound claim whose PersistentVolume is a folder of this machine (`local` or `hostPath`). */
import { PersistentVolumeClaims, PersistentVolumes } from "../../api/resources.ts";
import { isNotFound } from "../../apimachinery/status-error.ts";
import { checkHostPath } from "./host-path.ts";
import { defineVolumePlugin } from "./volume-plugin.ts";

export const persistentVolumeClaimVolume = defineVolumePlugin({
  type: "persistentVolumeClaim",
  folder: "kubernetes.io~local-volume",
  isOwnedByPod: true,
  async prepare(_volume, { claimName, readOnly }, { client, pod, signal }) {
    const { namespace } = pod.metadata;
    const claim = await client
      .get(PersistentVolumeClaims, { name: claimName, namespace }, { signal })
      .catch((error: unknown) => {
        if (isNotFound(error)) throw new Error(`persistentvolumeclaim ${JSON.stringify(claimName)} not found`);
        throw error;
      });
    if (!claim.spec.volumeName || claim.status?.phase !== "Bound") {
      throw new Error(`error processing PVC ${namespace}/${claimName}: PVC is not bound`);
    }
    const { spec } = await client.get(PersistentVolumes, { name: claim.spec.volumeName }, { signal });
    if (spec.hostPath) checkHostPath(spec.hostPath.path, spec.hostPath.type ?? "");
    const path = spec.hostPath?.path ?? spec.local?.path;
    if (!path) {
      throw new Error(`PersistentVolume ${claim.spec.volumeName} is of a type that this kubelet does not support`);
    }
    return { path, ...(readOnly ? { readOnly: true } : {}) };
  },
});
