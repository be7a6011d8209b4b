import { randomBytes } from "node:crypto";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { SpdyConnection, type SpdyStream } from "./connection.ts";
import { dataFrame, type Frame, FrameReader, pingFrame, resetFrame, synStreamFrame } from "./frames.ts";
import { HeaderReader, HeaderWriter } from "./header-block.ts";

/** A client that speaks frames, and the server's side of the same connection. */
async function pair() {
  const listener = createServer({ allowHalfOpen: true });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const accepted = new Promise<Socket>((resolve) => listener.once("connection", resolve));
  const client = connect({ port: (listener.address() as AddressInfo).port, host: "127.0.0.1" });
  const served = await accepted;
  listener.close();
  const opened: SpdyStream[] = [];
  const connection = new SpdyConnection(served, (stream) => opened.push(stream));
  const ended = connection.run(Buffer.alloc(0));
  const headers = new HeaderWriter();
  const received: Frame[] = [];
  const reader = new FrameReader();
  client.on("data", (chunk: Buffer) => received.push(...reader.read(chunk)));
  client.on("error", () => {});
  return {
    client,
    served,
    opened,
    ended,
    received,
    connection,
    open: async (id: number, values: Record<string, string>) =>
      client.write(synStreamFrame(id, await headers.write(values))),
    closed: new Promise<void>((resolve) => client.once("close", () => resolve()).once("end", () => resolve())),
  };
}

test("a stream carries bytes both ways, and each way ends by itself", async () => {
  const { client, open, opened, received } = await pair();
  await open(1, { streamtype: "data", port: "80" });
  client.write(dataFrame(1, Buffer.from("to the "), false));
  client.write(dataFrame(1, Buffer.from("server"), true));
  await expect.poll(() => opened.length).toBe(1);
  const [stream] = opened;
  expect(stream!.headers).toEqual({ streamtype: "data", port: "80" });
  // Reading it by iteration would close the other way too.
  let seen = "";
  stream!.on("data", (chunk: Buffer) => {
    seen += chunk.toString();
  });
  await expect.poll(() => stream!.readableEnded).toBe(true);
  expect(seen).toBe("to the server");
  stream!.end("to the client");
  await expect.poll(() => received.filter((frame) => frame.kind === "data").length).toBe(2);
  const data = received.filter((frame) => frame.kind === "data");
  expect(data.map((frame) => [frame.streamId, frame.fin, frame.payload.toString()])).toEqual([
    [1, false, "to the client"],
    [1, true, ""],
  ]);
  const reply = received.find((frame) => frame.kind === "synReply")!;
  expect(await new HeaderReader().read(reply.headerBlock)).toEqual({});
});

test("headers of many streams share one compression state", async () => {
  const { open, opened } = await pair();
  for (let id = 1; id < 200; id += 2) await open(id, { streamtype: "data", requestid: String(id) });
  await expect.poll(() => opened.length).toBe(100);
  expect(opened.map((stream) => stream.headers["requestid"])).toEqual(
    Array.from({ length: 100 }, (_, i) => String(2 * i + 1)),
  );
});

test("a ping is answered", async () => {
  const { client, received } = await pair();
  client.write(pingFrame(7));
  await expect.poll(() => received).toEqual([{ kind: "ping", id: 7 }]);
});

test("a reader that stops holds the sender back", async () => {
  const { client, open, opened } = await pair();
  await open(1, { streamtype: "stdin" });
  await expect.poll(() => opened.length).toBe(1);
  let accepted = 0;
  const send = () => {
    while (accepted < 4000 && client.write(dataFrame(1, Buffer.alloc(16 << 10), false))) accepted++;
  };
  client.on("drain", send);
  send();
  await new Promise((resolve) => setTimeout(resolve, 300));
  const before = accepted;
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(accepted).toBe(before);
  expect(accepted).toBeLessThan(2000);
  opened[0]!.resume();
  await expect.poll(() => accepted).toBeGreaterThan(before);
  client.destroy();
});

test("a client's reset ends its stream and no other", async () => {
  const { client, open, opened } = await pair();
  await open(1, { streamtype: "data" });
  await open(3, { streamtype: "data" });
  await expect.poll(() => opened.length).toBe(2);
  client.write(resetFrame(1, 5));
  await expect.poll(() => opened[0]!.destroyed).toBe(true);
  expect(opened[1]!.destroyed).toBe(false);
});

test.each([
  ["another version of SPDY", Buffer.from("8002000100000000", "hex")],
  ["a frame that is too long", Buffer.from("00000001ffffffff".replace("ffffffff", "00ffffff"), "hex")],
  ["a control frame that is too short", Buffer.from("800300010000000400000001", "hex")],
  ["a damaged header block", synStreamFrame(1, Buffer.from("no zlib"))],
  ["HTTP", Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n")],
  ["noise", Buffer.concat([Buffer.from([0x80]), randomBytes(4096)])],
])("%s ends the connection, and nothing else", async (_, bytes) => {
  const { client, ended, closed } = await pair();
  client.write(bytes);
  client.end();
  await ended;
  await closed;
});

test("a header block that inflates without end is refused", async () => {
  const { ended, closed, open, opened } = await pair();
  await open(1, { streamtype: "x".repeat(10 << 20) });
  await ended;
  await closed;
  expect(opened).toEqual([]);
});

test("a stream id cannot be used again", async () => {
  const { open, ended, opened } = await pair();
  await open(3, { streamtype: "data" });
  await open(1, { streamtype: "data" });
  await ended;
  expect(opened.length).toBe(1);
});

test("when the connection ends, so do its streams", async () => {
  const { client, open, opened, ended } = await pair();
  await open(1, { streamtype: "data" });
  await expect.poll(() => opened.length).toBe(1);
  client.destroy();
  await ended;
  expect(opened[0]!.destroyed).toBe(true);
});

test("a client's streams reach the server in the order in which they were opened", async () => {
  const { client, opened, connection } = await pair();
  const far = new SpdyConnection(client, "client");
  client.removeAllListeners("data");
  void far.run(Buffer.alloc(0));
  const streams = await Promise.all(["1", "2", "3"].map((requestid) => far.open({ streamtype: "data", requestid })));
  await expect.poll(() => opened.length).toBe(3);
  expect(opened.map(({ headers }) => headers["requestid"])).toEqual(["1", "2", "3"]);
  opened[1]!.end("to the second");
  streams[1]!.end("from the second");
  const [near, away] = await Promise.all([text(opened[1]!), text(streams[1]!)]);
  expect([near, away]).toEqual(["from the second", "to the second"]);
  far.close();
  connection.close();
});
