/** SPDY/3.1 header blocks: name-value pairs, compressed by one zlib stream for each direction of a connection. */
import { constants, createDeflate, createInflate, type Deflate, type Inflate } from "node:zlib";
import { ProtocolError } from "./frames.ts";
import { headerDictionary } from "./header-dictionary.ts";

/** Lower-case names. */
export type Headers = Readonly<Record<string, string>>;

/** Far more than stream headers need; a block that inflates beyond it is refused. */
const maximumBytes = 15 * 1024;

/** Blocks must be given in the order of their frames: each builds on those before. */
export class HeaderReader {
  readonly #inflate: Inflate = createInflate({ dictionary: headerDictionary, finishFlush: constants.Z_SYNC_FLUSH });

  async read(block: Buffer): Promise<Headers> {
    return parsePairs(await throughZlib(this.#inflate, block));
  }

  close(): void {
    this.#inflate.close();
  }
}

export class HeaderWriter {
  readonly #deflate: Deflate = createDeflate({ dictionary: headerDictionary, flush: constants.Z_SYNC_FLUSH });

  async write(headers: Headers): Promise<Buffer> {
    return throughZlib(this.#deflate, formatPairs(headers));
  }

  close(): void {
    this.#deflate.close();
  }
}

function throughZlib(stream: Inflate | Deflate, input: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const finish = (error: Error | null | undefined) => {
      stream.off("error", finish);
      stream.off("readable", checkSize);
      if (error) reject(new ProtocolError(`a header block is damaged: ${error.message}`, { cause: error }));
      else resolve((stream.read() as Buffer | null) ?? Buffer.alloc(0));
    };
    // zlib waits for its reader when its buffer is full: then the block is larger than any that we want.
    const checkSize = () => {
      if (stream.readableLength > maximumBytes) finish(new Error(`it is larger than ${maximumBytes} bytes`));
    };
    stream.on("error", finish);
    stream.on("readable", checkSize);
    stream.write(input, finish);
  });
}

function parsePairs(bytes: Buffer): Headers {
  const headers: Record<string, string> = {};
  let position = 0;
  const number = () => {
    if (position + 4 > bytes.length) throw new ProtocolError("a header block ends in the middle");
    position += 4;
    return bytes.readUInt32BE(position - 4);
  };
  const text = () => {
    const length = number();
    if (position + length > bytes.length) throw new ProtocolError("a header block ends in the middle");
    position += length;
    return bytes.toString("latin1", position - length, position);
  };
  for (let count = number(); count > 0; count--) {
    const name = text();
    // Several values of one name are divided by a NUL; ours have one each.
    headers[name.toLowerCase()] = text().split("\0")[0]!;
  }
  return headers;
}

function formatPairs(headers: Headers): Buffer {
  const parts: Buffer[] = [];
  const number = (value: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    parts.push(bytes);
  };
  const text = (value: string) => {
    number(value.length);
    parts.push(Buffer.from(value, "latin1"));
  };
  const entries = Object.entries(headers);
  number(entries.length);
  for (const [name, value] of entries) {
    text(name);
    text(value);
  }
  return Buffer.concat(parts);
}
