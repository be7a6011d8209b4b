/** One execution of a probe's or hook's action: exec, httpGet, tcpSocket, grpc. Failures are worded as upstream's events show them. */
import { lookup } from "node:dns/promises";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { connect as http2Connect } from "node:http2";
import { isIP, type Socket } from "node:net";
import { connect as tlsConnect } from "node:tls";
import type { ExecAction, GRPCAction, HTTPGetAction, TCPSocketAction } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import type { Clock } from "../../base/clock.ts";
import type { ContainerSpec } from "../pod-state.ts";
import { goDuration } from "../restart-policy.ts";
import { type ExecSyncResult, isRuntimeError } from "../runtime/container-runtime.ts";

export interface Action {
  exec?: DeepReadonly<ExecAction>;
  httpGet?: DeepReadonly<HTTPGetAction>;
  tcpSocket?: DeepReadonly<TCPSocketAction>;
  grpc?: DeepReadonly<GRPCAction>;
}

export interface ActionTarget {
  podIP: string;
  container: ContainerSpec;
  clock: Clock;
  exec(command: readonly string[], timeoutMs: number, signal: AbortSignal): Promise<ExecSyncResult>;
  /** A TCP connection from the node, as net.connect would begin it. */
  connect(address: string, port: number): Socket;
}

export type ActionResult =
  | { kind: "success" }
  /** It counts as success, and is told. */
  | { kind: "warning"; output: string }
  | { kind: "failure"; output: string }
  /** It could not be found out. */
  | { kind: "unknown"; error: string };

/** `timeoutMs` 0: none. Never rejects. */
export type RunAction = (
  action: Action,
  target: ActionTarget,
  timeoutMs: number,
  signal: AbortSignal,
) => Promise<ActionResult>;

/** For simulated nodes, whose containers have nothing to ask: every action succeeds. */
export const simulatedAction: RunAction = async () => ({ kind: "success" });

export const runAction: RunAction = async (action, target, timeoutMs, signal) => {
  // One controller for both: AbortSignal.any would leave a trace on the container's signal with every probe.
  const ending = new AbortController();
  const end = () => ending.abort();
  const timer = timeoutMs > 0 ? target.clock.setTimer(timeoutMs, end, { background: true }) : undefined;
  if (signal.aborted) end();
  signal.addEventListener("abort", end, { once: true });
  try {
    if (action.exec) return await execAction(action.exec.command ?? [], target, timeoutMs, signal);
    if (action.httpGet) return await httpAction(action.httpGet, target, ending.signal);
    if (action.tcpSocket) return await tcpAction(action.tcpSocket, target, ending.signal);
    if (action.grpc) return await grpcAction(action.grpc, target, timeoutMs, ending.signal);
    return { kind: "unknown", error: `missing probe handler for ${target.container.name}` };
  } catch (error) {
    return { kind: "unknown", error: (error as Error).message };
  } finally {
    signal.removeEventListener("abort", end);
    timer?.[Symbol.dispose]();
  }
};

async function execAction(
  command: readonly string[],
  target: ActionTarget,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<ActionResult> {
  try {
    const { exitCode, stdout, stderr } = await target.exec(command, timeoutMs, signal);
    if (exitCode === 0) return { kind: "success" };
    return { kind: "failure", output: `${stdout}${stderr}`.slice(0, maximumOutput) };
  } catch (error) {
    if (!isRuntimeError(error, "DeadlineExceeded")) return { kind: "unknown", error: (error as Error).message };
    const text = JSON.stringify(command.join(" "));
    return { kind: "failure", output: `command timed out: ${text} timed out after ${goDuration(timeoutMs)}` };
  }
}

async function tcpAction(
  { host, port }: DeepReadonly<TCPSocketAction>,
  target: ActionTarget,
  signal: AbortSignal,
): Promise<ActionResult> {
  const at = { host: host || target.podIP, port: portOf(port, target.container) };
  try {
    const socket = await connected(target, at, signal);
    socket.destroy();
    return { kind: "success" };
  } catch (error) {
    return { kind: "failure", output: dialMessage(error, at) };
  }
}

const maximumOutput = 10 * 1024;
const maximumRedirects = 10;

async function httpAction(
  action: DeepReadonly<HTTPGetAction>,
  target: ActionTarget,
  signal: AbortSignal,
): Promise<ActionResult> {
  const scheme = (action.scheme ?? "HTTP").toLowerCase();
  const host = action.host || target.podIP;
  const port = portOf(action.port, target.container);
  const path = action.path ?? "/";
  let url = new URL(
    `${scheme}://${isIP(host) === 6 ? `[${host}]` : host}:${port}${path.startsWith("/") ? path : `/${path}`}`,
  );
  const original = urlText(url);
  for (let redirects = 0; ; redirects++) {
    let response: IncomingMessage;
    try {
      response = await get(url, action, target, signal);
    } catch (error) {
      return { kind: "failure", output: `Get "${original}": ${requestMessage(error, url, signal)}` };
    }
    const status = response.statusCode ?? 0;
    const location = response.headers.location;
    if (status >= 300 && status < 400 && location) {
      const next = new URL(location, url);
      if (next.hostname !== url.hostname) {
        return { kind: "warning", output: `Probe terminated redirects, Response body: ${await bodyOf(response)}` };
      }
      response.destroy();
      if (redirects >= maximumRedirects) {
        return { kind: "failure", output: `Get "${urlText(next)}": stopped after ${maximumRedirects} redirects` };
      }
      url = next;
      continue;
    }
    response.destroy();
    if (status >= 200 && status < 400) return { kind: "success" };
    return { kind: "failure", output: `HTTP probe failed with statuscode: ${status}` };
  }
}

/** As a user writes it: with its port even where that is the scheme's own. */
function urlText(url: URL): string {
  const port = url.port || (url.protocol === "https:" ? "443" : "80");
  return `${url.protocol}//${url.hostname}:${port}${url.pathname}${url.search}`;
}

async function get(
  url: URL,
  action: DeepReadonly<HTTPGetAction>,
  target: ActionTarget,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const port = Number(url.port || (url.protocol === "https:" ? 443 : 80));
  const raw = await connected(target, { host, port }, signal);
  // As upstream, a probe asks whether the server answers, not who it is.
  const socket = url.protocol === "https:" ? tlsConnect({ socket: raw, rejectUnauthorized: false }) : raw;
  const headers: Record<string, string | string[]> = { "User-Agent": userAgent, Accept: "*/*", Connection: "close" };
  const defaults = new Map(Object.keys(headers).map((name) => [name.toLowerCase(), name]));
  for (const { name, value } of action.httpHeaders ?? []) {
    const existing = defaults.get(name.toLowerCase());
    if (existing) {
      delete headers[existing];
      defaults.delete(name.toLowerCase());
    }
    const previous = headers[name];
    headers[name] = previous === undefined ? value : [previous, value].flat();
  }
  if (headers["Accept"] === "") delete headers["Accept"];
  return await new Promise((resolve, reject) => {
    const abort = () => {
      request.destroy(new Error("aborted"));
      socket.destroy();
    };
    const request = httpRequest(
      { host, port, path: `${url.pathname}${url.search}`, method: "GET", headers, createConnection: () => socket },
      (response) => {
        response.once("close", () => signal.removeEventListener("abort", abort));
        response.on("error", () => {}); // Cut off while its body was unread: the status is known by then.
        resolve(response);
      },
    );
    signal.addEventListener("abort", abort, { once: true });
    request.once("error", (error) => {
      signal.removeEventListener("abort", abort);
      reject(error);
    });
    request.end();
  });
}
const userAgent = "kube-probe/1.36";

async function bodyOf(response: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of response) {
    text += chunk;
    if (text.length > maximumOutput) break;
  }
  return text.slice(0, maximumOutput);
}

/** grpc.health.v1.Health/Check over plain HTTP/2: one request and one answer of at most three bytes, framed by hand. */
async function grpcAction(
  { port, service }: DeepReadonly<GRPCAction>,
  target: ActionTarget,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<ActionResult> {
  const at = { host: target.podIP, port };
  let socket: Socket;
  try {
    socket = await connected(target, at, signal);
  } catch {
    return {
      kind: "failure",
      output: `timeout: failed to connect service "${at.host}:${port}" within ${goDuration(timeoutMs)}`,
    };
  }
  return await new Promise<ActionResult>((resolve) => {
    const session = http2Connect(`http://${isIP(at.host) === 6 ? `[${at.host}]` : at.host}:${port}`, {
      createConnection: () => socket,
    });
    const finish = (result: ActionResult) => {
      signal.removeEventListener("abort", onAbort);
      session.destroy();
      socket.destroy();
      resolve(result);
    };
    const onAbort = () =>
      finish({ kind: "failure", output: `timeout: health rpc did not complete within ${goDuration(timeoutMs)}` });
    signal.addEventListener("abort", onAbort, { once: true });
    session.once("error", (error) =>
      finish({ kind: "failure", output: `error: health rpc probe failed: ${error.message}` }),
    );
    const stream = session.request({
      ":method": "POST",
      ":path": "/grpc.health.v1.Health/Check",
      "content-type": "application/grpc",
      "user-agent": `${userAgent} grpc`,
      te: "trailers",
    });
    let answer = Buffer.alloc(0);
    let grpcStatus = "";
    const note = (headers: Record<string, unknown>) => {
      if (headers["grpc-status"] !== undefined) grpcStatus = String(headers["grpc-status"]);
    };
    stream.on("response", note);
    stream.on("trailers", note);
    stream.on("data", (chunk: Buffer) => {
      answer = Buffer.concat([answer, chunk]);
    });
    stream.once("error", (error) =>
      finish({ kind: "failure", output: `error: health rpc probe failed: ${error.message}` }),
    );
    stream.once("end", () => {
      if (grpcStatus === "12") {
        finish({
          kind: "failure",
          output: `error: this server does not implement the grpc health protocol (grpc.health.v1.Health)`,
        });
      } else if (grpcStatus !== "0" && grpcStatus !== "") {
        finish({ kind: "failure", output: `error: health rpc probe failed with status ${grpcStatus}` });
      } else {
        // The answer is one varint field: 08 01 is SERVING.
        const serving = answer.length >= 7 && answer[5] === 8 && answer[6] === 1;
        finish(
          serving
            ? { kind: "success" }
            : { kind: "failure", output: `service unhealthy (responded with "NOT_SERVING")` },
        );
      }
    });
    const name = Buffer.from(service ?? "");
    const message = name.length > 0 ? Buffer.concat([Buffer.from([0x0a, name.length]), name]) : Buffer.alloc(0);
    const frame = Buffer.alloc(5);
    frame.writeUInt32BE(message.length, 1);
    stream.end(Buffer.concat([frame, message]));
  });
}

async function connected(
  target: ActionTarget,
  at: { host: string; port: number },
  signal: AbortSignal,
): Promise<Socket> {
  const address = isIP(at.host) ? at.host : (await lookup(at.host)).address;
  return await new Promise((resolve, reject) => {
    const socket = target.connect(address, at.port);
    const onAbort = () => {
      socket.destroy();
      reject(Object.assign(new Error("i/o timeout"), { code: "ETIMEDOUT" }));
    };
    if (signal.aborted) return onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    socket.once("error", (error) => {
      signal.removeEventListener("abort", onAbort);
      reject(error);
    });
    socket.once("connect", () => {
      signal.removeEventListener("abort", onAbort);
      socket.removeAllListeners("error");
      socket.on("error", () => {}); // Whoever uses it learns from its own request.
      resolve(socket);
    });
  });
}

/** A number, or the name of one of the container's ports. */
export function portOf(port: number | string, container: ContainerSpec): number {
  const named = typeof port === "string" ? container.ports?.find((candidate) => candidate.name === port) : undefined;
  const number = named?.containerPort ?? Number(port);
  if (Number.isInteger(number) && number > 0 && number < 65_536) return number;
  throw new Error(
    typeof port === "string"
      ? `couldn't find port: ${JSON.stringify(port)} in container ${container.name}`
      : `invalid port number: ${port}`,
  );
}

/** Node's error in the words of Go's net package, which users of Kubernetes search for. */
function dialMessage(error: unknown, { host, port }: { host: string; port: number }): string {
  const at = `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
  const code = (error as NodeJS.ErrnoException).code;
  const words: Record<string, string> = {
    ECONNREFUSED: "connect: connection refused",
    EHOSTUNREACH: "connect: no route to host",
    ENETUNREACH: "connect: network is unreachable",
    ECONNRESET: "connect: connection reset by peer",
    ETIMEDOUT: "i/o timeout",
  };
  return `dial tcp ${at}: ${(code && words[code]) || (error as Error).message}`;
}

function requestMessage(error: unknown, url: URL, signal: AbortSignal): string {
  const { code, syscall } = error as NodeJS.ErrnoException;
  if (signal.aborted) return "context deadline exceeded (Client.Timeout exceeded while awaiting headers)";
  if (syscall === "connect" || code === "ECONNREFUSED") {
    const port = Number(url.port || (url.protocol === "https:" ? 443 : 80));
    return dialMessage(error, { host: url.hostname.replace(/^\[|\]$/g, ""), port });
  }
  if (code === "ECONNRESET") return "read: connection reset by peer";
  if ((error as Error).message.includes("socket hang up")) return "EOF";
  return (error as Error).message;
}
