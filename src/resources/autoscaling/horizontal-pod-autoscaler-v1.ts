/** HorizontalPodAutoscalers as their first version shows them: CPU as a field, all else in annotations. */
import type { HorizontalPodAutoscaler } from "../../api/autoscaling/v1.ts";
import type { MetricSpec, HorizontalPodAutoscaler as Stored } from "../../api/autoscaling/v2.ts";
import type { KubeObject } from "../../api/object.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { served } from "../served.ts";
import { horizontalPodAutoscalers } from "./horizontal-pod-autoscaler.ts";

const prefix = "autoscaling.alpha.kubernetes.io/";
const metricsAnnotation = `${prefix}metrics`;
const currentMetricsAnnotation = `${prefix}current-metrics`;
const conditionsAnnotation = `${prefix}conditions`;
const behaviorAnnotation = `${prefix}behavior`;

export const horizontalPodAutoscalersV1 = defineResource<HorizontalPodAutoscaler>({
  ...served("autoscaling/v1", "horizontalpodautoscalers"),
  storedAs: {
    group: "autoscaling",
    version: "v2",
    toStored: (autoscaler) => toStored(autoscaler),
    fromStored: (object: KubeObject) => fromStored(object as Stored),
  },
  defaults({ spec }) {
    spec.minReplicas ??= 1;
  },
  beforeCreate(autoscaler) {
    autoscaler.status = { currentReplicas: 0, desiredReplicas: 0 };
  },
  beforeUpdate() {},
  validate: (next, previous, context) =>
    horizontalPodAutoscalers.validate!(toStored(next), previous && toStored(previous), context),
  validateStatus: (next, previous, context) =>
    horizontalPodAutoscalers.validateStatus!(toStored(next), toStored(previous), context),
  columns: horizontalPodAutoscalers.columns!.map((column) => ({
    ...column,
    cell: (autoscaler: HorizontalPodAutoscaler, now: number) => column.cell(toStored(autoscaler), now),
  })),
});

const isCpuUtilization = ({ type, resource }: MetricSpec) =>
  type === "Resource" && resource?.name === "cpu" && resource.target.averageUtilization !== undefined;

function toStored(autoscaler: HorizontalPodAutoscaler): Stored {
  const { targetCPUUtilizationPercentage: cpu, ...spec } = autoscaler.spec;
  const { currentCPUUtilizationPercentage: current, ...status } = autoscaler.status ?? {};
  const annotations = { ...autoscaler.metadata.annotations };
  const take = <T>(annotation: string): T | undefined => {
    const text = annotations[annotation];
    delete annotations[annotation];
    return text === undefined ? undefined : (JSON.parse(text) as T);
  };
  const metrics = take<MetricSpec[]>(metricsAnnotation) ?? [];
  if (cpu !== undefined || metrics.length === 0) {
    const target = { type: "Utilization", averageUtilization: cpu ?? 80 };
    metrics.push({ type: "Resource", resource: { name: "cpu", target } });
  }
  const behavior = take<NonNullable<Stored["spec"]["behavior"]>>(behaviorAnnotation);
  const conditions = take<NonNullable<Stored["status"]["conditions"]>>(conditionsAnnotation);
  const currentMetrics = take<NonNullable<Stored["status"]["currentMetrics"]>>(currentMetricsAnnotation) ?? [];
  if (current !== undefined) {
    currentMetrics.push({ type: "Resource", resource: { name: "cpu", current: { averageUtilization: current } } });
  }
  const { annotations: _, ...metadata } = autoscaler.metadata;
  return {
    ...autoscaler,
    apiVersion: "autoscaling/v2",
    metadata: Object.keys(annotations).length > 0 ? { ...metadata, annotations } : metadata,
    spec: { ...spec, metrics, ...(behavior ? { behavior } : {}) },
    status: {
      ...status,
      desiredReplicas: status.desiredReplicas ?? 0,
      currentMetrics: currentMetrics.length > 0 ? currentMetrics : (null as never),
      ...(conditions ? { conditions } : {}),
    },
  };
}

function fromStored(stored: Stored): HorizontalPodAutoscaler {
  const { metrics = [], behavior, ...spec } = stored.spec;
  const { currentMetrics, conditions, ...status } = stored.status ?? { desiredReplicas: 0 };
  const annotations = { ...stored.metadata.annotations };
  const cpu = metrics.find(isCpuUtilization);
  const others = metrics.filter((metric) => metric !== cpu);
  const put = (annotation: string, value: readonly unknown[] | object | undefined) => {
    if (value && Object.keys(value).length > 0) annotations[annotation] = JSON.stringify(value);
  };
  put(metricsAnnotation, others);
  put(behaviorAnnotation, behavior);
  put(conditionsAnnotation, conditions);
  const isCpu = ({ resource }: NonNullable<typeof currentMetrics>[number]) =>
    resource?.name === "cpu" && resource.current.averageUtilization !== undefined;
  const current = currentMetrics?.find(isCpu)?.resource?.current.averageUtilization;
  put(
    currentMetricsAnnotation,
    currentMetrics?.filter((metric) => !isCpu(metric)),
  );
  const target = cpu?.resource?.target.averageUtilization;
  const { annotations: _, ...metadata } = stored.metadata;
  return {
    ...stored,
    apiVersion: "autoscaling/v1",
    metadata: Object.keys(annotations).length > 0 ? { ...metadata, annotations } : metadata,
    spec: { ...spec, ...(target === undefined ? {} : { targetCPUUtilizationPercentage: target }) },
    status: {
      currentReplicas: 0,
      ...status,
      ...(current === undefined ? {} : { currentCPUUtilizationPercentage: current }),
    },
  };
}
