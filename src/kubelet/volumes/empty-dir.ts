/** A folder that lives as long as its pod, on disk or in memory. */
import { chmodSync, mkdirSync } from "node:fs";
import { quantityValue } from "../../apimachinery/quantity.ts";
import type { PodObject } from "../pod-state.ts";
import { isMountPoint, mountHugePages, mountTmpfs } from "./mount.ts";
import { defineVolumePlugin } from "./volume-plugin.ts";

/** Of a pod that names none for its volume: the one that its containers ask for. */
function pageSizeOf({ spec }: PodObject): string {
  const containers = [...spec.containers, ...(spec.initContainers ?? [])];
  const sizes = new Set(
    containers.flatMap(({ resources }) =>
      Object.keys(resources?.requests ?? {}).flatMap((name) => /^hugepages-(.+)$/.exec(name)?.[1] ?? []),
    ),
  );
  const [size] = sizes;
  if (size === undefined || sizes.size > 1)
    throw new Error("medium HugePages can only be used when all containers request huge pages of one size");
  return size;
}

export const emptyDirVolume = defineVolumePlugin({
  type: "emptyDir",
  folder: "kubernetes.io~empty-dir",
  isOwnedByPod: true,
  async prepare(_volume, source, { folder, pod }) {
    mkdirSync(folder, { recursive: true });
    if (source.medium === "Memory") {
      if (!isMountPoint(folder)) mountTmpfs(folder, quantityValue(source.sizeLimit));
    } else if (source.medium?.startsWith("HugePages")) {
      const size = source.medium.slice("HugePages-".length) || pageSizeOf(pod);
      if (!isMountPoint(folder)) mountHugePages(folder, size);
    } else if (source.medium) {
      throw new Error(`emptyDir medium ${JSON.stringify(source.medium)} is not supported by this kubelet`);
    }
    chmodSync(folder, 0o777);
    return { path: folder };
  },
});
