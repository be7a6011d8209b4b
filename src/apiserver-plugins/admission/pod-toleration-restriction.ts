/** PodTolerationRestriction: a namespace's annotations say which tolerations its pods get, and which they may have. */
import type { Pod, Toleration } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { Namespaces } from "../../api/resources.ts";
import type { AdmissionPlugin, AdmissionRequest } from "../../apiserver/admission.ts";
import type { ObjectReader } from "../object-reader.ts";
import { refuse, writes } from "./refusal.ts";

const defaultsAnnotation = "scheduler.alpha.kubernetes.io/defaultTolerations";
const allowedAnnotation = "scheduler.alpha.kubernetes.io/tolerationsWhitelist";

export interface PodTolerationConfiguration {
  /** Where the namespace says nothing. */
  default?: Toleration[];
  whitelist?: Toleration[];
}

export function podTolerationRestriction(
  objects: ObjectReader,
  configuration: PodTolerationConfiguration = {},
): AdmissionPlugin {
  const annotated = async (request: AdmissionRequest, annotation: string): Promise<Toleration[] | undefined> => {
    const namespace = await objects.get(Namespaces, "", request.namespace);
    const text = namespace?.metadata.annotations?.[annotation];
    if (!text) return undefined;
    try {
      return JSON.parse(text) as Toleration[];
    } catch (error) {
      throw refuse(
        request,
        `the annotation ${annotation} of namespace ${request.namespace}: ${(error as Error).message}`,
      );
    }
  };
  return {
    name: "PodTolerationRestriction",
    handles: (request) => writes(request, "pods", "CREATE", "UPDATE"),
    async mutate(request) {
      const { spec } = request.object as Pod;
      const given =
        request.operation === "CREATE"
          ? ((await annotated(request, defaultsAnnotation)) ?? configuration.default ?? [])
          : [];
      const extra = isBestEffort(spec) ? given : [...given, memoryPressure];
      const merged = [...(spec.tolerations ?? [])];
      for (const toleration of extra) if (!merged.some((each) => covers(each, toleration))) merged.push(toleration);
      if (merged.length > 0) spec.tolerations = merged;
    },
    async validate(request) {
      const allowed = (await annotated(request, allowedAnnotation)) ?? configuration.whitelist ?? [];
      if (allowed.length === 0) return;
      const { tolerations = [] } = (request.object as Pod).spec;
      if (tolerations.every((toleration) => allowed.some((each) => covers(each, toleration)))) return;
      throw refuse(
        request,
        "pod tolerations (possibly merged with namespace default tolerations) conflict with its namespace whitelist",
      );
    },
  };
}

const memoryPressure: Toleration = {
  key: "node.kubernetes.io/memory-pressure",
  operator: "Exists",
  effect: "NoSchedule",
};

/** Whether everything that `narrow` tolerates, `wide` does. */
function covers(wide: Toleration, narrow: Toleration): boolean {
  const operatorOf = ({ operator }: Toleration) => operator || "Equal";
  if (wide.key && wide.key !== narrow.key) return false;
  if (!wide.key && operatorOf(wide) !== "Exists") return false;
  if (wide.effect && wide.effect !== narrow.effect) return false;
  if (wide.tolerationSeconds !== undefined) {
    if (narrow.tolerationSeconds === undefined || narrow.tolerationSeconds > wide.tolerationSeconds) return false;
  }
  if (operatorOf(wide) === "Exists") return true;
  return operatorOf(narrow) === operatorOf(wide) && (narrow.value ?? "") === (wide.value ?? "");
}

function isBestEffort({ containers, initContainers = [] }: DeepReadonly<Pod["spec"]>): boolean {
  const amounts = [...containers, ...initContainers].flatMap(({ resources = {} }) => [
    ...Object.keys(resources.requests ?? {}),
    ...Object.keys(resources.limits ?? {}),
  ]);
  return !amounts.some((name) => name === "cpu" || name === "memory");
}
