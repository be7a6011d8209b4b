/** DefaultTolerationSeconds: pods stay on a node that is in trouble for five minutes, unless they say how long. */
import type { Pod } from "../../api/core/v1.ts";
import type { AdmissionPlugin } from "../../apiserver/admission.ts";
import { writes } from "./refusal.ts";

const seconds = 300;
const troubles = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];

export const defaultTolerationSeconds: AdmissionPlugin = {
  name: "DefaultTolerationSeconds",
  handles: (request) => writes(request, "pods", "CREATE", "UPDATE"),
  mutate({ object }) {
    const { spec } = object as Pod;
    const tolerations = spec.tolerations ?? [];
    const missing = troubles.filter(
      (key) =>
        !tolerations.some(
          (toleration) =>
            (!toleration.key || toleration.key === key) && (!toleration.effect || toleration.effect === "NoExecute"),
        ),
    );
    if (missing.length === 0) return;
    const added = missing.map((key) => ({ key, operator: "Exists", effect: "NoExecute", tolerationSeconds: seconds }));
    spec.tolerations = [...tolerations, ...added];
  },
};
