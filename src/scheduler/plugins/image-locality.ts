/** Prefers Nodes that already have the Pod's images, the more the larger; discounted when few Nodes have them. */
import type { SchedulerPlugin } from "../framework.ts";
import type { NodeInfo } from "../node-info.ts";

const mebibyte = 1024 * 1024;
const minThreshold = 23 * mebibyte;
const maxContainerThreshold = 1000 * mebibyte;

export const imageLocality: SchedulerPlugin = {
  name: "ImageLocality",
  wakesOn: [],
  score({ pod }, cluster) {
    if (cluster.imageNodes.size === 0) return undefined;
    const containers = [...(pod.spec.initContainers ?? []), ...pod.spec.containers];
    const names = containers.map(({ image = "" }) => normalized(image)).filter((name) => cluster.imageNodes.has(name));
    if (names.length === 0) return undefined;
    const maxThreshold = maxContainerThreshold * containers.length;
    const total = cluster.nodes.length;
    return {
      score(node: NodeInfo) {
        let sum = 0;
        for (const name of names) {
          const size = node.images.get(name);
          if (size !== undefined) sum += Math.floor((size * cluster.imageNodes.get(name)!) / total);
        }
        const bounded = Math.min(Math.max(sum, minThreshold), maxThreshold);
        return Math.floor((100 * (bounded - minThreshold)) / (maxThreshold - minThreshold));
      },
    };
  },
};

/** Without a tag or digest, `latest` is meant. */
function normalized(image: string): string {
  return image.lastIndexOf(":") <= image.lastIndexOf("/") ? `${image}:latest` : image;
}
