/** A scheduler's profiles as its configuration gives them (KubeSchedulerConfiguration): plugins on, off and weighed, with arguments. */

import { defaultProfile, type ProfileSurroundings } from "./default-profile.ts";
import type { Profile, SchedulerPlugin } from "./framework.ts";
import type { InterPodAffinityArgs } from "./plugins/inter-pod-affinity.ts";
import type { NodeAffinityArgs } from "./plugins/node-affinity.ts";
import type { NodeResourcesFitArgs } from "./plugins/node-resources-fit.ts";
import type { PodTopologySpreadArgs } from "./plugins/pod-topology-spread.ts";
import { type ProfileMistake, profileMistakes } from "./profile-mistakes.ts";

/** One entry of `profiles`. */
export interface ProfileConfig {
  /** Default: default-scheduler. */
  schedulerName?: string;
  plugins?: {
    /** Everything a plugin does. */
    multiPoint?: PluginSet;
    filter?: PluginSet;
    score?: PluginSet;
    /** Only DefaultPreemption is there. */
    postFilter?: PluginSet;
  };
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
  { schedulerName = "default-scheduler", plugins = {}, pluginConfig = [] }: ProfileConfig,
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
  const { multiPoint, filter, score, postFilter } = plugins;
  const chosen = profile.plugins.flatMap((plugin): SchedulerPlugin[] => {
    const { name, weight, wakesOn, isNodeLocal = false } = plugin;
    const isThere = isOn(name, multiPoint, true);
    const filters = plugin.filter && isOn(name, filter, isThere);
    const scores = plugin.score && isOn(name, score, isThere);
    if (!filters && !scores) return [];
    const weighs = weightIn(name, score) ?? weightIn(name, multiPoint) ?? weight;
    return [
      {
        // Called on the plugin, which may have state. What it does around a binding goes with its filter.
        name,
        wakesOn,
        isNodeLocal,
        ...(weighs === undefined ? {} : { weight: weighs }),
        ...(filters ? { filter: (pod, cluster) => plugin.filter!(pod, cluster) } : {}),
        ...(filters && plugin.preEnqueue ? { preEnqueue: (pod) => plugin.preEnqueue!(pod) } : {}),
        ...(filters && plugin.postFilter ? { postFilter: (pod, refusals) => plugin.postFilter!(pod, refusals) } : {}),
        ...(filters && plugin.reserve ? { reserve: (pod, node) => plugin.reserve!(pod, node) } : {}),
        ...(filters && plugin.unreserve ? { unreserve: (pod) => plugin.unreserve!(pod) } : {}),
        ...(filters && plugin.preBind ? { preBind: (pod, node) => plugin.preBind!(pod, node) } : {}),
        ...(scores ? { score: (pod, cluster, nodes) => plugin.score!(pod, cluster, nodes) } : {}),
      },
    ];
  });
  const preempts = isOn(preemption, postFilter, isOn(preemption, multiPoint, true));
  return { ...profile, plugins: chosen, preempts };
}
