// Medians and percentiles of repeated measurements, printed and kept.

export function quantile(values, q) {
  const sorted = [...values].sort((a, b) => a - b);
  if (sorted.length === 0) return Number.NaN;
  const position = (sorted.length - 1) * q;
  const below = Math.floor(position);
  const above = Math.ceil(position);
  return sorted[below] + (sorted[above] - sorted[below]) * (position - below);
}

export function summarize(values) {
  return {
    runs: values.length,
    min: quantile(values, 0),
    median: quantile(values, 0.5),
    p90: quantile(values, 0.9),
    p99: quantile(values, 0.99),
    max: quantile(values, 1),
  };
}

const text = (value) => (Number.isNaN(value) ? "–" : value >= 100 ? value.toFixed(0) : value.toFixed(2));

/** Collects named series; `report` prints them against their targets. */
export class Results {
  #series = new Map();
  #failures = [];

  add(name, value, { unit = "ms", target } = {}) {
    const series = this.#series.get(name) ?? { unit, target, values: [] };
    series.values.push(value);
    this.#series.set(name, series);
  }

  /** What could not be measured, and why: it stands in the report, and the command fails. */
  fail(name, error) {
    this.#failures.push(`${name}: ${error.message}`);
    process.exitCode = 1;
  }

  report(print = console.log) {
    print(`${"what".padEnd(62)} ${"median".padStart(9)} ${"p90".padStart(9)} ${"p99".padStart(9)}  target`);
    for (const [name, { unit, target, values }] of this.#series) {
      const { median, p90, p99 } = summarize(values);
      print(
        `${`${name} (${unit})`.padEnd(62)} ${text(median).padStart(9)} ${text(p90).padStart(9)} ${text(p99).padStart(9)}  ${target ?? ""}`,
      );
    }
    for (const failure of this.#failures) print(`NOT MEASURED ${failure}`);
  }

  toJSON() {
    return Object.fromEntries(
      [...this.#series].map(([name, { unit, target, values }]) => [
        name,
        { unit, target, ...summarize(values), values },
      ]),
    );
  }
}
