/** How long things took, for Prometheus. */
import type { MetricSample } from "./exposition.ts";

export class DurationHistogram {
  readonly #bounds: readonly number[];
  /** How many took no longer than each bound, not counted in the bounds before; the last is for all others. */
  readonly #buckets: Float64Array;
  #seconds = 0;

  /** `bounds`: of the buckets, in seconds, ascending. */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#buckets = new Float64Array(bounds.length + 1);
  }

  observe(seconds: number): void {
    this.#seconds += seconds;
    let bucket = 0;
    while (bucket < this.#bounds.length && seconds > this.#bounds[bucket]!) bucket++;
    this.#buckets[bucket]!++;
  }

  /** None before the first observation. */
  samples(labels: Readonly<Record<string, string>>): MetricSample[] {
    let sum = 0;
    const samples: MetricSample[] = [...this.#buckets].map((count, i) => {
      sum += count;
      const le = i < this.#bounds.length ? String(this.#bounds[i]) : "+Inf";
      return { part: "bucket", labels: { ...labels, le }, value: sum };
    });
    if (sum === 0) return [];
    samples.push({ part: "sum", labels, value: this.#seconds }, { part: "count", labels, value: sum });
    return samples;
  }
}
