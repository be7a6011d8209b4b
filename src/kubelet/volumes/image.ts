/** The content of an image as a read-only volume. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { check, libc } from "../../base/node/libc.ts";
import { isMountPoint } from "./mount.ts";
import { defineVolumePlugin, ImageVolumeError } from "./volume-plugin.ts";

export const imageVolume = defineVolumePlugin({
  type: "image",
  folder: "kubernetes.io~image",
  async prepare(_volume, source, { folder, image }) {
    const merged = join(folder, "content");
    mkdirSync(merged, { recursive: true });
    try {
      const layers = await image(source.reference ?? "", source.pullPolicy);
      if (!isMountPoint(merged)) mountLayers(layers, merged, folder);
      return { path: merged, readOnly: true, layers };
    } catch (error) {
      if (!(error instanceof ImageVolumeError)) throw error;
      return { path: merged, readOnly: true, imageFailure: error };
    }
  },
});

/** Topmost first. Without a layer to write to, overlayfs wants at least two. */
function mountLayers(layers: readonly string[], merged: string, folder: string): void {
  const empty = join(folder, "empty");
  mkdirSync(empty, { recursive: true });
  const data = `lowerdir=${[...layers, empty].map((path) => path.replace(/[\\:,]/g, "\\$&")).join(":")}`;
  if (Buffer.byteLength(data) >= pageSize)
    throw new Error(`the image has ${layers.length} layers, too many for a volume`);
  check(
    libc().mount("overlay", merged, "overlay", msReadonly | msNosuid | msNodev, Buffer.from(`${data}\0`)),
    "mount",
    merged,
  );
}

const pageSize = 4096;
const msReadonly = 1;
const msNosuid = 2;
const msNodev = 4;
