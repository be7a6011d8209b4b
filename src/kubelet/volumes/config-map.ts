/** A ConfigMap's entries as files, following the ConfigMap. */
import { writeAtomically } from "./atomic-writer.ts";
import { configMapFiles, defaultFileMode } from "./projections.ts";
import { defineVolumePlugin } from "./volume-plugin.ts";

export const configMapVolume = defineVolumePlugin({
  type: "configMap",
  folder: "kubernetes.io~configmap",
  isOwnedByPod: true,
  async prepare(_volume, source, context) {
    writeAtomically(context.folder, await configMapFiles(source, source.defaultMode ?? defaultFileMode, context));
    return { path: context.folder, isRefreshable: true, readOnly: true };
  },
});
