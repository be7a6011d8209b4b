/** Claims as the scheduler knows them: what informers show, what it wrote itself and they do not show yet, and what it promised and has not written. */
import type { DeepReadonly } from "../../api/object.ts";
import type { AllocationResult } from "../../api/resource/v1.ts";
import { Quantity } from "../../apimachinery/quantity.ts";
import { keyOf, type ObjectKey } from "../../controller-runtime/cache.ts";
import type { TakenDevices } from "./allocate.ts";
import { type DeviceId, deviceId, type ReadClaim } from "./pools.ts";

type ReadAllocation = DeepReadonly<AllocationResult>;

export class ClaimLedger implements TakenDevices {
  readonly #seen = new Map<ObjectKey, ReadClaim>();
  readonly #written = new Map<ObjectKey, ReadClaim>();
  /** By claim's uid. */
  readonly #promised = new Map<string, ReadAllocation>();
  /** What each claim counts for at the moment, by uid. */
  readonly #counted = new Map<string, ReadAllocation>();
  readonly #exclusive = new Map<DeviceId, number>();
  readonly #shared = new Map<DeviceId, Map<string, Quantity>>();

  get(key: ObjectKey): ReadClaim | undefined {
    return this.#written.get(key) ?? this.#seen.get(key);
  }

  isPromised({ metadata }: ReadClaim): boolean {
    return this.#promised.has(metadata.uid);
  }

  /** What an informer tells of a claim. */
  see(claim: ReadClaim, isGone: boolean): void {
    const key = keyOf(claim);
    const written = this.#written.get(key);
    if (written && (isGone || isOld(written, claim))) this.#written.delete(key);
    const before = this.#seen.get(key);
    if (isGone) this.#seen.delete(key);
    else this.#seen.set(key, claim);
    if (before && before.metadata.uid !== claim.metadata.uid) this.#count(before.metadata.uid, undefined);
    this.#recount(key, claim.metadata.uid);
  }

  /** The answer to a write of ours: it holds until informers have come so far. */
  wrote(claim: ReadClaim): void {
    const key = keyOf(claim);
    const seen = this.#seen.get(key);
    if (!seen || isOld(seen, claim)) this.#written.set(key, claim);
    this.#recount(key, claim.metadata.uid);
  }

  promise(claim: ReadClaim, allocation: ReadAllocation): void {
    this.#promised.set(claim.metadata.uid, allocation);
    this.#recount(keyOf(claim), claim.metadata.uid);
  }

  /** The promise was written down, or is taken back. */
  endPromise(claim: ReadClaim): void {
    if (this.#promised.delete(claim.metadata.uid)) this.#recount(keyOf(claim), claim.metadata.uid);
  }

  has(id: DeviceId): boolean {
    return this.#exclusive.has(id);
  }

  capacity(id: DeviceId): ReadonlyMap<string, Quantity> | undefined {
    return this.#shared.get(id);
  }

  #recount(key: ObjectKey, uid: string): void {
    const claim = this.get(key);
    const allocation = claim?.metadata.uid === uid ? claim.status?.allocation : undefined;
    this.#count(uid, allocation ?? this.#promised.get(uid));
  }

  #count(uid: string, allocation: ReadAllocation | undefined): void {
    const before = this.#counted.get(uid);
    if (before === allocation) return;
    if (before) this.#add(before, -1);
    if (allocation) {
      this.#add(allocation, 1);
      this.#counted.set(uid, allocation);
    } else this.#counted.delete(uid);
  }

  #add({ devices }: ReadAllocation, sign: 1 | -1): void {
    for (const { driver, pool, device, adminAccess, shareID, consumedCapacity } of devices?.results ?? []) {
      // Looking at a device does not take it.
      if (adminAccess) continue;
      const id = deviceId(driver, pool, device);
      if (shareID === undefined) {
        const count = (this.#exclusive.get(id) ?? 0) + sign;
        if (count > 0) this.#exclusive.set(id, count);
        else this.#exclusive.delete(id);
        continue;
      }
      const amounts = this.#shared.get(id) ?? new Map<string, Quantity>();
      for (const [name, amount] of Object.entries(consumedCapacity ?? {})) {
        const parsed = Quantity.parse(amount);
        const sum = (amounts.get(name) ?? Quantity.zero).add(sign > 0 ? parsed : parsed.negated());
        if (sum.sign() > 0) amounts.set(name, sum);
        else amounts.delete(name);
      }
      if (amounts.size > 0) this.#shared.set(id, amounts);
      else this.#shared.delete(id);
    }
  }
}

function isOld(a: ReadClaim, b: ReadClaim): boolean {
  return Number(a.metadata.resourceVersion) <= Number(b.metadata.resourceVersion);
}
