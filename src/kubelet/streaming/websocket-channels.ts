/** The channels of one command in WebSocket messages (KEP-4006): each message begins with the number of its channel. */
import type { IncomingMessage } from "node:http";
import { type Duplex, Readable, Writable } from "node:stream";
import { finished } from "node:stream/promises";
import { type RawData, WebSocket, WebSocketServer } from "ws";
import type { CommandStreams, WantedStreams } from "./remote-command.ts";
import { terminalSizes } from "./terminal-sizes.ts";

const channel = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const;
const v5 = "v5.channel.k8s.io";
const v4 = "v4.channel.k8s.io";
const pingIntervalMs = 10_000;
const maximumMessageBytes = 1 << 20;

const server = new WebSocketServer({
  noServer: true,
  maxPayload: maximumMessageBytes,
  perMessageDeflate: false,
  handleProtocols: (offered) => [v5, v4].find((protocol) => offered.has(protocol)) ?? false,
});

export interface CommandChannels {
  streams: CommandStreams;
  /** Sends the outcome and closes. Resolves when the connection is closed. */
  finish(outcome: string): Promise<void>;
}

/** Resolves with undefined when the handshake was refused. */
export function openChannels(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  wanted: WantedStreams,
): Promise<CommandChannels | undefined> {
  return new Promise((resolve) => {
    socket.once("close", () => resolve(undefined));
    server.handleUpgrade(request, socket, head, (webSocket) => resolve(channelsOf(webSocket, wanted)));
  });
}

function channelsOf(webSocket: WebSocket, wanted: WantedStreams): CommandChannels {
  const gone = new AbortController();
  const stdin = wanted.stdin ? inputOf(webSocket) : undefined;
  const sizes = wanted.tty ? inputOf(webSocket) : undefined;
  webSocket.on("message", (data, isBinary) => {
    const message = toBuffer(data);
    // Text messages carry the same bytes for clients that cannot send others.
    if (message.length === 0 || (!isBinary && webSocket.protocol === "")) return;
    const number = message[0];
    const payload = message.subarray(1);
    if (number === channel.stdin) stdin?.take(payload);
    else if (number === channel.resize) sizes?.take(payload);
    else if (number === channel.close && webSocket.protocol === v5 && payload[0] === channel.stdin)
      stdin?.take(undefined);
  });
  // kubectl closes a connection on which it hears nothing for a minute.
  const pings = setInterval(() => webSocket.ping(), pingIntervalMs).unref();
  webSocket.on("error", () => webSocket.terminate());
  webSocket.once("close", () => {
    clearInterval(pings);
    stdin?.take(undefined);
    sizes?.take(undefined);
    gone.abort(new Error("the client went away"));
  });
  const outputs: Writable[] = [];
  const output = (number: number) => {
    const writable = outputOf(webSocket, number);
    outputs.push(writable);
    return writable;
  };
  return {
    streams: {
      ...(stdin ? { stdin: stdin.readable } : {}),
      ...(wanted.stdout ? { stdout: output(channel.stdout) } : {}),
      ...(wanted.stderr && !wanted.tty ? { stderr: output(channel.stderr) } : {}),
      ...(sizes ? { resize: terminalSizes(sizes.readable) } : {}),
      signal: gone.signal,
    },
    async finish(outcome) {
      // The outcome overtakes nothing: a client takes it for the end.
      await Promise.all(outputs.map((writable) => finished(writable.end()).catch(() => {})));
      await new Promise<void>((resolve) => {
        if (webSocket.readyState === WebSocket.CLOSED) return resolve();
        webSocket.once("close", () => resolve());
        webSocket.send(Buffer.concat([Buffer.of(channel.error), Buffer.from(outcome)]), { binary: true }, () =>
          webSocket.close(1000),
        );
        webSocket.resume();
      });
    },
  };
}

/** What comes on one channel. A slow reader pauses the connection. */
function inputOf(webSocket: WebSocket): { readable: Readable; take(payload: Buffer | undefined): void } {
  const readable = new Readable({ read: () => webSocket.resume() });
  return {
    readable,
    take(payload) {
      if (readable.destroyed || readable.readableEnded) return;
      if (payload === undefined) readable.push(null);
      else if (payload.length > 0 && !readable.push(payload)) webSocket.pause();
    },
  };
}

/** What goes on one channel. A slow client holds back the writer: a chunk is done when the kernel has taken it. */
function outputOf(webSocket: WebSocket, number: number): Writable {
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      if (webSocket.readyState !== WebSocket.OPEN) return done();
      webSocket.send(Buffer.concat([Buffer.of(number), chunk]), { binary: true }, () => done());
    },
  });
}

function toBuffer(data: RawData): Buffer {
  if (Buffer.isBuffer(data)) return data;
  return Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data);
}
