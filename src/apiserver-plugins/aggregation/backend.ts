/** One aggregated server as requests see it: passes them on, with the user in headers that our front-proxy certificate vouches for. */
import type { IncomingMessage } from "node:http";
import { type Agent, request as httpsRequest } from "node:https";
import { type Duplex, Readable } from "node:stream";
import type { APIService } from "../../api/apiregistration/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { StatusError } from "../../apimachinery/status-error.ts";
import type { UserInfo } from "../../apiserver/authentication.ts";
import type { ForeignApi, ForeignOpenApi, OpenApiV2Part } from "../../apiserver/foreign-api.ts";
import type { Exchange, Headers, ResponseHeaders } from "../../apiserver/http/exchange.ts";
import type { HttpRequest } from "../../client/http2-connection.ts";
import type { ServiceRouter } from "../webhooks/service-route.ts";
import { describeFailure, tlsAgent } from "../webhooks/tls-agent.ts";

export interface FrontProxy {
  certificatePem: string;
  privateKeyPem: string;
}

export class Backend implements ForeignApi {
  readonly apiService: DeepReadonly<APIService>;
  readonly group: string;
  readonly version: string;
  available = false;
  resources: readonly object[] | undefined;
  openApi: ForeignOpenApi = {};
  readonly #router: ServiceRouter;
  readonly #frontProxy: () => FrontProxy | undefined;
  #proof: FrontProxy | undefined;
  readonly #agents = new Map<string, Agent>();

  constructor(apiService: DeepReadonly<APIService>, router: ServiceRouter, frontProxy: () => FrontProxy | undefined) {
    this.apiService = apiService;
    this.group = apiService.spec.group ?? "";
    this.version = apiService.spec.version ?? "";
    this.#router = router;
    this.#frontProxy = frontProxy;
  }

  get path(): string {
    return `/apis/${this.group}/${this.version}`;
  }

  async serve(exchange: Exchange, user: UserInfo, auditId: string): Promise<void> {
    if (!this.available) throw unavailable("service unavailable");
    const abort = new AbortController();
    exchange.onClose(() => abort.abort());
    let response: IncomingMessage;
    try {
      response = await this.#request(
        exchange.method,
        exchange.target,
        passedOn(exchange.headers, user),
        exchange.body,
        abort.signal,
      );
    } catch (error) {
      if (abort.signal.aborted) return;
      throw unavailable(`error trying to reach service: ${(error as Error).message}`);
    }
    const headers: ResponseHeaders = { "audit-id": auditId };
    for (const [name, value] of Object.entries(response.headers)) {
      if (value !== undefined && !hopByHop.has(name)) headers[name] = value;
    }
    exchange.begin(response.statusCode ?? 502, headers);
    try {
      for await (const chunk of response as AsyncIterable<Buffer>) {
        if (!exchange.write(chunk)) {
          await new Promise<void>((resolve) => {
            exchange.onDrain(resolve);
            exchange.onClose(resolve);
          });
        }
        if (exchange.closed) return;
      }
      exchange.end();
    } catch {
      exchange.abort();
    }
  }

  async upgrade(incoming: IncomingMessage, socket: Duplex, head: Buffer, user: UserInfo): Promise<void> {
    if (!this.available) throw unavailable("service unavailable");
    const { method = "GET", url = "/", headers } = incoming;
    const { agent, url: target } = await this.#way(url);
    const upgrade = { connection: "Upgrade", ...(headers.upgrade ? { upgrade: headers.upgrade } : {}) };
    const outgoing = httpsRequest(target, { method, agent, headers: { ...passedOn(headers, user), ...upgrade } });
    socket.once("close", () => outgoing.destroy());
    await new Promise<void>((resolve, reject) => {
      outgoing.once("error", (error) =>
        reject(unavailable(`error trying to reach service: ${describeFailure(error, target)}`)),
      );
      outgoing.once("upgrade", (response, far, farHead) => {
        socket.write(headOf(response), "latin1");
        if (farHead.length > 0) socket.write(farHead);
        if (head.length > 0) far.write(head);
        far.on("error", () => socket.destroy()).pipe(socket);
        socket.on("error", () => far.destroy()).pipe(far);
        socket.once("close", () => far.destroy());
        far.once("close", () => socket.destroy());
        resolve();
      });
      // The server would not: its answer is the client's.
      outgoing.once("response", (response) => {
        socket.write(headOf(response, "connection: close"), "latin1");
        response.pipe(socket);
        response.once("close", resolve);
      });
      outgoing.end();
    });
  }

  async open({ method, path, headers, body, signal }: HttpRequest, user: UserInfo): Promise<IncomingMessage> {
    if (!this.available) throw unavailable("service unavailable");
    const passed = passedOn({ accept: "application/json", ...headers }, user);
    const chunks = body === undefined ? undefined : Readable.from([Buffer.from(body)]);
    try {
      return await this.#request(method, path, passed, chunks, signal);
    } catch (error) {
      signal?.throwIfAborted();
      throw unavailable(`error trying to reach service: ${(error as Error).message}`);
    }
  }

  async read(target: string, user: UserInfo, signal: AbortSignal): Promise<unknown> {
    let answer: unknown;
    let status = 0;
    const response = await this.open({ method: "GET", path: target, signal }, user);
    try {
      const chunks: Buffer[] = [];
      for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
      status = response.statusCode ?? 502;
      answer = JSON.parse(Buffer.concat(chunks).toString());
    } catch (error) {
      throw unavailable(`error trying to reach service: ${(error as Error).message}`);
    }
    if (status === 200) return answer;
    throw StatusError.fromStatus({ message: `the server answered ${status}`, ...(answer as object), code: status });
  }

  /** Reads what the server publishes of this group-version in OpenAPI; nothing when it publishes none. */
  async readOpenApi(signal: AbortSignal): Promise<void> {
    const read = async (path: string) => {
      try {
        return await this.read(path, aggregator, signal);
      } catch {
        return undefined;
      }
    };
    const name = `apis/${this.group}/${this.version}`;
    const [index, whole] = await Promise.all([read("/openapi/v3"), read("/openapi/v2")]);
    const paths = (index as { paths?: Record<string, { serverRelativeURL?: string }> } | undefined)?.paths;
    const v3 = paths?.[name]?.serverRelativeURL;
    this.openApi = {
      v3: typeof v3 === "string" && v3.startsWith(`/openapi/v3/${name}`) ? v3 : undefined,
      v2: whole ? partBelow(`/${name}`, whole as Partial<OpenApiV2Part>) : undefined,
    };
  }

  /** What the server says of itself. Throws an Error that says where it failed. */
  async discover(signal: AbortSignal): Promise<{ resources?: LegacyResource[] }> {
    const user = aggregator;
    const { spec } = this.apiService;
    const url = `https://${spec.service!.name}.${spec.service!.namespace}.svc:${spec.service!.port ?? 443}${this.path}`;
    try {
      const headers = passedOn({ accept: "application/json" }, user);
      const response = await this.#request("GET", this.path, headers, undefined, signal);
      const chunks: Buffer[] = [];
      for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
      if (response.statusCode !== 200) throw new Error(`bad status from ${url}: ${response.statusCode}`);
      return JSON.parse(Buffer.concat(chunks).toString()) as { resources?: LegacyResource[] };
    } catch (error) {
      throw new Error(`failing or missing response from ${url}: ${(error as Error).message}`, { cause: error });
    }
  }

  close(): void {
    for (const agent of this.#agents.values()) agent.destroy();
    this.#agents.clear();
  }

  async #request(
    method: string,
    path: string,
    headers: Record<string, string | string[]>,
    body: AsyncIterable<Uint8Array> | undefined,
    signal: AbortSignal | undefined,
  ): Promise<IncomingMessage> {
    const { agent, url } = await this.#way(path);
    const hasBody = body !== undefined && method !== "GET" && method !== "HEAD";
    // Said outright: Node takes a DELETE for one without a body, and would send one nevertheless.
    const framing = hasBody ? { "transfer-encoding": "chunked" } : {};
    const outgoing = httpsRequest(url, {
      method,
      agent,
      headers: { ...headers, ...framing },
      ...(signal ? { signal } : {}),
    });
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      outgoing.once("response", resolve);
      outgoing.once("error", (error) => reject(new Error(describeFailure(error, url), { cause: error })));
    });
    // A failure while the body is sent is seen here too.
    answered.catch(() => {});
    if (hasBody) {
      for await (const chunk of body) {
        if (!outgoing.write(chunk))
          await Promise.race([new Promise((resolve) => outgoing.once("drain", resolve)), answered]);
      }
    }
    outgoing.end();
    return answered;
  }

  /** Connections to the server, with our proof of now, and how it names a path. Throws an Error when there is no way. */
  async #way(path: string): Promise<{ agent: Agent; url: URL }> {
    const { service, caBundle, insecureSkipTLSVerify } = this.apiService.spec;
    const { namespace = "", name = "", port = 443 } = service!;
    const route = await this.#router.route(namespace, name, port);
    const serverName = `${name}.${namespace}.svc`;
    const proof = this.#frontProxy();
    if (proof !== this.#proof) this.close();
    this.#proof = proof;
    const key = `${route.host}:${route.port}`;
    let agent = this.#agents.get(key);
    if (!agent) {
      agent = tlsAgent({
        route,
        dial: this.#router.dial,
        serverName,
        ca: caBundle ? Buffer.from(caBundle, "base64").toString() : undefined,
        insecure: insecureSkipTLSVerify === true,
        certificate: proof?.certificatePem,
        key: proof?.privateKeyPem,
      });
      this.#agents.set(key, agent);
    }
    return { agent, url: new URL(`https://${serverName}:${port}${path}`) };
  }
}

const aggregator: UserInfo = { name: "system:kube-aggregator", groups: ["system:masters"] };

/** The status line and headers of a response, as they came. */
function headOf({ statusCode, statusMessage, rawHeaders }: IncomingMessage, ...more: string[]): string {
  const lines = [`HTTP/1.1 ${statusCode} ${statusMessage}`, ...more];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const isOurs = more.length > 0 && /^(connection|transfer-encoding)$/i.test(rawHeaders[i]!);
    if (!isOurs) lines.push(`${rawHeaders[i]}: ${rawHeaders[i + 1]}`);
  }
  return `${lines.join("\r\n")}\r\n\r\n`;
}

/** The paths below `prefix`, and the definitions that they need. */
function partBelow(prefix: string, { paths = {}, definitions = {} }: Partial<OpenApiV2Part>): OpenApiV2Part {
  const part: OpenApiV2Part = { paths: {}, definitions: {} };
  for (const [path, item] of Object.entries(paths)) {
    if (path.startsWith(`${prefix}/`)) part.paths[path] = item;
  }
  const open: unknown[] = [part.paths];
  while (open.length > 0) {
    for (const [, name = ""] of JSON.stringify(open.pop()).matchAll(/"\$ref":"#\/definitions\/([^"]+)"/g)) {
      const definition = definitions[name];
      if (!definition || part.definitions[name]) continue;
      part.definitions[name] = definition;
      open.push(definition);
    }
  }
  return part;
}

export interface LegacyResource {
  name: string;
  singularName?: string;
  namespaced?: boolean;
  group?: string;
  version?: string;
  kind: string;
  verbs?: string[];
  shortNames?: string[];
  categories?: string[];
}

/** A legacy discovery document in the form of the aggregated one. */
export function discoveredResources(resources: readonly LegacyResource[]): object[] {
  const kindOf = ({ group = "", version = "", kind }: LegacyResource) => ({ group, version, kind });
  return resources
    .filter(({ name }) => !name.includes("/"))
    .map((resource) => {
      const subresources = resources
        .filter(({ name }) => name.startsWith(`${resource.name}/`))
        .map((part) => ({
          subresource: part.name.slice(resource.name.length + 1),
          responseKind: kindOf(part),
          verbs: part.verbs ?? [],
        }));
      return {
        resource: resource.name,
        responseKind: kindOf(resource),
        scope: resource.namespaced ? "Namespaced" : "Cluster",
        singularResource: resource.singularName ?? "",
        verbs: resource.verbs ?? [],
        ...(resource.shortNames?.length ? { shortNames: resource.shortNames } : {}),
        ...(resource.categories?.length ? { categories: resource.categories } : {}),
        ...(subresources.length ? { subresources } : {}),
      };
    });
}

const hopByHop = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
  "te",
  "trailer",
  "audit-id",
]);

/** Nobody may say for themselves who they are: such headers are ours alone. */
function passedOn(headers: Headers, { name, uid, groups, extra = {} }: UserInfo): Record<string, string | string[]> {
  const result: Record<string, string | string[]> = {};
  for (const [header, value] of Object.entries(headers)) {
    if (value === undefined || header.startsWith(":") || hopByHop.has(header)) continue;
    if (header === "authorization" || header === "host" || header === "content-length") continue;
    if (header.startsWith("x-remote-") || header.startsWith("impersonate-")) continue;
    result[header] = value;
  }
  result["x-remote-user"] = name;
  if (uid) result["x-remote-uid"] = uid;
  result["x-remote-group"] = [...groups];
  for (const [key, values] of Object.entries(extra)) {
    result[`x-remote-extra-${encodeURIComponent(key).toLowerCase()}`] = [...values];
  }
  return result;
}

function unavailable(message: string): StatusError {
  return new StatusError(503, "ServiceUnavailable", message, {});
}
