/** LimitPodHardAntiAffinityTopology: pods may keep others off their node, not out of a whole zone. */
import type { Pod } from "../../api/core/v1.ts";
import type { AdmissionPlugin } from "../../apiserver/admission.ts";
import { refuse, writes } from "./refusal.ts";

const hostname = "kubernetes.io/hostname";

export const limitPodHardAntiAffinityTopology: AdmissionPlugin = {
  name: "LimitPodHardAntiAffinityTopology",
  handles: (request) => writes(request, "pods", "CREATE", "UPDATE"),
  validate(request) {
    const { podAntiAffinity } = (request.object as Pod).spec.affinity ?? {};
    for (const { topologyKey } of podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []) {
      if (topologyKey === hostname) continue;
      throw refuse(
        request,
        `affinity.PodAntiAffinity.RequiredDuringScheduling has TopologyKey ${topologyKey} but only key ${hostname} is allowed`,
      );
    }
  },
};
