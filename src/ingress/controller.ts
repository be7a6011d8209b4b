/** Follows Ingresses and has each local node's nginx serve them (upstream's ingress-nginx controller). */
import type { Ingress } from "../api/networking/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { EndpointSlices, IngressClasses, Ingresses, Secrets, Services } from "../api/resources.ts";
import { isConflict, isNotFound } from "../apimachinery/status-error.ts";
import { sleep } from "../base/clock.ts";
import { keyOf, type ObjectKey } from "../controller-runtime/cache.ts";
import type { ControllerProcess, ProcessContext } from "../controller-runtime/controller.ts";
import { serviceOfSlice, slicesByService } from "../controller-runtime/service-indexes.ts";
import { compileNginx, type NginxSettings } from "./compile-nginx.ts";
import { Nginx, NginxMissing, type NginxOptions, NginxRefused } from "./nginx.ts";
import { type IngressPlan, type IngressView, isOurs, planIngress } from "./plan-ingress.ts";

export interface IngressNode extends NginxOptions {
  /** The node's addresses, one a family: where nginx listens, and what the Ingress's status says. */
  addresses: readonly string[];
}

export interface IngressOptions {
  nodes: readonly IngressNode[];
  resolver: string;
  user: string;
  /** For hosts whose Secret is missing, and for names that no Ingress has. Another is asked for when it `isStale`. */
  defaultCertificate(): Promise<DefaultCertificate>;
}

export interface DefaultCertificate {
  certificate: string;
  key: string;
  /** It ends soon, or nobody vouches for it any more. */
  isStale(): boolean;
}

/** What many changes in a row cost one reload. */
const gatherMs = 10;
/** nginx is looked after that often, while there is an Ingress. */
const lookEveryMs = 5000;

export function ingressController(options: IngressOptions): ControllerProcess {
  return {
    name: "ingress-controller",
    eventSource: "nginx-ingress-controller",
    run: (context) => new IngressController(options, context).run(),
  };
}

class IngressController {
  readonly #options: IngressOptions;
  readonly #context: ProcessContext;
  readonly #servers: { node: IngressNode; nginx: Nginx }[];
  /** What was last said about an Ingress, so that it is not said again. */
  readonly #told = new Map<ObjectKey, string>();
  #default: DefaultCertificate | undefined;
  #wake = new AbortController();
  #isFollowing = false;

  constructor(options: IngressOptions, context: ProcessContext) {
    this.#options = options;
    this.#context = context;
    this.#servers = options.nodes.map((node) => ({ node, nginx: new Nginx(node) }));
  }

  async run(): Promise<void> {
    const { cache, clock, signal, log } = this.#context;
    cache.informer(Ingresses).addHandler(({ type, object: { spec, metadata }, previous }) => {
      const isSame = spec === previous?.spec && metadata.annotations === previous.metadata.annotations;
      if (type !== "MODIFIED" || !isSame || metadata.deletionTimestamp) this.#wake.abort();
    });
    cache.informer(IngressClasses).addHandler(() => this.#wake.abort());
    await cache.synced();
    while (!signal.aborted) {
      this.#wake = new AbortController();
      let isServing = true;
      try {
        isServing = await this.#pass();
      } catch (error) {
        if (!signal.aborted) log.error("ingresses not brought up to date", { error });
      }
      const patience = isServing ? lookEveryMs : 2 ** 31 - 1;
      await sleep(clock, patience, AbortSignal.any([signal, this.#wake.signal])).catch(() => {});
      await sleep(clock, gatherMs, signal).catch(() => {});
    }
  }

  /** Returns whether there is anything to serve. */
  async #pass(): Promise<boolean> {
    const { cache, signal } = this.#context;
    const classes = cache.list(IngressClasses);
    const ours = cache.list(Ingresses).filter((each) => !each.metadata.deletionTimestamp && isOurs(each, classes));
    if (ours.length === 0) {
      for (const { nginx } of this.#servers) nginx.stop();
      return false;
    }
    await this.#followBackends();
    const { plan, served } = await this.#acceptable(ours);
    if (signal.aborted) return true;
    for (const { node, nginx } of this.#servers) {
      await nginx.apply(compileNginx(plan, this.#settingsOf(node)), plan.certificates, signal);
    }
    for (const ingress of ours) {
      const problem = plan.problems.find((each) => each.ingress === ingress);
      if (problem) this.#tell(ingress, "Warning", problem.reason, problem.message);
      else if (served.has(ingress)) this.#tell(ingress, "Normal", "Sync", "Scheduled for sync");
    }
    for (const ingress of served) await this.#writeAddress(ingress);
    return true;
  }

  /** The plan of those Ingresses that nginx takes. One that it does not keeps none of the others away. */
  async #acceptable(
    ours: readonly DeepReadonly<Ingress>[],
  ): Promise<{ plan: IngressPlan; served: Set<DeepReadonly<Ingress>> }> {
    const { signal } = this.#context;
    const [first] = this.#servers;
    const whole = await this.#plan(ours);
    const refusal = async (plan: IngressPlan) => {
      try {
        await first?.nginx.try(compileNginx(plan, this.#settingsOf(first.node)), plan.certificates, signal);
        return undefined;
      } catch (error) {
        if (error instanceof NginxMissing)
          for (const each of ours) this.#tell(each, "Warning", "NginxMissing", error.message);
        if (!(error instanceof NginxRefused)) throw error;
        return error.message;
      }
    };
    if ((await refusal(whole)) === undefined) return { plan: whole, served: new Set(ours) };
    const served: DeepReadonly<Ingress>[] = [];
    for (const ingress of ours) {
      const why = await refusal(await this.#plan([ingress]));
      if (why === undefined) served.push(ingress);
      else this.#tell(ingress, "Warning", "Rejected", `nginx refuses its configuration: ${why}`);
    }
    return { plan: await this.#plan(served), served: new Set(served) };
  }

  async #plan(ingresses: readonly DeepReadonly<Ingress>[]): Promise<IngressPlan> {
    const plan = planIngress(ingresses, this.#view());
    if (!this.#default || this.#default.isStale()) this.#default = await this.#options.defaultCertificate();
    const { certificate, key } = this.#default;
    plan.certificates.set("", { certificate, key });
    return plan;
  }

  #settingsOf(node: IngressNode): NginxSettings {
    const { resolver, user } = this.#options;
    return { folder: node.folder, listen: node.addresses, resolver, user };
  }

  #view(): IngressView {
    const { cache } = this.#context;
    return {
      service: (key) => cache.get(Services, key as ObjectKey),
      secret: (key) => cache.get(Secrets, key as ObjectKey),
      endpoints: (key, portName) =>
        cache.byIndex(EndpointSlices, slicesByService.name, key).flatMap(({ addressType, ports, endpoints }) => {
          const port = ports?.find((each) => (each.name ?? "") === portName)?.port;
          if (port === undefined || addressType !== "IPv4") return [];
          const ready = (endpoints ?? []).filter(({ conditions }) => conditions?.ready !== false);
          return ready.map(({ addresses }) => `${addresses[0]}:${port}`).sort();
        }),
    };
  }

  /** Nobody follows Services and Secrets for the sake of Ingresses that are not there. */
  async #followBackends(): Promise<void> {
    if (this.#isFollowing) return;
    this.#isFollowing = true;
    const { cache } = this.#context;
    cache.informer(EndpointSlices).addIndex(slicesByService);
    cache.informer(EndpointSlices).addHandler(({ object: slice }) => {
      // With an address of its own a Service's endpoints are the node's rules' business.
      const key = serviceOfSlice(slice);
      const service = key && cache.get(Services, key);
      if (service && service.spec.clusterIP === "None") this.#wake.abort();
    });
    cache.informer(Services).addHandler(({ object, previous }) => {
      if (object.spec !== previous?.spec) this.#wake.abort();
    });
    cache.informer(Secrets).addHandler(({ object }) => {
      if (object.type === "kubernetes.io/tls" || object.data?.["tls.crt"]) this.#wake.abort();
    });
    await cache.synced();
  }

  #tell(ingress: DeepReadonly<Ingress>, type: "Normal" | "Warning", reason: string, message: string): void {
    const key = keyOf(ingress);
    const words = `${ingress.metadata.uid} ${ingress.metadata.generation} ${reason} ${message}`;
    if (this.#told.get(key) === words) return;
    this.#told.set(key, words);
    this.#context.events.event(ingress, type, reason, message);
  }

  async #writeAddress(ingress: DeepReadonly<Ingress>): Promise<void> {
    const { api, cache } = this.#context;
    const current = cache.get(Ingresses, keyOf(ingress));
    const addresses = this.#servers.flatMap(({ node }) => node.addresses.map((ip) => ({ ip })));
    if (!current || JSON.stringify(current.status.loadBalancer?.ingress) === JSON.stringify(addresses)) return;
    try {
      await api.updateStatus(Ingresses, { ...current, status: { loadBalancer: { ingress: addresses } } });
    } catch (error) {
      // Written by another, or gone: the change wakes us.
      if (!isConflict(error) && !isNotFound(error)) throw error;
      if (isConflict(error)) this.#wake.abort();
    }
  }
}
