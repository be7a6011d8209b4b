/** StatefulSets and DaemonSets in their harder moments, against the real API server. */
import { expect, test } from "vitest";
import type { DaemonSet, StatefulSet } from "../api/apps/v1.ts";
import type { New } from "../api/object.ts";
import {
  ControllerRevisions,
  DaemonSets,
  Events,
  Nodes,
  PersistentVolumeClaims,
  Pods,
  StatefulSets,
} from "../api/resources.ts";
import { rfc3339 } from "../base/clock.ts";
import { finishPod, runningPods, startTestControlPlane, type TestControlPlane } from "./control-plane.ts";

const namespace = "default";
const labels = { app: "x" };
const watched = [StatefulSets, DaemonSets, ControllerRevisions, PersistentVolumeClaims, Events];
const template = (image: string) => ({ metadata: { labels }, spec: { containers: [{ name: "main", image }] } });

const set = (replicas: number, extra: Partial<StatefulSet["spec"]> = {}): New<StatefulSet> => ({
  metadata: { name: "web", namespace },
  spec: { replicas, serviceName: "web", selector: { matchLabels: labels }, template: template("app:1"), ...extra },
});

/** Pods named in `unready` run without being ready, and so do those of the image app:missing. */
async function start(unready = new Set<string>()): Promise<TestControlPlane> {
  const cluster = await startTestControlPlane({
    watched,
    podStatus: ({ metadata, spec }, podIP) => ({
      phase: "Running",
      podIP,
      podIPs: [{ ip: podIP }],
      startTime: rfc3339(Date.now()),
      conditions: [
        {
          type: "Ready",
          status: unready.has(metadata.name) || spec.containers[0]!.image === "app:missing" ? "False" : "True",
          lastTransitionTime: rfc3339(Date.now()),
        },
      ],
    }),
  });
  await cluster.addNode("worker-1");
  return cluster;
}

async function setReady({ client }: TestControlPlane, name: string, isReady: boolean): Promise<void> {
  const condition = { type: "Ready", status: isReady ? "True" : "False", lastTransitionTime: rfc3339(Date.now()) };
  const body = { status: { conditions: [condition] } };
  await client.patch(Pods, { name, namespace }, { type: "strategic", body }, { subresource: "status" });
}

const names = (cluster: TestControlPlane) =>
  cluster
    .list(Pods)
    .map(({ metadata }) => metadata.name)
    .sort()
    .join();
const status = (cluster: TestControlPlane) => cluster.get(StatefulSets, "web")?.status;
const settled = () => new Promise((done) => setTimeout(done, 300));

test("scaling a StatefulSet halts at a Pod that is not ready, up and down", async () => {
  const unready = new Set(["web-1"]);
  await using cluster = await start(unready);
  await cluster.client.create(StatefulSets, set(3));
  await cluster.until(() => runningPods(cluster).length === 2);
  await settled();
  expect(names(cluster)).toBe("web-0,web-1");
  await setReady(cluster, "web-1", true);
  await cluster.until(() => status(cluster)?.readyReplicas === 3);
  for (const name of ["web-0", "web-1", "web-2"]) await setReady(cluster, name, false);
  await cluster.until(() => (status(cluster)?.readyReplicas ?? 0) === 0);
  await cluster.edit(StatefulSets, "web", ({ spec }) => (spec.replicas = 0));
  await settled();
  expect(names(cluster)).toBe("web-0,web-1,web-2");
  for (const name of ["web-0", "web-1"]) await setReady(cluster, name, true);
  await cluster.until(() => names(cluster) === "");
});

test("a StatefulSet that works in parallel waits for nobody", async () => {
  await using cluster = await start(new Set(["web-0", "web-1", "web-2"]));
  await cluster.client.create(StatefulSets, set(3, { podManagementPolicy: "Parallel" }));
  await cluster.until(() => names(cluster) === "web-0,web-1,web-2");
  await cluster.edit(StatefulSets, "web", ({ spec }) => (spec.replicas = 0));
  await cluster.until(() => names(cluster) === "");
});

test("a Pod of a StatefulSet that failed is replaced by one of the same name", async () => {
  await using cluster = await start();
  await cluster.client.create(StatefulSets, set(1));
  await cluster.until(() => runningPods(cluster).length === 1);
  const { uid } = runningPods(cluster)[0]!.metadata;
  await finishPod(cluster, runningPods(cluster)[0]!, 1);
  await cluster.until(() => runningPods(cluster).length === 1 && runningPods(cluster)[0]!.metadata.uid !== uid);
  expect(names(cluster)).toBe("web-0");
});

test("a StatefulSet set back to an earlier template rolls back to its revision, and makes no new one", async () => {
  await using cluster = await start();
  await cluster.client.create(StatefulSets, set(2));
  await cluster.until(() => status(cluster)?.readyReplicas === 2);
  const first = status(cluster)?.currentRevision;
  const setImage = (image: string) =>
    cluster.edit(StatefulSets, "web", ({ spec }) => (spec.template.spec!.containers[0]!.image = image));
  const isRolled = (count: number) =>
    status(cluster)?.currentRevision === status(cluster)?.updateRevision &&
    cluster.list(ControllerRevisions).length === count;
  await setImage("app:2");
  await cluster.until(() => isRolled(2) && status(cluster)?.currentRevision !== first);
  await setImage("app:1");
  await cluster.until(() => isRolled(2) && status(cluster)?.currentRevision === first);
  expect(runningPods(cluster).map(({ spec }) => spec.containers[0]!.image)).toEqual(["app:1", "app:1"]);
});

test("with OnDelete a Pod gets the new template only when somebody deletes it", async () => {
  await using cluster = await start();
  await cluster.client.create(StatefulSets, set(2, { updateStrategy: { type: "OnDelete" } }));
  await cluster.until(() => status(cluster)?.readyReplicas === 2);
  await cluster.edit(StatefulSets, "web", ({ spec }) => (spec.template.spec!.containers[0]!.image = "app:2"));
  await settled();
  const images = () =>
    runningPods(cluster)
      .map(({ metadata, spec }) => `${metadata.name} ${spec.containers[0]!.image}`)
      .sort();
  expect(images()).toEqual(["web-0 app:1", "web-1 app:1"]);
  await cluster.client.delete(Pods, { name: "web-0", namespace });
  await cluster.until(() => images().join() === "web-0 app:2,web-1 app:1");
});

test("claims made for a StatefulSet's Pods stay or go as its retention policy says; ordinals start where it says", async () => {
  await using cluster = await start();
  const claim = {
    metadata: { name: "data" },
    spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
  };
  await cluster.client.create(
    StatefulSets,
    set(2, {
      podManagementPolicy: "Parallel",
      ordinals: { start: 5 },
      volumeClaimTemplates: [claim as never],
      persistentVolumeClaimRetentionPolicy: { whenScaled: "Delete", whenDeleted: "Retain" },
    }),
  );
  const claims = () =>
    cluster
      .list(PersistentVolumeClaims)
      .map(({ metadata }) => metadata.name)
      .sort()
      .join();
  await cluster.until(() => claims() === "data-web-5,data-web-6" && names(cluster) === "web-5,web-6");
  // Nobody binds their claims here: without them Pods stay Pending, and go nevertheless.
  await cluster.edit(StatefulSets, "web", ({ spec }) => (spec.replicas = 1));
  await cluster.until(() => claims() === "data-web-5" && names(cluster) === "web-5");
  await cluster.client.delete(StatefulSets, { name: "web", namespace });
  await cluster.until(() => names(cluster) === "");
  await settled();
  expect(claims()).toBe("data-web-5");
});

const agent = (extra: Partial<DaemonSet["spec"]> = {}, podSpec = {}): New<DaemonSet> => ({
  metadata: { name: "agent", namespace },
  spec: {
    selector: { matchLabels: labels },
    template: { metadata: { labels }, spec: { containers: [{ name: "main", image: "app:1" }], ...podSpec } },
    ...extra,
  },
});
const daemons = (cluster: TestControlPlane) => cluster.get(DaemonSets, "agent")?.status;

test("a daemon's Pod that failed or was deleted is made again", async () => {
  await using cluster = await start();
  await cluster.client.create(DaemonSets, agent());
  await cluster.until(() => daemons(cluster)?.numberReady === 1);
  const { uid } = runningPods(cluster)[0]!.metadata;
  await finishPod(cluster, runningPods(cluster)[0]!, 1);
  await cluster.until(() => runningPods(cluster).length === 1 && runningPods(cluster)[0]!.metadata.uid !== uid);
  const second = runningPods(cluster)[0]!.metadata;
  await cluster.client.delete(Pods, second);
  await cluster.until(() => runningPods(cluster).length === 1 && runningPods(cluster)[0]!.metadata.uid !== second.uid);
});

test.each([
  ["nodeSelector", { nodeSelector: { color: "blue" } }],
  [
    "node affinity",
    {
      affinity: {
        nodeAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: {
            nodeSelectorTerms: [{ matchExpressions: [{ key: "color", operator: "In", values: ["blue"] }] }],
          },
        },
      },
    },
  ],
])("daemons come and go with the labels that their %s asks for", async (_, podSpec) => {
  await using cluster = await start();
  await cluster.client.create(DaemonSets, agent({}, podSpec));
  const paint = (color: string) =>
    cluster.edit(Nodes, "worker-1", ({ metadata }) => (metadata.labels = { ...metadata.labels, color }));
  await cluster.until(() => daemons(cluster)?.observedGeneration === 1);
  expect(cluster.list(Pods)).toEqual([]);
  await paint("blue");
  await cluster.until(() => daemons(cluster)?.numberReady === 1);
  await paint("green");
  await cluster.until(() => daemons(cluster)?.desiredNumberScheduled === 0 && cluster.list(Pods).length === 0);
});

test("a rolling update of daemons set back half way leaves alone those that were not updated", async () => {
  await using cluster = await start();
  await cluster.addNode("worker-2");
  await cluster.addNode("worker-3");
  await cluster.client.create(DaemonSets, agent());
  await cluster.until(() => daemons(cluster)?.numberReady === 3);
  const before = new Set(runningPods(cluster).map(({ metadata }) => metadata.uid));
  const setImage = (image: string) =>
    cluster.edit(DaemonSets, "agent", ({ spec }) => (spec.template.spec!.containers[0]!.image = image));
  await setImage("app:missing"); // The first to be replaced holds up the others.
  await cluster.until(
    () =>
      cluster.list(Pods).length === 3 &&
      runningPods(cluster).some(({ spec }) => spec.containers[0]!.image === "app:missing"),
  );
  await setImage("app:1");
  await cluster.until(() => daemons(cluster)?.updatedNumberScheduled === 3 && daemons(cluster)?.numberAvailable === 3);
  const kept = runningPods(cluster).filter(({ metadata }) => before.has(metadata.uid));
  expect(kept).toHaveLength(2);
  expect(runningPods(cluster).every(({ spec }) => spec.containers[0]!.image === "app:1")).toBe(true);
  expect(cluster.list(ControllerRevisions)).toHaveLength(2);
});

test("daemons with a surge come up beside the old ones before these go", async () => {
  await using cluster = await start();
  const updateStrategy = { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } };
  await cluster.client.create(DaemonSets, agent({ updateStrategy }));
  await cluster.until(() => daemons(cluster)?.numberReady === 1);
  let most = 0;
  let fewest = Number.POSITIVE_INFINITY;
  using _ = cluster.observe(() => {
    most = Math.max(most, cluster.list(Pods).length);
    fewest = Math.min(fewest, runningPods(cluster).length);
  });
  await cluster.edit(DaemonSets, "agent", ({ spec }) => (spec.template.spec!.containers[0]!.image = "app:2"));
  await cluster.until(
    () =>
      cluster.list(Pods).length === 1 && runningPods(cluster).some(({ spec }) => spec.containers[0]!.image === "app:2"),
  );
  expect([fewest, most]).toEqual([1, 2]);
});

test("daemons run on Nodes that others are kept off, and leave those whose taint drives them out", async () => {
  await using cluster = await start();
  await cluster.edit(Nodes, "worker-1", ({ spec }) => (spec.unschedulable = true));
  await cluster.client.create(DaemonSets, agent());
  await cluster.until(() => daemons(cluster)?.numberReady === 1);
  expect(
    runningPods(cluster)[0]!
      .spec.tolerations?.map(({ key }) => key)
      .sort(),
  ).toEqual([
    "node.kubernetes.io/disk-pressure",
    "node.kubernetes.io/memory-pressure",
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/pid-pressure",
    "node.kubernetes.io/unreachable",
    "node.kubernetes.io/unschedulable",
  ]);
  await cluster.edit(Nodes, "worker-1", ({ spec }) => {
    spec.taints = [...(spec.taints ?? []), { key: "gpu", effect: "NoExecute" }];
  });
  await cluster.until(() => cluster.list(Pods).length === 0 && daemons(cluster)?.desiredNumberScheduled === 0);
});

test("ControllerRevisions are listed by label, changed, deleted, and made again for a new template", async () => {
  await using cluster = await start();
  const { client } = cluster;
  await client.create(DaemonSets, agent());
  await cluster.until(() => cluster.list(ControllerRevisions).length === 1);
  const [first] = cluster.list(ControllerRevisions);
  const list = async () => (await client.list(ControllerRevisions, { namespace, labelSelector: "app=x" })).items;
  expect(await list()).toHaveLength(1);
  await client.create(ControllerRevisions, {
    metadata: { name: "by-hand", namespace, labels, ownerReferences: [...first!.metadata.ownerReferences!] },
    data: first!.data,
    revision: first!.revision + 1,
  } as never);
  await client.delete(ControllerRevisions, { name: first!.metadata.name, namespace });
  await cluster.until(() => cluster.get(ControllerRevisions, first!.metadata.name) === undefined);
  await cluster.edit(DaemonSets, "agent", ({ spec }) => (spec.template.spec!.terminationGracePeriodSeconds = 1));
  await cluster.until(() => cluster.list(ControllerRevisions).length === 2);
  expect((await list()).map(({ revision }) => revision).sort()).toEqual([2, 3]);
});
