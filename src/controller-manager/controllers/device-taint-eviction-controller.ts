/** Deletes Pods that have a device with a NoExecute taint which their claim does not tolerate, or no longer does. */
import type { Pod } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import type {
  DeviceRequestAllocationResult,
  DeviceTaint,
  ResourceClaim,
  ResourceSlice,
} from "../../api/resource/v1.ts";
import { Pods, ResourceClaims, ResourceSlices } from "../../api/resources.ts";
import { semanticEqual } from "../../apimachinery/semantic-equal.ts";
import { isNotFound } from "../../apimachinery/status-error.ts";
import { rfc3339 } from "../../base/clock.ts";
import { refOf } from "../../client/client.ts";
import { type ObjectKey, objectKey, type ReadCache } from "../../controller-runtime/cache.ts";
import { type ControllerDefinition, defineController, index, wake } from "../../controller-runtime/controller.ts";
import { claimNamesOf, isReservedFor, toleratesDeviceTaint } from "../../controller-runtime/pod-resource-claims.ts";

type ReadTaint = DeepReadonly<DeviceTaint>;
type Given = DeepReadonly<DeviceRequestAllocationResult>;

const poolIndex = "devicePool";
const usersIndex = "devicePoolUsers";

export function deviceTaintEvictionController(): ControllerDefinition {
  /** When a taint that carries no time was first seen, by device and taint. */
  const firstSeenMs = new Map<string, number>();
  return defineController<Pod>({
    name: "device-taint-eviction-controller",
    eventSource: "device-taint-eviction",
    reconciles: Pods,
    when: ({ type, object, previous }) =>
      type !== "DELETED" &&
      (object.spec.resourceClaims !== undefined || object.status?.extendedResourceClaimStatus !== undefined) &&
      object.spec.nodeName !== previous?.spec.nodeName,
    wakesOn: [
      wake<ResourceClaim>({
        resource: ResourceClaims,
        when: ({ type, object, previous }) =>
          type !== "DELETED" && !semanticEqual(object.status, previous?.status) && poolsOf(object).length > 0,
        keys: usersOf,
      }),
      wake<ResourceSlice>({
        resource: ResourceSlices,
        when: ({ object, previous }) => !semanticEqual(taintsIn(object), previous && taintsIn(previous)),
        *keys({ spec }, cache) {
          for (const claim of cache.byIndex(ResourceClaims, usersIndex, poolName(spec.driver, spec.pool.name)))
            yield* usersOf(claim);
        },
      }),
    ],
    indexes: [
      index<ResourceSlice>({
        resource: ResourceSlices,
        name: poolIndex,
        values: ({ spec }) => poolName(spec.driver, spec.pool.name),
      }),
      index<ResourceClaim>({ resource: ResourceClaims, name: usersIndex, values: poolsOf }),
    ],
    writes: [Pods],
    async reconcile({ key, cache, api, clock, events }) {
      const pod = cache.get(Pods, key);
      if (!pod?.spec.nodeName || pod.metadata.deletionTimestamp) return;
      if (pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed") return;
      const since = (device: Given, taint: ReadTaint): number => {
        if (taint.timeAdded) return Date.parse(taint.timeAdded);
        const id = [device.driver, device.pool, device.device, taint.key, taint.value ?? ""].join(" ");
        const seen = firstSeenMs.get(id) ?? clock.now();
        firstSeenMs.set(id, seen);
        return seen;
      };
      let dueMs: number | undefined;
      for (const name of claimNamesOf(pod)) {
        const claim = cache.get(ResourceClaims, objectKey(name, pod.metadata.namespace));
        if (!claim || !isReservedFor(pod, claim)) continue;
        for (const device of claim.status?.allocation?.devices?.results ?? []) {
          const due = evictionTime(device, taintsOf(device, cache), (taint) => since(device, taint));
          if (due !== undefined && (dueMs === undefined || due < dueMs)) dueMs = due;
        }
      }
      if (dueMs === undefined) return;
      const afterMs = dueMs - clock.now();
      if (afterMs > 0) return { afterMs };

      events.event(pod, "Normal", "DeviceTaintManagerEviction", "Marking for deletion");
      const condition = {
        type: "DisruptionTarget",
        status: "True",
        reason: "DeletionByDeviceTaintManager",
        message: "Device Taint manager: deleting due to NoExecute taint",
        lastTransitionTime: rfc3339(clock.now()),
      };
      const { uid } = pod.metadata;
      const body = { metadata: { uid }, status: { conditions: [condition] } };
      try {
        await api.patch(Pods, refOf(pod), { type: "strategic", body }, { subresource: "status" });
        await api.delete(Pods, refOf(pod), { preconditions: { uid } });
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    },
  });
}

const poolName = (driver: string, pool: string) => `${driver}/${pool}`;

function poolsOf({ status }: DeepReadonly<ResourceClaim>): string[] {
  const results = status?.allocation?.devices?.results ?? [];
  return [...new Set(results.map(({ driver, pool }) => poolName(driver, pool)))];
}

function* usersOf({ metadata, status }: DeepReadonly<ResourceClaim>): Iterable<ObjectKey> {
  for (const { apiGroup, resource, name } of status?.reservedFor ?? []) {
    if (!apiGroup && resource === "pods") yield objectKey(name, metadata.namespace);
  }
}

function taintsIn({ spec }: DeepReadonly<ResourceSlice>): unknown {
  return [
    spec.pool.generation,
    ...(spec.devices ?? []).filter(({ taints }) => taints?.length).map(({ name, taints }) => [name, taints]),
  ];
}

/** What the newest generation of the device's pool says of it. */
function taintsOf({ driver, pool, device }: Given, cache: ReadCache): readonly ReadTaint[] {
  const slices = cache.byIndex(ResourceSlices, poolIndex, poolName(driver, pool));
  const newest = slices.reduce((most, { spec }) => (spec.pool.generation > most ? spec.pool.generation : most), 0);
  for (const { spec } of slices) {
    if (spec.pool.generation !== newest) continue;
    const found = spec.devices?.find(({ name }) => name === device);
    if (found) return found.taints ?? [];
  }
  return [];
}

/** When the device's users must go, in epoch milliseconds; undefined when they may stay. */
export function evictionTime(
  { tolerations = [] }: Pick<Given, "tolerations">,
  taints: readonly ReadTaint[],
  since: (taint: ReadTaint) => number,
): number | undefined {
  let due: number | undefined;
  for (const taint of taints) {
    if (taint.effect !== "NoExecute") continue;
    const tolerating = tolerations.filter((toleration) => toleratesDeviceTaint(toleration, taint));
    if (tolerating.length === 0) return 0;
    const seconds = tolerating.flatMap(({ tolerationSeconds }) =>
      tolerationSeconds === undefined ? [] : Number(tolerationSeconds),
    );
    if (seconds.length === 0) continue;
    const at = since(taint) + Math.max(0, Math.min(...seconds)) * 1000;
    due = due === undefined ? at : Math.min(due, at);
  }
  return due;
}
