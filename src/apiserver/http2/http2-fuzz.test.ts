/** Whatever a peer sends: no crash, no fault of ours, and no stream that is forgotten. `PINNACE_FUZZ_RUNS` sets how many peers, `PINNACE_FUZZ_SEED` the first. */
import { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { expect, test } from "vitest";
import { type Random, seededRandom } from "../../base/random.ts";
import { errorCodes, frameHeadBytes, frameKinds, readUint32, writeFrameHead } from "./frames.ts";
import { Http2Connection } from "./http2-connection.ts";
import type { Http2Exchange } from "./http2-exchange.ts";

const runs = Number(process.env["PINNACE_FUZZ_RUNS"] ?? 500);
const firstSeed = Number(process.env["PINNACE_FUZZ_SEED"] ?? 1);

/** The server's end of a connection, without TLS, whose peer reads everything, late at times. */
class Line extends Duplex {
  written: Buffer = Buffer.alloc(0);

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.written = Buffer.concat([this.written, chunk]);
    setImmediate(done);
  }

  destroySoon(): void {
    this.end();
    this.destroy();
  }
}

function frame(kind: number, flags: number, streamId: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(frameHeadBytes);
  writeFrameHead(head, 0, payload.length, kind, flags, streamId);
  return Buffer.concat([head, payload]);
}

const block = Buffer.concat([Buffer.from([0x83, 0x87, 0x84, 0x41, 1]), Buffer.from("x")]);
const pick = <T>(random: Random, from: readonly T[]): T => from[random.int(from.length)]!;

/** A frame that is sound more often than not. `newest` is the last stream that was begun. */
function anyFrame(random: Random, newest: number): Buffer {
  const { data, headers, settings, ping, windowUpdate, rstStream, continuation, priority, goaway } = frameKinds;
  const isOdd = random.int(20) === 0;
  const kind = isOdd
    ? pick(random, [settings, rstStream, continuation, priority, goaway, windowUpdate, ping])
    : pick(random, [data, data, headers, headers, windowUpdate, ping, rstStream]);
  const streamId = isOdd ? random.int(12) : kind === headers ? newest + 2 : 1 + 2 * random.int((newest + 1) / 2);
  const flags = isOdd ? random.int(256) : pick(random, kind === headers ? [4, 4, 5] : kind === data ? [0, 0, 1] : [0]);
  const number = Buffer.alloc(4);
  number.writeUInt32BE(isOdd ? pick(random, [0, 1, 8, 65_535, 2 ** 31 - 1]) : 1 + random.int(100_000));
  const payloads = {
    [data]: Buffer.alloc(pick(random, [0, 1, 100, 16_384]), random.int(256)),
    [headers]: block,
    [settings]: Buffer.concat([Buffer.from([0, random.int(8)]), number]),
    [ping]: Buffer.alloc(8),
    [priority]: Buffer.alloc(5),
    [continuation]: block,
    [goaway]: Buffer.alloc(8),
  };
  const isOfAll = kind === settings || kind === ping;
  const bytes = frame(kind, flags, isOfAll ? 0 : streamId, payloads[kind as typeof data] ?? number);
  if (random.int(30) === 0) bytes[random.int(bytes.length)] = random.int(256);
  return bytes;
}

async function answer(exchange: Http2Exchange, random: Random): Promise<void> {
  const way = random.int(5);
  if (way === 0) exchange.respond(200, { "x-any": "y" }, "z".repeat(random.int(50_000)));
  else if (way === 1) exchange.respond(200, {}, await exchange.readBody(1000));
  else if (way === 2) {
    exchange.begin(200, {});
    for (let i = 0; i < 20 && !exchange.closed; i++) {
      const ready = exchange.write(Buffer.alloc(random.int(40_000)));
      if (ready) continue;
      await new Promise<void>((resolve) => {
        exchange.onDrain(resolve);
        exchange.onClose(resolve);
      });
    }
    exchange.end();
  } else if (way === 3) for await (const _ of exchange.body) if (random.int(3) === 0) break;
  if (way > 2) exchange.abort();
}

test("any frames at all", async () => {
  const faults: unknown[] = [];
  let answered = 0;
  for (let seed = firstSeed; seed < firstSeed + runs; seed++) {
    const random = seededRandom(seed);
    const line = new Line();
    line.on("error", () => {});
    let open = 0;
    let newest = -1;
    new Http2Connection({
      socket: line as unknown as TLSSocket,
      maximumHeaderBytes: 4096,
      date: () => "now",
      onExchange(exchange) {
        open++;
        exchange.onClose(() => open--);
        answer(exchange, random).then(
          () => answered++,
          (error: Error) =>
            error.name === "ClientGoneError" || error.name === "StatusError" || faults.push([seed, error]),
        );
      },
    });
    line.push(
      Buffer.concat([
        Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        frame(frameKinds.settings, 0, 0, Buffer.alloc(0)),
      ]),
    );
    for (let i = random.int(40); i >= 0 && !line.destroyed; i--) {
      const bytes = anyFrame(random, newest);
      if (bytes[3] === frameKinds.headers) newest += 2;
      line.push(bytes);
      if (random.int(4) === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await new Promise((resolve) => setImmediate(resolve));
    line.destroy();
    await new Promise((resolve) => setImmediate(resolve));
    if (open !== 0) faults.push([seed, `${open} streams are open`]);
    for (
      let at = 0;
      at + frameHeadBytes <= line.written.length;
      at += frameHeadBytes + line.written.readUIntBE(at, 3)
    ) {
      if (line.written[at + 3] !== frameKinds.goaway) continue;
      if (readUint32(line.written, at + 13) === errorCodes.internalError) faults.push([seed, "a fault of ours"]);
    }
  }
  expect(faults).toEqual([]);
  expect(answered).toBeGreaterThan(runs / 2);
});
