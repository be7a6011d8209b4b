/** Names that a cloud gave to load balancers, with the addresses behind them: what the cloud's own DNS answers elsewhere. */
import type { Service } from "../api/core/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { Services } from "../api/resources.ts";
import { parseIp } from "../base/ip.ts";
import { keyOf, type ObjectKey } from "../controller-runtime/cache.ts";
import type { InformerCache } from "../controller-runtime/informer-cache.ts";
import { type Answer, addressRecord, Rcode, RecordType } from "./message.ts";
import type { Next, Plugin, Query } from "./plugin.ts";

/** On the Service, by whoever wrote the name into its status. */
const addressAnnotation = "pinnace.local/load-balancer-address";
const ttlSeconds = 5;

export class BalancerNames implements Plugin {
  readonly name = "balancer-names";
  readonly #addresses = new Map<string, string>();
  readonly #names = new Map<ObjectKey, string>();

  /** Follows Services; resolves when those of the beginning are known. */
  async inform(cache: InformerCache): Promise<void> {
    const services = cache.informer(Services);
    services.addHandler(({ type, object }) => this.state(keyOf(object), type === "DELETED" ? undefined : object));
    await services.synced;
  }

  state(key: ObjectKey, service: DeepReadonly<Service> | undefined): void {
    const before = this.#names.get(key);
    const hostname = service?.status?.loadBalancer?.ingress?.[0]?.hostname?.toLowerCase();
    const address = service?.metadata.annotations?.[addressAnnotation];
    if (before !== undefined && before !== hostname) this.#addresses.delete(before);
    if (hostname && address) {
      this.#names.set(key, hostname);
      this.#addresses.set(hostname, address);
    } else this.#names.delete(key);
  }

  answer(query: Query, next: Next): Answer | Promise<Answer> {
    const address = this.#addresses.get(query.name);
    const bytes = address && parseIp(address);
    if (!bytes) return next(query);
    const record = addressRecord(query.name, bytes, ttlSeconds);
    const isAsked = query.type === record.type || query.type === RecordType.ANY;
    return {
      rcode: Rcode.NOERROR,
      authoritative: true,
      answers: isAsked ? [record] : [],
      authority: [],
      additional: [],
    };
  }
}
