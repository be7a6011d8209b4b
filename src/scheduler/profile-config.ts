/** A scheduler's profiles as its configuration gives them (KubeSchedulerConfiguration): plugins on, off and weighed, with arguments. */

import { defaultProfile, type ProfileSurroundings } from "./default-profile.ts";
import type { Profile, SchedulerPlugin } from "./framework.ts";
import type { InterPodAffinityArgs } from "./plugins/inter-pod-affinity.ts";
import type { NodeAffinityArgs } from "./plugins/node-affinity.ts";
import type { NodeResourcesFitArgs } from "./plugins/node-resources-fit.ts";

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
}

const preemption = "DefaultPreemption";

/** Throws an Error that names what is wrong: an unknown plugin, a weight that is none, two profiles of one name. */
export function compileProfiles(configs: readonly ProfileConfig[], surroundings: ProfileSurroundings = {}): Profile[] {
  const profiles = configs.map((config) => compileProfile(config, surroundings));
  const names = profiles.map(({ schedulerName }) => schedulerName);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new Error(`two scheduler profiles are called "${twice}"`);
  return profiles;
}

function compileProfile(
  { schedulerName = "default-scheduler", plugins = {}, pluginConfig = [] }: ProfileConfig,
  surroundings: ProfileSurroundings,
): Profile {
  const args = Object.fromEntries(pluginConfig.map(({ name, args: given }) => [name, given])) as PluginArgs;
  const profile = defaultProfile(surroundings, schedulerName, args);
  const known = new Set([...profile.plugins.map(({ name }) => name), preemption]);
  const check = (name: string) => {
    if (known.has(name)) return;
    throw new Error(
      `scheduler profile "${schedulerName}": there is no plugin "${name}"; known are ${[...known].sort().join(", ")}`,
    );
  };
  for (const { name } of pluginConfig) check(name);
  for (const set of Object.values(plugins)) {
    for (const { name } of set?.disabled ?? []) if (name !== "*") check(name);
    for (const { name, weight } of set?.enabled ?? []) {
      check(name);
      if (weight !== undefined && !(Number.isInteger(weight) && weight >= 0 && weight <= 100))
        throw new Error(`scheduler profile "${schedulerName}": the weight of ${name} must be a whole number up to 100`);
    }
  }
  const isOn = (name: string, set: PluginSet | undefined, otherwise: boolean) => {
    if (set?.enabled?.some((plugin) => plugin.name === name)) return true;
    return set?.disabled?.some((plugin) => plugin.name === name || plugin.name === "*") ? false : otherwise;
  };
  const weightIn = (name: string, set: PluginSet | undefined) =>
    set?.enabled?.find((plugin) => plugin.name === name)?.weight || undefined;
  const { multiPoint, filter, score, postFilter } = plugins;
  const chosen = profile.plugins.flatMap((plugin): SchedulerPlugin[] => {
    const { name, weight, wakesOn } = plugin;
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
        ...(weighs === undefined ? {} : { weight: weighs }),
        ...(filters ? { filter: (pod, cluster) => plugin.filter!(pod, cluster) } : {}),
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
