/** What the handlers of one API server share, and what they know of one request. */
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { Random } from "../base/random.ts";
import type { AdmissionPlugin } from "./admission.ts";
import type { UserInfo } from "./authentication.ts";
import type { ResourceRegistry } from "./resource-registry.ts";
import type { SubresourceHandler } from "./subresource-handler.ts";

export interface Services {
  registry: ResourceRegistry;
  clock: Clock;
  random: Random;
  log: Logger;
  admission: readonly AdmissionPlugin[];
  /** By `<plural>/<name>`, or `<plural>.<group>/<name>` for what is not in the core group. */
  subresources: ReadonlyMap<string, SubresourceHandler>;
}

export interface RequestContext {
  user: UserInfo;
  /** What writes are booked under when they name no field manager. */
  defaultManager: string;
  /** Texts for `Warning:` headers, in order. */
  warnings: string[];
  /** Aborts when the client is gone. */
  signal: AbortSignal | undefined;
  /** Adds an annotation to the audit event. Absent: nobody audits this request. */
  annotate?: (key: string, value: string, level?: "Request") => void;
}

export function warn(context: RequestContext, message: string): void {
  if (message && !context.warnings.includes(message)) context.warnings.push(message);
}

/** `kubectl/v1.32 (linux/amd64)` → `kubectl`, as upstream names managers that do not name themselves. */
export function managerOfUserAgent(userAgent: string): string {
  const slash = userAgent.indexOf("/");
  return (slash < 0 ? userAgent : userAgent.slice(0, slash)).slice(0, 128) || "unknown";
}
