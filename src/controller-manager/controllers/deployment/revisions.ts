/** The annotations by which a Deployment and its ReplicaSets keep count of revisions and of the size they were scaled for. */
import type { Deployment, ReplicaSet } from "../../../api/apps/v1.ts";
import type { DeepReadonly } from "../../../api/object.ts";

export const revisionAnnotation = "deployment.kubernetes.io/revision";
const revisionHistoryAnnotation = "deployment.kubernetes.io/revision-history";
export const desiredReplicasAnnotation = "deployment.kubernetes.io/desired-replicas";
export const maxReplicasAnnotation = "deployment.kubernetes.io/max-replicas";

/** Not passed on from a Deployment to its ReplicaSets. */
const notCopied = new Set([
  "kubectl.kubernetes.io/last-applied-configuration",
  revisionAnnotation,
  revisionHistoryAnnotation,
  desiredReplicasAnnotation,
  maxReplicasAnnotation,
  "deprecated.deployment.rollback.to",
]);

type Annotations = Readonly<Record<string, string>>;

export function revisionOf(object: DeepReadonly<ReplicaSet> | DeepReadonly<Deployment>): number {
  const revision = Number(object.metadata.annotations?.[revisionAnnotation] ?? 0);
  return Number.isSafeInteger(revision) ? revision : 0;
}

/** An annotation that counts something; undefined when absent or malformed. */
export function countAnnotation(object: DeepReadonly<ReplicaSet>, name: string): number | undefined {
  const text = object.metadata.annotations?.[name];
  if (text === undefined || !/^-?[0-9]+$/.test(text)) return undefined;
  return Number(text);
}

/**
 * The annotations a ReplicaSet of this revision carries. A ReplicaSet that is used again (a rollback) remembers the
 * revisions it had before; its revision never goes backwards.
 */
export function replicaSetAnnotations(
  deployment: DeepReadonly<Deployment>,
  replicaSet: { annotations?: Annotations; exists: boolean },
  revision: number,
  maxReplicas: number,
): Record<string, string> {
  const result: Record<string, string> = { ...replicaSet.annotations };
  for (const [key, value] of Object.entries(deployment.metadata.annotations ?? {})) {
    if (!notCopied.has(key)) result[key] = value;
  }
  const oldRevision = result[revisionAnnotation];
  const old = Number(oldRevision ?? 0);
  if (old < revision) {
    result[revisionAnnotation] = String(revision);
    if (replicaSet.exists && oldRevision) {
      const history = result[revisionHistoryAnnotation];
      const revisions = history ? history.split(",") : [];
      if (!revisions.includes(oldRevision)) {
        revisions.push(oldRevision);
        result[revisionHistoryAnnotation] = revisions.join(",");
      }
    }
  }
  if (!replicaSet.exists) Object.assign(result, sizeAnnotations(deployment, maxReplicas));
  return result;
}

export function sizeAnnotations(deployment: DeepReadonly<Deployment>, maxReplicas: number): Record<string, string> {
  return {
    [desiredReplicasAnnotation]: String(deployment.spec.replicas ?? 1),
    [maxReplicasAnnotation]: String(maxReplicas),
  };
}
