/** Calls webhooks of every sort (admission, conversion, authorization, token review): HTTPS by URL or by Service, over connections that are kept. */
import type { IncomingMessage } from "node:http";
import { type Agent, request as httpsRequest } from "node:https";
import { parseExactly, stringifyExactly } from "../../apimachinery/serializer/big-integers.ts";
import type { Clock } from "../../base/clock.ts";
import type { ServiceRouter } from "./service-route.ts";
import { describeFailure, tlsAgent } from "./tls-agent.ts";

/** As webhook configurations, CustomResourceDefinitions and kubeconfig files of webhooks say it. */
export interface WebhookTarget {
  readonly url?: string;
  readonly service?: {
    readonly namespace: string;
    readonly name: string;
    readonly path?: string;
    readonly port?: number;
  };
  /** PEM in base64; without it the machine's authorities are trusted. */
  readonly caBundle?: string;
  /** Proof of who calls; PEM. */
  readonly clientCertificate?: string;
  readonly clientKey?: string;
  readonly bearerToken?: string;
}

export interface CallOptions {
  timeoutMs: number;
  /** That it was taken is all the caller wants to know. */
  ignoreAnswer?: boolean;
  signal?: AbortSignal | undefined;
}

/** Why a call brought no answer. The message is worded as upstream's. */
export class WebhookCallError extends Error {
  override name = "WebhookCallError";
  /** Nobody answered; false when somebody did, with an error. */
  readonly unreachable: boolean;
  constructor(message: string, unreachable: boolean, options?: ErrorOptions) {
    super(message, options);
    this.unreachable = unreachable;
  }
}

/** Far more than any review; a webhook that never stops sending is cut off. */
const maximumResponseBytes = 16 * 1024 * 1024;
/** Agents are kept for this many targets. */
const maximumAgents = 200;

export class WebhookCaller {
  readonly #router: ServiceRouter;
  readonly #clock: Clock;
  readonly #agents = new Map<string, Agent>();

  constructor(options: { router: ServiceRouter; clock: Clock }) {
    this.#router = options.router;
    this.#clock = options.clock;
  }

  /** Posts JSON, and yields the JSON that is answered. Throws a WebhookCallError. */
  async call(target: WebhookTarget, body: object, { timeoutMs, signal, ignoreAnswer }: CallOptions): Promise<unknown> {
    const url = urlOf(target, timeoutMs);
    const post = (why: string, cause?: unknown) =>
      new WebhookCallError(`Post ${JSON.stringify(String(url))}: ${why}`, true, { cause });
    const ended = new AbortController();
    const timer = this.#clock.setTimer(timeoutMs, () => ended.abort("timeout"), { background: true });
    const onAbort = () => ended.abort("canceled");
    signal?.addEventListener("abort", onAbort, { once: true });
    if (signal?.aborted) onAbort();
    try {
      const { status, text } = await this.#exchange(target, url, stringifyExactly(body), ended.signal, true);
      if (status < 200 || status > 299) throw new WebhookCallError(statusText(status, text), false);
      if (ignoreAnswer) return undefined;
      try {
        return parseExactly(text);
      } catch (error) {
        throw new WebhookCallError(`couldn't get version/kind; json parse error: ${jsonProblem(text)}`, false, {
          cause: error,
        });
      }
    } catch (error) {
      if (error instanceof WebhookCallError) throw error;
      if (ended.signal.aborted) {
        throw post(ended.signal.reason === "timeout" ? "context deadline exceeded" : "context canceled", error);
      }
      throw post(describeFailure(error as NodeJS.ErrnoException, url), error);
    } finally {
      timer[Symbol.dispose]();
      signal?.removeEventListener("abort", onAbort);
    }
  }

  close(): void {
    for (const agent of this.#agents.values()) agent.destroy();
    this.#agents.clear();
  }

  async #exchange(
    target: WebhookTarget,
    url: URL,
    body: string,
    signal: AbortSignal,
    mayRepeat: boolean,
  ): Promise<{ status: number; text: string }> {
    const agent = await this.#agentOf(target, url);
    signal.throwIfAborted();
    const outgoing = httpsRequest(url, {
      method: "POST",
      agent,
      signal,
      headers: {
        "content-type": "application/json",
        accept: "application/json",
        "user-agent": "kube-apiserver-admission",
        "content-length": Buffer.byteLength(body),
        ...(target.bearerToken ? { authorization: `Bearer ${target.bearerToken}` } : {}),
      },
    });
    try {
      return await new Promise((resolve, reject) => {
        outgoing.once("error", reject);
        outgoing.once("response", (response) =>
          readText(response).then((text) => resolve({ status: response.statusCode ?? 0, text }), reject),
        );
        outgoing.end(body);
      });
    } catch (error) {
      // A kept connection may have been closed by the other side just now: that says nothing about the webhook.
      const { code } = error as NodeJS.ErrnoException;
      const stale = outgoing.reusedSocket && (code === "ECONNRESET" || code === "EPIPE");
      if (!stale || !mayRepeat || signal.aborted) throw error;
      return this.#exchange(target, url, body, signal, false);
    }
  }

  /** Connections are shared by those who go to the same place and trust the same authorities. A Service's place is looked up anew each time. */
  async #agentOf(target: WebhookTarget, url: URL): Promise<Agent> {
    const { service } = target;
    const name = url.hostname.replace(/^\[|\]$/g, "");
    const port = Number(url.port || 443);
    const route = service ? await this.#router.route(service.namespace, service.name, port) : { host: name, port };
    const key = JSON.stringify([route.host, route.port, name, target.caBundle, target.clientCertificate]);
    const known = this.#agents.get(key);
    if (known) return known;
    const agent = tlsAgent({
      route,
      dial: this.#router.dial,
      serverName: name,
      ca: target.caBundle ? Buffer.from(target.caBundle, "base64").toString() : undefined,
      certificate: target.clientCertificate,
      key: target.clientKey,
    });
    if (this.#agents.size >= maximumAgents) {
      const [oldest, idle] = this.#agents.entries().next().value!;
      this.#agents.delete(oldest);
      idle.destroy();
    }
    this.#agents.set(key, agent);
    return agent;
  }
}

function urlOf({ url, service }: WebhookTarget, timeoutMs: number): URL {
  const where = url
    ? new URL(url)
    : new URL(
        `https://${service!.name}.${service!.namespace}.svc:${service!.port ?? 443}/${(service!.path ?? "").replace(/^\//, "")}`,
      );
  where.searchParams.set("timeout", `${timeoutMs / 1000}s`);
  return where;
}

async function readText(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maximumResponseBytes) {
      response.destroy();
      throw new WebhookCallError("the response is too large", false);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

/** What upstream's client makes of an answer that is none. */
function statusText(status: number, body: string): string {
  const said = body.trim().slice(0, 2048);
  try {
    const { kind, message } = JSON.parse(said) as { kind?: unknown; message?: unknown };
    if (kind === "Status" && typeof message === "string") return message;
  } catch {
    // Not a Status: the code alone speaks.
  }
  switch (status) {
    case 400:
      return "the server rejected our request for an unknown reason";
    case 401:
      return "the server has asked for the client to provide credentials";
    case 403:
      return "forbidden: User is not allowed to perform this action";
    case 404:
      return "the server could not find the requested resource";
    case 503:
      return "the server is currently unable to handle the request";
    default:
      if (status >= 500) {
        return `an error on the server (${JSON.stringify(said || "unknown")}) has prevented the request from succeeding`;
      }
      return `the server responded with the status code ${status} but did not return more information`;
  }
}

function jsonProblem(text: string): string {
  const first = text.trimStart()[0];
  return first === undefined
    ? "unexpected end of JSON input"
    : `invalid character '${first}' looking for beginning of value`;
}
