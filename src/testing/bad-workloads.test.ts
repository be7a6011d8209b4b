/** What cannot work says so, and keeps nobody busy: each case counts what controllers and scheduler try to write. */
import { afterAll, expect, test as testAlone } from "vitest";
import type { Deployment } from "../api/apps/v1.ts";
import type { KubeObject, New } from "../api/object.ts";
import type { Resource } from "../api/resource.ts";
import {
  CronJobs,
  DaemonSets,
  Deployments,
  Events,
  HorizontalPodAutoscalers,
  Jobs,
  PersistentVolumeClaims,
  PodDisruptionBudgets,
  Pods,
  ReplicaSets,
  ResourceQuotas,
  StatefulSets,
} from "../api/resources.ts";
import { finishPod, runningPods, startTestControlPlane, type TestControlPlane } from "./control-plane.ts";

/** Each has a cluster of its own, and mostly waits to see that nothing happens: they wait together. */
const test = testAlone.concurrent;

const namespace = "default";
const metadata = { name: "bad", namespace };
const labels = { app: "x" };
const selector = { matchLabels: labels };
const template = { metadata: { labels }, spec: { containers: [{ name: "main", image: "app:1" }] } };
const watched = [
  Deployments,
  ReplicaSets,
  DaemonSets,
  StatefulSets,
  Jobs,
  HorizontalPodAutoscalers,
  PodDisruptionBudgets,
  ResourceQuotas,
  PersistentVolumeClaims,
  Events,
];

async function start(): Promise<TestControlPlane> {
  const cluster = await startTestControlPlane({ watched });
  await cluster.addNode("worker", { cpu: "4" });
  return cluster;
}

const total = ({ attempts }: TestControlPlane) => [...attempts.values()].reduce((sum, count) => sum + count, 0);
const wait = (ms: number) => new Promise((done) => setTimeout(done, ms));
const hasEvent = (cluster: TestControlPlane, reason: string) =>
  cluster.list(Events, namespace).some((event) => event.reason === reason);

/** Retries after 5 ms, doubling, make nine attempts in the first two seconds and a half; each may write a few things. */
async function expectCalm(cluster: TestControlPlane, most = 25): Promise<void> {
  await wait(600);
  const before = total(cluster);
  await wait(1200);
  expect(total(cluster) - before, JSON.stringify([...cluster.attempts])).toBeLessThanOrEqual(most);
}

const deployment = (extra: Partial<Deployment["spec"]>): New<Deployment> => ({
  metadata,
  spec: { replicas: 1, selector, template, ...extra },
});

const rolling = (rollingUpdate: object) => deployment({ strategy: { type: "RollingUpdate", rollingUpdate } });
const finite = { ...template, spec: { ...template.spec, restartPolicy: "Never" } };
let refusing: Promise<TestControlPlane> | undefined;
afterAll(async () => (await refusing)?.[Symbol.asyncDispose]());

testAlone.each<[string, Resource, object, string]>([
  [
    "a selector that does not match its own template",
    Deployments,
    deployment({ selector: { matchLabels: { app: "y" } } }),
    "`selector` does not match template `labels`",
  ],
  [
    "a selector that matches everybody's Pods",
    ReplicaSets,
    { metadata, spec: { selector: {}, template } },
    "empty selector is invalid",
  ],
  [
    "more unavailable than there are",
    Deployments,
    rolling({ maxUnavailable: "101%" }),
    "must not be greater than 100%",
  ],
  [
    "neither surge nor unavailable",
    Deployments,
    rolling({ maxUnavailable: 0, maxSurge: 0 }),
    "may not be 0 when `maxSurge` is 0",
  ],
  [
    "a surge that is no percentage",
    Deployments,
    rolling({ maxSurge: "half" }),
    "a valid percent string must be a numeric string followed by an ending '%'",
  ],
  [
    "a cron line with six fields",
    CronJobs,
    { metadata, spec: { schedule: "0 * * * * *", jobTemplate: { spec: { template: finite } } } },
    "spec.schedule: Invalid value",
  ],
  [
    "a time zone that is none",
    CronJobs,
    {
      metadata,
      spec: { schedule: "* * * * *", timeZone: "Mars/Olympus", jobTemplate: { spec: { template: finite } } },
    },
    "spec.timeZone: Invalid value",
  ],
  ["a Job whose Pods always restart", Jobs, { metadata, spec: { template } }, "spec.template.spec.restartPolicy"],
  [
    "a budget with both bounds",
    PodDisruptionBudgets,
    { metadata, spec: { minAvailable: 1, maxUnavailable: 1, selector } },
    "minAvailable and maxUnavailable cannot be both set",
  ],
  [
    "an autoscaler with more at least than at most",
    HorizontalPodAutoscalers,
    {
      metadata,
      spec: {
        minReplicas: 3,
        maxReplicas: 2,
        scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "x" },
      },
    },
    "must be greater than or equal to `minReplicas`",
  ],
  [
    "a quota of less than nothing",
    ResourceQuotas,
    { metadata, spec: { hard: { pods: "-1" } } },
    "must be greater than or equal to 0",
  ],
  [
    "a StatefulSet with another one's restart policy",
    StatefulSets,
    { metadata, spec: { serviceName: "x", selector, template: finite } },
    'Unsupported value: "Never"',
  ],
])("%s is refused", async (_, resource, body, message) => {
  refusing ??= start();
  const cluster = await refusing;
  await expect(cluster.client.create(resource, body as New<KubeObject>)).rejects.toThrow(message);
});

test("a Deployment whose ServiceAccount is missing says so, and is retried less and less", async () => {
  await using cluster = await start();
  await cluster.client.create(
    Deployments,
    deployment({ replicas: 20, template: { ...template, spec: { ...template.spec, serviceAccountName: "nobody" } } }),
  );
  const failure = () =>
    cluster.get(Deployments, "bad")?.status.conditions?.find(({ type }) => type === "ReplicaFailure");
  await cluster.until(() => failure() !== undefined);
  expect(failure()?.message).toContain(
    'error looking up service account default/nobody: serviceaccount "nobody" not found',
  );
  await expectCalm(cluster);
});

test("two ReplicaSets with one selector keep each their own Pods", async () => {
  await using cluster = await start();
  for (const name of ["one", "two"])
    await cluster.client.create(ReplicaSets, {
      metadata: { name, namespace },
      spec: { replicas: 2, selector, template },
    });
  await cluster.until(() => runningPods(cluster).length === 4);
  await expectCalm(cluster, 0);
  const owners = runningPods(cluster).map(({ metadata: { ownerReferences } }) => ownerReferences?.[0]?.name);
  expect(owners.sort()).toEqual(["one", "one", "two", "two"]);
});

test("a Pod that fits nowhere is looked at again only when something has changed", async () => {
  await using cluster = await start();
  const resources = { requests: { cpu: "64" } };
  await cluster.client.create(Pods, { metadata, spec: { containers: [{ name: "main", image: "app:1", resources }] } });
  await cluster.until(() => hasEvent(cluster, "FailedScheduling"));
  await expectCalm(cluster, 0);
});

test("a StatefulSet whose claims name a class that is not there waits, and says so at the claim", async () => {
  await using cluster = await start();
  const spec = {
    accessModes: ["ReadWriteOnce"],
    storageClassName: "none",
    resources: { requests: { storage: "1Gi" } },
  };
  await cluster.client.create(StatefulSets, {
    metadata,
    spec: {
      replicas: 2,
      serviceName: "bad",
      selector,
      template,
      volumeClaimTemplates: [{ metadata: { name: "data" }, spec } as never],
    },
  });
  await cluster.until(() => hasEvent(cluster, "ProvisioningFailed"));
  expect(cluster.list(Events, namespace).find(({ reason }) => reason === "ProvisioningFailed")?.message).toBe(
    'storageclass.storage.k8s.io "none" not found',
  );
  await cluster.until(() => cluster.list(Pods).length === 1);
  await expectCalm(cluster);
});

test("an autoscaler without its target says so in a condition", async () => {
  await using cluster = await start();
  await cluster.client.create(HorizontalPodAutoscalers, {
    metadata,
    spec: { maxReplicas: 2, scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "nobody" } },
  });
  const condition = () =>
    cluster.get(HorizontalPodAutoscalers, "bad")?.status?.conditions?.find(({ type }) => type === "AbleToScale");
  await cluster.until(() => condition()?.status === "False");
  expect(condition()).toMatchObject({ reason: "FailedGetScale" });
  await expectCalm(cluster);
});

test("two autoscalers of the same Pods both say so, and scale nothing", async () => {
  await using cluster = await start();
  await cluster.client.create(Deployments, deployment({ replicas: 2 }));
  const scaleTargetRef = { apiVersion: "apps/v1", kind: "Deployment", name: "bad" };
  for (const name of ["one", "two"])
    await cluster.client.create(HorizontalPodAutoscalers, {
      metadata: { name, namespace },
      spec: { maxReplicas: 5, scaleTargetRef },
    });
  const why = (name: string) =>
    cluster
      .get(HorizontalPodAutoscalers, name)
      ?.status?.conditions?.find(({ type, reason }) => type === "ScalingActive" && reason === "AmbiguousSelector");
  // The first to look sees the other one when it looks again.
  await cluster.until(() => why("one") !== undefined || why("two") !== undefined);
  const { message } = (why("one") ?? why("two"))!;
  expect(message).toBe("pods by selector app=x are controlled by multiple HPAs: [{one default} {two default}]");
  expect(hasEvent(cluster, "AmbiguousSelector")).toBe(true);
  await expectCalm(cluster);
});

test("a daemon that fails as soon as it runs is replaced with a pause, and each failure is told", async () => {
  await using cluster = await start();
  await cluster.client.create(DaemonSets, { metadata, spec: { selector, template } });
  const failed = new Set<string>();
  using _ = cluster.observe(() => {
    for (const pod of runningPods(cluster)) {
      if (failed.has(pod.metadata.uid)) continue;
      failed.add(pod.metadata.uid);
      void finishPod(cluster, pod, 1).catch(() => {});
    }
  });
  await cluster.until(() => hasEvent(cluster, "FailedDaemonPod"));
  const before = failed.size;
  await wait(2500);
  expect(failed.size - before).toBeLessThanOrEqual(4);
});

test("two budgets for one Pod end its eviction with an error, not with a guess", async () => {
  await using cluster = await start();
  await cluster.client.create(ReplicaSets, { metadata, spec: { replicas: 1, selector, template } });
  for (const name of ["one", "two"])
    await cluster.client.create(PodDisruptionBudgets, {
      metadata: { name, namespace },
      spec: { maxUnavailable: 1, selector },
    });
  await cluster.until(
    () =>
      cluster.list(PodDisruptionBudgets).every(({ status }) => status?.disruptionsAllowed === 1) &&
      cluster.list(PodDisruptionBudgets).length === 2,
  );
  const { name } = runningPods(cluster)[0]!.metadata;
  await expect(
    cluster.client.createSubresource(Pods, { name, namespace }, "eviction", {
      apiVersion: "policy/v1",
      kind: "Eviction",
      metadata: { name, namespace },
    }),
  ).rejects.toMatchObject({
    code: 500,
    message: "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
  });
  await expectCalm(cluster, 0);
});

test("a budget whose selector matches nothing says so and allows nothing; one that matches everybody counts everybody", async () => {
  await using cluster = await start();
  for (const name of ["one", "two"]) {
    const own = { app: name };
    await cluster.client.create(ReplicaSets, {
      metadata: { name, namespace },
      spec: { replicas: 2, selector: { matchLabels: own }, template: { ...template, metadata: { labels: own } } },
    });
  }
  await cluster.until(() => runningPods(cluster).length === 4);
  const budgets = { nobody: { matchLabels: { app: "none" } }, everybody: {} };
  for (const [name, selector] of Object.entries(budgets)) {
    await cluster.client.create(PodDisruptionBudgets, {
      metadata: { name, namespace },
      spec: { maxUnavailable: 1, selector },
    });
  }
  const status = (name: string) => cluster.get(PodDisruptionBudgets, name)?.status;
  await cluster.until(() => status("everybody")?.currentHealthy === 4 && status("nobody")?.conditions !== undefined);
  expect(status("everybody")).toMatchObject({ expectedPods: 4, desiredHealthy: 3, disruptionsAllowed: 1 });
  expect(status("nobody")).toMatchObject({ expectedPods: 0, disruptionsAllowed: 0 });
  expect(status("nobody")?.conditions).toMatchObject([{ status: "False", reason: "InsufficientPods" }]);
  await cluster.until(() => hasEvent(cluster, "NoPods"));
  await expectCalm(cluster, 0);
});

test("a cluster in which all is well writes nothing", async () => {
  await using cluster = await start();
  const { client } = cluster;
  const named = (app: string) => ({ metadata: { labels: { app } }, spec: template.spec });
  // Pods are refused as long as nobody has counted for a quota.
  await client.create(ResourceQuotas, { metadata, spec: { hard: { pods: "50" } } });
  await cluster.until(() => cluster.get(ResourceQuotas, "bad")?.status?.hard !== undefined);
  await client.create(Deployments, {
    metadata,
    spec: { replicas: 3, selector: { matchLabels: { app: "a" } }, template: named("a") },
  });
  await client.create(StatefulSets, {
    metadata,
    spec: { replicas: 2, serviceName: "b", selector: { matchLabels: { app: "b" } }, template: named("b") },
  });
  await client.create(DaemonSets, {
    metadata,
    spec: { selector: { matchLabels: { app: "c" } }, template: named("c") },
  });
  await client.create(Jobs, { metadata, spec: { parallelism: 2, completions: 2, template: finite } });
  await client.create(PodDisruptionBudgets, {
    metadata,
    spec: { maxUnavailable: 1, selector: { matchLabels: { app: "a" } } },
  });
  await cluster.until(() => runningPods(cluster).length === 8);
  await expectCalm(cluster, 0);
  expect(cluster.complaints).toEqual([]);
});
