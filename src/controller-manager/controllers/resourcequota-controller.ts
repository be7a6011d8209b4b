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
import { Quantity } from "../../apimachinery/quantity.ts";
import { semanticEqual } from "../../apimachinery/semantic-equal.ts";
import { isNotFound } from "../../apimachinery/status-error.ts";
import type { ReadCache } from "../../controller-runtime/cache.ts";
import { defineController, statusOf, type Wake } from "../../controller-runtime/controller.ts";
import { allInNamespace } from "../../controller-runtime/wakes.ts";
import { isPodTerminal } from "../pod-facts.ts";
import { addUsage, claimUsage, podInScopes, podUsage, serviceUsage, type Usage } from "./resourcequota/quota-usage.ts";

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
const plainNames = new Set(["configmaps", "secrets", "replicationcontrollers", "resourcequotas"]);

/** Only what comes or goes matters of an object that is merely counted. */
const comesOrGoes: Wake["when"] = ({ type }) => type !== "MODIFIED";

export const resourceQuotaController = defineController<ResourceQuota>({
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
    allInNamespace(Services, ({ object, previous }) => !semanticEqual(object.spec, previous?.spec)),
    allInNamespace(PersistentVolumeClaims, ({ object, previous }) => !semanticEqual(object.spec, previous?.spec)),
    ...counted
      .filter((resource) => resource !== (ResourceQuotas as Resource))
      .map((resource) => allInNamespace(resource, comesOrGoes)),
  ],
  writes: [statusOf(ResourceQuotas)],
  async reconcile({ key, cache, api }) {
    const quota = cache.get(ResourceQuotas, key);
    if (!quota || quota.metadata.deletionTimestamp) return;
    const hard = quota.spec?.hard ?? {};
    const usage = namespaceUsage(quota, cache);
    const used = Object.fromEntries(
      Object.entries(hard).map(([name, limit]) => [
        name,
        (usage.get(name) ?? new Quantity(0n, Quantity.parse(limit).format)).toString(),
      ]),
    );
    const status = { hard, used };
    if (semanticEqual(status, quota.status)) return;
    try {
      await api.updateStatus(ResourceQuotas, { ...quota, status });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  },
});

function namespaceUsage(quota: DeepReadonly<ResourceQuota>, cache: ReadCache): Usage {
  const { namespace } = quota.metadata;
  const usage: Usage = new Map();
  for (const pod of cache.list(Pods, namespace)) if (podInScopes(quota, pod)) addUsage(usage, podUsage(pod));
  for (const service of cache.list(Services, namespace)) addUsage(usage, serviceUsage(service));
  for (const claim of cache.list(PersistentVolumeClaims, namespace)) addUsage(usage, claimUsage(claim));
  for (const resource of counted) {
    const { length } = cache.list<KubeObject>(resource, namespace);
    const count = Quantity.ofUnits(length);
    const { plural, group } = resource;
    usage.set(`count/${group ? `${plural}.${group}` : plural}`, count);
    if (plainNames.has(plural)) usage.set(plural, count);
  }
  return usage;
}
