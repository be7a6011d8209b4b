/**
 * What a node's proxy answers to those who ask how it fares: load balancers on health-check node ports, everybody on
 * 10256 of its addresses and its loopback, metrics readers on 10249 of its loopback.
 */
import { createServer, type RequestListener, type Server } from "node:http";
import type { Service } from "../api/core/v1.ts";
import type { EndpointSlice } from "../api/discovery/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { type Clock, rfc3339 } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import { listenIn } from "../base/node/netns.ts";
import { type ObjectKey, splitKey } from "../controller-runtime/cache.ts";
import type { NodeView } from "./node-view.ts";
import type { Proxier } from "./proxier.ts";
import type { ServiceSource } from "./service-source.ts";

export interface HealthServerOptions {
  node: NodeView;
  source: ServiceSource;
  proxier: Proxier;
  netnsPath: string;
  /** False while the node is on its way out: load balancers should send it nothing new. */
  isEligible(): boolean;
  clock: Clock;
  log: Logger;
  signal: AbortSignal;
}

const healthzPort = 10256;
const metricsPort = 10249;

/** Serves until the signal aborts. Ports that somebody else has are logged and tried again with the Service's next change. */
export async function serveHealth(options: HealthServerOptions): Promise<void> {
  const { source, signal, log, node } = options;
  const doors = new Map<ObjectKey, { port: number; servers: Server[] }>();
  const open = (handler: RequestListener, addresses: readonly string[], port: number) =>
    addresses.map((address) => {
      const server = createServer(handler);
      listenIn(server, options.netnsPath, address, port).catch((error) => {
        if (!signal.aborted) log.warn("health port not served", { node: node.name, port, error });
      });
      return server;
    });
  const shut = (servers: readonly Server[]) => {
    for (const server of servers) {
      server.close();
      server.closeAllConnections();
    }
  };
  const fixed = [
    ...open(healthz(options), [...node.addresses, "127.0.0.1"], healthzPort),
    ...open(metrics(options), ["127.0.0.1"], metricsPort),
  ];
  signal.addEventListener(
    "abort",
    () => {
      shut(fixed);
      for (const { servers } of doors.values()) shut(servers);
    },
    { once: true },
  );
  await source.synced();
  source.onChange((key) => {
    if (signal.aborted) return;
    const service = source.get(key);
    const port = service && checkedPort(service);
    const door = doors.get(key);
    if (door?.port === port && door?.servers.every((server) => server.listening)) return;
    if (door) shut(door.servers);
    doors.delete(key);
    if (port) doors.set(key, { port, servers: open(healthOf(key, options), node.addresses, port) });
  });
}

function checkedPort({ spec }: DeepReadonly<Service>): number | undefined {
  return spec.externalTrafficPolicy === "Local" && spec.type === "LoadBalancer" ? spec.healthCheckNodePort : undefined;
}

function healthOf(key: ObjectKey, { node, source, proxier }: HealthServerOptions): RequestListener {
  const { name, namespace } = splitKey(key);
  return (_, response) => {
    const localEndpoints = countLocal(source.slicesOf(key), node);
    const body = { service: { namespace, name }, localEndpoints, serviceProxyHealthy: proxier.isHealthy };
    response.writeHead(localEndpoints > 0 && proxier.isHealthy ? 200 : 503, {
      "content-type": "application/json",
      "x-content-type-options": "nosniff",
      "x-load-balancing-endpoint-weight": String(localEndpoints),
    });
    response.end(JSON.stringify(body, undefined, "\t"));
  };
}

/** Ready endpoints on the node, each counted once. */
function countLocal(slices: readonly DeepReadonly<EndpointSlice>[], { name }: NodeView): number {
  const addresses = slices.flatMap(({ endpoints }) =>
    (endpoints ?? []).flatMap(({ nodeName, conditions, targetRef, addresses: [address] }) =>
      nodeName === name && conditions?.ready !== false ? [targetRef?.uid ?? address] : [],
    ),
  );
  return new Set(addresses).size;
}

function healthz({ proxier, isEligible, clock }: HealthServerOptions): RequestListener {
  return ({ url = "/" }, response) => {
    const path = url.split("?")[0];
    if (path !== "/healthz" && path !== "/livez") {
      response.writeHead(404, { "content-type": "text/plain; charset=utf-8" }).end("404 page not found\n");
      return;
    }
    const nodeEligible = isEligible();
    const isFine = proxier.isHealthy && (path === "/livez" || nodeEligible);
    const body = {
      lastUpdated: rfc3339(proxier.lastAppliedMs ?? 0),
      currentTime: rfc3339(clock.now()),
      ...(path === "/healthz" ? { nodeEligible } : {}),
    };
    const code = isFine ? 200 : 503;
    proxier.metrics.answered(path === "/healthz" ? "healthz" : "livez", code);
    response.writeHead(code, { "content-type": "application/json", "x-content-type-options": "nosniff" });
    response.end(JSON.stringify(body));
  };
}

function metrics({ proxier }: HealthServerOptions): RequestListener {
  return ({ url = "/" }, response) => {
    const path = url.split("?")[0];
    const plain = { "content-type": "text/plain; version=0.0.4; charset=utf-8" };
    if (path === "/healthz") response.writeHead(200, plain).end("ok");
    else if (path === "/proxyMode") response.writeHead(200, plain).end("nftables");
    else if (path === "/metrics") response.writeHead(200, plain).end(proxier.exposition());
    else response.writeHead(404, plain).end("404 page not found\n");
  };
}
