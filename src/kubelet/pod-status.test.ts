import { expect, test } from "vitest";
import { container, Driver, deleted, pod } from "./pod-driver.fixture.ts";
import type { ContainerId } from "./runtime/container-runtime.ts";

const resources = { requests: { cpu: "100m" }, limits: { memory: "64Mi" } };
const lost = {
  exitCode: 137,
  reason: "ContainerStatusUnknown",
  message: "The container could not be located when the pod was terminated",
  startedAt: null,
  finishedAt: null,
};

test("a pod deleted before anything of it ran ends as failed, its containers lost", () => {
  const driver = new Driver(pod()).prepared();
  driver.tell(deleted(driver.state.pod, 30));
  const { phase, containerStatuses } = driver.status();
  expect(phase).toBe("Failed");
  expect(containerStatuses?.[0]).toMatchObject({ restartCount: 0, state: { terminated: lost } });
});

test("containers whose turn never came still wait when their pod is over", () => {
  const spec = { restartPolicy: "Never", initContainers: [container("first"), container("second")] };
  const driver = new Driver(pod(spec)).prepared().run("first").exited("first", 1).tell({ kind: "released" });
  const { phase, containerStatuses, initContainerStatuses } = driver.status();
  expect(phase).toBe("Failed");
  expect([...initContainerStatuses!, ...containerStatuses!].map(({ state }) => Object.keys(state!)[0])).toEqual([
    "terminated",
    "waiting",
    "waiting",
  ]);
});

test("deleted between its init containers a pod has lost the one that was about to start, and the others wait", () => {
  const driver = new Driver(pod({ initContainers: [container("first"), container("second")] })).prepared();
  driver.tell(deleted(driver.state.pod, 30));
  const { phase, containerStatuses, initContainerStatuses } = driver.status();
  expect(phase).toBe("Failed");
  expect(initContainerStatuses?.map(({ state }) => state)).toEqual([
    { terminated: lost },
    { waiting: { reason: "PodInitializing" } },
  ]);
  expect(containerStatuses?.[0]?.state).toEqual({ waiting: { reason: "PodInitializing" } });
});

test("what a container runs with is told of one that has ended, too, and of none that never ran", () => {
  const driver = new Driver(pod({ restartPolicy: "Never", containers: [container("web", { resources })] })).prepared();
  expect(driver.status().containerStatuses?.[0]).not.toHaveProperty("resources");
  const told = { resources, allocatedResources: { cpu: "100m" } };
  expect(driver.run("web").status().containerStatuses?.[0]).toMatchObject(told);
  expect(driver.exited("web", 0).status().containerStatuses?.[0]).toMatchObject(told);
});

test("an ephemeral container is neither started nor ready: nobody asks that of it", () => {
  const driver = new Driver(
    pod({ ephemeralContainers: [{ name: "look", image: "web:1" }] } as Parameters<typeof pod>[0]),
  ).prepared();
  driver.tell({ kind: "imageReady", container: "look", image: "web:1", id: "sha256:1" }).started("look");
  const [status] = driver.status().ephemeralContainerStatuses ?? [];
  expect(status).toMatchObject({ ready: false, state: { running: {} } });
  expect(status).not.toHaveProperty("started");
});

test("a refused pod's status says why and nothing else", () => {
  const driver = new Driver(pod());
  const verdict = { reason: "OutOfcpu", message: "Pod was rejected: Node didn't have enough", isRefusal: true };
  driver.tell({ kind: "evicted", verdict, graceSeconds: 0 });
  const { startTime: _, ...status } = driver.status();
  expect(status).toEqual({
    observedGeneration: 1,
    phase: "Failed",
    reason: "OutOfcpu",
    message: "Pod was rejected: Node didn't have enough",
    qosClass: "BestEffort",
  });
});

test("a pod's containers share 12 KiB for their last words", () => {
  const message = `${"x".repeat(4094)}\u00e9\u00e9`;
  const names = ["a", "b", "c", "d"];
  const driver = new Driver(pod({ restartPolicy: "Never", containers: names.map((name) => container(name)) }));
  driver.prepared();
  for (const name of names) driver.run(name);
  const { run } = driver.container("a");
  if (run.kind !== "running") throw new Error(run.kind);
  const exit = { ...run, kind: "exited" as const, exitCode: 1, reason: "Error", message, finishedAtMs: driver.now };
  driver.tell({ kind: "containerExited", container: "a", run: exit });
  expect(driver.status().containerStatuses?.[0]?.state?.terminated?.message).toBe("x".repeat(3072));
});

test("while all containers of a pod restart they wait for that, and afterwards their last exits say so", () => {
  const restartPolicyRules = [{ action: "RestartAllContainers", exitCodes: { operator: "In", values: [88] } }];
  const watch = container("watch", { restartPolicy: "Never", restartPolicyRules });
  const driver = new Driver(pod({ restartPolicy: "Never", containers: [container("web"), watch] })).prepared();
  const condition = () => driver.status().conditions?.find(({ type }) => type === "AllContainersRestarting");
  expect(condition()).toMatchObject({ status: "False" });
  driver.run("web").run("watch").exited("watch", 88);
  expect(condition()).toMatchObject({
    status: "True",
    reason: "RestartAllContainersStarted",
    message: "container exited with restart policy rule",
  });
  const { id } = driver.container("web").run as { id: ContainerId };
  expect(driver.effects).toMatchObject([{ kind: "stopContainer", id, graceSeconds: 0 }]);
  driver.exited("web", 137);
  const reset = {
    reason: "RestartingAllContainers",
    message: "The container is removed because RestartAllContainers in place",
  };
  const terminated = { ...reset, exitCode: 137, startedAt: null, finishedAt: null };
  expect(driver.status()).toMatchObject({
    phase: "Running",
    containerStatuses: ["web", "watch"].map((name) => ({
      name,
      restartCount: 1,
      state: { waiting: reset },
      lastState: { terminated },
    })),
  });
  driver.run("web").run("watch");
  expect(driver.status()).toMatchObject({
    phase: "Running",
    containerStatuses: [
      { restartCount: 1, state: { running: {} }, lastState: { terminated } },
      { restartCount: 1, state: { running: {} }, lastState: { terminated } },
    ],
  });
  driver.exited("web", 0).exited("watch", 1);
  expect(driver.status().phase).toBe("Failed");
  expect(condition()).toMatchObject({ status: "False", reason: "PodFailed" });
});

test("a restart of all ends ephemeral containers, and starts none of them again", () => {
  const restartPolicyRules = [{ action: "RestartAllContainers", exitCodes: { operator: "In", values: [88] } }];
  const spec = {
    containers: [container("web", { restartPolicy: "Never", restartPolicyRules })],
    ephemeralContainers: [{ name: "look", image: "web:1" }],
  };
  const driver = new Driver(pod(spec as Parameters<typeof pod>[0])).prepared().run("web");
  driver.tell({ kind: "imageReady", container: "look", image: "web:1", id: "sha256:1" }).started("look");
  driver.exited("web", 88);
  expect(driver.kinds()).toEqual(["stopContainer look"]);
  driver.exited("look", 137);
  expect(driver.kinds()).toEqual(["ensureImage web"]);
});
