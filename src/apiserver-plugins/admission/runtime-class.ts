/** RuntimeClass: a pod's overhead and placement follow from the class that it names. */

import type { Pod, PodSpec } from "../../api/core/v1.ts";
import type { RuntimeClass } from "../../api/node/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { RuntimeClasses } from "../../api/resources.ts";
import { compareQuantities } from "../../apimachinery/quantity.ts";
import { stringifyExactly } from "../../apimachinery/serializer/big-integers.ts";
import type { AdmissionPlugin, AdmissionRequest } from "../../apiserver/admission.ts";
import type { ObjectReader } from "../object-reader.ts";
import { refuse, writes } from "./refusal.ts";

export function runtimeClass(objects: ObjectReader): AdmissionPlugin {
  return {
    name: "RuntimeClass",
    handles: (request) => writes(request, "pods", "CREATE"),
    mutate(request) {
      const { spec } = request.object as Pod;
      if (spec.runtimeClassName !== undefined) return applyClass(request, spec, objects);
      if (spec.overhead && Object.keys(spec.overhead).length > 0) {
        throw refuse(request, "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead");
      }
    },
  };
}

async function applyClass(request: AdmissionRequest, spec: PodSpec, objects: ObjectReader): Promise<void> {
  const name = spec.runtimeClassName ?? "";
  const found = await objects.get(RuntimeClasses, "", name);
  if (!found) throw refuse(request, `pod rejected: RuntimeClass "${name}" not found`);
  const overhead = found.overhead?.podFixed;
  if (overhead) {
    if (spec.overhead && !sameAmounts(spec.overhead, overhead)) {
      throw refuse(request, "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead");
    }
    spec.overhead = { ...overhead };
  }
  if (found.scheduling) applyScheduling(request, spec, found.scheduling);
}

function applyScheduling(
  request: AdmissionRequest,
  spec: PodSpec,
  scheduling: NonNullable<DeepReadonly<RuntimeClass>["scheduling"]>,
): void {
  const selector = { ...spec.nodeSelector };
  for (const [key, value] of Object.entries(scheduling.nodeSelector ?? {})) {
    if (selector[key] !== undefined && selector[key] !== value) {
      throw refuse(
        request,
        `conflict: runtimeClass.scheduling.nodeSelector[${key}] = ${value}; pod.spec.nodeSelector[${key}] = ${selector[key]}`,
      );
    }
    selector[key] = value;
  }
  if (Object.keys(selector).length > 0) spec.nodeSelector = selector;
  const given = (spec.tolerations ?? []).map((toleration) => stringifyExactly(toleration));
  const added = (scheduling.tolerations ?? []).filter((toleration) => !given.includes(stringifyExactly(toleration)));
  if (added.length > 0) spec.tolerations = [...(spec.tolerations ?? []), ...added.map((one) => ({ ...one }))];
}

function sameAmounts(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const names = Object.keys(a);
  return (
    names.length === Object.keys(b).length &&
    names.every((name) => b[name] !== undefined && compareQuantities(a[name]!, b[name]!) === 0)
  );
}
