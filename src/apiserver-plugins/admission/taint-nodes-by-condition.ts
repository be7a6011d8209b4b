/** TaintNodesByCondition: a new node takes no pods until it has been seen ready. */
import type { Node } from "../../api/core/v1.ts";
import type { AdmissionPlugin } from "../../apiserver/admission.ts";
import { writes } from "./refusal.ts";

const taint = { key: "node.kubernetes.io/not-ready", effect: "NoSchedule" };

export const taintNodesByCondition: AdmissionPlugin = {
  name: "TaintNodesByCondition",
  handles: (request) => writes(request, "nodes", "CREATE"),
  mutate({ object }) {
    const node = object as Node;
    node.spec ??= {};
    const taints = node.spec.taints ?? [];
    if (taints.some(({ key, effect }) => key === taint.key && effect === taint.effect)) return;
    node.spec.taints = [...taints, { ...taint }];
  },
};
