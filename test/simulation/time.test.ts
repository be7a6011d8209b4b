/** Controllers over hours of simulated time: schedules, silent nodes, tolerations, and input that can never work. */
import { expect, test } from "vitest";
import type { Pod } from "../../src/api/core/v1.ts";
import type { KubeObject, New } from "../../src/api/object.ts";
import type { Resource } from "../../src/api/resource.ts";
import {
  CronJobs,
  Deployments,
  Events,
  Jobs,
  Nodes,
  PodDisruptionBudgets,
  Pods,
  ReplicaSets,
  ResourceQuotas,
} from "../../src/api/resources.ts";
import { noFaults } from "../../src/testing/simulation/faulty-client.ts";
import { SimulatedCluster } from "../../src/testing/simulation/simulated-cluster.ts";
import { runSeconds } from "../../src/testing/simulation/simulated-kubelets.ts";

const namespace = "default";
const minute = 60_000;

async function withCluster(work: (cluster: SimulatedCluster) => Promise<void>, nodes = 2): Promise<void> {
  const cluster = new SimulatedCluster(1, { ...noFaults }, () => {});
  try {
    await cluster.start();
    for (let i = 0; i < nodes; i++) cluster.kubelets.start(`node-${i}`);
    await cluster.clock.advance(20_000);
    await work(cluster);
  } finally {
    await cluster.close();
  }
}

/** Objects as a user writes them: what is left out is defaulted by the server. */
async function create({ admin }: SimulatedCluster, resource: unknown, name: string, fields: object): Promise<void> {
  const object = { metadata: { name, namespace }, ...fields } as unknown as New<KubeObject>;
  await admin.create(resource as Resource, object);
}

const template = (labels: Record<string, string>, spec: object = {}, annotations = {}) => ({
  metadata: { labels, annotations },
  spec: { containers: [{ name: "main", image: "app:1" }], ...spec },
});

const deployment = (app: string, replicas: number, spec: object = {}) => ({
  spec: { replicas, selector: { matchLabels: { app } }, template: template({ app }, spec) },
});

const events = async ({ admin }: SimulatedCluster, kind: string) =>
  (await admin.list(Events, { namespace })).items
    .filter(({ involvedObject }) => involvedObject.kind === kind)
    .map(({ reason, message, count }) => ({ reason, message, count }));

const cronJob = (schedule: string, extra: object = {}, seconds = 10) => ({
  spec: {
    schedule,
    jobTemplate: {
      spec: { template: template({}, { restartPolicy: "Never" }, { [runSeconds]: String(seconds) }) },
    },
    ...extra,
  },
});

/** Runs for so long, and counts what components write meanwhile, leases and events left out. */
async function writesWithin(cluster: SimulatedCluster, ms: number): Promise<number> {
  cluster.writes.clear();
  await cluster.clock.advance(ms);
  return [...cluster.writes].reduce((sum, [what, count]) => (what.endsWith(" events") ? sum : sum + count), 0);
}

test("a CronJob starts a Job each time, and keeps three that succeeded", async () => {
  await withCluster(async (cluster) => {
    await create(cluster, CronJobs, "tick", cronJob("*/5 * * * *"));
    await cluster.clock.advance(60 * minute);
    const { items } = await cluster.admin.list(Jobs, { namespace });
    expect(items).toHaveLength(3);
    const seen = await events(cluster, "CronJob");
    expect(seen.filter(({ reason }) => reason === "SuccessfulCreate").length).toBeGreaterThanOrEqual(10);
    const { status } = await cluster.admin.get(CronJobs, { name: "tick", namespace });
    expect(status?.lastScheduleTime).toBe("2026-01-01T01:00:00Z");
  });
});

test.each([
  ["Forbid", 1],
  ["Allow", 3],
  ["Replace", 1],
] as const)("a Job that outlasts its interval: %s lets %i run at once", async (concurrencyPolicy, most) => {
  await withCluster(async (cluster) => {
    await create(cluster, CronJobs, "slow", cronJob("* * * * *", { concurrencyPolicy }, 170));
    let highest = 0;
    const names = new Set<string>();
    for (let i = 0; i < 60; i++) {
      await cluster.clock.advance(10_000);
      const running = cluster.world
        .all("jobs")
        .filter(({ status, metadata }) => status?.active && !metadata.deletionTimestamp);
      for (const { metadata } of running) names.add(metadata.name);
      highest = Math.max(highest, running.length);
    }
    expect(highest).toBe(most);
    // Forbid starts one when the last has ended, the others one a minute.
    expect(names.size).toBeGreaterThanOrEqual(concurrencyPolicy === "Forbid" ? 3 : 9);
    expect(names.size).toBeLessThanOrEqual(concurrencyPolicy === "Forbid" ? 4 : 11);
  });
});

test("of starts that were missed while controllers were away the latest is made up for, once", async () => {
  await withCluster(async (cluster) => {
    await create(cluster, CronJobs, "late", cronJob("*/10 * * * *", { suspend: true }));
    await cluster.clock.advance(55 * minute);
    expect(cluster.world.all("jobs")).toEqual([]);
    await cluster.admin.patch(
      CronJobs,
      { name: "late", namespace },
      { type: "merge", body: { spec: { suspend: false } } },
    );
    await cluster.clock.advance(2 * minute);
    const due = cluster.world.all("jobs").map(({ metadata }) => metadata.annotations);
    expect(due).toEqual([{ "batch.kubernetes.io/cronjob-scheduled-timestamp": "2026-01-01T00:50:00Z" }]);
  });
});

test("a silent Node is Unknown after 50 s, and loses its Pods after the five minutes that they tolerate", async () => {
  await withCluster(async (cluster) => {
    await create(cluster, Deployments, "web", deployment("web", 2));
    const hasty = [
      { key: "node.kubernetes.io/unreachable", operator: "Exists", effect: "NoExecute", tolerationSeconds: 30 },
    ];
    const loyal = [{ operator: "Exists" }];
    for (const [name, tolerations] of [
      ["hasty", hasty],
      ["loyal", loyal],
    ] as const) {
      await create(cluster, Pods, name, { spec: { ...template({}).spec, nodeName: "node-1", tolerations } });
    }
    await cluster.clock.advance(10_000);
    const { world, kubelets, clock } = cluster;
    const on = (node: string) =>
      world
        .all("pods")
        .filter(({ spec, metadata }) => spec.nodeName === node && !metadata.deletionTimestamp)
        .map(({ metadata }) => metadata.labels?.["app"] ?? metadata.name)
        .sort();
    expect(on("node-1")).toEqual(["hasty", "loyal", "web"]);
    const ready = () => world.find("nodes", "node-1")?.status?.conditions?.find(({ type }) => type === "Ready");
    kubelets.silence("node-1");
    await clock.advance(25_000);
    expect(ready()?.status).toBe("True");
    await clock.advance(30_000);
    expect(ready()).toMatchObject({ status: "Unknown", reason: "NodeStatusUnknown" });
    expect(world.find("nodes", "node-1")?.spec?.taints?.map(({ key, effect }) => `${key}:${effect}`)).toEqual([
      "node.kubernetes.io/unreachable:NoSchedule",
      "node.kubernetes.io/unreachable:NoExecute",
    ]);
    const unready = world.all("pods").filter(({ spec }) => spec.nodeName === "node-1");
    const readiness = (pod: Pod) => pod.status?.conditions?.find(({ type }) => type === "Ready")?.status;
    expect(unready.map(readiness), "nobody is sent there any more").toEqual(["False", "False", "False"]);
    await clock.advance(40_000);
    expect(on("node-1")).toEqual(["loyal", "web"]);
    await clock.advance(4 * minute);
    expect(on("node-1")).toEqual(["loyal", "web"]);
    await clock.advance(minute);
    expect(on("node-1")).toEqual(["loyal"]);
    expect(on("node-0")).toEqual(["web", "web"]);
    const evicted = world.all("pods").find(({ metadata }) => metadata.name === "hasty")!;
    expect(evicted.status?.conditions).toContainEqual(expect.objectContaining({ reason: "DeletionByTaintManager" }));

    kubelets.start("node-1");
    await clock.advance(30_000);
    expect(ready()?.status).toBe("True");
    expect(world.find("nodes", "node-1")?.spec?.taints ?? []).toEqual([]);
    expect(
      world
        .all("pods")
        .map(({ metadata }) => metadata.labels?.["app"] ?? metadata.name)
        .sort(),
    ).toEqual(["loyal", "web", "web"]);
  });
});

test("when no Node answers nobody is evicted, and of two that stay away the second goes ten seconds after the first", async () => {
  await withCluster(async ({ world, kubelets, clock, ...cluster }) => {
    await clock.advance(10_000);
    const evicted = () =>
      world
        .all("nodes")
        .filter(({ spec }) => spec?.taints?.some(({ effect }) => effect === "NoExecute"))
        .map(({ metadata }) => metadata.name);
    const unknown = () =>
      world.all("nodes").filter(({ status }) => status?.conditions?.some(({ status }) => status === "Unknown"));
    for (const node of ["node-0", "node-1", "node-2"]) kubelets.silence(node);
    await clock.advance(10 * minute);
    expect(unknown()).toHaveLength(3);
    expect(evicted()).toEqual([]);
    for (const { spec } of world.all("nodes")) {
      expect(spec?.taints).toEqual([expect.objectContaining({ effect: "NoSchedule" })]);
    }

    kubelets.start("node-0");
    await clock.advance(8_000);
    expect(evicted()).toHaveLength(1);
    await clock.advance(12_000);
    expect(evicted()).toEqual(["node-1", "node-2"]);
    // It is cut off again: those two are let go.
    kubelets.silence("node-0");
    await clock.advance(minute);
    expect(evicted()).toEqual([]);
    expect(cluster.complaints.filter((text) => !text.includes("no Node is ready"))).toEqual([]);
  }, 3);
});

test("a Node that comes back in time keeps its Pods", async () => {
  await withCluster(async (cluster) => {
    await create(cluster, Deployments, "web", deployment("web", 2));
    await cluster.clock.advance(10_000);
    const before = cluster.world.all("pods").map(({ metadata }) => metadata.uid);
    cluster.kubelets.silence("node-1");
    await cluster.clock.advance(4 * minute);
    cluster.kubelets.start("node-1");
    await cluster.clock.advance(10 * minute);
    expect(cluster.world.all("pods").map(({ metadata }) => metadata.uid)).toEqual(before);
  });
});

test("the Pods of a deleted Node are removed, and start elsewhere", async () => {
  await withCluster(async (cluster) => {
    await create(cluster, Deployments, "web", deployment("web", 2));
    // Between two heartbeats: one that is on its way would register the Node again.
    await cluster.clock.advance(15_000);
    cluster.kubelets.remove("node-1");
    await cluster.admin.delete(Nodes, { name: "node-1" });
    await cluster.clock.advance(2 * minute);
    expect(cluster.world.all("pods").map(({ spec, status }) => `${spec.nodeName} ${status?.phase}`)).toEqual([
      "node-0 Running",
      "node-0 Running",
    ]);
  });
});

test("a cron line that can never be due starts nothing, and nobody keeps asking", async () => {
  await withCluster(async (cluster) => {
    await create(cluster, CronJobs, "never", cronJob("0 0 31 2 *"));
    await cluster.clock.advance(minute);
    expect(await writesWithin(cluster, 30 * minute)).toBeLessThan(5);
    expect(cluster.world.all("jobs")).toEqual([]);
  });
});

test("a budget of a share of Pods that nobody scales says so once, and allows nothing", async () => {
  await withCluster(async (cluster) => {
    await create(cluster, Pods, "bare", {
      metadata: { name: "bare", namespace, labels: { app: "bare" } },
      spec: template({}).spec,
    });
    await create(cluster, PodDisruptionBudgets, "share", {
      spec: { selector: { matchLabels: { app: "bare" } }, maxUnavailable: "50%" },
    });
    await cluster.clock.advance(minute);
    expect(await writesWithin(cluster, 30 * minute)).toBeLessThan(5);
    const { status } = await cluster.admin.get(PodDisruptionBudgets, { name: "share", namespace });
    expect(status).toMatchObject({ disruptionsAllowed: 0 });
    expect(status?.conditions).toContainEqual(expect.objectContaining({ status: "False", reason: "InsufficientPods" }));
    expect(await events(cluster, "PodDisruptionBudget")).toContainEqual(
      expect.objectContaining({ reason: "UnmanagedPods" }),
    );
  });
});

test("a budget that can never be met refuses every eviction with the numbers", async () => {
  await withCluster(async (cluster) => {
    await create(cluster, Deployments, "web", deployment("web", 2));
    await create(cluster, PodDisruptionBudgets, "all", {
      spec: { selector: { matchLabels: { app: "web" } }, minAvailable: 5 },
    });
    await cluster.clock.advance(minute);
    const [{ metadata }] = cluster.world.all("pods") as [Pod];
    const eviction = { apiVersion: "policy/v1", kind: "Eviction", metadata: { name: metadata.name, namespace } };
    const refused = cluster.admin.createSubresource(
      Pods as Resource,
      { name: metadata.name, namespace },
      "eviction",
      eviction,
    );
    await expect(refused).rejects.toMatchObject({
      code: 429,
      message: "Cannot evict pod as it would violate the pod's disruption budget.",
      details: {
        causes: [
          {
            reason: "DisruptionBudget",
            message: "The disruption budget all needs 5 healthy pods and has 2 currently",
          },
        ],
      },
    });
    expect(await writesWithin(cluster, 30 * minute)).toBeLessThan(5);
  });
});

test("a dependent of an owner that does not exist is collected", async () => {
  await withCluster(async (cluster) => {
    const owner = {
      apiVersion: "apps/v1",
      kind: "ReplicaSet",
      name: "nobody",
      uid: "00000000-0000-4000-8000-000000000000",
    };
    await create(cluster, Pods, "orphan", {
      metadata: { name: "orphan", namespace, ownerReferences: [owner] },
      spec: template({}).spec,
    });
    await cluster.clock.advance(minute);
    expect(cluster.world.find("pods", "orphan")).toBeUndefined();
    expect(await writesWithin(cluster, 30 * minute)).toBeLessThan(5);
  });
});

test("a quota below what is used takes nothing away, and is counted against", async () => {
  await withCluster(async (cluster) => {
    await create(cluster, Deployments, "web", deployment("web", 2));
    await cluster.clock.advance(minute);
    // Less than is used already: nothing goes, nothing comes.
    await create(cluster, ResourceQuotas, "small", { spec: { hard: { pods: "1" } } });
    await cluster.clock.advance(minute);
    const quota = await cluster.admin.get(ResourceQuotas, { name: "small", namespace });
    expect(quota.status).toMatchObject({ hard: { pods: "1" }, used: { pods: "2" } });
    expect(cluster.world.all("pods")).toHaveLength(2);
    expect(await writesWithin(cluster, 30 * minute)).toBeLessThan(5);
  });
});

test("a selector that matches only its own template's Pods leaves others' alone", async () => {
  await withCluster(async (cluster) => {
    await create(cluster, Pods, "stranger", {
      metadata: { name: "stranger", namespace, labels: { app: "other" } },
      spec: template({}).spec,
    });
    const mismatched = {
      spec: { replicas: 1, selector: { matchLabels: { app: "a" } }, template: template({ app: "b" }) },
    };
    await expect(create(cluster, ReplicaSets, "mismatched", mismatched)).rejects.toMatchObject({ code: 422 });
    const tooMany = {
      ...deployment("web", 2).spec,
      strategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: "101%" } },
    };
    await expect(create(cluster, Deployments, "web", { spec: tooMany })).rejects.toThrow(
      "must not be greater than 100%",
    );
    await create(cluster, Deployments, "web", deployment("web", 1));
    await cluster.clock.advance(minute);
    expect(cluster.world.find("pods", "stranger")?.metadata.ownerReferences ?? []).toEqual([]);
  });
});
