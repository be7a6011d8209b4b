/** Nodes that reach a Pod's volumes; and, for claims that wait for a Node, its volume before the Pod is bound. */
import type { Pod } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import {
  CSIDrivers,
  CSIStorageCapacities,
  PersistentVolumeClaims,
  PersistentVolumes,
  Pods,
  StorageClasses,
} from "../../api/resources.ts";
import type { StorageClass } from "../../api/storage/v1.ts";
import { compareQuantities } from "../../apimachinery/quantity.ts";
import type { Clock } from "../../base/clock.ts";
import { type Client, refOf } from "../../client/client.ts";
import { keyOf, objectKey, type ReadCache } from "../../controller-runtime/cache.ts";
import { selectorOf } from "../../controller-runtime/compiled-selector.ts";
import {
  boundByController,
  classNameOf,
  findVolume,
  isReachable,
  type ReadClaim,
  type ReadVolume,
  requestedStorage,
  selectedNode,
} from "../../controller-runtime/volume-matching.ts";
import { type NodeFilter, type Refusal, refusal, type SchedulerPlugin } from "../framework.ts";
import type { NodeInfo } from "../node-info.ts";
import { claimNamesOf, isFullyBound } from "../pod-claims.ts";
import type { PodInfo } from "../pod-info.ts";

const affinityConflict = refusal("node(s) didn't match PersistentVolume's node affinity", true);
const nothingToBind = refusal("node(s) didn't find available persistent volumes to bind", true);
const noSpace = refusal("node(s) did not have enough free storage", true);
const volumeMissing = refusal("node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)", true);
const noProvisioner = "kubernetes.io/no-provisioner";
const bindTimeoutMs = 600_000;

export interface VolumeBindingOptions {
  client: Client;
  clock: Clock;
  cache: ReadCache;
  signal: AbortSignal;
}

/** What one claim gets on a Node: a volume that is there, or one that its provisioner makes. */
interface Promised {
  podUid: string;
  node: string;
  volume: ReadVolume | undefined;
}

interface Waiting {
  check(): void;
}

export class VolumeBinding implements SchedulerPlugin {
  readonly name = "VolumeBinding";
  readonly wakesOn = ["NodeAdded", "NodeLabelsChanged", "StorageChanged"] as const;
  readonly #options: VolumeBindingOptions;
  /** By claim's uid: what was decided and the API does not show yet. */
  readonly #promised = new Map<string, Promised>();
  readonly #waiting = new Set<Waiting>();

  constructor(options: VolumeBindingOptions) {
    this.#options = options;
  }

  /** A claim or a Pod has changed: bindings in hand look again. */
  changed(): void {
    for (const { check } of this.#waiting) check();
  }

  filter({ pod }: PodInfo): NodeFilter | Refusal | undefined {
    const claims = this.#claimsOf(pod);
    if (claims === undefined || "reasons" in claims) return claims;
    const { bound, waiting } = claims;
    const volumes = bound.map(({ spec }) => this.#volume(spec.volumeName!));
    return (node) => {
      for (const volume of volumes) {
        if (!volume) return volumeMissing;
        if (!isReachable(volume, node)) return affinityConflict;
      }
      if (waiting.length === 0) return undefined;
      const placed = this.#place(waiting, node);
      return "reasons" in placed ? placed : undefined;
    };
  }

  reserve({ pod, uid }: PodInfo, node: NodeInfo): void {
    const claims = this.#claimsOf(pod);
    if (claims === undefined || "reasons" in claims) return;
    const placed = this.#place(claims.waiting, node);
    if ("reasons" in placed) return;
    for (const [claim, volume] of placed) {
      this.#promised.set(claim.metadata.uid, { podUid: uid, node: node.name, volume });
    }
  }

  unreserve({ uid }: PodInfo): void {
    for (const [claimUid, { podUid }] of this.#promised) if (podUid === uid) this.#promised.delete(claimUid);
  }

  /** Undefined when nothing is to be bound. Rejects when the volumes do not come about. */
  preBind({ pod }: PodInfo, node: NodeInfo): Promise<void> | undefined {
    const claims = this.#claimsOf(pod);
    if (claims === undefined || "reasons" in claims || claims.waiting.length === 0) return undefined;
    return this.#bind(pod, claims.waiting, node);
  }

  async #bind(pod: DeepReadonly<Pod>, claims: readonly ReadClaim[], node: NodeInfo): Promise<void> {
    await Promise.all(claims.map((claim) => this.#begin(claim, node)));
    await this.#untilBound(pod, claims, node);
    for (const { metadata } of claims) this.#promised.delete(metadata.uid);
  }

  /** Reserves the volume for the claim, or tells the provisioner where to make one. */
  async #begin(claim: ReadClaim, node: NodeInfo): Promise<void> {
    const { client } = this.#options;
    const { name, namespace, uid, resourceVersion } = claim.metadata;
    const volume = this.#promised.get(uid)?.volume;
    if (volume?.spec.claimRef) return; // It names the claim already: the binder does the rest.
    if (volume) {
      const claimRef = { kind: "PersistentVolumeClaim", apiVersion: "v1", name, namespace, uid, resourceVersion };
      const annotations = { ...volume.metadata.annotations, [boundByController]: "yes" };
      const metadata = { ...volume.metadata, annotations };
      await client.update(PersistentVolumes, { ...volume, metadata, spec: { ...volume.spec, claimRef } });
      return;
    }
    if (claim.metadata.annotations?.[selectedNode] === node.name) return;
    const body = { metadata: { uid, annotations: { [selectedNode]: node.name } } };
    await client.patch(PersistentVolumeClaims, refOf(claim), { type: "merge", body });
  }

  #untilBound(pod: DeepReadonly<Pod>, claims: readonly ReadClaim[], node: NodeInfo): Promise<void> {
    const { cache, clock, signal } = this.#options;
    const seenSelected = new Set<string>();
    return new Promise((resolve, reject) => {
      const end = (problem?: string) => {
        this.#waiting.delete(waiting);
        timer[Symbol.dispose]();
        signal.removeEventListener("abort", aborted);
        if (problem === undefined) resolve();
        else reject(new Error(`running PreBind plugin "VolumeBinding": binding volumes: ${problem}`));
      };
      const aborted = () => end("the scheduler is stopping");
      const waiting: Waiting = {
        check() {
          if (cache.get(Pods, keyOf(pod))?.metadata.uid !== pod.metadata.uid) return end("pod does not exist any more");
          let isReady = true;
          for (const { metadata } of claims) {
            const claim = cache.get(PersistentVolumeClaims, keyOf({ metadata }));
            if (claim?.metadata.uid !== metadata.uid) return end(`claim ${JSON.stringify(metadata.name)} is gone`);
            // The kubelet goes by the status, which comes last.
            if (isFullyBound(claim) && claim.status?.phase === "Bound") continue;
            isReady = false;
            const selected = claim.metadata.annotations?.[selectedNode];
            if (selected === node.name) seenSelected.add(metadata.uid);
            else if (!claim.spec.volumeName && seenSelected.has(metadata.uid)) {
              return end(`provisioning failed for PVC ${JSON.stringify(metadata.name)}`);
            }
          }
          if (isReady) end();
        },
      };
      const timer = clock.setTimer(bindTimeoutMs, () => end("timed out waiting for the condition"), {
        background: true,
      });
      // It may have come while the claims were being written, and then is not told again.
      if (signal.aborted) return aborted();
      signal.addEventListener("abort", aborted);
      this.#waiting.add(waiting);
      waiting.check();
    });
  }

  /** Undefined: the Pod has no claims. A Refusal: they rule out every Node. */
  #claimsOf(pod: DeepReadonly<Pod>): { bound: ReadClaim[]; waiting: ReadClaim[] } | Refusal | undefined {
    const names = claimNamesOf(pod);
    if (names.length === 0) return undefined;
    const { cache } = this.#options;
    const bound: ReadClaim[] = [];
    const waiting: ReadClaim[] = [];
    for (const { name, isEphemeral } of names) {
      const claim = cache.get(PersistentVolumeClaims, objectKey(name, pod.metadata.namespace));
      const quoted = JSON.stringify(name);
      if (!claim) {
        return refusal(
          isEphemeral
            ? `waiting for ephemeral volume controller to create the persistentvolumeclaim ${quoted}`
            : `persistentvolumeclaim ${quoted} not found`,
          true,
        );
      }
      if (claim.status?.phase === "Lost") {
        const volume = JSON.stringify(claim.spec.volumeName ?? "");
        return refusal(`persistentvolumeclaim ${quoted} bound to non-existent persistentvolume ${volume}`, true);
      }
      if (claim.metadata.deletionTimestamp) return refusal(`persistentvolumeclaim ${quoted} is being deleted`, true);
      if (isEphemeral && !claim.metadata.ownerReferences?.some(({ uid }) => uid === pod.metadata.uid)) {
        return refusal(
          `PVC ${JSON.stringify(keyOf(claim))} was not created for pod ${JSON.stringify(keyOf(pod))} (pod is not the owner)`,
          true,
        );
      }
      if (isFullyBound(claim)) bound.push(claim);
      else if (this.#classOf(claim)?.volumeBindingMode === "WaitForFirstConsumer" && !claim.spec.volumeName)
        waiting.push(claim);
      else return refusal("pod has unbound immediate PersistentVolumeClaims", true);
    }
    return { bound, waiting };
  }

  /** What each claim would get on the Node, or why one of them would get nothing. */
  #place(claims: readonly ReadClaim[], node: NodeInfo): (readonly [ReadClaim, ReadVolume | undefined])[] | Refusal {
    const { cache } = this.#options;
    const placed: (readonly [ReadClaim, ReadVolume | undefined])[] = [];
    const taken = new Set<string>();
    for (const { volume } of this.#promised.values()) if (volume) taken.add(volume.metadata.name);
    for (const claim of claims) {
      const promised = this.#promised.get(claim.metadata.uid);
      if (promised) {
        if (promised.node !== node.name) return nothingToBind;
        placed.push([claim, promised.volume]);
        continue;
      }
      const selected = claim.metadata.annotations?.[selectedNode];
      if (selected) {
        if (selected !== node.name) return nothingToBind;
        placed.push([claim, undefined]);
        continue;
      }
      const isTaken = (volume: ReadVolume) => taken.has(volume.metadata.name);
      const volume = findVolume(cache.list(PersistentVolumes), claim, { node, isTaken });
      if (volume) taken.add(volume.metadata.name);
      else {
        const problem = this.#provisioningProblem(claim, node);
        if (problem) return problem;
      }
      placed.push([claim, volume]);
    }
    return placed;
  }

  #provisioningProblem(claim: ReadClaim, node: NodeInfo): Refusal | undefined {
    const storageClass = this.#classOf(claim);
    if (!storageClass || storageClass.provisioner === noProvisioner) return nothingToBind;
    const { allowedTopologies = [] } = storageClass;
    const isAllowed =
      allowedTopologies.length === 0 ||
      allowedTopologies.some((term) =>
        (term.matchLabelExpressions ?? []).every(({ key, values }) => {
          const value = node.labels[key];
          return value !== undefined && values.includes(value);
        }),
      );
    if (!isAllowed) return nothingToBind;
    return this.#hasSpace(claim, storageClass, node) ? undefined : noSpace;
  }

  /** Drivers that keep book of their space are asked; of others it is taken for granted (CSIStorageCapacity). */
  #hasSpace(claim: ReadClaim, { metadata, provisioner }: DeepReadonly<StorageClass>, { labels }: NodeInfo): boolean {
    const { cache } = this.#options;
    if (!cache.get(CSIDrivers, objectKey(provisioner))?.spec.storageCapacity) return true;
    const wanted = requestedStorage(claim);
    return cache.list(CSIStorageCapacities).some(({ storageClassName, capacity, maximumVolumeSize, nodeTopology }) => {
      const limit = maximumVolumeSize ?? capacity;
      if (storageClassName !== metadata.name || limit === undefined || nodeTopology === undefined) return false;
      return compareQuantities(limit, wanted) >= 0 && selectorOf(nodeTopology).matches(labels);
    });
  }

  #classOf(claim: ReadClaim) {
    const name = classNameOf(claim);
    return name ? this.#options.cache.get(StorageClasses, objectKey(name)) : undefined;
  }

  #volume(name: string): ReadVolume | undefined {
    return this.#options.cache.get(PersistentVolumes, objectKey(name));
  }
}
