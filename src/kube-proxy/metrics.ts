/** What a node's proxy counts: Prometheus' text format, upstream's names. */
import type { Service } from "../api/core/v1.ts";
import type { EndpointSlice } from "../api/discovery/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import type { IpFamily } from "./compile-ruleset.ts";
import { backendsOf } from "./endpoints.ts";
import type { NodeView } from "./node-view.ts";

type ChangeOf = "service" | "endpoint";

/** Upper bounds in seconds, from a millisecond to sixteen seconds, each twice the one before. */
const bounds = Array.from({ length: 15 }, (_, i) => 2 ** i / 1000);

/** How often something took how long. */
class Histogram {
  /** One a bound, and one for what took longer. */
  readonly #counts = new Array<number>(bounds.length + 1).fill(0);
  #sum = 0;

  add(seconds: number): void {
    const bucket = bounds.findIndex((bound) => seconds <= bound);
    this.#counts[bucket < 0 ? bounds.length : bucket]!++;
    this.#sum += seconds;
  }

  lines(name: string, labels: string): string[] {
    let below = 0;
    const buckets = [...bounds.map(String), "+Inf"].map((bound, i) => {
      below += this.#counts[i]!;
      return `${name}_bucket{${labels},le="${bound}"} ${below}`;
    });
    return [...buckets, `${name}_sum{${labels}} ${this.#sum}`, `${name}_count{${labels}} ${below}`];
  }
}

class FamilyCounts {
  readonly all = new Histogram();
  readonly full = new Histogram();
  readonly partial = new Histogram();
  failures = 0;
  lastAppliedMs = 0;
}

export class ProxyMetrics {
  readonly #families: ReadonlyMap<IpFamily, FamilyCounts>;
  readonly #changes = { service: { total: 0, pending: 0 }, endpoint: { total: 0, pending: 0 } };
  readonly #answers = { healthz: new Map<number, number>(), livez: new Map<number, number>() };
  #lastQueuedMs = 0;

  constructor(families: readonly IpFamily[]) {
    this.#families = new Map(families.map((family) => [family, new FamilyCounts()]));
  }

  changed(of: ChangeOf, atMs: number): void {
    this.#changes[of].total++;
    this.#changes[of].pending++;
    this.#lastQueuedMs = atMs;
  }

  /** The changes so far are on their way into the kernel. */
  taken(): void {
    for (const of of ["service", "endpoint"] as const) this.#changes[of].pending = 0;
  }

  /** `isFull`: the table was stated as a whole. */
  applied(family: IpFamily, { begunMs, atMs, isFull }: { begunMs: number; atMs: number; isFull: boolean }): void {
    const counts = this.#families.get(family)!;
    const seconds = (atMs - begunMs) / 1000;
    counts.all.add(seconds);
    (isFull ? counts.full : counts.partial).add(seconds);
    counts.lastAppliedMs = atMs;
  }

  failed(family: IpFamily): void {
    this.#families.get(family)!.failures++;
  }

  answered(door: "healthz" | "livez", code: number): void {
    const answers = this.#answers[door];
    answers.set(code, (answers.get(code) ?? 0) + 1);
  }

  /** `services`: those that have rules on the node, for what is counted when somebody asks. */
  text(services: Iterable<ServiceView>, node: NodeView): string {
    const families = [...this.#families];
    const perFamily = (value: (counts: FamilyCounts) => number) =>
      families.map(([family, counts]) => [ipFamily(family), value(counts)] as const);
    const durations = (name: string, help: string, of: (counts: FamilyCounts) => Histogram) => [
      `# HELP ${name} ${help}`,
      `# TYPE ${name} histogram`,
      ...families.flatMap(([family, counts]) => of(counts).lines(name, ipFamily(family))),
    ];
    const changes = (of: ChangeOf, noun: string) => [
      ...family(`${sync}_${of}_changes_pending`, "gauge", `Pending proxy rules ${noun} changes`, [
        ["", this.#changes[of].pending],
      ]),
      ...family(`${sync}_${of}_changes_total`, "counter", `Cumulative proxy rules ${noun} changes`, [
        ["", this.#changes[of].total],
      ]),
    ];
    const answers = (door: "healthz" | "livez") =>
      family(
        `kubeproxy_proxy_${door}_total`,
        "counter",
        `Cumulative proxy ${door} HTTP status`,
        [...this.#answers[door]].map(([code, count]) => [`code="${code}"`, count]),
      );
    const known = [...services];
    const lines = [
      ...durations(`${sync}_duration_seconds`, "SyncProxyRules latency in seconds", ({ all }) => all),
      ...durations(
        "kubeproxy_sync_full_proxy_rules_duration_seconds",
        "SyncProxyRules latency in seconds for full resyncs",
        ({ full }) => full,
      ),
      ...durations(
        "kubeproxy_sync_partial_proxy_rules_duration_seconds",
        "SyncProxyRules latency in seconds for partial resyncs",
        ({ partial }) => partial,
      ),
      ...family(
        `${sync}_last_timestamp_seconds`,
        "gauge",
        "The last time proxy rules were successfully synced",
        perFamily(({ lastAppliedMs }) => lastAppliedMs / 1000),
      ),
      ...family(
        `${sync}_last_queued_timestamp_seconds`,
        "gauge",
        "The last time a sync of proxy rules was queued",
        perFamily(() => this.#lastQueuedMs / 1000),
      ),
      ...family(
        `${sync}_nftables_sync_failures_total`,
        "counter",
        "Cumulative proxy nftables sync failures",
        perFamily(({ failures }) => failures),
      ),
      ...family(
        `${sync}_no_local_endpoints_total`,
        "gauge",
        "Number of services with a Local traffic policy and no endpoints",
        families.flatMap(([name]) =>
          (["internal", "external"] as const).map((policy) => {
            const count = known.filter((each) => lacksLocalEndpoint(each, policy, node, name)).length;
            return [`${ipFamily(name)},traffic_policy="${policy}"`, count] as const;
          }),
        ),
      ),
      ...changes("service", "Service"),
      ...changes("endpoint", "Endpoint"),
      ...answers("healthz"),
      ...answers("livez"),
    ];
    return `${lines.join("\n")}\n`;
  }
}

export interface ServiceView {
  service: DeepReadonly<Service>;
  slices: readonly DeepReadonly<EndpointSlice>[];
}

const sync = "kubeproxy_sync_proxy_rules";

/** A policy keeps the node's traffic to the node, and there is nobody here although there is elsewhere. */
function lacksLocalEndpoint(
  { service: { spec }, slices }: ServiceView,
  policy: "internal" | "external",
  node: NodeView,
  family: IpFamily,
): boolean {
  const isLocal = (policy === "internal" ? spec.internalTrafficPolicy : spec.externalTrafficPolicy) === "Local";
  if (!isLocal) return false;
  return (spec.ports ?? []).some((port) => {
    const { cluster, local } = backendsOf(port, slices, node, family);
    return cluster.length > 0 && local.length === 0;
  });
}

function ipFamily(family: IpFamily): string {
  return `ip_family="${family === "ipv4" ? "IPv4" : "IPv6"}"`;
}

/** One metric with its samples, each with its labels; nothing where there are none. */
function family(
  name: string,
  type: "counter" | "gauge",
  help: string,
  samples: readonly (readonly [labels: string, value: number])[],
): string[] {
  if (samples.length === 0) return [];
  return [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} ${type}`,
    ...samples.map(([labels, value]) => `${name}${labels && `{${labels}}`} ${value}`),
  ];
}
