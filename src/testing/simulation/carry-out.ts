/** Does to a simulated cluster what a step says. */
import type { PodTemplateSpec } from "../../api/core/v1.ts";
import type { KubeObject, New } from "../../api/object.ts";
import type { Resource } from "../../api/resource.ts";
import {
  CronJobs,
  DaemonSets,
  Deployments,
  Jobs,
  Nodes,
  PodDisruptionBudgets,
  Pods,
  Services,
  StatefulSets,
} from "../../api/resources.ts";
import { isAlreadyExists, isConflict, isNotFound, StatusError } from "../../apimachinery/status-error.ts";
import type { Step } from "./script.ts";
import type { SimulatedCluster } from "./simulated-cluster.ts";
import { failurePercent, runSeconds } from "./simulated-kubelets.ts";

const namespace = "default";

function template(labels: Record<string, string>, image: string, annotations = {}): PodTemplateSpec {
  return {
    metadata: { labels, annotations },
    spec: { containers: [{ name: "main", image, resources: { requests: { cpu: "100m" } } }] },
  } as PodTemplateSpec;
}

/** What is there from the beginning: Services, a Deployment guarded by a budget, one whose Pods keep apart. */
export async function furnish({ admin }: SimulatedCluster): Promise<void> {
  for (const app of ["web", "db"]) {
    await admin.create(Services, {
      metadata: { name: app, namespace },
      spec: { selector: { app }, clusterIP: "None", clusterIPs: ["None"], ports: [{ name: "http", port: 80 }] },
    } as never);
  }
  const guarded = { app: "guarded" };
  await admin.create(Deployments, {
    metadata: { name: "guarded", namespace },
    spec: { replicas: 3, selector: { matchLabels: guarded }, template: template(guarded, "app:1") },
  });
  await admin.create(PodDisruptionBudgets, {
    metadata: { name: "guarded", namespace },
    spec: { selector: { matchLabels: guarded }, maxUnavailable: 1 },
  } as never);
  const apart = { app: "apart", apart: "yes" };
  const apartTemplate = template(apart, "app:1");
  apartTemplate.spec!.affinity = {
    podAntiAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: [
        { topologyKey: "kubernetes.io/hostname", labelSelector: { matchLabels: apart } },
      ],
    },
  };
  await admin.create(Deployments, {
    metadata: { name: "apart", namespace },
    spec: { replicas: 2, selector: { matchLabels: apart }, template: apartTemplate },
  });
}

export async function carryOut(cluster: SimulatedCluster, step: Step): Promise<void> {
  try {
    await act(cluster, step);
  } catch (error) {
    // A budget may forbid an eviction; what a step means to change may be gone, or going.
    if (error instanceof StatusError && [404, 409, 422, 429].includes(error.code)) return;
    throw error;
  }
}

async function act(cluster: SimulatedCluster, step: Step): Promise<void> {
  const { admin, kubelets, world } = cluster;
  switch (step.do) {
    case "deployment": {
      const labels = { app: step.name };
      const { replicas, image, strategy, maxSurge, maxUnavailable, minReadySeconds, revisionHistoryLimit } = step;
      const spec = {
        replicas,
        paused: step.paused,
        minReadySeconds,
        revisionHistoryLimit,
        strategy:
          strategy === "Recreate"
            ? { type: strategy }
            : { type: strategy, rollingUpdate: { maxSurge, maxUnavailable } },
        selector: { matchLabels: labels },
        template: template(labels, image),
      };
      return await put(cluster, Deployments as Resource, step.name, spec, (old) => ({ ...old, ...spec }));
    }
    case "statefulset": {
      const labels = { app: step.name };
      const spec = {
        replicas: step.replicas,
        serviceName: step.name,
        podManagementPolicy: step.parallel ? "Parallel" : "OrderedReady",
        updateStrategy: { type: "RollingUpdate", rollingUpdate: { partition: step.partition } },
        selector: { matchLabels: labels },
        template: template(labels, step.image),
      };
      const { replicas, updateStrategy, template: pods } = spec;
      const change = (old: object) => ({ ...old, replicas, updateStrategy, template: pods });
      return await put(cluster, StatefulSets as Resource, step.name, spec, change);
    }
    case "daemonset": {
      const labels = { app: step.name };
      const { maxUnavailable, maxSurge } = step;
      const spec = {
        updateStrategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable, maxSurge } },
        selector: { matchLabels: labels },
        template: template(labels, step.image),
      };
      return await put(cluster, DaemonSets as Resource, step.name, spec, (old) => ({ ...old, ...spec }));
    }
    case "job": {
      const { completions, parallelism, backoffLimit, suspend } = step;
      const annotations = { [runSeconds]: String(step.runSeconds), [failurePercent]: String(step.failurePercent) };
      const pods = template({}, "app:1", annotations);
      pods.spec!.restartPolicy = "Never";
      const spec = {
        completions,
        parallelism,
        backoffLimit,
        suspend,
        completionMode: step.indexed ? "Indexed" : "NonIndexed",
        template: pods,
      };
      const change = (old: object) => ({ ...old, parallelism, suspend });
      return await put(cluster, Jobs as Resource, step.name, spec, change);
    }
    case "cronjob": {
      const pods = template({}, "app:1", { [runSeconds]: "20" });
      pods.spec!.restartPolicy = "Never";
      const { concurrencyPolicy } = step;
      const spec = { schedule: "* * * * *", concurrencyPolicy, jobTemplate: { spec: { template: pods } } };
      return await put(cluster, CronJobs as Resource, step.name, spec, (old) => ({ ...old, concurrencyPolicy }));
    }
    case "delete": {
      const resources = {
        deployments: Deployments,
        statefulsets: StatefulSets,
        daemonsets: DaemonSets,
        jobs: Jobs,
        cronjobs: CronJobs,
      };
      const { kind, name, propagationPolicy } = step;
      return await admin.delete(resources[kind] as Resource, { name, namespace }, { propagationPolicy });
    }
    case "evict guarded":
      return await evict(cluster, { pick: 0, app: "guarded" });
    case "evict pod":
      return await evict(cluster, step);
    case "delete pod": {
      const pod = pickPod(cluster, step);
      if (pod) await admin.delete(Pods, { name: pod.metadata.name, namespace });
      return;
    }
    case "unready pod": {
      const pod = pickPod(cluster, step);
      if (pod) kubelets.unready(pod, 500 + (step.pick % 7) * 1000);
      return;
    }
    case "silence node":
      return kubelets.silence(step.node);
    case "remove node":
      kubelets.remove(step.node);
      return await admin.delete(Nodes, { name: step.node });
    case "start node":
      return kubelets.start(step.node);
    case "cordon node":
    case "uncordon node": {
      const body = { spec: { unschedulable: step.do === "cordon node" ? true : null } };
      if (world.find("nodes", step.node)) await admin.patch(Nodes, { name: step.node }, { type: "merge", body });
      return;
    }
    case "restart controllers":
      return cluster.restart("controllers");
    case "restart scheduler":
      return cluster.restart("scheduler");
    case "break watches":
      return cluster.breakWatches();
    case "wait":
      return;
  }
}

function pickPod({ world }: SimulatedCluster, { pick, app }: { pick: number; app?: string }) {
  const pods = world
    .all("pods")
    .filter(({ metadata, status }) => !metadata.deletionTimestamp && status?.phase === "Running")
    .filter(({ metadata }) => app === undefined || metadata.labels?.["app"] === app);
  return pods[pick % Math.max(1, pods.length)];
}

async function evict(cluster: SimulatedCluster, choice: { pick: number; app?: string }): Promise<void> {
  const pod = pickPod(cluster, choice);
  if (!pod) return;
  const { name } = pod.metadata;
  const eviction = { apiVersion: "policy/v1", kind: "Eviction", metadata: { name, namespace } };
  await cluster.admin.createSubresource(Pods as Resource, { name, namespace }, "eviction", eviction);
}

async function put(
  { admin }: SimulatedCluster,
  resource: Resource,
  name: string,
  spec: object,
  change: (old: object) => object,
): Promise<void> {
  try {
    await admin.create(resource, { metadata: { name, namespace }, spec } as unknown as New<KubeObject>);
    return;
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
  }
  for (;;) {
    try {
      const old = (await admin.get(resource, { name, namespace })) as KubeObject & { spec: object };
      await admin.update(resource, { ...old, spec: change(old.spec) } as KubeObject);
      return;
    } catch (error) {
      if (isNotFound(error)) return;
      if (!isConflict(error)) throw error;
    }
  }
}
