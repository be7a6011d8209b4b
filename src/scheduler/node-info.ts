/** One Node with what runs on it, accounted for as Pods come and go. */
import type { Node, Taint } from "../api/core/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { allocatableOf, type HostPort, type PodInfo, type Resources } from "./pod-info.ts";

export class NodeInfo {
  readonly name: string;
  /** A small number that no other Node has while this one exists: what is kept about Nodes lies in arrays. */
  readonly slot: number;
  /** Undefined while Pods are known that are bound to a Node we have not seen. */
  node: DeepReadonly<Node> | undefined;
  labels: Readonly<Record<string, string>> = {};
  taints: readonly DeepReadonly<Taint>[] = [];
  isUnschedulable = false;
  allocatable: Resources & { pods: number } = allocatableOf(undefined);
  /** Bytes by image name. */
  images: ReadonlyMap<string, number> = new Map();

  readonly pods = new Map<string, PodInfo>();
  milliCpu = 0;
  memory = 0;
  ephemeralStorage = 0;
  readonly scalar = new Map<string, number>();
  nonZeroMilliCpu = 0;
  nonZeroMemory = 0;
  readonly usedPorts = new Map<string, number>();

  constructor(name: string, slot: number) {
    this.name = name;
    this.slot = slot;
  }

  setNode(node: DeepReadonly<Node> | undefined): void {
    this.node = node;
    this.labels = node?.metadata.labels ?? {};
    this.taints = node?.spec?.taints ?? [];
    this.isUnschedulable = node?.spec?.unschedulable === true;
    this.allocatable = allocatableOf(node?.status?.allocatable);
    const images = new Map<string, number>();
    for (const { names, sizeBytes = 0 } of node?.status?.images ?? []) {
      for (const name of names ?? []) images.set(name, sizeBytes);
    }
    this.images = images;
  }

  addPod(pod: PodInfo): void {
    this.pods.set(pod.uid, pod);
    this.#account(pod, 1);
  }

  removePod(pod: PodInfo): void {
    const present = this.pods.get(pod.uid);
    if (!present) return;
    this.pods.delete(pod.uid);
    this.#account(present, -1);
  }

  #account(pod: PodInfo, sign: 1 | -1): void {
    const { requests, nonZero } = pod;
    this.milliCpu += sign * requests.milliCpu;
    this.memory += sign * requests.memory;
    this.ephemeralStorage += sign * requests.ephemeralStorage;
    for (const [name, amount] of requests.scalar ?? []) {
      this.scalar.set(name, (this.scalar.get(name) ?? 0) + sign * amount);
    }
    this.nonZeroMilliCpu += sign * nonZero.milliCpu;
    this.nonZeroMemory += sign * nonZero.memory;
    for (const port of pod.ports) {
      const key = portKey(port);
      const count = (this.usedPorts.get(key) ?? 0) + sign;
      if (count > 0) this.usedPorts.set(key, count);
      else this.usedPorts.delete(key);
    }
  }
}

export function portKey({ ip, protocol, port }: HostPort): string {
  return `${ip}|${protocol}|${port}`;
}
