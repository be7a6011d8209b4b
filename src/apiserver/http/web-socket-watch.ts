/** A watch over WebSocket: one message an event, as browsers can read it. */
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import type { OpenWatch, WatchReceiver } from "../handlers/watch.ts";
import type { StreamFormat } from "./watch-stream.ts";

/** What may wait in a socket that does not drain before the watch is held back. */
const highWaterBytes = 256 * 1024;
const newline = 10;

const server = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: 64 * 1024 });

export async function serveWebSocketWatch(
  incoming: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  format: StreamFormat,
  open: (receiver: WatchReceiver) => Promise<OpenWatch>,
): Promise<void> {
  let watch: OpenWatch | undefined;
  let held = false;
  // What comes before the handshake is done waits here.
  let early: (() => void)[] | undefined = [];
  let send: (bytes: Buffer) => boolean = () => true;
  let close = () => {};
  const isText = format.contentType === "application/json";
  const whenOpen = (act: () => void) => (early ? early.push(act) : act());
  const receiver: WatchReceiver = {
    deliver(batch) {
      if (early) {
        early.push(() => send(Buffer.concat(format.batch(batch))));
        return true;
      }
      return send(Buffer.concat(format.batch(batch)));
    },
    ended(error) {
      whenOpen(() => {
        if (error) send(format.error(error));
        close();
      });
    },
  };
  receiver.dropped = () => socket.destroy();
  watch = await open(receiver);
  server.handleUpgrade(incoming, socket, head, (client) => {
    client.on("error", () => client.terminate());
    client.on("close", () => watch.stop());
    // Nothing is to be read, but pings are answered.
    client.on("message", () => {});
    close = () => client.close(1000);
    send = (bytes) => {
      for (const message of isText ? lines(bytes) : [bytes]) {
        client.send(isText ? message.toString() : message, { binary: !isText }, () => {
          if (held && client.bufferedAmount < highWaterBytes) {
            held = false;
            watch.resume();
          }
        });
      }
      held = client.bufferedAmount >= highWaterBytes;
      return !held;
    };
    const waiting = early ?? [];
    early = undefined;
    for (const act of waiting) act();
    watch.resume();
  });
}

/** One message for each line, without its end. */
function* lines(bytes: Buffer): Generator<Buffer> {
  let start = 0;
  for (;;) {
    const end = bytes.indexOf(newline, start);
    if (end < 0) return;
    yield bytes.subarray(start, end);
    start = end + 1;
  }
}
