/** How much of a device's capacity a request takes (consumable capacity, KEP-5075). Pure. */
import type { DeepReadonly } from "../../api/object.ts";
import type { CapacityRequestPolicy, CapacityRequirements, DeviceCapacity } from "../../api/resource/v1.ts";
import { Quantity } from "../../apimachinery/quantity.ts";
import type { ReadDevice } from "./pools.ts";

/** By the name that the device publishes the capacity under. */
export type Amounts = ReadonlyMap<string, Quantity>;

/**
 * What the request takes of each of the device's capacities, rounded as the device asks for; undefined when it asks for what the
 * device does not have or does not give in such amounts, or when not so much is left beside `inUse`.
 */
export function consumedCapacity(
  driver: string,
  device: ReadDevice,
  wanted: DeepReadonly<CapacityRequirements> | undefined,
  inUse: readonly (Amounts | undefined)[],
): Amounts | undefined {
  const capacity = device.capacity ?? {};
  const requests = new Map<string, Quantity>();
  for (const [name, amount] of Object.entries(wanted?.requests ?? {})) {
    const published = publishedName(driver, name, capacity);
    if (published === undefined) return undefined;
    requests.set(published, Quantity.parse(amount));
  }
  const consumed = new Map<string, Quantity>();
  for (const [name, { value, requestPolicy }] of Object.entries(capacity)) {
    const total = Quantity.parse(value);
    const amount = amountOf(requests.get(name), total, requestPolicy);
    if (!amount) return undefined;
    const used = inUse.reduce((sum, amounts) => sum + (amounts?.get(name)?.nanos ?? 0n), 0n);
    if (used + amount.nanos > total.nanos) return undefined;
    consumed.set(name, amount);
  }
  return consumed;
}

type Capacity = DeepReadonly<Record<string, DeviceCapacity>>;

/** `memory` and `driver/memory` are the same. */
export function publishedName(driver: string, name: string, capacity: Capacity): string | undefined {
  if (capacity[name]) return name;
  const other = name.startsWith(`${driver}/`) ? name.slice(driver.length + 1) : `${driver}/${name}`;
  return capacity[other] ? other : undefined;
}

/** Undefined: the policy does not allow for such an amount. */
function amountOf(
  requested: Quantity | undefined,
  total: Quantity,
  policy: DeepReadonly<CapacityRequestPolicy> | undefined,
): Quantity | undefined {
  if (!requested) return policy?.default ? Quantity.parse(policy.default) : total;
  if (policy?.validRange) {
    const { min, max, step } = policy.validRange;
    let { nanos } = requested;
    const least = Quantity.parse(min).nanos;
    if (nanos < least) nanos = least;
    else if (step) {
      const stepNanos = Quantity.parse(step).nanos;
      if (stepNanos > 0n) nanos = least + ((nanos - least + stepNanos - 1n) / stepNanos) * stepNanos;
    }
    if (max && nanos > Quantity.parse(max).nanos) return undefined;
    return new Quantity(nanos, requested.format);
  }
  if (policy?.validValues?.length) {
    const values = policy.validValues.map((value) => Quantity.parse(value)).sort((a, b) => a.compare(b));
    return values.find((value) => value.compare(requested) >= 0);
  }
  return requested;
}
