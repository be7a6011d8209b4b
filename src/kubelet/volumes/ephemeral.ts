/** The volume of a claim that was made for this pod, and goes with it. */
import { claimedVolume } from "./claimed-volume.ts";
import { defineVolumePlugin } from "./volume-plugin.ts";

export const ephemeralVolume = defineVolumePlugin({
  type: "ephemeral",
  folder: "kubernetes.io~ephemeral",
  isOwnedByPod: true,
  prepare({ name }, _source, context) {
    const { metadata } = context.pod;
    return claimedVolume(`${metadata.name}-${name}`, context, (claim) => {
      if (claim.metadata.ownerReferences?.some(({ uid, controller }) => controller && uid === metadata.uid)) return;
      const claimKey = JSON.stringify(`${claim.metadata.namespace}/${claim.metadata.name}`);
      const podKey = JSON.stringify(`${metadata.namespace}/${metadata.name}`);
      throw new Error(`PVC ${claimKey} was not created for pod ${podKey} (pod is not the owner)`);
    });
  },
});
