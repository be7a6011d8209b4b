/** exec and attach as kubectl speaks them: over WebSocket (v5 and v4.channel.k8s.io), or over SPDY (v4.channel.k8s.io) for older ones. */
import type { IncomingMessage } from "node:http";
import type { Duplex, Readable, Writable } from "node:stream";
import { SpdyConnection, type SpdyStream } from "../../base/node/spdy/connection.ts";
import type { TerminalSize } from "../runtime/container-runtime.ts";
import { terminalSizes } from "./terminal-sizes.ts";
import { acceptSpdy, chooseProtocol, refuseUpgrade, wantsWebSocket } from "./upgrade.ts";
import { openChannels } from "./websocket-channels.ts";

/** Which streams the client asked for in its query. With a terminal, errors come with the output. */
export interface WantedStreams {
  stdin: boolean;
  stdout: boolean;
  stderr: boolean;
  tty: boolean;
}

export interface CommandStreams {
  stdin?: Readable;
  stdout?: Writable;
  stderr?: Writable;
  resize?: AsyncIterable<TerminalSize>;
  /** Aborts when the client is gone. */
  signal: AbortSignal;
}

/** Runs the command with the client's streams; resolves with its exit code, rejects when it could not be run. */
export type RunCommand = (streams: CommandStreams) => Promise<number>;

/** Upgrades the connection and serves one command over it. Resolves when the connection has been closed. Never rejects. */
export async function serveRemoteCommand(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  wanted: WantedStreams,
  run: RunCommand,
): Promise<void> {
  if (wantsWebSocket(request)) await overWebSocket(request, socket, head, wanted, run);
  else await overSpdy(request, socket, head, wanted, run);
}

async function overWebSocket(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  wanted: WantedStreams,
  run: RunCommand,
): Promise<void> {
  const channels = await openChannels(request, socket, head, wanted);
  if (!channels) return;
  const outcome = await outcomeOf(run, channels.streams);
  await channels.finish(outcome);
}

const spdyProtocols = ["v4.channel.k8s.io"];
const streamsTimeoutMs = 30_000;

async function overSpdy(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  wanted: WantedStreams,
  run: RunCommand,
): Promise<void> {
  const protocol = chooseProtocol(request, spdyProtocols);
  if (!protocol)
    return refuseUpgrade(
      socket,
      403,
      `unable to upgrade: unsupported stream protocol; this server speaks ${spdyProtocols.join(", ")}`,
    );
  acceptSpdy(socket, protocol);
  const expected = expectedStreams(wanted);
  const streams = new Map<string, SpdyStream>();
  const gone = new AbortController();
  let allOpen: () => void;
  const opened = new Promise<void>((resolve) => (allOpen = resolve));
  const connection = new SpdyConnection(socket, (stream) => {
    streams.set(stream.headers["streamtype"] ?? "", stream);
    if (expected.every((name) => streams.has(name))) allOpen();
  });
  const ended = connection.run(head).then(() => gone.abort(new Error("the client went away")));
  const patience = AbortSignal.timeout(streamsTimeoutMs);
  patience.addEventListener("abort", () => {
    if (!expected.every((name) => streams.has(name))) connection.close();
  });
  await Promise.race([opened, ended]);
  if (gone.signal.aborted) return;
  const stdin = streams.get("stdin");
  const stdout = streams.get("stdout");
  const stderr = streams.get("stderr");
  const resize = streams.get("resize");
  const error = streams.get("error")!;
  const outcome = await outcomeOf(run, {
    ...(stdin ? { stdin } : {}),
    ...(stdout ? { stdout } : {}),
    ...(stderr ? { stderr } : {}),
    ...(resize ? { resize: terminalSizes(resize) } : {}),
    signal: gone.signal,
  });
  error.end(outcome);
  for (const stream of [stdout, stderr]) if (stream && !stream.writableEnded) stream.end();
  // The client closes when it has read everything; one that does not is closed by the read's end.
  stdin?.resume();
  resize?.resume();
  await Promise.race([Promise.all([error, stdout, stderr].map((stream) => stream && finished(stream))), ended]);
  connection.end();
  await ended;
}

function expectedStreams({ stdin, stdout, stderr, tty }: WantedStreams): string[] {
  return [
    "error",
    ...(stdin ? ["stdin"] : []),
    ...(stdout ? ["stdout"] : []),
    ...(stderr && !tty ? ["stderr"] : []),
    ...(tty ? ["resize"] : []),
  ];
}

function finished(stream: Duplex): Promise<void> {
  return new Promise((resolve) => {
    if (stream.writableFinished || stream.destroyed) return resolve();
    stream.once("finish", resolve);
    stream.once("close", resolve);
  });
}

/** What the error channel carries at the end: a Status, of success, of an exit code, or of what went wrong. */
async function outcomeOf(run: RunCommand, streams: CommandStreams): Promise<string> {
  try {
    const exitCode = await run(streams);
    if (exitCode === 0) return JSON.stringify({ metadata: {}, status: "Success" });
    return JSON.stringify({
      metadata: {},
      status: "Failure",
      message: `command terminated with non-zero exit code: exit status ${exitCode}`,
      reason: "NonZeroExitCode",
      details: { causes: [{ reason: "ExitCode", message: String(exitCode) }] },
    });
  } catch (error) {
    const message = (error as Error).message;
    return JSON.stringify({
      metadata: {},
      status: "Failure",
      message,
      reason: "InternalError",
      details: { causes: [{ message }] },
      code: 500,
    });
  }
}
