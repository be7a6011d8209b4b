/** metrics.k8s.io: what nodes and pods use right now, as `kubectl top` and autoscalers ask for it (upstream's metrics-server). */
import type { Node, Pod } from "../../api/core/v1.ts";
import type { DeepReadonly, KubeObject } from "../../api/object.ts";
import { Nodes, Pods } from "../../api/resources.ts";
import { notFoundError } from "../../apimachinery/status-error.ts";
import type { VirtualResource } from "../../apiserver/virtual-resource.ts";
import { rfc3339 } from "../../base/clock.ts";
import type { ObjectReader } from "../object-reader.ts";

export interface Usage {
  cpuNanoCores: number;
  workingSetBytes: number;
}

export interface NodeUsage extends Usage {
  atMs: number;
  /** The time over which CPU was measured. */
  windowMs: number;
  pods: readonly PodUsage[];
}

export interface PodUsage {
  uid: string;
  name: string;
  namespace: string;
  windowMs: number;
  containers: readonly (Usage & { name: string })[];
}

/** One Node's readings; undefined when it does not answer. */
export type ReadUsage = (nodeName: string) => Promise<NodeUsage | undefined>;

export interface MetricsOptions {
  objects: () => ObjectReader;
  readUsage: ReadUsage;
}

const group = "metrics.k8s.io";
const apiVersion = `${group}/v1beta1`;

export function resourceMetrics(options: MetricsOptions): VirtualResource[] {
  return [nodeMetrics(options), podMetrics(options)];
}

function nodeMetrics({ objects, readUsage }: MetricsOptions): VirtualResource {
  const measure = async ({ metadata }: DeepReadonly<Node>) => {
    const usage = await readUsage(metadata.name);
    return (
      usage && {
        kind: "NodeMetrics",
        apiVersion,
        metadata: metadataOf(metadata, usage),
        ...measuredAt(usage),
        usage: amounts(usage),
      }
    );
  };
  return {
    definition: {
      group,
      version: "v1beta1",
      kind: "NodeMetrics",
      listKind: "NodeMetricsList",
      plural: "nodes",
      singular: "",
      scope: "Cluster",
      verbs: ["get", "list"],
    },
    async get({ name }) {
      const node = await objects().get(Nodes, "", name);
      const measured = node && (await measure(node));
      if (!measured) throw notFoundError({ group, resource: "nodemetrics" }, name);
      return measured;
    },
    async list() {
      const nodes: readonly DeepReadonly<Node>[] = await objects().list(Nodes, "");
      return (await Promise.all(nodes.map(measure))).flatMap((measured) => measured ?? []);
    },
  };
}

function podMetrics({ objects, readUsage }: MetricsOptions): VirtualResource {
  const measureAll = async (pods: readonly DeepReadonly<Pod>[]): Promise<object[]> => {
    const nodes = new Set(pods.flatMap(({ spec }) => spec.nodeName ?? []));
    const readings = new Map<string, { node: NodeUsage; pod: PodUsage }>();
    await Promise.all(
      [...nodes].map(async (name) => {
        const node = await readUsage(name);
        for (const pod of node?.pods ?? []) readings.set(pod.uid, { node: node!, pod });
      }),
    );
    return pods.flatMap((pod) => {
      const reading = readings.get(pod.metadata.uid);
      // Half a pod's usage would mislead: a pod counts when all of its containers run.
      if (!reading || reading.pod.containers.length < pod.spec.containers.length) return [];
      return [
        {
          kind: "PodMetrics",
          apiVersion,
          metadata: metadataOf(pod.metadata, reading.node),
          ...measuredAt({ ...reading.node, windowMs: reading.pod.windowMs }),
          containers: reading.pod.containers.map(({ name, ...usage }) => ({ name, usage: amounts(usage) })),
        },
      ];
    });
  };
  return {
    definition: {
      group,
      version: "v1beta1",
      kind: "PodMetrics",
      listKind: "PodMetricsList",
      plural: "pods",
      singular: "",
      scope: "Namespaced",
      verbs: ["get", "list"],
    },
    async get({ namespace, name }) {
      const pod = await objects().get(Pods, namespace, name);
      const [measured] = pod ? await measureAll([pod]) : [];
      if (!measured) throw notFoundError({ group, resource: "podmetrics" }, `${namespace}/${name}`);
      return measured;
    },
    async list({ namespace }) {
      return measureAll(await objects().list(Pods, namespace));
    },
  };
}

function metadataOf(
  { name, namespace, labels }: DeepReadonly<KubeObject["metadata"] & { namespace?: string }>,
  { atMs }: NodeUsage,
) {
  return {
    name,
    ...(namespace ? { namespace } : {}),
    creationTimestamp: rfc3339(atMs),
    ...(labels ? { labels } : {}),
  };
}

function measuredAt({ atMs, windowMs }: Pick<NodeUsage, "atMs" | "windowMs">) {
  return { timestamp: rfc3339(atMs), window: `${(windowMs / 1000).toFixed(3).replace(/\.?0+$/, "")}s` };
}

function amounts({ cpuNanoCores, workingSetBytes }: Usage) {
  return { cpu: `${Math.round(cpuNanoCores)}n`, memory: `${Math.round(workingSetBytes / 1024)}Ki` };
}
