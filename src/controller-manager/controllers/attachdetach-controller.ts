/**
 * Asks for CSI volumes to be attached to the nodes of the pods that use them, and to be detached when none does: a
 * VolumeAttachment each, which the driver's own attacher carries out. Volumes of drivers that need no attaching are left alone.
 */
import { createHash } from "node:crypto";
import type { PersistentVolume, PersistentVolumeClaim, Pod } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import {
  CSIDrivers,
  Nodes,
  PersistentVolumeClaims,
  PersistentVolumes,
  Pods,
  VolumeAttachments,
} from "../../api/resources.ts";
import type { CSIDriver, VolumeAttachment } from "../../api/storage/v1.ts";
import { isAlreadyExists, isNotFound } from "../../apimachinery/status-error.ts";
import { refOf } from "../../client/client.ts";
import { type ObjectKey, objectKey, type ReadCache } from "../../controller-runtime/cache.ts";
import { defineController, wake } from "../../controller-runtime/controller.ts";

/** Reconciled by the node's name: all that its pods use at once. */
export const attachDetachController = defineController({
  name: "persistentvolume-attach-detach-controller",
  reconciles: Nodes,
  when: ({ type }) => type !== "MODIFIED",
  wakesOn: [
    wake<Pod>({
      resource: Pods,
      when: ({ object }) =>
        object.spec.volumes?.some((volume) => volume.persistentVolumeClaim ?? volume.ephemeral) ?? false,
      *keys({ spec }) {
        if (spec.nodeName) yield objectKey(spec.nodeName);
      },
    }),
    wake<VolumeAttachment>({
      resource: VolumeAttachments,
      *keys({ spec }) {
        yield objectKey(spec.nodeName);
      },
    }),
    wake<PersistentVolume>({
      resource: PersistentVolumes,
      *keys({ spec }, cache) {
        const { csi, claimRef } = spec;
        if (csi && claimRef?.name && claimRef.namespace) yield* nodesOfClaim(cache, claimRef.namespace, claimRef.name);
      },
    }),
    wake<PersistentVolumeClaim>({
      resource: PersistentVolumeClaims,
      *keys({ metadata, spec }, cache) {
        if (!spec.volumeName || !cache.get(PersistentVolumes, objectKey(spec.volumeName))?.spec.csi) return;
        yield* nodesOfClaim(cache, metadata.namespace, metadata.name);
      },
    }),
    wake<CSIDriver>({
      resource: CSIDrivers,
      *keys(_driver, cache) {
        for (const { metadata } of cache.list(Nodes)) yield objectKey(metadata.name);
      },
    }),
  ],
  writes: [VolumeAttachments],
  async reconcile({ key, cache, api }) {
    const attachments = cache.list(VolumeAttachments);
    // Most clusters have none.
    if (attachments.length === 0 && !cache.list(PersistentVolumes).some(({ spec }) => spec.csi)) return;
    const wanted = wantedAttachments(cache, key);
    for (const attachment of attachments) {
      const { name, deletionTimestamp } = attachment.metadata;
      if (objectKey(attachment.spec.nodeName) !== key || wanted.delete(name) || deletionTimestamp) continue;
      // Another's, who named it otherwise.
      if (!name.startsWith("csi-")) continue;
      await api.delete(VolumeAttachments, refOf(attachment)).catch((error: unknown) => {
        if (!isNotFound(error)) throw error;
      });
    }
    for (const [name, spec] of wanted) {
      await api.create(VolumeAttachments, { metadata: { name }, spec }).catch((error: unknown) => {
        if (!isAlreadyExists(error)) throw error;
      });
    }
  },
});

/** By name, as upstream names them: kubelets look for them by it. */
function wantedAttachments(cache: ReadCache, node: ObjectKey): Map<string, VolumeAttachment["spec"]> {
  const wanted = new Map<string, VolumeAttachment["spec"]>();
  for (const pod of cache.list(Pods)) {
    const { nodeName } = pod.spec;
    if (!nodeName || objectKey(nodeName) !== node || hasEnded(pod)) continue;
    for (const claimName of claimsOf(pod)) {
      const claim = cache.get(PersistentVolumeClaims, objectKey(claimName, pod.metadata.namespace));
      const volume = claim?.spec.volumeName
        ? cache.get(PersistentVolumes, objectKey(claim.spec.volumeName))
        : undefined;
      const { csi } = volume?.spec ?? {};
      if (!csi || !volume || cache.get(CSIDrivers, objectKey(csi.driver))?.spec.attachRequired === false) continue;
      const id = createHash("sha256").update(`${csi.volumeHandle}${csi.driver}${nodeName}`).digest("hex");
      wanted.set(`csi-${id}`, {
        attacher: csi.driver,
        nodeName,
        source: { persistentVolumeName: volume.metadata.name },
      });
    }
  }
  return wanted;
}

function* nodesOfClaim(cache: ReadCache, namespace: string, claimName: string): Iterable<ObjectKey> {
  for (const pod of cache.list(Pods, namespace)) {
    if (pod.spec.nodeName && claimsOf(pod).includes(claimName)) yield objectKey(pod.spec.nodeName);
  }
}

/** What has ended has given its volumes back. */
function hasEnded({ status }: DeepReadonly<Pod>): boolean {
  return status?.phase === "Succeeded" || status?.phase === "Failed";
}

function claimsOf({ metadata, spec }: DeepReadonly<Pod>): string[] {
  return (spec.volumes ?? []).flatMap((volume) => {
    if (volume.persistentVolumeClaim) return [volume.persistentVolumeClaim.claimName];
    return volume.ephemeral ? [`${metadata.name}-${volume.name}`] : [];
  });
}
