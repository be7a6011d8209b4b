/** Keeps a deleted PersistentVolume for as long as a claim is bound to it. */
import type { PersistentVolume } from "../../api/core/v1.ts";
import { PersistentVolumes } from "../../api/resources.ts";
import { defineController } from "../../controller-runtime/controller.ts";
import { withoutFinalizer } from "../finalizers.ts";

const finalizer = "kubernetes.io/pv-protection";

export const persistentVolumeProtectionController = defineController<PersistentVolume>({
  name: "persistentvolume-protection-controller",
  reconciles: PersistentVolumes,
  when: ({ type, object }) => type !== "DELETED" && object.metadata.deletionTimestamp !== undefined,
  writes: [PersistentVolumes],
  async reconcile({ key, cache, api }) {
    const volume = cache.get(PersistentVolumes, key);
    if (!volume?.metadata.deletionTimestamp || volume.status?.phase === "Bound") return;
    await withoutFinalizer(api, PersistentVolumes, volume, finalizer);
  },
});
