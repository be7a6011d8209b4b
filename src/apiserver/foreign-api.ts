/** A group-version that another server answers for: requests are passed on to it (upstream: kube-aggregator). */
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
}
