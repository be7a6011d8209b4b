/** Reads header blocks (HPACK, RFC 7541). One for each connection: each block builds on those before. */
import { ConnectionError, errorCodes } from "./frames.ts";
import { decodeHuffman } from "./huffman.ts";
import { fieldBytes, staticTable, tableBytes } from "./static-table.ts";

/** Where strings are unpacked, one at a time. */
let scratch = Buffer.allocUnsafeSlow(1024);

export class HpackDecoder {
  /** The oldest first. */
  readonly #fields: (readonly [name: string, value: string])[] = [];
  #size = 0;
  #limit = tableBytes;
  #bytes: Buffer = scratch;
  #at = 0;
  #end = 0;

  /** Tells of each header in order. Throws a ConnectionError: after a block that cannot be read none can be. */
  decode(block: Buffer, onField: (name: string, value: string) => void): void {
    this.#bytes = block;
    this.#at = 0;
    this.#end = block.length;
    while (this.#at < this.#end) {
      const first = block[this.#at]!;
      if (first & 0x80) {
        const [name, value] = this.#field(this.#integer(7));
        onField(name, value);
      } else if (first & 0x40) {
        const index = this.#integer(6);
        const name = index === 0 ? this.#string() : this.#field(index)[0];
        const value = this.#string();
        this.#add(name, value);
        onField(name, value);
      } else if (first & 0x20) {
        const limit = this.#integer(5);
        if (limit > tableBytes) throw unreadable("the table would be larger than allowed");
        this.#limit = limit;
        this.#evict();
      } else {
        const index = this.#integer(4);
        const name = index === 0 ? this.#string() : this.#field(index)[0];
        onField(name, this.#string());
      }
    }
  }

  #field(index: number): readonly [name: string, value: string] {
    const field =
      index <= staticTable.length
        ? staticTable[index - 1]
        : this.#fields[this.#fields.length - (index - staticTable.length)];
    if (!field) throw unreadable(`there is no header ${index}`);
    return field;
  }

  #add(name: string, value: string): void {
    this.#fields.push([name, value]);
    this.#size += fieldBytes(name, value);
    this.#evict();
  }

  #evict(): void {
    while (this.#size > this.#limit) {
      const [name, value] = this.#fields.shift()!;
      this.#size -= fieldBytes(name, value);
    }
  }

  /** An integer whose first bits share their byte with something else. */
  #integer(prefixBits: number): number {
    const mask = (1 << prefixBits) - 1;
    let value = this.#bytes[this.#at++]! & mask;
    if (value < mask) return value;
    for (let shift = 0; ; shift += 7) {
      if (this.#at >= this.#end || shift > 21) throw unreadable("a number without end");
      const byte = this.#bytes[this.#at++]!;
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  }

  #string(): string {
    if (this.#at >= this.#end) throw unreadable("a string is missing");
    const isPacked = (this.#bytes[this.#at]! & 0x80) !== 0;
    const length = this.#integer(7);
    const start = this.#at;
    this.#at += length;
    if (this.#at > this.#end) throw unreadable("a string is cut short");
    if (!isPacked) return this.#bytes.toString("latin1", start, this.#at);
    if (scratch.length < length * 2) scratch = Buffer.allocUnsafeSlow(length * 2);
    const unpacked = decodeHuffman(this.#bytes, start, this.#at, scratch);
    if (unpacked < 0) throw unreadable("a string is not in the Huffman code");
    return scratch.toString("latin1", 0, unpacked);
  }
}

function unreadable(message: string): ConnectionError {
  return new ConnectionError(errorCodes.compressionError, message);
}
