/** /openapi/v2 and /openapi/v3: documents made when first asked for and kept until what is served changes. */

import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { apiVersionOf, type GroupVersion, parseApiVersion } from "../../apimachinery/group-version.ts";
import { stringifyExactly } from "../../apimachinery/serializer/big-integers.ts";
import type { Clock } from "../../base/clock.ts";
import { servedGroups } from "../discovery/discovery.ts";
import type { ForeignApi, OpenApiV2Part } from "../foreign-api.ts";
import type { Exchange, ResponseHeaders } from "../http/exchange.ts";
import { acceptOf, baseHeaders } from "../http/respond.ts";
import { parseAccept } from "../negotiation/accept.ts";
import { parameter, type RequestInfo } from "../request-info.ts";
import type { ResourceRegistry, ServedResource } from "../resource-registry.ts";
import { gitVersion } from "../version.ts";
import { type DiscoveryPath, discoveryPathItem, discoveryPaths } from "./discovery-paths.ts";
import { PathWriter } from "./paths.ts";
import { SchemaCollector } from "./schemas.ts";

interface Document {
  bytes: Buffer;
  zipped?: Buffer;
  etag: string;
}

const info = { title: "Kubernetes", version: gitVersion };
const security = {
  BearerToken: { description: "Bearer Token authentication", type: "apiKey", name: "authorization", in: "header" },
};
/** What names a document by its hash may be kept for as long as anyone likes, which HTTP counts as a year. */
const forever = "public, immutable";
const yearMs = 365 * 24 * 3600_000;
/** In which form the first clause of Accept that any of them fits wants a document; undefined when none does. */
function formOf(exchange: Exchange, version: "v2" | "v3"): "json" | "protobuf" | undefined {
  const protobuf = `com.github.proto-openapi.spec.${version}`;
  for (const { type, subtype } of parseAccept(acceptOf(exchange) || "*/*")) {
    if (type !== "application" && type !== "*") continue;
    if (subtype === "json" || subtype === "*") return "json";
    if (subtype === `${protobuf}@v1.0+protobuf` || subtype === `${protobuf}.v1.0+protobuf`) return "protobuf";
  }
  return undefined;
}

function refuseForm(exchange: Exchange, auditId: string): void {
  exchange.respond(406, { "audit-id": auditId, vary: "Accept" }, "");
}

export class OpenApiRoutes {
  readonly #registry: ResourceRegistry;
  readonly #clock: Clock;
  #generation = -1;
  readonly #documents = new Map<string, Document>();

  constructor(registry: ResourceRegistry, clock: Clock) {
    this.#registry = registry;
    this.#clock = clock;
  }

  async serve(exchange: Exchange, request: RequestInfo, auditId: string): Promise<void> {
    if (this.#generation !== this.#registry.generation) {
      this.#generation = this.#registry.generation;
      this.#documents.clear();
    }
    const path = request.path.replace(/\/$/, "");
    if (path === "/openapi/v2") return this.#v2(exchange, auditId);
    if (path === "/openapi/v3") {
      return send(
        exchange,
        auditId,
        this.#document("v3", () => this.#index()),
        "application/json",
      );
    }
    const about = discoveryPaths(this.#registry).find(({ document }) => path === `/openapi/v3/${document}`);
    const groupVersion = path.startsWith("/openapi/v3/")
      ? groupVersionOfPath(path.slice("/openapi/v3/".length))
      : undefined;
    const served = groupVersion && this.#registry.inGroupVersion(apiVersionOf(groupVersion));
    const foreign = groupVersion && this.#registry.foreign.get(apiVersionOf(groupVersion));
    if (!served && foreign?.openApi.v3) return foreign.serve(exchange, aggregator, auditId);
    if (!groupVersion || !served) {
      if (about) return this.#about(exchange, request, auditId, about);
      exchange.respond(404, { "audit-id": auditId }, "");
      return;
    }
    const hash = parameter(request.query, "hash");
    const current = hashOf(groupVersion, this.#registry);
    if (hash !== undefined && hash !== current) {
      // An old address of the document: the client is sent to the present one.
      exchange.respond(301, { "audit-id": auditId, location: `${path}?hash=${current}` }, "");
      return;
    }
    const expires = new Date(this.#clock.now() + yearMs).toUTCString();
    const caching: ResponseHeaders = hash === undefined ? {} : { "cache-control": forever, expires };
    const make = () => documentV3([...served], about);
    const form = formOf(exchange, "v3");
    if (!form) return refuseForm(exchange, auditId);
    if (form === "protobuf") {
      const { encodeOpenApiV3 } = await import("./protobuf-v3.ts");
      const document = this.#document(`${path} protobuf`, () => encodeOpenApiV3(make()), current);
      return send(exchange, auditId, document, "application/com.github.proto-openapi.spec.v3.v1.0+protobuf", caching);
    }
    send(exchange, auditId, this.#document(path, make, current), "application/json", caching);
  }

  /** What has no group-version: it changes with the server's release only. */
  async #about(exchange: Exchange, request: RequestInfo, auditId: string, about: DiscoveryPath): Promise<void> {
    const hash = aboutHash(about);
    const asked = parameter(request.query, "hash");
    if (asked !== undefined && asked !== hash) {
      exchange.respond(301, { "audit-id": auditId, location: `/openapi/v3/${about.document}?hash=${hash}` }, "");
      return;
    }
    const expires = new Date(this.#clock.now() + yearMs).toUTCString();
    const caching: ResponseHeaders = asked === undefined ? {} : { "cache-control": forever, expires };
    const make = () => documentV3([], about);
    const form = formOf(exchange, "v3");
    if (!form) return refuseForm(exchange, auditId);
    if (form === "protobuf") {
      const { encodeOpenApiV3 } = await import("./protobuf-v3.ts");
      const document = this.#document(`${about.path} protobuf`, () => encodeOpenApiV3(make()), hash);
      return send(exchange, auditId, document, "application/com.github.proto-openapi.spec.v3.v1.0+protobuf", caching);
    }
    send(exchange, auditId, this.#document(about.path, make, hash), "application/json", caching);
  }

  async #v2(exchange: Exchange, auditId: string): Promise<void> {
    const form = formOf(exchange, "v2");
    if (!form) return refuseForm(exchange, auditId);
    const merged = () => withForeign(documentV2(this.#registry), this.#registry.foreign.values());
    if (form === "protobuf") {
      const { encodeOpenApiV2 } = await import("./protobuf-v2.ts");
      const document = this.#document("v2 protobuf", () => encodeOpenApiV2(merged()));
      return send(exchange, auditId, document, "application/com.github.proto-openapi.spec.v2.v1.0+protobuf");
    }
    send(exchange, auditId, this.#document("v2", merged), "application/json");
  }

  /** `hash`: what the document is known by already. Default: that of its bytes. */
  #document(name: string, make: () => object | Buffer, hash?: string): Document {
    let document = this.#documents.get(name);
    if (!document) {
      const made = make();
      const bytes = Buffer.isBuffer(made) ? made : Buffer.from(stringifyExactly(made));
      const known = hash ?? createHash("sha512").update(bytes).digest("hex").toUpperCase();
      document = { bytes, etag: `"${known}"` };
      this.#documents.set(name, document);
    }
    return document;
  }

  #index(): object {
    const paths: Record<string, object> = {};
    for (const { group, versions } of servedGroups(this.#registry, false)) {
      for (const version of versions) {
        const name = group === "" ? `api/${version}` : `apis/${group}/${version}`;
        const hash = hashOf({ group, version }, this.#registry);
        paths[name] = { serverRelativeURL: `/openapi/v3/${name}?hash=${hash}` };
      }
    }
    for (const about of discoveryPaths(this.#registry)) {
      const { document } = about;
      paths[document] ??= { serverRelativeURL: `/openapi/v3/${document}?hash=${aboutHash(about)}` };
    }
    for (const { group, version, openApi } of this.#registry.foreign.values()) {
      if (openApi.v3) paths[`apis/${group}/${version}`] = { serverRelativeURL: openApi.v3 };
    }
    return { paths };
  }
}

/** Who asks aggregated servers for their documents. */
const aggregator = { name: "system:aggregator", groups: ["system:authenticated"] };

/** With what other servers publish. Where one means something else by a definition's name, its definition gets another. */
function withForeign(document: DocumentV2, foreign: Iterable<ForeignApi>): DocumentV2 {
  for (const { openApi } of foreign) {
    if (!openApi.v2) continue;
    let text = stringifyExactly(openApi.v2);
    for (const [name, definition] of Object.entries(openApi.v2.definitions)) {
      const own = document.definitions[name];
      if (!own || stringifyExactly(own) === stringifyExactly(definition)) continue;
      let free = 2;
      while (document.definitions[`${name}_v${free}`]) free++;
      text = text
        .replaceAll(`"#/definitions/${name}"`, `"#/definitions/${name}_v${free}"`)
        .replace(`${JSON.stringify(name)}:`, `${JSON.stringify(`${name}_v${free}`)}:`);
    }
    const { paths, definitions } = JSON.parse(text) as OpenApiV2Part;
    for (const [path, item] of Object.entries(paths)) document.paths[path] ??= item;
    Object.assign(document.definitions, definitions);
  }
  return document;
}

interface DocumentV2 extends OpenApiV2Part {
  swagger: string;
  [more: string]: unknown;
}

function groupVersionOfPath(path: string): GroupVersion | undefined {
  if (path.startsWith("api/")) return { group: "", version: path.slice(4) };
  return path.startsWith("apis/") ? parseApiVersion(path.slice(5)) : undefined;
}

/** Changes with anything that changes the document, without making it. */
function hashOf(groupVersion: GroupVersion, registry: ResourceRegistry): string {
  const hash = createHash("sha512").update(gitVersion);
  for (const { definition, schema } of registry.inGroupVersion(apiVersionOf(groupVersion)) ?? []) {
    hash.update(JSON.stringify([definition.plural, definition.kind, definition.verbs, definition.subresources]));
    if (schema?.custom) {
      const collector = new SchemaCollector(3);
      collector.ref(schema);
      hash.update(stringifyExactly(collector.schemas));
    }
  }
  return hash.digest("hex").toUpperCase();
}

function aboutHash(about: DiscoveryPath): string {
  return createHash("sha512")
    .update(gitVersion + about.operationId)
    .digest("hex")
    .toUpperCase();
}

function documentV3(resources: readonly ServedResource[], about: DiscoveryPath | undefined): object {
  const schemas = new SchemaCollector(3);
  const writer = new PathWriter(3, schemas);
  const paths = Object.assign(
    about ? { [about.path]: discoveryPathItem(about, 3, schemas) } : {},
    ...resources.map((resource) => writer.pathsOf(resource)),
  ) as object;
  return {
    openapi: "3.0.0",
    info,
    paths,
    components: { schemas: schemas.schemas, securitySchemes: security },
  };
}

function documentV2(registry: ResourceRegistry): DocumentV2 {
  const schemas = new SchemaCollector(2);
  const writer = new PathWriter(2, schemas);
  const paths = Object.assign(
    {},
    ...discoveryPaths(registry).map((about) => ({ [about.path]: discoveryPathItem(about, 2, schemas) })),
    ...[...registry.all()].map((resource) => writer.pathsOf(resource)),
  ) as DocumentV2["paths"];
  return {
    swagger: "2.0",
    info,
    paths,
    definitions: schemas.schemas,
    parameters: {},
    securityDefinitions: security,
    security: [{ BearerToken: [] }],
  };
}

function send(
  exchange: Exchange,
  auditId: string,
  document: Document,
  contentType: string,
  caching: ResponseHeaders = {},
): void {
  const headers = baseHeaders(auditId, contentType, []);
  headers["etag"] = document.etag;
  headers["vary"] = "Accept-Encoding, Accept";
  Object.assign(headers, caching);
  if (exchange.headers["if-none-match"] === document.etag) {
    exchange.respond(304, headers, "");
    return;
  }
  if (!String(exchange.headers["accept-encoding"] ?? "").includes("gzip")) {
    exchange.respond(200, headers, document.bytes);
    return;
  }
  document.zipped ??= gzipSync(document.bytes, { level: 4 });
  headers["content-encoding"] = "gzip";
  exchange.respond(200, headers, document.zipped);
}
