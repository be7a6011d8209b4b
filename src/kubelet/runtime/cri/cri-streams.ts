/** exec and attach at a CRI runtime: it names a URL, and there the streams are spoken as kubectl speaks them, SPDY/3.1 with v4.channel.k8s.io. */
import { request } from "node:http";
import type { Socket } from "node:net";
import type { Duplex, Readable, Writable } from "node:stream";
import { text } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { SpdyConnection, type SpdyStream } from "../../../base/node/spdy/connection.ts";
import { RuntimeError, type TerminalSize } from "../container-runtime.ts";

export type Dial = (host: string, port: number) => Socket;

export interface RemoteStreams {
  tty: boolean;
  stdin?: Readable;
  stdout?: Writable;
  stderr?: Writable;
  resize?: AsyncIterable<TerminalSize>;
  signal?: AbortSignal;
  /** Where the runtime's streaming server is reached from. Default: here. */
  dial?: Dial | undefined;
}

/**
 * Resolves with the command's exit code once its output has been delivered (0 for an attach that ended). Rejects with the
 * signal's reason when that fires, and with a RuntimeError when the runtime could not do it.
 */
export async function remoteCommand(url: string, streams: RemoteStreams): Promise<number> {
  const { signal, tty } = streams;
  signal?.throwIfAborted();
  const socket = await upgraded(url, streams);
  const connection = new SpdyConnection(socket, "client");
  const onAbort = () => connection.close();
  signal?.addEventListener("abort", onAbort, { once: true });
  const ended = connection.run(Buffer.alloc(0));
  try {
    const error = await connection.open({ streamtype: "error" });
    const stdin = streams.stdin && (await connection.open({ streamtype: "stdin" }));
    const stdout = streams.stdout && (await connection.open({ streamtype: "stdout" }));
    const stderr = !tty && streams.stderr && (await connection.open({ streamtype: "stderr" }));
    const resize = tty ? await connection.open({ streamtype: "resize" }) : undefined;
    // What is only read is closed for writing now: a reset at its end could meet a server that has hung up, and lose what it said last.
    for (const readOnly of [error, stdout, stderr]) if (readOnly) readOnly.end();
    if (stdin) void pipeline(streams.stdin!, stdin).catch(() => {});
    if (resize && streams.resize) void sendSizes(streams.resize, resize);
    const delivered = [
      stdout ? deliver(stdout, streams.stdout!) : undefined,
      stderr ? deliver(stderr, streams.stderr!) : undefined,
    ];
    const outcome = await text(error).catch(() => "");
    await Promise.all(delivered);
    signal?.throwIfAborted();
    return exitCodeOf(outcome);
  } finally {
    signal?.removeEventListener("abort", onAbort);
    connection.close();
    await ended;
    streams.stdout?.end();
    streams.stderr?.end();
  }
}

function upgraded(url: string, { signal, dial }: RemoteStreams): Promise<Duplex> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const asking = request(url, {
      method: "POST",
      headers: { connection: "Upgrade", upgrade: "SPDY/3.1", "x-stream-protocol-version": "v4.channel.k8s.io" },
      ...(signal ? { signal } : {}),
      ...(dial ? { createConnection: () => dial(hostname, Number(port)) } : {}),
    });
    asking.once("upgrade", (_response, socket, head) => {
      if (head.length > 0) socket.unshift(head);
      resolve(socket);
    });
    asking.once("response", (response) => {
      response.resume();
      reject(new RuntimeError("Internal", `the runtime's streaming server answered ${response.statusCode}`));
    });
    asking.once("error", (error) => reject(signal?.aborted ? signal.reason : error));
    asking.end();
  });
}

async function deliver(from: SpdyStream, to: Writable): Promise<void> {
  await pipeline(from, to).catch(() => {}); // A receiver that has gone takes no more.
}

async function sendSizes(sizes: AsyncIterable<TerminalSize>, to: SpdyStream): Promise<void> {
  for await (const { columns, rows } of sizes) {
    if (!to.writable) return;
    to.write(`${JSON.stringify({ Width: columns, Height: rows })}\n`);
  }
}

interface Outcome {
  status?: string;
  reason?: string;
  message?: string;
  details?: { causes?: { reason?: string; message?: string }[] };
}

/** The error stream carries a Status. */
function exitCodeOf(outcome: string): number {
  if (outcome === "") throw new RuntimeError("Unavailable", "the runtime broke the stream off");
  let status: Outcome;
  try {
    status = JSON.parse(outcome) as Outcome;
  } catch {
    throw new RuntimeError("Internal", outcome);
  }
  if (status.status === "Success") return 0;
  const code = status.details?.causes?.find(({ reason }) => reason === "ExitCode")?.message;
  if (status.reason === "NonZeroExitCode" && code) return Number(code);
  const message = status.message ?? "the command failed";
  throw new RuntimeError(message.includes("exec failed") ? "StartError" : "Internal", message);
}
