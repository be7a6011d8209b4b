/** The HTTPS door: from a method, a URL and bytes to the pipeline, and back. */

import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { groups as knownGroups } from "../../api/discovery.ts";
import type { KubeObject } from "../../api/object.ts";
import { badRequestError, notFoundError, StatusError } from "../../apimachinery/status-error.ts";
import type { MetricFamily } from "../../base/exposition.ts";
import type { Answer } from "../answer.ts";
import type { AuditTrail } from "../audit.ts";
import type { Credentials, UserInfo } from "../authentication.ts";
import type { Attributes } from "../authorization.ts";
import { type Body, bodyFormatOf, decodeBody } from "../decode-body.ts";
import { isLongRunning, type Room, TooManyRequestsError } from "../flow-control.ts";
import type { ForeignApi } from "../foreign-api.ts";
import { readDeleteOptions } from "../handlers/delete.ts";
import { patchTypeOf } from "../handlers/patch.ts";
import { contentTypes, type Offer } from "../negotiation/accept.ts";
import { methodNotAllowed, type Pipeline, unknownPath } from "../pipeline.ts";
import { type Query, type RequestInfo, requestInfoOf } from "../request-info.ts";
import { RequestMetrics } from "../request-metrics.ts";
import {
  checkTimeout,
  listOptionsOf,
  parameterSelectsOneName,
  patchOptionsOf,
  selectedName,
  writeOptionsOf,
} from "../request-options.ts";
import type { ResourceRegistry, ServedResource } from "../resource-registry.ts";
import { managerOfUserAgent, type RequestContext } from "../services.ts";
import type { HttpExchange, SubresourceHandler, SubresourceRequest } from "../subresource-handler.ts";
import { type Exchange, SocketExchange } from "./exchange.ts";
import { impersonated } from "./impersonation.ts";
import { requireMethod } from "./method-gate.ts";
import { type NonResourceRoutes, sendText } from "./non-resource-routes.ts";
import { baseHeaders, sendAnswer, sendError, wantedBy } from "./respond.ts";
import { WatchRounds } from "./watch-rounds.ts";
import { streamFormatOf, streamWatch } from "./watch-stream.ts";
import { takeWebSocketToken } from "./web-socket-token.ts";

export const maximumBodyBytes = 3 * 1024 * 1024;

/** Who asks with a proof that is none. */
const nobody: UserInfo = { name: "", groups: [] };

/** Who a connection's certificate proves: asked once a connection. */
const certificateUsers = new WeakMap<TLSSocket, UserInfo | null>();

export class HttpDoor {
  readonly #pipeline: Pipeline;
  readonly #nonResource: NonResourceRoutes;
  readonly #rounds = new WatchRounds();
  readonly #metrics = new RequestMetrics();

  constructor(pipeline: Pipeline, nonResource: NonResourceRoutes) {
    this.#pipeline = pipeline;
    this.#nonResource = nonResource;
  }

  /** What has been answered, for Prometheus. */
  metrics(): MetricFamily[] {
    return this.#metrics.families();
  }

  readonly exchange = (exchange: Exchange): void => {
    void this.#serve(exchange);
  };

  readonly upgrade = (incoming: IncomingMessage, socket: Duplex, head: Buffer, tls: TLSSocket | undefined): void => {
    socket.on("error", () => socket.destroy());
    void this.#serveUpgrade(incoming, socket, head, tls);
  };

  async #serve(given: Exchange): Promise<void> {
    let exchange = given;
    const { services, auditor } = this.#pipeline;
    const auditId = services.random.uuid();
    const warnings: string[] = [];
    let room: Room | undefined;
    let asked: RequestInfo | undefined;
    let trail: AuditTrail | undefined;
    let answered: ((status: number) => void) | undefined;
    try {
      const info = requestInfoOf(exchange.method, exchange.target);
      asked = info;
      if (info.query["timeout"] !== undefined && info.verb !== "watch" && !isLongRunning(info))
        checkTimeout(info.query);
      const known = exchange.socket && certificateUsers.get(exchange.socket);
      let user = known && exchange.headers["authorization"] === undefined ? known : await this.#userOf(exchange);
      this.#pipeline.admitAnonymous(user, info.path);
      trail = auditor?.begin(exchange, auditId, attributesOf(info, user));
      if (trail) exchange = trail.exchange;
      if (hasImpersonation(exchange.headers)) user = await this.#actingAs(info, user, exchange.headers, trail);
      const attributes = attributesOf(info, user);
      const wanted = this.#roomFor(given, info, attributes);
      room = wanted instanceof Promise ? await wanted : wanted;
      const pending = this.#pipeline.authorize(attributes, trail);
      if (pending) await pending;
      const foreign = services.registry.foreign.size > 0 ? foreignApiOf(services.registry, info.path) : undefined;
      if (foreign) {
        await foreign.serve(exchange, user, auditId);
        return;
      }
      // What is not served is not counted: anybody could think of names without end.
      const isServed = info.isResource
        ? services.registry.find(info.group, info.version, info.resource)
        : this.#nonResource.serves(info.path);
      if (isServed) answered = this.#metrics.begun(info, services.clock);
      if (!info.isResource) {
        await this.#nonResource.serve(exchange, info, auditId, user);
        return;
      }
      await this.#serveResource(exchange, info, user, auditId, warnings, trail);
    } catch (error) {
      if (!trail && asked) exchange = this.#refusedTrail(given, auditId, asked)?.exchange ?? exchange;
      if (error instanceof TooManyRequestsError) sendTooMany(exchange, auditId, error);
      else await sendError(exchange, error, auditId, warnings, services.log);
    } finally {
      room?.release();
      answered?.(given.status);
    }
  }

  /** Whoever proves nothing, or wrongly, is on record too. */
  #refusedTrail(exchange: Exchange, auditId: string, info: RequestInfo): AuditTrail | undefined {
    return this.#pipeline.auditor?.begin(exchange, auditId, attributesOf(info, nobody));
  }

  #roomFor(
    exchange: Exchange,
    { query }: RequestInfo,
    attributes: Attributes,
  ): Room | undefined | Promise<Room | undefined> {
    const { flowControl } = this.#pipeline;
    if (!flowControl || isLongRunning(attributes)) return undefined;
    const isWatch = attributes.verb === "watch";
    const room = flowControl.admit(attributes, {
      readsCollection: attributes.verb === "list" || (isWatch && beginsWithList(query)),
      limit: Number(query["limit"]) || 0,
      onGone: (callback) => exchange.onClose(callback),
      tellFlow(headers) {
        exchange.commonHeaders = headers;
      },
    });
    if (!isWatch) return room;
    // A watch has its place until it has begun, not for as long as it lasts.
    const begin = (held: Room | undefined) => {
      exchange.onClose(flowControl.beginWatch(attributes));
      held?.release();
      return undefined;
    };
    return room instanceof Promise ? room.then(begin) : begin(room);
  }

  async #userOf(exchange: Exchange): Promise<UserInfo> {
    const { socket, headers } = exchange;
    takeWebSocketToken(headers);
    const credentials: Credentials = {
      headers,
      certificate: socket?.authorized ? socket.getPeerX509Certificate() : undefined,
      remoteAddress: socket?.remoteAddress ?? "",
    };
    const user = await this.#pipeline.authenticate(credentials);
    const isOneUsers = headers["authorization"] === undefined && !this.#pipeline.speaksForMany(credentials);
    if (socket && isOneUsers) certificateUsers.set(socket, user);
    return user;
  }

  async #serveResource(
    exchange: Exchange,
    info: RequestInfo,
    user: UserInfo,
    auditId: string,
    warnings: string[],
    trail: AuditTrail | undefined,
  ): Promise<void> {
    const pipeline = this.#pipeline;
    const { registry } = pipeline.services;
    const resource = registry.find(info.group, info.version, info.resource);
    if (!resource ? isForeign(info.group) : isNowhere(resource, info)) {
      sendText(exchange, auditId, 404, "404 page not found\n");
      return;
    }
    if (!resource || !hasScope(resource, info) || info.verb === "proxy") throw unknownPath();
    const subresource = info.subresource ? resource.subresources.get(info.subresource) : undefined;
    if (info.subresource && !subresource) {
      // Custom resources may come to have their subresources: the object lacks it, the path does exist.
      if (resource.definition.type?.custom) throw notFoundError(resource.groupResource, info.name);
      throw unknownPath();
    }
    const verb = info.verb;
    requireMethod({ method: exchange.method, contentType: contentTypeOf(exchange), info }, resource, subresource);
    if (resource.definition.deprecationWarning) warnings.push(resource.definition.deprecationWarning);
    const userAgent = exchange.headers["user-agent"];
    const context: RequestContext = {
      user,
      defaultManager: managerOfUserAgent(typeof userAgent === "string" ? userAgent : ""),
      warnings,
      signal: undefined,
      ...(trail ? { annotate: trail.annotate.bind(trail) } : {}),
    };
    const handler =
      info.subresource && !resource.isObjectPart(info.subresource)
        ? this.#pipeline.subresourceHandler(resource, info.subresource)
        : undefined;
    if (handler) return this.#serveSubresource(exchange, info, resource, handler, context, auditId);
    const wanted = wantedBy(exchange, info.query, offerOf(resource));
    if (verb === "watch") {
      const abort = new AbortController();
      exchange.onClose(() => abort.abort());
      context.signal = abort.signal;
      const options = listOptionsOf(withName(info), "watch");
      const format = await streamFormatOf(resource, wanted, pipeline.services.clock);
      return streamWatch(exchange, auditId, warnings, format, this.#rounds, (receiver) =>
        pipeline.watch(context, resource, info.namespace, options, receiver),
      );
    }
    const answer = await this.#answer(exchange, info, resource, context);
    await sendAnswer({ exchange, wanted, auditId, warnings, clock: pipeline.services.clock }, answer);
  }

  #answer(
    exchange: Exchange,
    info: RequestInfo,
    resource: ServedResource,
    context: RequestContext,
  ): Answer | Promise<Answer> {
    const pipeline = this.#pipeline;
    const { query, namespace, name, subresource } = info;
    switch (info.verb) {
      case "get": {
        const version = query["resourceVersion"];
        return pipeline.get(
          context,
          resource,
          namespace,
          name,
          subresource,
          typeof version === "string" ? version : "",
        );
      }
      case "list":
        return pipeline.list(context, resource, namespace, listOptionsOf(query, "list"));
      case "create":
        return this.#create(exchange, info, resource, context);
      case "update":
        return this.#update(exchange, info, resource, context);
      case "patch":
        return this.#patch(exchange, info, resource, context);
      case "delete":
        return this.#delete(exchange, info, resource, context);
      case "deletecollection":
        return this.#deleteCollection(exchange, info, resource, context);
      default:
        throw methodNotAllowed();
    }
  }

  async #create(
    exchange: Exchange,
    info: RequestInfo,
    resource: ServedResource,
    context: RequestContext,
  ): Promise<Answer> {
    const mediaType = contentTypeOf(exchange);
    bodyFormatOf(mediaType);
    const bytes = await exchange.readBody(maximumBodyBytes);
    const options = writeOptionsOf(info.query, "CreateOptions");
    return this.#pipeline.create(context, resource, info.namespace, { kind: "bytes", bytes, mediaType }, options);
  }

  async #update(
    exchange: Exchange,
    info: RequestInfo,
    resource: ServedResource,
    context: RequestContext,
  ): Promise<Answer> {
    const mediaType = contentTypeOf(exchange);
    bodyFormatOf(mediaType);
    const bytes = await exchange.readBody(maximumBodyBytes);
    const options = writeOptionsOf(info.query, "UpdateOptions");
    const body: Body = { kind: "bytes", bytes, mediaType };
    return this.#pipeline.update(context, resource, info.namespace, info.name, info.subresource, body, options);
  }

  async #patch(
    exchange: Exchange,
    info: RequestInfo,
    resource: ServedResource,
    context: RequestContext,
  ): Promise<Answer> {
    const mediaType = contentTypeOf(exchange);
    const type = patchTypeOf(mediaType, resource.definition.type?.custom ?? false);
    const bytes = await exchange.readBody(maximumBodyBytes);
    const options = patchOptionsOf(info.query, type === "apply");
    const body: Body = { kind: "bytes", bytes, mediaType };
    return this.#pipeline.patch(context, resource, info.namespace, info.name, info.subresource, {
      type,
      body,
      options,
    });
  }

  async #delete(
    exchange: Exchange,
    info: RequestInfo,
    resource: ServedResource,
    context: RequestContext,
  ): Promise<Answer> {
    const bytes = await exchange.readBody(maximumBodyBytes);
    const body: Body = { kind: "bytes", bytes, mediaType: contentTypeOf(exchange) };
    const options = await readDeleteOptions(info.query, body);
    return this.#pipeline.delete(context, resource, info.namespace, info.name, options);
  }

  async #deleteCollection(
    exchange: Exchange,
    info: RequestInfo,
    resource: ServedResource,
    context: RequestContext,
  ): Promise<Answer> {
    const bytes = await exchange.readBody(maximumBodyBytes);
    const body: Body = { kind: "bytes", bytes, mediaType: contentTypeOf(exchange) };
    const listOptions = listOptionsOf(info.query, "deletecollection");
    const options = await readDeleteOptions(info.query, body);
    return this.#pipeline.deleteCollection(context, resource, info.namespace, listOptions, options);
  }

  async #serveSubresource(
    exchange: Exchange,
    info: RequestInfo,
    resource: ServedResource,
    handler: SubresourceHandler,
    context: RequestContext,
    auditId: string,
  ): Promise<void> {
    const request = this.#subresourceRequest(info, resource, context, exchange.method);
    if (handler.kind === "stream") {
      const abort = new AbortController();
      exchange.onClose(() => abort.abort());
      context.signal = abort.signal;
      await admitConnection(request);
      await handler.respond(request, httpExchangeOf(exchange, abort.signal, auditId, context.warnings));
      return;
    }
    const wanted = wantedBy(exchange, info.query, offerOf(resource, exchange.method === "POST"));
    let body: Awaited<ReturnType<typeof decodeBody>> | undefined;
    if (exchange.method === "POST" || exchange.method === "PUT") {
      const mediaType = contentTypeOf(exchange);
      bodyFormatOf(mediaType);
      const bytes = await exchange.readBody(maximumBodyBytes);
      const kind = resource.subresources.get(info.subresource)?.kind ?? resource.definition;
      const options = writeOptionsOf(info.query, exchange.method === "POST" ? "CreateOptions" : "UpdateOptions");
      const expected = { ...kind, olderVersions: handler.olderVersions };
      body = await decodeBody(context, { kind: "bytes", bytes, mediaType }, expected, options.fieldValidation);
    }
    if (body) await request.objects.admitSubresource(request, exchange.method === "POST" ? "CREATE" : "UPDATE", body);
    const answer = await handler.handle(request, body);
    const { warnings } = context;
    await sendAnswer({ exchange, wanted, auditId, warnings, clock: this.#pipeline.services.clock }, answer);
  }

  #subresourceRequest(
    info: RequestInfo,
    resource: ServedResource,
    context: RequestContext,
    method: string,
  ): SubresourceRequest {
    return {
      context,
      resource,
      subresource: info.subresource,
      verb: info.verb,
      method,
      namespace: info.namespace,
      name: info.name,
      query: info.query,
      rest: info.rest,
      objects: this.#pipeline.objects,
    };
  }

  /** Whom the headers name, if the user may act as them; the audit trail is told. */
  async #actingAs(
    info: RequestInfo,
    user: UserInfo,
    headers: Exchange["headers"],
    trail: AuditTrail | undefined,
  ): Promise<UserInfo> {
    const { user: actor, constraint } = await impersonated(this.#pipeline, attributesOf(info, user), headers);
    trail?.actsAs(actor, constraint);
    return actor;
  }

  async #serveUpgrade(
    incoming: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    tls: TLSSocket | undefined,
  ): Promise<void> {
    const { services } = this.#pipeline;
    const auditId = services.random.uuid();
    const bare = new SocketExchange(incoming, socket, tls);
    let exchange: Exchange = bare;
    let asked: RequestInfo | undefined;
    let trail: AuditTrail | undefined;
    try {
      const info = requestInfoOf(exchange.method, exchange.target);
      asked = info;
      let user = await this.#userOf(exchange);
      this.#pipeline.admitAnonymous(user, info.path);
      trail = this.#pipeline.auditor?.begin(exchange, auditId, attributesOf(info, user));
      if (trail) exchange = trail.exchange;
      if (hasImpersonation(exchange.headers)) user = await this.#actingAs(info, user, exchange.headers, trail);
      await this.#pipeline.authorize(attributesOf(info, user), trail);
      const foreign = foreignApiOf(services.registry, info.path);
      if (foreign) {
        trail?.upgraded();
        await foreign.upgrade(incoming, socket, head, user);
        return;
      }
      if (!info.isResource) throw unknownPath();
      const resource = services.registry.find(info.group, info.version, info.resource);
      if (!resource || !hasScope(resource, info)) throw unknownPath();
      const abort = new AbortController();
      socket.once("close", () => abort.abort());
      const userAgent = exchange.headers["user-agent"];
      const record = trail;
      const context: RequestContext = {
        user,
        defaultManager: managerOfUserAgent(typeof userAgent === "string" ? userAgent : ""),
        warnings: [],
        signal: abort.signal,
        ...(record ? { annotate: record.annotate.bind(record) } : {}),
      };
      if (info.verb === "watch") {
        const { serveWebSocketWatch } = await import("./web-socket-watch.ts");
        const options = listOptionsOf(withName(info), "watch");
        const wanted = wantedBy(exchange, info.query, offerOf(resource));
        const format = await streamFormatOf(resource, wanted, services.clock);
        trail?.upgraded();
        await serveWebSocketWatch(incoming, socket, head, format, (receiver) =>
          this.#pipeline.watch(context, resource, info.namespace, options, receiver),
        );
        return;
      }
      const subresource = resource.subresources.get(info.subresource);
      if (!subresource) throw info.subresource ? unknownPath() : methodNotAllowed();
      if (!subresource.verbs.includes(info.verb)) throw methodNotAllowed();
      const handler = this.#pipeline.subresourceHandler(resource, info.subresource);
      if (handler.kind !== "stream" || !handler.upgrade) {
        throw new StatusError(400, "BadRequest", "this resource cannot be upgraded to a stream");
      }
      const request = this.#subresourceRequest(info, resource, context, exchange.method);
      await admitConnection(request);
      trail?.upgraded();
      await handler.upgrade(request, incoming, socket, head);
    } catch (error) {
      if (!trail && asked) exchange = this.#refusedTrail(bare, auditId, asked)?.exchange ?? exchange;
      await sendError(exchange, error, auditId, [], services.log);
      bare.finish();
    }
  }
}

/** Who else answers for this path, when nobody does here. */
export function foreignApiOf(registry: ResourceRegistry, path: string): ForeignApi | undefined {
  const [, root, group = "", version = ""] = path.split("/", 4);
  if (root !== "apis" || registry.inGroupVersion(`${group}/${version}`)) return undefined;
  return registry.foreign.get(`${group}/${version}`);
}

/** Proxies, exec and the like connect: admission sees their options. Logs are read. */
async function admitConnection(request: SubresourceRequest): Promise<void> {
  const kind = request.resource.subresources.get(request.subresource)?.kind;
  if (!kind?.kind.endsWith("Options")) return;
  if (request.query["dryRun"] !== undefined) throw badRequestError("dryRun is not supported");
  const options: Record<string, unknown> = { apiVersion: kind.version, kind: kind.kind };
  for (const [key, value] of Object.entries(request.query)) {
    if (value === "true" || value === "false") options[key] = value === "true";
    else options[key] = key === "command" && !Array.isArray(value) ? [value] : value;
  }
  // Options are no object that is stored: they have no metadata.
  await request.objects.admitSubresource(request, "CONNECT", options as unknown as KubeObject);
}

/** Whether the URL names the resource in the scope it has: `/api/v1/configmaps/x` names nothing. */
function hasScope(resource: ServedResource, info: RequestInfo): boolean {
  if (resource.namespaced) return info.namespace !== "" || info.name === "";
  return info.namespace === "" || (info.resource === "namespaces" && info.group === "");
}

const ownGroups = new Set(knownGroups.map(({ group }) => group));

/** Of nobody that comes with the server: what is not served there does not exist at all. */
function isForeign(group: string): boolean {
  return !ownGroups.has(group);
}

/** Namespaced custom resources are only read across all namespaces. */
function isNowhere(resource: ServedResource, info: RequestInfo): boolean {
  if (!resource.definition.type?.custom) return false;
  if (!hasScope(resource, info)) return true;
  return resource.namespaced && info.namespace === "" && info.verb !== "list" && info.verb !== "watch";
}

/** Whether a watch tells first what there is. */
function beginsWithList({ sendInitialEvents, resourceVersion }: RequestInfo["query"]): boolean {
  return sendInitialEvents === "true" || !resourceVersion || resourceVersion === "0";
}

function hasImpersonation(headers: Exchange["headers"]): boolean {
  return (
    headers["impersonate-user"] !== undefined ||
    headers["impersonate-group"] !== undefined ||
    headers["impersonate-uid"] !== undefined ||
    hasExtra(headers)
  );
}

function hasExtra(headers: Exchange["headers"]): boolean {
  for (const header in headers) if (header.startsWith("impersonate-extra-")) return true;
  return false;
}

function sendTooMany(exchange: Exchange, auditId: string, { message, retryAfterSeconds }: TooManyRequestsError): void {
  const headers = baseHeaders(auditId, "text/plain; charset=utf-8", []);
  headers["retry-after"] = String(retryAfterSeconds);
  headers["x-content-type-options"] = "nosniff";
  exchange.respond(429, headers, `${message}\n`);
}

/** What authorizers are asked about a request. */
export function attributesOf(info: RequestInfo, user: UserInfo): Attributes {
  return {
    user,
    verb: info.verb,
    isResource: info.isResource,
    group: info.group,
    version: info.version,
    resource: info.resource,
    subresource: info.subresource,
    namespace: info.namespace,
    name: info.name || parameterSelectsOneName(info),
    path: info.path,
    ...selectorsOf(info),
  };
}

const noSelectors = {};

/** Authorizers may allow a list for what it selects alone. */
function selectorsOf({ verb, query, isResource, hasVerbInPath }: RequestInfo): {
  fieldSelector?: string;
  labelSelector?: string;
} {
  if (!isResource || hasVerbInPath || (verb !== "list" && verb !== "watch" && verb !== "deletecollection"))
    return noSelectors;
  const { fieldSelector, labelSelector } = query;
  return {
    ...(typeof fieldSelector === "string" && fieldSelector ? { fieldSelector } : {}),
    ...(typeof labelSelector === "string" && labelSelector ? { labelSelector } : {}),
  };
}

const everything: Offer = {};
const custom: Offer = { withoutProtobuf: true, unrouted: true };
const noTable: Offer = { withoutTable: true };

/** Custom resources have no protobuf form. What answers one question (a review, an eviction) has no columns. */
function offerOf({ definition, virtual }: ServedResource, isQuestion = false): Offer {
  if (isQuestion || (virtual && !virtual.list)) return noTable;
  return definition.type?.custom ? custom : everything;
}

function contentTypeOf(exchange: Exchange): string | undefined {
  const value = exchange.headers["content-type"];
  return Array.isArray(value) ? value[0] : value;
}

/** A watch of one object by its URL is one of its collection with a field selector. */
function withName(info: RequestInfo): Query {
  if (!info.name) return info.query;
  const given = info.query["fieldSelector"];
  if (given && selectedName(info.query) !== info.name)
    throw badRequestError("fieldSelector metadata.name doesn't match requested name");
  return { ...info.query, fieldSelector: `metadata.name=${info.name}` };
}

function httpExchangeOf(
  exchange: Exchange,
  signal: AbortSignal,
  auditId: string,
  warnings: readonly string[],
): HttpExchange {
  return {
    method: exchange.method,
    headers: exchange.headers,
    body: exchange.body,
    signal,
    begin: (status, headers) => exchange.begin(status, { ...streamHeaders(status, auditId, warnings), ...headers }),
    write: (chunk) =>
      new Promise((resolve) => {
        if (exchange.write(chunk) || exchange.closed) return resolve();
        exchange.onDrain(resolve);
        exchange.onClose(resolve);
      }),
    end: async () => exchange.end(),
  };
}

/** An answer without a body has no type. */
function streamHeaders(status: number, auditId: string, warnings: readonly string[]) {
  const headers = baseHeaders(auditId, contentTypes.json, warnings);
  if (status === 204) delete headers["content-type"];
  return headers;
}
