/** A CSI volume that the pod asks for itself, which lives and dies with it. */
import { csiFolder } from "../csi/csi-volumes.ts";
import { defineVolumePlugin } from "./volume-plugin.ts";

export const csiVolume = defineVolumePlugin({
  type: "csi",
  folder: csiFolder,
  async prepare({ name }, source, { csi, pod, folder, signal }) {
    if (!csi) throw new Error("CSI volumes are not supported by this node");
    return csi.publishEphemeral(source, name, pod, folder, signal);
  },
});
