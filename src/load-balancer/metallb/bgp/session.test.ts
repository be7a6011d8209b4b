import { connect, createServer, type Socket } from "node:net";
import { expect, test } from "vitest";
import { systemClock } from "../../../base/node/system-clock.ts";
import { BgpSession } from "./session.ts";

async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as { port: number };
  await new Promise((done) => server.close(done));
  return port;
}

test("a session that is stopped while it connects lets go of its connection, and what comes of that harms nobody", async () => {
  const port = await closedPort();
  const stop = new AbortController();
  let socket: Socket | undefined;
  const session = new BgpSession({
    myAsn: 64512,
    peerAsn: 64513,
    routerId: "10.0.0.1",
    holdTimeSeconds: 9,
    connect: () => {
      socket = connect(port, "127.0.0.1");
      return socket;
    },
    clock: systemClock,
    signal: stop.signal,
    onState: () => {},
  });
  const running = session.run();
  stop.abort();
  await running;
  expect(socket?.destroyed).toBe(true);
});
