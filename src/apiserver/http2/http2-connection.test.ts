import { type ClientHttp2Session, connect as connectHttp2, constants as h2 } from "node:http2";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startTestApiServer, type TestApiServer } from "../../testing/api-server.ts";
import { errorCodes, frameHeadBytes, frameKinds, readUint31, readUint32, writeFrameHead } from "./frames.ts";
import { HpackDecoder } from "./hpack-decoder.ts";

let api: TestApiServer;
let tls: { ca: string; cert: string; key: string };
const maps = "/api/v1/namespaces/default/configmaps";

beforeAll(async () => {
  api = await startTestApiServer();
  tls = { ca: api.pki.ca.certificatePem, cert: api.pki.admin.certificatePem, key: api.pki.admin.privateKeyPem };
});
afterAll(() => api.close());

interface Frame {
  kind: number;
  flags: number;
  streamId: number;
  payload: Buffer;
}

const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const nothing = Buffer.alloc(0);

function frame(kind: number, flags: number, streamId: number, payload: Buffer = nothing): Buffer {
  const head = Buffer.alloc(frameHeadBytes);
  writeFrameHead(head, 0, payload.length, kind, flags, streamId);
  return Buffer.concat([head, payload]);
}

function uint32(...numbers: number[]): Buffer {
  const bytes = Buffer.alloc(numbers.length * 4);
  for (const [at, number] of numbers.entries()) bytes.writeUInt32BE(number, at * 4);
  return bytes;
}

function setting(id: number, value: number): Buffer {
  return Buffer.concat([Buffer.from([0, id]), uint32(value)]);
}

/** As plain literals; strings of up to 126 characters. */
function block(...fields: [name: string, value: string][]): Buffer {
  const text = (given: string) => Buffer.concat([Buffer.from([given.length]), Buffer.from(given, "latin1")]);
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]));
}

function request(method: string, path: string, ...more: [string, string][]): Buffer {
  return block([":method", method], [":scheme", "https"], [":authority", "x"], [":path", path], ...more);
}

const get = request("GET", "/healthz");
const greeting = Buffer.concat([preface, frame(frameKinds.settings, 0, 0)]);

/** A client that may say anything. */
class RawClient {
  readonly frames: Frame[] = [];
  readonly #socket: TLSSocket;
  #bytes: Buffer = nothing;
  #isClosed = false;
  #wake: (() => void) | undefined;

  private constructor(socket: TLSSocket) {
    this.#socket = socket;
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#isClosed = true;
      this.#wake?.();
    });
    socket.on("data", (chunk: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
      while (
        this.#bytes.length >= frameHeadBytes &&
        this.#bytes.length >= frameHeadBytes + this.#bytes.readUIntBE(0, 3)
      ) {
        const end = frameHeadBytes + this.#bytes.readUIntBE(0, 3);
        const [kind, flags] = [this.#bytes[3]!, this.#bytes[4]!];
        const streamId = readUint31(this.#bytes, 5);
        this.frames.push({ kind, flags, streamId, payload: this.#bytes.subarray(frameHeadBytes, end) });
        this.#bytes = this.#bytes.subarray(end);
      }
      this.#wake?.();
    });
  }

  static open(): Promise<RawClient> {
    const port = Number(new URL(api.url).port);
    return new Promise((resolve, reject) => {
      const socket = connectTls({ host: "127.0.0.1", port, ...tls, ALPNProtocols: ["h2"] }, () =>
        resolve(new RawClient(socket)),
      );
      socket.once("error", reject);
    });
  }

  say(...parts: Buffer[]): this {
    this.#socket.write(Buffer.concat(parts));
    return this;
  }

  pause(): void {
    this.#socket.pause();
  }

  /** Resolves when such a frame has come, with it; undefined when the connection closed without. */
  async until(matches: (seen: Frame) => boolean): Promise<Frame | undefined> {
    for (;;) {
      const found = this.frames.find(matches);
      if (found || this.#isClosed) return found;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** The code of the goodbye. */
  async goodbye(): Promise<number | undefined> {
    const seen = await this.until(({ kind }) => kind === frameKinds.goaway);
    return seen && readUint32(seen.payload, 4);
  }

  /** The code of the stream's reset. */
  async reset(streamId: number): Promise<number | undefined> {
    const seen = await this.until((one) => one.kind === frameKinds.rstStream && one.streamId === streamId);
    return seen && readUint32(seen.payload, 0);
  }

  dataOf(streamId: number): Buffer {
    const parts = this.frames.filter((one) => one.kind === frameKinds.data && one.streamId === streamId);
    return Buffer.concat(parts.map(({ payload }) => payload));
  }

  end(): void {
    this.#socket.destroy();
  }
}

const isEndOf = (streamId: number) => (seen: Frame) =>
  seen.streamId === streamId &&
  (seen.kind === frameKinds.data || seen.kind === frameKinds.headers) &&
  (seen.flags & 1) !== 0;

async function talk<T>(use: (client: RawClient) => Promise<T>): Promise<T> {
  const client = await RawClient.open();
  try {
    return await use(client);
  } finally {
    client.end();
  }
}

describe("whoever breaks the rules of the connection is told which, and it is over", () => {
  const { data, headers, settings, ping, windowUpdate, rstStream, continuation, pushPromise, priority } = frameKinds;
  test.each<[string, number, Buffer[]]>([
    ["another protocol", errorCodes.protocolError, [Buffer.from("GET / HTTP/1.1\r\n\r\n")]],
    ["no settings at the start", errorCodes.protocolError, [preface, frame(ping, 0, 0, Buffer.alloc(8))]],
    ["a frame that is too long", errorCodes.frameSizeError, [greeting, frame(data, 0, 1, Buffer.alloc(16_385))]],
    ["data of no stream", errorCodes.protocolError, [greeting, frame(data, 0, 1)]],
    ["an even stream", errorCodes.protocolError, [greeting, frame(headers, 5, 2, get)]],
    ["headers that are not ended", errorCodes.protocolError, [greeting, frame(headers, 1, 1, get), frame(ping, 0, 0)]],
    ["headers without a beginning", errorCodes.protocolError, [greeting, frame(continuation, 4, 1, get)]],
    ["headers that are none", errorCodes.compressionError, [greeting, frame(headers, 5, 1, Buffer.from([0xff, 0xff]))]],
    [
      "headers in pieces without end",
      errorCodes.enhanceYourCalm,
      [greeting, frame(headers, 1, 1), ...Array.from({ length: 40 }, () => frame(continuation, 0, 1))],
    ],
    ["more padding than frame", errorCodes.protocolError, [greeting, frame(headers, 13, 1, Buffer.from([9, 0]))]],
    ["settings of a wrong length", errorCodes.frameSizeError, [greeting, frame(settings, 0, 0, Buffer.alloc(5))]],
    ["a window beyond all", errorCodes.flowControlError, [greeting, frame(settings, 0, 0, setting(4, 2 ** 31))]],
    [
      "a window that overflows",
      errorCodes.flowControlError,
      [greeting, frame(windowUpdate, 0, 0, uint32(2 ** 31 - 1))],
    ],
    ["a window that grows by nothing", errorCodes.protocolError, [greeting, frame(windowUpdate, 0, 0, uint32(0))]],
    ["a reset of no stream", errorCodes.protocolError, [greeting, frame(rstStream, 0, 7, uint32(8))]],
    ["a ping of a wrong length", errorCodes.frameSizeError, [greeting, frame(ping, 0, 0, Buffer.alloc(7))]],
    ["a push", errorCodes.protocolError, [greeting, frame(pushPromise, 4, 1, get)]],
    ["priority for nothing", errorCodes.protocolError, [greeting, frame(priority, 0, 0, Buffer.alloc(5))]],
    [
      "a thousand requests that are called off",
      errorCodes.enhanceYourCalm,
      [
        greeting,
        ...Array.from({ length: 1100 }, (_, i) =>
          Buffer.concat([
            frame(headers, 4, 2 * i + 1, request("POST", maps)),
            frame(rstStream, 0, 2 * i + 1, uint32(8)),
          ]),
        ),
      ],
    ],
  ])("%s", async (_, code, said) => {
    expect(await talk((client) => client.say(...said).goodbye())).toBe(code);
  });
});

describe("a request that breaks the rules is reset, and the others go on", () => {
  test.each<[string, Buffer]>([
    ["no path", block([":method", "GET"], [":scheme", "https"])],
    ["a path that is none", request("GET", "healthz")],
    ["two paths", request("GET", "/healthz", [":path", "/version"])],
    ["an unknown pseudo-header", request("GET", "/healthz", [":protocol", "websocket"])],
    ["a pseudo-header after others", block([":method", "GET"], ["a", "b"], [":scheme", "https"], [":path", "/"])],
    ["capitals", request("GET", "/healthz", ["A", "b"])],
    ["a line feed", request("GET", "/healthz", ["a", "b\nc: d"])],
    ["a header of the connection", request("GET", "/healthz", ["connection", "close"])],
    ["two lengths", request("GET", "/healthz", ["content-length", "0"], ["content-length", "1"])],
    ["a body that does not come", request("GET", "/healthz", ["content-length", "1"])],
  ])("%s", async (_, bad) => {
    await talk(async (client) => {
      client.say(greeting, frame(frameKinds.headers, 5, 1, bad), frame(frameKinds.headers, 5, 3, get));
      expect(await client.reset(1)).toBe(errorCodes.protocolError);
      await client.until(isEndOf(3));
      expect(client.dataOf(3).toString()).toBe("ok");
    });
  });

  test("a body of another length than was announced", async () => {
    const post = request("POST", maps, ["content-length", "5"]);
    await talk(async (client) => {
      client.say(greeting, frame(frameKinds.headers, 4, 1, post), frame(frameKinds.data, 1, 1, Buffer.from("four")));
      client.say(frame(frameKinds.headers, 4, 3, post), frame(frameKinds.data, 0, 3, Buffer.from("sixsix")));
      expect([await client.reset(1), await client.reset(3)]).toEqual([
        errorCodes.protocolError,
        errorCodes.protocolError,
      ]);
    });
  });
});

describe("what the rules allow", () => {
  test("padding, priorities, headers in pieces, frames in pieces, trailers, what nobody knows", async () => {
    await talk(async (client) => {
      const padded = Buffer.concat([Buffer.from([3]), uint32(0), Buffer.from([1]), get.subarray(0, 20)]);
      const body = Buffer.concat([Buffer.from([2]), Buffer.from('{"metadata":{"name":"pieces"}}'), Buffer.alloc(2)]);
      const bytes = Buffer.concat([
        greeting,
        frame(99, 0, 0, Buffer.from("?")),
        frame(frameKinds.headers, 1 | 8 | 32, 1, Buffer.concat([padded, Buffer.alloc(3)])),
        frame(frameKinds.continuation, 0, 1, get.subarray(20, 25)),
        frame(frameKinds.continuation, 4, 1, get.subarray(25)),
        frame(frameKinds.headers, 4, 3, request("POST", maps, ["content-type", "application/json"])),
        frame(frameKinds.data, 8, 3, body),
        frame(frameKinds.data, 0, 3),
        frame(frameKinds.headers, 5, 3, block(["x-trailer", "yes"])),
        frame(frameKinds.ping, 0, 0, Buffer.from("8 bytes.")),
      ]);
      for (let at = 0; at < bytes.length; at += 7) client.say(bytes.subarray(at, at + 7));
      await client.until(isEndOf(1));
      await client.until(isEndOf(3));
      expect(client.dataOf(1).toString()).toBe("ok");
      expect(JSON.parse(client.dataOf(3).toString())).toMatchObject({ metadata: { name: "pieces" } });
      const pong = await client.until(({ kind }) => kind === frameKinds.ping);
      expect([pong?.flags, pong?.payload.toString()]).toEqual([1, "8 bytes."]);
    });
  });

  test("no more is sent than the client's windows allow, and all of it in the end", async () => {
    await talk(async (client) => {
      client.say(
        preface,
        frame(frameKinds.settings, 0, 0, setting(4, 10)),
        frame(frameKinds.headers, 5, 1, request("GET", "/version")),
      );
      await client.until(({ kind }) => kind === frameKinds.data);
      client.say(frame(frameKinds.ping, 0, 0, Buffer.alloc(8)));
      await client.until(({ kind }) => kind === frameKinds.ping);
      expect(client.dataOf(1).length).toBe(10);
      client.say(frame(frameKinds.windowUpdate, 0, 1, uint32(5)));
      await client.until(() => client.dataOf(1).length === 15);
      client.say(frame(frameKinds.settings, 0, 0, setting(4, 70_000)));
      await client.until(isEndOf(1));
      expect(JSON.parse(client.dataOf(1).toString())).toMatchObject({ major: "1" });
    });
  });

  test("a table that the client makes smaller stays readable", async () => {
    await talk(async (client) => {
      const decoder = new HpackDecoder();
      client.say(greeting);
      for (const [at, size] of [4096, 0, 100, 4096].entries()) {
        const id = at * 2 + 1;
        client.say(frame(frameKinds.settings, 0, 0, setting(1, size)), frame(frameKinds.headers, 5, id, get));
        const head = await client.until((one) => one.kind === frameKinds.headers && one.streamId === id);
        const fields: Record<string, string> = {};
        decoder.decode(head!.payload, (name, value) => (fields[name] = value));
        expect(fields).toMatchObject({ ":status": "200", "cache-control": "no-cache, private" });
      }
    });
  });

  test("headers beyond 256 KB get a 431, and the next request its answer", async () => {
    const large = Array.from({ length: 2400 }, (_, i): [string, string] => [`x-${i}`, "y".repeat(100)]);
    const pieces = block(...large);
    await talk(async (client) => {
      client.say(greeting, frame(frameKinds.headers, 1, 1, get));
      for (let at = 0; at < pieces.length; at += 16_384) {
        const isLast = at + 16_384 >= pieces.length;
        client.say(frame(frameKinds.continuation, isLast ? 4 : 0, 1, pieces.subarray(at, at + 16_384)));
      }
      client.say(frame(frameKinds.headers, 5, 3, get));
      const head = await client.until((one) => one.kind === frameKinds.headers && one.streamId === 1);
      let status = "";
      new HpackDecoder().decode(head!.payload, (name, value) => {
        if (name === ":status") status = value;
      });
      expect(status).toBe("431");
      await client.until(isEndOf(3));
    });
  });
});

describe("with Node's client", () => {
  let session: ClientHttp2Session;
  beforeAll(() => {
    session = connectHttp2(api.url, tls);
  });
  afterAll(() => session.destroy());

  const send = (method: string, path: string, body?: string | Buffer) =>
    new Promise<{ status: number; text: string }>((resolve, reject) => {
      const stream = session.request({ ":method": method, ":path": path, "content-type": "application/json" });
      let status = 0;
      let text = "";
      stream.setEncoding("utf8");
      stream.on("response", (headers) => (status = Number(headers[":status"])));
      stream.on("data", (chunk) => (text += chunk));
      stream.on("end", () => resolve({ status, text }));
      stream.on("error", reject);
      stream.end(body);
    });

  test("bodies far beyond the windows go through, both ways", async () => {
    const data = { x: "y".repeat(900_000), z: "é".repeat(50_000) };
    const body = JSON.stringify({ metadata: { name: "large" }, data });
    const made = await Promise.all(
      Array.from({ length: 8 }, (_, i) => send("POST", maps, body.replace("large", `large-${i}`))),
    );
    expect(made.map(({ status }) => status)).toEqual(Array(8).fill(201));
    const lists = await Promise.all([send("GET", maps), send("GET", maps)]);
    for (const { text } of lists) {
      const { items } = JSON.parse(text) as { items: { metadata: { name: string }; data?: object }[] };
      expect(items.filter(({ metadata }) => metadata.name.startsWith("large-")).map((item) => item.data)).toEqual(
        Array(8).fill(data),
      );
    }
  });

  test("a body of more than 3 MB is refused, and the connection serves others", async () => {
    const refused = await send("POST", maps, Buffer.alloc(4 * 1024 * 1024, 32)).catch((error: Error) => error);
    if (!(refused instanceof Error)) expect(refused.status).toBe(413);
    expect((await send("GET", "/healthz")).text).toBe("ok");
  });

  test("HEAD has no body, and a watch that is called off is over", async () => {
    expect(await send("HEAD", "/healthz")).toEqual({ status: 200, text: "" });
    const before = await send("GET", "/metrics");
    const watch = session.request({ ":path": `${maps}?watch=1` });
    await new Promise((resolve) => watch.once("response", resolve));
    watch.close(h2.NGHTTP2_CANCEL);
    await new Promise((resolve) => watch.once("close", resolve));
    const inFlight = (text: string) => /inflight_requests\{.*\} (\d+)/.exec(text)?.[1];
    expect(inFlight((await send("GET", "/metrics")).text)).toBe(inFlight(before.text));
  });
});
