/** A pod driven by hand, for tests of the pure parts: what it wants done is collected, what happens is said. */
import type { Container, PodStatus } from "../api/core/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import {
  type ExitedRun,
  newPodState,
  type PodEffect,
  type PodEvent,
  type PodObject,
  type PodState,
} from "./pod-state.ts";
import { podStatus } from "./pod-status.ts";
import { stepPod } from "./pod-worker.ts";
import type { ContainerId, SandboxId } from "./runtime/container-runtime.ts";

const node = { hostIPs: ["10.0.2.4"], runtimeName: "pinnace" };
export const t0 = Date.parse("2026-01-01T00:00:00Z");

export class Driver {
  state: PodState;
  now = t0;
  effects: PodEffect[] = [];
  wakeAtMs: number | undefined;
  #runs = 0;

  constructor(pod: PodObject) {
    this.state = newPodState(pod, t0);
    this.tell({ kind: "timePassed" });
  }

  tell(event: PodEvent): this {
    const step = stepPod(this.state, event, this.now);
    this.state = step.state;
    this.effects = step.effects;
    this.wakeAtMs = step.wakeAtMs;
    return this;
  }

  kinds(): string[] {
    return this.effects.map((effect) =>
      "container" in effect && effect.container ? `${effect.kind} ${effect.container}` : effect.kind,
    );
  }

  prepared(): this {
    this.tell({ kind: "sandboxCreated", id: "sandbox" as SandboxId, ips: ["10.244.1.7"] });
    return this.tell({ kind: "volumesReady" });
  }

  image(container: string): this {
    const image = [...this.state.pod.spec.containers, ...(this.state.pod.spec.initContainers ?? [])].find(
      ({ name }) => name === container,
    )!.image!;
    return this.tell({ kind: "imageReady", container, image, id: `sha256:${image}` });
  }

  started(container: string, hook = false): this {
    const { run } = this.container(container);
    if (run.kind !== "starting") throw new Error(`${container} is ${run.kind}, not starting`);
    const id = `id${this.#runs++}` as ContainerId;
    return this.tell({
      kind: "containerStarted",
      container,
      run: {
        kind: "running",
        id,
        attempt: run.attempt,
        sandbox: "sandbox" as SandboxId,
        image: "web:1",
        imageId: "web@sha256:1",
        startedAtMs: this.now,
        ...(hook ? { hook: "wanted" as const } : {}),
      },
    });
  }

  run(container: string): this {
    return this.image(container).started(container);
  }

  exited(container: string, exitCode: number, reason = exitCode === 0 ? "Completed" : "Error"): this {
    const { run } = this.container(container);
    if (run.kind !== "running") throw new Error(`${container} is ${run.kind}, not running`);
    const { startedAtMs, id, attempt, sandbox, image, imageId } = run;
    const exit: ExitedRun = {
      kind: "exited",
      id,
      attempt,
      sandbox,
      image,
      imageId,
      startedAtMs,
      finishedAtMs: this.now,
      exitCode,
      reason,
    };
    return this.tell({ kind: "containerExited", container, run: exit });
  }

  after(ms: number): this {
    this.now += ms;
    return this.tell({ kind: "timePassed" });
  }

  container(name: string) {
    return this.state.containers.find((container) => container.name === name)!;
  }

  status(previous?: DeepReadonly<PodStatus>) {
    return podStatus(this.state, previous, node, this.now);
  }

  waiting(name: string) {
    const { containerStatuses = [], initContainerStatuses = [] } = this.status();
    return [...containerStatuses, ...initContainerStatuses].find((status) => status.name === name)?.state?.waiting;
  }
}

export function pod(spec: Partial<PodObject["spec"]> & { containers?: Container[] } = {}): PodObject {
  return {
    kind: "Pod",
    apiVersion: "v1",
    metadata: {
      name: "web",
      namespace: "default",
      uid: "u1",
      resourceVersion: "1",
      creationTimestamp: "2026-01-01T00:00:00Z",
      generation: 1,
    },
    spec: { containers: [container("web")], restartPolicy: "Always", terminationGracePeriodSeconds: 30, ...spec },
    status: {},
  } as PodObject;
}

export function container(name: string, more: Partial<Container> = {}): Container {
  return { name, image: "web:1", ...more };
}

export function deleted(of: PodObject, graceSeconds: number): PodEvent {
  const metadata = {
    ...of.metadata,
    deletionTimestamp: "2026-01-01T00:01:00Z",
    deletionGracePeriodSeconds: graceSeconds,
  };
  return { kind: "podChanged", pod: { ...of, metadata } as PodObject };
}
