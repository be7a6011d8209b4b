/** Scales what a HorizontalPodAutoscaler names by what its pods use. */
import type {
  CrossVersionObjectReference,
  HorizontalPodAutoscaler,
  HorizontalPodAutoscalerCondition,
  HorizontalPodAutoscalerStatus,
  MetricIdentifier,
  MetricSpec,
  MetricStatus,
  MetricTarget,
} from "../../api/autoscaling/v2.ts";
import type { Pod } from "../../api/core/v1.ts";
import { PodMetricsResource } from "../../api/metrics/v1beta1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import type { Resource } from "../../api/resource.ts";
import { HorizontalPodAutoscalers, Pods } from "../../api/resources.ts";
import { Quantity, quantityMilliValue } from "../../apimachinery/quantity.ts";
import { parseLabelSelector } from "../../apimachinery/selectors.ts";
import { semanticEqual } from "../../apimachinery/semantic-equal.ts";
import { isNotFound } from "../../apimachinery/status-error.ts";
import { rfc3339 } from "../../base/clock.ts";
import { type ObjectKey, splitKey } from "../../controller-runtime/cache.ts";
import {
  type ControllerDefinition,
  defineController,
  type Reconcile,
  statusOf,
} from "../../controller-runtime/controller.ts";
import { messageOf } from "../pod-control.ts";
import { isPodReady } from "../pod-facts.ts";
import type { Discover } from "../served-resources.ts";
import { ForeignMetrics, type ReadForeign } from "./horizontalpodautoscaler/foreign-metrics.ts";
import {
  type ConditionText,
  limitReplicas,
  type Recommendation,
  type ScaleEvent,
} from "./horizontalpodautoscaler/limit-replicas.ts";
import { type PodMetric, replicasForResource } from "./horizontalpodautoscaler/resource-replicas.ts";
import { replicasForTotal } from "./horizontalpodautoscaler/total-replicas.ts";

type ReadAutoscaler = DeepReadonly<HorizontalPodAutoscaler>;

export interface AutoscalerOptions {
  discover: Discover;
  /** Between two looks at the metrics. Default 15,000, as upstream's. */
  autoscalerPeriodMs?: number;
  /** Custom and external metrics. Without it none are there. */
  readForeign?: ReadForeign;
}

interface Memory {
  recommendations: Recommendation[];
  scaleUps: ScaleEvent[];
  scaleDowns: ScaleEvent[];
}

/** The Scale of any kind that has one. */
interface Scale {
  spec?: { replicas?: number };
  status?: { replicas?: number; selector?: string };
}

interface Target {
  resource: Resource;
  scale: Scale;
}

const defaultTolerance = 0.1;
const longestMemoryMs = 3_600_000;

/** A metric that could not be read, with the condition's reason, and what the whole computation says of it. */
class MetricError extends Error {
  readonly reason: string;
  readonly summary: string;

  constructor(reason: string, message: string, summary = message) {
    super(message);
    this.reason = reason;
    this.summary = summary;
  }
}

export function horizontalPodAutoscalerController(options: AutoscalerOptions): ControllerDefinition {
  const memories = new Map<ObjectKey, Memory>();
  /** What each autoscaler's target selects. */
  const selectors = new Map<ObjectKey, string>();
  const periodMs = options.autoscalerPeriodMs ?? 15_000;
  return defineController<HorizontalPodAutoscaler>({
    name: "horizontal-pod-autoscaler-controller",
    eventSource: "horizontal-pod-autoscaler",
    reconciles: HorizontalPodAutoscalers,
    // What this controller itself writes wakes it no earlier.
    when: ({ type, object, previous }) => type === "DELETED" || !previous || !semanticEqual(object.spec, previous.spec),
    reads: [Pods],
    writes: [statusOf(HorizontalPodAutoscalers)],
    async reconcile(context) {
      const { key, cache } = context;
      const autoscaler = cache.get(HorizontalPodAutoscalers, key);
      if (!autoscaler || autoscaler.metadata.deletionTimestamp) {
        memories.delete(key);
        selectors.delete(key);
        return;
      }
      let memory = memories.get(key);
      if (!memory) {
        memory = { recommendations: [], scaleUps: [], scaleDowns: [] };
        memories.set(key, memory);
      }
      await autoscale(context, autoscaler, memory, { ...options, selectors });
      return { afterMs: periodMs };
    },
  });
}

async function autoscale(
  context: Reconcile,
  autoscaler: ReadAutoscaler,
  memory: Memory,
  options: Surroundings,
): Promise<void> {
  const { api, clock, events } = context;
  const { spec, metadata } = autoscaler;
  const nowMs = clock.now();
  const conditions = new Conditions(autoscaler, nowMs);
  const status: HorizontalPodAutoscalerStatus = {
    ...structuredClone(autoscaler.status as HorizontalPodAutoscalerStatus),
    conditions: conditions.list,
  };
  const write = async () => {
    if (semanticEqual(status, autoscaler.status)) return;
    try {
      await api.updateStatus(HorizontalPodAutoscalers, { ...autoscaler, status });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  };

  let target: Target;
  try {
    target = await targetOf(context, autoscaler, options.discover);
  } catch (error) {
    const message = `the HPA controller was unable to get the target's current scale: ${messageOf(error)}`;
    conditions.set("AbleToScale", { status: "False", reason: "FailedGetScale", message });
    events.event(autoscaler, "Warning", "FailedGetScale", messageOf(error));
    return write();
  }
  const gotScale = "the HPA controller was able to get the target's current scale";
  conditions.set("AbleToScale", { status: "True", reason: "SucceededGetScale", message: gotScale });
  const current = target.scale.spec?.replicas ?? 0;
  const [minimum, maximum] = [spec.minReplicas ?? 1, spec.maxReplicas];
  if (memory.recommendations.length === 0) memory.recommendations.push({ replicas: current, atMs: nowMs });
  status.currentReplicas = current;
  status.desiredReplicas ??= 0;

  let desired = current;
  let why = "";
  if (current === 0 && minimum !== 0) {
    const message = "scaling is disabled since the replica count of the target is zero";
    conditions.set("ScalingActive", { status: "False", reason: "ScalingDisabled", message });
    desired = 0;
  } else if (current > maximum) {
    desired = maximum;
    why = "Current number of replicas above Spec.MaxReplicas";
  } else if (current < minimum) {
    desired = minimum;
    why = "Current number of replicas below Spec.MinReplicas";
  } else {
    let wish: Wish;
    try {
      wish = await wishOf({ context, autoscaler, target, current, options }, conditions);
    } catch (error) {
      events.event(autoscaler, "Warning", "FailedComputeMetricsReplicas", messageOf(error));
      if (error instanceof NoWish) status.currentMetrics = error.statuses;
      return write();
    }
    status.currentMetrics = wish.statuses;
    if (wish.replicas > current) why = `${wish.metric} above target`;
    const limited = limitReplicas({
      current,
      desired: wish.replicas,
      minimum,
      maximum,
      behavior: spec.behavior,
      ...memory,
      nowMs,
    });
    remember(memory.recommendations, { replicas: wish.replicas, atMs: nowMs });
    conditions.set("AbleToScale", limited.ableToScale);
    conditions.set("ScalingLimited", limited.scalingLimited);
    desired = limited.replicas;
    if (desired < current) why = "All metrics below target";
  }
  if (desired !== current) {
    const { namespace } = metadata;
    const { name } = spec.scaleTargetRef;
    const body = { spec: { replicas: desired } };
    try {
      await api.patch(target.resource, { name, namespace }, { type: "merge", body }, { subresource: "scale" });
    } catch (error) {
      const size = `New size: ${desired}; reason: ${why}; error: ${messageOf(error)}`;
      events.event(autoscaler, "Warning", "FailedRescale", size);
      const message = `the HPA controller was unable to update the target scale: ${messageOf(error)}`;
      conditions.set("AbleToScale", { status: "False", reason: "FailedUpdateScale", message });
      return write();
    }
    const message = `the HPA controller was able to update the target scale to ${desired}`;
    conditions.set("AbleToScale", { status: "True", reason: "SucceededRescale", message });
    events.event(autoscaler, "Normal", "SuccessfulRescale", `New size: ${desired}; reason: ${why}`);
    const change = { change: Math.abs(desired - current), atMs: nowMs };
    remember(desired > current ? memory.scaleUps : memory.scaleDowns, change);
    status.lastScaleTime = rfc3339(nowMs);
  }
  status.desiredReplicas = desired;
  return write();
}

function remember<T extends { atMs: number }>(list: T[], entry: T): void {
  list.push(entry);
  while (list[0] && list[0].atMs < entry.atMs - longestMemoryMs) list.shift();
}

/** Reading a Scale is a patch of it that changes nothing: it works for whatever kind has one. */
async function targetOf(
  { api }: Reconcile,
  { metadata: { namespace }, spec: { scaleTargetRef } }: ReadAutoscaler,
  discover: Discover,
): Promise<Target> {
  const { name } = scaleTargetRef;
  const resource = await resourceOf(scaleTargetRef, discover);
  const patch = { type: "merge", body: {} } as const;
  const scale = await api.patch(resource, { name, namespace }, patch, { subresource: "scale" });
  // A Scale is answered where the resource's own kind is declared.
  return { resource, scale: scale as unknown as Scale };
}

async function resourceOf(
  { apiVersion = "", kind }: DeepReadonly<CrossVersionObjectReference>,
  discover: Discover,
): Promise<Resource> {
  const slash = apiVersion.indexOf("/");
  const [group, version] = slash < 0 ? ["", apiVersion] : [apiVersion.slice(0, slash), apiVersion.slice(slash + 1)];
  const { resources } = await discover();
  const ofKind = resources.map(({ resource }) => resource).filter((r) => r.group === group && r.kind === kind);
  const resource = ofKind.find((candidate) => candidate.version === version) ?? ofKind[0];
  if (!resource) throw new Error(`no matches for kind ${JSON.stringify(kind)} in group ${JSON.stringify(group)}`);
  return resource;
}

interface Wish {
  replicas: number;
  /** The metric that asks for most, as events name it. */
  metric: string;
  statuses: MetricStatus[];
}

interface Surroundings extends AutoscalerOptions {
  selectors: Map<ObjectKey, string>;
}

/** What is known when metrics are asked for. */
interface Question {
  context: Reconcile;
  autoscaler: ReadAutoscaler;
  target: Target;
  current: number;
  options: Surroundings;
}

interface Proposal {
  replicas: number;
  metric: string;
  status: MetricStatus;
}

async function wishOf(question: Question, conditions: Conditions): Promise<Wish> {
  const { context, autoscaler, target, current, options } = question;
  const { events } = context;
  const { selector } = target.scale.status ?? {};
  if (!selector) {
    events.event(autoscaler, "Warning", "SelectorRequired", "selector is required");
    const message = "the HPA target's scale is missing a selector";
    conditions.set("ScalingActive", { status: "False", reason: "InvalidSelector", message });
    throw new Error("selector is required");
  }
  const problem = selectorProblem(context, autoscaler, selector, options.selectors);
  if (problem) {
    events.event(autoscaler, "Warning", problem.reason, problem.message);
    conditions.set("ScalingActive", { status: "False", ...problem });
    throw new Error(problem.message);
  }
  const specs = autoscaler.spec.metrics ?? [];
  const statuses: MetricStatus[] = [];
  const failures: MetricError[] = [];
  let best: { replicas: number; metric: string } | undefined;
  for (const spec of specs) {
    try {
      const { replicas, metric, status } = await proposalOf(question, spec, selector);
      statuses.push(status);
      if (!best || replicas > best.replicas) best = { replicas, metric };
    } catch (error) {
      const failure = error instanceof MetricError ? error : new MetricError("FailedGetMetric", messageOf(error));
      failures.push(failure);
      statuses.push({ type: "" });
      events.event(autoscaler, "Warning", failure.reason, failure.message);
    }
  }
  const [first] = failures;
  // With a metric missing nobody knows whether fewer would do.
  if (first && (!best || best.replicas < current)) {
    const message = `the HPA was unable to compute the replica count: ${first.message}`;
    conditions.set("ScalingActive", { status: "False", reason: first.reason, message });
    const failed = specs[statuses.findIndex(({ type }) => type === "")]!;
    const invalid = `invalid metrics (${failures.length} invalid out of ${specs.length})`;
    throw new NoWish(
      `${invalid}, first error is: failed to get ${metricValueName(failed)}: ${first.summary}`,
      statuses,
    );
  }
  const { replicas, metric } = best!;
  const message = `the HPA was able to successfully calculate a replica count from ${metric}`;
  conditions.set("ScalingActive", { status: "True", reason: "ValidMetricFound", message });
  return { replicas, metric, statuses };
}

/** Too few metrics are known to say how many replicas there should be. */
class NoWish extends Error {
  /** By metric; those that are not known have no type. */
  readonly statuses: MetricStatus[];

  constructor(message: string, statuses: MetricStatus[]) {
    super(message);
    this.statuses = statuses;
  }
}

/** What could not be got, as upstream's events name it. */
function metricValueName(spec: DeepReadonly<MetricSpec>): string {
  switch (spec.type) {
    case "Resource":
      return `${spec.resource?.name} resource metric value`;
    case "ContainerResource":
      return `${spec.containerResource?.container} container metric value`;
    case "External":
      return `${spec.external?.metric.name} external metric value`;
    default:
      return `${spec.type.toLowerCase()} metric value`;
  }
}

/** Why nobody can scale by this selector: it is none, or another autoscaler scales some of its Pods. */
function selectorProblem(
  context: Reconcile,
  { metadata: { namespace } }: ReadAutoscaler,
  selector: string,
  selectors: Map<ObjectKey, string>,
): { reason: string; message: string } | undefined {
  let pods: readonly DeepReadonly<Pod>[];
  try {
    pods = podsOf(context, namespace, selector);
  } catch (error) {
    const message = `couldn't convert selector into a corresponding internal selector object: ${messageOf(error)}`;
    return { reason: "InvalidSelector", message };
  }
  selectors.set(context.key, selector);
  const scaling = [...selectors]
    .filter(([key]) => splitKey(key).namespace === namespace)
    .filter(([, other]) => {
      const { matches } = matcherOf(other);
      return pods.some(({ metadata }) => matches(metadata.labels));
    })
    .map(([key]) => `{${splitKey(key).name} ${namespace}}`)
    .sort();
  if (scaling.length < 2) return undefined;
  const message = `pods by selector ${selector} are controlled by multiple HPAs: [${scaling.join(" ")}]`;
  return { reason: "AmbiguousSelector", message };
}

async function proposalOf(question: Question, spec: DeepReadonly<MetricSpec>, selector: string): Promise<Proposal> {
  switch (spec.type) {
    case "Pods":
      return podsProposal(question, spec.pods!, selector);
    case "Object":
      return objectProposal(question, spec.object!, selector);
    case "External":
      return externalProposal(question, spec.external!, selector);
    default:
      return resourceProposal(question.context, question.autoscaler, spec, selector, question.current);
  }
}

async function podsProposal(
  { context, autoscaler, current, options }: Question,
  { metric, target }: DeepReadonly<NonNullable<MetricSpec["pods"]>>,
  selector: string,
): Promise<Proposal> {
  const { namespace } = autoscaler.metadata;
  try {
    const metrics = await patiently(context, (signal) =>
      new ForeignMetrics(options.readForeign, signal).ofPods(namespace, selector, metric),
    ).catch((error: unknown) => {
      throw new Error(`unable to get metric ${metric.name}: ${messageOf(error)}`);
    });
    const answer = replicasForResource({
      resource: "",
      target: { kind: "averageValue", milliValue: quantityMilliValue(target.averageValue) },
      currentReplicas: current,
      pods: podsOf(context, namespace, selector),
      metrics,
      tolerance: tolerancesOf(autoscaler),
      nowMs: context.clock.now(),
    });
    const averageValue = Quantity.ofMilli(answer.averageMilliValue).toString();
    const status: MetricStatus = {
      type: "Pods",
      pods: { metric: structuredClone(metric) as MetricIdentifier, current: { averageValue } },
    };
    return { replicas: answer.replicas, metric: `pods metric ${metric.name}`, status };
  } catch (error) {
    const message = messageOf(error);
    throw new MetricError("FailedGetPodsMetric", message, `failed to get pods metric value: ${message}`);
  }
}

async function objectProposal(
  { context, autoscaler, target: scaled, options }: Question,
  { metric, target, describedObject }: DeepReadonly<NonNullable<MetricSpec["object"]>>,
  selector: string,
): Promise<Proposal> {
  const { namespace } = autoscaler.metadata;
  const { kind, name } = describedObject;
  try {
    const milliValue = await patiently(context, async (signal) => {
      const resource = await resourceOf(describedObject, options.discover);
      const metrics = new ForeignMetrics(options.readForeign, signal);
      return await metrics.ofObject(namespace, describedObject, resource, metric);
    }).catch((error: unknown) => {
      throw new Error(`unable to get metric ${metric.name}: ${kind} on ${namespace} ${name}/${messageOf(error)}`);
    });
    const { replicas, current } = totalOf(context, autoscaler, scaled, selector, milliValue, target);
    const identifier = structuredClone(metric) as MetricIdentifier;
    const status: MetricStatus = {
      type: "Object",
      object: { metric: identifier, describedObject: { ...describedObject }, current },
    };
    return { replicas, metric: `${kind} metric ${metric.name}`, status };
  } catch (error) {
    const message = messageOf(error);
    throw new MetricError("FailedGetObjectMetric", message, `failed to get object metric value: ${message}`);
  }
}

async function externalProposal(
  { context, autoscaler, target: scaled, options }: Question,
  { metric, target }: DeepReadonly<NonNullable<MetricSpec["external"]>>,
  selector: string,
): Promise<Proposal> {
  const { namespace } = autoscaler.metadata;
  const labels = metric.selector ? JSON.stringify(metric.selector) : "nil";
  try {
    const values = await patiently(context, (signal) =>
      new ForeignMetrics(options.readForeign, signal).external(namespace, metric),
    ).catch((error: unknown) => {
      throw new Error(`unable to get external metric ${namespace}/${metric.name}/${labels}: ${messageOf(error)}`);
    });
    const sum = values.reduce((total, value) => total + value, 0);
    const { replicas, current } = totalOf(context, autoscaler, scaled, selector, sum, target);
    const status: MetricStatus = {
      type: "External",
      external: { metric: structuredClone(metric) as MetricIdentifier, current },
    };
    return { replicas, metric: `external metric ${metric.name}(${labels})`, status };
  } catch (error) {
    const message = messageOf(error);
    const what =
      target.averageValue === undefined ? `external metric ${metric.name}` : `${metric.name} external metric`;
    throw new MetricError("FailedGetExternalMetric", message, `failed to get ${what}: ${message}`);
  }
}

/** What a value for all asks for, and how the status tells it. */
function totalOf(
  context: Reconcile,
  autoscaler: ReadAutoscaler,
  { scale }: Target,
  selector: string,
  milliValue: number,
  target: DeepReadonly<MetricTarget>,
): { replicas: number; current: { value: string } | { averageValue: string } } {
  const isAverage = target.averageValue !== undefined;
  const pods = podsOf(context, autoscaler.metadata.namespace, selector);
  const specReplicas = scale.spec?.replicas ?? 0;
  if (!isAverage && specReplicas > 0 && pods.length === 0) {
    throw new Error("unable to calculate ready pods: no pods returned by selector while calculating replica count");
  }
  const answer = replicasForTotal({
    milliValue,
    target: isAverage
      ? { kind: "averageValue", milliValue: quantityMilliValue(target.averageValue) }
      : { kind: "value", milliValue: quantityMilliValue(target.value) },
    specReplicas,
    statusReplicas: scale.status?.replicas ?? 0,
    readyPods: pods.filter((pod) => pod.status?.phase === "Running" && isPodReady(pod)).length,
    tolerance: tolerancesOf(autoscaler),
  });
  const told = Quantity.ofMilli(answer.milliValue).toString();
  return { replicas: answer.replicas, current: isAverage ? { averageValue: told } : { value: told } };
}

function podsOf({ cache }: Reconcile, namespace: string, selector: string): readonly DeepReadonly<Pod>[] {
  const { matches } = matcherOf(selector);
  return cache.list<Pod>(Pods, namespace).filter(({ metadata }) => matches(metadata.labels));
}

function tolerancesOf({ spec: { behavior } }: ReadAutoscaler): { up: number; down: number } {
  return { up: toleranceOf(behavior?.scaleUp?.tolerance), down: toleranceOf(behavior?.scaleDown?.tolerance) };
}

/** Another server may never answer: one autoscaler waits for it no longer than this. */
const patienceMs = 30_000;

async function patiently<T>({ clock, signal }: Reconcile, ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const patience = new AbortController();
  const timer = clock.setTimer(patienceMs, () => patience.abort(), { background: true });
  try {
    return await ask(AbortSignal.any([signal, patience.signal]));
  } finally {
    timer[Symbol.dispose]();
  }
}

async function resourceProposal(
  context: Reconcile,
  autoscaler: ReadAutoscaler,
  spec: DeepReadonly<MetricSpec>,
  selector: string,
  current: number,
): Promise<Proposal> {
  const { api, clock, signal } = context;
  const { namespace } = autoscaler.metadata;
  const container = spec.containerResource?.container;
  const { name, target } = (spec.containerResource ?? spec.resource)!;
  const isUtilization = target.averageUtilization !== undefined;
  const what = isUtilization ? "utilization" : "usage";
  try {
    const metrics = await usageOf(name, container);
    const answer = replicasForResource({
      resource: name,
      ...(container === undefined ? {} : { container }),
      target: targetIn(target),
      currentReplicas: current,
      pods: podsOf(context, namespace, selector),
      metrics,
      tolerance: tolerancesOf(autoscaler),
      nowMs: clock.now(),
    });
    const value = {
      averageValue: Quantity.ofMilli(answer.averageMilliValue).toString(),
      ...(answer.utilization === undefined ? {} : { averageUtilization: answer.utilization }),
    };
    const metric = `${name} ${container === undefined ? "" : "container "}resource${isUtilization ? " utilization (percentage of request)" : ""}`;
    const status: MetricStatus =
      container === undefined
        ? { type: "Resource", resource: { name, current: value } }
        : { type: "ContainerResource", containerResource: { name, container, current: value } };
    return { replicas: answer.replicas, metric, status };
  } catch (error) {
    const reason = container === undefined ? "FailedGetResourceMetric" : "FailedGetContainerResourceMetric";
    throw new MetricError(reason, `failed to get ${name} ${what}: ${messageOf(error)}`);
  }

  async function usageOf(resource: string, only: string | undefined): Promise<Map<string, PodMetric>> {
    const cannot = `unable to get metrics for resource ${resource}`;
    const { items } = await api
      .list(PodMetricsResource, { namespace, labelSelector: selector, signal })
      .catch((error: unknown) => {
        throw new Error(`${cannot}: unable to fetch metrics from resource metrics API: ${messageOf(error)}`);
      });
    if (items.length === 0) throw new Error(`${cannot}: no metrics returned from resource metrics API`);
    return new Map(
      items.flatMap(({ metadata, timestamp, window, containers }) => {
        const measured = containers.filter((each) => only === undefined || each.name === only);
        if (measured.length === 0 || measured.some(({ usage }) => usage[resource] === undefined)) return [];
        const milliValue = measured.reduce((sum, { usage }) => sum + quantityMilliValue(usage[resource]), 0);
        const metric = { milliValue, atMs: Date.parse(timestamp), windowMs: Number.parseFloat(window) * 1000 };
        return [[metadata.name, metric] as const];
      }),
    );
  }
}

function matcherOf(selector: string) {
  const matcher = parseLabelSelector(selector);
  return { matches: (labels: Readonly<Record<string, string>> | undefined) => matcher.matches(labels) };
}

function toleranceOf(text: string | undefined): number {
  return text === undefined ? defaultTolerance : Quantity.parse(text).toNumber();
}

function targetIn({ averageUtilization, averageValue }: DeepReadonly<MetricTarget>) {
  return averageUtilization !== undefined
    ? ({ kind: "utilization", percent: averageUtilization } as const)
    : ({ kind: "averageValue", milliValue: quantityMilliValue(averageValue) } as const);
}

/** The conditions as they stand, changed one at a time; times change with the status alone. */
class Conditions {
  readonly list: HorizontalPodAutoscalerCondition[];
  readonly #nowMs: number;

  constructor({ status }: ReadAutoscaler, nowMs: number) {
    this.list = (status?.conditions ?? []).map((condition) => ({ ...condition }));
    this.#nowMs = nowMs;
  }

  set(type: string, { status, reason, message }: ConditionText): void {
    const present = this.list.find((condition) => condition.type === type);
    const lastTransitionTime = present?.status === status ? present.lastTransitionTime : rfc3339(this.#nowMs);
    const next = { type, status, lastTransitionTime: lastTransitionTime ?? rfc3339(this.#nowMs), reason, message };
    if (present) Object.assign(present, next);
    else this.list.push(next);
  }
}
