/** Whether devices that must be made ready before a Pod is bound are so (KEP-5007). Pure. */
import type { DeepReadonly } from "../../api/object.ts";
import type { DeviceRequestAllocationResult } from "../../api/resource/v1.ts";
import type { ReadClaim } from "./pools.ts";

export type Preparation = { kind: "ready" } | { kind: "waiting" } | { kind: "failed"; message: string };

export function needsPreparation({ status }: ReadClaim): boolean {
  return status?.allocation?.devices?.results?.some(({ bindingConditions }) => bindingConditions?.length) === true;
}

/** What the drivers say of the devices of a claim. One that failed settles it, whatever the others are. */
export function preparationOf(claim: ReadClaim): Preparation {
  const { metadata, status } = claim;
  if (!status?.allocation) return { kind: "waiting" };
  let isWaiting = false;
  for (const result of status.allocation.devices?.results ?? []) {
    if (!result.bindingConditions?.length) continue;
    const conditions = conditionsOf(claim, result);
    const failed = conditions.find(
      ({ type, status: value }) => value === "True" && result.bindingFailureConditions?.includes(type),
    );
    if (failed) {
      const why = `reason=${failed.reason}, message=${JSON.stringify(failed.message)}`;
      return { kind: "failed", message: `claim ${metadata.name} binding failed: ${why}` };
    }
    const isTrue = (wanted: string) =>
      conditions.some(({ type, status: value }) => type === wanted && value === "True");
    if (!result.bindingConditions.every(isTrue)) isWaiting = true;
  }
  return { kind: isWaiting ? "waiting" : "ready" };
}

function conditionsOf({ status }: ReadClaim, result: DeepReadonly<DeviceRequestAllocationResult>) {
  const device = status?.devices?.find(
    ({ driver, pool, device: name, shareID }) =>
      driver === result.driver && pool === result.pool && name === result.device && shareID === result.shareID,
  );
  return device?.conditions ?? [];
}
