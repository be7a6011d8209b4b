/** Which ResourceClaims a Pod uses, and who may use a claim (upstream: dynamic-resource-allocation/resourceclaim). */
import type { Pod, PodResourceClaim } from "../api/core/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import type { DeviceTaint, DeviceToleration, ResourceClaim } from "../api/resource/v1.ts";
import { keyOf } from "./cache.ts";

type ReadPod = DeepReadonly<Pod>;
type ReadClaim = DeepReadonly<ResourceClaim>;

/** Keeps an allocated claim until its devices are free again. */
export const claimFinalizer = "resource.kubernetes.io/delete-protection";

/** On the claim that the scheduler makes for a Pod's extended resources: "true". */
export const extendedClaimAnnotation = "resource.kubernetes.io/extended-resource-claim";

/** A claim is reserved for so many Pods at a time. */
const maximumReservations = 256;

/** What stands behind one entry of `spec.resourceClaims`. */
export type PodClaimName =
  /** `isGenerated`: it must belong to the Pod. */
  | { kind: "named"; name: string; isGenerated: boolean }
  | { kind: "notCreated"; message: string }
  /** It was decided that the Pod needs none. */
  | { kind: "none" };

export function podClaimName(pod: ReadPod, entry: DeepReadonly<PodResourceClaim>): PodClaimName {
  if (entry.resourceClaimName !== undefined) {
    return { kind: "named", name: entry.resourceClaimName, isGenerated: false };
  }
  const status = pod.status?.resourceClaimStatuses?.find(({ name }) => name === entry.name);
  if (!status) return { kind: "notCreated", message: `pod ${quoted(keyOf(pod))}: ResourceClaim not created yet` };
  if (status.resourceClaimName === undefined) return { kind: "none" };
  return { kind: "named", name: status.resourceClaimName, isGenerated: true };
}

/** Names of all claims that are known to be the Pod's, the one for its extended resources among them. */
export function* claimNamesOf(pod: ReadPod): Iterable<string> {
  for (const entry of pod.spec.resourceClaims ?? []) {
    const claim = podClaimName(pod, entry);
    if (claim.kind === "named") yield claim.name;
  }
  const extended = pod.status?.extendedResourceClaimStatus?.resourceClaimName;
  if (extended) yield extended;
}

/** The Pod that a claim was made for. */
export function owningPod({ metadata }: ReadClaim): { name: string; uid: string } | undefined {
  return metadata.ownerReferences?.find(
    ({ controller, apiVersion, kind }) => controller && apiVersion === "v1" && kind === "Pod",
  );
}

/** Why a claim is not the Pod's own; undefined when it is. */
export function whyNotForPod(pod: ReadPod, claim: ReadClaim): string | undefined {
  if (claim.metadata.namespace === pod.metadata.namespace && owningPod(claim)?.uid === pod.metadata.uid)
    return undefined;
  return `ResourceClaim ${keyOf(claim)} was not created for pod ${keyOf(pod)} (pod is not owner)`;
}

export function isReservedFor({ metadata }: ReadPod, { status }: ReadClaim): boolean {
  return status?.reservedFor?.some(({ uid }) => uid === metadata.uid) ?? false;
}

export function canBeReserved({ status }: ReadClaim): boolean {
  return (status?.reservedFor?.length ?? 0) < maximumReservations;
}

/** No container of it runs or ever will. */
export function isPodDone({ metadata, spec, status }: ReadPod): boolean {
  const isOver = status?.phase === "Succeeded" || status?.phase === "Failed";
  return isOver || (metadata.deletionTimestamp !== undefined && !spec.nodeName);
}

export function toleratesDeviceTaint(
  { key = "", operator = "Equal", value = "", effect = "" }: DeepReadonly<DeviceToleration>,
  taint: DeepReadonly<DeviceTaint>,
): boolean {
  if (effect !== "" && effect !== taint.effect) return false;
  if (key !== "" && key !== taint.key) return false;
  if (operator === "Exists") return true;
  return (operator === "" || operator === "Equal") && value === (taint.value ?? "");
}

const quoted = (text: string) => JSON.stringify(text);
