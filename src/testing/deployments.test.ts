/** Deployments, ReplicaSets and ReplicationControllers in their harder moments, against the real API server. */
import { expect, test } from "vitest";
import type { Deployment, ReplicaSet } from "../api/apps/v1.ts";
import type { Pod } from "../api/core/v1.ts";
import type { DeepReadonly, New } from "../api/object.ts";
import { Deployments, Events, Pods, ReplicaSets, ReplicationControllers, ResourceQuotas } from "../api/resources.ts";
import { runningPods, startTestControlPlane, type TestControlPlane } from "./control-plane.ts";

const watched = [Deployments, ReplicaSets, ReplicationControllers, Events, ResourceQuotas];
const namespace = "default";
const ref = { name: "web", namespace };
const labels = { app: "web" };
const image = (version: string) => ({
  metadata: { labels },
  spec: { containers: [{ name: "main", image: version }] },
});

function web(replicas: number, extra: Partial<Deployment["spec"]> = {}): New<Deployment> {
  return {
    metadata: ref,
    spec: { replicas, selector: { matchLabels: labels }, template: image("app:1"), ...extra },
  };
}

/** Pods of images that end in `:stuck` never become ready. */
async function start(): Promise<TestControlPlane> {
  const cluster = await startTestControlPlane({
    watched,
    podStatus: ({ spec }, podIP) => {
      const isStuck = spec.containers[0]!.image!.endsWith(":stuck");
      const now = new Date().toISOString().replace(/\.\d+Z/, "Z");
      const ready = { type: "Ready", status: isStuck ? "False" : "True", lastTransitionTime: now };
      return { phase: isStuck ? "Pending" : "Running", podIP, podIPs: [{ ip: podIP }], conditions: [ready] };
    },
  });
  await cluster.addNode("worker", { cpu: "64" });
  return cluster;
}

const deployment = (cluster: TestControlPlane) => cluster.get(Deployments, "web");

function isRolledOut(cluster: TestControlPlane, replicas: number): boolean {
  const { observedGeneration, ...status } = deployment(cluster)?.status ?? {};
  return (
    observedGeneration === deployment(cluster)?.metadata.generation &&
    [status.replicas, status.updatedReplicas, status.availableReplicas].every((count) => count === replicas)
  );
}

const condition = (cluster: TestControlPlane, wanted: string) => {
  const found = deployment(cluster)?.status.conditions?.find(({ type }) => type === wanted);
  return found && `${found.status} ${found.reason}`;
};

const sizes = (cluster: TestControlPlane) =>
  Object.fromEntries(
    cluster
      .list(ReplicaSets)
      .map(({ spec }) => [spec.template?.spec?.containers[0]?.image, spec.replicas] as const)
      .sort(),
  );

const setImage = (cluster: TestControlPlane, version: string) =>
  cluster.edit(Deployments, "web", ({ spec }) => (spec.template.spec!.containers[0]!.image = version));

test.concurrent("an update whose Pods never become ready stays where it is, keeps serving, and says so when its time is over", async () => {
  await using cluster = await start();
  await cluster.client.create(Deployments, web(3, { progressDeadlineSeconds: 1 }));
  await cluster.until(() => isRolledOut(cluster, 3));
  await setImage(cluster, "app:stuck");
  await cluster.until(() => condition(cluster, "Progressing") === "False ProgressDeadlineExceeded");
  expect(deployment(cluster)?.status).toMatchObject({
    replicas: 4,
    updatedReplicas: 1,
    readyReplicas: 3,
    unavailableReplicas: 1,
  });
  expect(condition(cluster, "Available")).toBe("True MinimumReplicasAvailable");
  const { message } = deployment(cluster)!.status.conditions!.find(({ type }) => type === "Progressing")!;
  expect(message).toMatch(/^ReplicaSet "web-[a-z0-9]+" has timed out progressing\.$/);
  // Repaired by an edit, it goes on.
  await setImage(cluster, "app:2");
  await cluster.until(
    () => isRolledOut(cluster, 3) && condition(cluster, "Progressing") === "True NewReplicaSetAvailable",
  );
  expect(sizes(cluster)).toEqual({ "app:1": 0, "app:2": 3, "app:stuck": 0 });
});

test("a change in the middle of an update rolls over to the newest template", async () => {
  await using cluster = await start();
  await cluster.client.create(Deployments, web(4));
  await cluster.until(() => isRolledOut(cluster, 4));
  await setImage(cluster, "app:stuck");
  await cluster.until(() => (sizes(cluster)["app:stuck"] ?? 0) > 0);
  await setImage(cluster, "app:3");
  await cluster.until(() => isRolledOut(cluster, 4));
  expect(sizes(cluster)).toEqual({ "app:1": 0, "app:3": 4, "app:stuck": 0 });
});

test("scaled in the middle of an update, old and new ReplicaSets grow in proportion", async () => {
  await using cluster = await start();
  const rollingUpdate = { maxSurge: 3, maxUnavailable: 2 };
  await cluster.client.create(Deployments, web(10, { strategy: { type: "RollingUpdate", rollingUpdate } }));
  await cluster.until(() => isRolledOut(cluster, 10));
  await setImage(cluster, "app:stuck");
  await cluster.until(() => sizes(cluster)["app:1"] === 8 && sizes(cluster)["app:stuck"] === 5);
  await cluster.until(() => deployment(cluster)?.status.replicas === 13);
  await cluster.edit(Deployments, "web", ({ spec }) => (spec.replicas = 30));
  // 33 in all: 20 more than 13, shared out 8 to 5.
  await cluster.until(() => sizes(cluster)["app:1"] === 20 && sizes(cluster)["app:stuck"] === 13);
});

test("only as many old ReplicaSets stay as the history limit says", async () => {
  await using cluster = await start();
  await cluster.client.create(Deployments, web(1, { revisionHistoryLimit: 1 }));
  await cluster.until(() => isRolledOut(cluster, 1));
  for (const version of ["app:2", "app:3"]) {
    await setImage(cluster, version);
    await cluster.until(() => isRolledOut(cluster, 1));
  }
  await cluster.until(() => JSON.stringify(sizes(cluster)) === '{"app:2":0,"app:3":1}');
});

test.concurrent("a Pod counts as available only after its minimum of ready seconds", async () => {
  await using cluster = await start();
  await cluster.client.create(Deployments, web(2, { minReadySeconds: 1 }));
  await cluster.until(() => deployment(cluster)?.status.readyReplicas === 2);
  expect(deployment(cluster)?.status.availableReplicas ?? 0).toBe(0);
  await cluster.until(() => deployment(cluster)?.status.availableReplicas === 2);
});

test("a surge of 100 % doubles the Pods before any goes", async () => {
  await using cluster = await start();
  const rollingUpdate = { maxSurge: "100%", maxUnavailable: 0 };
  await cluster.client.create(Deployments, web(3, { strategy: { type: "RollingUpdate", rollingUpdate } }));
  await cluster.until(() => isRolledOut(cluster, 3));
  await setImage(cluster, "app:stuck");
  await cluster.until(() => deployment(cluster)?.status.replicas === 6);
  expect(sizes(cluster)).toEqual({ "app:1": 3, "app:stuck": 3 });
});

test("the template's hash names ReplicaSets and Pods, and sets their labels", async () => {
  await using cluster = await start();
  await cluster.client.create(Deployments, web(2));
  await cluster.until(() => isRolledOut(cluster, 2));
  const [replicaSet] = cluster.list(ReplicaSets);
  const hash = replicaSet!.metadata.labels!["pod-template-hash"]!;
  expect(replicaSet!.metadata.name).toBe(`web-${hash}`);
  expect(replicaSet!.spec.selector.matchLabels).toEqual({ ...labels, "pod-template-hash": hash });
  for (const { metadata } of cluster.list(Pods)) {
    expect(metadata.name).toMatch(new RegExp(`^web-${hash}-[bcdfghjklmnpqrstvwxz2456789]{5}$`));
    expect(metadata.labels).toEqual({ ...labels, "pod-template-hash": hash });
  }
});

test("a hash that is taken by somebody else's ReplicaSet is counted as a collision, and another is found", async () => {
  await using cluster = await start();
  await cluster.client.create(Deployments, web(1));
  await cluster.until(() => isRolledOut(cluster, 1));
  const { name } = cluster.list(ReplicaSets)[0]!.metadata;
  await cluster.client.delete(Deployments, ref);
  await cluster.until(() => cluster.list(ReplicaSets).length === 0 && cluster.list(Pods).length === 0);
  const other = { matchLabels: { app: "other" } };
  const template = { ...image("other:1"), metadata: { labels: { app: "other" } } };
  await cluster.client.create(ReplicaSets, {
    metadata: { name, namespace },
    spec: { replicas: 0, selector: other, template },
  });
  await cluster.client.create(Deployments, web(1));
  await cluster.until(() => isRolledOut(cluster, 1));
  expect(deployment(cluster)?.status.collisionCount).toBe(1);
  expect(cluster.list(ReplicaSets)).toHaveLength(2);
});

test("a selector that would take everybody's Pods moves nothing and says so", async () => {
  await using cluster = await start();
  await expect(cluster.client.create(Deployments, web(1, { selector: {} }))).rejects.toThrow(
    "empty selector is invalid for deployment",
  );
});

const standalone = (name: string): New<Pod> => ({
  metadata: { name, namespace, labels },
  spec: { containers: [{ name: "main", image: "app:1" }] },
});
const ownerOf = (pod: DeepReadonly<Pod> | undefined) =>
  pod?.metadata.ownerReferences?.find(({ controller }) => controller)?.name;

test.each([
  [
    "ReplicaSet",
    ReplicaSets,
    { metadata: ref, spec: { replicas: 2, selector: { matchLabels: labels }, template: image("app:1") } },
  ],
  [
    "ReplicationController",
    ReplicationControllers,
    { metadata: ref, spec: { replicas: 2, selector: labels, template: image("app:1") } },
  ],
] as const)("a %s adopts a Pod that matches, and lets go of one that no longer does", async (kind, resource, body) => {
  await using cluster = await start();
  await cluster.client.create(Pods, standalone("orphan"));
  await cluster.until(() => cluster.get(Pods, "orphan")?.status?.phase === "Running");
  await cluster.client.create(resource as typeof ReplicaSets, body as New<ReplicaSet>);
  await cluster.until(() => ownerOf(cluster.get(Pods, "orphan")) === "web" && runningPods(cluster).length === 2);
  expect(cluster.list(Pods)).toHaveLength(2);
  await cluster.edit(Pods, "orphan", ({ metadata }) => (metadata.labels = { app: "other" }));
  await cluster.until(() => ownerOf(cluster.get(Pods, "orphan")) === undefined && runningPods(cluster).length === 3);
  expect(cluster.list(Pods).filter((pod) => ownerOf(pod) === "web")).toHaveLength(2);
  expect(kind).toBe(resource.kind);
});

test.each([
  ["ReplicaSet", ReplicaSets, { selector: { matchLabels: labels }, template: image("app:1") }],
  ["ReplicationController", ReplicationControllers, { selector: labels, template: image("app:1") }],
] as const)("a %s beyond its quota says ReplicaFailure, and no more once it fits", async (_, resource, spec) => {
  await using cluster = await start();
  await cluster.client.create(ResourceQuotas, { metadata: { name: "two", namespace }, spec: { hard: { pods: "2" } } });
  await cluster.until(() => cluster.get(ResourceQuotas, "two")?.status?.used !== undefined);
  const body = { metadata: ref, spec: { replicas: 3, ...spec } };
  await cluster.client.create(resource as typeof ReplicaSets, body as New<ReplicaSet>);
  const failure = () =>
    cluster
      .get(resource as typeof ReplicaSets, "web")
      ?.status?.conditions?.find(({ type }) => type === "ReplicaFailure");
  await cluster.until(() => failure()?.reason === "FailedCreate" && runningPods(cluster).length === 2);
  expect(failure()?.message).toMatch(/exceeded quota: two, requested: pods=1, used: pods=2, limited: pods=2$/);
  await cluster.edit(resource as typeof ReplicaSets, "web", (object) => (object.spec.replicas = 2));
  await cluster.until(() => failure() === undefined);
});

test.concurrent("a failed creation is retried with back-off: a full quota sees few attempts", async () => {
  await using cluster = await start();
  await cluster.client.create(ResourceQuotas, { metadata: { name: "none", namespace }, spec: { hard: { pods: "0" } } });
  await cluster.until(() => cluster.get(ResourceQuotas, "none")?.status?.used !== undefined);
  await cluster.client.create(Deployments, web(50));
  await cluster.until(() => condition(cluster, "ReplicaFailure") === "True FailedCreate");
  await new Promise((done) => setTimeout(done, 1500));
  // Eight at once, then one a round, and rounds twice as far apart each time.
  expect(cluster.attempts.get("create pods")).toBeLessThan(25);
  await cluster.client.delete(ResourceQuotas, { name: "none", namespace });
  await cluster.until(() => isRolledOut(cluster, 50));
});
