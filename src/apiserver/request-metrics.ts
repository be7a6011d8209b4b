/** How many requests were answered, with what, and how long it took, by upstream's names and labels. */
import type { Clock } from "../base/clock.ts";
import type { MetricFamily, MetricSample } from "../base/exposition.ts";
import type { RequestInfo } from "./request-info.ts";

/** Upstream's bounds of a request's duration. */
const boundsInSeconds = [
  0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60,
] as const;

/** Requests of one sort: one verb for one resource, in one scope. */
interface Series {
  labels: Readonly<Record<string, string>>;
  /** By status. */
  answers: Map<number, number>;
  /** How many took no longer than each bound, not counted in the bounds before; the last is for all others. */
  buckets: Float64Array;
  seconds: number;
}

const writing: ReadonlySet<string> = new Set(["create", "update", "patch", "delete", "deletecollection"]);
const verbNames: Readonly<Record<string, string>> = {
  create: "POST",
  update: "PUT",
  deletecollection: "DELETECOLLECTION",
};

export class RequestMetrics {
  readonly #series = new Map<string, Series>();
  readonly #underWay = { mutating: 0, readOnly: 0, watch: 0 };

  /** Call when the request is known to be for something that is served. Returns what to call at its end. */
  begun(info: RequestInfo, clock: Clock): (status: number) => void {
    const { verb } = info;
    const sort = verb === "watch" ? "watch" : writing.has(verb) ? "mutating" : "readOnly";
    const startedMs = clock.now();
    this.#underWay[sort]++;
    return (status) => {
      this.#underWay[sort]--;
      const series = this.#seriesOf(info);
      series.answers.set(status, (series.answers.get(status) ?? 0) + 1);
      const seconds = (clock.now() - startedMs) / 1000;
      series.seconds += seconds;
      let bucket = 0;
      while (bucket < boundsInSeconds.length && seconds > boundsInSeconds[bucket]!) bucket++;
      series.buckets[bucket]!++;
    };
  }

  families(): MetricFamily[] {
    const all = [...this.#series.values()];
    const counts = all.flatMap(({ labels, answers }) =>
      [...answers].map(([status, value]) => ({ labels: { ...labels, code: String(status) }, value })),
    );
    const kinds = ["mutating", "readOnly"] as const;
    return [
      { name: "apiserver_request_total", help: "Requests answered.", type: "counter", samples: counts },
      {
        name: "apiserver_request_duration_seconds",
        help: "How long answers took; a watch, how long it lasted.",
        type: "histogram",
        samples: all.flatMap(histogram),
      },
      {
        name: "apiserver_current_inflight_requests",
        help: "Requests that are being answered.",
        type: "gauge",
        samples: kinds.map((kind) => ({ labels: { request_kind: kind }, value: this.#underWay[kind] })),
      },
      {
        name: "apiserver_longrunning_requests",
        help: "Watches under way.",
        type: "gauge",
        samples: [{ labels: { verb: "WATCH", component: "apiserver" }, value: this.#underWay.watch }],
      },
    ];
  }

  #seriesOf(info: RequestInfo): Series {
    const { verb, group, version, resource, subresource, query } = info;
    const dryRun = query["dryRun"] === undefined ? "" : "All";
    const scope = !info.isResource
      ? ""
      : info.name || verb === "create"
        ? "resource"
        : info.namespace
          ? "namespace"
          : "cluster";
    // Outside the resource tree the path's beginning says what it was.
    const part = info.isResource ? subresource : `/${info.path.split("/")[1]}`;
    const key = `${verb} ${group}/${version}/${resource}/${part} ${scope}${dryRun}`;
    const known = this.#series.get(key);
    if (known) return known;
    const labels = {
      verb: verbNames[verb] ?? verb.toUpperCase(),
      group,
      version,
      resource,
      subresource: part,
      scope,
      dry_run: dryRun,
      component: "apiserver",
    };
    const series = { labels, answers: new Map(), buckets: new Float64Array(boundsInSeconds.length + 1), seconds: 0 };
    this.#series.set(key, series);
    return series;
  }
}

function histogram({ labels, buckets, seconds }: Series): MetricSample[] {
  let count = 0;
  const bounds = [...boundsInSeconds.map(String), "+Inf"];
  const samples: MetricSample[] = bounds.map((le, i) => {
    count += buckets[i]!;
    return { part: "bucket", labels: { ...labels, le }, value: count };
  });
  return [...samples, { part: "sum", labels, value: seconds }, { part: "count", labels, value: count }];
}
