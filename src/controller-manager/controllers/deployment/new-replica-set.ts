/** Finds, revises or creates the ReplicaSet of a Deployment's present template. */
import type { DeploymentStatus, ReplicaSet } from "../../../api/apps/v1.ts";
import type { PodTemplateSpec } from "../../../api/core/v1.ts";
import type { DeepReadonly, New } from "../../../api/object.ts";
import { Deployments, ReplicaSets } from "../../../api/resources.ts";
import { semanticEqual } from "../../../apimachinery/semantic-equal.ts";
import { isAlreadyExists, isNotFound } from "../../../apimachinery/status-error.ts";
import { refOf } from "../../../client/client.ts";
import { objectKey } from "../../../controller-runtime/cache.ts";
import type { Reconcile } from "../../../controller-runtime/controller.ts";
import { controllerReferenceOf, controllerReferenceTo } from "../../ownership.ts";
import { messageOf } from "../../pod-control.ts";
import { templateHash } from "../../template-hash.ts";
import { conditionOf, hasProgressDeadline, withCondition } from "./deployment-status.ts";
import {
  byCreation,
  maximumReplicas,
  newReplicaSetSize,
  type ReadDeployment,
  type ReadReplicaSet,
  type Rollout,
} from "./plan-rollout.ts";
import { replicaSetAnnotations, revisionAnnotation, revisionOf } from "./revisions.ts";

const hashLabel = "pod-template-hash";

/** The oldest ReplicaSet with the Deployment's template: creation races may have left more than one. */
export function findNewReplicaSet(
  deployment: ReadDeployment,
  replicaSets: readonly ReadReplicaSet[],
): ReadReplicaSet | undefined {
  return byCreation(replicaSets).find(({ spec }) => isSameTemplate(spec.template, deployment.spec.template));
}

function isSameTemplate(
  a: DeepReadonly<PodTemplateSpec> | undefined,
  b: DeepReadonly<PodTemplateSpec> | undefined,
): boolean {
  if (!a || !b) return false;
  return semanticEqual(withoutHash(a), withoutHash(b));
}

function withoutHash(template: DeepReadonly<PodTemplateSpec>): DeepReadonly<PodTemplateSpec> {
  if (!template.metadata?.labels?.[hashLabel]) return template;
  const { [hashLabel]: _, ...labels } = template.metadata.labels;
  return { ...template, metadata: { ...template.metadata, labels } };
}

/**
 * Brings revision annotations up to date and, when `create` is set, creates the ReplicaSet that is missing.
 * Returns the rollout as it stands afterwards, or undefined when the Deployment vanished.
 */
export async function syncNewReplicaSet(
  context: Reconcile,
  rollout: Rollout,
  create: boolean,
): Promise<Rollout | undefined> {
  const { deployment, newReplicaSet, oldReplicaSets } = rollout;
  const revision = oldReplicaSets.map(revisionOf).reduce((max, each) => (each > max ? each : max), 0n) + 1n;
  try {
    if (newReplicaSet) return await revise(context, rollout, newReplicaSet, revision);
    return create ? await createNew(context, deployment, oldReplicaSets, revision) : rollout;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

async function revise(
  context: Reconcile,
  { deployment, oldReplicaSets }: Rollout,
  replicaSet: ReadReplicaSet,
  revision: bigint,
): Promise<Rollout> {
  const { api, clock } = context;
  const present = replicaSet.metadata.annotations;
  const annotations = replicaSetAnnotations(
    deployment,
    { ...(present ? { annotations: present } : {}), exists: true },
    revision,
    maximumReplicas(deployment),
  );
  const minReadySeconds = deployment.spec.minReadySeconds ?? 0;
  if (!semanticEqual(annotations, present) || (replicaSet.spec.minReadySeconds ?? 0) !== minReadySeconds) {
    replicaSet = await api.update(ReplicaSets, {
      ...replicaSet,
      metadata: { ...replicaSet.metadata, annotations },
      spec: { ...replicaSet.spec, minReadySeconds },
    });
  }
  deployment = await noteRevision(context, deployment, replicaSet, () =>
    // A Deployment that took over existing ReplicaSets has no condition yet.
    hasProgressDeadline(deployment) && !conditionOf(deployment.status, "Progressing")
      ? withCondition(
          deployment.status?.conditions ?? [],
          {
            type: "Progressing",
            status: "True",
            reason: "FoundNewReplicaSet",
            message: `Found new replica set "${replicaSet.metadata.name}"`,
          },
          clock.now(),
        )
      : undefined,
  );
  return { deployment, newReplicaSet: replicaSet, oldReplicaSets };
}

async function createNew(
  context: Reconcile,
  deployment: ReadDeployment,
  oldReplicaSets: readonly ReadReplicaSet[],
  revision: bigint,
): Promise<Rollout> {
  const { api, cache, clock, events } = context;
  const { namespace, name } = deployment.metadata;
  const { template, selector } = deployment.spec;
  const hash = templateHash(template, deployment.status?.collisionCount ?? 0);
  const labels = { ...template.metadata?.labels, [hashLabel]: hash };
  const size = newReplicaSetSize(deployment, oldReplicaSets, 0);
  const wanted: DeepReadonly<New<ReplicaSet>> = {
    metadata: {
      name: `${name}-${hash}`,
      namespace,
      labels,
      annotations: replicaSetAnnotations(deployment, { exists: false }, revision, maximumReplicas(deployment)),
      ownerReferences: [controllerReferenceTo(Deployments, deployment)],
    },
    spec: {
      replicas: size,
      minReadySeconds: deployment.spec.minReadySeconds ?? 0,
      selector: { ...selector, matchLabels: { ...selector.matchLabels, [hashLabel]: hash } },
      template: { ...template, metadata: { ...template.metadata, labels } },
    },
  };
  const condition = (status: string, reason: string, message: string) =>
    hasProgressDeadline(deployment)
      ? withCondition(
          deployment.status?.conditions ?? [],
          { type: "Progressing", status, reason, message },
          clock.now(),
        )
      : undefined;

  let replicaSet: ReadReplicaSet;
  try {
    // The server copies what it is given; it is not written to.
    replicaSet = await api.create(ReplicaSets, wanted as New<ReplicaSet>);
    if (size > 0) events.event(deployment, "Normal", "ScalingReplicaSet", scaledMessage(replicaSet, 0, size));
  } catch (error) {
    if (isNotFound(error)) throw error;
    if (!isAlreadyExists(error)) {
      const message = `Failed to create new replica set "${wanted.metadata.name}": ${messageOf(error)}`;
      const conditions = condition("False", "ReplicaSetCreateError", message);
      if (conditions) await updateStatus(context, deployment, { ...deployment.status, conditions });
      events.event(deployment, "Warning", "ReplicaSetCreateError", message);
      throw error;
    }
    const existing =
      cache.get(ReplicaSets, objectKey(wanted.metadata.name!, namespace)) ??
      (await api.get(ReplicaSets, { name: wanted.metadata.name!, namespace }));
    const isOurs = controllerReferenceOf(existing)?.uid === deployment.metadata.uid;
    if (!isOurs || !isSameTemplate(existing.spec.template, template)) {
      // Another template has the same hash: count, and take the next one.
      const collisionCount = (deployment.status?.collisionCount ?? 0) + 1;
      await updateStatus(context, deployment, { ...deployment.status, collisionCount });
      throw new Error(`the name ${wanted.metadata.name} is taken by a ReplicaSet of another template`);
    }
    replicaSet = existing;
  }
  deployment = await noteRevision(context, deployment, replicaSet, () =>
    condition("True", "NewReplicaSetCreated", `Created new replica set "${replicaSet.metadata.name}"`),
  );
  return { deployment, newReplicaSet: replicaSet, oldReplicaSets };
}

/**
 * Writes the new ReplicaSet's revision to the Deployment. A condition that there is to set is only put into the result:
 * the status that ends the look carries it to the API.
 */
async function noteRevision(
  { api }: Reconcile,
  deployment: ReadDeployment,
  replicaSet: ReadReplicaSet,
  conditions: () => DeepReadonly<DeploymentStatus>["conditions"] | undefined,
): Promise<ReadDeployment> {
  const revision = replicaSet.metadata.annotations?.[revisionAnnotation];
  if (revision && deployment.metadata.annotations?.[revisionAnnotation] !== revision) {
    // A Deployment that changed meanwhile is looked at anew: half of a look must not follow one spec and half another.
    const { uid, resourceVersion = "" } = deployment.metadata;
    const metadata = { uid, resourceVersion, annotations: { [revisionAnnotation]: revision } };
    deployment = await api.patch(Deployments, refOf(deployment), { type: "merge", body: { metadata } });
  }
  const changed = conditions();
  return changed ? { ...deployment, status: { ...deployment.status, conditions: changed } } : deployment;
}

async function updateStatus(
  { api }: Reconcile,
  deployment: ReadDeployment,
  status: DeepReadonly<DeploymentStatus>,
): Promise<ReadDeployment> {
  return await api.updateStatus(Deployments, { ...deployment, status });
}

export function scaledMessage(replicaSet: ReadReplicaSet, from: number, to: number): string {
  return `Scaled ${from < to ? "up" : "down"} replica set ${replicaSet.metadata.name} from ${from} to ${to}`;
}
