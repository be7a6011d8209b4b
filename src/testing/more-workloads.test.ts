/** StatefulSets, DaemonSets, Jobs and CronJobs against the real API server. */
import { expect, test } from "vitest";
import type { StatefulSet } from "../api/apps/v1.ts";
import type { Job } from "../api/batch/v1.ts";
import type { Pod } from "../api/core/v1.ts";
import type { DeepReadonly, New } from "../api/object.ts";
import {
  ControllerRevisions,
  DaemonSets,
  Jobs,
  PersistentVolumeClaims,
  Pods,
  ReplicationControllers,
  StatefulSets,
} from "../api/resources.ts";
import { rfc3339 } from "../base/clock.ts";
import { startTestControlPlane, type TestControlPlane } from "./control-plane.ts";

const watched = [StatefulSets, DaemonSets, Jobs, ControllerRevisions, PersistentVolumeClaims, ReplicationControllers];

const template = { metadata: { labels: { app: "x" } }, spec: { containers: [{ name: "main", image: "app:1" }] } };

const podNames = (cluster: TestControlPlane) =>
  cluster
    .list(Pods)
    .map(({ metadata }) => metadata.name)
    .sort();

/** Ends a Pod as its container would: 0 succeeds. */
async function finish(cluster: TestControlPlane, pod: DeepReadonly<Pod>, exitCode: number): Promise<void> {
  const { name, namespace, uid } = pod.metadata;
  const now = rfc3339(cluster.clock.now());
  const state = {
    terminated: { exitCode, finishedAt: now, startedAt: now, reason: exitCode === 0 ? "Completed" : "Error" },
  };
  const status = {
    phase: exitCode === 0 ? "Succeeded" : "Failed",
    conditions: [{ type: "Ready", status: "False", lastTransitionTime: now }],
    containerStatuses: [{ name: "main", image: "app:1", imageID: "", ready: false, restartCount: 0, state }],
  };
  await cluster.client.patch(
    Pods,
    { name, namespace },
    { type: "strategic", body: { metadata: { uid }, status } },
    { subresource: "status" },
  );
}

const running = (cluster: TestControlPlane) => cluster.list(Pods).filter(({ status }) => status?.phase === "Running");

test("a StatefulSet starts its Pods in order, scales down from the end, and rolls from the end", async () => {
  await using cluster = await startTestControlPlane({ watched });
  await cluster.addNode("worker-1");
  const order: string[] = [];
  let heard = () => {};
  /** The watch may tell later than the informers that `until` looks at. */
  const told = async (...expected: string[]) => {
    while (order.length < expected.length) await new Promise<void>((resolve) => (heard = resolve));
    expect(order).toEqual(expected);
    order.length = 0;
  };
  const watch = await cluster.client.watch(Pods, { namespace: "default", allowBookmarks: true }, (events) => {
    for (const event of events) {
      if (event.type === "ADDED") order.push(`+${(event.object as Pod).metadata.name}`);
      if (event.type === "DELETED") order.push(`-${(event.object as Pod).metadata.name}`);
    }
    heard();
  });
  const web: New<StatefulSet> = {
    metadata: { name: "web", namespace: "default" },
    spec: { replicas: 3, serviceName: "web", selector: { matchLabels: { app: "x" } }, template },
  };
  await cluster.client.create(StatefulSets, web);
  const status = () => cluster.get(StatefulSets, "web")?.status;
  await cluster.until(() => status()?.availableReplicas === 3);
  await told("+web-0", "+web-1", "+web-2");
  expect(cluster.get(Pods, "web-1")).toMatchObject({
    metadata: { labels: { "apps.kubernetes.io/pod-index": "1", "statefulset.kubernetes.io/pod-name": "web-1" } },
    spec: { hostname: "web-1", subdomain: "web" },
  });
  await cluster.edit(StatefulSets, "web", ({ spec }) => (spec.template.spec!.containers[0]!.image = "app:2"));
  await cluster.until(
    () =>
      status()?.currentRevision === status()?.updateRevision &&
      status()?.updatedReplicas === 3 &&
      cluster.list(ControllerRevisions).length === 2,
  );
  await told("-web-2", "+web-2", "-web-1", "+web-1", "-web-0", "+web-0");
  await cluster.edit(StatefulSets, "web", ({ spec }) => (spec.replicas = 1));
  await cluster.until(() => podNames(cluster).join() === "web-0");
  await told("-web-2", "-web-1");
  watch.stop();
  expect(cluster.complaints).toEqual([]);
});

test("a partition keeps the lower Pods at the old template", async () => {
  await using cluster = await startTestControlPlane({ watched });
  await cluster.addNode("worker-1");
  const updateStrategy = { type: "RollingUpdate", rollingUpdate: { partition: 2 } };
  await cluster.client.create(StatefulSets, {
    metadata: { name: "web", namespace: "default" },
    spec: { replicas: 3, serviceName: "web", selector: { matchLabels: { app: "x" } }, template, updateStrategy },
  });
  await cluster.until(() => cluster.get(StatefulSets, "web")?.status.availableReplicas === 3);
  await cluster.edit(StatefulSets, "web", ({ spec }) => (spec.template.spec!.containers[0]!.image = "app:2"));
  await cluster.until(
    () => cluster.get(StatefulSets, "web")?.status.updatedReplicas === 1 && running(cluster).length === 3,
  );
  await cluster.client.delete(Pods, { name: "web-0", namespace: "default" });
  await cluster.until(
    () => running(cluster).length === 3 && cluster.get(Pods, "web-0")?.metadata.deletionTimestamp === undefined,
  );
  const images = cluster.list(Pods).map(({ metadata, spec }) => `${metadata.name} ${spec.containers[0]!.image}`);
  expect(images.sort()).toEqual(["web-0 app:1", "web-1 app:1", "web-2 app:2"]);
});

test("a DaemonSet has one Pod on each Node that takes it, also on new ones, and rolls over", async () => {
  await using cluster = await startTestControlPlane({ watched });
  await cluster.addNode("control-plane", {
    spec: { taints: [{ key: "node-role.kubernetes.io/control-plane", effect: "NoSchedule" }] },
  });
  await cluster.addNode("worker-1");
  await cluster.client.create(DaemonSets, {
    metadata: { name: "agent", namespace: "default" },
    spec: { selector: { matchLabels: { app: "x" } }, template },
  });
  const status = () => cluster.get(DaemonSets, "agent")?.status;
  await cluster.until(() => status()?.numberAvailable === 1 && status()?.desiredNumberScheduled === 1);
  await cluster.addNode("worker-2");
  await cluster.until(() => status()?.numberAvailable === 2);
  expect(
    cluster
      .list(Pods)
      .map(({ spec }) => spec.nodeName)
      .sort(),
  ).toEqual(["worker-1", "worker-2"]);
  await cluster.edit(DaemonSets, "agent", ({ spec }) => (spec.template.spec!.containers[0]!.image = "app:2"));
  await cluster.until(() => status()?.updatedNumberScheduled === 2 && status()?.numberAvailable === 2);
  await cluster.until(
    () =>
      cluster.list(Pods).every(({ spec }) => spec.containers[0]!.image === "app:2") && podNames(cluster).length === 2,
  );
});

function job(extra: Partial<Job["spec"]>): New<Job> {
  const podSpec = { ...template.spec, restartPolicy: "Never" };
  return {
    metadata: { name: "work", namespace: "default" },
    spec: { template: { ...template, spec: podSpec }, ...extra },
  };
}

test("a Job runs its completions, no more at a time than its parallelism, and counts each once", async () => {
  await using cluster = await startTestControlPlane({ watched });
  await cluster.addNode("worker-1");
  await cluster.client.create(Jobs, job({ completions: 3, parallelism: 2 }));
  const status = () => cluster.get(Jobs, "work")?.status;
  for (let done = 0; done < 3; done++) {
    await cluster.until(() => running(cluster).length === Math.min(2, 3 - done) && (status()?.succeeded ?? 0) === done);
    await finish(cluster, running(cluster)[0]!, 0);
  }
  await cluster.until(() => status()?.conditions?.some(({ type }) => type === "Complete") === true);
  expect(cluster.list(Pods)).toHaveLength(3);
  expect(status()).toMatchObject({
    succeeded: 3,
    conditions: [
      { type: "SuccessCriteriaMet", reason: "CompletionsReached" },
      { type: "Complete", reason: "CompletionsReached" },
    ],
  });
  expect(status()?.active ?? 0).toBe(0);
  expect(cluster.list(Pods).flatMap(({ metadata }) => metadata.finalizers ?? [])).toEqual([]);
});

test("a failed Job stops at its back-off limit", async () => {
  await using cluster = await startTestControlPlane({ watched });
  await cluster.addNode("worker-1");
  await cluster.client.create(Jobs, job({ backoffLimit: 0 }));
  await cluster.until(() => running(cluster).length === 1);
  await finish(cluster, running(cluster)[0]!, 1);
  const status = () => cluster.get(Jobs, "work")?.status;
  await cluster.until(() => status()?.conditions?.some(({ type }) => type === "Failed") === true);
  expect(status()).toMatchObject({ failed: 1 });
  expect(status()?.conditions?.map(({ type, reason }) => `${type} ${reason}`)).toEqual([
    "FailureTarget BackoffLimitExceeded",
    "Failed BackoffLimitExceeded",
  ]);
});

test("an indexed Job works off its indexes", async () => {
  await using cluster = await startTestControlPlane({ watched });
  await cluster.addNode("worker-1");
  await cluster.client.create(Jobs, job({ completions: 3, parallelism: 3, completionMode: "Indexed" }));
  await cluster.until(() => running(cluster).length === 3);
  const indexes = cluster
    .list(Pods)
    .map(({ metadata }) => metadata.annotations?.["batch.kubernetes.io/job-completion-index"]);
  expect(indexes.sort()).toEqual(["0", "1", "2"]);
  await Promise.all(running(cluster).map((pod) => finish(cluster, pod, 0)));
  await cluster.until(
    () => cluster.get(Jobs, "work")?.status.conditions?.some(({ type }) => type === "Complete") === true,
  );
  expect(cluster.get(Jobs, "work")?.status.completedIndexes).toBe("0-2");
});

test("a suspended Job has no Pods until it is resumed, and goes when its time after finishing is over", async () => {
  await using cluster = await startTestControlPlane({ watched });
  await cluster.addNode("worker-1");
  await cluster.client.create(Jobs, job({ suspend: true, ttlSecondsAfterFinished: 0 }));
  await cluster.until(
    () =>
      cluster
        .get(Jobs, "work")
        ?.status.conditions?.some(({ type, status }) => type === "Suspended" && status === "True") === true,
  );
  expect(cluster.list(Pods)).toEqual([]);
  await cluster.edit(Jobs, "work", ({ spec }) => (spec.suspend = false));
  await cluster.until(() => running(cluster).length === 1);
  await finish(cluster, running(cluster)[0]!, 0);
  await cluster.until(() => cluster.get(Jobs, "work") === undefined && cluster.list(Pods).length === 0);
});

test("a ReplicationController keeps its Pods", async () => {
  await using cluster = await startTestControlPlane({ watched });
  await cluster.addNode("worker-1");
  await cluster.client.create(ReplicationControllers, {
    metadata: { name: "rc", namespace: "default" },
    spec: { replicas: 2, selector: { app: "x" }, template },
  });
  await cluster.until(() => cluster.get(ReplicationControllers, "rc")?.status?.readyReplicas === 2);
});

test("a revision's template is written as Go writes maps: who looks for its owner's present one compares bytes", async () => {
  await using cluster = await startTestControlPlane({ watched });
  await cluster.client.create(DaemonSets, {
    metadata: { name: "agent", namespace: "default" },
    spec: { selector: { matchLabels: { app: "x" } }, template },
  });
  await cluster.until(() => cluster.list(ControllerRevisions).length === 1);
  expect(JSON.stringify(cluster.list(ControllerRevisions)[0]!.data)).toMatch(
    /^\{"spec":\{"template":\{"\$patch":"replace","metadata":\{"labels":\{"app":"x"\}\},"spec":\{"containers":\[\{"image":"app:1","imagePullPolicy"/,
  );
});
