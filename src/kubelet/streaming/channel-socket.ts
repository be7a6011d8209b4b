/**
 * Numbered channels in the messages of one WebSocket: each message begins with the number of its channel, as a byte, or as a
 * digit before base64 for clients that send text only (upstream: wsstream).
 */
import type { IncomingMessage } from "node:http";
import { type Duplex, Readable, Writable } from "node:stream";
import { type RawData, WebSocket, WebSocketServer } from "ws";

const pingIntervalMs = 10_000;
const maximumMessageBytes = 1 << 20;

/** Takes on clients of the protocols named, by the server's order; a client that names none has the plain one. */
export class ChannelServer {
  readonly #server: WebSocketServer;

  constructor(protocols: readonly string[]) {
    this.#server = new WebSocketServer({
      noServer: true,
      maxPayload: maximumMessageBytes,
      perMessageDeflate: false,
      handleProtocols: (offered) => protocols.find((protocol) => offered.has(protocol)) ?? false,
    });
  }

  /** Resolves with undefined when the handshake was refused. */
  accept(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<ChannelSocket | undefined> {
    return new Promise((resolve) => {
      socket.once("close", () => resolve(undefined));
      this.#server.handleUpgrade(request, socket, head, (webSocket) => resolve(new ChannelSocket(webSocket)));
    });
  }
}

/** What comes on one channel. */
export interface ChannelInput {
  readable: Readable;
  /** Undefined: nothing more will come. */
  take(payload: Buffer | undefined): void;
}

export class ChannelSocket {
  /** Empty when the client named none. */
  readonly protocol: string;
  readonly #webSocket: WebSocket;
  readonly #isText: boolean;

  constructor(webSocket: WebSocket) {
    this.#webSocket = webSocket;
    this.protocol = webSocket.protocol;
    this.#isText = webSocket.protocol.endsWith("base64.channel.k8s.io");
    // kubectl closes a connection on which it hears nothing for a minute.
    const pings = setInterval(() => webSocket.ping(), pingIntervalMs).unref();
    webSocket.on("error", () => webSocket.terminate());
    webSocket.once("close", () => clearInterval(pings));
  }

  get isClosed(): boolean {
    return this.#webSocket.readyState === WebSocket.CLOSED;
  }

  onClose(listener: () => void): void {
    if (this.isClosed) listener();
    else this.#webSocket.once("close", listener);
  }

  onMessage(take: (channel: number, payload: Buffer) => void): void {
    this.#webSocket.on("message", (data) => {
      const message = toBuffer(data);
      if (message.length === 0) return;
      if (!this.#isText) return take(message[0]!, message.subarray(1));
      const text = message.toString("latin1");
      take(Number(text[0]), Buffer.from(text.slice(1), "base64"));
    });
  }

  /** Calls `done` when the kernel has taken it, or the client is gone. */
  send(channel: number, payload: Buffer, done: () => void = () => {}): void {
    if (this.#webSocket.readyState !== WebSocket.OPEN) done();
    else if (this.#isText)
      this.#webSocket.send(`${channel}${payload.toString("base64")}`, { binary: false }, () => done());
    else this.#webSocket.send(Buffer.concat([Buffer.of(channel), payload]), { binary: true }, () => done());
  }

  /** A slow reader pauses the connection. */
  input(): ChannelInput {
    const readable = new Readable({ read: () => this.#webSocket.resume() });
    return {
      readable,
      take: (payload) => {
        if (readable.destroyed || readable.readableEnded) return;
        if (payload === undefined) readable.push(null);
        else if (payload.length > 0 && !readable.push(payload)) this.#webSocket.pause();
      },
    };
  }

  /** A slow client holds back the writer. */
  output(channel: number): Writable {
    return new Writable({ write: (chunk: Buffer, _encoding, done) => this.send(channel, chunk, done) });
  }

  /** Says that it is over; resolves when the connection is closed. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.onClose(resolve);
      this.#webSocket.close(1000);
      this.#webSocket.resume();
    });
  }
}

function toBuffer(data: RawData): Buffer {
  if (Buffer.isBuffer(data)) return data;
  return Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data);
}
