/** The contract of auditing: what a request tells of itself, from its beginning to its end. Absent, a request pays nothing for it. */
import type { UserInfo } from "./authentication.ts";
import type { Attributes } from "./authorization.ts";
import type { Exchange } from "./http/exchange.ts";

export interface Auditor {
  /**
   * Called once a request's user and attributes are known, before it is authorized and before it is said whom it impersonates; a
   * request whose proof was wrong has a user without a name. Undefined: nobody wants to know of it.
   */
  begin(exchange: Exchange, auditId: string, attributes: Attributes): AuditTrail | undefined;
  /** In Prometheus' form. */
  metrics?(): string;
}

export interface AuditTrail {
  /** Stands in the place of the given one, and notes what goes through it. */
  readonly exchange: Exchange;
  /** The first value of a key stays. `level`: only where bodies are recorded, too. */
  annotate(key: string, value: string, level?: "Request"): void;
  /** Whom the asker is impersonating, and by which verb, where it is let do so within bounds. */
  actsAs(user: UserInfo, constraint?: string): void;
  /** The connection speaks another protocol from now on: what was asked for was given. */
  upgraded(): void;
}
