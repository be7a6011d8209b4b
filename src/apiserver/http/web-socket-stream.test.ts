import { createServer, type IncomingMessage, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { badRequestError, type StatusError } from "../../apimachinery/status-error.ts";
import type { HttpExchange } from "../subresource-handler.ts";
import { streamOverWebSocket } from "./web-socket-stream.ts";

let server: Server;
let address: string;
const chunks = [Buffer.from("one\n"), Buffer.from([0, 255, 10])];

const answers: Record<string, (exchange: HttpExchange) => Promise<void>> = {
  async "/lines"(exchange) {
    exchange.begin(200, { "content-type": "text/plain" });
    for (const chunk of chunks) await exchange.write(chunk);
    await exchange.end();
  },
  async "/nothing"(exchange) {
    exchange.begin(204, {});
    await exchange.end();
  },
  async "/refused"() {
    throw badRequestError("no such lines");
  },
  async "/broken"(exchange) {
    exchange.begin(200, {});
    await exchange.write("half");
    throw new Error("the disk is gone");
  },
  async "/endless"(exchange) {
    exchange.begin(200, {});
    await exchange.write("first");
    await new Promise((resolve) => exchange.signal.addEventListener("abort", resolve));
    readerIsGone();
  },
};
let readerIsGone = () => {};

beforeAll(async () => {
  server = createServer();
  server.on("upgrade", async (incoming, socket, head) => {
    const gone = new AbortController();
    socket.once("close", () => gone.abort());
    try {
      await streamOverWebSocket(incoming, socket, head, gone.signal, answers[incoming.url!]!);
    } catch (error) {
      const { code, message } = error as StatusError;
      socket.end(`HTTP/1.1 ${code} No\r\nConnection: close\r\n\r\n${message}`);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
});

/** What comes until the server closes: each message, and whether it is text; at last the code. */
async function messages(path: string, protocols: string[], isEnough = (_count: number) => false) {
  const socket = new WebSocket(`ws://${address}${path}`, protocols);
  const got: [text: string, isText: boolean][] = [];
  socket.on("message", (data: Buffer, isBinary) => {
    got.push([data.toString("latin1"), !isBinary]);
    if (isEnough(got.length)) socket.close();
  });
  const code = await new Promise<number>((resolve, reject) => socket.once("close", resolve).once("error", reject));
  return { protocol: socket.protocol, got, code };
}

/** The plain answer to an upgrade. */
async function refusal(path: string, headers: Record<string, string>): Promise<[number | undefined, string]> {
  const asked = request(`http://${address}${path}`, {
    headers: {
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-version": "13",
      "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
      ...headers,
    },
  });
  const answer = await new Promise<IncomingMessage>((resolve, reject) =>
    asked.once("response", resolve).once("error", reject).end(),
  );
  return [answer.statusCode, await text(answer)];
}

describe("a streamed answer over WebSocket", () => {
  test.each([[[]], [["binary.k8s.io"]], [["other", "binary.k8s.io"]]])("comes as bytes over %j", async (protocols) => {
    expect(await messages("/lines", protocols)).toEqual({
      protocol: protocols.at(-1) ?? "",
      got: [
        ["", false],
        ["one\n", false],
        ["\0\xff\n", false],
      ],
      code: 1000,
    });
  });

  test("comes as base64 to those who read text alone", async () => {
    const { protocol, got } = await messages("/lines", ["base64.binary.k8s.io"]);
    expect([protocol, got]).toEqual([
      "base64.binary.k8s.io",
      [
        ["", false],
        ["b25lCg==", true],
        ["AP8K", true],
      ],
    ]);
  });

  test("that breaks off is closed as an error", async () => {
    const { got, code } = await messages("/broken", []);
    expect([got.at(-1), code]).toEqual([["half", false], 1011]);
  });

  test("ends when its reader goes", async () => {
    const isGone = new Promise<void>((resolve) => {
      readerIsGone = resolve;
    });
    await messages("/endless", [], (count) => count === 2);
    await isGone;
  });

  test("is plain when it is no stream, when it is refused, and when another upgrade was asked for", async () => {
    expect(await refusal("/nothing", {})).toEqual([204, ""]);
    expect(await refusal("/refused", {})).toEqual([400, "no such lines"]);
    expect(await refusal("/lines", { upgrade: "h2c" })).toEqual([200, Buffer.concat(chunks).toString()]);
    expect(await refusal("/lines", { "sec-websocket-protocol": "v4.channel.k8s.io" })).toEqual([
      403,
      "requested protocol(s) are not supported: [v4.channel.k8s.io]; supports [binary.k8s.io base64.binary.k8s.io]",
    ]);
  });
});
