/** The pod's own fields as files, following its labels and annotations. */
import { writeAtomically } from "./atomic-writer.ts";
import { defaultFileMode, downwardFiles } from "./projections.ts";
import { defineVolumePlugin } from "./volume-plugin.ts";

export const downwardApiVolume = defineVolumePlugin({
  type: "downwardAPI",
  folder: "kubernetes.io~downward-api",
  isOwnedByPod: true,
  async prepare(_volume, source, context) {
    writeAtomically(context.folder, downwardFiles(source, source.defaultMode ?? defaultFileMode, context));
    return { path: context.folder, isRefreshable: true, readOnly: true };
  },
});
