/** ExtendedResourceToleration: pods that ask for a device tolerate the taint that keeps others off its nodes. */
import type { Pod } from "../../api/core/v1.ts";
import type { AdmissionPlugin } from "../../apiserver/admission.ts";
import { writes } from "./refusal.ts";

export const extendedResourceToleration: AdmissionPlugin = {
  name: "ExtendedResourceToleration",
  handles: (request) => writes(request, "pods", "CREATE"),
  mutate({ object }) {
    const { spec } = object as Pod;
    const requested = [...spec.containers, ...(spec.initContainers ?? [])].flatMap(({ resources }) =>
      Object.keys(resources?.requests ?? {}),
    );
    const devices = [...new Set(requested.filter(isDevice))].sort();
    const known = new Set(spec.tolerations?.map(({ key }) => key));
    const added = devices.filter((key) => !known.has(key)).map((key) => ({ key, operator: "Exists" as const }));
    if (added.length > 0) spec.tolerations = [...(spec.tolerations ?? []), ...added];
  },
};

/** Resources of somebody's own domain. */
function isDevice(name: string): boolean {
  return name.includes("/") && !/^([^/]*\.)?kubernetes\.io\//.test(name) && !name.startsWith("requests.");
}
