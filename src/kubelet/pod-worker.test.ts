import { expect, test } from "vitest";
import type { Container } from "../api/core/v1.ts";
import { container, Driver, deleted, pod, t0 } from "./pod-driver.fixture.ts";
import type { PodObject } from "./pod-state.ts";
import type { ContainerId, SandboxId } from "./runtime/container-runtime.ts";

test("a new pod asks for its sandbox, volumes and image at once, and starts when all are there", () => {
  const driver = new Driver(pod());
  expect(driver.kinds()).toEqual(["createSandbox", "prepareVolumes", "ensureImage web"]);
  expect(driver.status().phase).toBe("Pending");
  expect(driver.waiting("web")).toEqual({ reason: "ContainerCreating" });
  driver.prepared();
  expect(driver.kinds()).toEqual([]);
  driver.image("web");
  expect(driver.kinds()).toEqual(["startContainer web"]);
  driver.started("web");
  const status = driver.status();
  expect(status.phase).toBe("Running");
  expect(status.podIP).toBe("10.244.1.7");
  expect(status.conditions?.map(({ type, status }) => `${type}=${status}`)).toEqual([
    "PodReadyToStartContainers=True",
    "Initialized=True",
    "Ready=True",
    "ContainersReady=True",
    "PodScheduled=True",
  ]);
  expect(driver.wakeAtMs).toBeUndefined();
});

test("the first restart is immediate, the next ones wait 10 s, 20 s and so on up to 5 minutes", () => {
  const driver = new Driver(pod()).prepared().run("web");
  driver.exited("web", 1);
  expect(driver.kinds()).toEqual(["ensureImage web"]);
  driver.image("web");
  expect(driver.kinds()).toEqual(["startContainer web"]);
  for (const delaySeconds of [10, 20, 40, 80, 160, 300, 300]) {
    driver.started("web").exited("web", 1);
    expect(driver.effects).toMatchObject([
      { kind: "event", reason: "BackOff", message: "Back-off restarting failed container web in pod web_default(u1)" },
    ]);
    const delay = { 10: "10s", 20: "20s", 40: "40s", 80: "1m20s", 160: "2m40s", 300: "5m0s" }[delaySeconds];
    expect(driver.waiting("web")).toEqual({
      reason: "CrashLoopBackOff",
      message: `back-off ${delay} restarting failed container=web pod=web_default(u1)`,
    });
    expect(driver.status().phase).toBe("Running");
    expect(driver.wakeAtMs).toBe(driver.now + delaySeconds * 1000);
    driver.after(delaySeconds * 1000).image("web");
    expect(driver.kinds()).toEqual(["startContainer web"]);
  }
  driver.started("web");
  expect(driver.status().containerStatuses?.[0]).toMatchObject({
    restartCount: 8,
    lastState: { terminated: { exitCode: 1 } },
  });
});

test("a container that ran for more than ten minutes restarts without waiting", () => {
  const driver = new Driver(pod()).prepared().run("web").exited("web", 1).run("web");
  driver.now += 601_000;
  driver.exited("web", 1);
  expect(driver.kinds()).toEqual(["ensureImage web"]);
});

test.each([
  ["Never", 0, "Succeeded"],
  ["Never", 3, "Failed"],
  ["OnFailure", 0, "Succeeded"],
])("with restartPolicy %s and exit code %i the pod is %s", (restartPolicy, exitCode, phase) => {
  const driver = new Driver(pod({ restartPolicy })).prepared().run("web").exited("web", exitCode);
  expect(driver.kinds()).toEqual(["release"]);
  driver.tell({ kind: "released" });
  const status = driver.status();
  expect(status.phase).toBe(phase);
  expect(status.podIP).toBe("10.244.1.7");
  expect(status.containerStatuses?.[0]?.state?.terminated?.exitCode).toBe(exitCode);
  expect(status.conditions?.find(({ type }) => type === "Ready")).toMatchObject({
    status: "False",
    reason: phase === "Succeeded" ? "PodCompleted" : "PodFailed",
  });
});

test("init containers run one after the other, and main containers after them", () => {
  const driver = new Driver(pod({ initContainers: [container("one"), container("two")] })).prepared();
  expect(driver.waiting("web")).toEqual({ reason: "PodInitializing" });
  driver.run("one");
  expect(driver.kinds()).toEqual([]);
  driver.exited("one", 0);
  expect(driver.kinds()).toEqual(["ensureImage two"]);
  driver.run("two").exited("two", 0);
  expect(driver.kinds()).toEqual(["ensureImage web"]);
  expect(driver.status().phase).toBe("Pending");
  driver.run("web");
  expect(driver.status()).toMatchObject({
    phase: "Running",
    initContainerStatuses: [{ ready: true }, { ready: true }],
  });
});

test("a failing init container backs off, and fails the pod when nothing may restart", () => {
  const crashing = new Driver(pod({ initContainers: [container("one")] }))
    .prepared()
    .run("one")
    .exited("one", 1)
    .run("one")
    .exited("one", 1);
  expect(crashing.status().phase).toBe("Pending");
  expect(crashing.waiting("one")?.reason).toBe("CrashLoopBackOff");
  const final = new Driver(pod({ restartPolicy: "Never", initContainers: [container("one")] }))
    .prepared()
    .run("one")
    .exited("one", 1);
  expect(final.kinds()).toEqual(["release"]);
  expect(final.status().phase).toBe("Failed");
});

test("a sidecar runs beside the main containers and is stopped after them", () => {
  const driver = new Driver(
    pod({ restartPolicy: "Never", initContainers: [container("proxy", { restartPolicy: "Always" })] }),
  ).prepared();
  driver.run("proxy");
  expect(driver.kinds()).toEqual(["ensureImage web"]);
  driver.run("web").exited("web", 0);
  expect(driver.effects).toMatchObject([{ kind: "stopContainer", container: "proxy", graceSeconds: 30 }]);
  driver.exited("proxy", 143);
  expect(driver.kinds()).toEqual(["release"]);
  expect(driver.tell({ kind: "released" }).status().phase).toBe("Succeeded");
});

test("deletion stops main containers together, then sidecars in reverse order, then removes everything", () => {
  const initContainers = [
    container("first", { restartPolicy: "Always" }),
    container("second", { restartPolicy: "Always" }),
  ];
  const of = pod({ initContainers, containers: [container("a"), container("b")] });
  const driver = new Driver(of).prepared().run("first").run("second").run("a").run("b");
  driver.tell(deleted(of, 20));
  expect(driver.effects).toMatchObject([
    { kind: "stopContainer", container: "first", awaitsTurn: true },
    { kind: "stopContainer", container: "second", awaitsTurn: true },
    { kind: "stopContainer", container: "a", graceSeconds: 20, message: "Stopping container a" },
    { kind: "stopContainer", container: "b" },
  ]);
  driver.now += 5_000;
  expect(driver.exited("a", 0).kinds()).toEqual([]);
  const [turn, ...others] = driver.exited("b", 0).effects;
  expect(turn).toMatchObject({ kind: "stopContainer", container: "second", graceSeconds: 15 });
  expect(turn).not.toHaveProperty("awaitsTurn");
  expect(others).toEqual([]);
  expect(driver.exited("second", 0).effects).toMatchObject([{ kind: "stopContainer", container: "first" }]);
  expect(driver.exited("first", 0).kinds()).toEqual(["remove", "deleteObject"]);
  expect(driver.status().phase).toBe("Succeeded");
  expect(driver.tell({ kind: "removed" }).state.stage.kind).toBe("gone");
});

test("a second deletion with less grace is passed on", () => {
  const of = pod();
  const driver = new Driver(of).prepared().run("web").tell(deleted(of, 30));
  driver.now += 1000;
  driver.tell(deleted(of, 30));
  expect(driver.effects).toEqual([]);
  driver.tell(deleted(of, 1));
  expect(driver.effects).toMatchObject([{ kind: "stopContainer", graceSeconds: 1 }]);
});

test("a pod deleted while it is being prepared waits for what is under way, and starts nothing", () => {
  const of = pod();
  const driver = new Driver(of).tell(deleted(of, 30));
  expect(driver.kinds()).toEqual([]);
  driver.tell({ kind: "volumesReady" }).tell({ kind: "sandboxCreated", id: "s" as SandboxId, ips: [] });
  expect(driver.kinds()).toEqual(["remove", "deleteObject"]);
});

test("an object that vanished is not deleted again", () => {
  const driver = new Driver(pod()).prepared().run("web").tell({ kind: "podVanished" });
  expect(driver.kinds()).toEqual(["stopContainer web"]);
  expect(driver.exited("web", 137).kinds()).toEqual(["remove"]);
});

test("a failed liveness probe restarts the container with the probe's own grace", () => {
  const driver = new Driver(pod({ containers: [container("web", { livenessProbe: { httpGet: { port: 80 } } })] }))
    .prepared()
    .run("web");
  const { id } = driver.container("web").run as { id: ContainerId };
  driver.tell({ kind: "probed", container: "web", id, probe: "liveness", success: false, graceSeconds: 5 });
  expect(driver.effects).toMatchObject([
    { kind: "stopContainer", graceSeconds: 5, message: "Container web failed liveness probe, will be restarted" },
  ]);
  driver.exited("web", 137);
  expect(driver.kinds()).toEqual(["ensureImage web"]);
});

test("readiness waits for the startup probe", () => {
  const probes = { startupProbe: { exec: {} }, readinessProbe: { exec: {} } };
  const driver = new Driver(pod({ containers: [container("web", probes)] })).prepared().run("web");
  const { id } = driver.container("web").run as { id: ContainerId };
  expect(driver.status().containerStatuses?.[0]).toMatchObject({ started: false, ready: false });
  driver.tell({ kind: "probed", container: "web", id, probe: "startup", success: true });
  expect(driver.status().containerStatuses?.[0]).toMatchObject({ started: true, ready: false });
  driver.tell({ kind: "probed", container: "web", id, probe: "readiness", success: true });
  expect(driver.status().conditions?.find(({ type }) => type === "Ready")?.status).toBe("True");
});

test("an image that cannot be pulled alternates between ErrImagePull and ImagePullBackOff", () => {
  const driver = new Driver(pod()).prepared();
  const fail = () =>
    driver.tell({
      kind: "imageFailed",
      container: "web",
      image: "web:1",
      reason: "ErrImagePull",
      message: "not found",
    });
  fail();
  expect(driver.waiting("web")).toEqual({ reason: "ErrImagePull", message: "not found" });
  driver.after(5_000);
  expect(driver.effects).toMatchObject([
    { kind: "event", reason: "BackOff", message: 'Back-off pulling image "web:1"' },
    { kind: "event", reason: "Failed", message: "Error: ImagePullBackOff" },
  ]);
  expect(driver.waiting("web")).toEqual({
    reason: "ImagePullBackOff",
    message: 'Back-off pulling image "web:1": ErrImagePull: not found',
  });
  driver.after(5_000);
  expect(driver.kinds()).toEqual(["ensureImage web"]);
  expect(driver.waiting("web")?.reason).toBe("ImagePullBackOff");
  fail();
  expect(driver.container("web").image).toMatchObject({ failures: 2, retryAtMs: driver.now + 20_000 });
});

test("a changed image restarts the container, whatever the policy", () => {
  const of = pod({ restartPolicy: "Never" });
  const driver = new Driver(of).prepared().run("web");
  const changed = { ...of, spec: { ...of.spec, containers: [container("web", { image: "web:2" })] } };
  driver.tell({ kind: "podChanged", pod: changed as PodObject });
  expect(driver.effects).toMatchObject([
    { kind: "stopContainer", message: "Container web definition changed, will be restarted" },
  ]);
  driver.exited("web", 143);
  expect(driver.kinds()).toEqual(["ensureImage web"]);
  driver.image("web");
  expect(driver.kinds()).toEqual(["startContainer web"]);
});

/** A pod whose container is being replaced, and what it says of it: Ready, ContainersReady, how often it restarted, its image, its state. */
function replacing(spec: Partial<Container> = {}) {
  const of = pod({ containers: [container("web", spec)] });
  const driver = new Driver(of).prepared().run("web");
  driver.tell({ kind: "probed", container: "web", id: "id0" as ContainerId, probe: "readiness", success: true });
  const changed = { ...of, spec: { ...of.spec, containers: [container("web", { ...spec, image: "web:2" })] } };
  driver.tell({ kind: "podChanged", pod: changed as PodObject });
  const told = () => {
    const { conditions = [], containerStatuses: [web] = [], phase } = driver.status();
    const ready = ["Ready", "ContainersReady"].map((type) => conditions.find((each) => each.type === type)?.status);
    const { running, waiting } = web!.state!;
    return [phase, ...ready, web!.restartCount, running ? "running" : (waiting?.reason ?? "terminated")].join(" ");
  };
  return { driver, told };
}

test("a container that is replaced counts as ready until its successor runs", () => {
  const { driver, told } = replacing();
  const before = "Running True True 0 running";
  expect(told()).toBe(before);
  driver.exited("web", 143);
  expect(told()).toBe(before);
  driver.image("web");
  expect(told()).toBe(before);
  driver.started("web");
  expect(told()).toBe("Running True True 1 running");
  driver.exited("web", 1);
  expect(told()).toBe("Running False False 1 CrashLoopBackOff");
});

test("a replaced container whose successor cannot run is not ready from then on", () => {
  const { driver, told } = replacing();
  driver.exited("web", 143);
  driver.tell({ kind: "imageFailed", container: "web", image: "web:2", reason: "ErrImagePull", message: "not found" });
  expect(told()).toBe("Running False False 0 ErrImagePull");
});

test("a replaced container with a readiness probe is not ready once it has ended, and its successor not until it passes", () => {
  const { driver, told } = replacing({ readinessProbe: { tcpSocket: { port: 80 } } });
  expect(told()).toBe("Running True True 0 running");
  driver.exited("web", 143);
  expect(told()).toBe("Running False False 0 running");
  driver.image("web").started("web");
  expect(told()).toBe("Running False False 1 running");
});

test("the replacement of a container waits for no back-off, and a deletion in its midst shows what is", () => {
  const { driver, told } = replacing();
  driver.exited("web", 143).image("web");
  expect(driver.kinds()).toEqual(["startContainer web"]);
  const { pod: seen } = driver.state;
  const deleted = { ...seen, metadata: { ...seen.metadata, deletionTimestamp: "2026-01-01T00:00:00Z" } };
  driver.tell({ kind: "podChanged", pod: deleted as PodObject });
  expect(told()).toContain("False False");
});

test("a missing reference is retried after ten seconds, or at once when something that the pod refers to changes", () => {
  const driver = new Driver(pod()).prepared().image("web");
  driver.tell({
    kind: "containerNotStarted",
    container: "web",
    problem: { reason: "CreateContainerConfigError", message: 'configmap "x" not found' },
  });
  expect(driver.waiting("web")).toEqual({ reason: "CreateContainerConfigError", message: 'configmap "x" not found' });
  expect(driver.wakeAtMs).toBe(driver.now + 10_000);
  expect(driver.tell({ kind: "referenceChanged" }).kinds()).toEqual(["ensureImage web"]);
});

test("a volume or a sandbox that fails again and again is tried ever more rarely", () => {
  const driver = new Driver(pod());
  for (const delayMs of [500, 1000, 2000, 4000]) {
    driver.tell({ kind: "volumesFailed", message: "no" });
    expect(driver.wakeAtMs).toBe(driver.now + delayMs);
    expect(driver.after(delayMs).kinds()).toEqual(["prepareVolumes"]);
  }
  for (const delayMs of [1000, 2000, 4000]) {
    driver.tell({ kind: "sandboxFailed", message: "no" });
    expect(driver.after(delayMs).kinds()).toEqual(["createSandbox"]);
  }
});

test("a pod past its active deadline is stopped and fails", () => {
  const driver = new Driver(pod({ activeDeadlineSeconds: 60 })).prepared().run("web");
  expect(driver.wakeAtMs).toBe(t0 + 60_000);
  driver.after(60_000);
  expect(driver.kinds()).toEqual(["event", "stopContainer web"]);
  // Not before nothing of it runs.
  expect(driver.status()).toMatchObject({ phase: "Pending", reason: "DeadlineExceeded" });
  driver.exited("web", 143);
  expect(driver.status()).toMatchObject({ phase: "Failed", reason: "DeadlineExceeded" });
});

test("a container with a postStart hook counts as running when the hook is done, and the next one waits for it", () => {
  const lifecycle = { postStart: { exec: { command: ["true"] } } };
  const driver = new Driver(pod({ containers: [container("a", { lifecycle }), container("b")] })).prepared();
  driver.image("a").started("a", true);
  expect(driver.kinds()).toEqual(["runPostStart a"]);
  expect(driver.waiting("a")).toEqual({ reason: "ContainerCreating" });
  const { id } = driver.container("a").run as { id: ContainerId };
  expect(driver.tell({ kind: "hookEnded", container: "a", id }).kinds()).toEqual(["ensureImage b"]);
  expect(driver.status().containerStatuses?.[0]).toMatchObject({ ready: true, started: true });
});

test("a failed postStart hook stops the container", () => {
  const lifecycle = { postStart: { exec: { command: ["false"] } } };
  const driver = new Driver(pod({ containers: [container("a", { lifecycle })] }))
    .prepared()
    .image("a")
    .started("a", true);
  const { id } = driver.container("a").run as { id: ContainerId };
  driver.tell({ kind: "hookEnded", container: "a", id, failure: "exit 1" });
  expect(driver.effects).toMatchObject([{ kind: "stopContainer", message: "FailedPostStartHook" }]);
});

test("a container's first rule that speaks of its exit decides, before its policy and the pod's", () => {
  const rules = [{ action: "Restart", exitCodes: { operator: "In", values: [42] } }];
  const containers = [container("web", { restartPolicy: "Never", restartPolicyRules: rules })];
  const driver = new Driver(pod({ restartPolicy: "Always", containers })).prepared().run("web").exited("web", 42);
  expect(driver.kinds()).toEqual(["ensureImage web"]);
  driver.run("web").exited("web", 1);
  expect(driver.status().phase).toBe("Failed");
});

test("by a container's rule the whole pod begins anew where it is: killed at once, init containers run again", () => {
  const rules = [{ action: "RestartAllContainers", exitCodes: { operator: "In", values: [88] } }];
  const spec = {
    restartPolicy: "Never",
    initContainers: [container("init")],
    containers: [
      container("web"),
      container("done"),
      container("watch", { restartPolicy: "Never", restartPolicyRules: rules }),
    ],
  };
  const driver = new Driver(pod(spec)).prepared().run("init").exited("init", 0);
  for (const name of ["web", "done", "watch"]) driver.run(name);
  driver.exited("done", 0).exited("watch", 88);
  expect(driver.effects).toMatchObject([{ kind: "stopContainer", container: "web", graceSeconds: 0 }]);
  expect(driver.status().conditions).toContainEqual(
    expect.objectContaining({ type: "AllContainersRestarting", status: "True" }),
  );
  driver.exited("web", 137);
  expect(driver.kinds()).toEqual(["ensureImage init"]);
  driver.run("init").exited("init", 0);
  for (const name of ["web", "done", "watch"]) driver.run(name);
  const { phase, containerStatuses, initContainerStatuses } = driver.status();
  expect(phase).toBe("Running");
  expect([...initContainerStatuses!, ...containerStatuses!].map(({ restartCount }) => restartCount)).toEqual([
    1, 1, 1, 1,
  ]);
  driver.exited("web", 0).exited("done", 0).exited("watch", 0);
  expect(driver.status().phase).toBe("Succeeded");
});
