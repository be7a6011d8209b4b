import { describe, expect, test } from "vitest";
import type { Node, Pod } from "../../api/core/v1.ts";
import { seededRandom } from "../../base/random.ts";
import { ClusterState } from "../cluster-state.ts";
import { defaultProfile } from "../default-profile.ts";
import { failureMessage } from "../failure-message.ts";
import { findNode } from "../find-node.ts";
import { podInfoOf } from "../pod-info.ts";

const created = { resourceVersion: "1", creationTimestamp: "2026-01-01T00:00:00Z" };

function node(name: string, shape: { labels?: Record<string, string>; spec?: Node["spec"]; has?: object } = {}): Node {
  const { labels = {}, spec = {}, has = {} } = shape;
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: { ...created, name, uid: name, labels: { "kubernetes.io/hostname": name, ...labels } },
    spec,
    status: { allocatable: { cpu: "4", memory: "4Gi", pods: "110", ...has } },
  };
}

interface PodShape {
  on?: string;
  namespace?: string;
  labels?: Record<string, string>;
  requests?: Record<string, string>;
  spec?: Partial<Pod["spec"]>;
  going?: boolean;
}

function pod(name: string, { on, namespace = "default", labels = {}, requests = {}, spec, going }: PodShape = {}): Pod {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      ...created,
      name,
      namespace,
      uid: `${namespace}-${name}`,
      labels,
      ...(going ? { deletionTimestamp: created.creationTimestamp } : {}),
    },
    spec: {
      containers: [{ name: "a", image: "app:1", resources: { requests } }],
      ...(on ? { nodeName: on } : {}),
      ...spec,
    },
    status: {},
  };
}

function decide(nodes: Node[], pods: Pod[], incoming: Pod, namespaces: Record<string, Record<string, string>> = {}) {
  const state = new ClusterState();
  for (const [name, labels] of Object.entries(namespaces)) {
    state.setNamespace({
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { ...created, name, uid: name, labels },
      spec: {},
      status: {},
    });
  }
  for (const each of nodes) state.setNode(each);
  for (const each of pods) state.setPod(each);
  const decision = findNode(defaultProfile(), podInfoOf(incoming), state, seededRandom(1));
  return decision.kind === "placed" ? decision.node.name : failureMessage(nodes.length, decision, "");
}

const ports = (hostPort: number, hostIP?: string, protocol = "TCP"): Partial<Pod["spec"]> => ({
  containers: [
    { name: "a", image: "app:1", ports: [{ containerPort: 80, hostPort, protocol, ...(hostIP ? { hostIP } : {}) }] },
  ],
});
const noPort = "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.";

describe("host ports", () => {
  test.each<[string, Partial<Pod["spec"]>, Partial<Pod["spec"]>, string]>([
    ["the same port is taken", ports(80), ports(80), noPort],
    ["another port is free", ports(80), ports(81), "w"],
    ["another protocol is free", ports(80), ports(80, undefined, "UDP"), "w"],
    ["two addresses do not meet", ports(80, "10.0.0.1"), ports(80, "10.0.0.2"), "w"],
    ["one address meets itself", ports(80, "10.0.0.1"), ports(80, "10.0.0.1"), noPort],
    ["any address meets each", ports(80, "10.0.0.1"), ports(80), noPort],
    ["each address meets any", ports(80), ports(80, "10.0.0.1"), noPort],
  ])("%s", (_, present, wanted, expected) => {
    expect(decide([node("w")], [pod("there", { on: "w", spec: present })], pod("p", { spec: wanted }))).toBe(expected);
  });
});

describe("what a Pod needs", () => {
  const sidecar = { name: "s", image: "app:1", restartPolicy: "Always", resources: { requests: { cpu: "2" } } };
  const init = { name: "i", image: "app:1", resources: { requests: { cpu: "3" } } };
  const short = "0/1 nodes are available: 1 Insufficient cpu.";
  test.each<[string, PodShape, string]>([
    ["fits exactly", { requests: { cpu: "4" } }, "w"],
    ["overhead comes on top", { requests: { cpu: "4" }, spec: { overhead: { cpu: "1m" } } }, short],
    ["a sidecar runs beside the containers", { requests: { cpu: "2500m" }, spec: withInit(sidecar, "2500m") }, short],
    ["an init container runs before them", { spec: withInit(init, "4") }, "w"],
    [
      "an extended resource nobody has",
      { requests: { "example.com/gpu": "1" } },
      "0/1 nodes are available: 1 Insufficient example.com/gpu.",
    ],
    [
      "all that is short is named",
      { requests: { cpu: "5", memory: "5Gi" } },
      "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory.",
    ],
  ])("%s", (_, shape, expected) => {
    expect(decide([node("w")], [], pod("p", shape))).toBe(expected);
  });

  function withInit(container: object, cpu: string): Partial<Pod["spec"]> {
    return {
      initContainers: [container as never],
      containers: [{ name: "a", image: "app:1", resources: { requests: { cpu } } }],
    };
  }
});

describe("anti-affinity and namespaces", () => {
  const term = (extra: object): Partial<Pod["spec"]> => ({
    affinity: {
      podAntiAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          { topologyKey: "kubernetes.io/hostname", labelSelector: { matchLabels: { app: "web" } }, ...extra },
        ],
      },
    },
  });
  const namespaces = { default: {}, other: { team: "a" }, third: { team: "b" } };
  const there = pod("web", { on: "w", namespace: "other", labels: { app: "web" } });
  const refused = "0/1 nodes are available: 1 node(s) didn't match pod anti-affinity rules.";
  test.each<[string, object, string]>([
    ["means its own namespace", {}, "w"],
    ["may name others", { namespaces: ["other"] }, refused],
    ["may select them by label", { namespaceSelector: { matchLabels: { team: "a" } } }, refused],
    ["selects only those", { namespaceSelector: { matchLabels: { team: "b" } } }, "w"],
    ["an empty selector means all", { namespaceSelector: {} }, refused],
    [
      "names and selector add up",
      { namespaces: ["third"], namespaceSelector: { matchLabels: { team: "a" } } },
      refused,
    ],
  ])("%s", (_, extra, expected) => {
    expect(decide([node("w")], [there], pod("p", { spec: term(extra) }), namespaces)).toBe(expected);
  });

  test("an existing Pod keeps newcomers from namespaces that its selector means", () => {
    const guard = pod("guard", {
      on: "w",
      namespace: "other",
      spec: term({ namespaceSelector: { matchLabels: { team: "b" } } }),
    });
    const newcomer = (namespace: string) => pod("p", { namespace, labels: { app: "web" } });
    expect(decide([node("w")], [guard], newcomer("default"), namespaces)).toBe("w");
    expect(decide([node("w")], [guard], newcomer("third"), namespaces)).toBe(
      "0/1 nodes are available: 1 node(s) didn't satisfy existing pods anti-affinity rules.",
    );
  });
});

describe("strict spreading", () => {
  const spread = (extra: object, more: Partial<Pod["spec"]> = {}): Partial<Pod["spec"]> => ({
    topologySpreadConstraints: [
      {
        maxSkew: 1,
        topologyKey: "zone",
        whenUnsatisfiable: "DoNotSchedule",
        labelSelector: { matchLabels: { app: "web" } },
        ...extra,
      },
    ],
    ...more,
  });
  const zones = [
    node("a", { labels: { zone: "a", disk: "ssd" } }),
    node("b", { labels: { zone: "b", disk: "ssd" }, spec: { unschedulable: true } }),
    node("c", { labels: { zone: "c" }, spec: { taints: [{ key: "gpu", effect: "NoSchedule" }] } }),
  ];
  const one = pod("one", { on: "a", labels: { app: "web" } });
  const onlySsd = { nodeSelector: { disk: "ssd" } };
  const others = "1 node(s) had untolerated taint(s), 1 node(s) were unschedulable";
  const full = `0/3 nodes are available: 1 node(s) didn't match pod topology spread constraints, ${others}.`;
  test.each<[string, object, Partial<Pod["spec"]>, string, Pod[]]>([
    ["counts zones that the Pod cannot enter for their taints", {}, {}, full, [one]],
    ["unless taints are honored", { nodeTaintsPolicy: "Honor" }, {}, "a", [one]],
    ["a larger skew is allowed", { maxSkew: 2 }, {}, "a", [one]],
    ["Pods that are going do not count", {}, {}, "a", [pod("one", { on: "a", labels: { app: "web" }, going: true })]],
    ["other namespaces do not count", {}, {}, "a", [pod("one", { on: "a", namespace: "x", labels: { app: "web" } })]],
    ["too few domains: the least counts as none", { minDomains: 5, maxSkew: 1 }, {}, full, [one]],
    [
      "the Pod's own revision alone counts",
      { matchLabelKeys: ["pod-template-hash"] },
      {},
      "a",
      [pod("old", { on: "a", labels: { app: "web", "pod-template-hash": "1" } })],
    ],
  ])("%s", (_, extra, more, expected, present) => {
    const incoming = pod("p", { labels: { app: "web", "pod-template-hash": "2" }, spec: spread(extra, more) });
    // Cordoned Nodes are honored as tainted ones are: by the taint that the node controller puts there.
    const nodes = zones.map((each) =>
      each.spec?.unschedulable
        ? {
            ...each,
            spec: { ...each.spec, taints: [{ key: "node.kubernetes.io/unschedulable", effect: "NoSchedule" }] },
          }
        : each,
    );
    expect(decide(nodes, present, incoming)).toBe(expected);
  });

  test("Nodes outside the Pod's affinity make no domains, unless they are to", () => {
    const nodes = [zones[0]!, node("d", { labels: { zone: "d" } })];
    const incoming = (extra: object) => pod("p", { labels: { app: "web" }, spec: spread(extra, onlySsd) });
    expect(decide(nodes, [one], incoming({}))).toBe("a");
    expect(decide(nodes, [one], incoming({ nodeAffinityPolicy: "Ignore" }))).toBe(
      "0/2 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 1 node(s) didn't match pod topology spread constraints.",
    );
  });

  test("a Node without the label is out", () => {
    expect(decide([node("w")], [], pod("p", { labels: { app: "web" }, spec: spread({}) }))).toBe(
      "0/1 nodes are available: 1 node(s) didn't match pod topology spread constraints (missing required label).",
    );
  });
});
