/** Volumes of pods whose containers see no files: what they refer to must be there, and nothing is written. */
import { boundClaim } from "./claimed-volume.ts";
import { type PreparedVolumes, VolumeError } from "./pod-volumes.ts";
import { configMapFiles, defaultFileMode, secretFiles, trustBundleFile } from "./projections.ts";
import type { VolumeContext } from "./volume-plugin.ts";

type Context = Omit<VolumeContext, "folder" | "podRoot">;
type PodVolume = NonNullable<Context["pod"]["spec"]["volumes"]>[number];

/** Rejects with the words that preparing the volumes would have. */
export async function lookUpVolumes(context: Context): Promise<PreparedVolumes> {
  await Promise.all(
    (context.pod.spec.volumes ?? []).map(async (volume) => {
      try {
        await lookUp(volume, { ...context, folder: "", podRoot: "" });
      } catch (error) {
        const message = `MountVolume.SetUp failed for volume ${JSON.stringify(volume.name)} : ${(error as Error).message}`;
        throw new VolumeError(message, { cause: error });
      }
    }),
  );
  return new Map();
}

async function lookUp(volume: PodVolume, context: VolumeContext): Promise<void> {
  const { configMap, secret, projected, persistentVolumeClaim, ephemeral } = volume;
  if (configMap) await configMapFiles(configMap, defaultFileMode, context);
  if (secret) {
    const { secretName, ...projection } = secret;
    await secretFiles({ ...projection, ...(secretName ? { name: secretName } : {}) }, defaultFileMode, context);
  }
  for (const source of projected?.sources ?? []) {
    if (source.configMap) await configMapFiles(source.configMap, defaultFileMode, context);
    if (source.secret) await secretFiles(source.secret, defaultFileMode, context);
    if (source.clusterTrustBundle) await trustBundleFile(source.clusterTrustBundle, defaultFileMode, context);
  }
  if (persistentVolumeClaim) await boundClaim(persistentVolumeClaim.claimName, context);
  if (ephemeral) await boundClaim(`${context.pod.metadata.name}-${volume.name}`, context);
}
