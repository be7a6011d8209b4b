/** Records requests as the audit policy asks, as events of audit.k8s.io/v1. */
import type { Auditor, AuditTrail } from "../../apiserver/audit.ts";
import type { UserInfo } from "../../apiserver/authentication.ts";
import type { Attributes } from "../../apiserver/authorization.ts";
import type { Exchange, ResponseHeaders } from "../../apiserver/http/exchange.ts";
import { type Clock, rfc3339Micro } from "../../base/clock.ts";
import { type AuditDecision, type AuditPolicy, type AuditStage, decide } from "./policy.ts";

/** More of a body than this is not recorded. */
const maximumBodyBytes = 1024 * 1024;

export interface PolicyAuditorOptions {
  policy: AuditPolicy;
  clock: Clock;
  /** Each receives one JSON document an event. */
  logs: readonly AuditLog[];
}

/** Takes an audit event as a line of JSON, and keeps nobody waiting. */
export interface AuditLog {
  /** By upstream's name: `log` or `webhook`. */
  readonly plugin: string;
  /** Events that did not get where they were to go, since the start. */
  readonly lostEvents: number;
  append(event: string): void;
}

export function policyAuditor({ policy, clock, logs }: PolicyAuditorOptions): Auditor {
  let events = 0;
  const write = (line: string) => {
    events++;
    for (const log of logs) log.append(line);
  };
  return {
    metrics() {
      const lost = logs.map(
        ({ plugin, lostEvents }) => `apiserver_audit_error_total{plugin="${plugin}"} ${lostEvents}`,
      );
      return `# HELP apiserver_audit_event_total Audit events that were made.
# TYPE apiserver_audit_event_total counter
apiserver_audit_event_total ${events}
# HELP apiserver_audit_error_total Audit events that were lost, by what was to take them.
# TYPE apiserver_audit_error_total counter
${lost.join("\n")}
`;
    },
    begin(exchange, auditId, attributes) {
      const decision = decide(policy, attributes);
      if (decision.level === "None") return undefined;
      return new Trail(exchange, auditId, attributes, decision, clock, write);
    },
  };
}

class Trail implements AuditTrail {
  readonly exchange: Exchange;
  readonly #decision: AuditDecision;
  readonly #clock: Clock;
  readonly #write: (line: string) => void;
  #base: object;
  readonly #annotations: Record<string, string> = {};
  #requestBody: Buffer | undefined;
  #isComplete = false;
  #upgradedTo = 0;

  constructor(
    exchange: Exchange,
    auditId: string,
    attributes: Attributes,
    decision: AuditDecision,
    clock: Clock,
    write: (line: string) => void,
  ) {
    this.#decision = decision;
    this.#clock = clock;
    this.#write = write;
    this.#base = {
      kind: "Event",
      apiVersion: "audit.k8s.io/v1",
      level: decision.level,
      auditID: auditId,
      requestURI: exchange.target,
      verb: attributes.verb,
      user: userText(attributes.user),
      sourceIPs: [exchange.socket?.remoteAddress ?? ""].filter(Boolean),
      userAgent: String(exchange.headers["user-agent"] ?? ""),
      ...(attributes.isResource ? { objectRef: objectRef(attributes) } : {}),
      requestReceivedTimestamp: rfc3339Micro(clock.now()),
    };
    this.#emit("RequestReceived", {});
    this.exchange = this.#noting(exchange);
    exchange.onClose(() => this.#complete(this.#upgradedTo, undefined));
  }

  annotate(key: string, value: string): void {
    this.#annotations[key] ??= value;
  }

  actsAs(user: UserInfo): void {
    this.#base = { ...this.#base, impersonatedUser: userText(user) };
  }

  upgraded(): void {
    this.#upgradedTo = 101;
    this.#emit("ResponseStarted", this.#outcome(101, undefined));
  }

  #noting(exchange: Exchange): Exchange {
    let begun = 0;
    const note = {
      readBody: async (limit: number) => {
        const body = await exchange.readBody(limit);
        this.#requestBody = body;
        return body;
      },
      respond: (status: number, headers: ResponseHeaders, body: Uint8Array | string) => {
        this.#complete(status, body);
        exchange.respond(status, headers, body);
      },
      begin: (status: number, headers: ResponseHeaders) => {
        begun = status;
        this.#emit("ResponseStarted", this.#outcome(status, undefined));
        exchange.begin(status, headers);
      },
      end: () => {
        this.#complete(begun, undefined);
        exchange.end();
      },
    };
    return new Proxy(exchange, {
      get(target, key) {
        if (Object.hasOwn(note, key)) return note[key as keyof typeof note];
        const value = Reflect.get(target, key, target) as unknown;
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  }

  #complete(status: number, body: Uint8Array | string | undefined): void {
    if (this.#isComplete) return;
    this.#isComplete = true;
    this.#emit("ResponseComplete", this.#outcome(status, body));
  }

  #outcome(status: number, body: Uint8Array | string | undefined): object {
    const { level } = this.#decision;
    const answer = status >= 400 || level === "RequestResponse" ? this.#json(body) : undefined;
    const failure = answer as { status?: string; message?: string; reason?: string } | undefined;
    const said = status >= 400 && failure?.status === "Failure" ? failure : undefined;
    const request = level === "Metadata" ? undefined : this.#json(this.#requestBody);
    return {
      responseStatus: {
        metadata: {},
        ...(said ? { status: "Failure", message: said.message, reason: said.reason } : {}),
        code: status,
      },
      ...(request !== undefined ? { requestObject: request } : {}),
      ...(level === "RequestResponse" && answer !== undefined ? { responseObject: answer } : {}),
    };
  }

  /** Undefined for what is empty, too long, or no JSON. */
  #json(body: Uint8Array | string | undefined): unknown {
    if (!body?.length || body.length > maximumBodyBytes) return undefined;
    try {
      const value = JSON.parse(typeof body === "string" ? body : Buffer.from(body).toString()) as {
        metadata?: { managedFields?: unknown };
      };
      if (this.#decision.omitManagedFields) delete value.metadata?.managedFields;
      return value;
    } catch {
      return undefined;
    }
  }

  #emit(stage: AuditStage, more: object): void {
    if (this.#decision.omitStages.has(stage)) return;
    const annotations = Object.keys(this.#annotations).length > 0 ? { annotations: this.#annotations } : {};
    this.#write(
      JSON.stringify({
        ...this.#base,
        stage,
        ...more,
        stageTimestamp: rfc3339Micro(this.#clock.now()),
        ...annotations,
      }),
    );
  }
}

function userText({ name, uid, groups, extra }: UserInfo): object {
  if (!name) return {};
  return { username: name, ...(uid ? { uid } : {}), groups, ...(extra ? { extra } : {}) };
}

function objectRef({ resource, namespace, name, group, version, subresource }: Attributes): object {
  return {
    resource,
    ...(namespace ? { namespace } : {}),
    ...(name ? { name } : {}),
    ...(group ? { apiGroup: group } : {}),
    apiVersion: version,
    ...(subresource ? { subresource } : {}),
  };
}
