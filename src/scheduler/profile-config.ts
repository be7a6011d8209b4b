/** A scheduler's profiles as its configuration gives them (KubeSchedulerConfiguration): plugins on, off and weighed, with arguments. */

import { defaultProfile, type ProfileSurroundings } from "./default-profile.ts";
import type { DefaultPreemptionArgs, Profile, SchedulerPlugin } from "./framework.ts";
import type { InterPodAffinityArgs } from "./plugins/inter-pod-affinity.ts";
import type { NodeAffinityArgs } from "./plugins/node-affinity.ts";
import type { NodeResourcesBalancedAllocationArgs } from "./plugins/node-resources-balanced-allocation.ts";
import type { NodeResourcesFitArgs } from "./plugins/node-resources-fit.ts";
import type { PodTopologySpreadArgs } from "./plugins/pod-topology-spread.ts";
import { type ExtensionPoint, type ProfileMistake, profileMistakes } from "./profile-mistakes.ts";

/** One entry of `profiles`. */
export interface ProfileConfig {
  /** Default: default-scheduler. */
  schedulerName?: string;
  /** Default: what holds for all profiles. */
  percentageOfNodesToScore?: number;
  /** By extension point; `multiPoint` is everything a plugin does. */
  plugins?: { readonly [point in ExtensionPoint | "multiPoint"]?: PluginSet };
  pluginConfig?: readonly { name: string; args: object }[];
}

export interface PluginSet {
  /** Default weight: the plugin's own. */
  enabled?: readonly { name: string; weight?: number }[];
  /** `*`: all of them. */
  disabled?: readonly { name: string }[];
}

/** Arguments by upstream's names of the plugins that take some. */
export interface PluginArgs {
  NodeResourcesFit?: NodeResourcesFitArgs;
  NodeAffinity?: NodeAffinityArgs;
  InterPodAffinity?: InterPodAffinityArgs;
  PodTopologySpread?: PodTopologySpreadArgs;
  NodeResourcesBalancedAllocation?: NodeResourcesBalancedAllocationArgs;
  DefaultPreemption?: DefaultPreemptionArgs;
}

const preemption = "DefaultPreemption";

/** Throws an Error that names all that is wrong: an unknown plugin, a weight that is none, two profiles of one name. */
export function compileProfiles(configs: readonly ProfileConfig[], surroundings: ProfileSurroundings = {}): Profile[] {
  const mistakes = profileMistakes(configs);
  if (mistakes.length > 0) {
    const place = ({ path }: ProfileMistake) =>
      path.map((step) => (typeof step === "number" ? `[${step}]` : `.${step}`)).join("");
    throw new Error(mistakes.map((mistake) => `profiles${place(mistake)}: ${mistake.message}`).join("\n"));
  }
  return configs.map((config) => compileProfile(config, surroundings));
}

function compileProfile(
  { schedulerName = "default-scheduler", plugins = {}, pluginConfig = [], percentageOfNodesToScore }: ProfileConfig,
  surroundings: ProfileSurroundings,
): Profile {
  const args = Object.fromEntries(pluginConfig.map(({ name, args: given }) => [name, given])) as PluginArgs;
  const profile = defaultProfile(surroundings, schedulerName, args);
  const isOn = (name: string, set: PluginSet | undefined, otherwise: boolean) => {
    if (set?.enabled?.some((plugin) => plugin.name === name)) return true;
    return set?.disabled?.some((plugin) => plugin.name === name || plugin.name === "*") ? false : otherwise;
  };
  const weightIn = (name: string, set: PluginSet | undefined) =>
    set?.enabled?.find((plugin) => plugin.name === name)?.weight || undefined;
  const { multiPoint, score, postFilter } = plugins;
  const chosen = profile.plugins.flatMap((plugin): SchedulerPlugin[] => {
    const { name, weight, wakesOn, isNodeLocal = false } = plugin;
    const isThere = isOn(name, multiPoint, true);
    const at = (point: ExtensionPoint) => isOn(name, plugins[point], isThere);
    // One function is both halves here, and without the first the second knows nothing.
    const filters = plugin.filter && at("preFilter") && at("filter");
    const scores = plugin.score && at("preScore") && at("score");
    const reserves = plugin.reserve && at("reserve");
    const enqueues = plugin.preEnqueue && at("preEnqueue");
    if (!filters && !scores && !reserves && !enqueues) return [];
    const weighs = weightIn(name, score) ?? weightIn(name, multiPoint) ?? weight;
    return [
      {
        // Called on the plugin, which may have state.
        name,
        wakesOn,
        isNodeLocal,
        ...(weighs === undefined ? {} : { weight: weighs }),
        ...(filters ? { filter: (pod, cluster) => plugin.filter!(pod, cluster) } : {}),
        ...(enqueues ? { preEnqueue: (pod) => plugin.preEnqueue!(pod) } : {}),
        ...(plugin.postFilter && at("postFilter")
          ? { postFilter: (pod, refusals) => plugin.postFilter!(pod, refusals) }
          : {}),
        ...(reserves ? { reserve: (pod, node) => plugin.reserve!(pod, node) } : {}),
        ...(reserves && plugin.unreserve ? { unreserve: (pod) => plugin.unreserve!(pod) } : {}),
        ...(plugin.preBind && at("preBind") ? { preBind: (pod, node) => plugin.preBind!(pod, node) } : {}),
        ...(scores ? { score: (pod, cluster, nodes) => plugin.score!(pod, cluster, nodes) } : {}),
      },
    ];
  });
  const preempts = isOn(preemption, postFilter, isOn(preemption, multiPoint, true));
  const share = percentageOfNodesToScore ?? surroundings.percentageOfNodesToScore;
  return {
    ...profile,
    plugins: chosen,
    preempts,
    ...(share ? { percentageOfNodesToScore: share } : {}),
    ...(args.DefaultPreemption ? { preemption: args.DefaultPreemption } : {}),
  };
}
