/** The quality-of-service class that a pod's CPU and memory amounts put it in. */
import type { PodSpec } from "../../api/core/v1.ts";
import { Quantity } from "../../apimachinery/quantity.ts";

export type QosClass = "Guaranteed" | "Burstable" | "BestEffort";

const computeResources = ["cpu", "memory"] as const;

/** Guaranteed when every container limits both and asks for exactly its limits, BestEffort when nothing is asked for. */
export function qosClassOf(podSpec: PodSpec): QosClass {
  const parts = podSpec.resources ? [podSpec.resources] : allContainers(podSpec).map((c) => c.resources ?? {});
  const requests = sumOf(parts.map((part) => part.requests));
  const limits = sumOf(parts.map((part) => part.limits));
  if (requests.size === 0 && limits.size === 0) return "BestEffort";
  const allLimited = parts.every((part) => computeResources.every((name) => isPositive(part.limits?.[name])));
  const exact =
    requests.size === limits.size && [...requests].every(([name, amount]) => limits.get(name)?.equals(amount));
  return allLimited && exact ? "Guaranteed" : "Burstable";
}

function allContainers(podSpec: PodSpec) {
  return [...(podSpec.containers ?? []), ...(podSpec.initContainers ?? [])];
}

function sumOf(lists: readonly (Record<string, string> | undefined)[]): Map<string, Quantity> {
  const sums = new Map<string, Quantity>();
  for (const list of lists) {
    for (const name of computeResources) {
      const text = list?.[name];
      if (!isPositive(text)) continue;
      sums.set(name, (sums.get(name) ?? Quantity.zero).add(Quantity.parse(text)));
    }
  }
  return sums;
}

function isPositive(text: string | undefined): text is string {
  return text !== undefined && Quantity.parse(text).sign() > 0;
}
