import { describe, expect, test } from "vitest";
import type { Node, Pod } from "../api/core/v1.ts";
import type { PodDisruptionBudget } from "../api/policy/v1.ts";
import { seededRandom } from "../base/random.ts";
import { ClusterState } from "./cluster-state.ts";
import { defaultProfile } from "./default-profile.ts";
import { failureMessage } from "./failure-message.ts";
import { feasibleNodesToFind, findNode } from "./find-node.ts";
import { planPreemption } from "./plugins/default-preemption.ts";
import { podInfoOf } from "./pod-info.ts";

const meta = (name: string, extra: object = {}) => ({
  name,
  namespace: "default",
  uid: name,
  resourceVersion: "1",
  creationTimestamp: "2026-01-01T00:00:00Z",
  ...extra,
});

function node(
  name: string,
  shape: {
    cpu?: string;
    memory?: string;
    pods?: string;
    labels?: object;
    spec?: Node["spec"];
    images?: NonNullable<Node["status"]>["images"];
  } = {},
): Node {
  const { cpu = "2", memory = "4Gi", pods = "110", labels = {}, spec = {}, images } = shape;
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: meta(name, { labels: { "kubernetes.io/hostname": name, ...labels } }),
    spec,
    status: { allocatable: { cpu, memory, pods }, ...(images ? { images } : {}) },
  };
}

function pod(
  name: string,
  shape: {
    cpu?: string;
    memory?: string;
    on?: string;
    labels?: Record<string, string>;
    priority?: number;
    spec?: Partial<Pod["spec"]>;
    meta?: object;
  } = {},
): Pod {
  const { cpu, memory, on, labels = {}, priority, spec = {} } = shape;
  const requests = { ...(cpu ? { cpu } : {}), ...(memory ? { memory } : {}) };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: meta(name, { labels, ...shape.meta }),
    spec: {
      containers: [{ name: "a", image: "app:1", resources: { requests } }],
      ...(on ? { nodeName: on } : {}),
      ...(priority ? { priority } : {}),
      ...spec,
    },
    status: {},
  };
}

function cluster(nodes: Node[], pods: Pod[] = []) {
  const state = new ClusterState();
  for (const n of nodes) state.setNode(n);
  for (const p of pods) state.setPod(p);
  return state;
}

const controlPlane = node("cp", {
  spec: { taints: [{ key: "node-role.kubernetes.io/control-plane", effect: "NoSchedule" }] },
});

function decide(state: ClusterState, incoming: Pod, budgets: PodDisruptionBudget[] = []) {
  const info = podInfoOf(incoming);
  const profile = defaultProfile();
  const decision = findNode(profile, info, state, seededRandom(1));
  if (decision.kind === "placed") return decision.node.name;
  const plan = planPreemption(profile, info, decision, state, budgets);
  if (plan.kind === "evict") return { node: plan.node.name, victims: plan.victims.map(({ name }) => name) };
  return failureMessage(state.nodes.length, decision, plan.message);
}

describe("a Pod that no Node can take says why, Node by Node", () => {
  test("taints and resources", () => {
    const state = cluster([controlPlane, node("w1"), node("w2")]);
    expect(decide(state, pod("big", { cpu: "3" }))).toBe(
      "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient cpu. no new claims to deallocate, preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.",
    );
  });

  test("resources that others use", () => {
    const state = cluster(
      [controlPlane, node("w1"), node("w2")],
      [pod("a", { cpu: "1", on: "w1" }), pod("b", { cpu: "1500m", on: "w2" })],
    );
    expect(decide(state, pod("big", { cpu: "1500m" }))).toBe(
      "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient cpu. no new claims to deallocate, preemption: 0/3 nodes are available: 1 Preemption is not helpful for scheduling, 2 No preemption victims found for incoming pod.",
    );
  });

  test("selectors, cordons, host ports, full Nodes", () => {
    const ports: Partial<Pod["spec"]> = { containers: [{ name: "a", ports: [{ containerPort: 80, hostPort: 80 }] }] };
    const state = cluster(
      [
        node("w1"),
        node("w2", { labels: { disk: "ssd" }, spec: { unschedulable: true } }),
        node("w3", { labels: { disk: "ssd" } }),
        node("w4", { labels: { disk: "ssd" }, pods: "0" }),
      ],
      [pod("taken", { on: "w3", spec: ports })],
    );
    expect(decide(state, pod("p", { spec: { ...ports, nodeSelector: { disk: "ssd" } } }))).toBe(
      "0/4 nodes are available: 1 Too many pods, 1 node(s) didn't have free ports for the requested pod ports, 1 node(s) didn't match Pod's node affinity/selector, 1 node(s) were unschedulable. no new claims to deallocate, preemption: 0/4 nodes are available: 2 No preemption victims found for incoming pod, 2 Preemption is not helpful for scheduling.",
    );
  });

  test("no Nodes at all", () => {
    expect(failureMessage(0, { refusals: new Map(), plugins: new Set() }, "")).toBe(
      "no nodes available to schedule pods",
    );
  });

  test("a Pod that may not preempt", () => {
    const state = cluster([node("w1")], [pod("a", { cpu: "2", on: "w1" })]);
    expect(decide(state, pod("p", { cpu: "1", priority: 10, spec: { preemptionPolicy: "Never" } }))).toBe(
      "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: not eligible due to preemptionPolicy=Never.",
    );
  });
});

describe("filters", () => {
  test("a toleration opens a tainted Node", () => {
    const tolerations = [{ key: "node-role.kubernetes.io/control-plane", operator: "Exists" }];
    expect(decide(cluster([controlPlane]), pod("p", { spec: { tolerations } }))).toBe("cp");
  });

  test("required node affinity: terms are alternatives, expressions all hold", () => {
    const nodeSelectorTerms = [
      {
        matchExpressions: [
          { key: "zone", operator: "In", values: ["a"] },
          { key: "cores", operator: "Gt", values: ["4"] },
        ],
      },
      { matchFields: [{ key: "metadata.name", operator: "In", values: ["w3"] }] },
    ];
    const affinity = { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } } };
    const w1 = node("w1", { labels: { zone: "a", cores: "4" } });
    expect(
      decide(cluster([w1, node("w2", { labels: { zone: "a", cores: "8" } })]), pod("p", { spec: { affinity } })),
    ).toBe("w2");
    expect(decide(cluster([w1, node("w3")]), pod("p", { spec: { affinity } }))).toBe("w3");
  });

  test("init containers count beside sidecars started before them, not beside the containers", () => {
    const request = (cpu: string) => ({ resources: { requests: { cpu } } });
    const initContainers = [
      { name: "side", restartPolicy: "Always", ...request("500m") },
      { name: "init", ...request("1") },
    ];
    const info = podInfoOf(pod("p", { cpu: "700m", spec: { initContainers, overhead: { cpu: "100m" } } }));
    expect(info.requests.milliCpu).toBe(1600);
  });

  test("required anti-affinity keeps Pods apart, from both sides", () => {
    const anti = {
      podAntiAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          { topologyKey: "kubernetes.io/hostname", labelSelector: { matchLabels: { app: "db" } } },
        ],
      },
    };
    const state = cluster(
      [node("w1"), node("w2")],
      [pod("db-1", { on: "w1", labels: { app: "db" }, spec: { affinity: anti } })],
    );
    expect(decide(state, pod("db-2", { labels: { app: "db" }, spec: { affinity: anti } }))).toBe("w2");
    expect(decide(state, pod("db-3", { labels: { app: "db" } }))).toBe("w2");
    state.setPod(pod("db-2", { on: "w2", labels: { app: "db" }, spec: { affinity: anti } }));
    expect(decide(state, pod("db-4", { labels: { app: "db" } }))).toContain(
      "2 node(s) didn't satisfy existing pods anti-affinity rules",
    );
    state.removePod("db-2");
    expect(decide(state, pod("db-5", { labels: { app: "db" } }))).toBe("w2");
  });

  test("the first of a group that wants to be together goes anywhere, the others follow", () => {
    const affinity = {
      podAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          { topologyKey: "zone", labelSelector: { matchLabels: { app: "web" } } },
        ],
      },
    };
    const nodes = [
      node("w1", { labels: { zone: "a" } }),
      node("w2", { labels: { zone: "b" } }),
      node("w3", { labels: { zone: "b" } }),
    ];
    const web = (name: string, on?: string) =>
      pod(name, { labels: { app: "web" }, spec: { affinity }, ...(on ? { on } : {}) });
    expect(decide(cluster(nodes), web("first"))).toMatch(/^w/);
    const state = cluster(nodes, [web("first", "w2")]);
    expect(["w2", "w3"]).toContain(decide(state, web("second")));
    expect(decide(state, pod("other", { labels: { app: "other" }, spec: { affinity } }))).toMatch(/^w[23]/);
  });

  test("strict spreading bounds the skew between zones", () => {
    const topologySpreadConstraints = [
      {
        maxSkew: 1,
        topologyKey: "zone",
        whenUnsatisfiable: "DoNotSchedule",
        labelSelector: { matchLabels: { app: "web" } },
      },
    ];
    const nodes = [node("w1", { labels: { zone: "a" } }), node("w2", { labels: { zone: "b" } })];
    const state = cluster(nodes, [pod("1", { on: "w1", labels: { app: "web" } })]);
    const next = pod("n", { labels: { app: "web" }, spec: { topologySpreadConstraints } });
    expect(decide(state, next)).toBe("w2");
    state.setNode(node("w2", { labels: { zone: "b" }, cpu: "0", pods: "0" }));
    expect(decide(state, next)).toContain("1 node(s) didn't match pod topology spread constraints");
  });
});

describe("preemption", () => {
  test("takes the least important Pods that make enough room", () => {
    const state = cluster(
      [node("w1"), node("w2")],
      [
        pod("low", { cpu: "1", on: "w1", priority: 1 }),
        pod("mid", { cpu: "1", on: "w1", priority: 5 }),
        pod("high", { cpu: "2", on: "w2", priority: 50 }),
      ],
    );
    expect(decide(state, pod("p", { cpu: "1", priority: 10 }))).toEqual({ node: "w1", victims: ["low"] });
    expect(decide(state, pod("p", { cpu: "2", priority: 10 }))).toEqual({ node: "w1", victims: ["mid", "low"] });
    expect(decide(state, pod("q", { cpu: "2", priority: 100 }))).toEqual({ node: "w1", victims: ["mid", "low"] });
  });

  test("spares what a disruption budget protects when it can", () => {
    const budget: PodDisruptionBudget = {
      apiVersion: "policy/v1",
      kind: "PodDisruptionBudget",
      metadata: meta("b"),
      spec: { selector: { matchLabels: { app: "db" } } },
      status: { disruptionsAllowed: 0, currentHealthy: 1, desiredHealthy: 1, expectedPods: 1 },
    };
    const state = cluster(
      [node("w1"), node("w2")],
      [
        pod("db", { cpu: "2", on: "w1", priority: 1, labels: { app: "db" } }),
        pod("web", { cpu: "2", on: "w2", priority: 2 }),
      ],
    );
    expect(decide(state, pod("p", { cpu: "2", priority: 10 }))).toEqual({ node: "w1", victims: ["db"] });
    expect(decide(state, pod("p", { cpu: "2", priority: 10 }), [budget])).toEqual({ node: "w2", victims: ["web"] });
  });

  test("waits for the Pods that it has asked to leave, and for no others", () => {
    const leaving = (conditions: object[]) => {
      const low = pod("low", { cpu: "1", on: "w1", priority: 1, meta: { deletionTimestamp: "2026-01-01T00:01:00Z" } });
      const other = pod("other", { cpu: "1", on: "w1", priority: 1 });
      return cluster([node("w1")], [{ ...low, status: { conditions } as Pod["status"] }, other]);
    };
    const again = { ...pod("p", { cpu: "2", priority: 10 }), status: { nominatedNodeName: "w1" } };
    const preempted = { type: "DisruptionTarget", status: "True", reason: "PreemptionByScheduler" };
    expect(decide(leaving([preempted]), again)).toBe(
      "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: not eligible due to a terminating pod on the nominated node.",
    );
    expect(decide(leaving([]), again)).toEqual({ node: "w1", victims: ["low", "other"] });
  });

  test.each<[string, [on: string, priority: number, started: string][], string]>([
    [
      "the Node whose most important victim is least important",
      [
        ["w1", 5, "01"],
        ["w2", 3, "01"],
      ],
      "w2",
    ],
    [
      "then the one with the smallest sum",
      [
        ["w1", 5, "01"],
        ["w1", 4, "01"],
        ["w2", 5, "01"],
        ["w2", 1, "01"],
      ],
      "w2",
    ],
    [
      "then the one with the fewest",
      [
        ["w1", 5, "01"],
        ["w1", -(2 ** 31), "01"],
        ["w2", 5, "01"],
      ],
      "w2",
    ],
    [
      "then the one whose most important victim started last",
      [
        ["w1", 5, "01"],
        ["w2", 5, "02"],
      ],
      "w2",
    ],
  ])("chooses %s", (_, placed, expected) => {
    const share = (on: string) => `${2000 / placed.filter(([node]) => node === on).length}m`;
    const pods = placed.map(([on, priority, day], i) => ({
      ...pod(`v${i}`, { cpu: share(on), on, priority }),
      status: { startTime: `2026-01-${day}T00:00:00Z` } as Pod["status"],
    }));
    expect(decide(cluster([node("w1"), node("w2")], pods), pod("p", { cpu: "2", priority: 10 }))).toMatchObject({
      node: expected,
    });
  });

  test("leaves the cluster as it was", () => {
    const state = cluster([node("w1")], [pod("low", { cpu: "1", on: "w1", priority: 1 })]);
    decide(state, pod("p", { cpu: "2", priority: 10 }));
    expect(state.node("w1")?.milliCpu).toBe(1000);
    expect(state.node("w1")?.pods.size).toBe(1);
  });
});

describe("scores", () => {
  test("the emptier Node is preferred", () => {
    expect(
      decide(
        cluster([node("w1"), node("w2")], [pod("a", { cpu: "1", memory: "1Gi", on: "w1" })]),
        pod("p", { cpu: "100m" }),
      ),
    ).toBe("w2");
  });

  test("a Node that has the image is preferred when it is large", () => {
    const images = [{ names: ["app:1"], sizeBytes: 900 * 1024 * 1024 }];
    expect(decide(cluster([node("w1"), node("w2", { images })]), pod("p"))).toBe("w2");
  });

  test("preferred affinity and anti-affinity pull and push", () => {
    const term = {
      weight: 100,
      podAffinityTerm: { topologyKey: "kubernetes.io/hostname", labelSelector: { matchLabels: { app: "cache" } } },
    };
    const state = cluster([node("w1"), node("w2")], [pod("c", { on: "w1", labels: { app: "cache" } })]);
    const near = { podAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [term] } };
    const far = { podAntiAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [term] } };
    expect(decide(state, pod("p", { spec: { affinity: near } }))).toBe("w1");
    expect(decide(state, pod("p", { spec: { affinity: far } }))).toBe("w2");
  });

  test("an assumed Pod counts, a forgotten one does not", () => {
    const state = cluster([node("w1")]);
    const first = podInfoOf(pod("a", { cpu: "2" }));
    state.assume(first, state.node("w1")!);
    expect(decide(state, pod("b", { cpu: "1" }))).toContain("Insufficient cpu");
    state.forget("a");
    expect(decide(state, pod("b", { cpu: "1" }))).toBe("w1");
  });
});

test("of large clusters a shrinking share is searched, never below 5 %", () => {
  expect([10, 99, 100, 1000, 5000, 6000].map((total) => feasibleNodesToFind(total))).toEqual([
    10, 99, 100, 420, 500, 300,
  ]);
});
