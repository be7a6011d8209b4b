import { expect, test } from "vitest";
import type { PodStatus } from "../api/core/v1.ts";
import { adoptPod } from "./adopt-pod.ts";
import { annotations } from "./container-config.ts";
import type { PodObject } from "./pod-state.ts";
import type {
  ContainerId,
  ContainerState,
  ContainerStatus,
  SandboxId,
  SandboxStatus,
} from "./runtime/container-runtime.ts";

const sandboxId = "s" as SandboxId;
const running: ContainerState = { kind: "running", pid: 1, startedAtMs: 5 };
const exited: ContainerState = { kind: "exited", exitCode: 3, reason: "Error", startedAtMs: 1, finishedAtMs: 2 };

function pod(status: PodStatus = {}, container = {}): PodObject {
  const spec = { containers: [{ name: "main", image: "web:1", ...container }] };
  return { metadata: { name: "web", namespace: "default", uid: "u" }, spec, status } as unknown as PodObject;
}

function sandbox(state: "ready" | "stopped", attempt = 0): SandboxStatus {
  const config = {
    pod: { name: "web", namespace: "default", uid: "u" },
    attempt,
    annotations: { [annotations.podIPs]: "10.244.1.7" },
  };
  return { id: sandboxId, config, createdAtMs: 0, state } as unknown as SandboxStatus;
}

function record(attempt: number, state: ContainerState, more = {}): ContainerStatus {
  const config = { name: "main", attempt, imageName: "web:1", ...more };
  return {
    id: `c${attempt}` as ContainerId,
    sandbox: sandboxId,
    podUid: "u",
    config,
    imageId: "i",
    createdAtMs: 0,
    state,
  } as ContainerStatus;
}

test("a running container stays, with its restart count, its last exit and its back-off", () => {
  const containers = [record(1, exited), record(2, running, { annotations: { [annotations.backoff]: "20000 77" } })];
  const state = adoptPod(pod(), { sandboxes: [sandbox("ready")], containers }, "pinnace", 100);
  expect(state).toMatchObject({
    stage: { kind: "active" },
    initialized: true,
    sandbox: { kind: "ready", ips: ["10.244.1.7"] },
  });
  expect(state.containers[0]).toMatchObject({
    run: { kind: "running", attempt: 2 },
    previous: { attempt: 1, exitCode: 3 },
    backoff: { delayMs: 20_000, updatedAtMs: 77 },
    started: true,
    ready: true,
  });
});

test("a container with a readiness probe is as ready as the API was told, until its probe says otherwise", () => {
  const told = (ready: boolean) => ({
    containerStatuses: [{ name: "main", ready, restartCount: 0, image: "", imageID: "" }],
  });
  const records = { sandboxes: [sandbox("ready")], containers: [record(0, running)] };
  for (const ready of [true, false]) {
    const state = adoptPod(pod(told(ready), { readinessProbe: {} }), records, "pinnace", 100);
    expect(state.containers[0]!.ready).toBe(ready);
  }
});

test("a lost sandbox is made anew; what ran in it has ended", () => {
  const records = { sandboxes: [sandbox("stopped", 1)], containers: [record(0, exited)] };
  const state = adoptPod(pod(), records, "pinnace", 100);
  expect(state).toMatchObject({ sandbox: { kind: "none", attempt: 2 }, initialized: false });
  expect(state.containers[0]!.run).toMatchObject({ kind: "exited", attempt: 0 });
});

test("without any record the API's status is all that is known", () => {
  const status = {
    containerStatuses: [
      { name: "main", ready: true, restartCount: 4, image: "web:1", imageID: "i", containerID: "pinnace://c4" },
    ],
  };
  const state = adoptPod(pod(status), { sandboxes: [], containers: [] }, "pinnace", 100);
  expect(state.containers[0]!.run).toMatchObject({
    kind: "exited",
    attempt: 4,
    reason: "ContainerStatusUnknown",
    exitCode: 137,
  });
});

test("a pod that has ended is not started again", () => {
  const state = adoptPod(
    pod({ phase: "Succeeded" }),
    { sandboxes: [sandbox("stopped")], containers: [record(0, exited)] },
    "pinnace",
    1,
  );
  expect(state.stage.kind).toBe("finished");
  const unreleased = adoptPod(
    pod({ phase: "Failed" }),
    { sandboxes: [sandbox("ready")], containers: [record(0, exited)] },
    "pinnace",
    1,
  );
  expect(unreleased.stage.kind).toBe("stopping");
});
