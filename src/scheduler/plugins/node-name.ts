/** A Pod that names a Node goes there or nowhere. */
import { refusal, type SchedulerPlugin } from "../framework.ts";

const mismatch = refusal("node(s) didn't match the requested node name", true);

export const nodeName: SchedulerPlugin = {
  name: "NodeName",
  isNodeLocal: true,
  wakesOn: ["NodeAdded"],
  filter({ pod }) {
    const wanted = pod.spec.nodeName;
    return wanted ? (node) => (node.name === wanted ? undefined : mismatch) : undefined;
  },
};
