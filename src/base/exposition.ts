/** Prometheus' text format, version 0.0.4. */

export interface MetricFamily {
  name: string;
  help: string;
  type: "counter" | "gauge" | "histogram";
  samples: readonly MetricSample[];
}

export interface MetricSample {
  /** A histogram's samples are its buckets, their sum and their count. */
  part?: "bucket" | "sum" | "count";
  labels?: Readonly<Record<string, string>>;
  value: number;
  /** Absent: the time of the scrape. */
  atMs?: number;
}

export const expositionContentType = "text/plain; version=0.0.4; charset=utf-8";

/** Families without samples are left out. */
export function exposition(families: readonly MetricFamily[]): string {
  return families
    .filter(({ samples }) => samples.length > 0)
    .map(
      ({ name, help, type, samples }) =>
        `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${samples.map((sample) => line(name, sample)).join("")}`,
    )
    .join("");
}

function line(family: string, { part, labels = {}, value, atMs }: MetricSample): string {
  const name = part ? `${family}_${part}` : family;
  const pairs = Object.entries(labels).map(([key, text]) => `${key}="${escaped(text)}"`);
  const braces = pairs.length > 0 ? `{${pairs.join(",")}}` : "";
  return `${name}${braces} ${value}${atMs === undefined ? "" : ` ${Math.round(atMs)}`}\n`;
}

function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
