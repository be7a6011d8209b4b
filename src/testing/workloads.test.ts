/** Controllers and scheduler against the real API server: what the cluster's state becomes, through the API. */
import { expect, test } from "vitest";
import type { Deployment } from "../api/apps/v1.ts";
import type { Pod } from "../api/core/v1.ts";
import type { DeepReadonly, New } from "../api/object.ts";
import {
  Deployments,
  EndpointSlices,
  Endpoints,
  Events,
  Namespaces,
  Pods,
  PriorityClasses,
  ReplicaSets,
  Services,
} from "../api/resources.ts";
import { startTestControlPlane, type TestControlPlane } from "./control-plane.ts";

const watched = [Deployments, ReplicaSets, EndpointSlices, Endpoints, Events, Namespaces];

function web(replicas: number, extra: Partial<Deployment["spec"]> = {}): New<Deployment> {
  return {
    metadata: { name: "web", namespace: "default" },
    spec: {
      replicas,
      selector: { matchLabels: { app: "web" } },
      template: { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "main", image: "app:1" }] } },
      ...extra,
    },
  };
}

async function withNodes(): Promise<TestControlPlane> {
  const cluster = await startTestControlPlane({ watched });
  await cluster.addNode("control-plane", {
    spec: { taints: [{ key: "node-role.kubernetes.io/control-plane", effect: "NoSchedule" }] },
  });
  await cluster.addNode("worker-1");
  await cluster.addNode("worker-2");
  return cluster;
}

const isAlive = (pod: DeepReadonly<Pod>) => !pod.metadata.deletionTimestamp;

function isRolledOut(cluster: TestControlPlane, replicas: number): boolean {
  const deployment = cluster.get(Deployments, "web");
  const { observedGeneration, ...status } = deployment?.status ?? {};
  return (
    observedGeneration === deployment?.metadata.generation &&
    [status.replicas, status.updatedReplicas, status.availableReplicas].every((count) => count === replicas) &&
    status.conditions?.some(({ reason }) => reason === "NewReplicaSetAvailable") === true
  );
}

function eventsOf(cluster: TestControlPlane, kind: string): string[] {
  return cluster
    .list(Events, "default")
    .filter(({ involvedObject }) => involvedObject.kind === kind)
    .sort(
      (a, b) =>
        Number.parseInt(a.metadata.name.split(".").pop()!, 16) - Number.parseInt(b.metadata.name.split(".").pop()!, 16),
    )
    .map(({ reason, message }) => `${reason}: ${message}`);
}

test("a Deployment gets its Pods, spread over the workers, and a Service finds them", async () => {
  await using cluster = await withNodes();
  const service = { selector: { app: "web" }, ports: [{ name: "http", port: 80, targetPort: 8080 }] };
  const headless = { clusterIP: "None", clusterIPs: ["None"], ipFamilies: ["IPv4"], ipFamilyPolicy: "SingleStack" };
  await cluster.client.create(Services, {
    metadata: { name: "web", namespace: "default" },
    spec: { ...service, ...headless },
  });
  await cluster.client.create(Deployments, web(4));
  await cluster.until(() => isRolledOut(cluster, 4));
  const pods = cluster.list(Pods);
  expect(pods.map(({ spec }) => spec.nodeName).sort()).toEqual(["worker-1", "worker-1", "worker-2", "worker-2"]);
  const [replicaSet] = cluster.list(ReplicaSets);
  expect(pods.every(({ metadata }) => metadata.name.startsWith(`${replicaSet!.metadata.name}-`))).toBe(true);
  const ready = () =>
    cluster
      .list(EndpointSlices)
      .flatMap(({ endpoints }) => endpoints ?? [])
      .filter(({ conditions }) => conditions?.ready);
  await cluster.until(() => ready().length === 4);
  await cluster.until(() => cluster.get(Endpoints, "web")?.subsets?.[0]?.addresses?.length === 4);
  expect(cluster.list(EndpointSlices)[0]).toMatchObject({
    metadata: { labels: { "kubernetes.io/service-name": "web", "service.kubernetes.io/headless": "" } },
    addressType: "IPv4",
    ports: [{ name: "http", port: 8080, protocol: "TCP" }],
  });
  expect(eventsOf(cluster, "Deployment")).toEqual([
    `ScalingReplicaSet: Scaled up replica set ${replicaSet!.metadata.name} from 0 to 4`,
  ]);
  await cluster.until(() => eventsOf(cluster, "ReplicaSet").length === 4);
  expect(
    eventsOf(cluster, "ReplicaSet").every((event) => event.startsWith("SuccessfulCreate: Created pod: web-")),
  ).toBe(true);
  expect(cluster.complaints).toEqual([]);
});

test("a rolling update never has more Pods than surge allows, nor fewer available than promised", async () => {
  await using cluster = await withNodes();
  await cluster.client.create(Deployments, web(10));
  await cluster.until(() => isRolledOut(cluster, 10));
  let most = 0;
  let fewest = Number.POSITIVE_INFINITY;
  using _ = cluster.observe(() => {
    const alive = cluster.list(Pods).filter(isAlive);
    most = Math.max(most, alive.length);
    fewest = Math.min(fewest, alive.filter(({ status }) => status?.phase === "Running").length);
  });
  await cluster.edit(Deployments, "web", ({ spec }) => (spec.template.spec!.containers[0]!.image = "app:2"));
  await cluster.until(() => isRolledOut(cluster, 10));
  expect(most).toBeLessThanOrEqual(13);
  expect(most).toBeGreaterThan(10);
  expect(fewest).toBeGreaterThanOrEqual(8);
  const sizes = cluster.list(ReplicaSets).map(({ spec }) => spec.replicas);
  expect(sizes.sort()).toEqual([0, 10]);
});

test("a rollback uses the old ReplicaSet again, under a new revision", async () => {
  await using cluster = await withNodes();
  await cluster.client.create(Deployments, web(2));
  await cluster.until(() => isRolledOut(cluster, 2));
  for (const image of ["app:2", "app:1"]) {
    await cluster.edit(Deployments, "web", ({ spec }) => (spec.template.spec!.containers[0]!.image = image));
    await cluster.until(() => isRolledOut(cluster, 2));
  }
  const revisions = cluster.list(ReplicaSets).map(({ metadata, spec }) => ({
    replicas: spec.replicas,
    revision: metadata.annotations?.["deployment.kubernetes.io/revision"],
    history: metadata.annotations?.["deployment.kubernetes.io/revision-history"],
  }));
  expect(revisions.sort((a, b) => a.replicas! - b.replicas!)).toEqual([
    { replicas: 0, revision: "2", history: undefined },
    { replicas: 2, revision: "3", history: "1" },
  ]);
  expect(cluster.get(Deployments, "web")?.metadata.annotations?.["deployment.kubernetes.io/revision"]).toBe("3");
});

test("Recreate starts no new Pod before the last old one is gone", async () => {
  await using cluster = await withNodes();
  await cluster.client.create(Deployments, web(5, { strategy: { type: "Recreate" } }));
  await cluster.until(() => isRolledOut(cluster, 5));
  let isMixed = false;
  let looks = 0;
  using _ = cluster.observe(() => {
    looks++;
    isMixed ||= new Set(cluster.list(Pods).map(({ spec }) => spec.containers[0]!.image)).size > 1;
  });
  await cluster.edit(Deployments, "web", ({ spec }) => (spec.template.spec!.containers[0]!.image = "app:2"));
  await cluster.until(() => isRolledOut(cluster, 5));
  expect(isMixed).toBe(false);
  expect(looks).toBeGreaterThan(10);
});

test("a deleted Pod is replaced, a scaled Deployment follows", async () => {
  await using cluster = await withNodes();
  await cluster.client.create(Deployments, web(3));
  await cluster.until(() => isRolledOut(cluster, 3));
  const victim = cluster.list(Pods)[0]!;
  await cluster.client.delete(Pods, victim.metadata);
  await cluster.until(
    () => isRolledOut(cluster, 3) && !cluster.list(Pods).some(({ metadata }) => metadata.uid === victim.metadata.uid),
  );
  await cluster.edit(Deployments, "web", ({ spec }) => (spec.replicas = 12));
  await cluster.until(() => isRolledOut(cluster, 12));
  await cluster.edit(Deployments, "web", ({ spec }) => (spec.replicas = 1));
  await cluster.until(() => isRolledOut(cluster, 1) && cluster.list(Pods).length === 1);
});

test("a paused Deployment is scaled but not rolled, and goes on when it is resumed", async () => {
  await using cluster = await withNodes();
  await cluster.client.create(Deployments, web(2));
  await cluster.until(() => isRolledOut(cluster, 2));
  await cluster.edit(Deployments, "web", ({ spec }) => (spec.paused = true));
  const reason = () =>
    cluster.get(Deployments, "web")?.status.conditions?.find(({ type }) => type === "Progressing")?.reason;
  await cluster.until(() => reason() === "DeploymentPaused");
  await cluster.edit(Deployments, "web", ({ spec }) => {
    spec.replicas = 4;
    spec.template.spec!.containers[0]!.image = "app:2";
  });
  await cluster.until(() => cluster.list(Pods).length === 4);
  expect(cluster.list(ReplicaSets)).toHaveLength(1);
  await cluster.edit(Deployments, "web", ({ spec }) => (spec.paused = false));
  await cluster.until(() => isRolledOut(cluster, 4));
  expect(
    new Set(
      cluster
        .list(Pods)
        .filter(isAlive)
        .map(({ spec }) => spec.containers[0]!.image),
    ),
  ).toEqual(new Set(["app:2"]));
});

test("foreground deletion waits for dependents; orphaning leaves them, and a successor adopts them", async () => {
  await using cluster = await withNodes();
  const gone = () => !cluster.get(Deployments, "web");
  await cluster.client.create(Deployments, web(3));
  await cluster.until(() => isRolledOut(cluster, 3));
  await cluster.client.delete(Deployments, { name: "web", namespace: "default" }, { propagationPolicy: "Foreground" });
  await cluster.until(gone);
  expect(cluster.list(ReplicaSets).filter((replicaSet) => !replicaSet.metadata.deletionTimestamp)).toEqual([]);
  await cluster.until(() => cluster.list(Pods).length === 0);

  await cluster.client.create(Deployments, web(3));
  await cluster.until(() => isRolledOut(cluster, 3));
  const before = cluster
    .list(Pods)
    .map(({ metadata }) => metadata.uid)
    .sort();
  await cluster.client.delete(Deployments, { name: "web", namespace: "default" }, { propagationPolicy: "Orphan" });
  await cluster.until(gone);
  expect(cluster.list(ReplicaSets)[0]?.metadata.ownerReferences ?? []).toEqual([]);
  await cluster.client.create(Deployments, web(3));
  await cluster.until(() => isRolledOut(cluster, 3));
  expect(
    cluster
      .list(Pods)
      .map(({ metadata }) => metadata.uid)
      .sort(),
  ).toEqual(before);
});

test("a deleted Namespace takes everything in it along", async () => {
  await using cluster = await withNodes();
  await cluster.client.create(Namespaces, { metadata: { name: "other" }, spec: {} });
  const other = web(3);
  await cluster.client.create(Deployments, { ...other, metadata: { ...other.metadata, namespace: "other" } });
  await cluster.until(() => cluster.list(Pods, "other").length === 3);
  await cluster.client.delete(Namespaces, { name: "other" });
  await cluster.until(() => !cluster.get(Namespaces, "other") && cluster.list(Pods, "other").length === 0);
});

test("a Pod that fits nowhere says why, and is placed as soon as a Node appears that takes it", async () => {
  await using cluster = await withNodes();
  const resources = { requests: { cpu: "5" } };
  const spec = { containers: [{ name: "main", image: "app:1", resources }] };
  await cluster.client.create(Pods, { metadata: { name: "big", namespace: "default" }, spec });
  const scheduled = () => cluster.get(Pods, "big")?.status?.conditions?.find(({ type }) => type === "PodScheduled");
  await cluster.until(() => scheduled()?.status === "False");
  expect(scheduled()).toMatchObject({
    reason: "Unschedulable",
    message:
      "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient cpu. no new claims to deallocate, preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.",
  });
  await cluster.addNode("worker-3", { cpu: "8" });
  await cluster.until(() => cluster.get(Pods, "big")?.spec.nodeName === "worker-3");
});

test("a Pod of higher priority takes the place of a lesser one", async () => {
  await using cluster = await startTestControlPlane({ watched });
  await cluster.addNode("worker-1", { cpu: "1" });
  const pod = (name: string, priority: number): New<Pod> => ({
    metadata: { name, namespace: "default" },
    spec: { priority, containers: [{ name: "main", image: "app:1", resources: { requests: { cpu: "800m" } } }] },
  });
  const create = async (name: string, value: number) => {
    await cluster.client.create(PriorityClasses, { metadata: { name: `p${value}` }, value });
    const wanted = pod(name, value);
    await cluster.client.create(Pods, { ...wanted, spec: { ...wanted.spec, priorityClassName: `p${value}` } });
  };
  await create("low", 1);
  await cluster.until(() => cluster.get(Pods, "low")?.status?.phase === "Running");
  await create("high", 1000);
  await cluster.until(() => cluster.get(Pods, "high")?.status?.phase === "Running");
  expect(cluster.get(Pods, "low")).toBeUndefined();
});
