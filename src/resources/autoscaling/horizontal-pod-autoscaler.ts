/** HorizontalPodAutoscalers: replicas that follow what metrics say. This version is the stored one. */
import type {
  CrossVersionObjectReference,
  HorizontalPodAutoscaler,
  HPAScalingRules,
  MetricSpec,
  MetricStatus,
  MetricTarget,
} from "../../api/autoscaling/v2.ts";
import {
  type FieldError,
  type FieldPath,
  forbidden,
  invalid,
  notSupported,
  required,
  spec as specPath,
  status as statusPath,
} from "../../apimachinery/field-error.ts";
import { pathSegmentProblems } from "../../apimachinery/name-validation.ts";
import { Quantity } from "../../apimachinery/quantity.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { nonNegativeCounts } from "../apps/workload.ts";
import { validContainerResourceName } from "../core/resource-names.ts";
import { age, name, none, text, unknown } from "../printing/columns.ts";
import { served } from "../served.ts";
import { validLabelSelector } from "../validation/label-selector.ts";
import { each, nonNegativeMessage, obeys, oneOf, validDnsLabel } from "../validation/rules.ts";

const longestWindow = 3600;
const longestPeriod = 1800;
const metricsShown = 2;
const unsetReplicas = "<unset>";

export const horizontalPodAutoscalers = defineResource<HorizontalPodAutoscaler>({
  ...served("autoscaling/v2", "horizontalpodautoscalers"),
  defaults({ spec }) {
    spec.minReplicas ??= 1;
    if (!spec.metrics?.length) {
      spec.metrics = [
        { type: "Resource", resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 80 } } },
      ];
    }
    if (!spec.behavior) return;
    spec.behavior.scaleUp = withDefaults(spec.behavior.scaleUp, {
      stabilizationWindowSeconds: 0,
      selectPolicy: "Max",
      policies: [
        { type: "Pods", value: 4, periodSeconds: 15 },
        { type: "Percent", value: 100, periodSeconds: 15 },
      ],
    });
    spec.behavior.scaleDown = withDefaults(spec.behavior.scaleDown, {
      selectPolicy: "Max",
      policies: [{ type: "Percent", value: 100, periodSeconds: 15 }],
    });
  },
  beforeCreate(autoscaler) {
    autoscaler.status = { desiredReplicas: 0, currentMetrics: null as never };
  },
  beforeUpdate() {},
  validate: ({ spec }, previous) => [
    ...validReplicas(spec),
    ...validReference(spec.scaleTargetRef, specPath.child("scaleTargetRef")),
    ...validTargetVersion(spec.scaleTargetRef, previous?.spec.scaleTargetRef),
    ...validMetrics(spec.metrics, spec.minReplicas, specPath.child("metrics")),
    ...validRules(spec.behavior?.scaleUp, specPath.child("behavior", "scaleUp")),
    ...validRules(spec.behavior?.scaleDown, specPath.child("behavior", "scaleDown")),
  ],
  validateStatus: ({ status }) => nonNegativeCounts(status, ["currentReplicas", "desiredReplicas"], statusPath),
  columns: [
    name,
    text("Reference", ({ spec }) => `${spec.scaleTargetRef?.kind ?? ""}/${spec.scaleTargetRef?.name ?? ""}`),
    text("Targets", ({ spec, status }) => metricsText(spec.metrics ?? [], status?.currentMetrics ?? [])),
    text("MinPods", ({ spec }) => String(spec.minReplicas ?? unsetReplicas)),
    text("MaxPods", ({ spec }) => spec.maxReplicas),
    text("Replicas", ({ status }) => status?.currentReplicas ?? 0),
    age,
  ],
});

function withDefaults(rules: HPAScalingRules | undefined, defaults: HPAScalingRules): HPAScalingRules {
  return { ...defaults, ...rules };
}

function validReplicas({ minReplicas, maxReplicas }: HorizontalPodAutoscaler["spec"]): FieldError[] {
  const errors: FieldError[] = [];
  const maximumPath = specPath.child("maxReplicas");
  if (minReplicas !== undefined && minReplicas < 1) {
    errors.push(invalid(specPath.child("minReplicas"), minReplicas, "must be greater than or equal to 1"));
  }
  if (maxReplicas < 1) errors.push(required(maximumPath, "must be set and greater than 0"));
  if (minReplicas !== undefined && maxReplicas < minReplicas) {
    errors.push(invalid(maximumPath, maxReplicas, "must be greater than or equal to `minReplicas`"));
  }
  return errors;
}

function validReference(reference: CrossVersionObjectReference | undefined, path: FieldPath): FieldError[] {
  return (["kind", "name"] as const).flatMap((field) => {
    const value = reference?.[field] ?? "";
    return value ? obeys(value, pathSegmentProblems, path.child(field)) : [required(path.child(field))];
  });
}

const targetVersionPath = specPath.child("scaleTargetRef", "apiVersion");

/** Of all that can be scaled, only ReplicationControllers have no group. What was let through before may stay. */
function validTargetVersion(
  reference: CrossVersionObjectReference | undefined,
  previous: CrossVersionObjectReference | undefined,
): FieldError[] {
  if (previous && validTargetVersion(previous, undefined).length > 0) return [];
  const { apiVersion = "", kind } = reference ?? {};
  const problems = validApiVersion(apiVersion, targetVersionPath);
  if (problems.length > 0 || kind === "ReplicationController" || /^[^/]+\//.test(apiVersion)) return problems;
  return [invalid(targetVersionPath, apiVersion, "apiVersion must specify API group")];
}

function validApiVersion(apiVersion: string, path: FieldPath): FieldError[] {
  if (apiVersion.split("/").length <= 2) return [];
  return [invalid(path, apiVersion, `unexpected GroupVersion string: ${apiVersion}`)];
}

const sources = {
  Object: "object",
  External: "external",
  Pods: "pods",
  Resource: "resource",
  ContainerResource: "containerResource",
} as const;
const metricTypes = Object.keys(sources).sort();

function validMetrics(
  metrics: readonly MetricSpec[] | undefined,
  minimum: number | undefined,
  path: FieldPath,
): FieldError[] {
  const errors = each(metrics, path, validMetric);
  const scalesFromZero = metrics?.some(({ type }) => type === "Object" || type === "External");
  if (minimum === 0 && !scalesFromZero) {
    errors.push(
      forbidden(path, "must specify at least one Object or External metric to support scaling to zero replicas"),
    );
  }
  return errors;
}

function validMetric(metric: MetricSpec, path: FieldPath): FieldError[] {
  const typePath = path.child("type");
  const errors: FieldError[] = [];
  if (!metric.type) errors.push(required(typePath, "must specify a metric source type"));
  if (!metricTypes.includes(metric.type)) errors.push(notSupported(typePath, metric.type, metricTypes));
  const present = Object.values(sources).filter((source) => metric[source]);
  for (const source of present.slice(0, 1)) errors.push(...validMetricSource(metric, source, path.child(source)));
  const expected = sources[metric.type as keyof typeof sources];
  if (!expected) errors.push(notSupported(typePath, metric.type, metricTypes));
  else if (!metric[expected]) {
    errors.push(required(path.child(expected), "must populate information for the given metric source"));
  }
  if (present.length === 1) return errors;
  for (const other of present.filter((source) => source !== expected)) {
    errors.push(forbidden(path.child(other), "must populate the given metric source only"));
  }
  return errors;
}

function validMetricSource(
  metric: MetricSpec,
  source: (typeof sources)[keyof typeof sources],
  path: FieldPath,
): FieldError[] {
  const { target } = metric[source]!;
  const targetPath = path.child("target");
  const errors: FieldError[] = [];
  switch (source) {
    case "resource":
    case "containerResource": {
      const given = metric[source]!;
      if (!given.name) errors.push(required(path.child("name"), "must specify a resource name"));
      if (source === "containerResource") {
        const { container } = metric.containerResource!;
        if (given.name) errors.push(...validContainerResourceName(given.name, path.child("name")));
        const at = path.child("container");
        errors.push(...(container ? validDnsLabel(container, at) : [required(at, "must specify a container")]));
      }
      errors.push(...validTarget(target, targetPath));
      if (target?.averageUtilization === undefined && target?.averageValue === undefined) {
        const detail = "must set either a target raw value or a target utilization";
        errors.push(required(targetPath.child("averageUtilization"), detail));
      }
      if (target?.averageUtilization !== undefined && target.averageValue !== undefined) {
        const detail = "may not set both a target raw value and a target utilization";
        errors.push(forbidden(targetPath.child("averageValue"), detail));
      }
      return errors;
    }
    case "object":
      errors.push(...validReference(metric.object!.describedObject, path.child("describedObject")));
      errors.push(
        ...validApiVersion(
          metric.object!.describedObject?.apiVersion ?? "",
          path.child("describedObject", "apiVersion"),
        ),
      );
      break;
    default:
  }
  const { metric: identifier } = metric[source]!;
  const metricPath = path.child("metric");
  if (!identifier?.name) errors.push(required(metricPath.child("name"), "must specify a metric name"));
  else errors.push(...obeys(identifier.name, pathSegmentProblems, metricPath.child("name")));
  errors.push(...validLabelSelector(identifier?.selector, metricPath.child("selector")));
  errors.push(...validTarget(target, targetPath));
  if (source === "pods") {
    if (target?.averageValue === undefined) {
      errors.push(required(targetPath.child("averageValue"), "must specify a positive target averageValue"));
    }
  } else if (target?.value === undefined && target?.averageValue === undefined) {
    const detail =
      source === "object"
        ? "must set either a target value or averageValue"
        : "must set either a target value for metric or a per-pod target";
    errors.push(required(targetPath.child("averageValue"), detail));
  } else if (source === "external" && target.value !== undefined && target.averageValue !== undefined) {
    const detail = "may not set both a target value for metric and a per-pod target";
    errors.push(forbidden(targetPath.child("value"), detail));
  }
  return errors;
}

function validTarget(target: MetricTarget | undefined, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const typePath = path.child("type");
  if (!target?.type) errors.push(required(typePath, "must specify a metric target type"));
  if (!["Utilization", "Value", "AverageValue"].includes(target?.type ?? "")) {
    errors.push(invalid(typePath, target?.type ?? "", "must be either Utilization, Value, or AverageValue"));
  }
  for (const field of ["value", "averageValue"] as const) {
    const amount = target?.[field];
    if (amount !== undefined && Quantity.parse(amount).sign() <= 0) {
      errors.push(invalid(path.child(field), amount, "must be positive"));
    }
  }
  if (target?.averageUtilization !== undefined && target.averageUtilization < 1) {
    errors.push(invalid(path.child("averageUtilization"), target.averageUtilization, "must be greater than 0"));
  }
  return errors;
}

function validRules(rules: HPAScalingRules | undefined, path: FieldPath): FieldError[] {
  if (!rules) return [];
  const errors: FieldError[] = [];
  const window = rules.stabilizationWindowSeconds;
  const windowPath = path.child("stabilizationWindowSeconds");
  if (window !== undefined && window < 0)
    errors.push(invalid(windowPath, window, "must be greater than or equal to zero"));
  if (window !== undefined && window > longestWindow) {
    errors.push(invalid(windowPath, window, `must be less than or equal to ${longestWindow}`));
  }
  if (rules.tolerance !== undefined && Quantity.parse(rules.tolerance).sign() < 0) {
    errors.push(invalid(path.child("tolerance"), rules.tolerance, nonNegativeMessage));
  }
  if (rules.selectPolicy !== undefined) {
    errors.push(...oneOf(rules.selectPolicy, ["Disabled", "Max", "Min"], path.child("selectPolicy")));
  }
  const policiesPath = path.child("policies");
  if (!rules.policies?.length) return [...errors, required(policiesPath, "must specify at least one Policy")];
  return [
    ...errors,
    ...each(rules.policies, policiesPath, ({ type, value, periodSeconds }, at) => {
      const found = oneOf(type, ["Percent", "Pods"], at.child("type"));
      if (value <= 0) found.push(invalid(at.child("value"), value, "must be greater than zero"));
      const periodPath = at.child("periodSeconds");
      if (periodSeconds <= 0) found.push(invalid(periodPath, periodSeconds, "must be greater than zero"));
      if (periodSeconds > longestPeriod) {
        found.push(invalid(periodPath, periodSeconds, `must be less than or equal to ${longestPeriod}`));
      }
      return found;
    }),
  ];
}

/** `cpu: 12%/80%`, at most two. */
function metricsText(specs: readonly MetricSpec[], statuses: readonly MetricStatus[]): string {
  if (specs.length === 0) return none;
  const texts = specs.map((spec, index) => metricText(spec, statuses[index]));
  const shown = texts.slice(0, metricsShown).join(", ");
  return texts.length > metricsShown ? `${shown} + ${texts.length - metricsShown} more...` : shown;
}

function metricText(spec: MetricSpec, status: MetricStatus | undefined): string {
  const source = sources[spec.type as keyof typeof sources];
  const target = source && spec[source]?.target;
  if (!target) return "<unknown type>";
  const current = status?.[source]?.current;
  const resource = spec.resource?.name ?? spec.containerResource?.name;
  const prefix = resource ? `${resource}: ` : "";
  if (target.averageValue !== undefined) {
    const isAverage = source === "object" || source === "external";
    return `${prefix}${current?.averageValue ?? unknown}/${target.averageValue}${isAverage ? " (avg)" : ""}`;
  }
  if (resource) {
    const used = current?.averageUtilization === undefined ? unknown : `${current.averageUtilization}%`;
    return `${prefix}${used}/${target.averageUtilization === undefined ? "<auto>" : `${target.averageUtilization}%`}`;
  }
  return `${current?.value ?? unknown}/${target.value ?? ""}`;
}
