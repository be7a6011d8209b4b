/** Keeps a node's routes to the pods of nodes that joined later: each Node's range by its address (what kubeadm clusters leave to a CNI plugin). */
import type { Node } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { Nodes } from "../../api/resources.ts";
import type { Logger } from "../../base/logger.ts";
import { Links } from "../../base/node/links.ts";
import type { InformerCache } from "../../controller-runtime/informer-cache.ts";

export interface NodeRoutesOptions {
  cache: InformerCache;
  /** The node's network namespace. */
  netnsPath: string;
  /** Nodes whose routes others keep, itself among them. */
  passOver: ReadonlySet<string>;
  log: Logger;
  signal: AbortSignal;
}

export function followNodeRoutes({ cache, netnsPath, passOver, log, signal }: NodeRoutesOptions): void {
  const routes = new Map<string, string>();
  let links: Links | undefined;
  signal.addEventListener("abort", () => links?.close(), { once: true });
  cache.informer(Nodes).addHandler(({ type, object }) => {
    const { name } = object.metadata;
    if (passOver.has(name) || type === "DELETED" || signal.aborted) return;
    const route = routeTo(object);
    if (!route || routes.get(name) === JSON.stringify(route)) return;
    try {
      links ??= Links.openIn(netnsPath);
      links.apply([{ kind: "route", ...route }]);
      routes.set(name, JSON.stringify(route));
    } catch (error) {
      // It may stand on a network that this one does not reach directly.
      log.warn("no route to another node's pods", { node: name, ...route, error: (error as Error).message });
    }
  });
}

function routeTo({ spec, status }: DeepReadonly<Node>): { to: string; via: string } | undefined {
  const via = status?.addresses?.find(({ type }) => type === "InternalIP")?.address;
  const to = spec?.podCIDR;
  return to && via ? { to, via } : undefined;
}
