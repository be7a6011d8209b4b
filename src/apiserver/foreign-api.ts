/** A group-version that another server answers for: requests are passed on to it (upstream: kube-aggregator). */
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { HttpRequest } from "../client/http2-connection.ts";
import type { UserInfo } from "./authentication.ts";
import type { Exchange } from "./http/exchange.ts";

export interface ForeignApi {
  readonly group: string;
  readonly version: string;
  /** What it serves, in the form of aggregated discovery (APIResourceDiscovery); undefined until it has said so. */
  readonly resources: readonly object[] | undefined;
  /** Whether what is known of it is fresh. */
  readonly available: boolean;
  /** Answers a request that was authenticated and authorized here. Throws a StatusError when the server cannot be reached. */
  serve(exchange: Exchange, user: UserInfo, auditId: string): Promise<void>;
  /** GETs `target` (path and query) in JSON for a part of this process. Throws the server's Status as a StatusError. */
  read(target: string, user: UserInfo, signal: AbortSignal): Promise<unknown>;
  /** Passes on a request of a part of this process. Resolves with the head of the answer, whatever its status. */
  open(request: HttpRequest, user: UserInfo): Promise<IncomingMessage>;
  /** As `serve`, for a connection that is to speak another protocol: `head` is what of it has come already. */
  upgrade(incoming: IncomingMessage, socket: Duplex, head: Buffer, user: UserInfo): Promise<void>;
  /** What it publishes of itself; undefined until it has, or when it publishes nothing. */
  readonly openApi: ForeignOpenApi;
}

export interface ForeignOpenApi {
  /** Where its document of version 3 is, on its server and on ours: path and query, as its index says. */
  readonly v3?: string | undefined;
  /** What of its document of version 2 is about this group-version. */
  readonly v2?: OpenApiV2Part | undefined;
}

export interface OpenApiV2Part {
  paths: Record<string, object>;
  definitions: Record<string, object>;
}
