/** A Secret's entries as files in memory, following the Secret. */
import { writeAtomically } from "./atomic-writer.ts";
import { defaultFileMode, secretFiles } from "./projections.ts";
import { defineVolumePlugin } from "./volume-plugin.ts";

export const secretVolume = defineVolumePlugin({
  type: "secret",
  folder: "kubernetes.io~secret",
  isVolatile: true,
  isOwnedByPod: true,
  async prepare(_volume, source, context) {
    const { secretName, items, optional } = source;
    const projection = { ...(secretName ? { name: secretName } : {}), ...(items ? { items } : {}), optional };
    writeAtomically(context.folder, await secretFiles(projection, source.defaultMode ?? defaultFileMode, context));
    return { path: context.folder, isRefreshable: true, readOnly: true };
  },
});
