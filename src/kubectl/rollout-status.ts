/** How far a rollout is, in the words of `kubectl rollout status`. Pure. */
import type { Unstructured } from "./api.ts";
import { CommandError } from "./command-error.ts";

interface Condition {
  type: string;
  reason?: string;
}

export function rolloutStatus(kind: string, object: Unstructured, revision: number): { text: string; isDone: boolean } {
  switch (kind) {
    case "Deployment":
      return deploymentStatus(object, revision);
    case "DaemonSet":
      return daemonSetStatus(object);
    case "StatefulSet":
      return statefulSetStatus(object);
    default:
      throw new CommandError(`no status viewer has been implemented for ${kind}`);
  }
}

const waiting = (text: string) => ({ text: `${text}\n`, isDone: false });
const done = (text: string) => ({ text: `${text}\n`, isDone: true });

function deploymentStatus({ metadata, ...object }: Unstructured, revision: number) {
  const spec = object["spec"] as { replicas?: number };
  const status = (object["status"] ?? {}) as Record<string, number | undefined> & { conditions?: Condition[] };
  const { name } = metadata;
  if (revision > 0) {
    const current = Number(metadata.annotations?.["deployment.kubernetes.io/revision"] ?? 0);
    if (current !== revision) {
      throw new CommandError(`desired revision (${revision}) is different from the running revision (${current})`);
    }
  }
  if ((metadata["generation"] as number) > (status["observedGeneration"] ?? 0)) {
    return waiting("Waiting for deployment spec update to be observed...");
  }
  const progressing = (status.conditions as Condition[] | undefined)?.find(({ type }) => type === "Progressing");
  if (progressing?.reason === "ProgressDeadlineExceeded") {
    throw new CommandError(`deployment ${JSON.stringify(name)} exceeded its progress deadline`);
  }
  const wanted = spec.replicas ?? 1;
  const { updatedReplicas = 0, replicas = 0, availableReplicas = 0 } = status as Record<string, number>;
  const head = `Waiting for deployment ${JSON.stringify(name)} rollout to finish:`;
  if (updatedReplicas < wanted)
    return waiting(`${head} ${updatedReplicas} out of ${wanted} new replicas have been updated...`);
  if (replicas > updatedReplicas)
    return waiting(`${head} ${replicas - updatedReplicas} old replicas are pending termination...`);
  if (availableReplicas < updatedReplicas) {
    return waiting(`${head} ${availableReplicas} of ${updatedReplicas} updated replicas are available...`);
  }
  return done(`deployment ${JSON.stringify(name)} successfully rolled out`);
}

function daemonSetStatus({ metadata, ...object }: Unstructured) {
  const status = (object["status"] ?? {}) as Record<string, number>;
  const { name } = metadata;
  if ((object["spec"] as { updateStrategy?: { type?: string } }).updateStrategy?.type === "OnDelete") {
    throw new CommandError("rollout status is only available for RollingUpdate strategy type");
  }
  if ((metadata["generation"] as number) > (status["observedGeneration"] ?? 0)) {
    return waiting("Waiting for daemon set spec update to be observed...");
  }
  const { desiredNumberScheduled: wanted = 0, updatedNumberScheduled = 0, numberAvailable = 0 } = status;
  const head = `Waiting for daemon set ${JSON.stringify(name)} rollout to finish:`;
  if (updatedNumberScheduled < wanted) {
    return waiting(`${head} ${updatedNumberScheduled} out of ${wanted} new pods have been updated...`);
  }
  if (numberAvailable < wanted) return waiting(`${head} ${numberAvailable} of ${wanted} updated pods are available...`);
  return done(`daemon set ${JSON.stringify(name)} successfully rolled out`);
}

function statefulSetStatus({ metadata, ...object }: Unstructured) {
  const spec = object["spec"] as {
    replicas?: number;
    updateStrategy?: { type?: string; rollingUpdate?: { partition?: number } };
  };
  const status = (object["status"] ?? {}) as Record<string, number | string | undefined>;
  if (spec.updateStrategy?.type === "OnDelete") {
    throw new CommandError("rollout status is only available for RollingUpdate strategy type");
  }
  if ((metadata["generation"] as number) > Number(status["observedGeneration"] ?? 0)) {
    return waiting("Waiting for statefulset spec update to be observed...");
  }
  const wanted = spec.replicas ?? 1;
  const ready = Number(status["readyReplicas"] ?? 0);
  const updated = Number(status["updatedReplicas"] ?? 0);
  if (ready < wanted) return waiting(`Waiting for ${wanted - ready} pods to be ready...`);
  const partition = spec.updateStrategy?.rollingUpdate?.partition ?? 0;
  if (partition > 0) {
    if (updated < wanted - partition) {
      return waiting(
        `Waiting for partitioned roll out to finish: ${updated} out of ${wanted - partition} new pods have been updated...`,
      );
    }
    return done(`partitioned roll out complete: ${updated} new pods have been updated...`);
  }
  if (status["updateRevision"] !== status["currentRevision"]) {
    return waiting(
      `waiting for statefulset rolling update to complete ${updated} pods at revision ${status["updateRevision"]}...`,
    );
  }
  return done(
    `statefulset rolling update complete ${status["currentReplicas"] ?? 0} pods at revision ${status["currentRevision"]}...`,
  );
}
