/** Which probes a pod wants run, and the workers that run them. */

import { actionTarget, type PodDesk } from "./pod-desk.ts";
import { type ContainerSpec, findContainerSpec, type PodState, type ProbeKind } from "./pod-state.ts";
import { ProbeTallies } from "./probes/probe-tally.ts";
import { ProbeWorker } from "./probes/probe-worker.ts";
import type { ContainerId } from "./runtime/container-runtime.ts";

export class PodProbes {
  readonly tallies = new ProbeTallies();
  readonly #pod: PodDesk;
  readonly #probes = new Map<string, ProbeWorker>();

  constructor(pod: PodDesk) {
    this.#pod = pod;
  }

  stop(): void {
    for (const probe of this.#probes.values()) probe.stop();
    this.#probes.clear();
  }

  /** Starts the probes that the state calls for and stops the others. */
  sync(): void {
    const wanted = wantedProbes(this.#pod.state);
    const keys = new Set(wanted.map(({ id, kind }) => `${id}/${kind}`));
    for (const [key, worker] of this.#probes) {
      if (keys.has(key)) continue;
      worker.stop();
      this.#probes.delete(key);
    }
    if (this.#pod.ending.aborted) return;
    for (const probe of wanted) {
      const key = `${probe.id}/${probe.kind}`;
      if (!this.#probes.has(key)) this.#startProbe(key, probe);
    }
  }

  #startProbe(key: string, { container: name, id, kind, startedAtMs, verdict }: WantedProbe): void {
    const { clock, random } = this.#pod.node;
    const container = findContainerSpec(this.#pod.state.pod, name);
    const probe = container && probeOf(container, kind);
    if (!container || !probe) return;
    const title = kind[0]!.toUpperCase() + kind.slice(1);
    const isAdopted = clock.now() - startedAtMs > 10_000;
    const worker = new ProbeWorker({
      kind,
      probe,
      clock,
      startedAtMs,
      ...(verdict !== undefined ? { verdict } : {}),
      ...(isAdopted && kind !== "startup" ? { firstDelayMs: random.float() * (probe.periodSeconds ?? 10) * 1000 } : {}),
      run: async (timeoutMs, signal) => {
        const begunAtMs = clock.now();
        const target = actionTarget(this.#pod, container, id);
        const result = await this.#pod.node.runAction(probe, target, timeoutMs, signal);
        if (!signal.aborted) this.tallies.add(name, kind, result.kind, clock.now() - begunAtMs);
        return result;
      },
      onFailure: (result) => {
        if (result.kind === "failure")
          this.#pod.record(name, "Warning", "Unhealthy", `${title} probe failed: ${result.output}`);
        else if (result.kind === "warning")
          this.#pod.record(name, "Warning", "ProbeWarning", `${title} probe warning: ${result.output}`);
        else {
          const message = `${title} probe errored and resulted in unknown state: ${result.error}`;
          this.#pod.record(name, "Warning", "Unhealthy", message);
        }
      },
      onVerdict: (success) => {
        const grace = probe.terminationGracePeriodSeconds;
        const graceSeconds = grace === undefined ? undefined : Number(grace);
        this.#pod.dispatch({
          kind: "probed",
          container: name,
          id,
          probe: kind,
          success,
          ...(graceSeconds !== undefined ? { graceSeconds } : {}),
        });
      },
    });
    this.#probes.set(key, worker);
    worker.start();
  }
}

interface WantedProbe {
  container: string;
  id: ContainerId;
  kind: ProbeKind;
  startedAtMs: number;
  verdict?: boolean;
}

/** Startup until it passes, then the other two; a pod that is being stopped is only asked whether it is still ready. */
function wantedProbes(state: PodState): WantedProbe[] {
  return state.containers.flatMap(({ name, role, run, started, ready }) => {
    const spec = findContainerSpec(state.pod, name);
    if (!spec || run.kind !== "running" || run.hook || role === "init" || role === "ephemeral") return [];
    const probe = { container: name, id: run.id, startedAtMs: run.startedAtMs };
    const wanted: WantedProbe[] = [];
    const isStopping = run.stopping !== undefined || state.stage.kind !== "active";
    if (!started && spec.startupProbe && !isStopping) wanted.push({ ...probe, kind: "startup" });
    if (started && spec.readinessProbe) wanted.push({ ...probe, kind: "readiness", verdict: ready });
    if (started && spec.livenessProbe && !isStopping) wanted.push({ ...probe, kind: "liveness" });
    return wanted;
  });
}

function probeOf(container: ContainerSpec, kind: ProbeKind) {
  if (kind === "startup") return container.startupProbe;
  return kind === "liveness" ? container.livenessProbe : container.readinessProbe;
}
