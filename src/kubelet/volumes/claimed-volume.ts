/** The PersistentVolume behind a claim, where it is a folder of this machine (`local` or `hostPath`). */
import { statSync } from "node:fs";
import type { PersistentVolumeClaim } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { PersistentVolumeClaims, PersistentVolumes } from "../../api/resources.ts";
import { isNotFound } from "../../apimachinery/status-error.ts";
import { checkHostPath } from "./host-path.ts";
import type { PreparedVolume, VolumeContext } from "./volume-plugin.ts";

export async function claimedVolume(
  claimName: string,
  { client, pod, signal }: VolumeContext,
  check?: (claim: DeepReadonly<PersistentVolumeClaim>) => void,
): Promise<PreparedVolume> {
  const { namespace } = pod.metadata;
  const claim = await client
    .get(PersistentVolumeClaims, { name: claimName, namespace }, { signal })
    .catch((error: unknown) => {
      if (isNotFound(error)) throw new Error(`persistentvolumeclaim ${JSON.stringify(claimName)} not found`);
      throw error;
    });
  check?.(claim);
  const { volumeName, volumeMode } = claim.spec;
  if (!volumeName || claim.status?.phase !== "Bound") {
    throw new Error(`error processing PVC ${namespace}/${claimName}: PVC is not bound`);
  }
  if (volumeMode === "Block") {
    throw new Error(`PersistentVolume ${volumeName} is a block volume, which this kubelet does not support`);
  }
  const { spec } = await client.get(PersistentVolumes, { name: volumeName }, { signal });
  if (spec.hostPath) {
    checkHostPath(spec.hostPath.path, spec.hostPath.type ?? "");
    return { path: spec.hostPath.path };
  }
  if (!spec.local) throw new Error(`PersistentVolume ${volumeName} is of a type that this kubelet does not support`);
  const { path } = spec.local;
  if (!statSync(path, { throwIfNoEntry: false })) throw new Error(`path ${JSON.stringify(path)} does not exist`);
  return { path };
}
