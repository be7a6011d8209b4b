/** Follows APIServices: who answers for which group-version, whether they are there, and what they serve (upstream: kube-aggregator). */
import type { APIService, APIServiceCondition } from "../../api/apiregistration/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { APIServices, EndpointSlices, Services } from "../../api/resources.ts";
import { isConflict, isNotFound } from "../../apimachinery/status-error.ts";
import type { ResourceRegistry } from "../../apiserver/resource-registry.ts";
import { type Clock, rfc3339, sleep } from "../../base/clock.ts";
import type { Logger } from "../../base/logger.ts";
import type { Client } from "../../client/client.ts";
import type { InformerCache } from "../../controller-runtime/informer-cache.ts";
import { type ObjectReader, RegistryReader } from "../object-reader.ts";
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
  const watched = new Map<string, Watched>();
  /** Looks again, at once, at whoever is behind a Service. */
  const wake = ({ namespace = "", name = "" }: { readonly namespace?: string; readonly name?: string }) => {
    for (const { backend, changed } of watched.values()) {
      const { service } = backend.apiService.spec;
      if (service?.namespace === namespace && service.name === name) changed.set();
    }
  };
  let followsServices = false;
  const followServices = () => {
    if (followsServices) return;
    followsServices = true;
    cache.informer(Services).addHandler(({ object }) => wake(object.metadata));
    cache.informer(EndpointSlices).addHandler(({ object: { metadata } }) => {
      wake({ namespace: metadata.namespace, name: metadata.labels?.["kubernetes.io/service-name"] ?? "" });
    });
  };
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
      // The server said so itself when it was created; not when its Service was taken away.
      const isSaid = object.status?.conditions?.some((condition) => condition.reason === "Local");
      if (type !== "DELETED" && !isSaid)
        void report(options, name, "True", "Local", "Local APIServices are always available");
      return;
    }
    // A change of the status alone, our own for the most part, is nothing new.
    if (known && JSON.stringify(known.backend.apiService.spec) === JSON.stringify(object.spec)) return;
    options.log.debug("aggregated API", { name, generation });
    forget(name);
    const backend = new Backend(object as DeepReadonly<APIService>, router, frontProxy);
    const stop = new AbortController();
    const changed = new Changed();
    watched.set(name, { backend, stop, changed });
    publish();
    followServices();
    void follow(backend, options, publish, changed, AbortSignal.any([signal, stop.signal]));
  });
  signal.addEventListener("abort", () => {
    for (const { backend } of watched.values()) backend.close();
  });
}

interface Watched {
  backend: Backend;
  stop: AbortController;
  changed: Changed;
}

/** That something changed since somebody last waited for it. */
class Changed {
  #isSet = false;
  #wake: AbortController | undefined;

  set(): void {
    this.#isSet = true;
    this.#wake?.abort();
  }

  /** Resolves when it is set, after `delayMs`, or when the signal aborts. */
  async wait(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
    this.#wake = new AbortController();
    if (!this.#isSet) await sleep(clock, delayMs, AbortSignal.any([signal, this.#wake.signal])).catch(() => {});
    this.#isSet = false;
  }
}

async function follow(
  backend: Backend,
  options: AggregatorOptions,
  publish: () => void,
  changed: Changed,
  signal: AbortSignal,
): Promise<void> {
  const { name } = backend.apiService.metadata;
  let said = "";
  while (!signal.aborted) {
    const before = JSON.stringify([backend.available, said]);
    const { available, reason, message } = await check(backend, options, signal);
    if (signal.aborted) return;
    backend.available = available;
    const now = JSON.stringify([backend.resources, backend.openApi]);
    if (JSON.stringify([available, now]) !== before) publish();
    said = now;
    await report(options, name, available ? "True" : "False", reason, message);
    await changed.wait(options.clock, available ? availableEveryMs : unavailableEveryMs, signal);
  }
}

interface Finding {
  available: boolean;
  reason: string;
  message: string;
}

async function check(backend: Backend, { registry, clock }: AggregatorOptions, signal: AbortSignal): Promise<Finding> {
  const problem = await problemOfService(backend.apiService, new RegistryReader(registry));
  if (problem) return { available: false, ...problem };
  const patience = new AbortController();
  const timer = clock.setTimer(patienceMs, () => patience.abort(), { background: true });
  try {
    const { resources = [] } = await backend.discover(AbortSignal.any([signal, patience.signal]));
    backend.resources = discoveredResources(resources);
    backend.available = true;
    await backend.readOpenApi(AbortSignal.any([signal, patience.signal]));
    return { available: true, reason: "Passed", message: "all checks passed" };
  } catch (error) {
    return { available: false, reason: "FailedDiscoveryCheck", message: (error as Error).message };
  } finally {
    timer[Symbol.dispose]();
  }
}

/** Why no server can be behind it, in upstream's words; undefined when one can. */
async function problemOfService(
  { spec }: DeepReadonly<APIService>,
  objects: ObjectReader,
): Promise<{ reason: string; message: string } | undefined> {
  const { namespace = "", name = "", port = 443 } = spec.service!;
  const where = `service/${name} in ${JSON.stringify(namespace)}`;
  const service = await objects.get(Services, namespace, name);
  if (!service) return { reason: "ServiceNotFound", message: `${where} is not present` };
  if (service.spec.type === "ExternalName") return undefined;
  const declared = service.spec.ports?.find((candidate) => candidate.port === port);
  if (!declared) return { reason: "ServicePortError", message: `${where} is not listening on port ${port}` };
  const slices = (await objects.list(EndpointSlices, namespace)).filter(
    ({ metadata }) => metadata.labels?.["kubernetes.io/service-name"] === name,
  );
  if (slices.length === 0) return { reason: "EndpointsNotFound", message: `cannot find endpointslices for ${where}` };
  const portName = declared.name ?? "";
  const isThere = slices.some(
    ({ ports, endpoints }) =>
      (ports ?? []).some((one) => (one.name ?? "") === portName) &&
      (endpoints ?? []).some(({ conditions }) => conditions?.ready !== false),
  );
  if (isThere) return undefined;
  const message = `endpointslices for ${where} have no addresses with port name ${JSON.stringify(portName)}`;
  return { reason: "MissingEndpoints", message };
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
