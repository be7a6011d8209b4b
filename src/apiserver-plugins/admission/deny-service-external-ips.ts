/** DenyServiceExternalIPs: nobody draws others' traffic to their own pods by claiming its address (CVE-2020-8554). */
import type { Service } from "../../api/core/v1.ts";
import type { AdmissionPlugin } from "../../apiserver/admission.ts";
import { refuse, writes } from "./refusal.ts";

export const denyServiceExternalIPs: AdmissionPlugin = {
  name: "DenyServiceExternalIPs",
  handles: (request) => writes(request, "services", "CREATE", "UPDATE"),
  validate(request) {
    const before = (request.oldObject as Service | undefined)?.spec.externalIPs ?? [];
    const added = ((request.object as Service).spec.externalIPs ?? []).filter((ip) => !before.includes(ip));
    if (added.length > 0) throw refuse(request, "Use of external IPs is denied by admission control.");
  },
};
