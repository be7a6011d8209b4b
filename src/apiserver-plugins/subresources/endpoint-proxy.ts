/** `services/proxy`, `pods/proxy` and, for ports other than the kubelet's, `nodes/proxy`: HTTP and upgrades to what runs in the cluster, by way of the API server. */
import { Agent, request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest, Agent as TlsAgent } from "node:https";
import { BlockList, isIP } from "node:net";
import type { Duplex } from "node:stream";
import { connect as tlsConnect } from "node:tls";
import type { Pod } from "../../api/core/v1.ts";
import type { EndpointSlice } from "../../api/discovery/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { EndpointSlices, Nodes, Pods, Services } from "../../api/resources.ts";
import { badRequestError, StatusError } from "../../apimachinery/status-error.ts";
import type { HttpExchange, StreamSubresource, SubresourceRequest } from "../../apiserver/subresource-handler.ts";
import type { Random } from "../../base/random.ts";
import type { ObjectReader } from "../object-reader.ts";
import type { Dial, Route } from "../webhooks/service-route.ts";
import { describeFailure } from "../webhooks/tls-agent.ts";
import { rewriteLinks, rewriteLocation } from "./proxied-links.ts";
import { standingObject } from "./standing-object.ts";

interface Target extends Route {
  scheme: "http" | "https";
}

type Locate = (request: SubresourceRequest) => Promise<Target>;

export interface ServiceProxyOptions {
  objects: () => ObjectReader;
  random: Random;
  dial: Dial;
}

/** To one of the Service's ready endpoints, chosen anew for each request. */
export function serviceProxy({ objects, random, dial }: ServiceProxyOptions): StreamSubresource {
  return endpointProxy(dial, async (request) => {
    const { scheme, name, port } = nameParts(request.name, "service");
    const service = await standingObject(request.objects, Services, request.namespace, name);
    const none = () => unavailable(`no endpoints available for service ${JSON.stringify(name)}`);
    let portName = port;
    if (/^\d+$/.test(port)) {
      const declared = service.spec.ports?.find((candidate) => candidate.port === Number(port));
      if (!declared) throw unavailable(`no service port ${Number(port)} found for service ${JSON.stringify(name)}`);
      portName = declared.name ?? "";
    }
    const slices = (await objects().list(EndpointSlices, request.namespace)) as readonly DeepReadonly<EndpointSlice>[];
    const targets = slices
      .filter(({ metadata }) => metadata.labels?.["kubernetes.io/service-name"] === name)
      .flatMap((slice) => targetsOf(slice, portName));
    if (targets.length === 0) throw none();
    return { ...targets[random.int(targets.length)]!, scheme };
  });
}

/** To the pod's own address; without a port, to the first that its containers declare. */
export function podProxy(dial: Dial): StreamSubresource {
  return endpointProxy(dial, async (request) => {
    const { scheme, name, port } = nameParts(request.name, "pod");
    const pod: DeepReadonly<Pod> = await standingObject(request.objects, Pods, request.namespace, name);
    const host = pod.status?.podIP ?? "";
    if (!isProxyable(host)) throw badRequestError("address not allowed");
    const declared = pod.spec.containers.flatMap(({ ports = [] }) => ports)[0]?.containerPort;
    const number = port === "" ? (declared ?? (scheme === "https" ? 443 : 80)) : Number(port);
    return { host, port: number, scheme };
  });
}

/** To a port of the node itself. */
export function nodePortProxy(dial: Dial): StreamSubresource {
  return endpointProxy(dial, async (request) => {
    const { scheme, name, port } = nameParts(request.name, "node");
    const node = await standingObject(request.objects, Nodes, "", name);
    const host = node.status?.addresses?.find(({ type }) => type === "InternalIP")?.address ?? "";
    if (!isProxyable(host)) throw badRequestError("address not allowed");
    return { host, port: Number(port), scheme };
  });
}

/** `name`, `name:port` or `scheme:name:port`. */
export function nameParts(id: string, what: string): { scheme: "http" | "https"; name: string; port: string } {
  const parts = id.split(":");
  const [scheme, name, port] =
    parts.length === 1 ? ["", parts[0], ""] : parts.length === 2 ? ["", parts[0], parts[1]] : parts;
  const isPort = /^(\d{1,5}|[a-z0-9]([a-z0-9-]*[a-z0-9])?)?$/.test(port ?? "");
  const isKnown = scheme === "" || scheme === "http" || scheme === "https";
  if (
    parts.length > 3 ||
    !name ||
    !isKnown ||
    !isPort ||
    (what !== "service" && /\D/.test(port!)) ||
    Number(port) > 65535
  ) {
    throw badRequestError(`invalid ${what} request ${JSON.stringify(id)}`);
  }
  return { scheme: scheme === "https" ? "https" : "http", name, port: port! };
}

function targetsOf(slice: DeepReadonly<EndpointSlice>, portName: string): Route[] {
  const port = slice.ports?.find((candidate) => (candidate.name ?? "") === portName)?.port;
  if (port === undefined) return [];
  return (slice.endpoints ?? [])
    .filter(({ conditions }) => conditions?.ready !== false)
    .flatMap(({ addresses }) => addresses.filter(isProxyable).map((host) => ({ host, port })));
}

/** Whoever may write a pod's status must not reach this machine's own services through the API server. */
const forbidden = new BlockList();
forbidden.addSubnet("127.0.0.0", 8, "ipv4");
forbidden.addSubnet("169.254.0.0", 16, "ipv4");
forbidden.addSubnet("224.0.0.0", 24, "ipv4");
forbidden.addAddress("0.0.0.0", "ipv4");
forbidden.addAddress("::1", "ipv6");
forbidden.addAddress("::", "ipv6");
forbidden.addSubnet("fe80::", 10, "ipv6");
forbidden.addSubnet("ff02::", 16, "ipv6");

export function isProxyable(address: string): boolean {
  const family = isIP(address);
  return family !== 0 && !forbidden.check(address, family === 6 ? "ipv6" : "ipv4");
}

function endpointProxy(dial: Dial, locate: Locate): StreamSubresource {
  return {
    kind: "stream",
    async respond(request, exchange) {
      const target = await locate(request);
      const { method, rest } = request;
      if (rest === undefined && (method === "GET" || method === "HEAD")) {
        // Relative links of the first page would lead astray without the slash.
        exchange.begin(301, { location: `${prefixOf(request)}/${searchOf(request)}` });
        return exchange.end();
      }
      let response: IncomingMessage;
      try {
        response = await send(request, exchange, target, dial);
      } catch (error) {
        if (exchange.signal.aborted) return;
        throw unavailable(`error trying to reach service: ${(error as Error).message}`);
      }
      await answer(request, exchange, target, response);
    },
    async upgrade(request, incoming, socket, head) {
      const target = await locate(request);
      const plain = dial(target.host, target.port);
      const far: Duplex = target.scheme === "https" ? insecureTls(plain, target) : plain;
      const ready = target.scheme === "https" ? "secureConnect" : "connect";
      try {
        await new Promise<void>((resolve, reject) => {
          far.once(ready, resolve).once("error", reject);
          plain.once("error", reject);
          socket.once("close", () => reject(new Error("the client has gone")));
        });
      } catch (error) {
        plain.destroy();
        throw unavailable(`error trying to reach service: ${failure(error, target)}`);
      }
      const headers = passedOn(incoming.headers, request);
      headers["connection"] = "Upgrade";
      if (incoming.headers.upgrade) headers["upgrade"] = incoming.headers.upgrade;
      headers["host"] = hostOf(target);
      const lines = Object.entries(headers).flatMap(([name, value]) => [value].flat().map((one) => `${name}: ${one}`));
      far.write(`${request.method} ${targetPath(request)} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`, "latin1");
      if (head.length > 0) far.write(head);
      far.on("error", () => socket.destroy()).pipe(socket);
      socket.on("error", () => far.destroy()).pipe(far);
      socket.once("close", () => far.destroy());
      far.once("close", () => socket.destroy());
    },
  };
}

function send(
  request: SubresourceRequest,
  exchange: HttpExchange,
  target: Target,
  dial: Dial,
): Promise<IncomingMessage> {
  const isTls = target.scheme === "https";
  // A pod's address may be another pod's a moment later: no connection outlives its request.
  const agent = isTls ? new TlsAgent({ keepAlive: false }) : new Agent({ keepAlive: false });
  (agent as unknown as { createConnection: () => Duplex }).createConnection = () => {
    const plain = dial(target.host, target.port);
    return isTls ? insecureTls(plain, target) : plain;
  };
  const outgoing = (isTls ? httpsRequest : httpRequest)({
    method: request.method,
    host: target.host,
    port: target.port,
    path: targetPath(request),
    headers: { ...passedOn(exchange.headers, request), host: hostOf(target) },
    agent,
    signal: exchange.signal,
  });
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.once("response", resolve);
    outgoing.on("error", (error) => reject(new Error(failure(error, target), { cause: error })));
  });
  // A failure while the body is sent is seen here too.
  answered.catch(() => {});
  void sendBody(outgoing, exchange, answered).catch((error: Error) => outgoing.destroy(error));
  return answered;
}

async function sendBody(
  outgoing: ReturnType<typeof httpRequest>,
  exchange: HttpExchange,
  answered: Promise<unknown>,
): Promise<void> {
  if (exchange.method !== "GET" && exchange.method !== "HEAD") {
    for await (const chunk of exchange.body) {
      if (outgoing.write(chunk)) continue;
      await Promise.race([new Promise((resolve) => outgoing.once("drain", resolve)), answered]);
    }
  }
  outgoing.end();
}

async function answer(
  request: SubresourceRequest,
  exchange: HttpExchange,
  target: Target,
  response: IncomingMessage,
): Promise<void> {
  const prefix = prefixOf(request);
  const headers: Record<string, string | readonly string[]> = {};
  for (const [name, value] of Object.entries(response.headers)) {
    // What a page may do across origins is not for a proxied server to say in the API server's name.
    if (value !== undefined && !hopByHop.has(name) && !name.startsWith("access-control-")) headers[name] = value;
  }
  if (typeof headers["location"] === "string") {
    headers["location"] = rewriteLocation(headers["location"], hostOf(target), prefix);
  }
  const isPage = /^text\/html\b/i.test(response.headers["content-type"] ?? "") && request.method !== "HEAD";
  const isPlain = !response.headers["content-encoding"];
  try {
    if (isPage && isPlain) {
      delete headers["content-length"];
      const chunks: Buffer[] = [];
      for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
      const page = rewriteLinks(Buffer.concat(chunks).toString("latin1"), hostOf(target), prefix);
      exchange.begin(response.statusCode ?? 502, headers);
      await exchange.write(Buffer.from(page, "latin1"));
    } else {
      exchange.begin(response.statusCode ?? 502, headers);
      for await (const chunk of response as AsyncIterable<Buffer>) await exchange.write(chunk);
    }
    await exchange.end();
  } catch (error) {
    if (!exchange.signal.aborted) throw new Error(`read what ${prefix} answers`, { cause: error });
  }
}

function insecureTls(socket: Duplex, { host }: Target) {
  return tlsConnect({
    socket,
    rejectUnauthorized: false,
    ...(isIP(host) ? {} : { servername: host }),
    ALPNProtocols: ["http/1.1"],
  });
}

function failure(error: unknown, target: Target): string {
  return describeFailure(error as NodeJS.ErrnoException, new URL(`${target.scheme}://${hostOf(target)}/`));
}

function hostOf({ host, port }: Route): string {
  return `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
}

/** What stands before the proxied path in the address that the client used. */
function prefixOf({ namespace, resource, name }: SubresourceRequest): string {
  const place = namespace ? `namespaces/${namespace}/` : "";
  return `/api/v1/${place}${resource.definition.plural}/${name}/proxy`;
}

function targetPath(request: SubresourceRequest): string {
  return `/${request.rest ?? ""}${searchOf(request)}`;
}

function searchOf({ query }: SubresourceRequest): string {
  const pairs = Object.entries(query).flatMap(([name, value]) =>
    [value ?? []].flat().map((each): [string, string] => [name, each]),
  );
  return pairs.length > 0 ? `?${new URLSearchParams(pairs)}` : "";
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

/** Without the proof of who the user is, which is meant for the API server alone. */
function passedOn(headers: HttpExchange["headers"], request: SubresourceRequest): Record<string, string | string[]> {
  const result: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || name.startsWith(":") || hopByHop.has(name)) continue;
    if (name === "authorization" || name === "host" || name.startsWith("impersonate-")) continue;
    // Pages are looked into for links, so they come as they are.
    if (name === "accept-encoding") continue;
    result[name] = value;
  }
  const host = headers["host"] ?? headers[":authority"];
  if (typeof host === "string") result["x-forwarded-host"] = host;
  result["x-forwarded-uri"] = `${prefixOf(request)}/${request.rest ?? ""}`;
  result["x-forwarded-proto"] = "https";
  return result;
}

function unavailable(message: string): StatusError {
  return new StatusError(503, "ServiceUnavailable", message);
}
