/** The in-process client that also reaches what other servers answer for: their requests go over HTTPS, as who asks. */
import type { KubeObject, New } from "../api/object.ts";
import type { Resource } from "../api/resource.ts";
import { apiVersionOf } from "../apimachinery/group-version.ts";
import { StatusError } from "../apimachinery/status-error.ts";
import type {
  Client,
  DeleteOptions,
  ListOptions,
  ObjectRef,
  PatchBody,
  ReadOptions,
  WatchEvent,
  WatchOptions,
  WriteOptions,
} from "../client/client.ts";
import type { HttpRequest } from "../client/http2-connection.ts";
import { HttpsClient } from "../client/https-client.ts";
import type { UserInfo } from "./authentication.ts";
import { attributesOf, foreignApiOf } from "./http/door.ts";
import { type Pipeline, unknownPath } from "./pipeline.ts";
import { requestInfoOf } from "./request-info.ts";

/** As upstream's time for a request that is no watch. */
const patienceMs = 60_000;

export class RoutedClient implements Client {
  readonly #own: Client;
  readonly #pipeline: Pipeline;
  readonly #user: UserInfo;
  readonly #name: string;
  #foreign: Client | undefined;

  /** `own` takes all that is served here; `name` is the component's, which writes elsewhere are booked under. */
  constructor(own: Client, pipeline: Pipeline, user: UserInfo, name: string) {
    this.#own = own;
    this.#pipeline = pipeline;
    this.#user = user;
    this.#name = name;
  }

  get<T extends KubeObject>(resource: Resource<T>, ref: ObjectRef, options?: ReadOptions) {
    return this.#clientOf(resource).get(resource, ref, options);
  }

  list<T extends KubeObject>(resource: Resource<T>, options?: ListOptions) {
    return this.#clientOf(resource).list(resource, options);
  }

  watch<T extends KubeObject>(
    resource: Resource<T>,
    options: WatchOptions,
    receive: (events: readonly WatchEvent<T>[]) => void,
  ) {
    return this.#clientOf(resource).watch(resource, options, receive);
  }

  create<T extends KubeObject>(resource: Resource<T>, object: New<NoInfer<T>>, options?: WriteOptions) {
    return this.#clientOf(resource).create(resource, object, options);
  }

  update<T extends KubeObject>(resource: Resource<T>, object: never, options?: WriteOptions) {
    return this.#clientOf(resource).update(resource, object, options);
  }

  updateStatus<T extends KubeObject>(resource: Resource<T>, object: never, options?: WriteOptions) {
    return this.#clientOf(resource).updateStatus(resource, object, options);
  }

  patch<T extends KubeObject>(
    resource: Resource<T>,
    ref: ObjectRef,
    patch: PatchBody,
    options?: WriteOptions & { subresource?: string },
  ) {
    return this.#clientOf(resource).patch(resource, ref, patch, options);
  }

  delete<T extends KubeObject>(resource: Resource<T>, ref: ObjectRef, options?: DeleteOptions) {
    return this.#clientOf(resource).delete(resource, ref, options);
  }

  deleteCollection<T extends KubeObject>(resource: Resource<T>, list: ListOptions, options?: DeleteOptions) {
    return this.#clientOf(resource).deleteCollection(resource, list, options);
  }

  createSubresource(resource: Resource, ref: ObjectRef, subresource: string, body: object, options?: WriteOptions) {
    return this.#clientOf(resource).createSubresource(resource, ref, subresource, body, options);
  }

  updateSubresource(resource: Resource, ref: ObjectRef, subresource: string, body: object, options?: WriteOptions) {
    return this.#clientOf(resource).updateSubresource(resource, ref, subresource, body, options);
  }

  #clientOf(resource: Resource): Client {
    const { registry } = this.#pipeline.services;
    if (registry.foreign.size === 0 || registry.inGroupVersion(apiVersionOf(resource))) return this.#own;
    if (!registry.foreign.has(`${resource.group}/${resource.version}`)) return this.#own;
    this.#foreign ??= new HttpsClient({
      connection: { open: (request) => this.#open(request), request: (request) => this.#request(request), close() {} },
      clock: this.#pipeline.services.clock,
      userAgent: this.#name,
    });
    return this.#foreign;
  }

  /** As a request that came over HTTPS: authorized here, answered there. */
  async #open(request: HttpRequest) {
    const { registry } = this.#pipeline.services;
    const info = requestInfoOf(request.method, request.path);
    await this.#pipeline.authorize(attributesOf(info, this.#user));
    const api = foreignApiOf(registry, info.path);
    if (!api) throw unknownPath();
    const response = await api.open(request, this.#user);
    return { status: response.statusCode ?? 502, headers: response.headers, stream: response };
  }

  async #request(request: HttpRequest) {
    const patience = new AbortController();
    const timer = this.#pipeline.services.clock.setTimer(
      patienceMs,
      () => patience.abort(new StatusError(504, "Timeout", `${request.path}: the server did not answer in time`)),
      { background: true },
    );
    const signal = request.signal ? AbortSignal.any([request.signal, patience.signal]) : patience.signal;
    try {
      const { status, headers, stream } = await this.#open({ ...request, signal });
      const chunks: Buffer[] = [];
      for await (const chunk of stream) chunks.push(chunk as Buffer);
      return { status, headers, body: Buffer.concat(chunks) };
    } finally {
      timer[Symbol.dispose]();
    }
  }
}
