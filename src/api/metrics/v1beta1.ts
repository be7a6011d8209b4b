/** The types of metrics.k8s.io; see v1beta1.schema.ts. */
import type { ClusterMeta, NamespacedMeta } from "../object.ts";
import type { Resource } from "../resource.ts";

export interface ContainerMetrics {
  name: string;
  usage: Record<string, string>;
}

export interface NodeMetrics {
  kind: "NodeMetrics";
  apiVersion: "metrics.k8s.io/v1beta1";
  metadata: ClusterMeta;
  timestamp: string;
  window: string;
  usage: Record<string, string>;
}

export interface PodMetrics {
  kind: "PodMetrics";
  apiVersion: "metrics.k8s.io/v1beta1";
  metadata: NamespacedMeta;
  timestamp: string;
  window: string;
  containers: ContainerMetrics[];
}

export const PodMetricsResource: Resource<PodMetrics> = {
  group: "metrics.k8s.io",
  version: "v1beta1",
  kind: "PodMetrics",
  plural: "pods",
  scope: "Namespaced",
};
