/** Requests to the API server by path, with answers as objects. Failures are StatusErrors. */
import type { IncomingHttpHeaders } from "node:http";
import { isIP } from "node:net";
import type { Readable } from "node:stream";
import { StatusError } from "../apimachinery/status-error.ts";
import type { Clock } from "../base/clock.ts";
import { Http1Connection } from "../client/http1-connection.ts";
import { Http2Connection, TransportError } from "../client/http2-connection.ts";
import { identityHeaders } from "../client/identity-headers.ts";
import type { Connection } from "../client/kubeconfig.ts";
import { CommandError } from "./command-error.ts";
import { cut, parseDurationMs } from "./flags.ts";
import type { RequestTrace } from "./request-trace.ts";

/** An object as the server sent it. */
export interface Unstructured {
  apiVersion?: string;
  kind?: string;
  metadata: {
    name: string;
    namespace?: string;
    uid?: string;
    resourceVersion?: string;
    generateName?: string;
    creationTimestamp?: string;
    deletionTimestamp?: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
    ownerReferences?: { kind: string; name: string; uid: string; controller?: boolean }[];
    [field: string]: unknown;
  };
  [field: string]: unknown;
}

export interface ApiOptions {
  /** As the flag says it; `0` for any time. */
  requestTimeout: string;
  signal: AbortSignal;
  onWarning(message: string): void;
  /** Is told of every request and answer. */
  trace?: RequestTrace;
}

export interface CallOptions {
  accept?: string;
  body?: unknown;
  contentType?: string;
}

const jsonType = "application/json";
export const userAgent = "kubectl/v1.36.0 (linux/amd64) pinnace";

export class Api {
  readonly server: string;
  readonly connection: Connection;
  #http: Http1Connection | Http2Connection;
  readonly #options: ApiOptions;
  readonly #timeoutMs: number;

  constructor(connection: Connection, clock: Clock, options: ApiOptions) {
    this.connection = connection;
    this.server = connection.server;
    // Without TLS there is nothing to agree on HTTP/2 with.
    this.#http = connection.server.startsWith("http:")
      ? new Http1Connection(connection, userAgent)
      : new Http2Connection(connection, clock, userAgent);
    this.#options = options;
    this.#timeoutMs = parseDurationMs(options.requestTimeout) ?? 0;
  }

  get<T = Unstructured>(path: string, accept?: string): Promise<T> {
    return this.call<T>("GET", path, accept ? { accept } : {});
  }

  async call<T = Unstructured>(method: string, path: string, options: CallOptions = {}): Promise<T> {
    const text = await this.text(method, path, options);
    return (text === "" ? undefined : JSON.parse(text)) as T;
  }

  /** The answer's body as it came. */
  async text(method: string, path: string, { accept = jsonType, body, contentType = jsonType }: CallOptions = {}) {
    const isText = typeof body === "string";
    const request = {
      method,
      path,
      headers: { accept, ...(body === undefined ? {} : { "content-type": contentType }) },
      ...(body === undefined ? {} : { body: isText ? (body as string) : JSON.stringify(body) }),
      signal: this.#signal(),
    };
    const answered = this.#tell(request);
    const { status, headers, body: answer } = await this.#reached(() => this.#http.request(request));
    answered?.({ status, headers });
    this.#options.trace?.received(answer.toString());
    for (const message of warningsOf(headers["warning"])) this.#options.onWarning(message);
    const text = answer.toString();
    if (status >= 400) throw failureOf(status, text);
    return text;
  }

  /** The answer's body as it arrives: logs, watches. */
  async stream(path: string, accept = jsonType): Promise<Readable> {
    const request = { method: "GET", path, headers: { accept }, signal: this.#options.signal };
    const answered = this.#tell(request);
    const { status, headers, stream } = await this.#reached<{
      status: number;
      headers: IncomingHttpHeaders;
      stream: Readable;
    }>(() => this.#http.open(request));
    answered?.({ status, headers });
    for (const message of warningsOf(headers["warning"])) this.#options.onWarning(message);
    if (status < 400) return stream;
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    throw failureOf(status, Buffer.concat(chunks).toString());
  }

  close(): void {
    this.#http.close();
  }

  #tell({ method, path, headers, body = "" }: { method: string; path: string; headers: object; body?: string }) {
    const all = { ...headers, "user-agent": userAgent, ...identityHeaders(this.connection) };
    return this.#options.trace?.sent({ method, url: this.server.replace(/\/+$/, "") + path, headers: all, body });
  }

  #signal(): AbortSignal {
    const { signal } = this.#options;
    return this.#timeoutMs > 0 ? AbortSignal.any([signal, AbortSignal.timeout(this.#timeoutMs)]) : signal;
  }

  async #reached<T>(ask: () => Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (error) {
      if (error instanceof TransportError && this.#http instanceof Http2Connection && knowsNoHttp2(error)) {
        this.#http.close();
        this.#http = new Http1Connection(this.connection, userAgent);
        return this.#reached(ask);
      }
      throw error instanceof TransportError ? unreachable(this.server, error) : error;
    }
  }
}

/** Whether the other side did not agree on HTTP/2. */
function knowsNoHttp2(error: Error): boolean {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    const { code = "" } = cause as NodeJS.ErrnoException;
    if (code === "ERR_HTTP2_ERROR" || code === "ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL") return true;
  }
  return false;
}

/** In kubectl's words where the server does not answer at all. */
function unreachable(server: string, error: TransportError): Error {
  const { host, hostname } = new URL(server);
  const codes = new Set<string | undefined>();
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    codes.add((cause as NodeJS.ErrnoException).code);
  }
  if (codes.has("ECONNREFUSED")) {
    return new CommandError(
      `The connection to the server ${host} was refused - did you specify the right host or port?`,
      {
        isVerbatim: true,
      },
    );
  }
  if (codes.has("ENOTFOUND") || codes.has("EAI_AGAIN")) {
    return new CommandError(`Unable to connect to the server: dial tcp: lookup ${hostname}: no such host`, {
      isVerbatim: true,
    });
  }
  const deepest = (function rootOf(cause: Error): Error {
    return cause.cause instanceof Error ? rootOf(cause.cause) : cause;
  })(error);
  const why = certificateProblem(deepest, hostname) ?? deepest.message;
  return new CommandError(`Unable to connect to the server: ${why}`, { isVerbatim: true });
}

const unknownAuthority = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
]);

/** What is wrong with the server's certificate, in Go's words; undefined where the trouble is another one. */
function certificateProblem(error: Error, hostname: string): string | undefined {
  const {
    code = "",
    cert,
    host = hostname,
  } = error as Error & {
    code?: string;
    host?: string;
    cert?: { subjectaltname?: string };
  };
  const problem = (text: string) => `tls: failed to verify certificate: x509: ${text}`;
  if (unknownAuthority.has(code)) return problem("certificate signed by unknown authority");
  if (code === "CERT_HAS_EXPIRED") return problem("certificate has expired or is not yet valid");
  if (code !== "ERR_TLS_CERT_ALTNAME_INVALID") return undefined;
  const names = (cert?.subjectaltname ?? "").split(", ").map((entry) => cut(entry, ":") as [string, string]);
  const kind = isIP(host.replace(/^\[|\]$/g, "")) ? "IP Address" : "DNS";
  const valid = names.filter(([type]) => type === kind).map(([, name]) => name);
  return problem(`certificate is valid for ${valid.join(", ")}, not ${host}`);
}

function failureOf(status: number, text: string): StatusError {
  try {
    const parsed = JSON.parse(text) as { kind?: string; message?: string };
    if (parsed.kind === "Status") return StatusError.fromStatus(parsed);
  } catch {
    // No Status: what a proxy or a webhook's server said.
  }
  if (status === 404) return new StatusError(404, "NotFound", "the server could not find the requested resource");
  if (status === 401) return new StatusError(401, "Unauthorized", "You must be logged in to the server");
  return new StatusError(status, "", text.trim() || `the server responded with the status code ${status}`);
}

/** `299 - "text"`, as RFC 7234 has it; several separated by commas. */
function warningsOf(header: string | string[] | undefined): string[] {
  if (!header) return [];
  return [...String(header).matchAll(/299 \S+ "((?:[^"\\]|\\.)*)"/g)].map(([, text]) => text!.replace(/\\(.)/g, "$1"));
}

/** Objects of one stream of JSON documents, a line each. */
export async function* jsonLines<T>(stream: AsyncIterable<unknown>): AsyncGenerator<T> {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk as Uint8Array, { stream: true })).split("\n");
    rest = lines.pop()!;
    for (const line of lines) if (line.trim()) yield JSON.parse(line) as T;
  }
  if (rest.trim()) yield JSON.parse(rest) as T;
}
