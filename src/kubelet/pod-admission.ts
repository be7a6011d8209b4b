/** Judges pods before the node begins with them, and sees to what follows: they start, are refused, or lesser ones end for them. */
import type { Node } from "../api/core/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { Nodes } from "../api/resources.ts";
import { type Clock, sleep } from "../base/clock.ts";
import type { Client } from "../client/client.ts";
import type { EventRecorder } from "../controller-runtime/events.ts";
import { type NodeRoom, preemptionFor, type Refusal, refusalOf } from "./admit-pod.ts";
import { isCritical, type PressureCondition } from "./eviction/plan-eviction.ts";
import type { MachineFacts } from "./machine-facts.ts";
import { type NodeConfig, nodeLabels } from "./node-object.ts";
import { isAlive } from "./plan-pod.ts";
import type { PodExecutor } from "./pod-executor.ts";
import type { PodObject, PodState } from "./pod-state.ts";
import type { RuntimeFeatures } from "./runtime/container-runtime.ts";
import type { SysctlAllowlist } from "./sysctls.ts";

export interface PodAdmissionOptions {
  node: NodeConfig;
  machine: MachineFacts;
  client: Client;
  clock: Clock;
  signal: AbortSignal;
  features: RuntimeFeatures;
  allocatable: Readonly<Record<string, string>>;
  sysctls: SysctlAllowlist;
  events: EventRecorder;
  /** By the pod's uid: all that the node knows of. */
  executors: ReadonlyMap<string, PodExecutor>;
  /** As last read. */
  seenNode(): DeepReadonly<Node> | undefined;
  pressures(): ReadonlySet<PressureCondition>;
  isShuttingDown(): boolean;
}

/** Between two looks at whether those that make room have ended. */
const lookMs = 20;

export class PodAdmission {
  readonly #options: PodAdmissionOptions;

  constructor(options: PodAdmissionOptions) {
    this.#options = options;
  }

  /** Of a pod that nobody on this node has begun with. Returns at once; the executor starts or is told why not, now or a little later. */
  admit(executor: PodExecutor): void {
    const refusal = this.#refusalOf(executor.state.pod);
    if (refusal?.reason === "NodeAffinity" || refusal?.reason === "TaintToleration")
      void this.#judgeAgain(executor, refusal);
    else this.#follow(executor, refusal);
  }

  #follow(executor: PodExecutor, refusal: Refusal | undefined): void {
    if (!refusal) executor.start();
    else if (refusal.reason.startsWith("OutOf") && isCritical(executor.state.pod)) void this.#makeRoom(executor);
    else this.#refuse(executor, refusal);
  }

  #refuse(executor: PodExecutor, refusal: Refusal): void {
    const { pod } = executor.state;
    this.#options.events.event({ ...pod, apiVersion: "v1", kind: "Pod" }, "Warning", refusal.reason, refusal.message);
    const message = `Pod was rejected: ${refusal.message}`;
    executor.dispatch({ kind: "evicted", verdict: { ...refusal, message, isRefusal: true }, graceSeconds: 0 });
  }

  /** The node's labels and taints may have changed since they were read last. Where nobody can say, what was known holds. */
  async #judgeAgain(executor: PodExecutor, known: Refusal): Promise<void> {
    const { client, node, signal } = this.#options;
    const seen = await client.get(Nodes, { name: node.name }, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    this.#follow(executor, seen ? this.#refusalOf(executor.state.pod, seen) : known);
  }

  /** A pod that the system needs is not refused for want of room: lesser ones end. */
  async #makeRoom(executor: PodExecutor): Promise<void> {
    const { clock, signal, events, executors } = this.#options;
    const { pod } = executor.state;
    const victims = preemptionFor(pod, this.roomFor(pod))?.flatMap(({ metadata }) => executors.get(metadata.uid) ?? []);
    if (!victims) {
      const message =
        "Unexpected error while attempting to recover from admission failure: preemption: error finding a set of pods to preempt: no set of running pods found to reclaim resources";
      return this.#refuse(executor, { reason: "UnexpectedAdmissionError", message });
    }
    const verdict = {
      reason: "Preempting",
      message: "Preempted in order to admit critical pod",
      isDisruption: true,
      disruption: "Pod was preempted by Kubelet to accommodate a critical pod.",
    };
    for (const victim of victims) {
      const { pod: lesser } = victim.state;
      const subject = { ...lesser, apiVersion: "v1", kind: "Pod" };
      events.event(subject, "Warning", verdict.reason, verdict.message);
      const graceSeconds = Number(lesser.spec.terminationGracePeriodSeconds ?? 30);
      victim.dispatch({ kind: "evicted", verdict, graceSeconds });
    }
    while (victims.some(({ state }) => takesRoom(state)) && !signal.aborted)
      await sleep(clock, lookMs, signal).catch(() => {});
    if (!signal.aborted) executor.start();
  }

  #refusalOf(pod: PodObject, seen?: DeepReadonly<Node>): Refusal | undefined {
    if (pod.status?.startTime || pod.metadata.deletionTimestamp || pod.status?.phase !== "Pending") return undefined;
    if (this.#options.isShuttingDown())
      return { reason: "NodeShutdown", message: "Pod was rejected as the node is shutting down." };
    return refusalOf(pod, this.roomFor(pod, seen));
  }

  /** What the node has, and what of it is taken. */
  roomFor(pod: PodObject, seen: DeepReadonly<Node> | undefined = this.#options.seenNode()): NodeRoom {
    const { node, machine, executors, allocatable, pressures, features, sysctls } = this.#options;
    const others = [...executors.values()]
      .filter(({ state }) => state.pod.metadata.uid !== pod.metadata.uid && takesRoom(state))
      .map(({ state }) => state.pod);
    return {
      allocatable,
      name: node.name,
      labels: seen?.metadata.labels ?? nodeLabels(node, machine),
      taints: seen?.spec?.taints ?? [],
      others,
      pressures: pressures(),
      hasAppArmor: machine.hasAppArmor ?? false,
      features,
      sysctls,
    };
  }
}

function takesRoom({ stage, containers }: PodState): boolean {
  // Whoever deletes a pod by force makes room at once, as upstream; its containers end at once.
  if (stage.kind === "stopping") return stage.cause !== "vanished" && containers.some(isAlive);
  return stage.kind === "active";
}
