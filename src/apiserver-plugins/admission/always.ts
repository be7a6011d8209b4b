/** AlwaysAdmit and AlwaysDeny, for trying out. */
import type { AdmissionPlugin } from "../../apiserver/admission.ts";
import { refuse } from "./refusal.ts";

export const alwaysAdmit: AdmissionPlugin = { name: "AlwaysAdmit", handles: () => false };

export const alwaysDeny: AdmissionPlugin = {
  name: "AlwaysDeny",
  handles: () => true,
  validate(request) {
    throw refuse(request, "admission control is denying all modifications");
  },
};
