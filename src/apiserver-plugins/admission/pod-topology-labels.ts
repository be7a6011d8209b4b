/** PodTopologyLabels (KEP-4742): a pod that is bound learns its node's zone and region, for whom the downward API can tell. */
import type { Binding } from "../../api/core/v1.ts";
import { Nodes } from "../../api/resources.ts";
import type { AdmissionPlugin } from "../../apiserver/admission.ts";
import type { ObjectReader } from "../object-reader.ts";

const labels = ["topology.kubernetes.io/zone", "topology.kubernetes.io/region"];

export function podTopologyLabels(objects: ObjectReader): AdmissionPlugin {
  return {
    name: "PodTopologyLabels",
    handles: ({ definition, subresource, operation }) =>
      subresource === "binding" && operation === "CREATE" && definition.group === "" && definition.plural === "pods",
    mutate({ object }) {
      const binding = object as unknown as Binding;
      if (binding.target?.kind && binding.target.kind !== "Node") return;
      const found = objects.get(Nodes, "", binding.target?.name ?? "");
      if (found instanceof Promise) return found.then((node) => copy(binding, node?.metadata.labels));
      copy(binding, found?.metadata.labels);
    },
  };
}

function copy(binding: Binding, nodeLabels: Readonly<Record<string, string>> = {}): void {
  const known = labels.filter((label) => nodeLabels[label] !== undefined);
  if (known.length === 0) return;
  const own = Object.fromEntries(known.map((label) => [label, nodeLabels[label]!]));
  binding.metadata.labels = { ...binding.metadata.labels, ...own };
}
