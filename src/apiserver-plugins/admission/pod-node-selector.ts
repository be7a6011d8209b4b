/** PodNodeSelector: a namespace's annotation says which nodes its pods go to. */
import type { Pod } from "../../api/core/v1.ts";
import { Namespaces } from "../../api/resources.ts";
import type { AdmissionPlugin } from "../../apiserver/admission.ts";
import type { ObjectReader } from "../object-reader.ts";
import { refuse, writes } from "./refusal.ts";

const annotation = "scheduler.alpha.kubernetes.io/node-selector";

export function podNodeSelector(objects: ObjectReader): AdmissionPlugin {
  return {
    name: "PodNodeSelector",
    handles: (request) => writes(request, "pods", "CREATE"),
    async mutate(request) {
      const namespace = await objects.get(Namespaces, "", request.namespace);
      const wanted = namespace?.metadata.annotations?.[annotation];
      if (!wanted) return;
      const { spec } = request.object as Pod;
      const selector: Record<string, string> = { ...spec.nodeSelector };
      for (const pair of wanted.split(",")) {
        const [key = "", value = ""] = pair.trim().split("=");
        if (selector[key] !== undefined && selector[key] !== value) {
          throw refuse(request, "pod node label selector conflicts with its namespace node label selector");
        }
        selector[key] = value;
      }
      spec.nodeSelector = selector;
    },
  };
}
