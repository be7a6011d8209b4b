/** Unpacked layers, by the digest of their tar (the diff id). Overlayfs stacks them, so one layer serves all images that have it. */

import { createHash } from "node:crypto";
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { pipeline, Transform } from "node:stream";
import type { Random } from "../../base/random.ts";
import { decompressed } from "./compression.ts";
import { hexOf } from "./content-store.ts";
import { ImageError } from "./image-service.ts";
import { unpackLayer } from "./unpack.ts";

interface LayerRecord {
  diffId: string;
  sizeBytes: number;
  /** Digests under which registries hold it, compressed this way or that: no need to download those again. */
  blobs: string[];
}

export interface LayerStoreOptions {
  folder: string;
  random: Random;
  findProgram: (name: string) => string | undefined;
}

export class LayerStore {
  readonly #options: LayerStoreOptions;
  readonly #layers = new Map<string, LayerRecord>();
  readonly #unpacking = new Map<string, Promise<void>>();

  constructor(options: LayerStoreOptions) {
    this.#options = options;
  }

  /** Again when another process has changed the store. */
  open(): void {
    this.#layers.clear();
    for (const folder of [this.#folder, this.#temporary]) mkdirSync(folder, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(this.#folder)) {
      if (!name.endsWith(".json")) continue;
      try {
        const record = JSON.parse(readFileSync(join(this.#folder, name), "utf8")) as LayerRecord;
        if (lstatSync(this.path(record.diffId), { throwIfNoEntry: false })) this.#layers.set(record.diffId, record);
      } catch {
        // Not whole: the layer is unpacked again when it is needed.
      }
    }
  }

  has(diffId: string): boolean {
    return this.#layers.has(diffId);
  }

  /** The layer that a registry holds under this digest, when it is here. */
  findByBlob(digest: string): string | undefined {
    for (const record of this.#layers.values()) if (record.blobs.includes(digest)) return record.diffId;
    return undefined;
  }

  /** Short, because overlayfs takes all layers of an image in one page of options. */
  path(diffId: string): string {
    return join(this.#folder, hexOf(diffId).slice(0, 24));
  }

  sizeBytes(diffId: string): number {
    return this.#layers.get(diffId)?.sizeBytes ?? 0;
  }

  /** Unpacks a layer from a file, compressed or not, and checks that it is the one that was promised. Shared by callers at the same time. */
  async unpack(diffId: string, file: string, blob: string): Promise<void> {
    const running = this.#unpacking.get(diffId);
    if (running) return running;
    if (this.#layers.has(diffId)) return;
    const unpacking = this.#unpack(diffId, file, blob).finally(() => this.#unpacking.delete(diffId));
    this.#unpacking.set(diffId, unpacking);
    return unpacking;
  }

  async #unpack(diffId: string, file: string, blob: string): Promise<void> {
    const temporary = join(this.#temporary, this.#options.random.uuid());
    mkdirSync(temporary, { mode: 0o755 });
    try {
      const hash = createHash("sha256");
      const hashing = new Transform({
        transform(chunk: Buffer, _encoding, done) {
          hash.update(chunk);
          done(null, chunk);
        },
      });
      const content = pipeline(decompressed(file, this.#options.findProgram), hashing, () => {});
      const filesystem = statfsSync(this.#folder);
      const sizeBytes = await unpackLayer(content, temporary, {
        maximumBytes: filesystem.bavail * filesystem.bsize,
        maximumEntries: 2_000_000,
      });
      const actual = `sha256:${hash.digest("hex")}`;
      if (actual !== diffId)
        throw new ImageError("Corrupt", `layer ${blob} unpacks to ${actual}, but the image says ${diffId}`);
      await this.#putInPlace(temporary, this.path(diffId));
      this.#save({ diffId, sizeBytes, blobs: [blob] });
    } catch (error) {
      await rm(temporary, { recursive: true, force: true });
      if ((error as NodeJS.ErrnoException).code === "ENOSPC") {
        throw new ImageError("NoSpace", `no space left on device while unpacking layer ${blob} into ${this.#folder}`, {
          cause: error,
        });
      }
      throw error;
    }
  }

  /** A layer at its place is whole, and may be in use: when another process was faster, its copy is kept. */
  async #putInPlace(unpacked: string, path: string): Promise<void> {
    try {
      renameSync(unpacked, path);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "ENOTEMPTY" && code !== "EEXIST") throw error;
      await rm(unpacked, { recursive: true, force: true });
    }
  }

  /** Notes another digest of a layer that is here. */
  addBlob(diffId: string, blob: string): void {
    const record = this.#layers.get(diffId);
    if (!record || record.blobs.includes(blob)) return;
    this.#save({ ...record, blobs: [...record.blobs, blob] });
  }

  async removeExcept(used: ReadonlySet<string>): Promise<void> {
    for (const diffId of [...this.#layers.keys()]) {
      if (used.has(diffId) || this.#unpacking.has(diffId)) continue;
      this.#layers.delete(diffId);
      rmSync(`${this.path(diffId)}.json`, { force: true });
      // Moved away first: what is at a layer's place is whole.
      const doomed = join(this.#temporary, this.#options.random.uuid());
      renameSync(this.path(diffId), doomed);
      await rm(doomed, { recursive: true, force: true });
    }
  }

  totalBytes(): number {
    let total = 0;
    for (const { sizeBytes } of this.#layers.values()) total += sizeBytes;
    return total;
  }

  #save(record: LayerRecord): void {
    const file = `${this.path(record.diffId)}.json`;
    writeFileSync(`${file}.new`, JSON.stringify(record));
    renameSync(`${file}.new`, file);
    this.#layers.set(record.diffId, record);
  }

  get #folder(): string {
    return join(this.#options.folder, "layers");
  }

  get #temporary(): string {
    return join(this.#options.folder, "unpacking");
  }
}
