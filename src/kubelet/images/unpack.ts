/**
 * Unpacks a layer's tar into a folder that overlayfs can use as a lower layer. The tar comes from strangers: nothing in it can
 * make this write outside the folder, follow a link out of it, create a usable device, or fill the disk unnoticed.
 */
import {
  chmodSync,
  closeSync,
  fchmodSync,
  fchownSync,
  futimesSync,
  lchownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readlinkSync,
  rmSync,
  type Stats,
  symlinkSync,
  utimesSync,
  writeSync,
} from "node:fs";
import { open } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Readable } from "node:stream";
import { type Extract, extract, type Header } from "tar-stream";
import { makeFifo, makeWhiteout, markOpaque, setAttribute } from "./filesystem.ts";
import { ImageError } from "./image-service.ts";

export interface UnpackLimits {
  maximumBytes: number;
  maximumEntries: number;
}

/** Resolves with the number of bytes written. Rejects with an ImageError of reason "Corrupt", naming the entry at fault. */
export async function unpackLayer(tar: Readable, folder: string, limits: UnpackLimits): Promise<number> {
  const unpacker = new Unpacker(folder, limits);
  const entries = extract();
  const onFailure = (error: Error) => entries.destroy(error);
  tar.once("error", onFailure);
  tar.pipe(entries);
  try {
    for await (const entry of entries) await unpacker.take(entry);
  } catch (error) {
    tar.destroy();
    if (error instanceof ImageError || (error as NodeJS.ErrnoException).code) throw error;
    throw new ImageError("Corrupt", `layer is not a valid tar archive: ${(error as Error).message}`, { cause: error });
  } finally {
    tar.removeListener("error", onFailure);
  }
  unpacker.finish();
  return unpacker.bytes;
}

type Entry = Extract extends AsyncIterable<infer E> ? E : never;

class Unpacker {
  readonly #folder: string;
  readonly #limits: UnpackLimits;
  /** Set last: writing into a folder changes its time. */
  readonly #folderTimes = new Map<string, Date>();
  bytes = 0;
  #entries = 0;

  constructor(folder: string, limits: UnpackLimits) {
    this.#folder = folder;
    this.#limits = limits;
  }

  async take(entry: Entry): Promise<void> {
    const { header } = entry;
    if (++this.#entries > this.#limits.maximumEntries) {
      throw new ImageError("Corrupt", `layer has more than ${this.#limits.maximumEntries} entries`);
    }
    if (header.type === "file" || header.type === "contiguous-file") this.#account(header.size);
    const names = safeNames(header.name);
    if (names.length === 0) {
      // The root folder itself.
      if (header.type === "directory") this.#setAttributes(this.#folder, header);
      return drain(entry);
    }
    const name = names.pop()!;
    const parent = this.#resolveFolder(names, header.name);
    if (name.startsWith(whiteoutPrefix)) {
      this.#whiteout(parent, name, header.name);
      return drain(entry);
    }
    const path = join(parent, name);
    const existing = lstatSync(path, { throwIfNoEntry: false });
    if (existing && !(existing.isDirectory() && header.type === "directory"))
      rmSync(path, { recursive: true, force: true });
    await this.#create(path, header, entry, existing);
  }

  async #create(path: string, header: Header, entry: Entry, existing: Stats | undefined): Promise<void> {
    switch (header.type) {
      case "directory":
        if (!existing?.isDirectory()) mkdirSync(path);
        this.#setAttributes(path, header);
        return drain(entry);
      case "file":
      case "contiguous-file":
        return this.#writeFile(path, header, entry);
      case "symlink":
        // Wherever it points: links are resolved inside the container, never by us.
        symlinkSync(header.linkname, path);
        lchownSync(path, header.uid, header.gid);
        lutimesSync(path, timeOf(header), timeOf(header));
        return drain(entry);
      case "link":
        this.#hardLink(path, header);
        return drain(entry);
      case "fifo":
        makeFifo(path, 0o600);
        this.#setAttributes(path, header);
        return drain(entry);
      case "character-device":
      case "block-device":
        // Containers have a /dev of their own, and may not use device nodes found elsewhere: they are left out.
        return drain(entry);
      default:
        // pax and GNU headers never come this far; what else there may be carries no files.
        return drain(entry);
    }
  }

  async #writeFile(path: string, header: Header, entry: Entry): Promise<void> {
    const size = header.size;
    if (size <= smallFile) {
      const chunks: Buffer[] = [];
      for await (const chunk of entry) chunks.push(chunk as Buffer);
      const fd = openSync(path, "wx", 0o600);
      try {
        for (const chunk of chunks) for (let at = 0; at < chunk.length; ) at += writeSync(fd, chunk, at);
        // The owner first: changing it clears the set-user-id bits.
        fchownSync(fd, header.uid, header.gid);
        fchmodSync(fd, modeOf(header));
        this.#setExtended(path, header);
        futimesSync(fd, timeOf(header), timeOf(header));
      } finally {
        closeSync(fd);
      }
      return;
    }
    const file = await open(path, "wx", 0o600);
    try {
      for await (const chunk of entry) await file.writeFile(chunk as Buffer);
      await file.chown(header.uid, header.gid);
      await file.chmod(modeOf(header));
      this.#setExtended(path, header);
      await file.utimes(timeOf(header), timeOf(header));
    } finally {
      await file.close();
    }
  }

  #hardLink(path: string, header: Header): void {
    const names = safeNames(header.linkname);
    const name = names.pop();
    const target = name === undefined ? undefined : join(this.#resolveFolder(names, header.linkname, false), name);
    const found = target === undefined ? undefined : lstatSync(target, { throwIfNoEntry: false });
    if (!found || found.isDirectory()) {
      throw new ImageError(
        "Corrupt",
        `layer entry ${quote(header.name)}: hard link to ${quote(header.linkname)}, which is no file of this layer`,
      );
    }
    linkSync(target!, path);
  }

  #whiteout(parent: string, name: string, whole: string): void {
    if (name === opaqueMarker) {
      markOpaque(parent);
      return;
    }
    if (name.startsWith(`${whiteoutPrefix}${whiteoutPrefix}`)) return; // Other marks, of storage drivers long gone.
    const hidden = name.slice(whiteoutPrefix.length);
    if (hidden === "" || hidden === "." || hidden === "..")
      throw new ImageError("Corrupt", `layer entry ${quote(whole)}: not a valid whiteout`);
    const path = join(parent, hidden);
    rmSync(path, { recursive: true, force: true });
    makeWhiteout(path);
  }

  /**
   * The folder of an entry, made where it is missing. A component that is a link leads to where it would lead inside the
   * container, with this layer's folder as its root.
   */
  #resolveFolder(names: readonly string[], whole: string, create = true): string {
    const pending = [...names];
    const resolved: string[] = [];
    let links = 0;
    while (pending.length > 0) {
      const name = pending.shift()!;
      if (name === "..") {
        resolved.pop();
        continue;
      }
      const path = join(this.#folder, ...resolved, name);
      const found = lstatSync(path, { throwIfNoEntry: false });
      if (found?.isSymbolicLink()) {
        if (++links > 40) throw new ImageError("Corrupt", `layer entry ${quote(whole)}: too many links`);
        const target = readlinkSync(path);
        if (target.startsWith("/")) resolved.length = 0;
        pending.unshift(...target.split("/").filter((part) => part !== "" && part !== "."));
        continue;
      }
      if (!found) {
        if (create) mkdirSync(path, { mode: 0o755 });
      } else if (!found.isDirectory()) {
        if (!create) throw new ImageError("Corrupt", `layer entry ${quote(whole)}: not a folder`);
        // The layer replaces a file, or what it hid, by a folder.
        rmSync(path, { force: true });
        mkdirSync(path, { mode: 0o755 });
      }
      resolved.push(name);
    }
    return join(this.#folder, ...resolved);
  }

  #setAttributes(path: string, header: Header): void {
    lchownSync(path, header.uid, header.gid);
    chmodSync(path, modeOf(header));
    this.#setExtended(path, header);
    if (header.type === "directory") this.#folderTimes.set(path, timeOf(header));
    else utimesSync(path, timeOf(header), timeOf(header));
  }

  #setExtended(path: string, header: Header): void {
    for (const [key, value] of Object.entries((header.pax ?? {}) as Record<string, string>)) {
      if (!key.startsWith(paxAttribute)) continue;
      const name = key.slice(paxAttribute.length);
      // Overlayfs' own attributes in a layer could point into other folders; those of security modules are not portable.
      if (name !== "security.capability" && !name.startsWith("user.")) continue;
      if (value.includes("\ufffd")) continue; // Not text, and lost on the way through the tar reader.
      setAttribute(path, name, Buffer.from(value));
    }
  }

  #account(size: number): void {
    this.bytes += size;
    if (this.bytes > this.#limits.maximumBytes) {
      throw new ImageError(
        "NoSpace",
        `layer unpacks to more than the ${this.#limits.maximumBytes} bytes that are free`,
      );
    }
  }

  finish(): void {
    // Innermost first.
    for (const [path, time] of [...this.#folderTimes].reverse()) {
      if (lstatSync(path, { throwIfNoEntry: false })?.isDirectory()) utimesSync(path, time, time);
    }
  }
}

/** The path's components. Throws for paths that climb; a leading slash means the layer's root. */
function safeNames(name: string): string[] {
  const names = name.split("/").filter((part) => part !== "" && part !== ".");
  if (names.includes(".."))
    throw new ImageError("Corrupt", `layer entry ${quote(name)}: the path climbs out of its folder`);
  if (name.includes("\0")) throw new ImageError("Corrupt", `layer entry ${quote(name)}: the path holds a NUL`);
  if (names.some((part) => Buffer.byteLength(part) > 255)) {
    throw new ImageError(
      "Corrupt",
      `layer entry ${quote(`${basename(dirname(name)).slice(0, 40)}…`)}: a name is longer than 255 bytes`,
    );
  }
  return names;
}

function drain(entry: Entry): Promise<void> {
  return new Promise((resolve, reject) => {
    entry.once("end", resolve);
    entry.once("error", reject);
    entry.resume();
  });
}

function modeOf(header: Header): number {
  return header.mode & 0o7777;
}

function timeOf(header: Header): Date {
  return Number.isFinite(header.mtime.getTime()) ? header.mtime : new Date(0);
}

function quote(text: string): string {
  return JSON.stringify(text);
}

const smallFile = 256 << 10;
const whiteoutPrefix = ".wh.";
const opaqueMarker = ".wh..wh..opq";
const paxAttribute = "SCHILY.xattr.";
