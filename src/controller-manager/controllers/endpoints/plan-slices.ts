/** Which EndpointSlices a Service should have, changing as few of the present ones as possible. Pure. */
import type { Endpoint, EndpointPort, EndpointSlice } from "../../../api/discovery/v1.ts";
import type { DeepReadonly } from "../../../api/object.ts";
import { semanticEqual } from "../../../apimachinery/semantic-equal.ts";

export const maxEndpointsPerSlice = 100;

/** Endpoints that share one address type and one list of ports, and so may share a slice. */
export interface EndpointGroup {
  addressType: string;
  ports: readonly EndpointPort[];
  endpoints: readonly Endpoint[];
}

export interface SliceContents {
  addressType: string;
  ports: readonly EndpointPort[];
  endpoints: readonly DeepReadonly<Endpoint>[];
}

export interface SlicePlan {
  create: SliceContents[];
  update: { slice: DeepReadonly<EndpointSlice>; endpoints: readonly DeepReadonly<Endpoint>[] }[];
  delete: DeepReadonly<EndpointSlice>[];
}

/**
 * `existing` are the Service's managed slices. Address types that are wanted without any endpoint keep one empty slice,
 * so that consumers can tell "no endpoints" from "not looked at yet".
 */
export function planSlices(
  groups: readonly EndpointGroup[],
  addressTypes: readonly string[],
  existing: readonly DeepReadonly<EndpointSlice>[],
  maxPerSlice = maxEndpointsPerSlice,
): SlicePlan {
  const plan: SlicePlan = { create: [], update: [], delete: [] };
  const unused = new Set(existing);
  const wanted = new Map(
    groups.filter(({ endpoints }) => endpoints.length > 0).map((group) => [groupKey(group), group]),
  );
  for (const [key, group] of wanted) {
    const slices = existing.filter((slice) => groupKey(slice) === key);
    for (const slice of slices) unused.delete(slice);
    planGroup(group, slices, plan, maxPerSlice);
  }
  for (const addressType of addressTypes) {
    if ([...wanted.values()].some((group) => group.addressType === addressType)) continue;
    const candidates = [...unused].filter((slice) => slice.addressType === addressType);
    const kept = candidates.find(({ endpoints, ports }) => isNone(endpoints) && isNone(ports)) ?? candidates[0];
    if (!kept) plan.create.push({ addressType, ports: [], endpoints: [] });
    else {
      unused.delete(kept);
      if (!isNone(kept.endpoints)) plan.update.push({ slice: kept, endpoints: [] });
    }
  }
  plan.delete.push(...unused);
  return plan;
}

/** Endpoints stay in the slice they are in; new ones fill slices that change anyway, then others, then new ones. */
function planGroup(
  group: EndpointGroup,
  slices: readonly DeepReadonly<EndpointSlice>[],
  plan: SlicePlan,
  maxPerSlice: number,
): void {
  const missing = new Map(group.endpoints.map((endpoint) => [endpointKey(endpoint), endpoint]));
  const states = slices.map((slice) => {
    let isChanged = false;
    const endpoints: DeepReadonly<Endpoint>[] = [];
    for (const endpoint of slice.endpoints ?? []) {
      const key = endpointKey(endpoint);
      const next = missing.get(key);
      missing.delete(key);
      if (!next) isChanged = true;
      else if (semanticEqual(next, endpoint)) endpoints.push(endpoint);
      else {
        endpoints.push(next);
        isChanged = true;
      }
    }
    return { slice, endpoints, isChanged };
  });

  const added = [...missing.values()];
  const byRoom = states.toSorted(
    (a, b) => Number(b.isChanged) - Number(a.isChanged) || b.endpoints.length - a.endpoints.length,
  );
  for (const state of byRoom) {
    const room = maxPerSlice - state.endpoints.length;
    if (added.length === 0 || room <= 0) continue;
    // A slice that would otherwise be empty is no use: it takes part only when it is needed.
    state.endpoints.push(...added.splice(0, room));
    state.isChanged = true;
  }
  while (added.length > 0) {
    const { addressType, ports } = group;
    plan.create.push({ addressType, ports, endpoints: added.splice(0, maxPerSlice) });
  }
  for (const { slice, endpoints, isChanged } of states) {
    if (endpoints.length === 0) plan.delete.push(slice);
    else if (isChanged) plan.update.push({ slice, endpoints });
  }
}

function groupKey({ addressType, ports }: DeepReadonly<Pick<EndpointSlice, "addressType" | "ports">>): string {
  const texts = (ports ?? []).map(
    ({ name = "", port = "", protocol = "TCP", appProtocol = "" }) => `${name}/${port}/${protocol}/${appProtocol}`,
  );
  return `${addressType} ${texts.sort().join(",")}`;
}

/** What makes an endpoint the same one, changed: its Pod, or its addresses when it has none. */
function endpointKey({ targetRef, addresses }: DeepReadonly<Endpoint>): string {
  return targetRef?.uid ? `${targetRef.uid} ${addresses[0]}` : addresses.join(",");
}

function isNone(list: readonly unknown[] | null | undefined): boolean {
  return !list || list.length === 0;
}
