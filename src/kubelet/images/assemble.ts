/**
 * Makes real image layers out of this machine's own files: nothing but what is named goes in, so no secret of the machine can.
 * The same files give the same digests.
 */
import { createReadStream, type Stats, statSync } from "node:fs";
import { pipeline } from "node:stream/promises";
import { type Pack, pack } from "tar-stream";
import { digestOf } from "./content-store.ts";
import { machinePlatform } from "./image-config.ts";
import type { FetchedImage, ImageTarget } from "./image-store.ts";

/** What stands at a path of the image. */
export type LayerEntry =
  | { kind: "file"; from: string; mode?: number }
  | { kind: "text"; content: string; mode?: number }
  | { kind: "link"; to: string }
  | { kind: "directory"; mode?: number; owner?: number };

/** By absolute path. Folders on the way are made. */
export type LayerEntries = Map<string, LayerEntry>;

/** The `config` of an OCI image config, in its own spelling. */
export interface RunConfig {
  Entrypoint?: string[];
  Cmd?: string[];
  Env?: string[];
  User?: string;
  WorkingDir?: string;
  StopSignal?: string;
  ExposedPorts?: Record<string, object>;
  Labels?: Record<string, string>;
}

export async function assembleImage(
  layers: readonly LayerEntries[],
  config: RunConfig,
  target: ImageTarget,
): Promise<FetchedImage> {
  const diffIds: string[] = [];
  let sizeBytes = 0;
  for (const entries of layers) {
    const ingest = await target.content.ingest();
    try {
      const tar = pack();
      const written = write(tar, withFolders(entries));
      await pipeline(tar as unknown as AsyncIterable<Buffer>, async (chunks) => {
        for await (const chunk of chunks) await ingest.write(chunk);
      });
      await written;
      sizeBytes += ingest.size;
      const diffId = await ingest.commit({});
      await target.layers.unpack(diffId, target.content.path(diffId), diffId);
      target.content.remove(diffId);
      diffIds.push(diffId);
    } catch (error) {
      await ingest.abort();
      throw error;
    }
  }
  const { architecture, variant } = machinePlatform();
  const imageConfig = Buffer.from(
    JSON.stringify({ architecture, variant, os: "linux", config, rootfs: { type: "layers", diff_ids: diffIds } }),
  );
  target.content.write(imageConfig);
  return { id: digestOf(imageConfig), manifestDigest: undefined, sizeBytes, pinned: false };
}

/** Every folder on the way stands before what is in it. */
function withFolders(entries: LayerEntries): LayerEntries {
  const all: LayerEntries = new Map();
  for (const [path, entry] of [...entries].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const names = path.split("/").filter(Boolean);
    for (let depth = 1; depth < names.length; depth++) {
      const folder = `/${names.slice(0, depth).join("/")}`;
      if (!all.has(folder)) all.set(folder, entries.get(folder) ?? { kind: "directory" });
    }
    all.set(path, entry);
  }
  return all;
}

async function write(tar: Pack, entries: LayerEntries): Promise<void> {
  for (const [path, entry] of entries) {
    const header = { name: path.slice(1), uid: 0, gid: 0, uname: "", gname: "", mtime: new Date(0) };
    switch (entry.kind) {
      case "directory":
        tar.entry({
          ...header,
          uid: entry.owner ?? 0,
          gid: entry.owner ?? 0,
          type: "directory",
          mode: entry.mode ?? 0o755,
        });
        break;
      case "link":
        tar.entry({ ...header, type: "symlink", linkname: entry.to, mode: 0o777 });
        break;
      case "text":
        tar.entry({ ...header, mode: entry.mode ?? 0o644 }, entry.content);
        break;
      case "file":
        await writeFile(tar, header, entry, statSync(entry.from));
        break;
    }
  }
  tar.finalize();
}

async function writeFile(
  tar: Pack,
  header: { name: string },
  entry: { from: string; mode?: number },
  found: Stats,
): Promise<void> {
  // No set-user-id bits travel.
  const mode = entry.mode ?? (found.mode & 0o111 ? 0o755 : 0o644);
  const sink = tar.entry({ ...header, mode, size: found.size }) as unknown as NodeJS.WritableStream;
  await pipeline(createReadStream(entry.from, { end: Math.max(0, found.size - 1) }), sink);
}
