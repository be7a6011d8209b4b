/** Keeps the packet filter of one node as the Services ask: the thin applier beside compile-ruleset.ts. */
import { writeFileSync } from "node:fs";
import type { EndpointSlice } from "../api/discovery/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { backoffDelayMs } from "../base/backoff.ts";
import { type Clock, sleep } from "../base/clock.ts";
import { familyOf } from "../base/ip.ts";
import type { Logger } from "../base/logger.ts";
import { inNetns } from "../base/node/netns.ts";
import type { ObjectKey } from "../controller-runtime/cache.ts";
import { openNft } from "../nftables/nft.ts";
import type { Rules } from "../nftables/ruleset.ts";
import { PartsRefused, Table } from "../nftables/table.ts";
import { compileBase, compileService, type IpFamily, tableName } from "./compile-ruleset.ts";
import { Conntrack, type Protocol, type StaleConnections } from "./conntrack.ts";
import { ProxyMetrics } from "./metrics.ts";
import type { NodeView } from "./node-view.ts";
import type { ServiceSource } from "./service-source.ts";

export interface ProxierOptions {
  node: NodeView;
  source: ServiceSource;
  /** The node's network namespace; this process's own when left out. */
  netnsPath?: string;
  clock: Clock;
  log: Logger;
}

const retry = { initialMs: 100, maximumMs: 30_000 };

export class Proxier {
  /** Resolves when the rules for everything that was there at first are in effect. */
  readonly synced: Promise<void>;
  #resolveSynced!: () => void;
  readonly #options: ProxierOptions;
  readonly #changed = new Set<ObjectKey>();
  #wake: (() => void) | undefined;
  #isSettled = false;
  #settling: (() => void)[] = [];
  #failures = 0;
  /** When rules last took effect. */
  lastAppliedMs: number | undefined;
  readonly metrics: ProxyMetrics;
  /** Services that have rules on the node, or may have. */
  readonly #known = new Set<ObjectKey>();

  constructor(options: ProxierOptions) {
    this.#options = options;
    this.metrics = new ProxyMetrics(familiesOf(options.node));
    this.synced = new Promise((resolve) => {
      this.#resolveSynced = resolve;
    });
  }

  /** False before the first rules and after a refused transaction: what the kernel holds is not what it should hold. */
  get isHealthy(): boolean {
    return this.lastAppliedMs !== undefined && this.#failures === 0;
  }

  /** Prometheus' text format. */
  exposition(): string {
    const { node, source } = this.#options;
    const services = [...this.#known].flatMap((key) => {
      const service = source.get(key);
      return service ? [{ service, slices: source.slicesOf(key) }] : [];
    });
    return this.metrics.text(services, node);
  }

  /** Resolves when every change told so far is in effect. */
  settled(): Promise<void> {
    if (this.#isSettled) return Promise.resolve();
    return new Promise((resolve) => this.#settling.push(resolve));
  }

  /**
   * Works until the signal aborts, and then leaves the rules as they are: traffic goes on without us. Changes that come
   * while a transaction runs go into the next one together. A refused transaction is retried from a full rewrite.
   */
  async run(signal: AbortSignal): Promise<void> {
    const { node, source, netnsPath, clock, log } = this.#options;
    await Promise.race([source.synced(), aborted(signal)]);
    if (signal.aborted) return;
    const nft = openNft(netnsPath);
    const conntrack = netnsPath ? inNetns(netnsPath, () => new Conntrack()) : new Conntrack();
    const forgetter = new Forgetter(conntrack, clock, log, signal);
    try {
      const families = familiesOf(node).map((family) => {
        const table = new Table(nft, { family: family === "ipv4" ? "ip" : "ip6", name: tableName });
        table.contents.state("", compileBase(node, family));
        return { family, table, compiled: new Map<ObjectKey, Compiled>() };
      });
      source.onChange((service, of) => {
        this.#changed.add(service);
        this.metrics.changed(of, clock.now());
        this.#isSettled = false;
        this.#wake?.();
      });
      // The setting is there once the first rule that tracks connections is.
      const tuneConntrack = once(() => netnsPath && inNetns(netnsPath, forgetClosedConnectionsSoon));
      let stale: StaleConnections[] = [];
      while (!signal.aborted) {
        const changed = [...this.#changed];
        this.#changed.clear();
        this.metrics.taken();
        for (const service of changed) {
          if (source.get(service)) this.#known.add(service);
          else this.#known.delete(service);
        }
        const isFull = this.lastAppliedMs === undefined || this.#failures > 0;
        for (const family of families) for (const service of changed) stale.push(...this.#compile(service, family));
        try {
          for (const each of families) {
            const begunMs = clock.now();
            await this.#apply(each, signal);
            this.metrics.applied(each.family, { begunMs, atMs: clock.now(), isFull });
          }
          forgetter.forget(stale);
          stale = [];
          this.#failures = 0;
          this.lastAppliedMs = clock.now();
          tuneConntrack();
          this.#resolveSynced();
        } catch (error) {
          const failures = ++this.#failures;
          log.error("service rules not applied; the old ones still hold", { node: node.name, failures, error });
          await sleep(clock, backoffDelayMs(retry, failures), signal).catch(() => {});
          continue;
        }
        if (this.#changed.size > 0) continue;
        this.#isSettled = true;
        for (const resolve of this.#settling.splice(0)) resolve();
        await this.#change(signal);
      }
    } finally {
      nft.close();
      await forgetter.close();
    }
  }

  /** Services whose rules the kernel does not take keep the rules they had, and keep nobody else from theirs. */
  async #apply({ family, table }: { family: IpFamily; table: Table }, signal: AbortSignal): Promise<void> {
    const { node, clock, log } = this.#options;
    try {
      await table.apply();
    } catch (error) {
      this.metrics.failed(family);
      if (!(error instanceof PartsRefused) || error.owners.includes("")) throw error;
      log.error("rules of some services not applied", { node: node.name, services: error.owners, error });
      const again = () => {
        for (const service of error.owners) this.#changed.add(service as ObjectKey);
        this.#wake?.();
      };
      void sleep(clock, retry.maximumMs, signal).then(again, () => {});
    }
  }

  /** Puts a Service's present rules into the table; returns the connections that lost their endpoint by it. */
  #compile(
    key: ObjectKey,
    { family, table, compiled }: { family: IpFamily; table: Table; compiled: Map<ObjectKey, Compiled> },
  ): StaleConnections[] {
    const { node, source } = this.#options;
    const service = source.get(key);
    const slices = service ? source.slicesOf(key) : [];
    const before = compiled.get(key) ?? { rules: {}, lingering: new Map() };
    const zone = source.zoneOf?.(node.name) ?? node.zone;
    const rules = service ? compileService(service, slices, zone === undefined ? node : { ...node, zone }, family) : {};
    const { stale, lingering } = staleConnections(before, rules, service !== undefined, slices);
    if (service) compiled.set(key, { rules, lingering });
    else compiled.delete(key);
    // Of two Services that claim one external address and port the older has it.
    table.contents.state(key, service ? rules : undefined, `${service?.metadata.creationTimestamp} ${key}`);
    return stale;
  }

  #change(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.#wake = undefined;
        signal.removeEventListener("abort", done);
        resolve();
      };
      this.#wake = done;
      signal.addEventListener("abort", done, { once: true });
    });
  }
}

/**
 * The ends of a closed TCP connection remember it themselves. If the node did so for its usual two minutes too, a client
 * that opens thousands of connections, some straight to a pod and some through its Service, would run out of ports that
 * do not clash.
 */
function forgetClosedConnectionsSoon(): void {
  try {
    writeFileSync("/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_time_wait", "1");
  } catch {
    // A kernel without the setting, or one that lets nobody change it: the usual two minutes then.
  }
}

function once(work: () => unknown): () => void {
  let isDone = false;
  return () => {
    if (!isDone) work();
    isDone = true;
  };
}

/** Forgets stale connections behind the rules' back, those of a busy time together. */
class Forgetter {
  readonly #conntrack: Conntrack;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #signal: AbortSignal;
  #stale: StaleConnections[] = [];
  #running: Promise<void> | undefined;

  constructor(conntrack: Conntrack, clock: Clock, log: Logger, signal: AbortSignal) {
    this.#signal = signal;
    this.#conntrack = conntrack;
    this.#clock = clock;
    this.#log = log;
  }

  forget(stale: readonly StaleConnections[]): void {
    this.#stale.push(...stale);
    if (this.#stale.length > 0) this.#running ??= this.#run();
  }

  async close(): Promise<void> {
    await this.#running;
    this.#conntrack.close();
  }

  async #run(): Promise<void> {
    let failures = 0;
    while (this.#stale.length > 0) {
      const stale = this.#stale.splice(0);
      try {
        await this.#conntrack.clear(stale);
        failures = 0;
      } catch (error) {
        this.#log.warn("connections to removed endpoints not cleared", { error });
        if (++failures < attemptsToForget && !this.#signal.aborted) this.#stale.unshift(...stale);
        else failures = 0;
      }
      await sleep(this.#clock, pauseBetweenWalksMs, this.#signal).catch(() => {});
    }
    this.#running = undefined;
  }
}

/** A walk over the connection table takes some 10 ms: this keeps it under a tenth of a core at the worst. */
const pauseBetweenWalksMs = 100;
const attemptsToForget = 5;

/**
 * Which connections must be forgotten when a Service's rules change. UDP has no end of its own: every endpoint that is no
 * longer chosen loses its clients, and clients that met no Service before meet it now. TCP clients lose only an endpoint
 * that is gone altogether; one that terminates may finish what it does (it lingers), and so may those of a deleted Service.
 */
function staleConnections(
  before: Compiled,
  after: Rules,
  serviceExists: boolean,
  slices: readonly DeepReadonly<EndpointSlice>[],
): { stale: StaleConnections[]; lingering: Backends } {
  const stale: StaleConnections[] = [];
  const lingering: Backends = new Map();
  const isKnown = (ip: string) =>
    slices.some(({ endpoints }) => endpoints?.some(({ addresses }) => addresses[0] === ip));
  const earlier = [...before.lingering, ...backendsIn(before.rules)];
  // A Service that is new has nobody to lose: at the start that is all of them.
  const now: Backends = earlier.length > 0 ? backendsIn(after) : new Map();
  for (const [backend, destinations] of earlier) {
    if (now.has(backend)) continue;
    const [protocol, ip, port] = backend.split(" . ") as [Protocol, string, string];
    if (protocol === "udp" || (serviceExists && !isKnown(ip))) {
      stale.push({ protocol, destinations, endpoint: { ip, port: Number(port) } });
    } else if (serviceExists) lingering.set(backend, destinations);
  }
  const entered = new Set<string>();
  for (const map of ["service-ips", "service-nodeports"]) {
    const known = before.rules.elements?.get(map);
    for (const key of after.elements?.get(map)?.keys() ?? []) {
      if (!known?.has(key) && isUdp(key)) entered.add(destinationOf(key));
    }
  }
  if (entered.size > 0) stale.push({ protocol: "udp", destinations: entered });
  return { stale, lingering };
}

/** What the table holds for a Service, and the endpoints it had that may still have clients. */
interface Compiled {
  rules: Rules;
  lingering: Backends;
}

/** Endpoints, `protocol . ip . port`, each with where clients must send for it. */
type Backends = Map<string, Set<string>>;

/** Every endpoint that a Service's rules can choose, `protocol . ip . port`, with where clients must send for it. */
function backendsIn(rules: Rules): Backends {
  const backends: Backends = new Map();
  const add = (protocol: string, value: string, destination: string) => {
    const key = `${protocol} . ${value}`;
    const destinations = backends.get(key);
    if (destinations) destinations.add(destination);
    else backends.set(key, new Set([destination]));
  };
  for (const map of ["service-endpoints", "nodeport-endpoints"]) {
    for (const [key, { value }] of rules.elements?.get(map) ?? []) {
      const entry = key.slice(0, key.lastIndexOf(" . "));
      add(protocolOf(entry), value, destinationOf(entry));
    }
  }
  // Chains of the Service's own: whatever enters it may come to any of their endpoints.
  const entries = ["service-ips", "service-nodeports"].flatMap((map) => [...(rules.elements?.get(map)?.keys() ?? [])]);
  for (const { rules: chainRules } of rules.chains?.values() ?? []) {
    for (const rule of chainRules) {
      for (const statement of rule) {
        if (statement.kind !== "dnat" || !("entries" in statement.map)) continue;
        for (const [, value] of statement.map.entries) {
          for (const entry of entries) add(protocolOf(entry), value, destinationOf(entry));
        }
      }
    }
  }
  return backends;
}

/** Of `ip . protocol . port` and `protocol . port`. */
function protocolOf(entry: string): string {
  return entry.split(" . ").at(-2)!;
}

function destinationOf(entry: string): string {
  const parts = entry.split(" . ");
  return parts.length === 3 ? `${parts[0]}:${parts[2]}` : `:${parts[1]}`;
}

function isUdp(entry: string): boolean {
  return protocolOf(entry) === "udp";
}

function familiesOf(node: NodeView): IpFamily[] {
  return [...new Set(node.addresses.map(familyOf))].sort();
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
