/** A command's streams over one WebSocket (KEP-4006): what exec, attach, run -i, cp and debug share. */
import type { Readable, Writable } from "node:stream";
import type { RawData } from "ws";
import { CommandError } from "./command-error.ts";
import { type Pod, podPath } from "./pods.ts";
import type { Session } from "./session.ts";
import { openWebSocket } from "./web-socket.ts";

export interface RemoteStreams {
  stdin?: (Readable & { isTTY?: boolean; setRawMode?(raw: boolean): unknown }) | undefined;
  stdout: Writable & { columns?: number; rows?: number };
  stderr: Writable;
  isTerminal: boolean;
  /** What leaves the command running when it is typed on a terminal. */
  detachKeys?: string;
}

const channel = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const;
const v5 = "v5.channel.k8s.io";
const v4 = "v4.channel.k8s.io";

interface Outcome {
  status?: string;
  reason?: string;
  message?: string;
  details?: { causes?: { reason?: string; message?: string }[] };
}

/** Where a pod's exec or attach takes its streams; `query` says the rest. */
export function streamPath(
  pod: Pod,
  subresource: string,
  query: URLSearchParams,
  { stdin, isTerminal }: { stdin: boolean; isTerminal: boolean },
): string {
  if (stdin) query.set("stdin", "true");
  query.set("stdout", "true");
  query.set(isTerminal ? "tty" : "stderr", "true");
  const { name, namespace } = pod.metadata;
  return `${podPath({ name, ...(namespace ? { namespace } : {}) }, subresource)}?${query}`;
}

/** Where a command runs in a container, without a terminal. */
export function execPath(
  pod: Pod,
  container: string,
  command: readonly string[],
  { stdin }: { stdin: boolean },
): string {
  const query = new URLSearchParams({ container });
  for (const word of command) query.append("command", word);
  return streamPath(pod, "exec", query, { stdin, isTerminal: false });
}

/** Resolves to the command's exit code. Rejects with a CommandError when it could not be run. */
export async function runRemotely(session: Session, path: string, streams: RemoteStreams): Promise<number> {
  const { socket, protocol } = await openWebSocket(await session.connection(), path, [v5, v4]);
  const { stdin, stdout, stderr, isTerminal } = streams;
  let outcome: Outcome | undefined;
  socket.on("message", (data: RawData) => {
    const message = Buffer.isBuffer(data) ? data : Buffer.concat(data as Buffer[]);
    const payload = message.subarray(1);
    if (message[0] === channel.stdout) stdout.write(payload);
    else if (message[0] === channel.stderr) stderr.write(payload);
    else if (message[0] === channel.error && payload.length > 0) outcome = JSON.parse(payload.toString()) as Outcome;
  });
  const send = (number: number, payload: Uint8Array) => {
    if (socket.readyState === socket.OPEN) socket.send(Buffer.concat([Buffer.of(number), payload]), { binary: true });
  };
  const typed = detachSequence(isTerminal ? (streams.detachKeys ?? "") : "");
  const onInput = (chunk: Buffer) => {
    const { passed, isOver } = typed(chunk);
    if (passed.length > 0) send(channel.stdin, passed);
    if (isOver) socket.close();
  };
  // Only the newer protocol can say that there is no more input.
  const onEnd = () => protocol === v5 && send(channel.close, Buffer.of(channel.stdin));
  const onResize = () => {
    const size = { Width: stdout.columns ?? 80, Height: stdout.rows ?? 24 };
    send(channel.resize, Buffer.from(JSON.stringify(size)));
  };
  stdin?.on("data", onInput).on("end", onEnd);
  const isRaw = isTerminal && stdin?.isTTY === true;
  if (isRaw) stdin.setRawMode?.(true);
  if (isTerminal) {
    onResize();
    stdout.on("resize", onResize);
  }
  try {
    await new Promise<void>((resolve) => socket.once("close", () => resolve()));
  } finally {
    if (isRaw) stdin.setRawMode?.(false);
    stdin?.removeListener("data", onInput).removeListener("end", onEnd).pause();
    stdout.removeListener("resize", onResize);
  }
  return exitCodeOf(outcome);
}

function exitCodeOf(outcome: Outcome | undefined): number {
  if (!outcome || outcome.status === "Success") return 0;
  const code = outcome.details?.causes?.find(({ reason }) => reason === "ExitCode")?.message;
  if (outcome.reason === "NonZeroExitCode" && code !== undefined) return Number(code);
  throw new CommandError(outcome.message ?? "the command could not be run");
}

/**
 * Looks for the keys of `ctrl-p,ctrl-q` in what is typed: passes everything on but a beginning of them, which it holds back until it is
 * clear what comes of it. Keys that do not exist are no keys: nothing is looked for.
 */
export function detachSequence(keys: string): (chunk: Buffer) => { passed: Buffer; isOver: boolean } {
  const wanted = keys.split(",").map(keyCode);
  let seen = 0;
  return (chunk) => {
    if (wanted.includes(undefined)) return { passed: Buffer.from(chunk), isOver: false };
    const passed: number[] = [];
    for (const byte of chunk) {
      if (byte !== wanted[seen]) {
        passed.push(...(wanted.slice(0, seen) as number[]));
        seen = 0;
      }
      if (byte === wanted[seen]) seen++;
      else passed.push(byte);
      if (seen === wanted.length) return { passed: Buffer.from(passed), isOver: true };
    }
    return { passed: Buffer.from(passed), isOver: false };
  };
}

/** `a`, or `ctrl-` with a letter or one of `@[\\]^_`. */
function keyCode(key: string): number | undefined {
  if (key.length === 1) return key.charCodeAt(0);
  const control = /^ctrl-([a-z@[\\\]^_])$/.exec(key)?.[1];
  return control === undefined ? undefined : control.toUpperCase().charCodeAt(0) - 64;
}
