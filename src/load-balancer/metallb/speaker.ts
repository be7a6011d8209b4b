/** Has the elected nodes announce the addresses of Services (MetalLB's speakers, those of all local nodes in one). */
import { EndpointSlices, Nodes, Services } from "../../api/resources.ts";
import { keyOf, type ObjectKey, objectKey } from "../../controller-runtime/cache.ts";
import type { ControllerProcess, ProcessContext } from "../../controller-runtime/controller.ts";
import { slicesByService } from "../../controller-runtime/service-indexes.ts";
import { heldAddresses } from "./allocate.ts";
import { type Election, elect } from "./elect.ts";
import { IPAddressPools, L2Advertisements } from "./kinds.ts";
import { L2Announcer } from "./l2-announcer.ts";
import { type Member, Membership } from "./membership.ts";
import { readPools } from "./pools.ts";

export interface SpeakerOptions {
  nodes: readonly (Member & { mac: string })[];
  /** The name of the nodes' links on the LAN. */
  link: string;
  /** This machine on the LAN, which hears who is there. */
  observer: { address: string; netnsPath: string };
}

export function metallbSpeaker(options: SpeakerOptions): ControllerProcess {
  return {
    name: "metallb-speaker",
    run: (context) => new Speaker(options, context).run(),
  };
}

class Speaker {
  readonly #options: SpeakerOptions;
  readonly #context: ProcessContext;
  readonly #announcers: Map<string, L2Announcer>;
  /** Who announces what for which Service now. */
  readonly #elections = new Map<ObjectKey, Election[]>();
  readonly #dirty = new Set<ObjectKey>();
  /** What is wrong with pools, by their uid: told once. */
  #mistakes = new Map<string, string>();
  #wake: (() => void) | undefined;
  #membership: Membership | undefined;

  constructor(options: SpeakerOptions, context: ProcessContext) {
    this.#options = options;
    this.#context = context;
    const { clock, signal } = context;
    this.#announcers = new Map(
      options.nodes.map(({ name, netnsPath, mac }) => [
        name,
        new L2Announcer({ netnsPath, link: options.link, mac, clock, signal }),
      ]),
    );
  }

  async run(): Promise<void> {
    const { cache, signal, log } = this.#context;
    const slices = cache.informer(EndpointSlices);
    slices.addIndex(slicesByService);
    const all = () => this.#markAll();
    cache.informer(Services).addHandler(({ object, previous }) => {
      if (heldAddresses(object).length > 0 || (previous && heldAddresses(previous).length > 0))
        this.#mark(keyOf(object));
    });
    slices.addHandler(({ object: { metadata } }) => {
      const name = metadata.labels?.["kubernetes.io/service-name"];
      if (!name) return;
      const key = objectKey(name, metadata.namespace);
      const service = cache.get(Services, key);
      if (service && heldAddresses(service).length > 0) this.#mark(key);
    });
    cache.informer(IPAddressPools).addHandler(all);
    cache.informer(L2Advertisements).addHandler(all);
    // Heartbeats change a Node several times a minute: only what elections look at counts.
    cache.informer(Nodes).addHandler(({ object, previous }) => {
      if (!previous || JSON.stringify(electoralFacts(object)) !== JSON.stringify(electoralFacts(previous))) all();
    });
    await cache.synced();
    all();
    while (!signal.aborted) {
      try {
        this.#pass();
      } catch (error) {
        log.error("addresses not announced", { error });
      }
      await this.#changed(signal);
    }
  }

  #pass(): void {
    const { cache, events } = this.#context;
    const dirty = [...this.#dirty];
    this.#dirty.clear();
    const poolObjects = cache.list(IPAddressPools);
    const { pools, mistakes } = readPools(poolObjects);
    const told = this.#mistakes;
    this.#mistakes = new Map(mistakes.map(({ pool, message }) => [pool.metadata.uid, message]));
    for (const { pool, message } of mistakes) {
      if (told.get(pool.metadata.uid) !== message) events.event(pool, "Warning", "ConfigError", message);
    }
    const local = new Set(this.#announcers.keys());
    const view = {
      pools,
      poolObjects,
      advertisements: cache.list(L2Advertisements),
      nodes: cache
        .list(Nodes)
        .filter(({ metadata }) => local.has(metadata.name) && (this.#membership?.isAlive(metadata.name) ?? true)),
      link: this.#options.link,
    };
    for (const key of dirty) {
      const service = cache.get(Services, key);
      const before = this.#elections.get(key) ?? [];
      const isOurs = service?.spec.type === "LoadBalancer" && !service.spec.loadBalancerClass;
      const now = isOurs ? elect(service, cache.byIndex(EndpointSlices, slicesByService.name, key), view) : [];
      if (now.length > 0) this.#elections.set(key, now);
      else this.#elections.delete(key);
      for (const { address, node, lacksLink } of now) {
        const previously = before.find((election) => election.address === address);
        if (!service || (previously?.node === node && previously?.lacksLink === lacksLink)) continue;
        if (lacksLink) {
          const message = `the interfaces specified by LB IP "${address}" doesn't exist in assigned node with protocol "layer2"`;
          events.event(service, "Warning", "announceFailed", message);
        } else if (node)
          events.event(service, "Normal", "nodeAssigned", `announcing from node "${node}" with protocol "layer2"`);
      }
    }
    const byNode = new Map<string, Set<string>>([...local].map((name) => [name, new Set()]));
    for (const elections of this.#elections.values())
      for (const { address, node } of elections) if (node) byNode.get(node)?.add(address);
    // Who gives an address up does so before another takes it.
    const order = [...byNode].sort(([a]) => (this.#membership?.isAlive(a) === false ? -1 : 1));
    for (const [name, addresses] of order) this.#announcers.get(name)!.announce(addresses);
    if (this.#elections.size > 0) this.#listen();
  }

  /** Nodes say that they are there only once there is something to take over. */
  #listen(): void {
    if (this.#membership) return;
    const { clock, signal, log } = this.#context;
    const onChange = () => this.#markAll();
    this.#membership = new Membership({ ...this.#options, clock, signal, onChange });
    this.#membership.run().catch((error) => log.error("nodes cannot hear one another", { error }));
  }

  #mark(key: ObjectKey): void {
    this.#dirty.add(key);
    this.#wake?.();
  }

  #markAll(): void {
    for (const service of this.#context.cache.list(Services))
      if (heldAddresses(service).length > 0) this.#dirty.add(keyOf(service));
    for (const key of this.#elections.keys()) this.#dirty.add(key);
    this.#wake?.();
  }

  #changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.#wake = undefined;
        signal.removeEventListener("abort", done);
        resolve();
      };
      if (this.#dirty.size > 0 || signal.aborted) return done();
      this.#wake = done;
      signal.addEventListener("abort", done, { once: true });
    });
  }
}

function electoralFacts({ metadata, status }: { metadata: object; status?: { conditions?: readonly object[] } }) {
  const { labels } = metadata as { labels?: object };
  const conditions = (status?.conditions ?? []) as readonly { type: string; status: string }[];
  return [labels, conditions.find(({ type }) => type === "NetworkUnavailable")?.status];
}
