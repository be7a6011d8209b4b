/** A folder that lives as long as its pod, on disk or in memory. */
import { chmodSync, mkdirSync } from "node:fs";
import { quantityValue } from "../../apimachinery/quantity.ts";
import { isMountPoint, mountTmpfs } from "./mount.ts";
import { defineVolumePlugin } from "./volume-plugin.ts";

export const emptyDirVolume = defineVolumePlugin({
  type: "emptyDir",
  folder: "kubernetes.io~empty-dir",
  isOwnedByPod: true,
  async prepare(_volume, source, { folder }) {
    mkdirSync(folder, { recursive: true });
    if (source.medium === "Memory") {
      if (!isMountPoint(folder)) mountTmpfs(folder, quantityValue(source.sizeLimit));
    } else if (source.medium) {
      throw new Error(`emptyDir medium ${JSON.stringify(source.medium)} is not supported by this kubelet`);
    }
    chmodSync(folder, 0o777);
    return { path: folder };
  },
});
