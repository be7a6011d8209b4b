/** The PersistentVolume behind a claim, where it is a folder of this machine (`local` or `hostPath`) or a CSI driver's. */
import { statSync } from "node:fs";
import { join } from "node:path";
import type { PersistentVolumeClaim, PersistentVolumeClaimSpec, PersistentVolumeSpec } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { PersistentVolumeClaims, PersistentVolumes } from "../../api/resources.ts";
import { isNotFound } from "../../apimachinery/status-error.ts";
import { csiFolder } from "../csi/csi-volumes.ts";
import { checkHostPath } from "./host-path.ts";
import { mountNfs, nfsFolder } from "./nfs.ts";
import type { PreparedVolume, VolumeContext } from "./volume-plugin.ts";

export async function claimedVolume(
  claimName: string,
  context: VolumeContext,
  check?: (claim: DeepReadonly<PersistentVolumeClaim>) => void,
): Promise<PreparedVolume> {
  const { client, signal, csi, pod, podRoot } = context;
  const { volumeName, volumeMode } = await boundClaim(claimName, context, check);
  const { spec } = await client.get(PersistentVolumes, { name: volumeName }, { signal });
  const isBlock = volumeMode === "Block";
  if (isBlock && !spec.csi) return blockVolume(volumeName, spec);
  if (spec.nfs)
    return mountNfs(spec.nfs, spec.mountOptions ?? [], join(podRoot, "volumes", nfsFolder, volumeName), signal);
  if (spec.hostPath) {
    checkHostPath(spec.hostPath.path, spec.hostPath.type ?? "");
    return { path: spec.hostPath.path };
  }
  if (spec.csi) {
    if (!csi) throw new Error("CSI volumes are not supported by this node");
    const { accessModes = [], mountOptions = [] } = spec;
    const folder = join(podRoot, "volumes", csiFolder, volumeName);
    return csi.publishPersistent(
      { name: volumeName, claimName, source: spec.csi, accessModes, mountOptions, isBlock },
      pod,
      folder,
      signal,
    );
  }
  if (!spec.local) throw new Error(`PersistentVolume ${volumeName} is of a type that this kubelet does not support`);
  const { path } = spec.local;
  if (!statSync(path, { throwIfNoEntry: false })) throw new Error(`path ${JSON.stringify(path)} does not exist`);
  return { path };
}

/** A device of this machine. */
function blockVolume(
  name: string,
  { local, hostPath, accessModes }: DeepReadonly<PersistentVolumeSpec>,
): PreparedVolume {
  const path = local?.path ?? hostPath?.path;
  if (path === undefined)
    throw new Error(`PersistentVolume ${name}: block volumes of this type are not supported by this kubelet`);
  if (!statSync(path, { throwIfNoEntry: false })?.isBlockDevice())
    throw new Error(`path ${JSON.stringify(path)} is not a block device`);
  const isReadOnly = accessModes?.every((mode) => mode === "ReadOnlyMany");
  return { path, isBlock: true, ...(isReadOnly ? { readOnly: true } : {}) };
}

/** The spec of a claim that has its volume. */
export async function boundClaim(
  claimName: string,
  { client, pod, signal }: Pick<VolumeContext, "client" | "pod" | "signal">,
  check?: (claim: DeepReadonly<PersistentVolumeClaim>) => void,
): Promise<DeepReadonly<PersistentVolumeClaimSpec> & { volumeName: string }> {
  const { namespace } = pod.metadata;
  const claim = await client
    .get(PersistentVolumeClaims, { name: claimName, namespace }, { signal })
    .catch((error: unknown) => {
      if (isNotFound(error)) throw new Error(`persistentvolumeclaim ${JSON.stringify(claimName)} not found`);
      throw error;
    });
  check?.(claim);
  const { volumeName } = claim.spec;
  if (!volumeName || claim.status?.phase !== "Bound") {
    throw new Error(`error processing PVC ${namespace}/${claimName}: PVC is not bound`);
  }
  return { ...claim.spec, volumeName };
}
