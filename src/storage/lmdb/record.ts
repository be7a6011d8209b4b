/** How revisions stand in the database file: each record carries a checksum over itself and over where it belongs. */
import { crc32 } from "node:zlib";
import type { Revision } from "../store.ts";

/** One change, as stored under its revision. */
interface RevisionRecord {
  kind: "put" | "delete";
  key: string;
  createRevision: Revision;
  /** The revision of the state that this change replaced; 0 when there was none. */
  previousRevision: Revision;
  /** Empty for a delete. */
  value: Uint8Array;
}

/** Where a key's current state is found. */
export interface KeyRecord {
  modRevision: Revision;
  createRevision: Revision;
}

/** What the file holds is not what was written. */
export class CorruptedError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "CorruptedError";
  }
}

// Checksum u32, kind u8, createRevision f64, previousRevision f64, length of the key u16, key, value.
const headerBytes = 4 + 1 + 8 + 8 + 2;

export function encodeRevision(revision: Revision, record: RevisionRecord): Buffer {
  const keyBytes = Buffer.byteLength(record.key);
  const buffer = Buffer.allocUnsafe(headerBytes + keyBytes + record.value.length);
  buffer.writeUInt8(record.kind === "put" ? 1 : 2, 4);
  buffer.writeDoubleLE(record.createRevision, 5);
  buffer.writeDoubleLE(record.previousRevision, 13);
  buffer.writeUInt16LE(keyBytes, 21);
  buffer.write(record.key, headerBytes, "utf8");
  buffer.set(record.value, headerBytes + keyBytes);
  buffer.writeUInt32LE(checksum(buffer, revision), 0);
  return buffer;
}

/** The value is a view into `buffer`. Throws CorruptedError. */
export function decodeRevision(revision: Revision, buffer: Buffer): RevisionRecord {
  if (buffer.length < headerBytes || buffer.readUInt32LE(0) !== checksum(buffer, revision)) {
    throw new CorruptedError(`the record of revision ${revision} does not match its checksum`);
  }
  const valueAt = headerBytes + buffer.readUInt16LE(21);
  return {
    kind: buffer[4] === 1 ? "put" : "delete",
    createRevision: buffer.readDoubleLE(5),
    previousRevision: buffer.readDoubleLE(13),
    key: buffer.toString("utf8", headerBytes, valueAt),
    value: buffer.subarray(valueAt),
  };
}

export function encodeKey(key: Buffer, record: KeyRecord): Buffer {
  const buffer = Buffer.allocUnsafe(20);
  buffer.writeDoubleLE(record.modRevision, 4);
  buffer.writeDoubleLE(record.createRevision, 12);
  buffer.writeUInt32LE(crc32(buffer.subarray(4), crc32(key)), 0);
  return buffer;
}

/** Throws CorruptedError. */
export function decodeKey(key: Buffer, buffer: Buffer): KeyRecord {
  if (buffer.length !== 20 || buffer.readUInt32LE(0) !== crc32(buffer.subarray(4), crc32(key))) {
    throw new CorruptedError(`the record of key ${key.toString()} does not match its checksum`);
  }
  return { modRevision: buffer.readDoubleLE(4), createRevision: buffer.readDoubleLE(12) };
}

/** Seeded with the revision, so that a sound record in another's place is found out too. */
function checksum(buffer: Buffer, revision: Revision): number {
  return crc32(buffer.subarray(4), revision % 2 ** 32);
}
