import { refuses } from "../../testing/refusals.ts";
import { horizontalPodAutoscalers } from "./horizontal-pod-autoscaler.ts";

const metadata = { name: "web", namespace: "default" };
const scaleTargetRef = { apiVersion: "apps/v1", kind: "Deployment", name: "web" };
const target = { type: "Utilization", averageUtilization: 80 };
const cpu = { type: "Resource", resource: { name: "cpu", target } };
const known = 'supported values: "ContainerResource", "External", "Object", "Pods", "Resource"';

refuses(horizontalPodAutoscalers, { metadata, spec: { scaleTargetRef, maxReplicas: 5, metrics: [cpu] } }, [
  [
    "by what no container has",
    {
      "spec.metrics": [
        { type: "ContainerResource", containerResource: { name: "gold", container: "web", target } },
        { type: "ContainerResource", containerResource: { name: "", container: "", target } },
      ],
    },
    [
      'spec.metrics[0].containerResource.name: Invalid value: "gold": must be a standard resource type or fully qualified',
      'spec.metrics[0].containerResource.name: Invalid value: "gold": must be a standard resource for containers',
      "spec.metrics[1].containerResource.name: Required value: must specify a resource name",
      "spec.metrics[1].containerResource.container: Required value: must specify a container",
    ],
  ],
  [
    "by several measures at once, of a sort nobody knows",
    { "spec.metrics.0": { ...cpu, type: "Mood", pods: { metric: { name: "m" }, target: { type: "AverageValue" } } } },
    [
      `spec.metrics[0].type: Unsupported value: "Mood": ${known}`,
      "spec.metrics[0].pods.target.averageValue: Required value: must specify a positive target averageValue",
      `spec.metrics[0].type: Unsupported value: "Mood": ${known}`,
      "spec.metrics[0].pods: Forbidden: must populate the given metric source only",
      "spec.metrics[0].resource: Forbidden: must populate the given metric source only",
    ],
  ],
  [
    "by one measure, told as another",
    {
      "spec.metrics.0": {
        type: "Pods",
        resource: { name: "", target: { type: "", averageUtilization: 0, averageValue: "0" } },
      },
    },
    [
      "spec.metrics[0].resource.name: Required value: must specify a resource name",
      "spec.metrics[0].resource.target.type: Required value: must specify a metric target type",
      'spec.metrics[0].resource.target.type: Invalid value: "": must be either Utilization, Value, or AverageValue',
      'spec.metrics[0].resource.target.averageValue: Invalid value: "0": must be positive',
      "spec.metrics[0].resource.target.averageUtilization: Invalid value: 0: must be greater than 0",
      "spec.metrics[0].resource.target.averageValue: Forbidden: may not set both a target raw value and a target utilization",
      "spec.metrics[0].pods: Required value: must populate information for the given metric source",
    ],
  ],
]);
