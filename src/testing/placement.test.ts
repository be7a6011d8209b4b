/** Where Pods go, and who makes room for whom, against the real API server. */
import { expect, test } from "vitest";
import type { Pod } from "../api/core/v1.ts";
import type { New } from "../api/object.ts";
import { Events, Nodes, PodDisruptionBudgets, Pods, PriorityClasses, ReplicaSets } from "../api/resources.ts";
import { runningPods, startTestControlPlane, type TestControlPlane } from "./control-plane.ts";

const namespace = "default";
const watched = [ReplicaSets, PodDisruptionBudgets, Events];
const containers = (cpu = "100m", extra = {}) => [
  { name: "main", image: "app:1", resources: { requests: { cpu } }, ...extra },
];
const pod = (name: string, spec: Partial<Pod["spec"]> = {}, metadata = {}): New<Pod> => ({
  metadata: { name, namespace, ...metadata },
  spec: { containers: containers(), ...spec },
});

async function start(...cpus: string[]): Promise<TestControlPlane> {
  const cluster = await startTestControlPlane({ watched });
  for (const [i, cpu] of cpus.entries()) await cluster.addNode(`worker-${i + 1}`, { cpu });
  for (const [name, value] of Object.entries({ low: 1, middle: 100, high: 1000 }))
    await cluster.client.create(PriorityClasses, { metadata: { name }, value });
  await cluster.client.create(PriorityClasses, {
    metadata: { name: "patient" },
    value: 1000,
    preemptionPolicy: "Never",
  });
  return cluster;
}

const scheduled = (cluster: TestControlPlane, name: string) =>
  cluster.get(Pods, name)?.status?.conditions?.find(({ type }) => type === "PodScheduled");
const isWaiting = (cluster: TestControlPlane, name: string) => scheduled(cluster, name)?.reason === "Unschedulable";
const nodeOf = (cluster: TestControlPlane, name: string) => cluster.get(Pods, name)?.spec.nodeName;

test("Pods are placed only where what they request is left", async () => {
  await using cluster = await start("1", "1");
  for (const name of ["a", "b"]) await cluster.client.create(Pods, pod(name, { containers: containers("700m") }));
  await cluster.until(() => runningPods(cluster).length === 2);
  expect(new Set(runningPods(cluster).map(({ spec }) => spec.nodeName)).size).toBe(2);
  await cluster.client.create(Pods, pod("c", { containers: containers("700m") }));
  await cluster.until(() => isWaiting(cluster, "c"));
  await cluster.client.delete(Pods, { name: "a", namespace });
  await cluster.until(() => nodeOf(cluster, "c") !== undefined);
});

test("a node selector is followed where a Node matches, and keeps the Pod waiting where none does", async () => {
  await using cluster = await start("1", "1");
  await cluster.edit(
    Nodes,
    "worker-2",
    ({ metadata }) => void (metadata.labels = { ...metadata.labels, color: "blue" }),
  );
  await cluster.client.create(Pods, pod("blue", { nodeSelector: { color: "blue" } }));
  await cluster.client.create(Pods, pod("red", { nodeSelector: { color: "red" } }));
  await cluster.until(() => nodeOf(cluster, "blue") === "worker-2" && isWaiting(cluster, "red"));
  expect(scheduled(cluster, "red")?.message).toMatch(
    /^0\/2 nodes are available: 2 node\(s\) didn't match Pod's node affinity\/selector\./,
  );
});

test("a host port on every address keeps the same port of any address off the Node", async () => {
  await using cluster = await start("1");
  const port = (hostIP: string) => ({ ports: [{ containerPort: 80, hostPort: 8080, ...(hostIP ? { hostIP } : {}) }] });
  await cluster.client.create(Pods, pod("any", { containers: containers("1m", port("")) }));
  await cluster.until(() => nodeOf(cluster, "any") !== undefined);
  await cluster.client.create(Pods, pod("one", { containers: containers("1m", port("127.0.0.1")) }));
  await cluster.until(() => isWaiting(cluster, "one"));
  expect(scheduled(cluster, "one")?.message).toContain("1 node(s) didn't have free ports for the requested pod ports");
});

test("a gated Pod waits until its last gate is taken away", async () => {
  await using cluster = await start("1");
  await cluster.client.create(
    Pods,
    pod("gated", { schedulingGates: [{ name: "example.com/a" }, { name: "example.com/b" }] }),
  );
  await cluster.until(() => cluster.get(Pods, "gated") !== undefined);
  await cluster.edit(Pods, "gated", ({ spec }) => void spec.schedulingGates!.pop());
  await new Promise((done) => setTimeout(done, 200));
  expect(nodeOf(cluster, "gated")).toBeUndefined();
  expect(scheduled(cluster, "gated")?.reason).toBe("SchedulingGated");
  await cluster.edit(Pods, "gated", ({ spec }) => void delete spec.schedulingGates);
  await cluster.until(() => nodeOf(cluster, "gated") === "worker-1");
});

test("a Pod for another scheduler is left to that", async () => {
  await using cluster = await start("1");
  await cluster.client.create(Pods, pod("foreign", { schedulerName: "somebody-else" }));
  await cluster.client.create(Pods, pod("ours"));
  await cluster.until(() => nodeOf(cluster, "ours") !== undefined);
  expect(nodeOf(cluster, "foreign")).toBeUndefined();
});

test("a critical Pod takes the place of a lesser one, which says who took it", async () => {
  await using cluster = await start("1");
  await cluster.client
    .create(PriorityClasses, { metadata: { name: "system-cluster-critical" }, value: 2_000_000_000 })
    .catch(() => {});
  // The finalizer lets us see what becomes of the victim.
  await cluster.client.create(
    Pods,
    pod("victim", { priorityClassName: "low", containers: containers("800m") }, { finalizers: ["example.com/watch"] }),
  );
  await cluster.until(() => nodeOf(cluster, "victim") !== undefined);
  await cluster.client.create(
    Pods,
    pod("critical", { priorityClassName: "system-cluster-critical", containers: containers("800m") }),
  );
  await cluster.until(() => cluster.get(Pods, "victim")?.metadata.deletionTimestamp !== undefined);
  expect(cluster.get(Pods, "victim")?.status?.conditions).toContainEqual(
    expect.objectContaining({ type: "DisruptionTarget", status: "True", reason: "PreemptionByScheduler" }),
  );
  expect(cluster.get(Pods, "critical")?.status?.nominatedNodeName).toBe("worker-1");
  await cluster.edit(Pods, "victim", ({ metadata }) => void delete metadata.finalizers);
  await cluster.until(() => nodeOf(cluster, "critical") === "worker-1");
  await cluster.until(() => cluster.list(Events, namespace).some(({ reason }) => reason === "Preempted"));
});

test("who never preempts waits, though it is worth more", async () => {
  await using cluster = await start("1");
  await cluster.client.create(Pods, pod("low", { priorityClassName: "low", containers: containers("800m") }));
  await cluster.until(() => nodeOf(cluster, "low") !== undefined);
  await cluster.client.create(Pods, pod("patient", { priorityClassName: "patient", containers: containers("800m") }));
  await cluster.until(() => isWaiting(cluster, "patient"));
  expect(scheduled(cluster, "patient")?.message).toContain("preemption: not eligible due to preemptionPolicy=Never.");
  await cluster.client.delete(Pods, { name: "low", namespace });
  await cluster.until(() => nodeOf(cluster, "patient") !== undefined);
});

test("of two victims the one goes that no budget protects", async () => {
  await using cluster = await start("1", "1");
  const labels = { app: "protected" };
  const lesser = { priorityClassName: "low", containers: containers("800m") };
  await cluster.client.create(Pods, pod("safe", lesser, { labels }));
  await cluster.client.create(Pods, pod("free", lesser));
  await cluster.client.create(PodDisruptionBudgets, {
    metadata: { name: "budget", namespace },
    spec: { minAvailable: 1, selector: { matchLabels: labels } },
  });
  await cluster.until(
    () =>
      cluster.get(PodDisruptionBudgets, "budget")?.status?.currentHealthy === 1 &&
      nodeOf(cluster, "free") !== undefined,
  );
  const place = nodeOf(cluster, "free");
  await cluster.client.create(Pods, pod("high", { priorityClassName: "high", containers: containers("800m") }));
  await cluster.until(() => nodeOf(cluster, "high") !== undefined);
  expect(nodeOf(cluster, "high")).toBe(place);
  expect(nodeOf(cluster, "safe")).toBeDefined();
});

test("four levels of ReplicaSets on too little room: the highest stand, and the lowest give way as far as they must", async () => {
  await using cluster = await start("1");
  const level = async (name: string, replicas: number, cpu: string) => {
    const labels = { level: name };
    const spec = { priorityClassName: name, containers: containers(cpu) };
    await cluster.client.create(ReplicaSets, {
      metadata: { name, namespace },
      spec: { replicas, selector: { matchLabels: labels }, template: { metadata: { labels }, spec } },
    });
  };
  const running = (name: string) =>
    runningPods(cluster).filter(({ metadata }) => metadata.labels?.["level"] === name).length;
  await cluster.client.create(PriorityClasses, { metadata: { name: "second" }, value: 50 });
  await level("low", 5, "40m");
  await level("second", 4, "50m");
  await level("middle", 4, "100m");
  await cluster.until(() => running("low") === 5 && running("second") === 4 && running("middle") === 4);
  await level("high", 1, "450m");
  await cluster.until(() => running("high") === 1);
  // 450m for the highest: 200m are free, 200m come from the lowest five, the rest from the level above them.
  await cluster.until(() => running("low") === 0 && running("middle") === 4);
  expect(running("second")).toBeGreaterThanOrEqual(2);
});
