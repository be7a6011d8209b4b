/** `apply --prune`: deletes what an earlier apply made and no manifest holds now. */
import type { Unstructured } from "../api.ts";
import type { Invocation } from "../command.ts";
import { CommandError } from "../command-error.ts";
import type { FlagValues } from "../flags.ts";
import { lastAppliedOf } from "../last-applied.ts";
import { type ApiResource, kindText } from "../resource-catalog.ts";
import type { Session } from "../session.ts";
import { fetchTargets, type Target } from "../targets.ts";
import { dryRunOf } from "../writing.ts";
import { deleteObject, propagationOf } from "./delete.ts";

/** The kinds that are looked through unless an allow list names others, namespaced ones first. */
const defaultKinds = [
  "core/v1/ConfigMap",
  "core/v1/Endpoints",
  "core/v1/PersistentVolumeClaim",
  "core/v1/Pod",
  "core/v1/ReplicationController",
  "core/v1/Secret",
  "core/v1/Service",
  "batch/v1/Job",
  "batch/v1/CronJob",
  "networking.k8s.io/v1/Ingress",
  "apps/v1/DaemonSet",
  "apps/v1/Deployment",
  "apps/v1/ReplicaSet",
  "apps/v1/StatefulSet",
  "core/v1/Namespace",
  "core/v1/PersistentVolume",
];

/** Throws a CommandError where it is not said what may go. */
export function checkPrune({ flags }: Invocation): void {
  if (flags.bool("all") && flags.has("selector")) {
    throw new CommandError("cannot set --all and --selector at the same time");
  }
  if (!flags.bool("all") && !flags.has("selector")) {
    throw new CommandError(
      "all resources selected for prune without explicitly passing --all. To prune all resources, pass the --all flag. If you did not mean to prune all resources, specify a label selector",
    );
  }
}

export async function prune(
  { session, flags }: Invocation,
  resources: readonly ApiResource[],
  targets: readonly Target[],
  applied: readonly Unstructured[],
): Promise<void> {
  const kept = new Set(applied.map(({ metadata }) => metadata.uid));
  for (const { target, object } of await prunedTargets({ session, flags }, resources, targets)) {
    if (!kept.has(object.metadata.uid)) await pruneObject(session, flags, target);
  }
}

/** Everything that an earlier apply made of these kinds, where the manifests' objects are. */
export async function prunedTargets(
  { session, flags }: Pick<Invocation, "session" | "flags">,
  resources: readonly ApiResource[],
  targets: readonly Target[],
): Promise<{ target: Target; object: Unstructured }[]> {
  const all: { target: Target; object: Unstructured }[] = [];
  const namespaces = new Set(targets.flatMap(({ namespace }) => (namespace === undefined ? [] : [namespace])));
  if (flags.has("namespace")) namespaces.add((await session.namespace()).name);
  for (const resource of resources) {
    // The whole cluster's objects go only where no namespace was chosen.
    if (!resource.isNamespaced && flags.has("namespace")) continue;
    for (const namespace of resource.isNamespaced ? namespaces : [undefined]) {
      const found = await fetchTargets(session, flags, [{ resource, namespace, name: undefined }]);
      all.push(...found.filter(({ object }) => lastAppliedOf(object)));
    }
  }
  return all;
}

/** Deletes one object, unless this is a dry run, and says so. */
export async function pruneObject(session: Session, flags: FlagValues, target: Target): Promise<void> {
  const gracePeriodSeconds = flags.number("grace-period");
  const dryRun = dryRunOf(flags);
  if (dryRun === "none") {
    const options = { ...propagationOf(flags), ...(gracePeriodSeconds >= 0 ? { gracePeriodSeconds } : {}) };
    await deleteObject(session, target, options, { waits: flags.bool("wait"), timeoutMs: flags.durationMs("timeout") });
  }
  const suffix = dryRun === "none" ? "" : dryRun === "client" ? " (dry run)" : " (server dry run)";
  session.print(`${kindText(target.resource)}/${target.name} pruned${suffix}\n`);
}

/** The kinds to look through. Throws a CommandError for an allow list that names what there is not. */
export async function prunedResources(session: Session, allowed: readonly string[]): Promise<ApiResource[]> {
  const catalog = await session.catalog();
  return (allowed.length > 0 ? allowed : defaultKinds).map((text) => {
    const parts = text.split("/");
    if (parts.length !== 3) {
      throw new CommandError(`invalid GroupVersionKind format: ${text}, please follow <group/version/kind>`);
    }
    const [group, version, kind] = parts as [string, string, string];
    const apiVersion = group === "core" || group === "" ? version : `${group}/${version}`;
    const resource = catalog.ofKind(apiVersion, kind);
    if (!resource) {
      throw new CommandError(`no matches for kind ${JSON.stringify(kind)} in version ${JSON.stringify(apiVersion)}`);
    }
    return resource;
  });
}
