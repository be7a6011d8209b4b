/** Creates the claims of Pods' ephemeral volumes; they go with their Pod. */
import type { PersistentVolumeClaim, Pod } from "../../api/core/v1.ts";
import type { New } from "../../api/object.ts";
import { PersistentVolumeClaims, Pods } from "../../api/resources.ts";
import { isAlreadyExists } from "../../apimachinery/status-error.ts";
import { objectKey } from "../../controller-runtime/cache.ts";
import { defineController } from "../../controller-runtime/controller.ts";
import { owned } from "../../controller-runtime/wakes.ts";
import { controllerReferenceTo } from "../ownership.ts";
import { isPodTerminal } from "../pod-facts.ts";

export const ephemeralVolumeController = defineController<Pod>({
  name: "ephemeral-volume-controller",
  eventSource: "ephemeral_volume",
  reconciles: Pods,
  when: ({ type, object }) =>
    type !== "DELETED" && (object.spec.volumes?.some(({ ephemeral }) => ephemeral !== undefined) ?? false),
  wakesOn: [owned(PersistentVolumeClaims)],
  writes: [PersistentVolumeClaims],
  async reconcile({ key, cache, api, events }) {
    const pod = cache.get(Pods, key);
    if (!pod || pod.metadata.deletionTimestamp || isPodTerminal(pod)) return;
    for (const volume of pod.spec.volumes ?? []) {
      const template = volume.ephemeral?.volumeClaimTemplate;
      if (!template) continue;
      const { namespace } = pod.metadata;
      const name = `${pod.metadata.name}-${volume.name}`;
      const present = cache.get(PersistentVolumeClaims, objectKey(name, namespace));
      if (present) {
        if (present.metadata.ownerReferences?.some(({ uid, controller }) => controller && uid === pod.metadata.uid))
          continue;
        const why = `PVC ${JSON.stringify(`${namespace}/${name}`)} was not created for pod ${JSON.stringify(key)} (pod is not the owner)`;
        events.event(pod, "Warning", "FailedBinding", `ephemeral volume ${volume.name}: ${why}`);
        throw new Error(why);
      }
      const claim: New<PersistentVolumeClaim> = {
        metadata: {
          name,
          namespace,
          ...(template.metadata?.labels ? { labels: { ...template.metadata.labels } } : {}),
          ...(template.metadata?.annotations ? { annotations: { ...template.metadata.annotations } } : {}),
          ownerReferences: [controllerReferenceTo(Pods, pod)],
        },
        // The server copies what it is given.
        spec: template.spec as PersistentVolumeClaim["spec"],
      };
      try {
        await api.create(PersistentVolumeClaims, claim);
      } catch (error) {
        if (!isAlreadyExists(error)) throw error;
      }
    }
  },
});
