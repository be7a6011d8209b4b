/** Tells kubelets, by an annotation of their Node, for how long they may trust what they read of Secrets and ConfigMaps: longer, the more Nodes there are. */
import type { Node } from "../../api/core/v1.ts";
import { Nodes } from "../../api/resources.ts";
import { isNotFound } from "../../apimachinery/status-error.ts";
import { refOf } from "../../client/client.ts";
import { keyOf } from "../../controller-runtime/cache.ts";
import { type ControllerDefinition, defineController, wake } from "../../controller-runtime/controller.ts";

const annotation = "node.alpha.kubernetes.io/ttl";

interface Step {
  /** With fewer Nodes the step below applies, with more the one above; the ranges overlap so that one Node more or less changes nothing. */
  fewestNodes: number;
  mostNodes: number;
  ttlSeconds: number;
}

const steps: readonly Step[] = [
  { fewestNodes: 0, mostNodes: 100, ttlSeconds: 0 },
  { fewestNodes: 90, mostNodes: 500, ttlSeconds: 15 },
  { fewestNodes: 450, mostNodes: 1000, ttlSeconds: 30 },
  { fewestNodes: 900, mostNodes: 2000, ttlSeconds: 60 },
  { fewestNodes: 1800, mostNodes: Number.POSITIVE_INFINITY, ttlSeconds: 300 },
];

export function ttlController(): ControllerDefinition {
  let step = 0;
  return defineController<Node>({
    name: "ttl-controller",
    reconciles: Nodes,
    when: ({ type, object, previous }) =>
      type === "ADDED" || object.metadata.annotations?.[annotation] !== previous?.metadata.annotations?.[annotation],
    wakesOn: [
      wake<Node>({
        resource: Nodes,
        when: ({ type }) => type !== "MODIFIED",
        *keys(_node, cache) {
          const nodes = cache.list(Nodes);
          const next = ttlStep(step, nodes.length);
          if (next === step) return;
          step = next;
          for (const node of nodes) yield keyOf(node);
        },
      }),
    ],
    writes: [Nodes],
    async reconcile({ key, cache, api }) {
      const node = cache.get(Nodes, key);
      const wanted = String(steps[step]!.ttlSeconds);
      if (!node || node.metadata.annotations?.[annotation] === wanted) return;
      const body = { metadata: { uid: node.metadata.uid, annotations: { [annotation]: wanted } } };
      try {
        await api.patch(Nodes, refOf(node), { type: "merge", body });
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    },
  });
}

/** The step for so many Nodes, coming from `step`. */
export function ttlStep(step: number, nodes: number): number {
  let next = step;
  while (nodes > steps[next]!.mostNodes) next++;
  while (nodes < steps[next]!.fewestNodes) next--;
  return next;
}
