/** Keeps a deleted PersistentVolumeClaim for as long as a Pod that has a Node uses it. */
import type { PersistentVolumeClaim, Pod } from "../../api/core/v1.ts";
import { PersistentVolumeClaims, Pods } from "../../api/resources.ts";
import { objectKey } from "../../controller-runtime/cache.ts";
import { defineController, index, wake } from "../../controller-runtime/controller.ts";
import { withoutFinalizer } from "../finalizers.ts";
import { claimKeysOf } from "../pod-facts.ts";

const finalizer = "kubernetes.io/pvc-protection";
const byClaim = "claims";

export const persistentVolumeClaimProtectionController = defineController<PersistentVolumeClaim>({
  name: "persistentvolumeclaim-protection-controller",
  reconciles: PersistentVolumeClaims,
  when: ({ type, object }) => type !== "DELETED" && object.metadata.deletionTimestamp !== undefined,
  wakesOn: [
    wake<Pod>({
      resource: Pods,
      // A claim may go when its last Pod has gone.
      when: ({ type }) => type === "DELETED",
      keys: claimKeysOf,
    }),
  ],
  indexes: [index<Pod>({ resource: Pods, name: byClaim, values: claimKeysOf })],
  writes: [PersistentVolumeClaims],
  async reconcile({ key, cache, api }) {
    const claim = cache.get(PersistentVolumeClaims, key);
    if (!claim?.metadata.deletionTimestamp) return;
    const { name, namespace } = claim.metadata;
    const users = cache.byIndex(Pods, byClaim, objectKey(name, namespace));
    if (users.some(({ spec }) => spec.nodeName)) return;
    await withoutFinalizer(api, PersistentVolumeClaims, claim, finalizer);
  },
});
