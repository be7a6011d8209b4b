/** Protobuf's wire format: varints, tags and length-delimited parts. */
import { DecodeError } from "./decode-error.ts";

export const wireVarint = 0;
export const wireFixed64 = 1;
export const wireBytes = 2;
const wireFixed32 = 5;

/**
 * Writes back to front, so that a message's length is known when its prefix is due: write a message's fields in reverse, then
 * `length(mark)` with the mark taken before, then its tag.
 */
export class ReverseWriter {
  #buffer: Buffer;
  #at: number;

  constructor(capacity = 4096) {
    this.#buffer = Buffer.allocUnsafe(capacity);
    this.#at = capacity;
  }

  /** How much has been written. */
  get mark(): number {
    return this.#buffer.length - this.#at;
  }

  tag(field: number, wire: number): void {
    this.uint(field * 8 + wire);
  }

  /** The length of all that was written since the mark. */
  length(mark: number): void {
    this.uint(this.mark - mark);
  }

  /** A whole number from 0 to 2^53. */
  uint(value: number): void {
    if (value < 0x80) {
      this.#reserve(1);
      this.#buffer[--this.#at] = value;
      return;
    }
    let size = 1;
    for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) size++;
    this.#reserve(size);
    this.#at -= size;
    let at = this.#at;
    for (; value >= 0x80; value = Math.floor(value / 0x80)) this.#buffer[at++] = (value % 0x80) | 0x80;
    this.#buffer[at] = value;
  }

  /** int32 and int64: a negative number is sign-extended to ten bytes. */
  int(value: number | bigint): void {
    if (typeof value === "number" && value >= 0) {
      this.uint(value);
      return;
    }
    let rest = BigInt.asUintN(64, typeof value === "bigint" ? value : BigInt(Math.trunc(value)));
    const bytes: number[] = [];
    for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
    bytes.push(Number(rest));
    this.raw(Uint8Array.from(bytes));
  }

  double(value: number): void {
    this.#reserve(8);
    this.#at -= 8;
    this.#buffer.writeDoubleLE(value, this.#at);
  }

  /** Text or bytes with their length. */
  string(value: string, encoding: "utf8" | "base64" = "utf8"): void {
    const size = Buffer.byteLength(value, encoding);
    this.#reserve(size);
    this.#at -= size;
    this.#buffer.write(value, this.#at, size, encoding);
    this.uint(size);
  }

  bytes(value: Uint8Array): void {
    this.raw(value);
    this.uint(value.length);
  }

  /** Bytes as they are. */
  raw(value: Uint8Array): void {
    this.#reserve(value.length);
    this.#at -= value.length;
    this.#buffer.set(value, this.#at);
  }

  /** All that was written; the writer must not be used afterwards. */
  finish(): Buffer {
    return this.#buffer.subarray(this.#at);
  }

  #reserve(size: number): void {
    if (this.#at >= size) return;
    const used = this.mark;
    const grown = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, used + size + 1024));
    this.#buffer.copy(grown, grown.length - used, this.#at);
    this.#at = grown.length - used;
    this.#buffer = grown;
  }
}

/** Reads one message. Throws DecodeError when the bytes end too soon or make no sense. */
export class Reader {
  readonly #buffer: Buffer;
  readonly #end: number;
  #at: number;

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.#buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = start;
    this.#end = end;
  }

  get done(): boolean {
    return this.#at >= this.#end;
  }

  /** A varint as JavaScript has it: exact up to 2^53, two's complement for negative numbers. */
  int(): number {
    return this.#varint();
  }

  /** The same, to the last digit. */
  int64(): number | bigint {
    const start = this.#at;
    const value = this.#varint();
    if (Number.isSafeInteger(value)) return value;
    let exact = 0n;
    for (let at = this.#at - 1; at >= start; at--) exact = (exact << 7n) | BigInt(this.#buffer[at]! & 0x7f);
    return BigInt.asIntN(64, exact);
  }

  #varint(): number {
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.#byte();
      if (shift < 28) low |= (byte & 0x7f) << shift;
      else if (shift === 28) {
        low |= (byte & 0x0f) << 28;
        high |= (byte & 0x7f) >> 4;
      } else if (shift < 63) high |= (byte & 0x7f) << (shift - 32);
      else high |= (byte & 1) << 31;
      if (byte < 0x80) return high * 0x1_0000_0000 + (low >>> 0);
    }
    throw new DecodeError("proto: integer overflow");
  }

  uint(): number {
    const value = this.int();
    if (value < 0) throw new DecodeError("proto: integer overflow");
    return value;
  }

  double(): number {
    this.#need(8);
    this.#at += 8;
    return this.#buffer.readDoubleLE(this.#at - 8);
  }

  string(): string {
    const size = this.#size();
    this.#at += size;
    return this.#buffer.toString("utf8", this.#at - size, this.#at);
  }

  base64(): string {
    const size = this.#size();
    this.#at += size;
    return this.#buffer.toString("base64", this.#at - size, this.#at);
  }

  /** A view, not a copy. */
  bytes(): Buffer {
    const size = this.#size();
    this.#at += size;
    return this.#buffer.subarray(this.#at - size, this.#at);
  }

  /** A reader of the length-delimited part that begins here. */
  message(): Reader {
    const size = this.#size();
    this.#at += size;
    return new Reader(this.#buffer, this.#at - size, this.#at);
  }

  skip(wire: number): void {
    if (wire === wireVarint) this.int();
    else if (wire === wireBytes) this.bytes();
    else if (wire === wireFixed64) this.#advance(8);
    else if (wire === wireFixed32) this.#advance(4);
    else throw new DecodeError(`proto: illegal wireType ${wire}`);
  }

  #advance(size: number): void {
    this.#need(size);
    this.#at += size;
  }

  #size(): number {
    const size = this.uint();
    this.#need(size);
    return size;
  }

  #byte(): number {
    if (this.#at >= this.#end) throw new DecodeError("unexpected EOF");
    return this.#buffer[this.#at++]!;
  }

  #need(size: number): void {
    if (size > this.#end - this.#at) throw new DecodeError("unexpected EOF");
  }
}
