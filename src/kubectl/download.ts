/** What stands behind a URL that the command line names. */
import { type IncomingMessage, request as requestPlain, STATUS_CODES } from "node:http";
import { request as requestSecure } from "node:https";
import type { Socket } from "node:net";
import { text } from "node:stream/consumers";
import { connect as connectTls } from "node:tls";
import { sleep } from "../base/clock.ts";
import { systemAuthorities } from "../client/authorities.ts";
import { openTunnel, proxyFromEnvironment } from "../client/proxy.ts";
import { userAgent } from "./api.ts";
import { CommandError } from "./command-error.ts";
import type { Terminal } from "./session.ts";

/** As often as the other kubectl asks, a second apart. */
const attempts = 3;
const redirections = 10;

/** Resolves to the text. A server that is away or in trouble is asked again. Rejects with a CommandError in kubectl's words. */
export async function download(url: string, { clock, signal }: Terminal): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    const isLast = attempt === attempts;
    try {
      const response = await follow(url, signal);
      const { statusCode = 0, statusMessage = "" } = response;
      if (statusCode === 200) return await text(response);
      response.resume();
      if (isLast || statusCode < 500) {
        throw new CommandError(
          `unable to read URL ${JSON.stringify(url)}, server reported ${statusCode} ${statusMessage}, status code=${statusCode}`,
          { isVerbatim: true },
        );
      }
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof CommandError) throw error;
      if (isLast) throw unreachable(url, error as NodeJS.ErrnoException);
    }
    await sleep(clock, 1000, signal);
  }
}

/** Asks once, and resolves to whatever the server answered. Rejects with a CommandError as Go's client says it. */
export async function fetchOnce(
  url: string,
  { signal }: Pick<Terminal, "signal">,
): Promise<{ status: number; statusText: string; text: string }> {
  try {
    const response = await follow(url, signal);
    const { statusCode = 0 } = response;
    return { status: statusCode, statusText: STATUS_CODES[statusCode] ?? "", text: await text(response) };
  } catch (error) {
    signal.throwIfAborted();
    const { code, message, address, port } = error as NodeJS.ErrnoException & { address?: string; port?: number };
    const { hostname } = new URL(url);
    const problem =
      code === "ECONNREFUSED"
        ? `dial tcp ${address}:${port}: connect: connection refused`
        : code === "ENOTFOUND" || code === "EAI_AGAIN"
          ? `dial tcp: lookup ${hostname}: no such host`
          : message;
    throw new CommandError(`Get ${JSON.stringify(url)}: ${problem}`);
  }
}

function unreachable(url: string, { code, message }: NodeJS.ErrnoException): CommandError {
  const { host, hostname } = new URL(url);
  const dial = code === "ENOTFOUND" || code === "EAI_AGAIN" ? `dial tcp: lookup ${hostname}: no such host` : message;
  return new CommandError(
    code === "ECONNREFUSED"
      ? `The connection to the server ${host} was refused - did you specify the right host or port?`
      : `Unable to connect to the server: ${dial}`,
    { isVerbatim: true },
  );
}

async function follow(url: string, signal: AbortSignal): Promise<IncomingMessage> {
  let place = url;
  for (let step = 0; step <= redirections; step++) {
    const response = await ask(new URL(place), signal);
    const { location } = response.headers;
    if (!location || ![301, 302, 303, 307, 308].includes(response.statusCode ?? 0)) return response;
    response.resume();
    place = new URL(location, place).href;
  }
  throw new Error(`Get ${JSON.stringify(place)}: stopped after ${redirections} redirects`);
}

async function ask(url: URL, signal: AbortSignal): Promise<IncomingMessage> {
  const isSecure = url.protocol === "https:";
  const proxyUrl = proxyFromEnvironment(url.href);
  const tunnel = proxyUrl ? await openTunnel(proxyUrl, url.origin) : undefined;
  const login = url.username && `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const security = isSecure ? { ca: systemAuthorities() } : {};
  return new Promise((resolve, reject) => {
    (isSecure ? requestSecure : requestPlain)(
      {
        host,
        port: url.port || (isSecure ? 443 : 80),
        path: url.pathname + url.search,
        headers: { "user-agent": userAgent },
        ...(login ? { auth: login } : {}),
        ...security,
        ...(tunnel ? { createConnection: () => through(tunnel, host, isSecure) } : {}),
        agent: false,
        signal,
      },
      resolve,
    )
      .once("error", reject)
      .end();
  });
}

/** The stream to the server in a proxy's tunnel. */
function through(tunnel: Socket, host: string, isSecure: boolean): Socket {
  return isSecure ? connectTls({ socket: tunnel, servername: host, ca: systemAuthorities() }) : tunnel;
}
