/** Adds up what a Namespace uses, as each ResourceQuota's status says. Admission refuses what would exceed it. */
import type { ResourceQuota } from "../../api/core/v1.ts";
import type { DeepReadonly, KubeObject } from "../../api/object.ts";
import type { Resource } from "../../api/resource.ts";
import {
  ConfigMaps,
  CronJobs,
  Deployments,
  Jobs,
  PersistentVolumeClaims,
  Pods,
  ReplicaSets,
  ReplicationControllers,
  ResourceQuotas,
  Secrets,
  Services,
  StatefulSets,
} from "../../api/resources.ts";
import { compareQuantities, Quantity } from "../../apimachinery/quantity.ts";
import { semanticEqual } from "../../apimachinery/semantic-equal.ts";
import { isNotFound } from "../../apimachinery/status-error.ts";
import type { Client } from "../../client/client.ts";
import type { ObjectKey, ReadCache } from "../../controller-runtime/cache.ts";
import {
  type ControllerDefinition,
  defineController,
  statusOf,
  type Wake,
} from "../../controller-runtime/controller.ts";
import {
  addUsage,
  claimInScopes,
  claimUsage,
  countUsage,
  isScoped,
  podInScopes,
  podUsage,
  serviceUsage,
  type Usage,
} from "../../controller-runtime/quota-usage.ts";
import { allInNamespace } from "../../controller-runtime/wakes.ts";
import { isPodTerminal } from "../pod-facts.ts";
import type { Discover } from "../served-resources.ts";

/** Counted one by one, under their plain name where they have one, and as `count/<resource>.<group>`. */
const counted: readonly Resource[] = [
  ConfigMaps,
  Secrets,
  ReplicationControllers,
  ResourceQuotas,
  Deployments,
  ReplicaSets,
  StatefulSets,
  Jobs,
  CronJobs,
];

/** Only what comes or goes matters of an object that is merely counted. */
const comesOrGoes: Wake["when"] = ({ type }) => type !== "MODIFIED";

/** How long admission may take from counting an object to its being in the cache. */
const settleMs = 200;
/** How often kinds are counted again that nobody watches for it. */
const recountMs = 30_000;

/**
 * Admission adds to `used` before an object is written, this controller takes away what is gone. It must not take away what it
 * merely does not see yet: it lowers only a quota that has stayed the same between two looks.
 */
export function resourceQuotaController(discover: Discover): ControllerDefinition {
  const lookedAt = new Map<ObjectKey, string>();
  return defineController<ResourceQuota>({
    name: "resourcequota-controller",
    reconciles: ResourceQuotas,
    wakesOn: [
      allInNamespace(
        Pods,
        ({ type, object, previous }) =>
          type !== "MODIFIED" ||
          !previous ||
          isPodTerminal(object) !== isPodTerminal(previous) ||
          !semanticEqual(object.spec.containers, previous.spec.containers),
      ),
      allInNamespace(
        Services,
        ({ type, object, previous }) => type !== "MODIFIED" || !semanticEqual(object.spec, previous?.spec),
      ),
      allInNamespace(
        PersistentVolumeClaims,
        ({ type, object, previous }) =>
          type !== "MODIFIED" ||
          !semanticEqual(object.spec, previous?.spec) ||
          !semanticEqual(object.status, previous?.status),
      ),
      ...counted
        .filter((resource) => resource !== (ResourceQuotas as Resource))
        .map((resource) => allInNamespace(resource, comesOrGoes)),
    ],
    writes: [statusOf(ResourceQuotas)],
    async reconcile({ key, cache, api, signal }) {
      const quota = cache.get(ResourceQuotas, key);
      if (!quota || quota.metadata.deletionTimestamp) {
        lookedAt.delete(key);
        return;
      }
      const isSame = lookedAt.get(key) === quota.metadata.resourceVersion;
      lookedAt.set(key, quota.metadata.resourceVersion);
      const hard = quota.spec?.hard ?? {};
      const usage = namespaceUsage(quota, cache);
      const others = Object.keys(hard).filter((name) => name.startsWith("count/") && !usage.has(name));
      if (others.length > 0) await countOthers(quota.metadata.namespace, others, usage, discover, api, signal);
      const used = Object.fromEntries(
        Object.entries(hard).map(([name, limit]) => [
          name,
          (usage.get(name) ?? new Quantity(0n, Quantity.parse(limit).format)).toString(),
        ]),
      );
      const again = others.length > 0 ? { afterMs: recountMs } : undefined;
      const status = { hard, used };
      if (semanticEqual(status, quota.status)) return again;
      const before = quota.status?.used ?? {};
      const isLower = Object.keys(used).some(
        (name) => before[name] !== undefined && compareQuantities(used[name]!, before[name]) < 0,
      );
      if (isLower && !isSame) return { afterMs: settleMs };
      try {
        const written = await api.updateStatus(ResourceQuotas, { ...quota, status });
        lookedAt.set(key, written.metadata.resourceVersion);
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
      return again;
    },
  });
}

/** Kinds that are counted for a quota that names them, and else are of no interest here. */
async function countOthers(
  namespace: string,
  names: readonly string[],
  usage: Usage,
  discover: Discover,
  api: Client,
  signal: AbortSignal,
): Promise<void> {
  const { resources } = await discover();
  for (const name of names) {
    const found = resources.find(({ resource }) => countUsage(resource).has(name));
    if (!found) continue;
    const { items, metadata } = await api.list(found.resource, { namespace, limit: 1, signal });
    usage.set(name, Quantity.ofUnits(items.length + (metadata.remainingItemCount ?? 0)));
  }
}

function namespaceUsage(quota: DeepReadonly<ResourceQuota>, cache: ReadCache): Usage {
  const { namespace } = quota.metadata;
  const usage: Usage = new Map();
  for (const pod of cache.list(Pods, namespace)) if (podInScopes(quota, pod)) addUsage(usage, podUsage(pod));
  for (const claim of cache.list(PersistentVolumeClaims, namespace)) {
    if (claimInScopes(quota, claim)) addUsage(usage, claimUsage(claim));
  }
  if (isScoped(quota)) return usage;
  for (const service of cache.list(Services, namespace)) addUsage(usage, serviceUsage(service));
  for (const resource of counted) {
    const { length } = cache.list<KubeObject>(resource, namespace);
    addUsage(usage, countUsage(resource, Quantity.ofUnits(length)));
  }
  return usage;
}
