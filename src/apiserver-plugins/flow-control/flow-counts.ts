/** What became of the requests of one FlowSchema at one level, for Prometheus. */
import type { MetricSample } from "../../base/exposition.ts";

/** `cancelled`: whoever asked went away while it waited. */
export type RejectionReason = "concurrency-limit" | "queue-full" | "time-out" | "cancelled";

export class FlowCounts {
  dispatched = 0;
  readonly rejected = new Map<RejectionReason, number>();
  readonly waited = new DurationHistogram();
  readonly waitedInVain = new DurationHistogram();
  readonly executed = new DurationHistogram();
}

const boundsInSeconds = [0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30] as const;

export class DurationHistogram {
  /** How many took no longer than each bound, not counted in the bounds before; the last is for all others. */
  readonly #buckets = new Float64Array(boundsInSeconds.length + 1);
  #seconds = 0;

  observe(seconds: number): void {
    this.#seconds += seconds;
    let bucket = 0;
    while (bucket < boundsInSeconds.length && seconds > boundsInSeconds[bucket]!) bucket++;
    this.#buckets[bucket]!++;
  }

  /** None before the first observation. */
  samples(labels: Readonly<Record<string, string>>): MetricSample[] {
    let sum = 0;
    const samples: MetricSample[] = [...this.#buckets].map((count, i) => {
      sum += count;
      const le = i < boundsInSeconds.length ? String(boundsInSeconds[i]) : "+Inf";
      return { part: "bucket", labels: { ...labels, le }, value: sum };
    });
    if (sum === 0) return [];
    samples.push({ part: "sum", labels, value: this.#seconds }, { part: "count", labels, value: sum });
    return samples;
  }
}
