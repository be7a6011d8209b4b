/** Everything outside the resource tree: discovery, OpenAPI, version, health, metrics, and what the composition root adds. */
import { createHash } from "node:crypto";
import { groups as knownGroups } from "../../api/discovery.ts";
import type { Clock } from "../../base/clock.ts";
import { expositionContentType } from "../../base/exposition.ts";
import type { UserInfo } from "../authentication.ts";
import {
  aggregatedDiscovery,
  apiGroup,
  apiGroupList,
  apiResourceList,
  apiVersions,
  servedGroups,
} from "../discovery/discovery.ts";
import { type HealthCheck, healthMetrics, runChecks } from "../health.ts";
import { contentTypes, type MediaType, negotiateAggregated, noRepresentation } from "../negotiation/accept.ts";
import { methodNotAllowed, unknownPath } from "../pipeline.ts";
import { parameters, type RequestInfo } from "../request-info.ts";
import type { ResourceRegistry } from "../resource-registry.ts";
import { versionInfo } from "../version.ts";
import type { Exchange } from "./exchange.ts";
import { acceptOf, baseHeaders, encodeObject, readingOf, respondOnce, sendObject, wantedBy } from "./respond.ts";

export interface NonResourceOptions {
  registry: ResourceRegistry;
  /** `host:port` that /api tells clients. */
  serverAddress(): string;
  healthChecks: readonly HealthCheck[];
  /** Prometheus text. */
  metrics(): string | Promise<string>;
  /** Exact paths served beside the API's own: `/openid/v1/jwks`. */
  extra: ReadonlyMap<string, NonResourceHandler>;
  clock: Clock;
}

export type NonResourceHandler = (
  exchange: Exchange,
  info: RequestInfo,
  user: UserInfo,
  auditId: string,
) => void | Promise<void>;

/** What the first part of a path may be. */
const roots: ReadonlySet<string> = new Set([
  "api",
  "apis",
  "version",
  "healthz",
  "livez",
  "readyz",
  "metrics",
  "openapi",
]);

const aggregated = "g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/** A document that is rebuilt when the registry changed, with the hash that clients ask it by. */
class RegistryDocument {
  #generation = -1;
  #bytes: Buffer = Buffer.alloc(0);
  #etag = "";
  readonly #build: () => object;
  readonly #registry: ResourceRegistry;

  constructor(registry: ResourceRegistry, build: () => object) {
    this.#registry = registry;
    this.#build = build;
  }

  get(): { bytes: Buffer; etag: string } {
    if (this.#generation !== this.#registry.generation) {
      this.#generation = this.#registry.generation;
      this.#bytes = Buffer.from(`${JSON.stringify(this.#build())}\n`);
      this.#etag = `"${createHash("sha512").update(this.#bytes).digest("hex").toUpperCase()}"`;
    }
    return { bytes: this.#bytes, etag: this.#etag };
  }
}

export class NonResourceRoutes {
  readonly #options: NonResourceOptions;
  readonly #aggregatedCore: RegistryDocument;
  readonly #aggregatedGroups: RegistryDocument;
  #openApi: Promise<import("../openapi/openapi-routes.ts").OpenApiRoutes> | undefined;

  constructor(options: NonResourceOptions) {
    this.#options = options;
    const { registry } = options;
    this.#aggregatedCore = new RegistryDocument(registry, () => aggregatedDiscovery(registry, true));
    this.#aggregatedGroups = new RegistryDocument(registry, () => aggregatedDiscovery(registry, false));
  }

  /** Whether something may be there: the path's beginning is known. */
  serves(path: string): boolean {
    return path === "/" || this.#options.extra.has(path) || roots.has(path.split("/")[1]!);
  }

  async serve(exchange: Exchange, info: RequestInfo, auditId: string, user: UserInfo): Promise<void> {
    const path = info.path.length > 1 && info.path.endsWith("/") ? info.path.slice(0, -1) : info.path;
    const extra = this.#options.extra.get(info.path);
    if (extra) return extra(exchange, info, user, auditId);
    const [, root = "", ...rest] = path.split("/");
    switch (root) {
      case "":
        if (info.path !== "/") break;
        requireGet(exchange);
        return sendIndented(exchange, auditId, { paths: this.#paths() });
      case "api":
      case "apis":
        return this.#discovery(exchange, info, auditId, root, rest);
      case "version":
        if (rest.length > 0) break;
        requireGet(exchange);
        requireMediaType(exchange, contentTypes.json);
        return sendIndented(exchange, auditId, versionInfo);
      case "healthz":
      case "livez":
      case "readyz":
        return this.#health(exchange, info, auditId, root);
      // Health, metrics and OpenAPI do not look at the method, as upstream.
      case "metrics": {
        if (rest.length > 0 && path !== "/metrics/slis") break;
        const text =
          rest.length === 0 ? await this.#options.metrics() : await healthMetrics(this.#options.healthChecks);
        return exchange.respond(200, baseHeaders(auditId, `${expositionContentType}; escaping=underscores`, []), text);
      }
      case "openapi": {
        if (rest.length === 0) break;
        const { registry, clock } = this.#options;
        this.#openApi ??= import("../openapi/openapi-routes.ts").then(
          ({ OpenApiRoutes }) => new OpenApiRoutes(registry, clock),
        );
        return (await this.#openApi).serve(exchange, info, auditId);
      }
    }
    sendText(exchange, auditId, 404, "404 page not found\n");
  }

  #discovery(
    exchange: Exchange,
    info: RequestInfo,
    auditId: string,
    root: "api" | "apis",
    rest: readonly string[],
  ): Promise<void> | void {
    const { registry } = this.#options;
    if (rest.length === 0) {
      requireGet(exchange);
      const form = negotiateAggregated(acceptOf(exchange));
      if (form) return this.#aggregated(exchange, info, auditId, root, form);
      const document = root === "api" ? apiVersions(this.#options.serverAddress()) : apiGroupList(registry);
      return this.#object(exchange, info, auditId, document, root === "apis");
    }
    if (root === "apis" && rest.length === 1) {
      const document = apiGroup(registry, rest[0]!);
      if (!document) return sendText(exchange, auditId, 404, "404 page not found\n");
      requireGet(exchange);
      return this.#object(exchange, info, auditId, document, true);
    }
    const groupVersion = root === "api" ? { group: "", version: rest[0]! } : { group: rest[0]!, version: rest[1]! };
    const document = apiResourceList(registry, groupVersion);
    if (!document) {
      const known = servedGroups(registry).some(({ group }) => group === groupVersion.group);
      if (known) throw unknownPath();
      return sendText(exchange, auditId, 404, "404 page not found\n");
    }
    requireGet(exchange);
    return this.#object(
      exchange,
      info,
      auditId,
      document,
      !knownGroups.some(({ group }) => group === groupVersion.group),
    );
  }

  /** All groups, versions and resources in one document. */
  async #aggregated(
    exchange: Exchange,
    info: RequestInfo,
    auditId: string,
    root: "api" | "apis",
    form: MediaType,
  ): Promise<void> {
    const { bytes, etag } = (root === "api" ? this.#aggregatedCore : this.#aggregatedGroups).get();
    const headers = baseHeaders(auditId, `${contentTypes[form]};${aggregated}`, []);
    headers["etag"] = etag;
    headers["vary"] = "Accept";
    headers["cache-control"] = "public";
    if (exchange.headers["if-none-match"] === etag) return exchange.respond(304, headers, "");
    const wanted = readingOf(exchange, info.query);
    const isKept = form === "json" && !wanted.pretty;
    const body = isKept ? bytes : await encodeObject(JSON.parse(bytes.toString()), form, wanted.pretty);
    return respondOnce({ exchange, wanted }, 200, headers, body);
  }

  #object(exchange: Exchange, info: RequestInfo, auditId: string, document: object, unrouted: boolean): Promise<void> {
    const wanted = wantedBy(exchange, info.query, { withoutTransforms: true, unrouted });
    return sendObject({ exchange, wanted, auditId, warnings: [] }, 200, document);
  }

  async #health(exchange: Exchange, info: RequestInfo, auditId: string, root: string): Promise<void> {
    const { healthChecks } = this.#options;
    const checks = root === "readyz" ? healthChecks : healthChecks.filter(({ isOfReadiness }) => !isOfReadiness);
    const name = info.path.slice(root.length + 2);
    const one = checks.find((check) => check.name === name);
    if (info.path !== `/${root}` && !one) return sendText(exchange, auditId, 404, "404 page not found\n");
    const verbose = info.query["verbose"] !== undefined;
    const answer = await runChecks(
      one ? name : root,
      one ? [one] : checks,
      one ? false : verbose,
      parameters(info.query, "exclude"),
    );
    sendText(exchange, auditId, answer.code, answer.text);
  }

  #paths(): string[] {
    const paths = ["/.well-known/openid-configuration", "/api", "/api/v1", "/apis", "/apis/"];
    for (const { group, versions } of servedGroups(this.#options.registry)) {
      if (group === "") continue;
      paths.push(`/apis/${group}`, ...versions.map((version) => `/apis/${group}/${version}`));
    }
    for (const { name, isOfReadiness } of this.#options.healthChecks) {
      paths.push(`/readyz/${name}`);
      if (!isOfReadiness) paths.push(`/healthz/${name}`, `/livez/${name}`);
    }
    paths.push(
      "/healthz",
      "/livez",
      "/readyz",
      "/metrics",
      "/metrics/slis",
      "/openapi/v2",
      "/openapi/v3",
      "/openid/v1/jwks",
      "/version",
    );
    return paths.sort();
  }
}

export function sendText(exchange: Exchange, auditId: string, status: number, text: string): void {
  const headers = baseHeaders(auditId, "text/plain; charset=utf-8", []);
  headers["x-content-type-options"] = "nosniff";
  exchange.respond(status, headers, text);
}

function requireGet(exchange: Exchange): void {
  if (exchange.method !== "GET" && exchange.method !== "HEAD") throw methodNotAllowed();
}

/** What is no object of the API is JSON for everybody, indented. */
function sendIndented(exchange: Exchange, auditId: string, document: object): void {
  exchange.respond(200, baseHeaders(auditId, contentTypes.json, []), JSON.stringify(document, undefined, 2));
}

/** Throws the 406 of a path that can be had in one form only. */
export function requireMediaType(exchange: Exchange, mediaType: string): void {
  const accept = acceptOf(exchange) || "*/*";
  const isNamed = accept.split(",").some((range) => ["*/*", mediaType].includes(range.split(";")[0]!.trim()));
  if (!isNamed) throw noRepresentation(mediaType);
}
