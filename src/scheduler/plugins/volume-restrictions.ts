/** A claim that only one Pod may use (ReadWriteOncePod) is not given to a second. */
import { PersistentVolumeClaims } from "../../api/resources.ts";
import { objectKey, type ReadCache } from "../../controller-runtime/cache.ts";
import { refusal, type SchedulerPlugin } from "../framework.ts";
import { claimNamesOf } from "../pod-claims.ts";

const inUse = refusal("node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode");

export function volumeRestrictions(cache: ReadCache): SchedulerPlugin {
  return {
    name: "VolumeRestrictions",
    wakesOn: ["NodeAdded", "PodRemoved", "StorageChanged"],
    filter({ pod, namespace }, cluster) {
      const exclusive = claimNamesOf(pod).filter(({ name }) =>
        cache.get(PersistentVolumeClaims, objectKey(name, namespace))?.spec.accessModes?.includes("ReadWriteOncePod"),
      );
      if (exclusive.length === 0) return undefined;
      // Such claims are rare, so that walking all Pods for them is cheaper than counting every Pod's claims.
      for (const node of cluster.nodes) {
        for (const other of node.pods.values()) {
          if (other.namespace !== namespace || other.uid === pod.metadata.uid) continue;
          const names = claimNamesOf(other.pod);
          if (exclusive.some(({ name }) => names.some((claim) => claim.name === name))) return () => inUse;
        }
      }
      return undefined;
    },
  };
}
