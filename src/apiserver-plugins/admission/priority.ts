/** Priority: a pod's number follows from the name of its PriorityClass; at most one class is the default. */
import type { Pod } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { PriorityClasses } from "../../api/resources.ts";
import type { PriorityClass } from "../../api/scheduling/v1.ts";
import type { AdmissionPlugin, AdmissionRequest } from "../../apiserver/admission.ts";
import type { ObjectReader } from "../object-reader.ts";
import { refuse, writes } from "./refusal.ts";

const classResource = "priorityclasses.scheduling.k8s.io";

export function priority(objects: ObjectReader): AdmissionPlugin {
  return {
    name: "Priority",
    handles: (request) =>
      writes(request, "pods", "CREATE", "UPDATE") || writes(request, classResource, "CREATE", "UPDATE"),
    mutate(request) {
      if (request.definition.plural !== "pods") return;
      if (request.operation === "UPDATE") return keepPriority(request);
      return computePriority(request, objects);
    },
    async validate(request) {
      if (request.definition.plural === "pods") return;
      const given = request.object as PriorityClass;
      if (!given.globalDefault) return;
      const standing = await defaultClass(objects);
      if (standing && standing.metadata.name !== given.metadata.name) {
        throw refuse(
          request,
          `PriorityClass ${standing.metadata.name} is already marked as default. Only one default can exist`,
        );
      }
    },
  };
}

/** A writer that leaves them out keeps them. */
function keepPriority({ object, oldObject }: AdmissionRequest): void {
  const [next, previous] = [(object as Pod).spec, (oldObject as DeepReadonly<Pod>).spec];
  if (next.priority === undefined && previous.priority !== undefined) next.priority = previous.priority;
  if (next.preemptionPolicy === undefined && previous.preemptionPolicy !== undefined) {
    next.preemptionPolicy = previous.preemptionPolicy;
  }
}

async function computePriority(request: AdmissionRequest, objects: ObjectReader): Promise<void> {
  const { spec } = request.object as Pod;
  const named = spec.priorityClassName;
  const found = named ? await objects.get(PriorityClasses, "", named) : await defaultClass(objects);
  if (named && !found) throw refuse(request, `no PriorityClass with name ${named} was found`);
  if (found) spec.priorityClassName = found.metadata.name;
  const value = found?.value ?? 0;
  if (spec.priority !== undefined && spec.priority !== value) {
    throw refuse(
      request,
      `the integer value of priority (${spec.priority}) must not be provided in pod spec; priority admission controller computed ${value} from the given PriorityClass name`,
    );
  }
  spec.priority = value;
  const policy = found?.preemptionPolicy ?? "PreemptLowerPriority";
  if (spec.preemptionPolicy !== undefined && spec.preemptionPolicy !== policy) {
    throw refuse(
      request,
      `the string value of PreemptionPolicy (${spec.preemptionPolicy}) must not be provided in pod spec; priority admission controller computed ${policy} from the given PriorityClass name`,
    );
  }
  spec.preemptionPolicy = policy;
}

/** Should several claim it, the lowest wins, as upstream has it. */
async function defaultClass(objects: ObjectReader): Promise<DeepReadonly<PriorityClass> | undefined> {
  const defaults = (await objects.list(PriorityClasses, "")).filter((candidate) => candidate.globalDefault);
  return defaults.sort((a, b) => (a.value ?? 0) - (b.value ?? 0))[0];
}
