/** What is wrong with a scheduler's profiles: each mistake with its place, and with what would be right. Pure. */
import type { DefaultPreemptionArgs } from "./framework.ts";
import type { PluginSet, ProfileConfig } from "./profile-config.ts";

export interface ProfileMistake {
  /** Below `profiles`: `[0, "plugins", "score", "enabled", 1, "name"]`. */
  path: readonly (string | number)[];
  message: string;
}

type Path = ProfileMistake["path"];
type Check = (value: unknown, path: Path) => ProfileMistake[];

const preFilters = [
  "DynamicResources",
  "InterPodAffinity",
  "NodeAffinity",
  "NodePorts",
  "NodeResourcesFit",
  "NodeVolumeLimits",
  "PodTopologySpread",
  "VolumeBinding",
  "VolumeRestrictions",
  "VolumeZone",
];
const preScores = [
  "InterPodAffinity",
  "NodeAffinity",
  "NodeResourcesBalancedAllocation",
  "NodeResourcesFit",
  "PodTopologySpread",
  "TaintToleration",
];
/** Who does something where, by upstream's names. */
const extensions = {
  preEnqueue: ["DynamicResources", "SchedulingGates"],
  queueSort: ["PrioritySort"],
  preFilter: preFilters,
  filter: [...preFilters, "NodeName", "NodeUnschedulable", "TaintToleration"],
  postFilter: ["DefaultPreemption", "DynamicResources"],
  preScore: preScores,
  score: [...preScores, "ImageLocality"],
  reserve: ["DynamicResources", "VolumeBinding"],
  permit: [],
  preBind: ["DynamicResources", "VolumeBinding"],
  bind: ["DefaultBinder"],
  postBind: [],
} satisfies Record<string, readonly string[]>;

export type ExtensionPoint = keyof typeof extensions;

/** Every default plugin by upstream's name, but those that are built in. */
const pluginNames = [...new Set(Object.values(extensions).flat())]
  .filter((name) => !["DefaultBinder", "PrioritySort", "SchedulingGates"].includes(name))
  .sort();
/** They are how the scheduler works: naming them changes nothing, and they cannot be turned off. */
const builtIn = ["DefaultBinder", "PrioritySort", "SchedulingGates"];

/** Empty when all is well. What the configuration's schema says about its shape is taken for granted. */
export function profileMistakes(profiles: readonly ProfileConfig[]): ProfileMistake[] {
  const firstOf = new Map<string, number>();
  return profiles.flatMap((profile, i) => {
    const { schedulerName = "default-scheduler", plugins = {}, pluginConfig = [] } = profile;
    const mistakes: ProfileMistake[] = [];
    const first = firstOf.get(schedulerName);
    if (first === undefined) firstOf.set(schedulerName, i);
    else {
      const path = profile.schedulerName === undefined ? [i] : [i, "schedulerName"];
      mistakes.push({ path, message: `"${schedulerName}" is already the name of profiles[${first}]` });
    }
    for (const [point, set] of Object.entries(plugins)) {
      const known = point === "multiPoint" ? undefined : extensions[point as ExtensionPoint];
      mistakes.push(...setMistakes(set, [i, "plugins", point], known));
    }
    const seen = new Set<string>();
    for (const [j, { name, args }] of pluginConfig.entries()) {
      const path = [i, "pluginConfig", j];
      const check = argumentChecks[name];
      if (seen.has(name))
        mistakes.push({ path: [...path, "name"], message: `the arguments of ${name} are given twice` });
      seen.add(name);
      if (check) mistakes.push(...check(args, [...path, "args"]));
      else mistakes.push(...nameMistakes(name, [...path, "name"]), ...withoutArguments(name, [...path, "name"]));
    }
    return mistakes;
  });
}

/** `known`: who does something at this point. */
function setMistakes(set: PluginSet | undefined, path: Path, known: readonly string[] | undefined): ProfileMistake[] {
  const mistakes: ProfileMistake[] = [];
  const on = new Set<string>();
  for (const [i, { name, weight }] of (set?.enabled ?? []).entries()) {
    const at = [...path, "enabled", i];
    const wrong = nameMistakes(name, [...at, "name"]);
    mistakes.push(...wrong);
    if (wrong.length === 0 && known && !known.includes(name)) {
      const those = known.length > 0 ? `those that do are ${known.join(", ")}` : "no plugin does";
      mistakes.push({ path: [...at, "name"], message: `${name} does not extend ${path.at(-1)}; ${those}` });
    }
    if (on.has(name)) mistakes.push({ path: [...at, "name"], message: `${name} is enabled twice` });
    on.add(name);
    if (weight !== undefined) mistakes.push(...wholeNumber(0, 100)(weight, [...at, "weight"]));
  }
  for (const [i, { name }] of (set?.disabled ?? []).entries()) {
    const at = [...path, "disabled", i, "name"];
    if (name === "*") continue;
    if (builtIn.includes(name)) mistakes.push({ path: at, message: `${name} cannot be turned off` });
    else mistakes.push(...nameMistakes(name, at));
  }
  return mistakes;
}

function nameMistakes(name: string, path: Path): ProfileMistake[] {
  if (pluginNames.includes(name) || builtIn.includes(name)) return [];
  return [
    { path, message: `there is no plugin "${name}"; known are ${[...pluginNames, ...builtIn].sort().join(", ")}` },
  ];
}

function withoutArguments(name: string, path: Path): ProfileMistake[] {
  if (!pluginNames.includes(name) && !builtIn.includes(name)) return [];
  const known = Object.keys(argumentChecks).sort().join(", ");
  return [{ path, message: `${name} takes no arguments here; those that do are ${known}` }];
}

const wholeNumber =
  (least: number, most: number): Check =>
  (value, path) =>
    Number.isInteger(value) && (value as number) >= least && (value as number) <= most
      ? []
      : [{ path, message: `${JSON.stringify(value)} must be a whole number from ${least} to ${most}` }];

const oneOf =
  (...known: string[]): Check =>
  (value, path) =>
    known.includes(value as string)
      ? []
      : [{ path, message: `${JSON.stringify(value)} is not one of ${known.join(", ")}` }];

const boolean: Check = (value, path) =>
  typeof value === "boolean" ? [] : [{ path, message: `${JSON.stringify(value)} must be true or false` }];

const text: Check = (value, path) =>
  typeof value === "string" && value !== "" ? [] : [{ path, message: `${JSON.stringify(value)} must be a text` }];

const prefix: Check = (value, path) => {
  const mistakes = text(value, path);
  if (mistakes.length > 0 || !(value as string).includes("/")) return mistakes;
  return [{ path, message: `${JSON.stringify(value)} must be what stands before the slash of a resource's name` }];
};

const anything: Check = () => [];

/** A list of at least so many. */
const listOf =
  (check: Check, atLeast = 0): Check =>
  (value, path) => {
    if (!Array.isArray(value)) return [{ path, message: `${JSON.stringify(value)} must be a list` }];
    if (value.length < atLeast) return [{ path, message: `must hold at least ${atLeast}` }];
    return value.flatMap((entry, i) => check(entry, [...path, i]));
  };

/** A mapping of known fields; `required` ones must be there. */
const fieldsOf =
  (fields: Readonly<Record<string, Check>>, required: readonly string[] = []): Check =>
  (value, path) => {
    if (typeof value !== "object" || value === null || Array.isArray(value))
      return [{ path, message: `${JSON.stringify(value)} must be a mapping` }];
    const missing = required
      .filter((name) => !(name in value))
      .map((name): ProfileMistake => ({ path, message: `"${name}" is missing` }));
    const wrong = Object.entries(value).flatMap(([name, entry]): ProfileMistake[] => {
      const check = fields[name];
      if (check) return entry === undefined ? [] : check(entry, [...path, name]);
      const known = Object.keys(fields).join(", ");
      return [{ path: [...path, name], message: `unknown field; known fields: ${known}` }];
    });
    return [...missing, ...wrong];
  };

/** A document's own fields, which users copy along with the arguments. */
const typed = { apiVersion: text, kind: text };
const weighed = listOf(fieldsOf({ name: text, weight: wholeNumber(1, 100) }, ["name"]));

/** Upstream takes no other weight than 1 there. */
const balanced = listOf(fieldsOf({ name: text, weight: wholeNumber(1, 1) }, ["name"]));

const shape: Check = (value, path) => {
  const point = fieldsOf({ utilization: wholeNumber(0, 100), score: wholeNumber(0, 10) }, ["utilization", "score"]);
  const mistakes = listOf(point, 1)(value, path);
  if (mistakes.length > 0) return mistakes;
  const points = value as { utilization: number }[];
  return points.flatMap(({ utilization }, i) =>
    i > 0 && utilization <= points[i - 1]!.utilization
      ? [{ path: [...path, i, "utilization"], message: `${utilization} must be more than that of the point before` }]
      : [],
  );
};

const scoringStrategy: Check = (value, path) => {
  const types = ["LeastAllocated", "MostAllocated", "RequestedToCapacityRatio"];
  const ratio = fieldsOf({ shape }, ["shape"]);
  const mistakes = fieldsOf({ type: oneOf(...types), resources: weighed, requestedToCapacityRatio: ratio })(
    value,
    path,
  );
  if (mistakes.length > 0) return mistakes;
  const { type, requestedToCapacityRatio } = value as { type?: string; requestedToCapacityRatio?: object };
  return type === "RequestedToCapacityRatio" && !requestedToCapacityRatio
    ? [{ path, message: "the type RequestedToCapacityRatio needs requestedToCapacityRatio.shape" }]
    : [];
};

const defaultConstraint = fieldsOf(
  {
    maxSkew: wholeNumber(1, 2 ** 31 - 1),
    topologyKey: text,
    whenUnsatisfiable: oneOf("DoNotSchedule", "ScheduleAnyway"),
    minDomains: wholeNumber(1, 2 ** 31 - 1),
    nodeAffinityPolicy: oneOf("Honor", "Ignore"),
    nodeTaintsPolicy: oneOf("Honor", "Ignore"),
    labelSelector: (_, path) => [
      { path, message: "must not be set: the selector comes from the pod's Services and controllers" },
    ],
  },
  ["maxSkew", "topologyKey", "whenUnsatisfiable"],
);

const topologySpread: Check = (value, path) => {
  const fields = { ...typed, defaultConstraints: listOf(defaultConstraint), defaultingType: oneOf("System", "List") };
  const mistakes = fieldsOf(fields)(value, path);
  if (mistakes.length > 0) return mistakes;
  const { defaultConstraints, defaultingType = "System" } = value as {
    defaultConstraints?: unknown[];
    defaultingType?: string;
  };
  return defaultConstraints?.length && defaultingType === "System"
    ? [{ path: [...path, "defaultingType"], message: 'must be "List" when defaultConstraints are given' }]
    : [];
};

const argumentChecks: Readonly<Record<string, Check>> = {
  NodeResourcesFit: fieldsOf({
    ...typed,
    scoringStrategy,
    ignoredResources: listOf(text),
    ignoredResourceGroups: listOf(prefix),
  }),
  // Terms are judged as those of Pods are, by whoever reads the configuration.
  NodeAffinity: fieldsOf({
    ...typed,
    addedAffinity: fieldsOf({
      requiredDuringSchedulingIgnoredDuringExecution: anything,
      preferredDuringSchedulingIgnoredDuringExecution: anything,
    }),
  }),
  InterPodAffinity: fieldsOf({
    ...typed,
    hardPodAffinityWeight: wholeNumber(0, 100),
    ignorePreferredTermsOfExistingPods: boolean,
  }),
  PodTopologySpread: topologySpread,
  NodeResourcesBalancedAllocation: fieldsOf({ ...typed, resources: balanced }),
  DefaultPreemption: (value, path) => {
    const mistakes = fieldsOf({
      ...typed,
      minCandidateNodesPercentage: wholeNumber(0, 100),
      minCandidateNodesAbsolute: wholeNumber(0, 2 ** 31 - 1),
    })(value, path);
    if (mistakes.length > 0) return mistakes;
    const { minCandidateNodesPercentage: percentage, minCandidateNodesAbsolute: absolute } =
      value as DefaultPreemptionArgs;
    return percentage === 0 && absolute === 0
      ? [{ path, message: "minCandidateNodesPercentage and minCandidateNodesAbsolute cannot both be zero" }]
      : [];
  },
};
