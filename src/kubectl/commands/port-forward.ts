/** `kubectl port-forward`: local ports that lead into a pod, over SPDY streams tunnelled through one WebSocket (KEP-4006). */
import { createServer, type Server, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { createWebSocketStream } from "ws";
import { SpdyConnection } from "../../base/node/spdy/connection.ts";
import type { Command, Invocation } from "../command.ts";
import { CommandError, usageError } from "../command-error.ts";
import { type ForwardedPort, forwardedPorts } from "../forwarded-ports.ts";
import { type Pod, podPath, runningPodBehind } from "../pods.ts";
import { openWebSocket } from "../web-socket.ts";

const protocol = "portforward.k8s.io";

export const portForward: Command = {
  summary: "Forward one or more local ports to a pod",
  usage: "TYPE/NAME [options] [LOCAL_PORT:]REMOTE_PORT [...[LOCAL_PORT_N:]REMOTE_PORT_N]",
  examples: ["port-forward pod/web 8080:80", "port-forward service/web :http", "port-forward deploy/web 5000 6000"],
  flags: [
    { name: "address", kind: "list", help: "the local addresses to listen on; localhost by default" },
    { name: "pod-running-timeout", kind: "duration", default: "1m0s", help: "how long to wait for the pod" },
  ],
  async run(invocation) {
    const { session, flags, args } = invocation;
    const [subject, ...words] = args;
    if (!subject || words.length === 0) {
      throw usageError("port-forward", "TYPE/NAME and list of ports are required for port-forward");
    }
    const timeoutMs = flags.durationMs("pod-running-timeout");
    const { object, pod } = await runningPodBehind(session, subject, timeoutMs);
    const ports = forwardedPorts(words, object, pod);
    if (pod.status?.phase !== "Running") {
      throw new CommandError(
        `unable to forward port because pod is not running. Current status=${pod.status?.phase ?? ""}`,
      );
    }
    const connection = await connectTo(invocation, pod);
    const lost = new Promise<void>((resolve) => void connection.run(Buffer.alloc(0)).then(resolve));
    const servers: Server[] = [];
    try {
      for (const port of ports) servers.push(...(await listen(invocation, port, connection)));
      if (servers.length === 0) {
        const wanted = ports.map(({ local, remote }) => `{${local} ${remote}}`).join(" ");
        throw new CommandError(`unable to listen on any of the requested ports: [${wanted}]`);
      }
      await Promise.race([lost, untilAborted(session.terminal.signal)]);
    } finally {
      connection.close();
      for (const server of servers) server.close();
    }
    if (session.terminal.signal.aborted) return 0;
    throw new CommandError("lost connection to pod");
  },
};

async function connectTo({ session }: Invocation, pod: Pod): Promise<SpdyConnection> {
  const { name, namespace = "default" } = pod.metadata;
  const path = podPath({ name, namespace }, "portforward");
  const { socket } = await openWebSocket(await session.connection(), path, [`SPDY/3.1+${protocol}`]);
  return new SpdyConnection(createWebSocketStream(socket), "client");
}

/** `localhost` is both of its addresses, of which one may be missing. */
function addressesOf(names: readonly string[]): string[] {
  return (names.length > 0 ? names : ["localhost"]).flatMap((name) =>
    name === "localhost" ? ["127.0.0.1", "::1"] : [name],
  );
}

/** Listens on every address that is wanted; an empty list when none of them can be had, which is told. */
async function listen(
  { session, flags }: Invocation,
  port: ForwardedPort,
  connection: SpdyConnection,
): Promise<Server[]> {
  const servers: Server[] = [];
  const problems: string[] = [];
  let local = port.local;
  for (const address of addressesOf(flags.commaList("address"))) {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      session.print(`Handling connection for ${local}\n`);
      void forward(session, connection, socket, { local, remote: port.remote });
    });
    const problem = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
      server.once("error", resolve);
      server.listen(local, address, () => resolve(undefined));
    });
    if (problem) {
      const family = address.includes(":") ? "tcp6" : "tcp4";
      const shown = address.includes(":") ? `[${address}]` : address;
      problems.push(
        `unable to create listener: Error listen ${family} ${shown}:${local}: bind: ${bindProblem(problem)}`,
      );
      continue;
    }
    // Whichever port was free on the first address serves on the others, too.
    local = (server.address() as { port: number }).port;
    servers.push(server);
    const shown = address.includes(":") ? `[${address}]` : address;
    session.print(`Forwarding from ${shown}:${local} -> ${port.remote}\n`);
  }
  if (servers.length === 0) {
    session.printError(
      `Unable to listen on port ${port.local}: Listeners failed to create with the following errors: [${problems.join(" ")}]\n`,
    );
  }
  return servers;
}

function bindProblem({ code, message }: NodeJS.ErrnoException): string {
  if (code === "EADDRINUSE") return "address already in use";
  if (code === "EADDRNOTAVAIL") return "cannot assign requested address";
  return code === "EACCES" ? "permission denied" : message;
}

let requests = 0;

/** One local connection: a stream for its bytes, and one on which the far side says what went wrong. */
async function forward(
  session: Invocation["session"],
  connection: SpdyConnection,
  socket: Socket,
  { local, remote }: ForwardedPort,
): Promise<void> {
  socket.on("error", () => socket.destroy());
  const headers = { port: String(remote), requestid: String(requests++) };
  try {
    const errors = await connection.open({ streamtype: "error", ...headers });
    errors.end();
    const data = await connection.open({ streamtype: "data", ...headers });
    data.pipe(socket);
    socket.pipe(data);
    socket.once("close", () => data.destroy());
    const problem = await text(errors).catch(() => "");
    if (!problem) return;
    session.printError(`error: an error occurred forwarding ${local} -> ${remote}: ${problem}\n`);
    connection.close();
  } catch {
    socket.destroy();
  }
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
