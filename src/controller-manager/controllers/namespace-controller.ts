/** Empties Namespaces that are being deleted, and lets them go when nothing is left. */
import type { Namespace, NamespaceCondition, Pod } from "../../api/core/v1.ts";
import type { DeepReadonly, KubeObject } from "../../api/object.ts";
import type { Resource } from "../../api/resource.ts";
import { Namespaces, Pods } from "../../api/resources.ts";
import { isConflict, isNotFound } from "../../apimachinery/status-error.ts";
import { rfc3339 } from "../../base/clock.ts";
import { type Client, refOf } from "../../client/client.ts";
import { objectKey } from "../../controller-runtime/cache.ts";
import {
  type ControllerDefinition,
  defineController,
  type Reconcile,
  statusOf,
  wake,
} from "../../controller-runtime/controller.ts";
import { messageOf } from "../pod-control.ts";
import { can, type Discover, type ServedResource, type ServedResources } from "../served-resources.ts";

/** Looking again at what finalizers hold back, which no event tells us about. */
const firstRetryMs = 250;
const maximumRetryMs = 15_000;

export function namespaceController(discover: Discover): ControllerDefinition {
  /** Looks taken at a Namespace that would not go, by uid: the next waits longer. */
  const attempts = new Map<string, number>();
  return defineController<Namespace>({
    name: "namespace-controller",
    reconciles: Namespaces,
    when: ({ type, object }) => type === "DELETED" || object.metadata.deletionTimestamp !== undefined,
    wakesOn: [
      // Pods are what takes time to go: the last one to leave a terminating Namespace wakes us at once.
      wake<Pod>({
        resource: Pods,
        when: ({ type }) => type === "DELETED",
        *keys({ metadata }, cache) {
          const namespace = cache.get(Namespaces, objectKey(metadata.namespace));
          if (!namespace?.metadata.deletionTimestamp) return;
          if (cache.countByIndex(Pods, "namespace", metadata.namespace) === 0) yield objectKey(metadata.namespace);
        },
      }),
    ],
    writes: [statusOf(Namespaces)],
    async reconcile(context) {
      const namespace = context.cache.get(Namespaces, context.key);
      if (!namespace?.metadata.deletionTimestamp) return;
      if (!namespace.spec?.finalizers?.length) return;
      const { uid } = namespace.metadata;
      const isEmpty = await empty(context, namespace, discover);
      if (isEmpty) {
        attempts.delete(uid);
        return;
      }
      const attempt = attempts.get(uid) ?? 0;
      attempts.set(uid, attempt + 1);
      return { afterMs: Math.min(maximumRetryMs, firstRetryMs * 2 ** attempt) };
    },
  });
}

/** Deletes what the Namespace holds, says what is left, and finalizes it when nothing is. Returns whether it was let go. */
async function empty(context: Reconcile, namespace: DeepReadonly<Namespace>, discover: Discover): Promise<boolean> {
  const { api, clock } = context;
  const served = await discover();
  const name = namespace.metadata.name;
  const deletable = served.resources.filter(
    (candidate) => candidate.resource.scope === "Namespaced" && can(candidate, "list", "delete"),
  );

  // Pods go first: what they still use (their ConfigMaps, NetworkPolicies, volumes) stays until they have gone.
  // What would replace them goes just before them.
  const leftovers: Leftover[] = [];
  const deleteThose = async (stage: number) => {
    const those = deletable.filter(({ resource }) => stageOf(resource) === stage);
    const left = await Promise.all(those.map((resource) => deleteAll(api, resource, name)));
    leftovers.push(...left);
    return left.every(({ items, error }) => items.length === 0 && !error);
  };
  await deleteThose(0);
  await deleteThose(1);
  if (await deleteThose(2)) await deleteThose(3);

  const isEmpty =
    served.failures.length === 0 && leftovers.every(({ items, error }) => items.length === 0 && error === undefined);
  const conditions = deletionConditions(namespace.status?.conditions ?? [], leftovers, served, clock.now());
  let current = namespace;
  try {
    const isUnchanged = conditions === namespace.status?.conditions && namespace.status?.phase === "Terminating";
    // An empty Namespace is about to be gone: what its conditions would say has no reader.
    if (!isUnchanged && !isEmpty) {
      current = await api.updateStatus(Namespaces, { ...namespace, status: { phase: "Terminating", conditions } });
    }
    if (!isEmpty) return false;
    const finalizers = current.spec?.finalizers?.filter((finalizer) => finalizer !== "kubernetes") ?? [];
    await api.updateSubresource(Namespaces, { name }, "finalize", {
      ...current,
      spec: { ...current.spec, finalizers },
    });
    return true;
  } catch (error) {
    if (isNotFound(error)) return true;
    if (isConflict(error)) return false;
    throw error;
  }
}

/** Owners of Pods, those whom these own, Pods, everything else. */
const stages = [
  ["deployments.apps", "cronjobs.batch"],
  ["replicasets.apps", "statefulsets.apps", "daemonsets.apps", "jobs.batch", "replicationcontrollers."],
  ["pods."],
];

function stageOf({ plural, group }: Resource): number {
  const stage = stages.findIndex((names) => names.includes(`${plural}.${group}`));
  return stage < 0 ? stages.length : stage;
}

interface Leftover {
  served: ServedResource;
  items: readonly DeepReadonly<KubeObject>[];
  error?: unknown;
}

async function deleteAll(api: Client, served: ServedResource, namespace: string): Promise<Leftover> {
  const { resource } = served;
  try {
    const before = await api.list(resource, { namespace });
    if (before.items.length === 0) return { served, items: [] };
    const propagationPolicy = "Background";
    if (can(served, "deletecollection")) await api.deleteCollection(resource, { namespace }, { propagationPolicy });
    else {
      for (const item of before.items) {
        await api.delete(resource, refOf(item), { propagationPolicy }).catch(ignoreNotFound);
      }
    }
    const { items } = await api.list(resource, { namespace });
    // Pods take their grace period, and finalizers what they take; whatever else is still there should not be.
    const isExpected = resource.plural === "pods" || items.some(({ metadata }) => metadata.finalizers?.length);
    if (items.length === 0 || isExpected) return { served, items };
    const { group, version, plural } = resource;
    const error = `unexpected items still remain in namespace: ${namespace} for gvr: ${group}/${version}, Resource=${plural}`;
    return { served, items, error: new Error(error) };
  } catch (error) {
    // The resource itself went away: so did what it held.
    return isNotFound(error) ? { served, items: [] } : { served, items: [], error };
  }
}

function ignoreNotFound(error: unknown): void {
  if (!isNotFound(error)) throw error;
}

type Conditions = readonly DeepReadonly<NamespaceCondition>[];

/** The conditions by which users see why a Namespace stays. The same array when nothing changed. */
export function deletionConditions(
  present: Conditions,
  leftovers: readonly Leftover[],
  { failures }: Pick<ServedResources, "failures">,
  nowMs: number,
): Conditions {
  const errors = leftovers.filter(({ error }) => error !== undefined).map(({ error }) => messageOf(error));
  const problems = errors.length > 1 ? `[${errors.join(", ")}]` : errors[0];
  const remaining = leftovers
    .filter(({ items }) => items.length > 0)
    .map(
      ({ served: { resource }, items }) =>
        `${resource.plural}.${resource.group} has ${items.length} resource instances`,
    )
    .sort();
  const finalizers = new Map<string, number>();
  for (const { items } of leftovers) {
    for (const item of items) {
      for (const finalizer of item.metadata.finalizers ?? [])
        finalizers.set(finalizer, (finalizers.get(finalizer) ?? 0) + 1);
    }
  }
  const holding = [...finalizers].sort().map(([name, count]) => `${name} in ${count} resource instances`);
  const wanted = [
    failures.length > 0
      ? {
          type: "NamespaceDeletionDiscoveryFailure",
          status: "True",
          reason: "DiscoveryFailed",
          message: `Discovery failed for some groups, ${failures.length} failing: unable to retrieve the complete list of server APIs: ${failures.map(({ groupVersion, message }) => `${groupVersion}: ${message}`).join(", ")}`,
        }
      : {
          type: "NamespaceDeletionDiscoveryFailure",
          status: "False",
          reason: "ResourcesDiscovered",
          message: "All resources successfully discovered",
        },
    {
      type: "NamespaceDeletionGroupVersionParsingFailure",
      status: "False",
      reason: "ParsedGroupVersions",
      message: "All legacy kube types successfully parsed",
    },
    errors.length > 0
      ? {
          type: "NamespaceDeletionContentFailure",
          status: "True",
          reason: "ContentDeletionFailed",
          message: `Failed to delete all resource types, ${errors.length} remaining: ${problems}`,
        }
      : {
          type: "NamespaceDeletionContentFailure",
          status: "False",
          reason: "ContentDeleted",
          message: "All content successfully deleted, may be waiting on finalization",
        },
    remaining.length > 0
      ? {
          type: "NamespaceContentRemaining",
          status: "True",
          reason: "SomeResourcesRemain",
          message: `Some resources are remaining: ${remaining.join(", ")}`,
        }
      : {
          type: "NamespaceContentRemaining",
          status: "False",
          reason: "ContentRemoved",
          message: "All content successfully removed",
        },
    holding.length > 0
      ? {
          type: "NamespaceFinalizersRemaining",
          status: "True",
          reason: "SomeFinalizersRemain",
          message: `Some content in the namespace has finalizers remaining: ${holding.join(", ")}`,
        }
      : {
          type: "NamespaceFinalizersRemaining",
          status: "False",
          reason: "ContentHasNoFinalizers",
          message: "All content-preserving finalizers finished",
        },
  ];
  const types = new Set(wanted.map(({ type }) => type));
  let isChanged = false;
  const merged = wanted.map((condition) => {
    const old = present.find(({ type }) => type === condition.type);
    if (
      old &&
      old.status === condition.status &&
      old.reason === condition.reason &&
      old.message === condition.message
    ) {
      return old;
    }
    isChanged = true;
    const lastTransitionTime = old?.status === condition.status ? old.lastTransitionTime : undefined;
    return { ...condition, lastTransitionTime: lastTransitionTime ?? rfc3339(nowMs) };
  });
  return isChanged ? [...present.filter(({ type }) => !types.has(type)), ...merged] : present;
}
