/**
 * gzip of large answers out of pieces that were compressed before: each cached object keeps its compressed bytes, and a list is
 * their concatenation inside one gzip stream. A piece ends on a byte boundary (full flush), so pieces can stand side by side.
 */
import { constants, crc32, deflateRawSync } from "node:zlib";

/** Compressed bytes without a final block, and what gzip's trailer wants to know of the bytes they stand for. */
export interface Piece {
  bytes: Uint8Array;
  crc: number;
  /** Uncompressed. */
  length: number;
}

/** For pieces that are kept. */
const keptLevel = 4;

export function deflatePiece(plain: Uint8Array, level = keptLevel): Piece {
  const bytes = deflateRawSync(plain, { level, finishFlush: constants.Z_FULL_FLUSH });
  return { bytes, crc: crc32(plain), length: plain.length };
}

/** A piece as one buffer, as caches keep it: its bytes, then checksum and length. */
export function packPiece({ bytes, crc, length }: Piece): Buffer {
  const packed = Buffer.allocUnsafe(bytes.length + 8);
  packed.set(bytes);
  packed.writeUInt32LE(crc, bytes.length);
  packed.writeUInt32LE(length, bytes.length + 4);
  return packed;
}

export function unpackPiece(packed: Buffer): Piece {
  const end = packed.length - 8;
  return { bytes: packed.subarray(0, end), crc: packed.readUInt32LE(end), length: packed.readUInt32LE(end + 4) };
}

export const gzipHead = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);

/** Counts what has been written, for the end of the stream. */
export class GzipTrailer {
  #crc = 0;
  #length = 0;

  add(piece: Pick<Piece, "crc" | "length">): void {
    this.#crc = this.#length === 0 ? piece.crc : combineCrc(this.#crc, piece.crc, piece.length);
    this.#length += piece.length;
  }

  /** An empty final block, then checksum and length of everything. */
  end(): Buffer {
    const end = Buffer.alloc(10);
    end[0] = 3;
    end.writeUInt32LE(this.#crc >>> 0, 2);
    end.writeUInt32LE(this.#length >>> 0, 6);
    return end;
  }
}

const polynomial = 0xedb88320;

/** a·b modulo the checksum's polynomial, in the reflected order that crc32 works in. */
function multiply(a: number, b: number): number {
  let product = 0;
  for (let mask = 0x80000000; mask !== 0; mask >>>= 1) {
    if (a & mask) product ^= b;
    b = b & 1 ? (b >>> 1) ^ polynomial : b >>> 1;
  }
  return product >>> 0;
}

/** x^(8·length) by length: lists have few different ones. */
const shifts = new Map<number, number>();

function shiftOf(length: number): number {
  let shift = shifts.get(length);
  if (shift === undefined) {
    // x^8, squared along the bits of the length.
    let power = 0x00800000;
    shift = 0x80000000;
    for (let rest = length; rest > 0; rest = Math.floor(rest / 2)) {
      if (rest % 2 === 1) shift = multiply(shift, power);
      power = multiply(power, power);
    }
    if (shifts.size > 4096) shifts.clear();
    shifts.set(length, shift);
  }
  return shift;
}

/** The checksum of two stretches one after the other, from theirs. */
export function combineCrc(first: number, second: number, secondLength: number): number {
  return (multiply(shiftOf(secondLength), first) ^ second) >>> 0;
}
