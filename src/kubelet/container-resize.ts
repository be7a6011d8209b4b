/** Gives running containers the CPU and memory that their changed spec asks for, without a restart where it allows that (in-place resize). */
import type { Container, ResourceRequirements } from "../api/core/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { compareQuantities, quantityValue } from "../apimachinery/quantity.ts";
import type { PodDesk } from "./pod-desk.ts";
import { findContainerSpec, type RunningRun } from "./pod-state.ts";
import { containerResources, podResources } from "./qos.ts";

type Requirements = DeepReadonly<ResourceRequirements>;

export class ContainerResizer {
  readonly #pod: PodDesk;
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
    if (changes.length === 0) {
      if (state.resize) this.#pod.dispatch({ kind: "resizeSettled" });
      return;
    }
    const refusal = node.resizeRefusal(pod);
    if (refusal) return this.#pod.dispatch({ kind: "resizeBlocked", type: "PodResizePending", ...refusal });
    try {
      const whole = podResources(pod, node.podPidsLimit);
      // What grows needs room in the pod first; what shrinks makes it.
      await node.runtime.updateSandboxResources(sandbox.id, whole).catch(() => {});
      for (const { name, run, spec } of changes) {
        if (needsRestart(run, spec)) {
          const message = `Container ${name} resize requires restart`;
          this.#pod.dispatch({ kind: "restartWanted", container: name, id: run.id, message });
          continue;
        }
        await this.#checkUsage(run, spec);
        const { oomScoreAdj: _, ...resources } = containerResources(pod, spec, node.facts.memoryBytes);
        await node.runtime.updateResources(run.id, resources);
        this.#pod.dispatch({ kind: "resized", container: name, id: run.id, resources: spec.resources ?? {} });
      }
      await node.runtime.updateSandboxResources(sandbox.id, whole);
      this.#pod.dispatch({ kind: "resizeSettled" });
    } catch (error) {
      const { message } = error as Error;
      this.#pod.dispatch({ kind: "resizeBlocked", type: "PodResizeInProgress", reason: "Error", message });
    }
  }

  /** A limit below what is used would end the container, not resize it. */
  async #checkUsage({ id }: RunningRun, { resources }: DeepReadonly<Container>): Promise<void> {
    const limit = quantityValue(resources?.limits?.["memory"]);
    const used = (await this.#pod.node.runtime.containerStats(id))?.memory.workingSetBytes ?? 0;
    if (limit > 0 && used > limit)
      throw new Error(`attempting to set container memory limit (${limit}) below current usage (${used})`);
  }
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
