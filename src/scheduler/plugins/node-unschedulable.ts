/** Keeps Pods away from cordoned Nodes. */
import { tolerates } from "../../controller-runtime/node-matching.ts";
import { refusal, type SchedulerPlugin } from "../framework.ts";

const unschedulable = refusal("node(s) were unschedulable", true);
const taint = { key: "node.kubernetes.io/unschedulable", effect: "NoSchedule" };

export const nodeUnschedulable: SchedulerPlugin = {
  name: "NodeUnschedulable",
  isNodeLocal: true,
  wakesOn: ["NodeAdded", "NodeTaintsChanged"],
  filter({ pod }) {
    const isTolerated = pod.spec.tolerations?.some((toleration) => tolerates(toleration, taint)) === true;
    return isTolerated ? undefined : (node) => (node.isUnschedulable ? unschedulable : undefined);
  },
};
