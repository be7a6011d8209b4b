/** Gives a pod and its running containers the CPU and memory that their changed spec asks for, without a restart where it allows that (in-place resize). */
import type { Container, ResourceRequirements } from "../api/core/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { compareQuantities, quantityValue } from "../apimachinery/quantity.ts";
import type { PodDesk } from "./pod-desk.ts";
import { type ContainerState, findContainerSpec, type RunningRun } from "./pod-state.ts";
import { containerResources, podResources } from "./qos.ts";
import type { SandboxId } from "./runtime/container-runtime.ts";

type Requirements = DeepReadonly<ResourceRequirements>;

export class ContainerResizer {
  readonly #pod: PodDesk;
  /** Events of the present generation. */
  readonly #told = new Set<string>();
  #isWorking = false;
  #isWantedAgain = false;

  constructor(pod: PodDesk) {
    this.#pod = pod;
  }

  /** Compares and applies; cheap when nothing differs. Resolves when the kernel has taken it, or a condition says why not. */
  async sync(): Promise<void> {
    if (this.#isWorking) {
      this.#isWantedAgain = true;
      return;
    }
    this.#isWorking = true;
    try {
      do {
        this.#isWantedAgain = false;
        await this.#resize();
      } while (this.#isWantedAgain);
    } finally {
      this.#isWorking = false;
    }
  }

  async #resize(): Promise<void> {
    const { node, state } = this.#pod;
    const { pod, sandbox, stage } = state;
    if (stage.kind !== "active" || sandbox.kind !== "ready") return;
    const changes = state.containers.flatMap(({ name, run, condemned }) => {
      const spec = findContainerSpec(pod, name) as DeepReadonly<Container> | undefined;
      if (run.kind !== "running" || !spec || condemned || !run.resources) return [];
      return isSame(run.resources, spec.resources ?? {}) ? [] : [{ name, run, spec }];
    });
    const given = state.resources;
    const wanted = pod.spec.resources;
    const isPodChanged = given !== undefined && wanted !== undefined && !isSame(given, wanted);
    if (changes.length === 0 && !isPodChanged) {
      if (state.resize && !state.containers.some(isRestarting)) this.#settle(state.resize.type);
      return;
    }
    const refusal = node.resizeRefusal(pod);
    if (refusal) {
      this.#tell("Warning", `Resize${refusal.reason}`, `Pod resize ${refusal.reason}`, refusal.message);
      return this.#pod.dispatch({ kind: "resizeBlocked", type: "PodResizePending", ...refusal });
    }
    this.#tell("Normal", "ResizeStarted", "Pod resize started");
    try {
      const whole = podResources(pod, node.podPidsLimit);
      if (isPodChanged) await this.#checkPodUsage(sandbox.id, wanted);
      // What grows needs room in the pod first; what shrinks makes it.
      await node.runtime.updateSandboxResources(sandbox.id, whole).catch(() => {});
      for (const { name, run, spec } of changes) {
        if (needsRestart(run, spec)) {
          const message = `Container ${name} resize requires restart`;
          this.#pod.dispatch({ kind: "restartWanted", container: name, id: run.id, message });
          continue;
        }
        await this.#checkUsage(run, spec);
        await this.#update(run, spec);
        this.#pod.dispatch({ kind: "resized", container: name, id: run.id, resources: spec.resources ?? {} });
      }
      if (isPodChanged) await this.#updateHeirs();
      await node.runtime.updateSandboxResources(sandbox.id, whole);
      if (isPodChanged) {
        this.#restartHeirs(given, wanted);
        this.#pod.dispatch({ kind: "podResized", resources: wanted });
      }
      if (!this.#pod.state.containers.some(isRestarting)) return this.#settle("PodResizeInProgress");
      // Done when they run again.
      this.#pod.dispatch({ kind: "resizeBlocked", type: "PodResizeInProgress", reason: "", message: "" });
    } catch (error) {
      const { message } = error as Error;
      this.#tell("Warning", "ResizeError", "Pod resize Error", message);
      this.#pod.dispatch({ kind: "resizeBlocked", type: "PodResizeInProgress", reason: "Error", message });
    }
  }

  /** A wish that was taken back while it waited has settled, too, but nothing was done for it. */
  #settle(from: "PodResizePending" | "PodResizeInProgress"): void {
    if (from === "PodResizeInProgress") this.#tell("Normal", "ResizeCompleted", "Pod resize completed");
    this.#pod.dispatch({ kind: "resizeSettled" });
  }

  /** Once for each generation. */
  #tell(type: "Normal" | "Warning", reason: string, what: string, error?: string): void {
    const { generation, ...rest } = this.#pod.state.pod.metadata;
    const key = `${generation ?? rest.uid} ${reason} ${error}`;
    if (this.#told.has(key)) return;
    if (!this.#told.has(`${generation}`)) this.#told.clear();
    this.#told.add(`${generation}`).add(key);
    const { initContainers = [], containers } = this.#pod.state.pod.spec;
    const summary = {
      ...(initContainers.length > 0 ? { initContainers: initContainers.map(amounts) } : {}),
      containers: containers.map(amounts),
      ...(generation !== undefined ? { generation } : {}),
      ...(error !== undefined ? { error } : {}),
    };
    this.#pod.record(undefined, type, reason, `${what}: ${JSON.stringify(summary)}`);
  }

  async #update({ id }: RunningRun, spec: DeepReadonly<Container>): Promise<void> {
    const { node, state } = this.#pod;
    const { oomScoreAdj: _, ...resources } = containerResources(state.pod, spec, node.facts);
    await node.runtime.updateResources(id, resources);
  }

  /** Containers that run and have the pod's limits, of CPU or memory, having none of their own. */
  *#heirs() {
    const { state } = this.#pod;
    for (const { name, run, condemned } of state.containers) {
      const spec = findContainerSpec(state.pod, name) as DeepReadonly<Container> | undefined;
      if (run.kind !== "running" || condemned || !spec) continue;
      const { cpu, memory } = spec.resources?.limits ?? {};
      if (cpu === undefined || memory === undefined) yield { name, run, spec };
    }
  }

  async #updateHeirs(): Promise<void> {
    for (const { run, spec } of this.#heirs()) await this.#update(run, spec);
  }

  /** Those that want to begin anew when these change. */
  #restartHeirs(before: Requirements, after: Requirements): void {
    for (const { name, run, spec } of this.#heirs()) {
      const isHit = spec.resizePolicy?.some(
        ({ resourceName, restartPolicy }) =>
          restartPolicy === "RestartContainer" &&
          spec.resources?.limits?.[resourceName] === undefined &&
          !isEqual(before.limits?.[resourceName], after.limits?.[resourceName]),
      );
      if (!isHit) continue;
      const message = `Container ${name} resize requires restart`;
      this.#pod.dispatch({ kind: "restartWanted", container: name, id: run.id, message });
    }
  }

  async #checkPodUsage(id: SandboxId, { limits }: Requirements): Promise<void> {
    const limit = quantityValue(limits?.["memory"]);
    const used = (await this.#pod.node.runtime.sandboxStats(id))?.memory.workingSetBytes ?? 0;
    if (limit > 0 && used > limit)
      throw new Error(`attempting to set pod memory limit (${limit}) below current usage (${used})`);
  }

  /** A limit below what is used would end the container, not resize it. */
  async #checkUsage({ id }: RunningRun, { resources }: DeepReadonly<Container>): Promise<void> {
    const limit = quantityValue(resources?.limits?.["memory"]);
    const used = (await this.#pod.node.runtime.containerStats(id))?.memory.workingSetBytes ?? 0;
    if (limit > 0 && used > limit)
      throw new Error(`attempting to set container memory limit (${limit}) below current usage (${used})`);
  }
}

function isRestarting({ condemned, run }: ContainerState): boolean {
  if (run.kind === "running") return condemned?.restart === true || run.stopping?.restart === true;
  return run.kind === "starting" || (run.kind === "exited" && run.mustRestart === true);
}

function amounts({ name, resources: { limits, requests } = {} }: DeepReadonly<Container>) {
  const sorted = (list: DeepReadonly<Record<string, string>>) => Object.fromEntries(Object.entries(list).sort());
  return {
    name,
    resources: { ...(limits ? { limits: sorted(limits) } : {}), ...(requests ? { requests: sorted(requests) } : {}) },
  };
}

function needsRestart(
  { resources: before }: RunningRun,
  { resources: after, resizePolicy }: DeepReadonly<Container>,
): boolean {
  return (resizePolicy ?? []).some(
    ({ resourceName, restartPolicy }) =>
      restartPolicy === "RestartContainer" &&
      (!isEqual(before?.limits?.[resourceName], after?.limits?.[resourceName]) ||
        !isEqual(before?.requests?.[resourceName], after?.requests?.[resourceName])),
  );
}

function isSame(a: Requirements, b: Requirements): boolean {
  return (["cpu", "memory"] as const).every(
    (name) => isEqual(a.limits?.[name], b.limits?.[name]) && isEqual(a.requests?.[name], b.requests?.[name]),
  );
}

/** One amount may be written in several ways. */
function isEqual(a: string | undefined, b: string | undefined): boolean {
  return a === b || (a !== undefined && b !== undefined && compareQuantities(a, b) === 0);
}
