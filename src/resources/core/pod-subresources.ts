/** The parts of a pod that are written apart from the rest: its ephemeral containers, and its containers' resources. */
import type { Container, Pod } from "../../api/core/v1.ts";
import type { SubresourceDefinition } from "../../apimachinery/resource-definition.ts";
import { served } from "../served.ts";

const parts: Readonly<Record<string, Pick<SubresourceDefinition<Pod>, "part">>> = {
  ephemeralcontainers: {
    part: (sent, previous) => {
      const { ephemeralContainers: _, ...rest } = previous.spec;
      const { ephemeralContainers } = sent.spec;
      return { ...previous, spec: { ...rest, ...(ephemeralContainers ? { ephemeralContainers } : {}) } };
    },
  },
  resize: {
    part: (sent, previous) => ({
      ...previous,
      spec: {
        ...previous.spec,
        containers: resized(sent.spec.containers, previous.spec.containers),
        ...(previous.spec.initContainers
          ? { initContainers: resized(sent.spec.initContainers ?? [], previous.spec.initContainers) }
          : {}),
      },
    }),
  },
};

export const podSubresources: readonly SubresourceDefinition<Pod>[] = (served("v1", "pods").subresources ?? []).map(
  (subresource) => ({ ...subresource, ...parts[subresource.name] }),
);

function resized(sent: readonly Container[], previous: readonly Container[]): Container[] {
  return previous.map((container) => {
    const wanted = sent.find(({ name }) => name === container.name);
    if (!wanted) return container;
    const { resources, resizePolicy } = wanted;
    return { ...container, ...(resources ? { resources } : {}), ...(resizePolicy ? { resizePolicy } : {}) };
  });
}
