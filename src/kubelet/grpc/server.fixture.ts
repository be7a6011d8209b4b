/** A small gRPC server on Unix sockets, for the drivers that tests play. */
import { mkdirSync, rmSync } from "node:fs";
import { createServer, type Http2Session } from "node:http2";
import { dirname } from "node:path";
import { FrameCutter, framed, type Method } from "./channel.ts";
import type { Message } from "./message.ts";

export interface GrpcHandler {
  // biome-ignore lint/suspicious/noExplicitAny: each handler knows its method's messages.
  method: Method<Message<any>, Message<any>>;
  // biome-ignore lint/suspicious/noExplicitAny: each handler knows its method's messages.
  answer?(request: any): object;
  /** In the place of one answer: as many as are sent, until the other side leaves. */
  stream?(send: (answer: object) => void): void;
}

/** What a test sees of the calls, and where it says which shall fail. */
export interface GrpcBook {
  /** Each call: its name and what was in it. */
  calls: { name: string; request: Record<string, unknown> }[];
  /** When set, calls of this name fail with the message. */
  refuse: { name: string; message: string } | undefined;
}

export function serveGrpc(
  paths: readonly string[],
  handlers: readonly GrpcHandler[],
  book: GrpcBook,
): { stop(): Promise<void> } {
  const sessions = new Set<Http2Session>();
  const servers = paths.map((path) => {
    mkdirSync(dirname(path), { recursive: true });
    rmSync(path, { force: true });
    const server = createServer();
    server.on("session", (session) => {
      sessions.add(session);
      session.once("close", () => sessions.delete(session));
    });
    server.on("stream", (stream, headers) => {
      const handler = handlers.find(({ method }) => method.path === headers[":path"]);
      const frames = new FrameCutter();
      stream.on("data", (chunk: Buffer) => {
        for (const body of frames.take(chunk)) {
          let [status, message] = ["12", "unknown method"];
          let answer: Buffer = Buffer.alloc(0);
          if (handler) {
            const callName = handler.method.path.split("/").at(-1)!;
            const request = handler.method.request.decode(body) as Record<string, unknown>;
            book.calls.push({ name: callName, request });
            if (handler.stream) {
              stream.respond({ ":status": 200, "content-type": "application/grpc" });
              handler.stream((each) => stream.write(framed(handler.method.response.encode(each))));
              return;
            }
            if (book.refuse?.name === callName) [status, message] = ["13", book.refuse.message];
            else {
              [status, message] = ["0", ""];
              answer = framed(handler.method.response.encode(handler.answer!(request)));
            }
          }
          stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
          stream.once("wantTrailers", () =>
            stream.sendTrailers({ "grpc-status": status, "grpc-message": encodeURIComponent(message) }),
          );
          stream.end(answer);
        }
      });
    });
    server.listen(path);
    return server;
  });
  return {
    async stop() {
      for (const session of sessions) session.destroy();
      await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
    },
  };
}
