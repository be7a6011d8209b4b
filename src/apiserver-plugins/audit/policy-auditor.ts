/** Records requests as the audit policy asks, as events of audit.k8s.io/v1. */

import { isIP } from "node:net";
import { stringifyExactly } from "../../apimachinery/serializer/big-integers.ts";
import type { FailureStatus } from "../../apimachinery/status-error.ts";
import type { Auditor, AuditTrail } from "../../apiserver/audit.ts";
import type { UserInfo } from "../../apiserver/authentication.ts";
import type { Attributes } from "../../apiserver/authorization.ts";
import { isLongRunning } from "../../apiserver/flow-control.ts";
import type { Exchange, ResponseHeaders } from "../../apiserver/http/exchange.ts";
import { type Clock, rfc3339Micro } from "../../base/clock.ts";
import { type AuditDecision, type AuditPolicy, type AuditStage, decide } from "./policy.ts";
import { recordedBody } from "./recorded-body.ts";

/** More of an answer that comes in pieces is not kept. */
const maximumPiecesBytes = 10 * 1024 * 1024;

const maximumUserAgentLength = 1024;

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
  /** The body as an object; false: not yet looked at. */
  #request: unknown = false;
  #isComplete = false;
  #hasStarted = false;
  readonly #isLongRunning: boolean;
  readonly #writes: boolean;
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
    this.#isLongRunning = attributes.verb === "watch" || isLongRunning(attributes);
    this.#writes = attributes.isResource && (attributes.verb === "create" || attributes.verb === "update");
    this.#base = {
      kind: "Event",
      apiVersion: "audit.k8s.io/v1",
      level: decision.level,
      auditID: auditId,
      requestURI: exchange.target,
      verb: attributes.verb,
      user: userText(attributes.user),
      sourceIPs: sourceIps(exchange),
      userAgent: shortened(String(exchange.headers["user-agent"] ?? "")),
      ...(attributes.isResource ? { objectRef: objectRef(attributes) } : {}),
      requestReceivedTimestamp: rfc3339Micro(clock.now()),
    };
    this.#emit("RequestReceived", {});
    this.exchange = this.#noting(exchange);
    exchange.onClose(() => this.#complete(this.#upgradedTo, undefined));
  }

  annotate(key: string, value: string, level?: "Request"): void {
    if (level === "Request" && this.#decision.level === "Metadata") return;
    this.#annotations[key] ??= value;
  }

  actsAs(user: UserInfo, constraint?: string): void {
    this.#base = {
      ...this.#base,
      impersonatedUser: userText(user),
      ...(constraint ? { authenticationMetadata: { impersonationConstraint: constraint } } : {}),
    };
  }

  upgraded(): void {
    this.#upgradedTo = 101;
    this.#started(101);
  }

  #noting(exchange: Exchange): Exchange {
    let begun = 0;
    let begunWith: ResponseHeaders = {};
    let pieces: Uint8Array[] | undefined;
    let length = 0;
    const note = {
      readBody: async (limit: number) => {
        const body = await exchange.readBody(limit);
        this.#requestBody = body;
        return body;
      },
      respond: (status: number, headers: ResponseHeaders, body: Uint8Array | string) => {
        if (this.#isLongRunning) this.#started(status);
        this.#complete(status, body, headers);
        exchange.respond(status, headers, body);
      },
      begin: (status: number, headers: ResponseHeaders) => {
        begun = status;
        begunWith = headers;
        if (this.#isLongRunning) this.#started(status);
        else if (this.#decision.level === "RequestResponse") pieces = [];
        exchange.begin(status, headers);
      },
      write: (chunk: Uint8Array | string) => {
        length += chunk.length;
        if (length > maximumPiecesBytes) pieces = undefined;
        pieces?.push(Buffer.from(chunk));
        return exchange.write(chunk);
      },
      end: () => {
        this.#complete(begun, pieces && Buffer.concat(pieces), begunWith);
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

  /** Of requests that last: their beginning is told, too. */
  #started(status: number): void {
    if (this.#hasStarted) return;
    this.#hasStarted = true;
    this.#emit("ResponseStarted", this.#outcome(status, undefined, {}));
  }

  #complete(status: number, body: Uint8Array | string | undefined, headers: ResponseHeaders = {}): void {
    if (this.#isComplete) return;
    this.#isComplete = true;
    this.#emit("ResponseComplete", this.#outcome(status, body, headers));
  }

  #outcome(status: number, body: Uint8Array | string | undefined, headers: ResponseHeaders): object {
    const { level } = this.#decision;
    const answer =
      status >= 400 || level === "RequestResponse" ? recordedBody(body, headers, this.#decision) : undefined;
    const said = answer as Partial<FailureStatus> | undefined;
    const isStatus = said?.kind === "Status";
    const request = level === "Metadata" && !this.#writes ? undefined : this.#requestObject();
    this.#complement(request);
    return {
      responseStatus: {
        metadata: {},
        ...(isStatus ? { status: said.status, message: said.message, reason: said.reason, details: said.details } : {}),
        code: status,
      },
      ...(request !== undefined && level !== "Metadata" ? { requestObject: request } : {}),
      ...(level === "RequestResponse" && answer !== undefined ? { responseObject: answer } : {}),
    };
  }

  #requestObject(): unknown {
    if (this.#request === false) {
      const { headers } = this.exchange;
      // What comes compressed is read as it stands, and refused.
      this.#request = recordedBody(this.#requestBody, headers, this.#decision);
    }
    return this.#request;
  }

  /** What the address did not say of the object, its body does. */
  #complement(request: unknown): void {
    const { objectRef } = this.#base as { objectRef?: Record<string, string> };
    const { metadata } = (request ?? {}) as { metadata?: Record<string, string> };
    if (!this.#writes || !objectRef || !metadata) return;
    const { resource, namespace, name, uid, apiGroup, apiVersion, resourceVersion, subresource } = {
      ...metadata,
      ...objectRef,
    } as Record<string, string | undefined>;
    const known = { resource, namespace, name, uid, apiGroup, apiVersion, resourceVersion, subresource };
    this.#base = { ...this.#base, objectRef: Object.fromEntries(Object.entries(known).filter(([, value]) => value)) };
  }

  #emit(stage: AuditStage, more: object): void {
    if (this.#decision.omitStages.has(stage)) return;
    const annotations = Object.keys(this.#annotations).length > 0 ? { annotations: this.#annotations } : {};
    this.#write(
      stringifyExactly({
        ...this.#base,
        stage,
        ...more,
        stageTimestamp: rfc3339Micro(this.#clock.now()),
        ...annotations,
      }),
    );
  }
}

function shortened(userAgent: string): string {
  if (userAgent.length <= maximumUserAgentLength) return userAgent;
  return `${userAgent.slice(0, maximumUserAgentLength)}...TRUNCATED`;
}

/** As proxies say, who may say anything; the one that the connection comes from last. */
function sourceIps({ headers, socket }: Exchange): string[] {
  const header = (name: string) => String(headers[name] ?? "");
  const forwarded = header("x-forwarded-for")
    .split(",")
    .map((text) => text.trim())
    .filter((text) => isIP(text));
  const real = header("x-real-ip").trim();
  const found = [...forwarded, ...(isIP(real) && !forwarded.includes(real) ? [real] : [])];
  const remote = socket?.remoteAddress;
  return remote && found.at(-1) !== remote ? [...found, remote] : found;
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
