/** A Client over HTTPS (HTTP/2), for parts that run in a process of their own and for other machines. */
import type { DeepReadonly, KubeObject, New } from "../api/object.ts";
import type { Resource } from "../api/resource.ts";
import { apiVersionOf, groupVersionPath } from "../apimachinery/group-version.ts";
import { parseExactly, stringifyExactly } from "../apimachinery/serializer/big-integers.ts";
import { StatusError } from "../apimachinery/status-error.ts";
import type { Clock } from "../base/clock.ts";
import type {
  Client,
  DeleteOptions,
  ListOptions,
  ListResult,
  ObjectRef,
  PatchBody,
  ReadOptions,
  WatchEvent,
  WatchHandle,
  WatchOptions,
  WriteOptions,
} from "./client.ts";
import { Http2Connection, type HttpRequest, type HttpResponse, TransportError } from "./http2-connection.ts";
import type { Connection } from "./kubeconfig.ts";

/** What carries a client's requests: a connection of ours, or a way that somebody else knows. */
export interface HttpTransport {
  request(request: HttpRequest): Promise<HttpResponse>;
  /** Resolves with the response's head, whatever its status. */
  open(request: HttpRequest): Promise<{ status: number; stream: AsyncIterable<unknown> }>;
  close(): void;
}

export interface HttpsClientOptions {
  connection: Connection | HttpTransport;
  clock: Clock;
  /** The component's name: what writes are booked under when they name no field manager. */
  userAgent: string;
  onWarning?(message: string): void;
}

const patchTypes: Record<PatchBody["type"], string> = {
  json: "application/json-patch+json",
  merge: "application/merge-patch+json",
  strategic: "application/strategic-merge-patch+json",
  apply: "application/apply-patch+yaml",
};

export class HttpsClient implements Client {
  readonly #http: HttpTransport;
  readonly #fieldManager: string;
  readonly #onWarning: ((message: string) => void) | undefined;

  constructor(options: HttpsClientOptions) {
    const { connection, clock, userAgent } = options;
    this.#http = "open" in connection ? connection : new Http2Connection(connection, clock, userAgent);
    this.#fieldManager = options.userAgent.split("/")[0]!;
    this.#onWarning = options.onWarning;
  }

  get<T extends KubeObject>(
    resource: Resource<T>,
    ref: ObjectRef,
    options: ReadOptions = {},
  ): Promise<DeepReadonly<T>> {
    const query = queryOf({ resourceVersion: options.resourceVersion });
    return this.#json({ method: "GET", path: objectPath(resource, ref) + query, signal: options.signal });
  }

  async list<T extends KubeObject>(resource: Resource<T>, options: ListOptions = {}): Promise<ListResult<T>> {
    const path = collectionPath(resource, options.namespace) + queryOf(listParameters(options));
    const { items, metadata } = await this.#json<{ items: T[] | null; metadata: ListResult<T>["metadata"] }>({
      method: "GET",
      path,
      signal: options.signal,
    });
    // Lists leave out what all their items have in common.
    const apiVersion = apiVersionOf(resource);
    const complete = (items ?? []).map((item): object => ({ ...item, apiVersion, kind: resource.kind }));
    return { items: complete as DeepReadonly<T>[], metadata };
  }

  async watch<T extends KubeObject>(
    resource: Resource<T>,
    options: WatchOptions,
    receive: (events: readonly WatchEvent<T>[]) => void,
  ): Promise<WatchHandle> {
    const path =
      collectionPath(resource, options.namespace) +
      queryOf({
        ...listParameters(options),
        watch: "true",
        allowWatchBookmarks: options.allowBookmarks ? "true" : undefined,
        sendInitialEvents: options.sendInitialEvents === undefined ? undefined : String(options.sendInitialEvents),
        resourceVersionMatch:
          options.resourceVersionMatch ?? (options.sendInitialEvents === undefined ? undefined : "NotOlderThan"),
        timeoutSeconds: options.timeoutSeconds?.toString(),
      });
    const stop = new AbortController();
    const onAbort = () => stop.abort(options.signal?.reason);
    if (options.signal?.aborted) onAbort();
    options.signal?.addEventListener("abort", onAbort, { once: true });
    const forgetSignal = () => options.signal?.removeEventListener("abort", onAbort);
    let stream: AsyncIterable<unknown>;
    try {
      stream = await this.#openWatch(path, stop.signal);
    } catch (error) {
      forgetSignal();
      throw error;
    }
    const closed = this.#receive(stream, receive, stop.signal, path).finally(forgetSignal);
    // Whoever does not look at `closed` must not take the process down with it.
    closed.catch(() => {});
    return { closed, stop: () => stop.abort() };
  }

  async #openWatch(path: string, signal: AbortSignal): Promise<AsyncIterable<unknown>> {
    const { status, stream } = await this.#http.open({ method: "GET", path, signal });
    if (status === 200) return stream;
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    throw statusErrorOf(status, Buffer.concat(chunks));
  }

  async #receive<T extends KubeObject>(
    stream: AsyncIterable<unknown>,
    receive: (events: readonly WatchEvent<T>[]) => void,
    stopped: AbortSignal,
    path: string,
  ): Promise<void> {
    const lines = new LineSplitter();
    try {
      for await (const chunk of stream) {
        const events: WatchEvent<T>[] = [];
        let failure: StatusError | undefined;
        for (const line of lines.split(chunk as Buffer)) {
          const event = parseExactly(line) as WatchEvent<T> | { type: "ERROR"; object: object };
          if (event.type === "ERROR") failure = StatusError.fromStatus(event.object);
          else events.push(event);
        }
        if (stopped.aborted) return;
        if (events.length > 0) receive(events);
        if (failure) throw failure;
      }
    } catch (cause) {
      if (stopped.aborted) return;
      if (cause instanceof StatusError) throw cause;
      throw new TransportError(`the watch of ${path.split("?")[0]} broke off`, false, { cause });
    }
  }

  create<T extends KubeObject>(
    resource: Resource<T>,
    object: New<NoInfer<T>>,
    options: WriteOptions = {},
  ): Promise<DeepReadonly<T>> {
    const path = collectionPath(resource, object.metadata.namespace) + queryOf(writeParameters(options));
    return this.#send("POST", path, typed(resource, object), options.signal);
  }

  update<T extends KubeObject>(
    resource: Resource<T>,
    object: DeepReadonly<NoInfer<T>>,
    options: WriteOptions = {},
  ): Promise<DeepReadonly<T>> {
    return this.#put(resource, object, "", options);
  }

  updateStatus<T extends KubeObject>(
    resource: Resource<T>,
    object: DeepReadonly<NoInfer<T>>,
    options: WriteOptions = {},
  ): Promise<DeepReadonly<T>> {
    return this.#put(resource, object, "/status", options);
  }

  #put<T extends KubeObject>(
    resource: Resource<T>,
    object: DeepReadonly<T>,
    suffix: string,
    options: WriteOptions,
  ): Promise<DeepReadonly<T>> {
    const ref = object.metadata as ObjectRef;
    const path = objectPath(resource, ref) + suffix + queryOf(writeParameters(options));
    return this.#send("PUT", path, typed(resource, object as object), options.signal);
  }

  patch<T extends KubeObject>(
    resource: Resource<T>,
    ref: ObjectRef,
    patch: PatchBody,
    options: WriteOptions & { subresource?: string } = {},
  ): Promise<DeepReadonly<T>> {
    const isApply = patch.type === "apply";
    const parameters = writeParameters(
      isApply ? { ...options, fieldManager: options.fieldManager ?? this.#fieldManager } : options,
    );
    const force = isApply && patch.force ? { force: "true" } : {};
    const suffix = options.subresource ? `/${options.subresource}` : "";
    const path = objectPath(resource, ref) + suffix + queryOf({ ...parameters, ...force });
    return this.#send("PATCH", path, patch.body, options.signal, patchTypes[patch.type]);
  }

  async delete<T extends KubeObject>(
    resource: Resource<T>,
    ref: ObjectRef,
    options: DeleteOptions = {},
  ): Promise<void> {
    await this.#send("DELETE", objectPath(resource, ref), deleteBody(options), options.signal);
  }

  async deleteCollection<T extends KubeObject>(
    resource: Resource<T>,
    list: ListOptions,
    options: DeleteOptions = {},
  ): Promise<void> {
    const path = collectionPath(resource, list.namespace) + queryOf(listParameters(list));
    await this.#send("DELETE", path, deleteBody(options), options.signal);
  }

  createSubresource(
    resource: Resource,
    ref: ObjectRef,
    subresource: string,
    body: object,
    options: WriteOptions = {},
  ): Promise<unknown> {
    const path = `${objectPath(resource, ref)}/${subresource}${queryOf(writeParameters(options))}`;
    return this.#send("POST", path, body, options.signal);
  }

  updateSubresource(
    resource: Resource,
    ref: ObjectRef,
    subresource: string,
    body: object,
    options: WriteOptions = {},
  ): Promise<unknown> {
    const path = `${objectPath(resource, ref)}/${subresource}${queryOf(writeParameters(options))}`;
    return this.#send("PUT", path, body, options.signal);
  }

  /** Ends all requests and watches. */
  close(): void {
    this.#http.close();
  }

  #send<A>(
    method: string,
    path: string,
    body: unknown,
    signal: AbortSignal | undefined,
    type = "application/json",
  ): Promise<A> {
    return this.#json({ method, path, body: stringifyExactly(body), headers: { "content-type": type }, signal });
  }

  async #json<A>(request: HttpRequest): Promise<A> {
    const { status, headers, body } = await this.#http.request(request);
    if (this.#onWarning) for (const warning of warningsOf(headers["warning"])) this.#onWarning(warning);
    if (status >= 400) throw statusErrorOf(status, body);
    return parseExactly(body.toString()) as A;
  }
}

function typed(resource: Resource, object: object): object {
  return { apiVersion: apiVersionOf(resource), kind: resource.kind, ...object };
}

function collectionPath(resource: Resource, namespace: string | undefined): string {
  const scope = resource.scope === "Namespaced" && namespace ? `/namespaces/${encodeURIComponent(namespace)}` : "";
  return `${groupVersionPath(resource)}${scope}/${resource.plural}`;
}

function objectPath(resource: Resource, ref: ObjectRef): string {
  return `${collectionPath(resource, ref.namespace)}/${encodeURIComponent(ref.name)}`;
}

function queryOf(parameters: Readonly<Record<string, string | undefined>>): string {
  let query = "";
  for (const name in parameters) {
    const value = parameters[name];
    if (value !== undefined && value !== "") query += `${query ? "&" : "?"}${name}=${encodeURIComponent(value)}`;
  }
  return query;
}

function listParameters(options: ListOptions): Record<string, string | undefined> {
  return {
    labelSelector: options.labelSelector,
    fieldSelector: options.fieldSelector,
    limit: options.limit?.toString(),
    continue: options.continue,
    resourceVersion: options.resourceVersion,
    resourceVersionMatch: options.resourceVersionMatch,
  };
}

function writeParameters(options: WriteOptions): Record<string, string | undefined> {
  return {
    dryRun: options.dryRun ? "All" : undefined,
    fieldManager: options.fieldManager,
    fieldValidation: options.fieldValidation,
  };
}

function deleteBody({ signal: _signal, dryRun, ...options }: DeleteOptions): object {
  return { apiVersion: "v1", kind: "DeleteOptions", ...options, ...(dryRun ? { dryRun: ["All"] } : {}) };
}

/** A Status when the answer is one; whatever else it says otherwise. */
function statusErrorOf(code: number, body: Buffer): StatusError {
  const text = body.toString();
  try {
    const status = JSON.parse(text) as { kind?: string; code?: number };
    if (status.kind === "Status") return StatusError.fromStatus({ ...status, code: status.code ?? code });
  } catch {
    // Not from the API server itself, perhaps a proxy's.
  }
  return new StatusError(code, "", text.trim() || `the server answered ${code}`);
}

function warningsOf(header: unknown): string[] {
  if (typeof header !== "string") return Array.isArray(header) ? header.flatMap(warningsOf) : [];
  return [...header.matchAll(/\d{3} \S+ "((?:[^"\\]|\\.)*)"/g)].map((match) => match[1]!.replace(/\\(.)/g, "$1"));
}

const newline = 10;
/** No object is as large; what does not end by then is not a watch. */
const maxLineBytes = 64 * 1024 * 1024;

/** Whole lines out of chunks that end anywhere. */
class LineSplitter {
  #rest: Buffer[] = [];
  #restBytes = 0;

  *split(chunk: Buffer): Generator<string> {
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(newline, start);
      if (end < 0) break;
      const piece = chunk.subarray(start, end);
      start = end + 1;
      if (this.#rest.length > 0) {
        this.#rest.push(piece);
        const line = Buffer.concat(this.#rest).toString();
        this.#rest = [];
        this.#restBytes = 0;
        yield line;
      } else if (piece.length > 0) {
        yield piece.toString();
      }
    }
    if (start === chunk.length) return;
    this.#rest.push(chunk.subarray(start));
    this.#restBytes += chunk.length - start;
    if (this.#restBytes > maxLineBytes) throw new Error(`an event is longer than ${maxLineBytes} bytes`);
  }
}
