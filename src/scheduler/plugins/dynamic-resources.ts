/** Devices for a Pod's ResourceClaims: found with the Node, written into the claims before the Pod is bound. */
import type { Pod } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import type { AllocationResult } from "../../api/resource/v1.ts";
import { DeviceClasses, ResourceClaims, ResourceSlices } from "../../api/resources.ts";
import { isConflict } from "../../apimachinery/status-error.ts";
import type { Random } from "../../base/random.ts";
import { type Client, refOf } from "../../client/client.ts";
import { keyOf, objectKey, type ReadCache } from "../../controller-runtime/cache.ts";
import { matchesNodeSelector } from "../../controller-runtime/node-matching.ts";
import {
  canBeReserved,
  claimFinalizer,
  isReservedFor,
  podClaimName,
  whyNotForPod,
} from "../../controller-runtime/pod-resource-claims.ts";
import { allocate } from "../dynamic-resources/allocate.ts";
import { AllocationError } from "../dynamic-resources/allocation-error.ts";
import type { ClaimLedger } from "../dynamic-resources/claim-ledger.ts";
import { type PublishedPool, publishedPools, type ReadClaim } from "../dynamic-resources/pools.ts";
import { type NodeFilter, type Refusal, refusal, type SchedulerPlugin, SchedulingError } from "../framework.ts";
import type { NodeInfo } from "../node-info.ts";
import type { PodInfo } from "../pod-info.ts";

const notAvailable = refusal("resourceclaim not available on the node", true);
const cannotAllocate = refusal("cannot allocate all claims", true);
const conflictTries = 5;

export interface DynamicResourcesOptions {
  client: Client;
  random: Random;
  cache: ReadCache;
  claims: ClaimLedger;
}

/** What a Pod is given, from the decision until it is bound. */
interface Reserved {
  claims: readonly ReadClaim[];
  /** By claim's uid, for those that had none. */
  allocations: ReadonlyMap<string, AllocationResult>;
}

export class DynamicResources implements SchedulerPlugin {
  readonly name = "DynamicResources";
  readonly wakesOn = [
    "NodeAdded",
    "NodeLabelsChanged",
    "NodeTaintsChanged",
    "ResourceClaimChanged",
    "ResourceClaimFreed",
    "ResourceSliceChanged",
    "DeviceClassChanged",
    "PodResourceClaimsChanged",
  ] as const;
  readonly #options: DynamicResourcesOptions;
  readonly #reserved = new Map<string, Reserved>();
  #pools: readonly PublishedPool[] | undefined;

  constructor(options: DynamicResourcesOptions) {
    this.#options = options;
  }

  /** A ResourceSlice has changed. */
  slicesChanged(): void {
    this.#pools = undefined;
  }

  preEnqueue({ pod }: PodInfo): Refusal | undefined {
    if (!pod.spec.resourceClaims?.length) return undefined;
    const claims = this.#claimsOf(pod);
    return "reasons" in claims ? claims : undefined;
  }

  filter({ pod }: PodInfo): NodeFilter | Refusal | undefined {
    if (!pod.spec.resourceClaims?.length) return undefined;
    const claims = this.#claimsOf(pod);
    if ("reasons" in claims) return claims;
    if (claims.length === 0) return undefined;
    const present: ReadClaim[] = [];
    const missing: ReadClaim[] = [];
    for (const claim of claims) {
      if (claim.status?.allocation) {
        if (!isReservedFor(pod, claim) && !canBeReserved(claim)) return refusal("resourceclaim in use", true);
        present.push(claim);
        continue;
      }
      if (this.#options.claims.isPromised(claim)) {
        return refusal(`resource claim ${keyOf(claim)} is in the process of being allocated`, true);
      }
      const missingClass = this.#missingClass(claim);
      if (missingClass) return missingClass;
      missing.push(claim);
    }
    return (node) => {
      for (const { status } of present) {
        const selector = status?.allocation?.nodeSelector;
        if (selector && !matchesNodeSelector(selector, node)) return notAvailable;
      }
      if (missing.length === 0) return undefined;
      const allocation = this.#allocate(missing, node);
      if (allocation.kind === "allocated") return undefined;
      return allocation.reason === undefined ? cannotAllocate : refusal(allocation.reason, true);
    };
  }

  /** A claim that has its devices where the Pod cannot run, and that nobody else uses, loses them. */
  postFilter({ pod, uid }: PodInfo, refusals: ReadonlyMap<NodeInfo, Refusal>): string | undefined {
    if (!pod.spec.resourceClaims?.length || refusals.size === 0) return undefined;
    const claims = this.#claimsOf(pod);
    if ("reasons" in claims || claims.length === 0) return undefined;
    const away = [...refusals].filter(([, refused]) => refused === notAvailable).map(([node]) => node);
    const idle = claims.find(({ status }) => {
      const selector = status?.allocation?.nodeSelector;
      if (!selector || !(status.reservedFor ?? []).every((user) => user.uid === uid)) return false;
      return away.some((node) => !matchesNodeSelector(selector, node));
    });
    if (!idle) return "still not schedulable";
    const { client, claims: ledger } = this.#options;
    const { allocation: _, reservedFor: __, ...status } = idle.status;
    // A conflict: somebody has begun to use it.
    void client
      .updateStatus(ResourceClaims, { ...idle, status })
      .then((written) => ledger.wrote(written))
      .catch(() => {});
    return "deallocation of ResourceClaim completed";
  }

  reserve({ pod, uid }: PodInfo, node: NodeInfo): void {
    if (!pod.spec.resourceClaims?.length) return;
    const claims = this.#claimsOf(pod);
    if ("reasons" in claims || claims.length === 0) return;
    const missing = claims.filter(({ status }) => !status?.allocation);
    const allocations = new Map<string, AllocationResult>();
    if (missing.length > 0) {
      const allocation = this.#allocate(missing, node);
      if (allocation.kind !== "allocated") throw new Error("claim allocation not found for node");
      for (const [index, claim] of missing.entries()) {
        allocations.set(claim.metadata.uid, allocation.results[index]!);
        this.#options.claims.promise(claim, allocation.results[index]!);
      }
    }
    this.#reserved.set(uid, { claims, allocations });
  }

  unreserve({ pod, uid }: PodInfo): void {
    const reserved = this.#reserved.get(uid);
    if (!reserved) return;
    this.#reserved.delete(uid);
    const { claims: ledger, client } = this.#options;
    for (const claim of reserved.claims) {
      ledger.endPromise(claim);
      const current = ledger.get(keyOf(claim));
      if (!current?.status?.allocation || !isReservedFor(pod, current)) continue;
      // Whatever happens to it: the controller takes the Pod out when it is gone, and another try finds it there.
      const reservedFor = [{ $patch: "delete", uid }];
      const body = { metadata: { uid: claim.metadata.uid }, status: { reservedFor } };
      void client
        .patch(ResourceClaims, refOf(claim), { type: "strategic", body }, { subresource: "status" })
        .then((written) => ledger.wrote(written))
        .catch(() => {});
    }
  }

  preBind({ pod, uid }: PodInfo): Promise<void> | undefined {
    const reserved = this.#reserved.get(uid);
    if (!reserved) return undefined;
    return this.#bind(pod, reserved);
  }

  async #bind(pod: DeepReadonly<Pod>, { claims, allocations }: Reserved): Promise<void> {
    for (const claim of claims) {
      try {
        if (isReservedFor(pod, claim)) continue;
        await this.#bindClaim(pod, claim, allocations.get(claim.metadata.uid));
      } catch (error) {
        throw new Error(`running PreBind plugin "DynamicResources": ${(error as Error).message}`, { cause: error });
      } finally {
        this.#options.claims.endPromise(claim);
      }
    }
    this.#reserved.delete(pod.metadata.uid);
  }

  async #bindClaim(pod: DeepReadonly<Pod>, known: ReadClaim, allocation: AllocationResult | undefined): Promise<void> {
    const { client, claims: ledger } = this.#options;
    let claim = known;
    for (let tries = 1; ; tries++) {
      try {
        if (claim.metadata.deletionTimestamp) throw new Error(`claim ${keyOf(claim)} got deleted in the meantime`);
        if (allocation) {
          if (claim.status?.allocation)
            throw new Error(`claim ${keyOf(claim)} got allocated elsewhere in the meantime`);
          const finalizers = claim.metadata.finalizers ?? [];
          if (!finalizers.includes(claimFinalizer)) {
            const metadata = { ...claim.metadata, finalizers: [...finalizers, claimFinalizer] };
            claim = await client.update(ResourceClaims, { ...claim, metadata });
          }
        }
        const { name, uid } = pod.metadata;
        const status = {
          ...claim.status,
          ...(allocation ? { allocation } : {}),
          reservedFor: [...(claim.status?.reservedFor ?? []), { resource: "pods", name, uid }],
        };
        ledger.wrote(await client.updateStatus(ResourceClaims, { ...claim, status }));
        return;
      } catch (error) {
        if (!isConflict(error) || tries >= conflictTries) throw error;
        claim = await client.get(ResourceClaims, refOf(claim));
        if (claim.metadata.uid !== known.metadata.uid) throw new Error(`claim ${keyOf(claim)} got replaced`);
      }
    }
  }

  /** The Pod's claims that are there, or why it has to wait for them. */
  #claimsOf(pod: DeepReadonly<Pod>): ReadClaim[] | Refusal {
    const claims: ReadClaim[] = [];
    for (const entry of pod.spec.resourceClaims ?? []) {
      const named = podClaimName(pod, entry);
      if (named.kind === "none") continue;
      if (named.kind === "notCreated") return refusal(named.message, true);
      const claim = this.#options.claims.get(objectKey(named.name, pod.metadata.namespace));
      const quoted = JSON.stringify(named.name);
      if (!claim) return refusal(`resourceclaim.resource.k8s.io ${quoted} not found`, true);
      if (claim.metadata.deletionTimestamp) return refusal(`resourceclaim ${quoted} is being deleted`, true);
      const foreign = named.isGenerated ? whyNotForPod(pod, claim) : undefined;
      if (foreign) return refusal(foreign, true);
      claims.push(claim);
    }
    return claims;
  }

  #missingClass(claim: ReadClaim): Refusal | undefined {
    for (const { name, exactly, firstAvailable = [] } of claim.spec.devices?.requests ?? []) {
      const wanted = exactly
        ? [[name, exactly.deviceClassName] as const]
        : firstAvailable.map((one) => [`${name}/${one.name}`, one.deviceClassName] as const);
      for (const [request, deviceClass] of wanted) {
        if (!this.#options.cache.get(DeviceClasses, objectKey(deviceClass))) {
          return refusal(`request ${request}: device class ${deviceClass} does not exist`, true);
        }
      }
    }
    return undefined;
  }

  #allocate(claims: readonly ReadClaim[], node: NodeInfo) {
    const { cache, claims: taken, random } = this.#options;
    this.#pools ??= publishedPools(cache.list(ResourceSlices));
    const inputs = {
      claims,
      pools: this.#pools,
      taken,
      classOf: (name: string) => cache.get(DeviceClasses, objectKey(name)),
      shareId: () => random.uuid(),
    };
    try {
      return allocate(inputs, node);
    } catch (error) {
      if (!(error instanceof AllocationError)) throw error;
      throw new SchedulingError(`running "${this.name}" filter plugin: ${error.message}`);
    }
  }
}
