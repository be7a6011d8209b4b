/** Blobs by their digest: what is in here has been verified. */
import { createHash, type Hash, randomUUID } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { ImageError } from "./image-service.ts";

export interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
  platform?: { os: string; architecture: string; variant?: string };
  annotations?: Record<string, string>;
}

export class ContentStore {
  readonly #blobs: string;
  readonly #ingest: string;

  constructor(folder: string) {
    this.#blobs = join(folder, "blobs", "sha256");
    this.#ingest = join(folder, "ingest");
  }

  open(): void {
    for (const folder of [this.#blobs, this.#ingest]) mkdirSync(folder, { recursive: true, mode: 0o700 });
  }

  path(digest: string): string {
    return join(this.#blobs, hexOf(digest));
  }

  has(digest: string): boolean {
    return statSync(this.path(digest), { throwIfNoEntry: false }) !== undefined;
  }

  read(digest: string): Buffer {
    return readFileSync(this.path(digest));
  }

  /** For small blobs: manifests and configs. Answers with the digest. */
  write(bytes: Buffer, expected?: string): string {
    const digest = digestOf(bytes);
    if (expected !== undefined) verify(digest, expected, bytes.length, bytes.length);
    const temporary = join(this.#ingest, randomUUID());
    writeFileSync(temporary, bytes);
    renameSync(temporary, this.path(digest));
    return digest;
  }

  remove(digest: string): void {
    rmSync(this.path(digest), { force: true });
  }

  ingest(): Promise<Ingest> {
    return Ingest.start(this, join(this.#ingest, randomUUID()));
  }
}

/** A blob on its way in. It becomes visible when it is complete and its digest is right. */
export class Ingest {
  readonly #store: ContentStore;
  readonly #path: string;
  readonly #file: FileHandle;
  #hash: Hash = createHash("sha256");
  #size = 0;

  private constructor(store: ContentStore, path: string, file: FileHandle) {
    this.#store = store;
    this.#path = path;
    this.#file = file;
  }

  static async start(store: ContentStore, path: string): Promise<Ingest> {
    return new Ingest(store, path, await open(path, "wx", 0o600));
  }

  /** Where a broken transfer goes on. */
  get size(): number {
    return this.#size;
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#hash.update(chunk);
    for (let at = 0; at < chunk.length; ) {
      at += (await this.#file.write(chunk, at, chunk.length - at, this.#size + at)).bytesWritten;
    }
    this.#size += chunk.length;
  }

  /** Begins anew, for a server that cannot go on where it broke off. */
  async restart(): Promise<void> {
    await this.#file.truncate(0);
    this.#hash = createHash("sha256");
    this.#size = 0;
  }

  /** Rejects with reason "Corrupt" when the content is not what the digest says; nothing is kept then. */
  async commit(expected: { digest?: string; size?: number }): Promise<string> {
    await this.#file.close();
    const digest = `sha256:${this.#hash.digest("hex")}`;
    try {
      if (expected.digest) verify(digest, expected.digest, this.#size, expected.size ?? this.#size);
    } catch (error) {
      rmSync(this.#path, { force: true });
      throw error;
    }
    renameSync(this.#path, this.#store.path(digest));
    return digest;
  }

  async abort(): Promise<void> {
    await this.#file.close().catch(() => {});
    rmSync(this.#path, { force: true });
  }
}

export function digestOf(bytes: Buffer): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

export function hexOf(digest: string): string {
  const hex = /^sha256:([0-9a-f]{64})$/.exec(digest)?.[1];
  if (!hex) throw new ImageError("Corrupt", `unsupported digest ${JSON.stringify(digest)}`);
  return hex;
}

function verify(digest: string, expected: string, size: number, expectedSize: number): void {
  hexOf(expected);
  if (size !== expectedSize)
    throw new ImageError("Corrupt", `unexpected commit size ${size}, expected ${expectedSize}: failed precondition`);
  if (digest !== expected)
    throw new ImageError("Corrupt", `unexpected commit digest ${digest}, expected ${expected}: failed precondition`);
}
