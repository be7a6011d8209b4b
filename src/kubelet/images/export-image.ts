/** Writes an image of the store as `docker save` would, for a runtime that keeps images of its own. */
import { createHash } from "node:crypto";
import { createReadStream, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { spawnProcess } from "../../base/node/spawn-process.ts";
import { ImageError } from "./image-service.ts";

export interface ExportedImage {
  /** The image's config as it came. */
  config: Buffer;
  /** Folders of its unpacked layers, the lowest first. */
  layers: readonly string[];
  /** Whole names with tag. */
  names: readonly string[];
}

/**
 * Fills `folder` with the archive's files and resolves with their names, `manifest.json` first. Layers were unpacked and are packed
 * anew: the same files, marks of what they hide among them, in other bytes; so the image has another id than it came with.
 */
export async function exportImage(image: ExportedImage, folder: string, tar: string): Promise<string[]> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const files: string[] = [];
  const diffIds: string[] = [];
  for (const [i, layer] of image.layers.entries()) {
    const file = `layer-${i}.tar`;
    // Marks of hidden files are devices and attributes by now, as overlayfs has them, and stay that.
    const flags = ["--xattrs", "--xattrs-include=*", "--numeric-owner", "--sort=name"];
    await runProgram(tar, ["-C", layer, ...flags, "-cf", join(folder, file), "."]);
    const hash = createHash("sha256");
    await pipeline(createReadStream(join(folder, file)), hash);
    diffIds.push(`sha256:${hash.digest("hex")}`);
    files.push(file);
  }
  const config = JSON.parse(image.config.toString()) as { rootfs?: object };
  const packed = JSON.stringify({ ...config, rootfs: { type: "layers", diff_ids: diffIds } });
  const configFile = `${createHash("sha256").update(packed).digest("hex")}.json`;
  writeFileSync(join(folder, configFile), packed);
  const manifest = [{ Config: configFile, RepoTags: image.names, Layers: files }];
  writeFileSync(join(folder, "manifest.json"), JSON.stringify(manifest));
  return ["manifest.json", configFile, ...files];
}

/** Rejects with the program's own words when it fails. */
export async function runProgram(file: string, args: readonly string[], input?: NodeJS.ReadableStream): Promise<void> {
  const child = spawnProcess({ file, args, fds: { 0: "pipe-in", 2: "pipe-out" } });
  const complaint = text(child.readers[2]!);
  // One that ends without reading says why itself.
  if (input) await pipeline(input, child.writers[0]!).catch(() => {});
  else child.writers[0]!.destroy();
  const { code } = await child.exited;
  if (code === 0) return;
  throw new ImageError("Internal", `${file} failed: ${(await complaint).trim() || `exit code ${code}`}`);
}
