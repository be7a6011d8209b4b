/** Metrics that other servers tell: custom.metrics.k8s.io and external.metrics.k8s.io, as an adapter for a monitoring system serves them. */
import type { CrossVersionObjectReference, MetricIdentifier } from "../../../api/autoscaling/v2.ts";
import type { LabelSelector } from "../../../api/meta/v1.ts";
import type { DeepReadonly } from "../../../api/object.ts";
import type { Resource } from "../../../api/resource.ts";
import { quantityMilliValue } from "../../../apimachinery/quantity.ts";
import { labelSelectorMatcher } from "../../../apimachinery/selectors.ts";
import { messageOf } from "../../pod-control.ts";
import type { PodMetric } from "./resource-replicas.ts";

/**
 * GETs `path` (with its query) below the first of `versions` of an aggregated group that is registered. Undefined when none
 * is; rejects with a StatusError when its server refuses or is not there.
 */
export type ReadForeign = (
  group: string,
  versions: readonly string[],
  path: string,
  signal: AbortSignal,
) => Promise<unknown>;

interface MetricValueList {
  items: {
    describedObject?: { name?: string };
    timestamp: string;
    /** v1beta2 and v1beta1. */
    windowSeconds?: number;
    window?: number;
    value: string;
  }[];
}

type ReadMetric = DeepReadonly<MetricIdentifier>;
const defaultWindowSeconds = 60;

export class ForeignMetrics {
  readonly #read: ReadForeign | undefined;
  readonly #signal: AbortSignal;

  constructor(read: ReadForeign | undefined, signal: AbortSignal) {
    this.#read = read;
    this.#signal = signal;
  }

  /** By pod name. `podSelector` in a query's form. */
  async ofPods(namespace: string, podSelector: string, metric: ReadMetric): Promise<Map<string, PodMetric>> {
    const query = { labelSelector: podSelector, ...metricSelector(metric) };
    const items = await this.#custom(`/namespaces/${namespace}/pods/*/${metric.name}`, query);
    if (items.length === 0) throw new Error("no metrics returned from custom metrics API");
    return new Map(
      items.map(({ describedObject, timestamp, windowSeconds, window, value }) => [
        describedObject?.name ?? "",
        {
          milliValue: quantityMilliValue(value),
          atMs: Date.parse(timestamp),
          windowMs: (windowSeconds ?? window ?? defaultWindowSeconds) * 1000,
        },
      ]),
    );
  }

  /** Of one object, in thousandths. `resource`: of the object's kind, as the API serves it. */
  async ofObject(
    namespace: string,
    { kind, name }: DeepReadonly<CrossVersionObjectReference>,
    resource: Resource,
    metric: ReadMetric,
  ): Promise<number> {
    const plural = resource.group ? `${resource.plural}.${resource.group}` : resource.plural;
    // Of a Namespace only the own one may be asked for.
    const path =
      kind === "Namespace" && resource.group === ""
        ? `/namespaces/${namespace}/metrics/${metric.name}`
        : `/namespaces/${namespace}/${plural}/${name}/${metric.name}`;
    const items = await this.#custom(path, metricSelector(metric));
    if (items.length !== 1) {
      throw new Error(
        `unable to fetch metrics from custom metrics API: the custom metrics API server returned ${items.length} results when we asked for exactly one`,
      );
    }
    return quantityMilliValue(items[0]!.value);
  }

  /** Values of all series that match, in thousandths. */
  async external(namespace: string, { name, selector }: ReadMetric): Promise<number[]> {
    const query = { labelSelector: selectorText(selector) };
    let answer: MetricValueList | undefined;
    try {
      const path = withQuery(`/namespaces/${namespace}/${name}`, query);
      answer = (await this.#read?.("external.metrics.k8s.io", ["v1beta1"], path, this.#signal)) as MetricValueList;
      if (!answer) throw new Error("no external metrics API (external.metrics.k8s.io) registered");
    } catch (error) {
      throw new Error(`unable to fetch metrics from external metrics API: ${messageOf(error)}`);
    }
    if (answer.items.length === 0) throw new Error("no metrics returned from external metrics API");
    return answer.items.map(({ value }) => quantityMilliValue(value));
  }

  async #custom(path: string, query: Record<string, string>): Promise<MetricValueList["items"]> {
    try {
      const group = "custom.metrics.k8s.io";
      const answer = await this.#read?.(group, ["v1beta2", "v1beta1"], withQuery(path, query), this.#signal);
      if (!answer) throw new Error("no custom metrics API (custom.metrics.k8s.io) registered");
      return (answer as MetricValueList).items;
    } catch (error) {
      throw new Error(`unable to fetch metrics from custom metrics API: ${messageOf(error)}`);
    }
  }
}

function metricSelector({ selector }: ReadMetric): Record<string, string> {
  const text = selectorText(selector);
  return text ? { metricLabelSelector: text } : {};
}

function selectorText(selector: DeepReadonly<LabelSelector> | undefined): string {
  return selector ? labelSelectorMatcher(selector as LabelSelector).toString() : "";
}

function withQuery(path: string, query: Record<string, string>): string {
  const present = Object.entries(query).filter(([, value]) => value !== "");
  return present.length === 0 ? path : `${path}?${new URLSearchParams(present)}`;
}
