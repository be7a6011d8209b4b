/** How often the probes of a pod's containers were run, with what result, and how long they took: what /metrics/probes tells. */
import { DurationHistogram } from "../../base/duration-histogram.ts";
import type { MetricFamily, MetricSample } from "../../base/exposition.ts";
import type { PodObject, ProbeKind } from "../pod-state.ts";
import type { ActionResult } from "./action.ts";

interface Tally {
  container: string;
  kind: ProbeKind;
  results: Map<string, number>;
  /** Of those that did not fail, as upstream. */
  durations: DurationHistogram;
}

/** What Prometheus' clients have when nobody says otherwise. */
const boundsInSeconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const;

/** One pod's. */
export class ProbeTallies {
  readonly #tallies = new Map<string, Tally>();

  add(container: string, kind: ProbeKind, result: ActionResult["kind"], tookMs: number): void {
    const key = `${container}/${kind}`;
    let tally = this.#tallies.get(key);
    if (!tally) {
      tally = { container, kind, results: new Map(), durations: new DurationHistogram(boundsInSeconds) };
      this.#tallies.set(key, tally);
    }
    const word = result === "failure" ? "failed" : result === "unknown" ? "unknown" : "successful";
    tally.results.set(word, (tally.results.get(word) ?? 0) + 1);
    if (result !== "failure") tally.durations.observe(tookMs / 1000);
  }

  values(): Iterable<Readonly<Tally>> {
    return this.#tallies.values();
  }
}

export function probeMetrics(pods: readonly { pod: PodObject; probes: ProbeTallies }[]): MetricFamily[] {
  const totals: MetricSample[] = [];
  const times: MetricSample[] = [];
  for (const { pod, probes } of pods) {
    const { name, namespace, uid } = pod.metadata;
    for (const { container, kind, results, durations } of probes.values()) {
      const probeType = kind[0]!.toUpperCase() + kind.slice(1);
      const labels = { container, namespace, pod: name };
      for (const [result, value] of results)
        totals.push({ labels: { ...labels, pod_uid: uid, probe_type: probeType, result }, value });
      times.push(...durations.samples({ ...labels, probe_type: probeType }));
    }
  }
  return [
    {
      name: "prober_probe_duration_seconds",
      help: "[ALPHA] Duration in seconds for a probe response.",
      type: "histogram",
      samples: times,
    },
    {
      name: "prober_probe_total",
      help: "[ALPHA] Cumulative number of a liveness, readiness or startup probe for a container by result.",
      type: "counter",
      samples: totals,
    },
  ];
}
