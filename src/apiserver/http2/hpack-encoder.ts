/** Writes header blocks (HPACK, RFC 7541). One for each connection: what is the same in every response is one byte after the first. */
import { fieldBytes, staticTable, tableBytes } from "./static-table.ts";

/** Where a header's name stands in the static table, first. */
const staticNames = new Map(staticTable.map(([name], at) => [name, at + 1] as const).reverse());
const staticStatuses = new Map([
  [200, 8],
  [204, 9],
  [206, 10],
  [304, 11],
  [400, 12],
  [404, 13],
  [500, 14],
]);
/** Of these no two responses have the same. */
const passing = new Set(["audit-id", "content-length", "etag", "location", "retry-after", "warning"]);

interface Known {
  value: string;
  /** The how many-th header it was that came into the table. */
  number: number;
}

export class HpackEncoder {
  /** The last value of each name that came into the peer's table. */
  readonly #known = new Map<string, Known>();
  /** What each header in the table takes there, the oldest first. */
  readonly #sizes: number[] = [];
  #size = 0;
  #added = 0;
  #limit = tableBytes;
  /** The peer has not been told of the limit yet. */
  #owesLimit = false;
  #bytes = Buffer.allocUnsafeSlow(1024);
  #length = 0;

  /** The peer's table is so large from now on. */
  limit(bytes: number): void {
    const limit = Math.min(bytes, tableBytes);
    if (limit === this.#limit) return;
    // Made smaller and larger again between two blocks, the peer's table has been emptied: so is this one.
    if (this.#owesLimit && limit > this.#limit) this.#fit(0);
    this.#limit = limit;
    this.#owesLimit = true;
    this.#fit(limit);
  }

  /** The block's bytes, good until the next call. Values are Latin-1; a list stands for as many headers, undefined for none. */
  encode(status: number, headers: Readonly<Record<string, string | number | readonly string[] | undefined>>): Buffer {
    this.#length = 0;
    this.#room(64);
    if (this.#owesLimit) {
      this.#owesLimit = false;
      if (this.#limit > 0) this.#integer(0x20, 5, 0);
      this.#known.clear();
      this.#fit(0);
      this.#integer(0x20, 5, this.#limit);
    }
    const index = staticStatuses.get(status);
    if (index !== undefined) this.#integer(0x80, 7, index);
    else this.#literal(0x00, 4, 8, ":status", String(status));
    for (const name in headers) {
      const value = headers[name];
      if (value === undefined) continue;
      if (typeof value === "string") this.#field(name, value);
      else if (typeof value === "number") this.#field(name, String(value));
      else for (const one of value) this.#field(name, one);
    }
    return this.#bytes.subarray(0, this.#length);
  }

  #field(given: string, value: string): void {
    const known = this.#known.get(given);
    if (known?.value === value && this.#added - known.number < this.#sizes.length) {
      this.#room(8);
      this.#integer(0x80, 7, staticTable.length + 1 + this.#added - known.number);
      return;
    }
    const name = known ? given : given.toLowerCase();
    const index = staticNames.get(name) ?? 0;
    const bytes = fieldBytes(name, value);
    if (passing.has(name) || bytes > this.#limit / 2) {
      this.#literal(0x00, 4, index, name, value);
      return;
    }
    this.#literal(0x40, 6, index, name, value);
    this.#fit(this.#limit - bytes);
    this.#sizes.push(bytes);
    this.#size += bytes;
    this.#known.set(name, { value, number: ++this.#added });
  }

  /** Evicts as the peer does. */
  #fit(limit: number): void {
    while (this.#size > limit) this.#size -= this.#sizes.shift()!;
  }

  #literal(pattern: number, prefixBits: number, index: number, name: string, value: string): void {
    this.#room(name.length + value.length + 16);
    this.#integer(pattern, prefixBits, index);
    if (index === 0) this.#string(name);
    this.#string(value);
  }

  #string(text: string): void {
    this.#integer(0x00, 7, text.length);
    this.#length += this.#bytes.write(text, this.#length, "latin1");
  }

  #integer(pattern: number, prefixBits: number, value: number): void {
    const mask = (1 << prefixBits) - 1;
    if (value < mask) {
      this.#bytes[this.#length++] = pattern | value;
      return;
    }
    this.#bytes[this.#length++] = pattern | mask;
    let rest = value - mask;
    for (; rest >= 0x80; rest >>>= 7) this.#bytes[this.#length++] = (rest & 0x7f) | 0x80;
    this.#bytes[this.#length++] = rest;
  }

  #room(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.#bytes.length * 2, this.#length + bytes));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }
}
