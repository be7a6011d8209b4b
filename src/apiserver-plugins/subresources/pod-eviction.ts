/** `pods/eviction`: deletes a pod unless a PodDisruptionBudget forbids it just now (KEP-85). */
import type { Pod } from "../../api/core/v1.ts";
import type { DeepReadonly, KubeObject } from "../../api/object.ts";
import type { Eviction, PodDisruptionBudget } from "../../api/policy/v1.ts";
import { PodDisruptionBudgets, Pods } from "../../api/resources.ts";
import { labelSelectorMatcher } from "../../apimachinery/selectors.ts";
import { badRequestError, StatusError } from "../../apimachinery/status-error.ts";
import { defaultDeleteOptions, deleteOptionsOf, writeOptionsOf } from "../../apiserver/request-options.ts";
import type { ObjectSubresource, SubresourceRequest } from "../../apiserver/subresource-handler.ts";
import { rfc3339 } from "../../base/clock.ts";
import { standingObject, success } from "./standing-object.ts";

export const podEviction: ObjectSubresource = {
  kind: "object",
  olderVersions: ["v1beta1"],
  async handle(request, body) {
    // Decoded as the subresource's kind.
    const eviction = body as unknown as Eviction | undefined;
    if (eviction?.metadata?.name !== request.name)
      throw badRequestError("name in URL does not match name in Eviction object");
    const pod = await standingObject(request.objects, Pods, request.namespace, request.name);
    const { dryRun: isTrial } = writeOptionsOf(request.query, "CreateOptions");
    const options = deleteOptionsOf({}, eviction.deleteOptions as Record<string, unknown> | undefined);
    const { gracePeriodSeconds, preconditions, propagationPolicy } = options;
    const dryRun = isTrial || options.dryRun;
    if (needsBudget(pod)) await takeFromBudget(request, pod, dryRun);
    const isOther = preconditions?.uid !== undefined && preconditions.uid !== pod.metadata.uid;
    const isOlder = preconditions?.resourceVersion && preconditions.resourceVersion !== pod.metadata.resourceVersion;
    // What the caller does not mean is left to the deletion to refuse.
    const isMeant = !isOther && !isOlder;
    if (isMeant && !dryRun) await announce(request);
    // The announcement has made the version that the caller knows an old one.
    const { resourceVersion: _known, ...stillWanted } = preconditions ?? {};
    const conditional = isMeant ? stillWanted : preconditions!;
    await request.objects.delete(request.context, request.resource, request.namespace, request.name, {
      ...defaultDeleteOptions,
      dryRun,
      ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }),
      ...(preconditions === undefined ? {} : { preconditions: conditional }),
      ...(propagationPolicy === undefined ? {} : { propagationPolicy }),
    });
    return success(201);
  },
};

/** Says in the pod's status why it goes: what ends for that reason is not its own failure. */
async function announce({ objects, context, resource, namespace, name }: SubresourceRequest): Promise<void> {
  await objects.update(context, {
    resource,
    namespace,
    name,
    subresource: "status",
    dryRun: false,
    unconditional: true,
    admitted: true,
    transform: (previous) => {
      const pod = structuredClone(previous) as unknown as Pod;
      const type = "DisruptionTarget";
      const present = pod.status.conditions?.find((condition) => condition.type === type);
      const now = rfc3339(objects.services.clock.now());
      const lastTransitionTime = present?.status === "True" ? (present.lastTransitionTime ?? now) : now;
      const announced = { reason: "EvictionByEvictionAPI", message: "Eviction API: evicting", lastTransitionTime };
      const others = pod.status.conditions?.filter((condition) => condition.type !== type) ?? [];
      pod.status.conditions = [...others, { type, status: "True", ...announced }];
      return pod as unknown as KubeObject;
    },
  });
}

/** A pod that has ended, has not begun, or is going already takes nothing from anybody's budget. */
function needsBudget(pod: DeepReadonly<Pod>): boolean {
  const { phase } = pod.status;
  return phase !== "Succeeded" && phase !== "Failed" && phase !== "Pending" && !pod.metadata.deletionTimestamp;
}

async function takeFromBudget(request: SubresourceRequest, pod: DeepReadonly<Pod>, dryRun: boolean): Promise<void> {
  const budgets = await budgetsOf(request, pod);
  if (budgets.length === 0) return;
  if (budgets.length > 1) {
    throw new StatusError(
      500,
      "InternalError",
      "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
    );
  }
  const [
    {
      metadata: { name },
    },
  ] = budgets as [DeepReadonly<PodDisruptionBudget>];
  const { registry, clock } = request.objects.services;
  const resource = registry.find(
    PodDisruptionBudgets.group,
    PodDisruptionBudgets.version,
    PodDisruptionBudgets.plural,
  )!;
  await request.objects.update(request.context, {
    resource,
    namespace: request.namespace,
    name,
    subresource: "status",
    dryRun,
    unconditional: true,
    // What stands is shared and frozen, and an update writes into what it is given.
    transform: (previous) =>
      afterDisruption(structuredClone(previous) as PodDisruptionBudget, pod, clock.now()) as unknown as KubeObject,
  });
}

async function budgetsOf(
  { objects, namespace }: SubresourceRequest,
  pod: DeepReadonly<Pod>,
): Promise<DeepReadonly<PodDisruptionBudget>[]> {
  const { group, version, plural } = PodDisruptionBudgets;
  const served = objects.services.registry.find(group, version, plural);
  if (!served) return [];
  const { entries } = await served.cache.list({ keyPrefix: served.keyPrefix(namespace) });
  return entries
    .map((entry) => served.fromStored(entry.object) as unknown as DeepReadonly<PodDisruptionBudget>)
    .filter(({ spec }) =>
      labelSelectorMatcher(spec.selector as PodDisruptionBudget["spec"]["selector"]).matches(pod.metadata.labels ?? {}),
    );
}

/** The budget with one disruption less to give, or the 429 that says why there is none. */
function afterDisruption(budget: PodDisruptionBudget, pod: DeepReadonly<Pod>, nowMs: number): PodDisruptionBudget {
  const { status, metadata, spec } = budget;
  if ((status.observedGeneration ?? 0) < (metadata.generation ?? 0)) {
    throw tooManyRequests(`The disruption budget ${metadata.name} is still being processed by the server.`, 10);
  }
  const isReady = pod.status.conditions?.some(({ type, status: value }) => type === "Ready" && value === "True");
  const mayGoUnready =
    spec.unhealthyPodEvictionPolicy === "AlwaysAllow" || (status.currentHealthy ?? 0) >= (status.desiredHealthy ?? 0);
  if (!isReady && mayGoUnready && (status.desiredHealthy ?? 0) > 0) return budget;
  if ((status.disruptionsAllowed ?? 0) <= 0) {
    throw tooManyRequests(
      `The disruption budget ${metadata.name} needs ${status.desiredHealthy ?? 0} healthy pods and has ${status.currentHealthy ?? 0} currently`,
    );
  }
  return {
    ...budget,
    status: {
      ...status,
      disruptionsAllowed: (status.disruptionsAllowed ?? 0) - 1,
      disruptedPods: { ...status.disruptedPods, [pod.metadata.name]: rfc3339(nowMs) },
    },
  };
}

function tooManyRequests(cause: string, retryAfterSeconds?: number): StatusError {
  return new StatusError(429, "TooManyRequests", "Cannot evict pod as it would violate the pod's disruption budget.", {
    causes: [{ reason: "DisruptionBudget", message: cause }],
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
  });
}
