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

/** 64 bits, as any client may have written it; 0 where there is none. */
export function revisionOf(object: DeepReadonly<ReplicaSet> | DeepReadonly<Deployment>): bigint {
  return parseRevision(object.metadata.annotations?.[revisionAnnotation]);
}

export function compareRevisions(a: DeepReadonly<ReplicaSet>, b: DeepReadonly<ReplicaSet>): number {
  const [left, right] = [revisionOf(a), revisionOf(b)];
  return left < right ? -1 : Number(left > right);
}

function parseRevision(text: string | undefined): bigint {
  return text !== undefined && /^[+-]?[0-9]{1,19}$/.test(text) ? BigInt.asIntN(64, BigInt(text)) : 0n;
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
  revision: bigint,
  maxReplicas: number,
): Record<string, string> {
  const result: Record<string, string> = { ...replicaSet.annotations };
  for (const [key, value] of Object.entries(deployment.metadata.annotations ?? {})) {
    if (!notCopied.has(key)) result[key] = value;
  }
  const oldRevision = result[revisionAnnotation];
  if (parseRevision(oldRevision) < revision) {
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
