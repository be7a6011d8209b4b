/** The volume of a claim that the pod names. */
import { claimedVolume } from "./claimed-volume.ts";
import { defineVolumePlugin } from "./volume-plugin.ts";

export const persistentVolumeClaimVolume = defineVolumePlugin({
  type: "persistentVolumeClaim",
  folder: "kubernetes.io~local-volume",
  isOwnedByPod: true,
  async prepare(_volume, { claimName, readOnly }, context) {
    const prepared = await claimedVolume(claimName, context);
    return { ...prepared, ...(readOnly ? { readOnly: true } : {}) };
  },
});
