/** A cloud's balancers, in a namespace of their own on the nodes' LAN, and the controller that orders them (upstream's service controller with a cloud provider). */
import type { Service } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { Nodes, Services } from "../../api/resources.ts";
import { isConflict, isNotFound } from "../../apimachinery/status-error.ts";
import { sleep } from "../../base/clock.ts";
import { Links } from "../../base/node/links.ts";
import { connectIn } from "../../base/node/netns.ts";
import { keyOf, type ObjectKey } from "../../controller-runtime/cache.ts";
import type { ControllerProcess, ProcessContext } from "../../controller-runtime/controller.ts";
import { openNft } from "../../nftables/nft.ts";
import { awsBalancerOf, hostNameOf, isCloudClass, whyAwsRefuses } from "./aws.ts";
import {
  addressAnnotation,
  addressFor,
  type Balancer,
  BalancerError,
  compileBalancers,
  type HealthCheck,
  healthCheckOf,
  heldAddress,
  type Target,
  targetsAmong,
  whyImpossible,
} from "./plan-balancer.ts";

export interface CloudOptions {
  /** The balancers' namespace, and its link on the LAN. */
  netnsPath: string;
  link: string;
  lan: string;
  /** The way to clients beyond the LAN. */
  gateway: string;
  /** Addresses of the LAN that are others': the nodes', this machine's. */
  reserved: readonly string[];
}

/** Has the API keep a Service until its balancer is gone. */
const finalizer = "service.kubernetes.io/load-balancer-cleanup";
const checkEveryMs = 1000;
const checkTimeoutMs = 1000;
/** A node that fails once may only be busy. */
const failuresUntilOut = 2;
const neverAnswered = 1000;
/** Of balancers that have a name. Cluster DNS answers for it. */
const balancerDomain = "elb.pinnace.local";

function questionOf(node: Target, { port, path }: HealthCheck): string {
  return `${node.address}:${port}${path}`;
}

export function cloudBalancer(options: CloudOptions): ControllerProcess {
  return {
    name: "service-lb-controller",
    eventSource: "service-controller",
    run: (context) => new Cloud(options, context).run(),
  };
}

class Cloud {
  readonly #options: CloudOptions;
  readonly #context: ProcessContext;
  /** Consecutive failures by `address:port`; absent before the first check. */
  readonly #failures = new Map<string, number>();
  readonly #refused = new Map<ObjectKey, string>();
  #applied = "";

  constructor(options: CloudOptions, context: ProcessContext) {
    this.#options = options;
    this.#context = context;
  }

  /** Looks once a second, and at once when a Service changed; what did not change costs a comparison. */
  async run(): Promise<void> {
    const { cache, clock, signal, log } = this.#context;
    const nft = openNft(this.#options.netnsPath);
    let wake = new AbortController();
    cache.informer(Services).addHandler(({ object, previous }) => {
      if (object.spec.type === "LoadBalancer" || previous?.spec.type === "LoadBalancer") wake.abort();
    });
    cache.informer(Nodes);
    await cache.synced();
    try {
      while (!signal.aborted) {
        wake = new AbortController();
        try {
          await this.#pass(nft);
        } catch (error) {
          if (!signal.aborted) log.error("load balancers not brought up to date", { error });
        }
        await sleep(clock, checkEveryMs, AbortSignal.any([signal, wake.signal])).catch(() => {});
      }
    } finally {
      nft.close();
    }
  }

  async #pass(nft: ReturnType<typeof openNft>): Promise<void> {
    const { cache } = this.#context;
    const services = cache.list(Services).filter((service) => isOurs(service) || isOrphaned(service));
    const nodes = targetsAmong(cache.list(Nodes));
    const wanted = services.filter(isOurs);
    const placed: { service: DeepReadonly<Service>; address: string }[] = [];
    const taken = new Set(this.#options.reserved);
    // Those that have an address keep it.
    for (const service of [...wanted].sort((a, b) => rank(a) - rank(b))) {
      try {
        const aws = awsBalancerOf(service);
        const why = whyImpossible(service) ?? (aws && whyAwsRefuses(service, aws));
        if (why) throw new BalancerError(why);
        const address = addressFor(service, this.#options.lan, taken);
        taken.add(address);
        placed.push({ service, address });
        this.#refused.delete(keyOf(service));
      } catch (error) {
        if (!(error instanceof BalancerError)) throw error;
        this.#refuse(service, error.message);
      }
    }
    this.#hold(placed.map(({ address }) => address));
    await this.#check(wanted, nodes);
    const balancers = placed.map(({ service, address }): Balancer => {
      const check = healthCheckOf(service);
      return { service, address, targets: nodes.filter((node) => this.#isHealthy(node, check, service)) };
    });
    const script = compileBalancers(balancers);
    if (script !== this.#applied) await nft.run(script);
    this.#applied = script;
    for (const balancer of balancers) await this.#tell(balancer);
    for (const service of services.filter(isOrphaned)) await this.#release(service);
  }

  /** One question per node and port, however many Services ask it. */
  async #check(services: readonly DeepReadonly<Service>[], nodes: readonly Target[]): Promise<void> {
    const questions = new Map<string, { node: Target; check: HealthCheck }>();
    for (const service of services) {
      const check = healthCheckOf(service);
      for (const node of nodes) questions.set(questionOf(node, check), { node, check });
    }
    for (const key of this.#failures.keys()) if (!questions.has(key)) this.#failures.delete(key);
    await Promise.all(
      [...questions].map(async ([key, { node, check }]) => {
        const isFine = await this.#answers(node.address, check);
        const known = this.#failures.get(key);
        this.#failures.set(key, isFine ? 0 : known === undefined ? neverAnswered : known + 1);
      }),
    );
  }

  #isHealthy(node: Target, check: HealthCheck, service: DeepReadonly<Service>): boolean {
    const limit = awsBalancerOf(service)?.healthCheck.failuresUntilOut ?? failuresUntilOut;
    return (this.#failures.get(questionOf(node, check)) ?? neverAnswered) < limit;
  }

  async #answers(address: string, { port, path }: HealthCheck): Promise<boolean> {
    const { clock, signal } = this.#context;
    const socket = connectIn(this.#options.netnsPath, address, port);
    const timer = clock.setTimer(checkTimeoutMs, () => socket.destroy());
    try {
      socket.write(`GET ${path} HTTP/1.1\r\nHost: ${address}:${port}\r\nConnection: close\r\n\r\n`);
      let text = "";
      for await (const chunk of socket) text += chunk;
      return !signal.aborted && /^HTTP\/1\.[01] 200 /.test(text);
    } catch {
      return false;
    } finally {
      timer[Symbol.dispose]();
      socket.destroy();
    }
  }

  /** Gives the namespace exactly these addresses. */
  #hold(addresses: readonly string[]): void {
    const { netnsPath, link, lan, gateway } = this.#options;
    const links = Links.openIn(netnsPath);
    try {
      const found = links.addresses(link).filter((address) => !address.includes(":"));
      const gone = found.filter((address) => !addresses.includes(address));
      const come = addresses.filter((address) => !found.includes(address));
      if (gone.length === 0 && come.length === 0) return;
      links.apply([
        ...gone.map((address) => ({ kind: "delete-address", link, address: `${address}/32` }) as const),
        ...come.map((address) => ({ kind: "address", link, address: `${address}/32` }) as const),
        // With its last address a link loses its routes.
        { kind: "route", to: lan, link },
        { kind: "route", to: "default", via: gateway, link },
      ]);
    } finally {
      links.close();
    }
  }

  async #tell({ service, address }: Balancer): Promise<void> {
    const { api, events } = this.#context;
    const ingress = service.status?.loadBalancer?.ingress;
    const hasFinalizer = service.metadata.finalizers?.includes(finalizer) ?? false;
    const aws = awsBalancerOf(service);
    const hostname = aws && hostNameOf(service, aws, balancerDomain);
    const isTold = ingress?.length === 1 && ingress[0]?.hostname === hostname && heldAddress(service) === address;
    if (hasFinalizer && isTold) return;
    try {
      events.event(service, "Normal", "EnsuringLoadBalancer", "Ensuring load balancer");
      const finalizers = [...new Set([...(service.metadata.finalizers ?? []), finalizer])];
      // Where the status holds a name, the address behind it stands here.
      const annotations = { [addressAnnotation]: hostname ? address : null };
      const needsNote = hostname !== undefined || service.metadata.annotations?.[addressAnnotation] !== undefined;
      const metadata = { finalizers, ...(needsNote ? { annotations } : {}) };
      const held =
        hasFinalizer && !needsNote
          ? service
          : await api.patch(Services, service.metadata, { type: "merge", body: { metadata } });
      // Proxy: packets from inside the cluster come here too, as in a cloud.
      const loadBalancer = { ingress: [hostname ? { hostname } : { ip: address, ipMode: "Proxy" }] };
      await api.updateStatus(Services, { ...held, status: { ...held.status, loadBalancer } });
      events.event(service, "Normal", "EnsuredLoadBalancer", "Ensured load balancer");
    } catch (error) {
      if (!isConflict(error) && !isNotFound(error)) throw error;
    }
  }

  async #release(service: DeepReadonly<Service>): Promise<void> {
    const { api, events } = this.#context;
    events.event(service, "Normal", "DeletingLoadBalancer", "Deleting load balancer");
    const { finalizers: all = [], deletionTimestamp } = service.metadata;
    const finalizers = all.filter((each) => each !== finalizer);
    try {
      if (!deletionTimestamp && service.status?.loadBalancer?.ingress)
        await api.updateStatus(Services, { ...service, status: { ...service.status, loadBalancer: {} } });
      await api.patch(Services, service.metadata, { type: "merge", body: { metadata: { finalizers } } });
      events.event(service, "Normal", "DeletedLoadBalancer", "Deleted load balancer");
    } catch (error) {
      if (!isConflict(error) && !isNotFound(error)) throw error;
    }
  }

  #refuse(service: DeepReadonly<Service>, message: string): void {
    const key = keyOf(service);
    if (this.#refused.get(key) === message) return;
    this.#refused.set(key, message);
    const text = `Error syncing load balancer: failed to ensure load balancer: ${message}`;
    this.#context.events.event(service, "Warning", "SyncLoadBalancerFailed", text);
  }
}

function isOurs({ metadata, spec }: DeepReadonly<Service>): boolean {
  return (
    spec.type === "LoadBalancer" && isCloudClass(spec.loadBalancerClass) && metadata.deletionTimestamp === undefined
  );
}

/** Its balancer goes: the Service is deleted, or is of another type now. */
function isOrphaned(service: DeepReadonly<Service>): boolean {
  return !isOurs(service) && (service.metadata.finalizers?.includes(finalizer) ?? false);
}

function rank({ spec, status }: DeepReadonly<Service>): number {
  return status?.loadBalancer?.ingress?.length ? 0 : spec.loadBalancerIP ? 1 : 2;
}
