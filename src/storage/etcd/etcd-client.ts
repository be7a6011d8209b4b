/** The few calls of etcd's JSON gateway that the store needs: keys and values in base 64, numbers as text. */
import { Agent, type Dispatcher } from "undici";
import type { Revision, StoredValue } from "../store.ts";

export interface EtcdOptions {
  /** Such as `https://10.0.0.5:2379`; tried in turn. */
  endpoints: readonly string[];
  tls?: { ca?: string | string[]; cert?: string; key?: string };
}

/** An error that etcd itself answered. */
export class EtcdError extends Error {
  /** gRPC's status code. */
  readonly code: number;
  constructor(message: string, code: number) {
    super(message);
    this.name = "EtcdError";
    this.code = code;
  }
}

export interface EtcdKeyValue {
  key: string;
  value?: string;
  create_revision: string;
  mod_revision: string;
}

export interface EtcdHeader {
  revision?: string;
}

export interface EtcdWatchResponse {
  header: EtcdHeader;
  created?: boolean;
  canceled?: boolean;
  compact_revision?: string;
  cancel_reason?: string;
  events?: { type?: "PUT" | "DELETE"; kv: EtcdKeyValue; prev_kv?: EtcdKeyValue }[];
}

const requestTimeoutMs = 10_000;

export class EtcdClient {
  readonly #endpoints: readonly string[];
  readonly #agent: Agent;
  #current = 0;

  constructor(options: EtcdOptions) {
    this.#endpoints = options.endpoints;
    // A watch may be silent for as long as nothing happens.
    this.#agent = new Agent({ bodyTimeout: 0, headersTimeout: requestTimeoutMs, connect: { ...options.tls } });
  }

  /** Calls one method; a failed connection moves on to the next endpoint for the call after. */
  async call<T>(path: string, body: object): Promise<T> {
    const response = await this.#post(path, body, AbortSignal.timeout(requestTimeoutMs));
    const text = await response.body.text();
    const answer = parse<T & { error?: string; code?: number }>(text, path);
    if (response.statusCode !== 200) throw new EtcdError(answer.error ?? text, answer.code ?? 2);
    return answer;
  }

  /** One watch over all keys from `start` on. Ends when the signal aborts; throws when the stream breaks. */
  async *watch(start: Revision, signal: AbortSignal): AsyncGenerator<EtcdWatchResponse> {
    const create = {
      key: base64("\0"),
      range_end: base64("\0"),
      start_revision: String(start),
      prev_kv: true,
      progress_notify: true,
    };
    const response = await this.#post("/v3/watch", { create_request: create }, signal);
    let pending: Buffer[] = [];
    for await (const chunk of response.body as AsyncIterable<Buffer>) {
      let from = 0;
      for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
        pending.push(chunk.subarray(from, end));
        from = end + 1;
        const line = Buffer.concat(pending).toString();
        pending = [];
        const answer = parse<{ result?: EtcdWatchResponse; error?: { message?: string; grpc_code?: number } }>(
          line,
          "/v3/watch",
        );
        if (answer.result) yield answer.result;
        else throw new EtcdError(answer.error?.message ?? line, answer.error?.grpc_code ?? 2);
      }
      pending.push(chunk.subarray(from));
    }
    throw new Error("etcd ended the watch");
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  async #post(path: string, body: object, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
    const origin = this.#endpoints[this.#current % this.#endpoints.length]!;
    try {
      return await this.#agent.request({
        origin,
        path,
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
        signal,
      });
    } catch (error) {
      this.#current++;
      throw new Error(`etcd at ${origin}: ${(error as Error).message}`, { cause: error });
    }
  }
}

export function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}

export function storedValue(kv: EtcdKeyValue): StoredValue {
  return {
    key: Buffer.from(kv.key, "base64").toString(),
    value: Buffer.from(kv.value ?? "", "base64"),
    createRevision: Number(kv.create_revision),
    modRevision: Number(kv.mod_revision),
  };
}

export function revisionOf(header: EtcdHeader): Revision {
  return Number(header.revision ?? 0);
}

function parse<T>(text: string, path: string): T {
  try {
    return JSON.parse(text) as T;
  } catch (cause) {
    throw new Error(`etcd answered ${path} with what is not JSON: ${text.slice(0, 100)}`, { cause });
  }
}
