/**
 * Looks over the page structure of an LMDB file before LMDB maps it: a file that was cut short or overwritten would
 * otherwise end the process with a signal instead of an error. Reads branch and leaf pages only; what stands in the
 * records is guarded by their own checksums.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { CorruptedError } from "./record.ts";

// The layout of LMDB's data format 2, little endian.
const pageHeader = 24;
const magic = 0xbeefc0de;
const noPage = 0xffff_ffff_ffff_ffffn;
const branchPage = 0x01;
const leafPage = 0x02;
const overflowPage = 0x04;
const nodeHeader = 8;
const bigData = 0x01;
const subDatabase = 0x02;
const databaseBytes = 48;

/** Throws CorruptedError. A file that is empty or not there is in order: LMDB makes it anew. */
export function checkLmdbFile(path: string): void {
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw error;
  }
  try {
    const { size } = fstatSync(fd);
    if (size > 0) new FileCheck(fd, path, size).run();
  } finally {
    closeSync(fd);
  }
}

class FileCheck {
  readonly #fd: number;
  readonly #path: string;
  readonly #size: number;
  #pageSize = 4096;
  readonly #visited = new Set<number>();

  constructor(fd: number, path: string, size: number) {
    this.#fd = fd;
    this.#path = path;
    this.#size = size;
  }

  run(): void {
    const first = this.#meta(0);
    this.#pageSize = first?.pageSize ?? this.#pageSize;
    const second = this.#meta(this.#pageSize);
    if (!first && !second) this.#fail("neither of its two heads is one of an LMDB file");
    // Whichever is newer is the state LMDB would show.
    const meta = !second || (first && first.transaction >= second.transaction) ? first! : second;
    if (meta.pageSize < 512 || meta.pageSize > 65536) this.#fail(`its page size is ${meta.pageSize}`);
    this.#pageSize = meta.pageSize;
    for (const root of meta.roots) this.#tree(root, 0);
  }

  #meta(offset: number): { pageSize: number; roots: bigint[]; transaction: bigint } | undefined {
    const bytes = Buffer.alloc(pageHeader + 24 + 2 * databaseBytes + 16);
    if (readSync(this.#fd, bytes, 0, bytes.length, offset) < bytes.length) return undefined;
    const body = bytes.subarray(pageHeader);
    if (body.readUInt32LE(0) !== magic) return undefined;
    const databases = body.subarray(24);
    return {
      pageSize: databases.readUInt32LE(0),
      roots: [databases.readBigUInt64LE(40), databases.readBigUInt64LE(databaseBytes + 40)],
      transaction: databases.readBigUInt64LE(2 * databaseBytes + 8),
    };
  }

  #tree(root: bigint, depth: number): void {
    if (root === noPage) return;
    const page = Number(root);
    if (depth > 64 || this.#visited.has(page)) this.#fail(`page ${page} is reached twice`);
    this.#visited.add(page);
    const bytes = this.#page(page);
    const flags = bytes.readUInt16LE(18) & 0x0f;
    const nodes = bytes.readUInt16LE(20) >> 1;
    if (bytes.readBigUInt64LE(0) !== root) this.#fail(`page ${page} bears another's number`);
    if (flags !== branchPage && flags !== leafPage) this.#fail(`page ${page} is neither branch nor leaf`);
    if (pageHeader + nodes * 2 > this.#pageSize) this.#fail(`page ${page} claims ${nodes} nodes`);
    for (let i = 0; i < nodes; i++) {
      const at = pageHeader + bytes.readUInt16LE(pageHeader + i * 2);
      const keyEnd = at + nodeHeader <= this.#pageSize ? at + nodeHeader + bytes.readUInt16LE(at + 6) : Infinity;
      if (keyEnd > this.#pageSize) this.#fail(`node ${i} of page ${page} lies outside it`);
      if (flags === branchPage) {
        const child = BigInt(bytes.readUInt32LE(at)) | (BigInt(bytes.readUInt16LE(at + 4)) << 32n);
        this.#tree(child, depth + 1);
      } else this.#leafNode(bytes, at, keyEnd, page, depth);
    }
  }

  #leafNode(bytes: Buffer, at: number, dataAt: number, page: number, depth: number): void {
    const flags = bytes.readUInt16LE(at + 4);
    const length = bytes.readUInt32LE(at);
    const inPage = flags & bigData ? 24 : length;
    if (dataAt + inPage > this.#pageSize) this.#fail(`a record of page ${page} lies outside it`);
    if (flags & bigData) {
      const first = Number(bytes.readBigUInt64LE(dataAt));
      const pages = Math.ceil((pageHeader + length) / this.#pageSize);
      if ((first + pages) * this.#pageSize > this.#size) this.#fail("it is cut short");
      const header = Buffer.alloc(pageHeader);
      readSync(this.#fd, header, 0, pageHeader, first * this.#pageSize);
      const isOverflow = (header.readUInt16LE(18) & overflowPage) !== 0 && Number(header.readBigUInt64LE(0)) === first;
      if (!isOverflow) this.#fail(`page ${first} does not hold the large record it should`);
    }
    if (flags & subDatabase && length === databaseBytes) this.#tree(bytes.readBigUInt64LE(dataAt + 40), depth + 1);
  }

  #page(page: number): Buffer {
    if ((page + 1) * this.#pageSize > this.#size) this.#fail("it is cut short");
    const bytes = Buffer.allocUnsafe(this.#pageSize);
    readSync(this.#fd, bytes, 0, this.#pageSize, page * this.#pageSize);
    return bytes;
  }

  #fail(what: string): never {
    throw new CorruptedError(`${this.#path} is damaged: ${what}`);
  }
}
