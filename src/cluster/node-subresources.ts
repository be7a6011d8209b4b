/** Subresources that a pod's node answers: its log, and the streams into its containers. */
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { text } from "node:stream/consumers";
import type { Pod } from "../api/core/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { Nodes, Pods } from "../api/resources.ts";
import { badRequestError, notFoundError, StatusError } from "../apimachinery/status-error.ts";
import { booleanParameter, parameter, parameters } from "../apiserver/request-info.ts";
import type { StreamSubresource, SubresourceHandler, SubresourceRequest } from "../apiserver/subresource-handler.ts";
import { nameParts, nodePortProxy } from "../apiserver-plugins/subresources/endpoint-proxy.ts";
import { standingObject } from "../apiserver-plugins/subresources/standing-object.ts";
import type { Dial } from "../apiserver-plugins/webhooks/service-route.ts";
import { type ObjectRef, refOf } from "../client/client.ts";
import type { Kubelet } from "../kubelet/kubelet.ts";
import { kubeletPort } from "../kubelet/node-object.ts";
import type { PodApi } from "../kubelet/pod-api.ts";
import { defaultContainer, type KubeletAddress, type KubeletClient, kubeletAddress } from "./kubelet-client.ts";
import { podLogOptionsOf } from "./pod-log-options.ts";

/** Running nodes by name; grows as they start. */
export type Kubelets = ReadonlyMap<string, Pick<Kubelet, "pods" | "routes" | "stats">>;

/** `remote` asks the nodes that run elsewhere; `dial` reaches any port of a node. */
export function nodeSubresources(
  kubelets: Kubelets,
  remote: KubeletClient,
  dial: Dial,
): Map<string, SubresourceHandler> {
  return new Map<string, SubresourceHandler>([
    ["nodes/proxy", nodeProxy(kubelets, remote, nodePortProxy(dial))],
    ["pods/log", podLog(kubelets, remote)],
    ["pods/exec", upgraded(kubelets, remote, "exec", serveExec)],
    ["pods/attach", upgraded(kubelets, remote, "attach", serveAttach)],
    ["pods/portforward", upgraded(kubelets, remote, "portForward", serveForward)],
  ]);
}

/** Where a node's kubelet is asked that does not run in this process; undefined when it does. */
async function elsewhere(
  name: string | undefined,
  kubelets: Kubelets,
  { objects }: SubresourceRequest,
): Promise<KubeletAddress | undefined> {
  if (!name || kubelets.has(name)) return undefined;
  const node = await standingObject(objects, Nodes, "", name).catch(() => undefined);
  return node && kubeletAddress(node);
}

/** Hands an answer through as it comes. */
async function passOn(response: IncomingMessage, exchange: Parameters<StreamSubresource["respond"]>[1]): Promise<void> {
  const status = response.statusCode ?? 500;
  if (status >= 400) {
    const message = (await text(response)).trim();
    throw new StatusError(
      status,
      status === 404 ? "NotFound" : status === 400 ? "BadRequest" : "InternalError",
      message,
    );
  }
  exchange.begin(status, {
    "content-type": response.headers["content-type"] ?? "text/plain",
    "cache-control": "no-cache, private",
    ...ofFiles(response.headers),
  });
  for await (const chunk of response) await exchange.write(chunk as Buffer);
  await exchange.end();
}

/** What is said of a file on the way there and back: which part of it, and how old it is. */
function ofFiles(headers: Readonly<Record<string, string | string[] | undefined>>): Record<string, string> {
  return Object.fromEntries(
    fileHeaders.flatMap((name) => (typeof headers[name] === "string" ? [[name, headers[name] as string]] : [])),
  );
}

const fileHeaders = [
  ...["range", "if-range", "if-modified-since"],
  ...["location", "content-length", "content-range", "accept-ranges", "last-modified"],
];

/** What kubectl asks the API server, as the API server asks the kubelet. */
function kubeletQuery(query: SubresourceRequest["query"]): string {
  const names: Readonly<Record<string, string>> = { stdin: "input", stdout: "output", stderr: "error" };
  const asked = searchParams(query);
  asked.delete("container");
  const renamed = new URLSearchParams(
    [...asked].map(([name, value]): [string, string] => [names[name] ?? name, value]),
  );
  return renamed.size > 0 ? `?${renamed}` : "";
}

function podLog(kubelets: Kubelets, remote: KubeletClient): StreamSubresource {
  return {
    kind: "stream",
    /** Browsers, which have no other streams, read logs over WebSocket. */
    async upgrade(request, incoming, socket, head) {
      const { streamOverWebSocket } = await import("../apiserver/http/web-socket-stream.ts");
      const { signal } = request.context;
      await streamOverWebSocket(incoming, socket, head, signal!, (exchange) => this.respond(request, exchange));
    },
    async respond(request, exchange) {
      const { container, ...options } = podLogOptionsOf(request.query);
      const pod = await standingObject(request.objects, Pods, request.namespace, request.name);
      if (container !== undefined) checkContainer(pod, container);
      if (!pod.spec.nodeName) {
        exchange.begin(204, {});
        return exchange.end();
      }
      const at = await elsewhere(pod.spec.nodeName, kubelets, request);
      if (at) {
        const where = [pod.metadata.namespace, pod.metadata.name, container ?? defaultContainer(pod)].join("/");
        const path = `/containerLogs/${where}${kubeletQuery(request.query)}`;
        return passOn(await remote.get(at, path, exchange.signal), exchange);
      }
      const lines = await nodeOf(pod, kubelets).logs(refOf(pod), container, options, exchange.signal);
      exchange.begin(200, { "content-type": "text/plain", "cache-control": "no-cache, private" });
      for await (const chunk of lines) await exchange.write(chunk);
      await exchange.end();
    },
  };
}

/** What the kubelet answers, without the way there: `kubectl get --raw /api/v1/nodes/<name>/proxy/stats/summary`. Its `others` are asked the other ports. */
function nodeProxy(kubelets: Kubelets, remote: KubeletClient, others: StreamSubresource): StreamSubresource {
  return {
    kind: "stream",
    async respond(request, exchange) {
      const { name, port } = nameParts(request.name, "node");
      if (!isKubelets(port)) return others.respond(request, exchange);
      const { method, rest, query } = request;
      const at = await elsewhere(name, kubelets, request);
      if (at) {
        const asked = searchParams(query);
        const path = `/${rest ?? ""}${asked.size > 0 ? `?${asked}` : ""}`;
        const response = await remote.get(at, path, exchange.signal, { method, headers: ofFiles(exchange.headers) });
        return passOn(response, exchange);
      }
      const kubelet = kubelets.get(name);
      if (!kubelet) throw notFoundError({ group: "", resource: "nodes" }, name);
      const answer = await kubelet.routes({
        method,
        path: `/${rest ?? ""}`,
        query: searchParams(query),
        headers: exchange.headers,
        signal: exchange.signal,
      });
      const { status, contentType, headers } = answer;
      exchange.begin(status, { ...(contentType ? { "content-type": contentType } : {}), ...headers });
      if (typeof answer.body === "string") await exchange.write(answer.body);
      else for await (const chunk of answer.body) await exchange.write(chunk);
      await exchange.end();
    },
    async upgrade(request, incoming, socket, head) {
      if (isKubelets(nameParts(request.name, "node").port))
        throw badRequestError("the kubelet's streams are subresources of pods");
      await others.upgrade!(request, incoming, socket, head);
    },
  };
}

function isKubelets(port: string): boolean {
  return port === "" || Number(port) === kubeletPort;
}

interface PodStreamRequest {
  api: PodApi;
  pod: ObjectRef;
  container: string | undefined;
  query: SubresourceRequest["query"];
  incoming: IncomingMessage;
  socket: Duplex;
  head: Buffer;
}

/** Everything about the pod is checked while errors can still be answered as a Status, that is before the upgrade. */
function upgraded(
  kubelets: Kubelets,
  remote: KubeletClient,
  verb: "exec" | "attach" | "portForward",
  serve: (request: PodStreamRequest) => Promise<void>,
): StreamSubresource {
  return {
    kind: "stream",
    async respond() {
      throw badRequestError("Upgrade request required");
    },
    async upgrade(request, incoming, socket, head) {
      const pod = await standingObject(request.objects, Pods, request.namespace, request.name);
      const container = containerOf(pod, request);
      const at = await elsewhere(pod.spec.nodeName, kubelets, request);
      if (at) {
        const { namespace, name } = pod.metadata;
        const place = verb === "portForward" ? [] : [container ?? defaultContainer(pod)];
        const path = `/${[verb, namespace, name, ...place].join("/")}${kubeletQuery(request.query)}`;
        return remote.upgrade(at, path, incoming, socket, head);
      }
      const api = nodeOf(pod, kubelets);
      await serve({ api, pod: refOf(pod), container, query: request.query, incoming, socket, head });
    },
  };
}

async function serveExec({ api, pod, container, query, incoming, socket, head }: PodStreamRequest): Promise<void> {
  const command = parameters(query, "command");
  if (command.length === 0) throw badRequestError("you must specify at least one command for the container");
  const { serveRemoteCommand } = await import("../kubelet/streaming/remote-command.ts");
  const wanted = wantedStreams(query);
  await serveRemoteCommand(incoming, socket, head, wanted, (streams) =>
    api.exec(pod, container, { command, tty: wanted.tty, ...streams }),
  );
}

async function serveAttach({ api, pod, container, query, incoming, socket, head }: PodStreamRequest): Promise<void> {
  const { tty, stdin } = api.containerStreams(pod, container);
  const { serveRemoteCommand } = await import("../kubelet/streaming/remote-command.ts");
  const wanted = { ...wantedStreams(query), tty };
  await serveRemoteCommand(incoming, socket, head, wanted, async (streams) => {
    const { stdin: input, ...others } = streams;
    await api.attach(pod, container, { ...others, ...(stdin && input ? { stdin: input } : {}), fromStart: true });
    return 0;
  });
}

async function serveForward({ api, pod, incoming, socket, head }: PodStreamRequest): Promise<void> {
  const { servePortForward } = await import("../kubelet/streaming/port-forward.ts");
  await servePortForward(incoming, socket, head, (port) => api.portForward(pod, port));
}

function wantedStreams(query: SubresourceRequest["query"]) {
  const wanted = {
    stdin: booleanParameter(query, "stdin"),
    stdout: booleanParameter(query, "stdout"),
    stderr: booleanParameter(query, "stderr"),
    tty: booleanParameter(query, "tty"),
  };
  if (!wanted.stdin && !wanted.stdout && !wanted.stderr) {
    throw badRequestError("you must specify at least 1 of stdin, stdout, stderr");
  }
  return wanted;
}

function containerOf(pod: DeepReadonly<Pod>, request: SubresourceRequest): string | undefined {
  const name = parameter(request.query, "container") || undefined;
  if (name !== undefined) checkContainer(pod, name);
  return name;
}

function checkContainer(pod: DeepReadonly<Pod>, name: string): void {
  const { initContainers = [], containers, ephemeralContainers = [] } = pod.spec;
  const isThere = [...initContainers, ...containers, ...ephemeralContainers].some(
    (container) => container.name === name,
  );
  if (!isThere) throw badRequestError(`container ${name} is not valid for pod ${pod.metadata.name}`);
}

function nodeOf(pod: DeepReadonly<Pod>, kubelets: Kubelets): PodApi {
  const { nodeName } = pod.spec;
  if (!nodeName) throw badRequestError(`pod ${pod.metadata.name} does not have a host assigned`);
  const kubelet = kubelets.get(nodeName);
  if (!kubelet)
    throw new StatusError(
      500,
      "InternalError",
      `error dialing backend: the kubelet of node ${nodeName} is not running`,
    );
  return kubelet.pods;
}

function searchParams(query: SubresourceRequest["query"]): URLSearchParams {
  const pairs = Object.entries(query).flatMap(([name, value]) =>
    [value ?? []].flat().map((each): [string, string] => [name, each]),
  );
  return new URLSearchParams(pairs);
}
