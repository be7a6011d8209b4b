import { describe, expect, test } from "vitest";
import type { Node, Pod } from "../api/core/v1.ts";
import { labelMapMatcher } from "../apimachinery/selectors.ts";
import { seededRandom } from "../base/random.ts";
import { ClusterState } from "./cluster-state.ts";
import { failureMessage } from "./failure-message.ts";
import { findNode } from "./find-node.ts";
import type { NodeResourcesFitArgs } from "./plugins/node-resources-fit.ts";
import { nodeResourcesFit } from "./plugins/node-resources-fit.ts";
import type { DefaultSpreading } from "./plugins/pod-topology-spread.ts";
import { podInfoOf } from "./pod-info.ts";
import { compileProfiles, type ProfileConfig } from "./profile-config.ts";

const meta = (name: string, labels = {}) => ({
  name,
  namespace: "default",
  uid: name,
  resourceVersion: "1",
  creationTimestamp: "2026-01-01T00:00:00Z",
  labels,
});

function node(name: string, allocatable: Record<string, string>, labels = {}): Node {
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: meta(name, labels),
    spec: {},
    status: { allocatable: { cpu: "4", memory: "4Gi", pods: "110", ...allocatable } },
  };
}

function pod(name: string, requests: Record<string, string>, on?: string): Pod {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: meta(name),
    spec: { containers: [{ name: "a", image: "app:1", resources: { requests } }], ...(on ? { nodeName: on } : {}) },
    status: {},
  };
}

function state(nodes: Node[], pods: Pod[] = []): ClusterState {
  const cluster = new ClusterState();
  for (const each of nodes) cluster.setNode(each);
  for (const each of pods) cluster.setPod(each);
  return cluster;
}

function place(config: ProfileConfig, cluster: ClusterState, incoming: Pod): string {
  const [profile] = compileProfiles([config]);
  const decision = findNode(profile!, podInfoOf(incoming), cluster, seededRandom(1));
  return decision.kind === "placed" ? decision.node.name : failureMessage(cluster.nodes.length, decision, "");
}

describe("NodeResourcesFit scores by", () => {
  const gpus = { "example.com/gpu": "8" };
  const shape = [
    { utilization: 0, score: 0 },
    { utilization: 50, score: 10 },
    { utilization: 100, score: 5 },
  ];
  const cases: [string, NodeResourcesFitArgs["scoringStrategy"] & object, number][] = [
    // One of four CPUs and 1 GiB of four: a quarter.
    ["what is left over", { type: "LeastAllocated" }, 75],
    ["what is taken", { type: "MostAllocated" }, 25],
    ["one resource alone", { type: "MostAllocated", resources: [{ name: "example.com/gpu" }] }, 50],
    [
      "weights",
      {
        type: "MostAllocated",
        resources: [
          { name: "cpu", weight: 1 },
          { name: "example.com/gpu", weight: 3 },
        ],
      },
      Math.floor((25 + 3 * 50) / 4),
    ],
    ["a shape, between its points", { type: "RequestedToCapacityRatio", requestedToCapacityRatio: { shape } }, 50],
    [
      "a shape, at a point",
      {
        type: "RequestedToCapacityRatio",
        requestedToCapacityRatio: { shape },
        resources: [{ name: "example.com/gpu" }],
      },
      100,
    ],
    ["what the Node does not have: nothing", { type: "MostAllocated", resources: [{ name: "example.com/tpu" }] }, 0],
  ];
  test.each(cases)("%s", (_, scoringStrategy, expected) => {
    const cluster = state([node("w", gpus)]);
    const incoming = podInfoOf(pod("p", { cpu: "1", memory: "1Gi", "example.com/gpu": "4" }));
    const scorer = nodeResourcesFit({ scoringStrategy }).score!(incoming, cluster, cluster.nodes)!;
    expect(scorer.score(cluster.nodes[0]!)).toBe(expected);
  });
});

describe("a profile", () => {
  const nodes = [node("full", {}, { disk: "ssd" }), node("empty", {})];
  const taken = [pod("other", { cpu: "2", memory: "2Gi" }, "full")];
  const packing: ProfileConfig = {
    plugins: { score: { disabled: [{ name: "*" }], enabled: [{ name: "NodeResourcesFit" }] } },
    pluginConfig: [{ name: "NodeResourcesFit", args: { scoringStrategy: { type: "MostAllocated" } } }],
  };
  const cases: [string, ProfileConfig, Record<string, string>, string][] = [
    ["without a word is the default one", {}, { cpu: "1" }, "empty"],
    ["may pack Nodes", packing, { cpu: "1" }, "full"],
    [
      "may add a node affinity to every Pod",
      {
        pluginConfig: [
          {
            name: "NodeAffinity",
            args: {
              addedAffinity: {
                requiredDuringSchedulingIgnoredDuringExecution: {
                  nodeSelectorTerms: [{ matchExpressions: [{ key: "disk", operator: "In", values: ["ssd"] }] }],
                },
              },
            },
          },
        ],
      },
      { cpu: "3" },
      "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) didn't match scheduler-enforced node affinity.",
    ],
    [
      "may leave extended resources to others",
      { pluginConfig: [{ name: "NodeResourcesFit", args: { ignoredResourceGroups: ["example.com"] } }] },
      { cpu: "1", "example.com/gpu": "1" },
      "empty",
    ],
    [
      "may switch a filter off",
      { plugins: { filter: { disabled: [{ name: "NodeResourcesFit" }] } } },
      { cpu: "9" },
      "full",
    ],
  ];
  test.each(cases)("%s", (_, config, requests, expected) => {
    expect(place(config, state(nodes, taken), pod("p", requests))).toBe(expected);
  });

  test("may be told not to make room", () => {
    const [profile] = compileProfiles([{ plugins: { postFilter: { disabled: [{ name: "DefaultPreemption" }] } } }]);
    expect(profile!.preempts).toBe(false);
  });

  const twice = { name: "NodeAffinity", args: {} };
  const fitting = (args: object): ProfileConfig[] => [{ pluginConfig: [{ name: "NodeResourcesFit", args }] }];
  const spread = (args: object): ProfileConfig[] => [{ pluginConfig: [{ name: "PodTopologySpread", args }] }];
  const falling = [
    { utilization: 50, score: 1 },
    { utilization: 50, score: 2 },
  ];
  test.each<[string, ProfileConfig[], string]>([
    [
      "an unknown plugin",
      [{ plugins: { score: { enabled: [{ name: "NodeLuck" }] } } }],
      'profiles[0].plugins.score.enabled[0].name: there is no plugin "NodeLuck"; known are DefaultBinder, ',
    ],
    [
      "a weight beyond 100",
      [{ plugins: { score: { enabled: [{ name: "NodeAffinity", weight: 101 }] } } }],
      "profiles[0].plugins.score.enabled[0].weight: 101 must be a whole number from 0 to 100",
    ],
    [
      "a plugin enabled twice",
      [{ plugins: { multiPoint: { enabled: [{ name: "NodeName" }, { name: "NodeName" }] } } }],
      "profiles[0].plugins.multiPoint.enabled[1].name: NodeName is enabled twice",
    ],
    [
      "a plugin where it does nothing",
      [{ plugins: { reserve: { enabled: [{ name: "NodeName" }] } } }],
      "profiles[0].plugins.reserve.enabled[0].name: NodeName does not extend reserve; those that do are DynamicResources, VolumeBinding",
    ],
    [
      "preemption that looks nowhere",
      [
        {
          pluginConfig: [
            { name: "DefaultPreemption", args: { minCandidateNodesPercentage: 0, minCandidateNodesAbsolute: 0 } },
          ],
        },
      ],
      "pluginConfig[0].args: minCandidateNodesPercentage and minCandidateNodesAbsolute cannot both be zero",
    ],
    [
      "a scheduler that does not bind",
      [{ plugins: { multiPoint: { disabled: [{ name: "DefaultBinder" }] } } }],
      "profiles[0].plugins.multiPoint.disabled[0].name: DefaultBinder cannot be turned off",
    ],
    ["two profiles of one name", [{}, {}], 'profiles[1]: "default-scheduler" is already the name of profiles[0]'],
    [
      "arguments that are given twice",
      [{ pluginConfig: [twice, twice] }],
      "profiles[0].pluginConfig[1].name: the arguments of NodeAffinity are given twice",
    ],
    [
      "arguments of a plugin that takes none",
      [{ pluginConfig: [{ name: "NodePorts", args: {} }] }],
      "profiles[0].pluginConfig[0].name: NodePorts takes no arguments here; those that do are DefaultPreemption, ",
    ],
    [
      "an unknown argument",
      fitting({ scoring: {} }),
      "profiles[0].pluginConfig[0].args.scoring: unknown field; known fields: apiVersion, kind, scoringStrategy",
    ],
    [
      "an unknown strategy",
      fitting({ scoringStrategy: { type: "Random" } }),
      'profiles[0].pluginConfig[0].args.scoringStrategy.type: "Random" is not one of LeastAllocated, MostAllocated, ',
    ],
    [
      "a ratio without its shape",
      fitting({ scoringStrategy: { type: "RequestedToCapacityRatio" } }),
      "args.scoringStrategy: the type RequestedToCapacityRatio needs requestedToCapacityRatio.shape",
    ],
    [
      "a shape that goes back",
      fitting({ scoringStrategy: { requestedToCapacityRatio: { shape: falling } } }),
      "requestedToCapacityRatio.shape[1].utilization: 50 must be more than that of the point before",
    ],
    [
      "a weight that is none",
      fitting({ scoringStrategy: { resources: [{ name: "cpu", weight: 0 }] } }),
      "scoringStrategy.resources[0].weight: 0 must be a whole number from 1 to 100",
    ],
    [
      "default constraints that would be ignored",
      spread({ defaultConstraints: [{ maxSkew: 1, topologyKey: "zone", whenUnsatisfiable: "ScheduleAnyway" }] }),
      'args.defaultingType: must be "List" when defaultConstraints are given',
    ],
    [
      "a default constraint with a selector",
      spread({
        defaultingType: "List",
        defaultConstraints: [
          { maxSkew: 1, topologyKey: "zone", whenUnsatisfiable: "ScheduleAnyway", labelSelector: {} },
        ],
      }),
      "defaultConstraints[0].labelSelector: must not be set: the selector comes from the pod's Services and controllers",
    ],
  ])("%s is refused", (_, configs, message) => {
    expect(() => compileProfiles(configs)).toThrow(message);
  });

  test("may spread Pods of one Service strictly by default", () => {
    const web = { app: "web" };
    const selector: DefaultSpreading = { key: "web", selector: labelMapMatcher(web), pair: ["app", "web"] };
    const constraint = { maxSkew: 1, topologyKey: "zone", whenUnsatisfiable: "DoNotSchedule" };
    const args = { defaultingType: "List", defaultConstraints: [constraint] };
    const [profile] = compileProfiles(spread(args), { defaultSpreading: () => selector });
    const nodes = [node("a", {}, { zone: "1" }), node("b", { cpu: "0" }, { zone: "2" })];
    const first = { ...pod("first", {}, "a"), metadata: meta("first", web) };
    const second = podInfoOf({ ...pod("second", { cpu: "1" }), metadata: meta("second", web) });
    const decision = findNode(profile!, second, state(nodes, [first]), seededRandom(1));
    expect(decision.kind === "unschedulable" && failureMessage(2, decision, "")).toBe(
      "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) didn't match pod topology spread constraints.",
    );
  });
});
