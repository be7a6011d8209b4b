/** Plays every node's kubelet on the simulated clock: heartbeats, Pods that start, become ready, run and end, as their annotations declare. */
import type { Node, Pod } from "../../api/core/v1.ts";
import type { DeepReadonly, New } from "../../api/object.ts";
import { Leases, Nodes, Pods } from "../../api/resources.ts";
import { isAlreadyExists, isConflict, isNotFound } from "../../apimachinery/status-error.ts";
import { rfc3339, rfc3339Micro } from "../../base/clock.ts";
import type { Random } from "../../base/random.ts";
import type { Client } from "../../client/client.ts";
import type { SimulatedClock } from "./simulated-clock.ts";

/** Ends by itself after so many seconds. */
export const runSeconds = "pinnace.local/run-seconds";
/** The share of runs that fail, of 100. */
export const failurePercent = "pinnace.local/failure-percent";
/** No image of this name can be pulled: its Pods wait for ever. */
export const missingImage = "missing:1";

export interface NodeShape {
  cpu: string;
  pods: string;
}

interface Container {
  pod: DeepReadonly<Pod>;
  state: "starting" | "running" | "ended";
  isReady: boolean;
  isStopping: boolean;
}

interface Kubelet {
  name: string;
  shape: NodeShape;
  isAlive: boolean;
  /** By the uid of their Pod. */
  running: Map<string, Container>;
  /** Grows with every start of the machine: what was begun before is void. */
  life: number;
}

const heartbeatMs = 10_000;
const startMs = 1_500;

/** What the nodes see of Pods is the truth, without delay: their faults are their own. */
export class SimulatedKubelets {
  readonly #client: Client;
  readonly #clock: SimulatedClock;
  readonly #random: Random;
  readonly #podsOn: (node: string) => readonly DeepReadonly<Pod>[];
  readonly #nodeNamed: (name: string) => DeepReadonly<Node> | undefined;
  readonly #nodes = new Map<string, Kubelet>();
  #addresses = 0;

  constructor(options: {
    client: Client;
    clock: SimulatedClock;
    random: Random;
    podsOn(node: string): readonly DeepReadonly<Pod>[];
    nodeNamed(name: string): DeepReadonly<Node> | undefined;
  }) {
    this.#client = options.client;
    this.#clock = options.clock;
    this.#random = options.random;
    this.#podsOn = options.podsOn;
    this.#nodeNamed = options.nodeNamed;
  }

  get names(): string[] {
    return [...this.#nodes.keys()];
  }

  isAlive(name: string): boolean {
    return this.#nodes.get(name)?.isAlive === true;
  }

  /** Registers the node, or starts its machine again with its Pods running on. */
  start(name: string, shape: NodeShape = { cpu: "4", pods: "20" }): void {
    let node = this.#nodes.get(name);
    if (node?.isAlive) return;
    if (!node) {
      node = { name, shape, isAlive: true, running: new Map(), life: 0 };
      this.#nodes.set(name, node);
    }
    node.isAlive = true;
    node.life++;
    for (const container of node.running.values()) {
      // What had been begun when the machine fell silent is begun again.
      if (container.isStopping) container.isStopping = false;
      else if (container.state === "starting") this.#run(node, container);
      else if (container.state === "running") {
        container.isReady = true;
        this.#runOut(node, container);
      }
    }
    this.#beat(node, node.life);
  }

  /** The machine falls silent: what runs on it runs on, unseen. */
  silence(name: string): void {
    const node = this.#nodes.get(name);
    if (node) node.isAlive = false;
  }

  /** The machine and all that ran on it are gone. */
  remove(name: string): void {
    this.silence(name);
    this.#nodes.delete(name);
  }

  /** To be called with every change of a Pod that is bound. */
  onPod(pod: DeepReadonly<Pod>, isDeleted: boolean): void {
    const node = this.#nodes.get(pod.spec.nodeName ?? "");
    if (!node?.isAlive) return;
    if (isDeleted) node.running.delete(pod.metadata.uid);
    else this.#look(node, pod);
  }

  /** A running Pod fails its readiness for a while. */
  unready(pod: DeepReadonly<Pod>, forMs: number): void {
    const node = this.#nodes.get(pod.spec.nodeName ?? "");
    const container = node?.running.get(pod.metadata.uid);
    if (!node || container?.state !== "running") return;
    container.isReady = false;
    this.#report(node, container);
    this.#after(node, forMs, () => {
      if (container.state !== "running") return;
      container.isReady = true;
      this.#report(node, container);
    });
  }

  #after(node: Kubelet, delayMs: number, callback: () => void): void {
    const { life } = node;
    this.#clock.setTimer(delayMs, () => {
      if (node.isAlive && node.life === life) callback();
    });
  }

  #beat(node: Kubelet, life: number): void {
    void this.#register(node)
      .catch(() => {})
      .then(() => {
        if (!node.isAlive || node.life !== life) return;
        // A node that was away looks at its Pods anew.
        const present = new Map(this.#podsOn(node.name).map((pod) => [pod.metadata.uid, pod]));
        for (const [uid, container] of node.running) {
          const pod = present.get(uid);
          if (pod && !isReported(pod, "Running", container.isReady)) this.#report(node, container);
        }
        for (const pod of present.values()) this.#look(node, pod);
        for (const uid of [...node.running.keys()]) if (!present.has(uid)) node.running.delete(uid);
      });
    this.#after(node, heartbeatMs, () => this.#beat(node, life));
  }

  async #register({ name, shape }: Kubelet): Promise<void> {
    const now = this.#clock.now();
    const ref = { name, namespace: "kube-node-lease" };
    const spec = { holderIdentity: name, renewTime: rfc3339Micro(now), leaseDurationSeconds: 40 };
    try {
      await this.#client.patch(Leases, ref, { type: "merge", body: { spec } });
    } catch (error) {
      if (!isNotFound(error)) throw error;
      await this.#client.create(Leases, { metadata: ref, spec });
    }
    if (isReady(this.#nodeNamed(name))) return;
    try {
      const node: New<Node> = { metadata: { name, labels: { "kubernetes.io/hostname": name } }, spec: {} };
      await this.#client.create(Nodes, node);
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
    }
    const amounts = { cpu: shape.cpu, memory: "8Gi", pods: shape.pods };
    const current = await this.#client.get(Nodes, { name });
    if (isReady(current)) return;
    const time = rfc3339(now);
    const condition = (type: string, status: string) => ({
      type,
      status,
      lastHeartbeatTime: time,
      lastTransitionTime: time,
    });
    const conditions = [
      condition("Ready", "True"),
      ...["MemoryPressure", "DiskPressure", "PIDPressure"].map((type) => condition(type, "False")),
    ];
    const body = { status: { allocatable: amounts, capacity: amounts, conditions } };
    await this.#client.patch(Nodes, { name }, { type: "strategic", body }, { subresource: "status" });
  }

  #look(node: Kubelet, pod: DeepReadonly<Pod>): void {
    const { uid, deletionTimestamp } = pod.metadata;
    let container = node.running.get(uid);
    const isOver = pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
    if (deletionTimestamp) {
      if (container?.isStopping) return;
      container ??= { pod, state: "ended", isReady: false, isStopping: false };
      container.isStopping = true;
      node.running.set(uid, container);
      const stopping = container;
      const takesMs = stopping.state === "ended" ? 0 : 100 + this.#random.int(3_000);
      this.#after(node, takesMs, () => void this.#end(node, stopping));
      return;
    }
    if (container || isOver) return;
    const created: Container = { pod, state: "starting", isReady: false, isStopping: false };
    node.running.set(uid, created);
    this.#run(node, created);
  }

  #run(node: Kubelet, container: Container): void {
    const { pod } = container;
    if (pod.spec.containers.some(({ image }) => image === missingImage)) return;
    this.#after(node, 100 + this.#random.int(startMs), () => {
      if (container.isStopping || container.state !== "starting") return;
      container.state = "running";
      container.isReady = true;
      this.#report(node, container);
      this.#runOut(node, container);
    });
  }

  #runOut(node: Kubelet, container: Container): void {
    const { annotations } = container.pod.metadata;
    const seconds = annotations?.[runSeconds];
    if (seconds === undefined) return;
    this.#after(node, Number(seconds) * 1000 + this.#random.int(1000), () => {
      if (container.isStopping) return;
      container.state = "ended";
      const share = Number(annotations?.[failurePercent] ?? 0);
      this.#report(node, container, this.#random.int(100) < share ? "Failed" : "Succeeded");
    });
  }

  async #end(node: Kubelet, container: Container): Promise<void> {
    const { uid, name, namespace } = container.pod.metadata;
    const ref = { name, namespace };
    try {
      if (container.state === "running") {
        container.state = "ended";
        await this.#write(container, "Failed");
      }
      container.state = "ended";
      await this.#client.delete(Pods, ref, { gracePeriodSeconds: 0, preconditions: { uid } });
      node.running.delete(uid);
    } catch (error) {
      if (isNotFound(error) || isConflict(error)) node.running.delete(uid);
      else this.#after(node, 500, () => void this.#end(node, container));
    }
  }

  #report(node: Kubelet, container: Container, phase = "Running"): void {
    if (container.state === "starting" || (container.state === "ended" && phase === "Running")) return;
    void this.#write(container, phase).catch((error: unknown) => {
      if (!isNotFound(error) && !isConflict(error)) this.#after(node, 500, () => this.#report(node, container, phase));
    });
  }

  async #write({ pod, isReady }: Container, phase: string): Promise<void> {
    const { uid, name, namespace } = pod.metadata;
    const current = await this.#client.get(Pods, { name, namespace });
    if (current.metadata.uid !== uid || current.status?.phase === "Succeeded" || current.status?.phase === "Failed")
      return;
    const now = rfc3339(this.#clock.now());
    if (isReported(current, phase, isReady)) return;
    const ready = phase === "Running" && isReady ? "True" : "False";
    const old = current.status?.conditions?.find(({ type }) => type === "Ready");
    const podIP = current.status?.podIP ?? `10.244.${(this.#addresses >> 8) & 255}.${this.#addresses++ & 255}`;
    const lastTransitionTime = old?.status === ready ? old.lastTransitionTime : now;
    const exitCode = phase === "Succeeded" ? 0 : 1;
    const status = {
      phase,
      podIP,
      podIPs: [{ ip: podIP }],
      conditions: [{ type: "Ready", status: ready, lastTransitionTime }],
      containerStatuses: pod.spec.containers.map((container) => ({
        name: container.name,
        image: container.image ?? "",
        imageID: "",
        ready: ready === "True",
        restartCount: 0,
        state:
          phase === "Running"
            ? { running: { startedAt: now } }
            : { terminated: { exitCode, startedAt: now, finishedAt: now, reason: exitCode ? "Error" : "Completed" } },
      })),
    };
    const body = { metadata: { uid }, status };
    await this.#client.patch(Pods, { name, namespace }, { type: "strategic", body }, { subresource: "status" });
  }
}

/** Whether its status tells as much already. */
function isReported({ status }: DeepReadonly<Pod>, phase: string, isReady: boolean): boolean {
  const ready = phase === "Running" && isReady ? "True" : "False";
  return status?.phase === phase && status.conditions?.find(({ type }) => type === "Ready")?.status === ready;
}

function isReady(node: DeepReadonly<Node> | undefined): boolean {
  return node?.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") === true;
}
