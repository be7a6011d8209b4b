/** Which devices a Node reaches, by the pools that drivers publish in ResourceSlices. Pure. */
import type { DeepReadonly } from "../../api/object.ts";
import type { CounterSet, Device, DeviceClass, ResourceClaim, ResourceSlice } from "../../api/resource/v1.ts";
import { matchesNodeSelector, type NodeIdentity } from "../../controller-runtime/node-matching.ts";

export type ReadSlice = DeepReadonly<ResourceSlice>;
export type ReadDevice = DeepReadonly<Device>;
export type ReadClaim = DeepReadonly<ResourceClaim>;
export type ReadClass = DeepReadonly<DeviceClass>;

/** `driver/pool/device`. */
export type DeviceId = string & { readonly __brand: "DeviceId" };

export function deviceId(driver: string, pool: string, device: string): DeviceId {
  return `${driver}/${pool}/${device}` as DeviceId;
}

/** The newest generation of one driver's pool, whatever Nodes it is for. */
export interface PublishedPool {
  driver: string;
  name: string;
  slices: readonly ReadSlice[];
  counterSets: readonly DeepReadonly<CounterSet>[];
  /** Slices are missing: the driver is writing them. */
  isIncomplete: boolean;
  /** What is wrong with it; nothing is given from such a pool. */
  fault: string | undefined;
}

export interface Candidate {
  id: DeviceId;
  driver: string;
  device: ReadDevice;
  slice: ReadSlice;
  pool: PublishedPool;
}

/** A pool as one Node sees it. */
export interface NodePool {
  pool: PublishedPool;
  candidates: readonly Candidate[];
}

/** Sorted by driver and name. Slices of older generations do not count. */
export function publishedPools(slices: readonly ReadSlice[]): PublishedPool[] {
  const byId = new Map<string, ReadSlice[]>();
  for (const slice of slices) {
    const { driver, pool } = slice.spec;
    const id = `${driver}/${pool.name}`;
    const known = byId.get(id);
    const generation = known?.[0]?.spec.pool.generation ?? -1;
    if (!known || pool.generation > generation) byId.set(id, [slice]);
    else if (pool.generation === generation) known.push(slice);
  }
  return [...byId.keys()].sort().map((id) => {
    const own = byId.get(id)!.toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
    const { driver, pool } = own[0]!.spec;
    const counterSets = own.flatMap(({ spec }) => spec.sharedCounters ?? []);
    return {
      driver,
      name: pool.name,
      slices: own,
      counterSets,
      isIncomplete: own.length !== pool.resourceSliceCount,
      fault: faultOf(own, counterSets),
    };
  });
}

function faultOf(slices: readonly ReadSlice[], counterSets: readonly DeepReadonly<CounterSet>[]): string | undefined {
  const devices = new Set<string>();
  const sets = new Set<string>();
  for (const { name } of counterSets) {
    if (sets.has(name)) return `duplicate counter set name ${name}`;
    sets.add(name);
  }
  for (const { spec } of slices) {
    for (const { name } of spec.devices ?? []) {
      if (devices.has(name)) return `duplicate device name ${name}`;
      devices.add(name);
    }
  }
  return undefined;
}

/** The pools that have something for the Node. What must be made ready before a Pod is bound stands last, in its pool and among pools. */
export function poolsOn(node: NodeIdentity, pools: readonly PublishedPool[]): NodePool[] {
  const found: NodePool[] = [];
  for (const pool of pools) {
    const candidates: Candidate[] = [];
    for (const slice of pool.slices) {
      const { driver, perDeviceNodeSelection } = slice.spec;
      if (!perDeviceNodeSelection && !reaches(slice.spec, node)) continue;
      for (const device of slice.spec.devices ?? []) {
        if (perDeviceNodeSelection && !reaches(device, node)) continue;
        candidates.push({ id: deviceId(driver, pool.name, device.name), driver, device, slice, pool });
      }
    }
    candidates.sort((a, b) => Number(mustBePrepared(a)) - Number(mustBePrepared(b)));
    if (candidates.length > 0) found.push({ pool, candidates });
  }
  return found.sort((a, b) => Number(mustBePrepared(a.candidates[0]!)) - Number(mustBePrepared(b.candidates[0]!)));
}

function mustBePrepared({ device }: Candidate): boolean {
  return (device.bindingConditions?.length ?? 0) > 0;
}

type Place = Pick<ReadDevice, "nodeName" | "nodeSelector" | "allNodes">;

function reaches({ nodeName, nodeSelector, allNodes }: Place, node: NodeIdentity): boolean {
  if (nodeName) return nodeName === node.name;
  if (allNodes) return true;
  return nodeSelector ? matchesNodeSelector(nodeSelector, node) : false;
}

/** Where a device may be used from. */
export function placeOf({ slice, device }: Candidate): Place {
  return slice.spec.perDeviceNodeSelection ? device : slice.spec;
}
