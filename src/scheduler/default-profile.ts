/** The default scheduler's plugins, in the order in which they filter: what rules out most for least comes first. */
import type { Profile, SchedulerPlugin } from "./framework.ts";
import { imageLocality } from "./plugins/image-locality.ts";
import { interPodAffinity } from "./plugins/inter-pod-affinity.ts";
import { nodeAffinity } from "./plugins/node-affinity.ts";
import { nodeName } from "./plugins/node-name.ts";
import { nodePorts } from "./plugins/node-ports.ts";
import { nodeResourcesBalancedAllocation } from "./plugins/node-resources-balanced-allocation.ts";
import { nodeResourcesFit } from "./plugins/node-resources-fit.ts";
import { nodeUnschedulable } from "./plugins/node-unschedulable.ts";
import { type DefaultSpreading, podTopologySpread } from "./plugins/pod-topology-spread.ts";
import { taintToleration } from "./plugins/taint-toleration.ts";
import type { PodInfo } from "./pod-info.ts";
import type { PluginArgs } from "./profile-config.ts";

/** What plugins are made with. */
export interface ProfileSurroundings {
  /** Default: Pods without constraints of their own are not spread. */
  defaultSpreading?: (pod: PodInfo) => DefaultSpreading | undefined;
  /** They watch claims and volumes. */
  volumePlugins?: readonly SchedulerPlugin[];
  /** It watches claims for devices, and their devices. */
  dynamicResources?: SchedulerPlugin & { isOfDevices(resource: string): boolean };
  /** Resources that extenders look after alone. */
  leftToExtenders?: readonly string[];
  /** What holds for profiles that say nothing of their own. */
  percentageOfNodesToScore?: number | undefined;
}

export function defaultProfile(
  { defaultSpreading, volumePlugins = [], dynamicResources, leftToExtenders = [] }: ProfileSurroundings = {},
  schedulerName = "default-scheduler",
  args: PluginArgs = {},
): Profile {
  const ignoredResources = [...(args.NodeResourcesFit?.ignoredResources ?? []), ...leftToExtenders];
  const fitArgs = { ...args.NodeResourcesFit, ignoredResources };
  return {
    schedulerName,
    plugins: [
      nodeUnschedulable,
      nodeName,
      taintToleration,
      nodeAffinity(args.NodeAffinity),
      nodePorts,
      nodeResourcesFit(fitArgs, (resource) => dynamicResources?.isOfDevices(resource) === true),
      ...volumePlugins,
      podTopologySpread(defaultSpreading, args.PodTopologySpread),
      interPodAffinity(args.InterPodAffinity),
      ...(dynamicResources ? [dynamicResources] : []),
      nodeResourcesBalancedAllocation(args.NodeResourcesBalancedAllocation),
      imageLocality,
    ],
  };
}
