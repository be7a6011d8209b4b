import { describe, expect, test } from "vitest";
import type { Node, Pod } from "../api/core/v1.ts";
import { seededRandom } from "../base/random.ts";
import { ClusterState } from "./cluster-state.ts";
import { failureMessage } from "./failure-message.ts";
import { findNode } from "./find-node.ts";
import type { NodeResourcesFitArgs } from "./plugins/node-resources-fit.ts";
import { nodeResourcesFit } from "./plugins/node-resources-fit.ts";
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

  test.each<[string, ProfileConfig[], string]>([
    [
      "an unknown plugin",
      [{ plugins: { score: { enabled: [{ name: "NodeLuck" }] } } }],
      'scheduler profile "default-scheduler": there is no plugin "NodeLuck"',
    ],
    [
      "a weight beyond 100",
      [{ plugins: { score: { enabled: [{ name: "NodeAffinity", weight: 101 }] } } }],
      'scheduler profile "default-scheduler": the weight of NodeAffinity must be a whole number up to 100',
    ],
    ["two profiles of one name", [{}, {}], 'two scheduler profiles are called "default-scheduler"'],
  ])("%s is refused", (_, configs, message) => {
    expect(() => compileProfiles(configs)).toThrow(message);
  });
});
