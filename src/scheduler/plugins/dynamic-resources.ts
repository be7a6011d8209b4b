/**
 * Devices for a Pod's ResourceClaims, and for the extended resources that a DeviceClass stands for: found with the Node, written
 * into the claims before the Pod is bound. For extended resources the claim is made then, too.
 */
import type { Pod } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import type { AllocationResult, ResourceClaim } from "../../api/resource/v1.ts";
import { DeviceClasses, Pods, ResourceClaims, ResourceSlices } from "../../api/resources.ts";
import { isConflict, isNotFound } from "../../apimachinery/status-error.ts";
import { type Clock, rfc3339 } from "../../base/clock.ts";
import type { Random } from "../../base/random.ts";
import { type Client, refOf } from "../../client/client.ts";
import { keyOf, type ObjectKey, objectKey, type ReadCache } from "../../controller-runtime/cache.ts";
import { matchesNodeSelector } from "../../controller-runtime/node-matching.ts";
import {
  canBeReserved,
  claimFinalizer,
  extendedClaimAnnotation,
  isReservedFor,
  podClaimName,
  whyNotForPod,
} from "../../controller-runtime/pod-resource-claims.ts";
import { allocate } from "../dynamic-resources/allocate.ts";
import { AllocationError } from "../dynamic-resources/allocation-error.ts";
import { needsPreparation, preparationOf } from "../dynamic-resources/binding-conditions.ts";
import type { ClaimLedger } from "../dynamic-resources/claim-ledger.ts";
import { classesByResource, type ExtendedRequests, extendedRequests } from "../dynamic-resources/extended-resources.ts";
import { type PublishedPool, publishedPools, type ReadClaim } from "../dynamic-resources/pools.ts";
import { type NodeFilter, type Refusal, refusal, type SchedulerPlugin, SchedulingError } from "../framework.ts";
import type { NodeInfo } from "../node-info.ts";
import type { PodInfo } from "../pod-info.ts";

const notAvailable = refusal("resourceclaim not available on the node", true);
const cannotAllocate = refusal("cannot allocate all claims", true);
const isLeftOver = refusal("cannot schedule extended resource claim", true);
/** No object may be called so: it stands for the claim that is not made yet. */
const unmadeName = "<extended-resources>";
const conflictTries = 5;
/** Upstream's default: devices that are not ready by then are given back. */
const preparationTimeoutMs = 600_000;
const nothing: readonly string[] = [];

export interface DynamicResourcesOptions {
  client: Client;
  clock: Clock;
  signal: AbortSignal;
  /** Tells users that a Pod waits until its devices on a Node are made ready. */
  onWaiting(pod: DeepReadonly<Pod>, node: string): void;
  random: Random;
  cache: ReadCache;
  claims: ClaimLedger;
}

/** What a Pod is given, from the decision until it is bound. */
interface Reserved {
  claims: readonly ReadClaim[];
  /** By claim's uid, for those that had none. */
  allocations: ReadonlyMap<string, AllocationResult>;
  /** The claim for extended resources; `made` as soon as it is in the API. */
  extended?: { claim: ReadClaim; mappings: ExtendedRequests["mappings"]; made?: ReadClaim } | undefined;
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
  /** Called after each change of a claim. */
  readonly #watching = new Set<() => void>();
  #pools: readonly PublishedPool[] | undefined;
  #classes: ReadonlyMap<string, string> | undefined;

  constructor(options: DynamicResourcesOptions) {
    this.#options = options;
  }

  /** A ResourceSlice has changed. */
  slicesChanged(): void {
    this.#pools = undefined;
  }

  /** A ResourceClaim has changed. */
  claimsChanged(): void {
    for (const look of [...this.#watching]) look();
  }

  /** A DeviceClass has changed. */
  classesChanged(): void {
    this.#classes = undefined;
  }

  /** Whether a DeviceClass stands for the extended resource. */
  isOfDevices(resource: string): boolean {
    return this.#classesByResource().has(resource);
  }

  preEnqueue({ pod }: PodInfo): Refusal | undefined {
    if (!pod.spec.resourceClaims?.length) return undefined;
    const claims = this.#claimsOf(pod);
    return "reasons" in claims ? claims : undefined;
  }

  filter(info: PodInfo): NodeFilter | Refusal | undefined {
    const { pod } = info;
    const extended = this.#extendedResourcesOf(info);
    if (!pod.spec.resourceClaims?.length && extended.length === 0) return undefined;
    // From a try that failed: what it holds may not be what this one needs.
    if (extended.length > 0 && this.#leftOver(pod)) return isLeftOver;
    const claims = this.#claimsOf(pod);
    if ("reasons" in claims) return claims;
    if (claims.length === 0 && extended.length === 0) return undefined;
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
      const own = this.#extendedClaim(pod, extended, node);
      if (missing.length === 0 && !own) return undefined;
      const allocation = this.#allocate(own ? [...missing, own.claim] : missing, node);
      if (allocation.kind === "allocated") return undefined;
      return allocation.reason === undefined ? cannotAllocate : refusal(allocation.reason, true);
    };
  }

  /** A claim that has its devices where the Pod cannot run, and that nobody else uses, loses them. */
  postFilter(info: PodInfo, refusals: ReadonlyMap<NodeInfo, Refusal>): string | undefined {
    const { pod, uid } = info;
    const left = this.#extendedResourcesOf(info).length > 0 ? this.#leftOver(pod) : undefined;
    if (left) {
      void this.#deleteClaim(left).catch(() => {});
      return "deletion of ResourceClaim completed";
    }
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

  reserve(info: PodInfo, node: NodeInfo): void {
    const { pod, uid } = info;
    const extended = this.#extendedClaim(pod, this.#extendedResourcesOf(info), node);
    if (!pod.spec.resourceClaims?.length && !extended) return;
    const claims = this.#claimsOf(pod);
    if ("reasons" in claims || (claims.length === 0 && !extended)) return;
    const missing = claims.filter(({ status }) => !status?.allocation);
    if (extended) missing.push(extended.claim);
    const allocations = new Map<string, AllocationResult>();
    if (missing.length > 0) {
      const allocation = this.#allocate(missing, node);
      if (allocation.kind !== "allocated") throw new Error("claim allocation not found for node");
      for (const [index, claim] of missing.entries()) {
        allocations.set(claim.metadata.uid, allocation.results[index]!);
        this.#options.claims.promise(claim, allocation.results[index]!);
      }
    }
    this.#reserved.set(uid, { claims, allocations, extended });
  }

  unreserve({ pod, uid }: PodInfo): void {
    const reserved = this.#reserved.get(uid);
    if (!reserved) return;
    this.#reserved.delete(uid);
    const { claims: ledger, client } = this.#options;
    if (reserved.extended) {
      ledger.endPromise(reserved.extended.claim);
      const { made } = reserved.extended;
      if (made) void this.#deleteClaim(made).catch(() => {});
    }
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

  preBind({ pod, uid }: PodInfo, node: NodeInfo): Promise<void> | undefined {
    const reserved = this.#reserved.get(uid);
    if (!reserved) return undefined;
    return this.#bind(pod, reserved, node);
  }

  async #bind(pod: DeepReadonly<Pod>, reserved: Reserved, node: NodeInfo): Promise<void> {
    const { claims, allocations, extended } = reserved;
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
    try {
      if (extended) await this.#makeExtended(pod, reserved, extended);
      await this.#prepared(pod, [...claims, ...(extended?.made ? [extended.made] : [])].map(keyOf), node);
    } catch (error) {
      throw new Error(`running PreBind plugin "DynamicResources": ${(error as Error).message}`, { cause: error });
    }
    this.#reserved.delete(pod.metadata.uid);
  }

  /** Devices that must be made ready first are, or the claims that have them lose them and the Pod is tried anew. */
  async #prepared(pod: DeepReadonly<Pod>, keys: readonly ObjectKey[], node: NodeInfo): Promise<void> {
    const { claims: ledger, clock, signal, onWaiting } = this.#options;
    const waitedFor = () => keys.flatMap((key) => ledger.get(key) ?? []).filter(needsPreparation);
    if (waitedFor().length === 0) return;
    onWaiting(pod, node.name);
    try {
      await new Promise<void>((resolve, reject) => {
        const look = () => {
          const states = waitedFor().map(preparationOf);
          const failed = states.find(({ kind }) => kind === "failed");
          if (failed?.kind === "failed") end(() => reject(new Error(failed.message)));
          else if (states.every(({ kind }) => kind === "ready")) end(resolve);
        };
        const end = (settle: () => void) => {
          this.#watching.delete(look);
          timer[Symbol.dispose]();
          signal.removeEventListener("abort", onAbort);
          settle();
        };
        const onAbort = () => end(() => reject(signal.reason));
        const timer = clock.setTimer(
          preparationTimeoutMs,
          () => end(() => reject(new Error("device binding timeout"))),
          { background: true },
        );
        signal.addEventListener("abort", onAbort);
        this.#watching.add(look);
        look();
      });
    } catch (error) {
      if (!signal.aborted) await Promise.all(waitedFor().map((claim) => this.#giveBack(pod, claim)));
      throw error;
    }
  }

  /** Takes the devices away from a claim that only this Pod uses. */
  async #giveBack(pod: DeepReadonly<Pod>, claim: ReadClaim): Promise<void> {
    const { client, claims: ledger } = this.#options;
    if (claim.status?.reservedFor?.some(({ uid }) => uid !== pod.metadata.uid)) return;
    const { allocation: _, reservedFor: __, devices: ___, ...status } = claim.status ?? {};
    try {
      ledger.wrote(await client.updateStatus(ResourceClaims, { ...claim, status }));
    } catch (error) {
      // Somebody was quicker: the next try sees what became of it.
      if (!isNotFound(error) && !isConflict(error)) throw error;
    }
  }

  /** Makes the claim for extended resources with what it was given, and says in the Pod what of it is whose. */
  async #makeExtended(
    pod: DeepReadonly<Pod>,
    { allocations }: Reserved,
    extended: NonNullable<Reserved["extended"]>,
  ): Promise<void> {
    const { client, claims: ledger } = this.#options;
    const { claim, mappings } = extended;
    const { name, namespace, uid } = pod.metadata;
    try {
      const made = await client.create(ResourceClaims, {
        metadata: {
          generateName: `${name}-extended-resources-`,
          namespace,
          finalizers: [claimFinalizer],
          annotations: { [extendedClaimAnnotation]: "true" },
          ownerReferences: [{ apiVersion: "v1", kind: "Pod", name, uid, controller: true }],
        },
        // The server copies what it is given.
        spec: claim.spec as ResourceClaim["spec"],
      });
      extended.made = made;
      await this.#bindClaim(pod, made, allocations.get(claim.metadata.uid));
    } finally {
      ledger.endPromise(claim);
    }
    const resourceClaimName = extended.made.metadata.name;
    const status = { extendedResourceClaimStatus: { resourceClaimName, requestMappings: mappings } };
    const body = { metadata: { uid }, status };
    await client.patch(Pods, refOf(pod), { type: "strategic", body }, { subresource: "status" });
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
          ...(allocation
            ? { allocation: { ...allocation, allocationTimestamp: rfc3339(this.#options.clock.now()) } }
            : {}),
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

  /** Its finalizer goes first: nobody uses it. */
  async #deleteClaim(known: ReadClaim): Promise<void> {
    const { client } = this.#options;
    const { uid } = known.metadata;
    try {
      const body = { metadata: { uid, finalizers: null } };
      await client.patch(ResourceClaims, refOf(known), { type: "merge", body });
      await client.delete(ResourceClaims, refOf(known), { preconditions: { uid } });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  #classesByResource(): ReadonlyMap<string, string> {
    this.#classes ??= classesByResource(this.#options.cache.list(DeviceClasses));
    return this.#classes;
  }

  /** The Pod's extended resources that a class stands for. */
  #extendedResourcesOf({ requests: { scalar } }: PodInfo): readonly string[] {
    if (!scalar) return nothing;
    return [...scalar].filter(([name, amount]) => amount > 0 && this.isOfDevices(name)).map(([name]) => name);
  }

  /** The claim that an earlier try made for the Pod's extended resources. */
  #leftOver(pod: DeepReadonly<Pod>): ReadClaim | undefined {
    const { cache, claims } = this.#options;
    const found = cache
      .ownedBy(ResourceClaims, pod)
      .find(({ metadata }) => metadata.annotations?.[extendedClaimAnnotation] === "true");
    return found && claims.get(keyOf(found));
  }

  /** What the Pod needs on this Node in the stead of a claim: of resources that the Node has itself, nothing. */
  #extendedClaim(pod: DeepReadonly<Pod>, extended: readonly string[], node: NodeInfo) {
    const ofDevices = extended.filter((name) => (node.allocatable.scalar?.get(name) ?? 0) === 0);
    if (ofDevices.length === 0) return undefined;
    const { requests, mappings } = extendedRequests(pod, ofDevices, this.#classesByResource());
    if (requests.length === 0) return undefined;
    const { namespace, uid } = pod.metadata;
    const metadata = { name: unmadeName, namespace, uid: `${unmadeName}${uid}` };
    // Never shown to anybody: the search for devices reads no more than this.
    const claim = { metadata, spec: { devices: { requests } } } as unknown as ReadClaim;
    return { claim, mappings };
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
