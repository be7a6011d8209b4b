/** Volumes labelled with a zone or region are used there. */
import type { ReadCache } from "../../controller-runtime/cache.ts";
import { refusal, type SchedulerPlugin } from "../framework.ts";
import { boundVolumesOf } from "../pod-claims.ts";

const elsewhere = refusal("node(s) had no available volume zone", true);
const labels = [
  "topology.kubernetes.io/zone",
  "topology.kubernetes.io/region",
  "failure-domain.beta.kubernetes.io/zone",
  "failure-domain.beta.kubernetes.io/region",
];

export function volumeZone(cache: ReadCache): SchedulerPlugin {
  return {
    name: "VolumeZone",
    wakesOn: ["NodeAdded", "NodeLabelsChanged", "StorageChanged"],
    filter({ pod }) {
      const wanted = boundVolumesOf(pod, cache).flatMap(({ metadata }) =>
        labels.flatMap((label) => {
          const value = metadata.labels?.[label];
          // A volume in several zones lists them so.
          return value === undefined ? [] : [{ label, values: value.split("__") }];
        }),
      );
      if (wanted.length === 0) return undefined;
      return (node) => {
        if (!labels.some((label) => node.labels[label] !== undefined)) return undefined;
        return wanted.every(({ label, values }) => values.includes(node.labels[label] ?? "\0")) ? undefined : elsewhere;
      };
    },
  };
}
