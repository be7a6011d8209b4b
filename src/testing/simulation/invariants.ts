/** What must hold after every change of the store, whatever goes wrong around it. */
import type { Deployment, ReplicaSet } from "../../api/apps/v1.ts";
import type { Job } from "../../api/batch/v1.ts";
import type { Pod } from "../../api/core/v1.ts";
import { quantityMilliValue } from "../../apimachinery/quantity.ts";
import { scaledValue } from "../../controller-manager/int-or-percent.ts";
import { availableInMs, isPodActive, isPodReady, isPodTerminal } from "../../controller-manager/pod-facts.ts";
import type { Weather } from "./script.ts";
import type { World, WorldChange } from "./world.ts";

export class InvariantBroken extends Error {
  readonly invariant: string;
  constructor(invariant: string, message: string) {
    super(`${invariant}: ${message}`);
    this.name = "InvariantBroken";
    this.invariant = invariant;
  }
}

/** What a Deployment was asked for since it last stood complete: controllers may still act on any of it. */
interface Pledge {
  most: number;
  fewest: number;
  minReadySeconds: number;
  isRecreate: boolean;
  isComplete: boolean;
  /** The specs since then, and the last. */
  generations: Set<number>;
  replicas: number;
  isResized: boolean;
}

interface JobLedger {
  succeeded: Set<string>;
  failed: Set<string>;
  mostParallel: number;
  mostCompletions: number;
}

export class Invariants {
  readonly #world: World;
  readonly #weather: Weather;
  readonly #now: () => number;
  readonly #deployments = new Map<string, Pledge>();
  readonly #replicaSets = new Map<string, number>();
  readonly #jobs = new Map<string, JobLedger>();
  readonly #daemonSurge = new Map<string, number>();

  constructor(world: World, weather: Weather, now: () => number) {
    this.#world = world;
    this.#weather = weather;
    this.#now = now;
  }

  /** Throws InvariantBroken. */
  check(change: WorldChange): void {
    switch (change.plural) {
      case "deployments":
        if (change.type !== "DELETED") this.#promise(change.object);
        break;
      case "replicasets":
        if (change.type !== "DELETED") this.#checkReplicaSet(change.object, change.previous);
        break;
      case "jobs":
        if (change.type !== "DELETED") this.#checkJob(change.object);
        break;
      case "daemonsets": {
        const surge = Number(change.object.spec.updateStrategy?.rollingUpdate?.maxSurge ?? 0);
        const { uid } = change.object.metadata;
        this.#daemonSurge.set(uid, Math.max(surge, this.#daemonSurge.get(uid) ?? 0));
        break;
      }
      case "pods":
        this.#checkPod(change.type, change.object, change.previous);
        break;
    }
  }

  /** Lost answers let a controller do a thing twice: only the end is judged then. */
  get #isStrict(): boolean {
    return this.#weather !== "lossy";
  }

  #promise(deployment: Deployment): void {
    const { uid } = deployment.metadata;
    const pledge = pledgeOf(deployment);
    const old = this.#deployments.get(uid);
    if (!old) this.#deployments.set(uid, { ...pledge, fewest: 0, isComplete: false });
    else {
      old.most = Math.max(old.most, pledge.most);
      old.fewest = Math.min(old.fewest, pledge.fewest);
      old.minReadySeconds = Math.min(old.minReadySeconds, pledge.minReadySeconds);
      old.isRecreate &&= pledge.isRecreate;
      old.generations.add(deployment.metadata.generation ?? 0);
      if (old.replicas !== pledge.replicas) old.isResized = true;
      old.replicas = pledge.replicas;
      // Who is scaled in the middle of a rollout shrinks each ReplicaSet by its share, also those that serve.
      if (old.isResized && old.generations.size > 2) old.fewest = 0;
    }
    this.#completeIfSo(deployment, pledge);
  }

  /** A Deployment that stands complete, and whose controller knows it, promises what its spec says from now on. */
  #completeIfSo(deployment: Deployment, pledge: Pledge): void {
    const { metadata, spec, status } = deployment;
    const { replicas = 1 } = spec;
    if (status?.observedGeneration !== metadata.generation) return;
    if ((status?.updatedReplicas ?? 0) !== replicas || (status?.replicas ?? 0) !== replicas) return;
    const pods = this.#podsOf(deployment);
    const available = pods.filter((pod) => this.#isAvailable(pod, pledge)).length;
    const replicaSets = this.#world.ownedBy("replicasets", metadata.uid);
    if (available !== replicas || pods.filter(isPodActive).length !== replicas) return;
    if (replicaSets.filter(({ spec: { replicas: size = 1 } }) => size > 0).length > 1) return;
    // One that is being deleted is no longer scaled: its status may say 0 over ReplicaSets that ask for more.
    if (replicaSets.reduce((sum, { spec: { replicas: size = 1 } }) => sum + size, 0) !== replicas) return;
    this.#deployments.set(metadata.uid, pledge);
    for (const replicaSet of replicaSets) {
      this.#replicaSets.set(replicaSet.metadata.uid, replicaSet.spec.replicas ?? 1);
    }
  }

  #podsOf(deployment: Deployment): Pod[] {
    return this.#world
      .ownedBy("replicasets", deployment.metadata.uid)
      .flatMap(({ metadata }) => this.#world.ownedBy("pods", metadata.uid));
  }

  #isAvailable(pod: Pod, { minReadySeconds }: Pledge): boolean {
    return isPodActive(pod) && availableInMs(pod, minReadySeconds, this.#now()) === 0;
  }

  #checkReplicaSet({ metadata, spec }: ReplicaSet, previous: ReplicaSet | undefined): void {
    const { uid } = metadata;
    const replicas = spec.replicas ?? 1;
    this.#replicaSets.set(uid, Math.max(replicas, this.#replicaSets.get(uid) ?? 0));
    const deployment = this.#deploymentOf(uid);
    const promise = deployment && this.#deployments.get(deployment.metadata.uid);
    if (!promise || !this.#isStrict) return;
    if (previous && !previous.metadata.ownerReferences?.some(({ controller }) => controller)) {
      // Adopted as large as it is: it shrinks from there.
      promise.most += replicas;
      return;
    }
    const sum = this.#world
      .ownedBy("replicasets", deployment.metadata.uid)
      .reduce((total, { spec }) => total + (spec.replicas ?? 1), 0);
    if (sum > promise.most) {
      throw new InvariantBroken(
        "surge",
        `the ReplicaSets of ${deployment.metadata.name} ask for ${sum} Pods, at most ${promise.most} are allowed`,
      );
    }
  }

  #deploymentOf(replicaSetUid: string): Deployment | undefined {
    const replicaSet = this.#world.all("replicasets").find(({ metadata }) => metadata.uid === replicaSetUid);
    const owner = replicaSet?.metadata.ownerReferences?.find(({ controller }) => controller);
    return owner && this.#world.all("deployments").find(({ metadata }) => metadata.uid === owner.uid);
  }

  #checkPod(type: WorldChange["type"], pod: Pod, previous: Pod | undefined): void {
    const owner = pod.metadata.ownerReferences?.find(({ controller }) => controller);
    if (type === "ADDED") this.#checkName(pod, owner?.name);
    if (this.#isStrict && pod.spec.nodeName && !previous?.spec.nodeName && type !== "DELETED") this.#checkRoom(pod);
    if (!owner) return;
    if (owner.kind === "ReplicaSet") this.#checkReplicas(type, pod, owner.uid);
    else if (owner.kind === "Job") this.#checkJobPod(type, pod, previous, owner.uid);
    else if (owner.kind === "StatefulSet" && type === "ADDED") this.#checkOrder(pod, owner.uid);
    else if (owner.kind === "DaemonSet" && type === "ADDED" && this.#isStrict) this.#checkDaemon(pod, owner.uid);
  }

  #checkName({ metadata }: Pod, owner: string | undefined): void {
    if (owner && !metadata.name.startsWith(`${owner}-`)) {
      throw new InvariantBroken("name", `Pod ${metadata.name} is not named after its owner ${owner}`);
    }
  }

  #checkRoom(pod: Pod): void {
    const node = this.#world.find("nodes", pod.spec.nodeName!);
    // It went while the binding was on its way, and perhaps a new one of its name has come.
    if (!node?.status?.allocatable?.["cpu"]) return;
    const there = this.#world
      .all("pods")
      .filter((other) => other.spec.nodeName === pod.spec.nodeName && !isPodTerminal(other));
    const milliCpu = there
      .flatMap(({ spec }) => spec.containers)
      .reduce((sum, { resources }) => sum + quantityMilliValue(resources?.requests?.["cpu"] ?? "0"), 0);
    const room = quantityMilliValue(node.status?.allocatable?.["cpu"] ?? "0");
    const slots = Number(node.status?.allocatable?.["pods"] ?? 0);
    if (milliCpu > room || there.length > slots) {
      throw new InvariantBroken(
        "room",
        `${pod.metadata.name} was bound to ${node.metadata.name}, where ${milliCpu}m of ${room}m and ${there.length} of ${slots} Pods are taken`,
      );
    }
    const apart = pod.metadata.labels?.["apart"];
    if (apart === undefined) return;
    const near = there.filter(({ metadata }) => metadata.labels?.["apart"] === apart);
    if (near.length > 1) {
      throw new InvariantBroken(
        "anti-affinity",
        `${near.map(({ metadata }) => metadata.name)} share ${node.metadata.name}`,
      );
    }
  }

  #checkReplicas(type: WorldChange["type"], pod: Pod, replicaSetUid: string): void {
    const deployment = this.#deploymentOf(replicaSetUid);
    const promise = deployment && this.#deployments.get(deployment.metadata.uid);
    if (this.#isStrict && type === "ADDED") {
      const active = this.#world.ownedBy("pods", replicaSetUid).filter(isPodActive).length;
      const most = this.#replicaSets.get(replicaSetUid) ?? 0;
      if (active > most) {
        throw new InvariantBroken("replicas", `the ReplicaSet of ${pod.metadata.name} has ${active} Pods of ${most}`);
      }
      if (promise?.isRecreate) {
        const hash = pod.metadata.labels?.["pod-template-hash"];
        const old = this.#podsOf(deployment!).filter(
          (other) => other.metadata.labels?.["pod-template-hash"] !== hash && !isPodTerminal(other),
        );
        if (old.length > 0) {
          throw new InvariantBroken(
            "recreate",
            `${pod.metadata.name} came while ${old.map(({ metadata }) => metadata.name)} still ran`,
          );
        }
      }
    }
    if (!promise || !deployment || this.#weather !== "calm" || deployment.metadata.deletionTimestamp) return;
    if (!promise.isComplete) return;
    const available = this.#podsOf(deployment).filter((each) => this.#isAvailable(each, promise)).length;
    // What guards itself by a budget may lose one to an eviction.
    const fewest = deployment.metadata.name === "guarded" ? promise.most - 2 : promise.fewest;
    if (available < fewest) {
      throw new InvariantBroken(
        deployment.metadata.name === "guarded" ? "budget" : "availability",
        `${deployment.metadata.name} has ${available} available Pods, ${fewest} are promised`,
      );
    }
  }

  #ledger(uid: string): JobLedger {
    let ledger = this.#jobs.get(uid);
    if (!ledger) {
      ledger = { succeeded: new Set(), failed: new Set(), mostParallel: 0, mostCompletions: 0 };
      this.#jobs.set(uid, ledger);
    }
    return ledger;
  }

  #checkJobPod(type: WorldChange["type"], pod: Pod, previous: Pod | undefined, jobUid: string): void {
    const ledger = this.#ledger(jobUid);
    const { uid, deletionTimestamp } = pod.metadata;
    const wasOver = previous !== undefined && isPodTerminal(previous);
    // What the Job stops itself it lets go first: that counts for nothing.
    if (pod.metadata.finalizers?.includes("batch.kubernetes.io/job-tracking")) {
      if (pod.status?.phase === "Succeeded" && !wasOver && !ledger.failed.has(uid)) ledger.succeeded.add(uid);
      // Who is told to go before the end counts as failed, whatever becomes of it.
      if ((pod.status?.phase === "Failed" || deletionTimestamp) && !ledger.succeeded.has(uid)) ledger.failed.add(uid);
    }
    if (type !== "ADDED" || !this.#isStrict) return;
    const job = this.#world.all("jobs").find(({ metadata }) => metadata.uid === jobUid);
    if (!job) return;
    const active = this.#world.ownedBy("pods", jobUid).filter(isPodActive);
    if (active.length > ledger.mostParallel) {
      throw new InvariantBroken(
        "parallelism",
        `${job.metadata.name} runs ${active.length} Pods at once, ${ledger.mostParallel} are allowed`,
      );
    }
    const index = pod.metadata.annotations?.["batch.kubernetes.io/job-completion-index"];
    if (index !== undefined) {
      const same = active.filter(
        ({ metadata }) => metadata.annotations?.["batch.kubernetes.io/job-completion-index"] === index,
      );
      if (same.length > 1) throw new InvariantBroken("index", `index ${index} of ${job.metadata.name} runs twice`);
    } else if (ledger.succeeded.size + active.length > ledger.mostCompletions) {
      throw new InvariantBroken(
        "completions",
        `${job.metadata.name} has ${ledger.succeeded.size} successes and ${active.length} Pods at work for ${ledger.mostCompletions} completions`,
      );
    }
  }

  #checkJob(job: Job): void {
    const ledger = this.#ledger(job.metadata.uid);
    ledger.mostParallel = Math.max(ledger.mostParallel, job.spec.parallelism ?? 1);
    ledger.mostCompletions = Math.max(ledger.mostCompletions, job.spec.completions ?? 1);
    const { succeeded = 0, failed = 0, uncountedTerminatedPods } = job.status ?? {};
    const counted = {
      succeeded: succeeded + (uncountedTerminatedPods?.succeeded?.length ?? 0),
      failed: failed + (uncountedTerminatedPods?.failed?.length ?? 0),
    };
    if (counted.succeeded > ledger.succeeded.size || counted.failed > ledger.failed.size) {
      throw new InvariantBroken(
        "counting",
        `${job.metadata.name} counts ${counted.succeeded} successes and ${counted.failed} failures of ${ledger.succeeded.size} and ${ledger.failed.size}`,
      );
    }
  }

  /** With OrderedReady a Pod starts when all before it serve. */
  #checkOrder(pod: Pod, uid: string): void {
    const statefulSet = this.#world.all("statefulsets").find(({ metadata }) => metadata.uid === uid);
    if (!statefulSet || statefulSet.spec.podManagementPolicy === "Parallel" || this.#weather !== "calm") return;
    const { name } = statefulSet.metadata;
    const ordinal = Number(pod.metadata.name.slice(name.length + 1));
    for (let before = 0; before < ordinal; before++) {
      const other = this.#world.find("pods", `${name}-${before}`);
      if (!other || !isPodReady(other) || !isPodActive(other)) {
        throw new InvariantBroken("order", `${pod.metadata.name} came while ${name}-${before} did not serve`);
      }
    }
  }

  #checkDaemon(pod: Pod, uid: string): void {
    const node = daemonNode(pod);
    const same = this.#world.ownedBy("pods", uid).filter((other) => isPodActive(other) && daemonNode(other) === node);
    const most = 1 + Math.min(1, this.#daemonSurge.get(uid) ?? 0);
    if (same.length > most) {
      throw new InvariantBroken("daemon", `${same.map(({ metadata }) => metadata.name)} are all for ${node}`);
    }
  }
}

/** What a complete Deployment with this spec promises. */
function pledgeOf({ metadata, spec }: Deployment): Pledge {
  const { replicas = 1, strategy, minReadySeconds = 0 } = spec;
  const isRecreate = strategy?.type === "Recreate";
  const { maxSurge = "25%", maxUnavailable = "25%" } = strategy?.rollingUpdate ?? {};
  const surge = isRecreate ? 0 : scaledValue(maxSurge, replicas, "up");
  const missing = isRecreate ? replicas : scaledValue(maxUnavailable, replicas, "down");
  return {
    most: replicas + surge,
    // With neither surge nor absence nothing could ever move: one may be absent then.
    fewest: Math.max(0, replicas - (surge === 0 && missing === 0 ? 1 : missing)),
    minReadySeconds,
    isRecreate,
    isComplete: true,
    generations: new Set([metadata.generation ?? 0]),
    replicas,
    isResized: false,
  };
}

function daemonNode({ spec }: Pod): string | undefined {
  const terms = spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  return spec.nodeName ?? terms?.[0]?.matchFields?.[0]?.values?.[0];
}
