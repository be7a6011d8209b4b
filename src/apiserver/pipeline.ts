/**
 * The one way into the API: authentication, authorization, then the verb's handler (decode, patch, default, admit, validate, store).
 * Both doors come through here, the HTTPS one with bytes and the in-process one with objects.
 */
import { StatusError } from "../apimachinery/status-error.ts";
import type { Answer, ListAnswer } from "./answer.ts";
import type { Auditor, AuditTrail } from "./audit.ts";
import { type Authenticator, anonymousUser, authenticated, type Credentials, type UserInfo } from "./authentication.ts";
import { type Attributes, type Authorizer, authorizeByAll, type Decision, forbiddenRequest } from "./authorization.ts";
import type { Body } from "./decode-body.ts";
import type { FlowControl } from "./flow-control.ts";
import { create } from "./handlers/create.ts";
import { deleteCollection, deleteOne } from "./handlers/delete.ts";
import { get } from "./handlers/get.ts";
import { list } from "./handlers/list.ts";
import { type PatchRequest, patch } from "./handlers/patch.ts";
import { getScale, patchScale, updateScale } from "./handlers/scale.ts";
import { update } from "./handlers/update.ts";
import { createVirtual, getVirtual, listVirtual } from "./handlers/virtual.ts";
import { type OpenWatch, type WatchReceiver, watch } from "./handlers/watch.ts";
import { ImpersonationModes } from "./http/impersonation-modes.ts";
import { ObjectWriter } from "./object-writer.ts";
import type { DeleteOptions, ListOptions, WriteOptions } from "./request-options.ts";
import type { ServedResource } from "./resource-registry.ts";
import type { RequestContext, Services } from "./services.ts";
import type { SubresourceHandler } from "./subresource-handler.ts";

export interface PipelineOptions {
  services: Services;
  authenticators: readonly Authenticator[];
  authorizers: readonly Authorizer[];
  auditor?: Auditor | undefined;
  /** Who waits when there is more to do than can be done at once. Default: nobody. */
  flowControl?: FlowControl | undefined;
  /** Whether users may be let act as others within bounds, beside the way without any. Default: yes. */
  constrainsImpersonation?: boolean | undefined;
  /** Whether a path may be asked for without any proof. Default: all may, and authorization decides. */
  allowsAnonymous?: ((path: string) => boolean) | undefined;
}

export class Pipeline {
  readonly services: Services;
  readonly objects: ObjectWriter;
  readonly authenticators: readonly Authenticator[];
  #authorizers: readonly Authorizer[];
  /** Looks at what comes through the HTTPS door. */
  readonly auditor: Auditor | undefined;
  readonly flowControl: FlowControl | undefined;
  readonly impersonation: ImpersonationModes;
  readonly #allowsAnonymous: (path: string) => boolean;

  constructor(options: PipelineOptions) {
    this.services = options.services;
    this.objects = new ObjectWriter(options.services);
    this.authenticators = options.authenticators;
    this.#authorizers = options.authorizers;
    this.auditor = options.auditor;
    this.flowControl = options.flowControl;
    this.impersonation = new ImpersonationModes(options.constrainsImpersonation ?? true);
    this.#allowsAnonymous = options.allowsAnonymous ?? (() => true);
  }

  get authorizers(): readonly Authorizer[] {
    return this.#authorizers;
  }

  /** From now on these decide. What is being decided is decided by those before. */
  replaceAuthorizers(authorizers: readonly Authorizer[]): void {
    this.#authorizers = authorizers;
  }

  /** Who the credentials prove; the anonymous user when they prove nobody. Throws a 401 when they are wrong. */
  async authenticate(credentials: Credentials): Promise<UserInfo> {
    for (const authenticator of this.authenticators) {
      const answer = authenticator.authenticate(credentials);
      const user = answer instanceof Promise ? await answer : answer;
      if (user) return authenticated(user);
    }
    // Other schemes than bearer tokens prove nothing here, and take nothing away.
    if (/^bearer +\S/i.test(String(credentials.headers["authorization"] ?? "").trim())) throw unauthorized();
    return anonymousUser;
  }

  /** Whether the next request over this connection may be another user's. */
  speaksForMany(credentials: Credentials): boolean {
    return this.authenticators.some((authenticator) => authenticator.speaksForMany?.(credentials) ?? false);
  }

  /** Throws a 401 for somebody who proved nothing, where that does not do. */
  admitAnonymous(user: UserInfo, path: string): void {
    if (user === anonymousUser && !this.#allowsAnonymous(path)) throw unauthorized();
  }

  /** Throws a 403. Returns a promise only when an authorizer has to wait. What was decided, and why, stands on the audit record. */
  authorize(attributes: Attributes, trail?: AuditTrail): void | Promise<void> {
    const reasons: string[] = [];
    const authorizers = this.#authorizers;
    for (let i = 0; i < authorizers.length; i++) {
      const answer = authorizers[i]!.authorize(attributes);
      if (answer instanceof Promise) {
        return this.#authorizeWaiting(attributes, answer, authorizers.slice(i + 1), reasons, trail);
      }
      if (answer.kind === "allow") return trail && noteDecision(trail, "allow", answer.reason);
      if (answer.kind === "deny") throw forbidden(attributes, answer.reason, trail);
      if (answer.reason) reasons.push(answer.reason);
    }
    throw forbidden(attributes, reasons.join("\n"), trail);
  }

  /** Goes on where an authorizer has to wait: `rest` are those after it. */
  async #authorizeWaiting(
    attributes: Attributes,
    pending: Promise<Decision>,
    rest: readonly Authorizer[],
    reasons: readonly string[],
    trail: AuditTrail | undefined,
  ): Promise<void> {
    let decision = await pending;
    const all = [...reasons];
    if (decision.kind === "no-opinion") {
      if (decision.reason) all.push(decision.reason);
      decision = await authorizeByAll(rest, attributes);
    }
    if (decision.kind === "allow") return trail && noteDecision(trail, "allow", decision.reason);
    if (decision.kind === "no-opinion" && decision.reason) all.push(decision.reason);
    throw forbidden(attributes, decision.kind === "deny" ? decision.reason : all.join("\n"), trail);
  }

  /** Throws a 501 for a subresource that discovery names and nobody serves. */
  subresourceHandler(resource: ServedResource, subresource: string): SubresourceHandler {
    const { subresources } = this.services;
    const handler =
      subresources.get(`${resource.plural}${resource.group ? `.${resource.group}` : ""}/${subresource}`) ??
      subresources.get(`${resource.plural}/${subresource}`);
    if (handler) return handler;
    if (!resource.subresources.has(subresource)) throw unknownPath();
    const what = `${resource.plural}/${subresource}`;
    throw new StatusError(501, "NotImplemented", `the subresource ${what} is not served by this server`);
  }

  get(
    context: RequestContext,
    resource: ServedResource,
    namespace: string,
    name: string,
    subresource: string,
    resourceVersion: string,
  ): Answer | Promise<Answer> {
    if (resource.virtual) return getVirtual(context, resource, resource.virtual, namespace, name);
    if (subresource === "scale") return getScale(this.services, context, resource, namespace, name);
    return get(this.services, context, resource, namespace, name, resourceVersion);
  }

  list(
    context: RequestContext,
    resource: ServedResource,
    namespace: string,
    options: ListOptions,
  ): Promise<ListAnswer> {
    if (resource.virtual) return listVirtual(context, resource, resource.virtual, namespace, options);
    return list(this.services, context, resource, namespace, options);
  }

  watch(
    context: RequestContext,
    resource: ServedResource,
    namespace: string,
    options: ListOptions,
    receiver: WatchReceiver,
  ): Promise<OpenWatch> {
    return watch(this.services, context, resource, namespace, options, receiver);
  }

  create(
    context: RequestContext,
    resource: ServedResource,
    namespace: string,
    body: Body,
    options: WriteOptions,
  ): Promise<Answer> {
    if (resource.virtual) {
      return createVirtual(this.services, context, resource, resource.virtual, namespace, body, options);
    }
    return create(this.objects, context, resource, namespace, body, options);
  }

  update(
    context: RequestContext,
    resource: ServedResource,
    namespace: string,
    name: string,
    subresource: string,
    body: Body,
    options: WriteOptions,
  ): Promise<Answer> {
    if (subresource === "scale") {
      return updateScale(this.objects, context, resource, namespace, name, body, options);
    }
    return update(this.objects, context, resource, namespace, name, subresource, body, options);
  }

  patch(
    context: RequestContext,
    resource: ServedResource,
    namespace: string,
    name: string,
    subresource: string,
    request: PatchRequest,
  ): Promise<Answer> {
    if (subresource === "scale") return patchScale(this.objects, context, resource, namespace, name, request);
    return patch(this.objects, context, resource, namespace, name, subresource, request);
  }

  delete(
    context: RequestContext,
    resource: ServedResource,
    namespace: string,
    name: string,
    options: DeleteOptions,
  ): Promise<Answer> {
    return deleteOne(this.objects, context, resource, namespace, name, options);
  }

  deleteCollection(
    context: RequestContext,
    resource: ServedResource,
    namespace: string,
    listOptions: ListOptions,
    options: DeleteOptions,
  ): Promise<ListAnswer> {
    return deleteCollection(this.objects, context, resource, namespace, listOptions, options);
  }
}

function forbidden(attributes: Attributes, reason: string, trail: AuditTrail | undefined): StatusError {
  if (trail) noteDecision(trail, "forbid", reason);
  return forbiddenRequest(attributes, reason);
}

function noteDecision(trail: AuditTrail, decision: "allow" | "forbid", reason = ""): void {
  trail.annotate("authorization.k8s.io/decision", decision);
  trail.annotate("authorization.k8s.io/reason", reason);
}

export function unauthorized(): StatusError {
  return new StatusError(401, "Unauthorized", "Unauthorized");
}

/** What is not in the resource tree: the 404 every unknown path gets. */
export function unknownPath(): StatusError {
  return new StatusError(404, "NotFound", "the server could not find the requested resource", {});
}

/** The path exists, but not for this method. */
export function methodNotAllowed(): StatusError {
  return new StatusError(
    405,
    "MethodNotAllowed",
    "the server does not allow this method on the requested resource",
    {},
  );
}
