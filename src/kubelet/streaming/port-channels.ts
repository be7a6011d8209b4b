/**
 * Port-forwarding as older WebSocket clients speak it: the request names the ports, and each has two channels, for its data and
 * for what went wrong. On both the port's number comes first, in two bytes, the lower one first.
 */
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import { type ChannelInput, ChannelServer, type ChannelSocket } from "./channel-socket.ts";
import { refuseUpgrade } from "./upgrade.ts";

const server = new ChannelServer(["v4.channel.k8s.io", "v4.base64.channel.k8s.io"]);

/** Upgrades the connection and forwards until every port's connection has ended, or the client has gone. Never rejects. */
export async function servePortChannels(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  connect: (port: number) => Promise<Duplex>,
): Promise<void> {
  let ports: number[];
  try {
    ports = portsOf(new URL(request.url ?? "", "http://kubelet").searchParams);
  } catch (error) {
    return refuseUpgrade(socket, 400, (error as Error).message);
  }
  const channels = await server.accept(request, socket, head);
  if (!channels) return;
  const inputs = ports.map(() => channels.input());
  // The odd channels, for errors, are the server's own.
  channels.onMessage((number, payload) => inputs[number % 2 === 0 ? number / 2 : -1]?.take(payload));
  channels.onClose(() => {
    for (const input of inputs) input.take(undefined);
  });
  await Promise.all(ports.map((port, i) => forwardPort(channels, inputs[i]!, i, port, connect)));
  await channels.close();
}

/** The API server's clients say `ports`, the API server to a kubelet `port`; both may list several. */
function portsOf(query: URLSearchParams): number[] {
  const values = [...query.getAll("ports"), ...query.getAll("port")];
  if (values.length === 0) throw new Error('query parameter "port" is required');
  return values.flatMap((value) => {
    if (value === "") throw new Error('query parameter "port" cannot be empty');
    return value.split(",").map((text) => {
      const port = /^\d+$/.test(text) ? Number(text) : Number.NaN;
      if (!(port <= 65_535)) throw new Error(`unable to parse ${JSON.stringify(value)} as a port`);
      if (port < 1) throw new Error(`port ${JSON.stringify(value)} must be > 0`);
      return port;
    });
  });
}

async function forwardPort(
  channels: ChannelSocket,
  input: ChannelInput,
  index: number,
  port: number,
  connect: (port: number) => Promise<Duplex>,
): Promise<void> {
  const [data, error] = [2 * index, 2 * index + 1];
  const number = Buffer.alloc(2);
  number.writeUInt16LE(port);
  channels.send(data, number);
  channels.send(error, number);
  let target: Duplex | undefined;
  try {
    const opened = await connect(port);
    target = opened;
    channels.onClose(() => opened.destroy());
    input.readable.pipe(opened);
    await pipeline(opened, channels.output(data));
  } catch (failure) {
    // Once it stands, one side that leaves is how connections end.
    if (!target) {
      const words = `error forwarding port ${port} to pod: ${(failure as Error).message}`;
      await new Promise<void>((done) => channels.send(error, Buffer.from(words), done));
    }
  } finally {
    target?.destroy();
  }
}
