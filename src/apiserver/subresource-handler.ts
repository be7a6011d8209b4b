/** Subresources that are not status or scale: the composition root supplies a handler for each (binding, eviction, exec, log, proxy, token, ...). */
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { KubeObject } from "../api/object.ts";
import type { Answer } from "./answer.ts";
import type { ObjectWriter } from "./object-writer.ts";
import type { Query } from "./request-info.ts";
import type { ServedResource } from "./resource-registry.ts";
import type { RequestContext } from "./services.ts";

export interface SubresourceRequest {
  context: RequestContext;
  resource: ServedResource;
  subresource: string;
  /** Such as `create`, `get`; connects (exec, proxy, ...) have the verb of their method. */
  verb: string;
  method: string;
  namespace: string;
  name: string;
  query: Query;
  /** The path below the subresource, for proxies. */
  rest: string | undefined;
  /** Reads and writes objects as any request does, admission and validation included. */
  objects: ObjectWriter;
}

/** Takes the object that was sent, decoded and with its defaults, and yields what is answered. */
export interface ObjectSubresource {
  kind: "object";
  /** Older versions of the subresource's kind that may be sent as well, with the same fields. */
  olderVersions?: readonly string[];
  handle(request: SubresourceRequest, body: KubeObject | undefined): Promise<Answer>;
}

/** Answers as it likes: logs that follow, proxies. In-process clients cannot call it. */
export interface StreamSubresource {
  kind: "stream";
  /** For requests without `Upgrade`. Ends when the response has ended. */
  respond(request: SubresourceRequest, exchange: HttpExchange): Promise<void>;
  /** For HTTP/1.1 upgrades (WebSocket, SPDY): the socket as it came, with what was read beyond the head. Absent: refused. */
  upgrade?(request: SubresourceRequest, incoming: IncomingMessage, socket: Duplex, head: Buffer): Promise<void>;
}

export type SubresourceHandler = ObjectSubresource | StreamSubresource;

/** One HTTP request and its response, whatever the version of HTTP. */
export interface HttpExchange {
  method: string;
  /** Lower-case names. */
  headers: Readonly<Record<string, string | string[] | undefined>>;
  /** The body as it arrives. */
  body: AsyncIterable<Uint8Array>;
  /** Aborts when the client is gone. */
  signal: AbortSignal;
  /** Sends status and headers, once. */
  begin(status: number, headers: Readonly<Record<string, string | readonly string[]>>): void;
  /** Resolves when more may be written. */
  write(chunk: Uint8Array | string): Promise<void>;
  end(): Promise<void>;
}
