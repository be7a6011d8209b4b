/** Counters that the devices of a pool share (partitionable devices, KEP-4815): what is left of them. */
import type { DeepReadonly } from "../../api/object.ts";
import type { CounterSet, DeviceCounterConsumption } from "../../api/resource/v1.ts";
import { Quantity } from "../../apimachinery/quantity.ts";
import { type DeviceId, deviceId, type PublishedPool, type ReadDevice } from "./pools.ts";

export class Counters {
  /** By pool, then `counterSet/counter`, in nanos. */
  readonly #left = new Map<PublishedPool, Map<string, bigint>>();
  readonly #isTaken: (id: DeviceId) => boolean;

  /** `isTaken`: whether a device is given to somebody already, and so uses counters. */
  constructor(isTaken: (id: DeviceId) => boolean) {
    this.#isTaken = isTaken;
  }

  /** Takes what the device needs. False: there is not enough, and nothing was taken. */
  take(pool: PublishedPool, device: ReadDevice): boolean {
    const left = this.#of(pool);
    const needs = amounts(device.consumesCounters);
    for (const [name, amount] of needs) if ((left.get(name) ?? 0n) < amount) return false;
    for (const [name, amount] of needs) left.set(name, left.get(name)! - amount);
    return true;
  }

  giveBack(pool: PublishedPool, device: ReadDevice): void {
    const left = this.#of(pool);
    for (const [name, amount] of amounts(device.consumesCounters)) left.set(name, (left.get(name) ?? 0n) + amount);
  }

  #of(pool: PublishedPool): Map<string, bigint> {
    const known = this.#left.get(pool);
    if (known) return known;
    const left = amounts(pool.counterSets.map(({ name, counters }) => ({ counterSet: name, counters })));
    for (const { spec } of pool.slices) {
      for (const device of spec.devices ?? []) {
        if (!device.consumesCounters?.length || !this.#isTaken(deviceId(pool.driver, pool.name, device.name))) continue;
        for (const [name, amount] of amounts(device.consumesCounters)) {
          if (left.has(name)) left.set(name, left.get(name)! - amount);
        }
      }
    }
    this.#left.set(pool, left);
    return left;
  }
}

type Consumption = DeepReadonly<DeviceCounterConsumption & { counters: CounterSet["counters"] }>;

function amounts(consumed: readonly Consumption[] | undefined): Map<string, bigint> {
  const found = new Map<string, bigint>();
  for (const { counterSet, counters } of consumed ?? []) {
    for (const [name, { value }] of Object.entries(counters)) {
      const key = `${counterSet}/${name}`;
      found.set(key, (found.get(key) ?? 0n) + Quantity.parse(value).nanos);
    }
  }
  return found;
}
