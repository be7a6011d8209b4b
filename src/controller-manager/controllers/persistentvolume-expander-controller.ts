/** Enlarges bound volumes whose claim asks for more. A folder has no size, so for local volumes saying it is doing it. */
import type { PersistentVolumeClaim } from "../../api/core/v1.ts";
import { PersistentVolumeClaims, PersistentVolumes } from "../../api/resources.ts";
import { compareQuantities } from "../../apimachinery/quantity.ts";
import { refOf } from "../../client/client.ts";
import { objectKey } from "../../controller-runtime/cache.ts";
import { defineController, statusOf } from "../../controller-runtime/controller.ts";
import { capacityOf, provisionedBy, requestedStorage } from "../../controller-runtime/volume-matching.ts";
import { localProvisioner } from "./local-volume-provisioner.ts";

export const persistentVolumeExpanderController = defineController<PersistentVolumeClaim>({
  name: "persistentvolume-expander-controller",
  eventSource: "volume_expand",
  reconciles: PersistentVolumeClaims,
  when: ({ type, object }) => type !== "DELETED" && object.status?.phase === "Bound",
  reads: [PersistentVolumes],
  writes: [PersistentVolumes, statusOf(PersistentVolumeClaims)],
  async reconcile({ key, cache, api, events }) {
    const claim = cache.get(PersistentVolumeClaims, key);
    if (claim?.status?.phase !== "Bound" || claim.metadata.deletionTimestamp) return;
    const volume = cache.get(PersistentVolumes, objectKey(claim.spec.volumeName ?? ""));
    const wanted = requestedStorage(claim);
    if (!volume || compareQuantities(wanted, claim.status.capacity?.["storage"] ?? "0") <= 0) return;
    if (volume.metadata.annotations?.[provisionedBy] !== localProvisioner) {
      const message = "waiting for an external controller to expand this PVC";
      events.event(claim, "Normal", "ExternalExpanding", message);
      return;
    }
    if (compareQuantities(capacityOf(volume), wanted) < 0) {
      const body = { spec: { capacity: { storage: wanted } } };
      await api.patch(PersistentVolumes, refOf(volume), { type: "merge", body });
    }
    const body = { status: { capacity: { storage: wanted }, conditions: null } };
    await api.patch(PersistentVolumeClaims, refOf(claim), { type: "merge", body }, { subresource: "status" });
    events.event(claim, "Normal", "VolumeResizeSuccessful", "Resize volume succeeded");
  },
});
