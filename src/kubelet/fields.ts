/** The downward API: a pod's own fields and its containers' resources as text, for environments and volumes. Pure. */
import type { Container, ObjectFieldSelector, ResourceFieldSelector } from "../api/core/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { Quantity } from "../apimachinery/quantity.ts";
import { findContainerSpec, type PodObject } from "./pod-state.ts";

export interface FieldFacts {
  podIPs: readonly string[];
  hostIPs: readonly string[];
  /** What a container without a limit may use. */
  allocatable: Readonly<Record<string, string>>;
}

export function fieldValue(pod: PodObject, selector: DeepReadonly<ObjectFieldSelector>, facts: FieldFacts): string {
  const path = selector.fieldPath;
  const subscript = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(path);
  if (subscript) return pod.metadata[subscript[1] as "labels" | "annotations"]?.[subscript[2]!] ?? "";
  switch (path) {
    case "metadata.name":
      return pod.metadata.name;
    case "metadata.namespace":
      return pod.metadata.namespace;
    case "metadata.uid":
      return pod.metadata.uid;
    case "metadata.labels":
      return formatMap(pod.metadata.labels);
    case "metadata.annotations":
      return formatMap(pod.metadata.annotations);
    case "spec.nodeName":
      return pod.spec.nodeName ?? "";
    case "spec.serviceAccountName":
      return pod.spec.serviceAccountName ?? "";
    case "status.hostIP":
      return facts.hostIPs[0] ?? "";
    case "status.hostIPs":
      return facts.hostIPs.join(",");
    case "status.podIP":
      return facts.podIPs[0] ?? "";
    case "status.podIPs":
      return facts.podIPs.join(",");
    default:
      throw new Error(`unsupported fieldPath: ${path}`);
  }
}

/** One `key="value"` a line, sorted, values quoted as Go quotes them. */
function formatMap(map: Readonly<Record<string, string>> | undefined): string {
  return Object.keys(map ?? {})
    .sort()
    .map((key) => `${key}=${JSON.stringify(map![key])}`)
    .join("\n");
}

/** A container's request or limit divided and rounded up; an absent limit is what the node can allocate. */
export function resourceValue(
  pod: PodObject,
  selector: DeepReadonly<ResourceFieldSelector>,
  containerName: string,
  facts: FieldFacts,
): string {
  const name = selector.containerName || containerName;
  const container = findContainerSpec(pod, name) as DeepReadonly<Container> | undefined;
  if (!container) throw new Error(`container ${name} not found`);
  const match = /^(limits|requests)\.(.+)$/.exec(selector.resource);
  if (!match) throw new Error(`unsupported container resource : ${selector.resource}`);
  const [, kind, resource] = match as unknown as [string, "limits" | "requests", string];
  const stated = container.resources?.[kind]?.[resource];
  const text = stated ?? (kind === "limits" ? facts.allocatable[resource] : undefined) ?? "0";
  const divisor = Quantity.parse(selector.divisor && selector.divisor !== "0" ? selector.divisor : "1");
  const amount = Quantity.parse(text);
  const quotient = amount.nanos / divisor.nanos;
  return String(amount.nanos % divisor.nanos > 0n ? quotient + 1n : quotient);
}
