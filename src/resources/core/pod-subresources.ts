/** The pods' subresources; two of them change a part of the spec that the main resource protects. */
import type { Container, Pod } from "../../api/core/v1.ts";
import type { SubresourceDefinition } from "../../apimachinery/resource-definition.ts";
import { served } from "../served.ts";

const parts: Readonly<Record<string, SubresourceDefinition<Pod>["part"]>> = {
  ephemeralcontainers(sent, previous) {
    const { ephemeralContainers: _, ...rest } = previous.spec;
    const { ephemeralContainers } = sent.spec;
    return { ...previous, spec: { ...rest, ...(ephemeralContainers ? { ephemeralContainers } : {}) } };
  },
  resize(sent, previous) {
    const named = ({ spec }: Pod) =>
      JSON.stringify([spec.containers, spec.initContainers ?? []].map((list) => list.map(({ name }) => name)));
    // Containers may not come, go or change their places: what was sent is kept for validation to refuse.
    if (named(sent) !== named(previous)) return { ...previous, spec: sent.spec };
    const spec = { ...previous.spec, containers: resized(sent.spec.containers, previous.spec.containers) };
    if (previous.spec.initContainers) {
      spec.initContainers = resized(sent.spec.initContainers ?? [], previous.spec.initContainers);
    }
    if (sent.spec.resources) spec.resources = sent.spec.resources;
    else delete spec.resources;
    return { ...previous, spec };
  },
};

export const podSubresources: readonly SubresourceDefinition<Pod>[] = served("v1", "pods").subresources.map(
  (subresource) => {
    const part = parts[subresource.name];
    return part ? { ...subresource, part } : subresource;
  },
);

function resized(sent: readonly Container[], previous: readonly Container[]): Container[] {
  return previous.map((container) => {
    const wanted = sent.find(({ name }) => name === container.name);
    if (!wanted) return container;
    const { resources, resizePolicy } = wanted;
    return { ...container, ...(resources ? { resources } : {}), ...(resizePolicy ? { resizePolicy } : {}) };
  });
}
