/** Keeps a deleted VolumeAttributesClass for as long as a claim or a volume names it. */
import type { PersistentVolume, PersistentVolumeClaim } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { PersistentVolumeClaims, PersistentVolumes, VolumeAttributesClasses } from "../../api/resources.ts";
import type { VolumeAttributesClass } from "../../api/storage/v1.ts";
import { refOf } from "../../client/client.ts";
import { objectKey } from "../../controller-runtime/cache.ts";
import { defineController, wake } from "../../controller-runtime/controller.ts";
import { withoutFinalizer } from "../finalizers.ts";

const finalizer = "kubernetes.io/vac-protection";

export const volumeAttributesClassProtectionController = defineController<VolumeAttributesClass>({
  name: "volumeattributesclass-protection-controller",
  reconciles: VolumeAttributesClasses,
  when: ({ type }) => type !== "DELETED",
  wakesOn: [
    wake<PersistentVolumeClaim>({
      resource: PersistentVolumeClaims,
      keys: (claim) => namesOfClaim(claim).map((name) => objectKey(name)),
    }),
    wake<PersistentVolume>({
      resource: PersistentVolumes,
      keys: (volume) => namesOfVolume(volume).map((name) => objectKey(name)),
    }),
  ],
  writes: [VolumeAttributesClasses],
  async reconcile({ key, cache, api }) {
    const named = cache.get(VolumeAttributesClasses, key);
    if (!named) return;
    const { name, uid, resourceVersion, finalizers = [], deletionTimestamp } = named.metadata;
    if (!deletionTimestamp) {
      if (finalizers.includes(finalizer)) return;
      const body = { metadata: { uid, resourceVersion, finalizers: [...finalizers, finalizer] } };
      await api.patch(VolumeAttributesClasses, refOf(named), { type: "merge", body });
      return;
    }
    const isUsed =
      cache.list(PersistentVolumeClaims).some((claim) => namesOfClaim(claim).includes(name)) ||
      cache.list(PersistentVolumes).some((volume) => namesOfVolume(volume).includes(name));
    if (!isUsed) await withoutFinalizer(api, VolumeAttributesClasses, named, finalizer);
  },
});

function namesOfClaim({ spec, status }: DeepReadonly<PersistentVolumeClaim>): string[] {
  const names = [
    spec.volumeAttributesClassName,
    status?.currentVolumeAttributesClassName,
    status?.modifyVolumeStatus?.targetVolumeAttributesClassName,
  ];
  return names.filter((name): name is string => !!name);
}

function namesOfVolume({ spec }: DeepReadonly<PersistentVolume>): string[] {
  return spec.volumeAttributesClassName ? [spec.volumeAttributesClassName] : [];
}
