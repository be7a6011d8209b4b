/** Follows APIServices: who answers for which group-version, whether they are there, and what they serve (upstream: kube-aggregator). */
import type { APIService, APIServiceCondition } from "../../api/apiregistration/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { APIServices } from "../../api/resources.ts";
import { isConflict, isNotFound } from "../../apimachinery/status-error.ts";
import type { ResourceRegistry } from "../../apiserver/resource-registry.ts";
import { type Clock, rfc3339, sleep } from "../../base/clock.ts";
import type { Logger } from "../../base/logger.ts";
import type { Client } from "../../client/client.ts";
import type { InformerCache } from "../../controller-runtime/informer-cache.ts";
import type { ServiceRouter } from "../webhooks/service-route.ts";
import { Backend, discoveredResources, type FrontProxy } from "./backend.ts";

export interface AggregatorOptions {
  registry: ResourceRegistry;
  cache: InformerCache;
  client: Client;
  router: ServiceRouter;
  /** Asked for each connection: it is renewed. */
  frontProxy(): FrontProxy | undefined;
  clock: Clock;
  log: Logger;
  signal: AbortSignal;
}

/** How often a server that is there is asked, and one that is not. */
const availableEveryMs = 30_000;
const unavailableEveryMs = 1_000;
const patienceMs = 5_000;

/** Runs until the signal aborts. Costs nothing while no APIService names a Service. */
export function startAggregator(options: AggregatorOptions): void {
  const { cache, registry, router, frontProxy, signal } = options;
  const watched = new Map<string, { backend: Backend; stop: AbortController }>();
  const publish = () => registry.setForeign([...watched.values()].map(({ backend }) => backend));
  const forget = (name: string) => {
    const known = watched.get(name);
    if (!known) return;
    known.stop.abort();
    known.backend.close();
    watched.delete(name);
    publish();
  };
  cache.informer(APIServices).addHandler(({ type, object }) => {
    const { name, generation } = object.metadata;
    const known = watched.get(name);
    if (type === "DELETED" || !object.spec.service) {
      forget(name);
      if (type !== "DELETED") void report(options, name, "True", "Local", "Local APIServices are always available");
      return;
    }
    // A change of the status alone, our own for the most part, is nothing new.
    if (known && JSON.stringify(known.backend.apiService.spec) === JSON.stringify(object.spec)) return;
    options.log.debug("aggregated API", { name, generation });
    forget(name);
    const backend = new Backend(object as DeepReadonly<APIService>, router, frontProxy);
    const stop = new AbortController();
    watched.set(name, { backend, stop });
    publish();
    void follow(backend, options, publish, AbortSignal.any([signal, stop.signal]));
  });
  signal.addEventListener("abort", () => {
    for (const { backend } of watched.values()) backend.close();
  });
}

async function follow(
  backend: Backend,
  options: AggregatorOptions,
  publish: () => void,
  signal: AbortSignal,
): Promise<void> {
  const { name } = backend.apiService.metadata;
  let said = "";
  while (!signal.aborted) {
    const { available, reason, message } = await check(backend, options, signal);
    if (signal.aborted) return;
    const before = JSON.stringify([backend.available, said]);
    backend.available = available;
    const now = JSON.stringify(backend.resources);
    if (JSON.stringify([available, now]) !== before) publish();
    said = now;
    await report(options, name, available ? "True" : "False", reason, message);
    await sleep(options.clock, available ? availableEveryMs : unavailableEveryMs, signal).catch(() => {});
  }
}

interface Finding {
  available: boolean;
  reason: string;
  message: string;
}

async function check(backend: Backend, { router, clock }: AggregatorOptions, signal: AbortSignal): Promise<Finding> {
  const { namespace = "", name = "", port = 443 } = backend.apiService.spec.service!;
  const not = (reason: string, message: string): Finding => ({ available: false, reason, message });
  try {
    await router.route(namespace, name, port);
  } catch (error) {
    const { message } = error as Error;
    if (message.startsWith("no service port")) {
      return not(
        "ServicePortError",
        `service/${name} in ${JSON.stringify(namespace)} is not listening on port ${port}`,
      );
    }
    if (message.startsWith("no endpoints")) {
      return not(
        "MissingEndpoints",
        `endpoints for service/${name} in ${JSON.stringify(namespace)} have no addresses with port name`,
      );
    }
    return not("ServiceNotFound", `service/${name} in ${JSON.stringify(namespace)} is not present`);
  }
  const patience = new AbortController();
  const timer = clock.setTimer(patienceMs, () => patience.abort(), { background: true });
  try {
    const { resources = [] } = await backend.discover(AbortSignal.any([signal, patience.signal]));
    backend.resources = discoveredResources(resources);
    return { available: true, reason: "Passed", message: "all checks passed" };
  } catch (error) {
    return not("FailedDiscoveryCheck", (error as Error).message);
  } finally {
    timer[Symbol.dispose]();
  }
}

/** Writes the condition when it differs from what stands there. */
async function report(
  { client, clock, log }: AggregatorOptions,
  name: string,
  status: string,
  reason: string,
  message: string,
): Promise<void> {
  try {
    const standing = await client.get(APIServices, { name });
    const before = standing.status?.conditions?.find(({ type }) => type === "Available");
    if (before?.status === status && before.reason === reason && before.message === message) return;
    const lastTransitionTime = before?.status === status ? before.lastTransitionTime : rfc3339(clock.now());
    const condition = { type: "Available", status, lastTransitionTime, reason, message } as APIServiceCondition;
    const others = (standing.status?.conditions ?? []).filter(({ type }) => type !== "Available");
    await client.updateStatus(APIServices, {
      ...standing,
      status: { conditions: [...others, condition] },
    } as typeof standing);
  } catch (error) {
    // The next look writes it.
    if (!isConflict(error) && !isNotFound(error))
      log.warn("an APIService's condition could not be written", { name, error });
  }
}
