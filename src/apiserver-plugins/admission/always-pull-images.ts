/** AlwaysPullImages: nobody uses an image that another's credentials brought to the node. */
import type { Container, Pod } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import type { AdmissionPlugin } from "../../apiserver/admission.ts";
import { writes } from "./refusal.ts";

export const alwaysPullImages: AdmissionPlugin = {
  name: "AlwaysPullImages",
  handles: (request) => writes(request, "pods", "CREATE", "UPDATE"),
  mutate({ object, oldObject }) {
    const known = oldObject && imagesOf(oldObject as DeepReadonly<Pod>);
    for (const container of containersOf(object as Pod)) {
      // What runs already may keep its policy, which could not be changed anyway.
      if (!known?.has(container.image ?? "")) container.imagePullPolicy = "Always";
    }
  },
};

function containersOf({ spec }: Pod): Pick<Container, "image" | "imagePullPolicy">[] {
  return [...(spec.initContainers ?? []), ...spec.containers, ...(spec.ephemeralContainers ?? [])];
}

function imagesOf(pod: DeepReadonly<Pod>): ReadonlySet<string> {
  return new Set(containersOf(pod as Pod).map(({ image }) => image ?? ""));
}
