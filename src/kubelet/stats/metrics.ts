/** What a node's kubelet tells Prometheus: /metrics/resource, /metrics/cadvisor and /metrics, by upstream's names. Pure. */

import type { MetricFamily, MetricSample } from "../../base/exposition.ts";
import type { PodState } from "../pod-state.ts";
import type { ContainerUsage, NodeStats, PodStats } from "./node-stats.ts";

const nanosecondsPerSecond = 1e9;

/** The small set that autoscaling lives on. */
export function resourceMetrics(stats: NodeStats): MetricFamily[] {
  const { pods, atMs } = stats;
  const total = (value: (pod: PodStats) => number) => pods.reduce((sum, pod) => sum + value(pod), 0);
  const ofContainers = (value: (container: ContainerUsage) => number, timed = true): MetricSample[] =>
    pods.flatMap(({ pod, containers }) =>
      containers.map((container) => ({
        labels: { container: container.name, namespace: pod.metadata.namespace, pod: pod.metadata.name },
        value: value(container),
        ...(timed ? { atMs: container.usage.atMs } : {}),
      })),
    );
  const ofPods = (value: (usage: NonNullable<PodStats["usage"]>) => number): MetricSample[] =>
    pods.flatMap(({ pod, usage }) =>
      usage
        ? [
            {
              labels: { namespace: pod.metadata.namespace, pod: pod.metadata.name },
              value: value(usage),
              atMs: usage.atMs,
            },
          ]
        : [],
    );
  return [
    {
      name: "container_cpu_usage_seconds_total",
      help: "[STABLE] Cumulative cpu time consumed by the container in core-seconds",
      type: "counter",
      samples: ofContainers(({ usage }) => usage.cpu.usageNanoseconds / nanosecondsPerSecond),
    },
    {
      name: "container_memory_working_set_bytes",
      help: "[STABLE] Current working set of the container in bytes",
      type: "gauge",
      samples: ofContainers(({ usage }) => usage.memory.workingSetBytes),
    },
    {
      name: "container_start_time_seconds",
      help: "[STABLE] Start time of the container since unix epoch in seconds",
      type: "gauge",
      samples: ofContainers(({ startedAtMs }) => startedAtMs / 1000, false),
    },
    {
      name: "node_cpu_usage_seconds_total",
      help: "[STABLE] Cumulative cpu time consumed by the node in core-seconds",
      type: "counter",
      samples: [{ value: total(({ usage }) => usage?.cpu.usageNanoseconds ?? 0) / nanosecondsPerSecond, atMs }],
    },
    {
      name: "node_memory_working_set_bytes",
      help: "[STABLE] Current working set of the node in bytes",
      type: "gauge",
      samples: [{ value: total(({ usage }) => usage?.memory.workingSetBytes ?? 0), atMs }],
    },
    {
      name: "pod_cpu_usage_seconds_total",
      help: "[STABLE] Cumulative cpu time consumed by the pod in core-seconds",
      type: "counter",
      samples: ofPods((usage) => usage.cpu.usageNanoseconds / nanosecondsPerSecond),
    },
    {
      name: "pod_memory_working_set_bytes",
      help: "[STABLE] Current working set of the pod in bytes",
      type: "gauge",
      samples: ofPods((usage) => usage.memory.workingSetBytes),
    },
    {
      name: "resource_scrape_error",
      help: "[STABLE] 1 if there was an error while getting container metrics, 0 otherwise",
      type: "gauge",
      samples: [{ value: 0 }],
    },
  ];
}

/** Those of cAdvisor's families that the kernel's control groups tell without more. */
export function cadvisorMetrics({ pods, memory, startedAtMs }: NodeStats, cpus: number): MetricFamily[] {
  const samples = (value: (container: ContainerUsage) => number): MetricSample[] =>
    pods.flatMap(({ pod, containers }) =>
      containers.map((container) => ({
        labels: {
          container: container.name,
          id: `/kubepods/pod${pod.metadata.uid}/${container.id}`,
          image: container.image,
          name: container.id,
          namespace: pod.metadata.namespace,
          pod: pod.metadata.name,
        },
        value: value(container),
        atMs: container.usage.atMs,
      })),
    );
  const network = (value: (network: NonNullable<PodStats["network"]>) => number): MetricSample[] =>
    pods.flatMap(({ pod, network: of }) =>
      of
        ? [
            {
              labels: { interface: of.interface, namespace: pod.metadata.namespace, pod: pod.metadata.name },
              value: value(of),
            },
          ]
        : [],
    );
  const family = (name: string, type: MetricFamily["type"], help: string, of: MetricSample[]): MetricFamily => ({
    name,
    help,
    type,
    samples: of,
  });
  return [
    family(
      "container_cpu_usage_seconds_total",
      "counter",
      "Cumulative cpu time consumed in seconds.",
      samples(({ usage }) => usage.cpu.usageNanoseconds / nanosecondsPerSecond),
    ),
    family(
      "container_memory_usage_bytes",
      "gauge",
      "Current memory usage in bytes, including all memory regardless of when it was accessed",
      samples(({ usage }) => usage.memory.usageBytes),
    ),
    family(
      "container_memory_working_set_bytes",
      "gauge",
      "Current working set in bytes.",
      samples(({ usage }) => usage.memory.workingSetBytes),
    ),
    family(
      "container_memory_rss",
      "gauge",
      "Size of RSS in bytes.",
      samples(({ usage }) => usage.memory.rssBytes),
    ),
    family(
      "container_memory_failures_total",
      "counter",
      "Cumulative count of memory allocation failures.",
      samples(({ usage }) => usage.memory.pageFaults),
    ),
    family(
      "container_fs_usage_bytes",
      "gauge",
      "Number of bytes that are consumed by the container on this filesystem.",
      samples(({ writable }) => writable.bytes),
    ),
    family(
      "container_processes",
      "gauge",
      "Number of processes running inside the container.",
      samples(({ usage }) => usage.processes),
    ),
    family(
      "container_start_time_seconds",
      "gauge",
      "Start time of the container since unix epoch in seconds.",
      samples(({ startedAtMs: at }) => at / 1000),
    ),
    family(
      "container_network_receive_bytes_total",
      "counter",
      "Cumulative count of bytes received",
      network((each) => each.receivedBytes),
    ),
    family(
      "container_network_receive_packets_total",
      "counter",
      "Cumulative count of packets received",
      network((each) => each.receivedPackets),
    ),
    family(
      "container_network_receive_errors_total",
      "counter",
      "Cumulative count of errors encountered while receiving",
      network((each) => each.receivedErrors),
    ),
    family(
      "container_network_transmit_bytes_total",
      "counter",
      "Cumulative count of bytes transmitted",
      network((each) => each.sentBytes),
    ),
    family(
      "container_network_transmit_packets_total",
      "counter",
      "Cumulative count of packets transmitted",
      network((each) => each.sentPackets),
    ),
    family(
      "container_network_transmit_errors_total",
      "counter",
      "Cumulative count of errors encountered while transmitting",
      network((each) => each.sentErrors),
    ),
    family("machine_memory_bytes", "gauge", "Amount of memory installed on the machine.", [
      { value: memory.totalBytes },
    ]),
    family("machine_cpu_cores", "gauge", "Number of logical CPU cores.", [{ value: cpus }]),
    family("cadvisor_start_time_seconds", "gauge", "When these figures began to be gathered.", [
      { value: startedAtMs / 1000 },
    ]),
  ];
}

export interface KubeletCounts {
  nodeName: string;
  startedAtMs: number;
  pods: readonly PodState[];
  /** Evictions so far, by signal. */
  evictions: Readonly<Record<string, number>>;
}

export function kubeletMetrics({ nodeName, pods, startedAtMs, evictions }: KubeletCounts): MetricFamily[] {
  const runs = pods.flatMap(({ containers }) => containers.map(({ run }) => run.kind));
  const states = { created: count(runs, "starting"), exited: count(runs, "exited"), running: count(runs, "running") };
  return [
    {
      name: "kubelet_node_name",
      help: "[ALPHA] The node's name. The count is always 1.",
      type: "gauge",
      samples: [{ labels: { node: nodeName }, value: 1 }],
    },
    {
      name: "kubelet_running_pods",
      help: "[BETA] Number of pods that have a running pod sandbox",
      type: "gauge",
      samples: [{ value: pods.filter(({ sandbox }) => sandbox.kind === "ready").length }],
    },
    {
      name: "kubelet_running_containers",
      help: "[BETA] Number of containers currently running",
      type: "gauge",
      samples: Object.entries(states).map(([state, value]) => ({ labels: { container_state: state }, value })),
    },
    {
      name: "kubelet_desired_pods",
      help: "[ALPHA] The number of pods the kubelet is being instructed to run.",
      type: "gauge",
      samples: [{ labels: { static: "" }, value: pods.length }],
    },
    {
      name: "kubelet_evictions",
      help: "[ALPHA] Cumulative number of pod evictions by eviction signal",
      type: "counter",
      samples: Object.entries(evictions).map(([signal, value]) => ({ labels: { eviction_signal: signal }, value })),
    },
    {
      name: "process_start_time_seconds",
      help: "Start time of the process since unix epoch in seconds.",
      type: "gauge",
      samples: [{ value: startedAtMs / 1000 }],
    },
  ];
}

function count<T>(list: readonly T[], wanted: T): number {
  return list.filter((each) => each === wanted).length;
}
