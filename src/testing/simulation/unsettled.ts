/** What is not yet as it should be, some time after all misfortune has ended. */
import { parseIndexes } from "../../controller-manager/controllers/job/job-facts.ts";
import { isPodActive, isPodReady, isPodTerminal } from "../../controller-manager/pod-facts.ts";
import { missingImage } from "./simulated-kubelets.ts";
import type { Kinds, World } from "./world.ts";

/** Empty when the cluster has come to rest where its users want it. */
export function unsettled(world: World): string[] {
  const complaints: string[] = [];
  const say = (text: string) => complaints.push(text);
  const pods = world.all("pods");
  const isOwnedBy = (uid: string) => (object: { metadata: { ownerReferences?: { uid: string }[] } }) =>
    object.metadata.ownerReferences?.some((reference) => reference.uid === uid) === true;

  for (const { metadata, status, spec } of world.all("nodes")) {
    const ready = status?.conditions?.find(({ type }) => type === "Ready")?.status;
    if (ready !== "True" || spec?.taints?.length) say(`node ${metadata.name} is not ready`);
  }
  for (const plural of ["deployments", "statefulsets", "daemonsets", "jobs", "replicasets"] as const) {
    for (const { metadata, status } of world.all(plural)) {
      if (metadata.deletionTimestamp) say(`${plural} ${metadata.name} is still being deleted`);
      else if (
        plural !== "jobs" &&
        (status as { observedGeneration?: number })?.observedGeneration !== metadata.generation
      )
        say(`${plural} ${metadata.name} has a generation that nobody observed`);
    }
  }
  for (const { metadata, spec, status } of world.all("deployments")) {
    const { replicas = 1, revisionHistoryLimit = 10 } = spec;
    const replicaSets = world.all("replicasets").filter(isOwnedBy(metadata.uid));
    const own = replicaSets.flatMap((replicaSet) => pods.filter(isOwnedBy(replicaSet.metadata.uid)));
    const serving = own.filter((pod) => isPodActive(pod) && isPodReady(pod));
    const images = new Set(serving.map((pod) => pod.spec.containers[0]!.image));
    const wanted = spec.template.spec!.containers[0]!.image;
    if (serving.length !== replicas || own.filter(isPodActive).length !== replicas)
      say(`deployment ${metadata.name} has ${serving.length} serving of ${own.length} Pods, wants ${replicas}`);
    else if (images.size > 1 || (replicas > 0 && !images.has(wanted)))
      say(`deployment ${metadata.name} runs ${[...images]}, wants ${wanted}`);
    if ((status?.availableReplicas ?? 0) !== replicas || (status?.updatedReplicas ?? 0) !== replicas)
      say(`deployment ${metadata.name} says ${JSON.stringify(status)}`);
    const old = replicaSets.filter(({ spec: { replicas: size } }) => size === 0);
    const limit = revisionHistoryLimit + (replicas === 0 ? 1 : 0);
    if (old.length > limit) say(`deployment ${metadata.name} keeps ${old.length} old ReplicaSets of ${limit}`);
  }
  for (const { metadata, spec, status } of world.all("statefulsets")) {
    const { replicas = 1 } = spec;
    const own = pods.filter(isOwnedBy(metadata.uid));
    const names = own.map((pod) => pod.metadata.name).sort();
    const wanted = Array.from({ length: replicas }, (_, i) => `${metadata.name}-${i}`);
    if (names.join() !== wanted.join() || !own.every(isPodReady)) say(`statefulset ${metadata.name} has ${names}`);
    const partition = spec.updateStrategy?.rollingUpdate?.partition ?? 0;
    const image = spec.template.spec!.containers[0]!.image;
    for (const pod of own) {
      const ordinal = Number(pod.metadata.name.slice(metadata.name.length + 1));
      if (ordinal >= partition && pod.spec.containers[0]!.image !== image) say(`${pod.metadata.name} is not updated`);
    }
    if ((status?.readyReplicas ?? 0) !== replicas) say(`statefulset ${metadata.name} says ${JSON.stringify(status)}`);
  }
  for (const { metadata, spec, status } of world.all("daemonsets")) {
    const nodes = world.all("nodes").map((node) => node.metadata.name);
    const own = pods.filter(isOwnedBy(metadata.uid));
    const on = own.map((pod) => pod.spec.nodeName).sort();
    if (on.join() !== nodes.sort().join()) say(`daemonset ${metadata.name} runs on ${on}, not on ${nodes}`);
    const image = spec.template.spec!.containers[0]!.image;
    if (own.some((pod) => pod.spec.containers[0]!.image !== image)) say(`daemonset ${metadata.name} is not updated`);
    if (status?.numberReady !== nodes.length) say(`daemonset ${metadata.name} says ${JSON.stringify(status)}`);
  }
  for (const { metadata, spec, status } of world.all("jobs")) {
    const own = pods.filter(isOwnedBy(metadata.uid));
    const end = status?.conditions?.find(
      ({ type, status: value }) => (type === "Complete" || type === "Failed") && value === "True",
    );
    if (!end) {
      if (!spec.suspend) say(`job ${metadata.name} has not ended: ${JSON.stringify(status)}`);
      else if (own.some(isPodActive)) say(`job ${metadata.name} is suspended and runs`);
      continue;
    }
    if (own.some((pod) => pod.metadata.finalizers?.includes("batch.kubernetes.io/job-tracking")))
      say(`job ${metadata.name} has ended and still holds on to Pods`);
    if (end.type !== "Complete") continue;
    const { completions = 1, completionMode } = spec;
    const done = completionMode === "Indexed" ? parseIndexes(status?.completedIndexes).size : (status?.succeeded ?? 0);
    if (done !== completions) say(`job ${metadata.name} is complete with ${done} of ${completions}`);
  }
  for (const { metadata, status, spec } of pods) {
    if (metadata.deletionTimestamp) say(`pod ${metadata.name} is still being deleted`);
    if (spec.nodeName && !world.find("nodes", spec.nodeName)) say(`pod ${metadata.name} is on a node that is gone`);
    const isHopeless = spec.containers[0]!.image === missingImage && !metadata.ownerReferences?.length;
    if (
      !status?.phase ||
      (status.phase === "Pending" && !isHopeless && !isOfLeftover(world, metadata.ownerReferences?.[0]?.uid))
    )
      say(`pod ${metadata.name} is pending`);
  }
  for (const plural of ["pods", "replicasets", "jobs", "endpointslices"] as const) {
    for (const { metadata } of world.all(plural) as Kinds["pods"][]) {
      const gone = metadata.ownerReferences?.find(({ uid }) => !world.uids.has(uid));
      if (gone) say(`${plural} ${metadata.name} belongs to ${gone.kind} ${gone.name}, which is gone`);
    }
  }
  for (const { metadata, spec } of world.all("services")) {
    const listed = world
      .all("endpointslices")
      .filter(({ metadata: { labels } }) => labels?.["kubernetes.io/service-name"] === metadata.name)
      .flatMap(({ endpoints }) => endpoints ?? [])
      .filter(({ conditions }) => conditions?.ready)
      .map(({ targetRef }) => targetRef?.name ?? "")
      .sort();
    const serving = pods
      .filter(
        (pod) => pod.metadata.labels?.["app"] === spec?.selector?.["app"] && isPodReady(pod) && !isPodTerminal(pod),
      )
      .map((pod) => pod.metadata.name)
      .sort();
    if (listed.join() !== serving.join()) say(`service ${metadata.name} lists ${listed}, serving are ${serving}`);
  }
  return complaints;
}

/** Left behind by a Deployment that was deleted without its ReplicaSets, with an image that cannot be pulled. */
function isOfLeftover(world: World, uid: string | undefined): boolean {
  const replicaSet = world.all("replicasets").find(({ metadata }) => metadata.uid === uid);
  return (
    replicaSet !== undefined &&
    !replicaSet.metadata.ownerReferences?.length &&
    replicaSet.spec.template?.spec?.containers[0]?.image === missingImage
  );
}
