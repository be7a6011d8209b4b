/** The two PriorityClasses above all that users can make. */
import { PriorityClasses } from "../../api/resources.ts";
import { atStart, type BootstrapObject } from "./bootstrap-object.ts";

export const systemPriorityClasses: readonly BootstrapObject[] = [
  atStart(PriorityClasses, {
    metadata: { name: "system-node-critical" },
    value: 2_000_001_000,
    description: "For pods of the system that their node cannot do without: they are never moved.",
  }),
  atStart(PriorityClasses, {
    metadata: { name: "system-cluster-critical" },
    value: 2_000_000_000,
    description: "For pods of the system that the cluster cannot do without: they may run on any node.",
  }),
];
