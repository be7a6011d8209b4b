/** A Node takes no more volumes of a CSI driver than its CSINode says. */
import { CSINodes } from "../../api/resources.ts";
import { objectKey, type ReadCache } from "../../controller-runtime/cache.ts";
import type { ReadVolume } from "../../controller-runtime/volume-matching.ts";
import { refusal, type SchedulerPlugin } from "../framework.ts";
import type { NodeInfo } from "../node-info.ts";
import { boundVolumesOf } from "../pod-claims.ts";

const tooMany = refusal("node(s) exceed max volume count");

export function nodeVolumeLimits(cache: ReadCache): SchedulerPlugin {
  return {
    name: "NodeVolumeLimits",
    wakesOn: ["NodeAdded", "PodRemoved", "StorageChanged"],
    filter({ pod }) {
      const wanted = handlesByDriver(boundVolumesOf(pod, cache));
      if (wanted.size === 0) return undefined;
      return (node) => {
        const drivers = cache.get(CSINodes, objectKey(node.name))?.spec.drivers ?? [];
        for (const { name, allocatable } of drivers) {
          const handles = wanted.get(name);
          if (!handles || allocatable?.count === undefined) continue;
          const used = usedOn(node, name);
          for (const handle of handles) used.add(handle);
          if (used.size > allocatable.count) return tooMany;
        }
        return undefined;
      };
    },
  };

  function usedOn(node: NodeInfo, driver: string): Set<string> {
    const used = new Set<string>();
    for (const { pod } of node.pods.values()) {
      for (const handle of handlesByDriver(boundVolumesOf(pod, cache)).get(driver) ?? []) used.add(handle);
    }
    return used;
  }
}

function handlesByDriver(volumes: readonly ReadVolume[]): Map<string, Set<string>> {
  const handles = new Map<string, Set<string>>();
  for (const { csi } of volumes.map(({ spec }) => spec)) {
    if (!csi) continue;
    const known = handles.get(csi.driver);
    if (known) known.add(csi.volumeHandle);
    else handles.set(csi.driver, new Set([csi.volumeHandle]));
  }
  return handles;
}
