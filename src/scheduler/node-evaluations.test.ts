import { expect, test } from "vitest";
import type { Node, Pod } from "../api/core/v1.ts";
import { seededRandom } from "../base/random.ts";
import { ClusterState } from "./cluster-state.ts";
import { defaultProfile } from "./default-profile.ts";
import { findNode } from "./find-node.ts";
import { type PodInfo, podInfoOf } from "./pod-info.ts";

const metadata = (name: string, labels: Record<string, string> = {}) => ({
  name,
  namespace: "default",
  uid: name,
  resourceVersion: "1",
  creationTimestamp: "2026-01-01T00:00:00Z",
  labels,
});

function node(name: string, { zone = "a", cpu = "2", taint = "" } = {}): Node {
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: metadata(name, { "kubernetes.io/hostname": name, "topology.kubernetes.io/zone": zone }),
    spec: taint ? { taints: [{ key: "k", effect: taint }] } : {},
    status: { allocatable: { cpu, memory: "4Gi", pods: "12" } },
  };
}

function pod(name: string, cpu: string, spec: Partial<Pod["spec"]> = {}): PodInfo {
  return podInfoOf({
    apiVersion: "v1",
    kind: "Pod",
    metadata: metadata(name, { app: name.split("-")[0]! }),
    spec: { containers: [{ name: "a", image: "a", resources: { requests: { cpu, memory: "64Mi" } } }], ...spec },
    status: {},
  });
}

/** A cluster that changes under its Pods, and what became of each Pod. `isKept`: what was said of Nodes is kept. */
function history(seed: number, isKept: boolean): string[] {
  const random = seededRandom(seed);
  const dice = seededRandom(seed + 1);
  const cluster = new ClusterState();
  const profile = defaultProfile();
  const position = { next: 0 };
  const placed: string[] = [];
  const lines: string[] = [];
  for (let i = 0; i < 12; i++) cluster.setNode(node(`n${i}`, { zone: "abc"[i % 3]! }));
  for (let step = 0; step < 250; step++) {
    const name = `n${random.int(14)}`;
    switch (random.int(8)) {
      case 0:
        cluster.removeNode(name);
        break;
      case 1: {
        const taint = ["", "NoSchedule", "PreferNoSchedule"][random.int(3)]!;
        cluster.setNode(node(name, { zone: "abc"[random.int(3)]!, cpu: `${1 + random.int(3)}`, taint }));
        break;
      }
      case 2: {
        const gone = placed.splice(random.int(placed.length + 1), 1)[0];
        if (gone) cluster.removePod(gone);
        break;
      }
      default: {
        const kind = random.int(4);
        const spec: Partial<Pod["spec"]> = [
          {},
          { tolerations: [{ operator: "Exists" }] },
          { containers: [{ name: "a", ports: [{ containerPort: 80, hostPort: 8080 }] }] },
          { nodeSelector: { "topology.kubernetes.io/zone": "b" } },
        ][kind]!;
        const incoming = pod(`p${kind}-${step}`, ["100m", "300m"][random.int(2)]!, spec);
        if (!isKept) incoming.shape = null;
        const decision = findNode(profile, incoming, cluster, dice, position);
        if (decision.kind === "placed") {
          cluster.assume(incoming, decision.node);
          placed.push(incoming.uid);
          lines.push(`${incoming.name} on ${decision.node.name}`);
        } else lines.push(`${incoming.name}: ${[...decision.refusals.values()].flatMap(({ reasons }) => reasons)}`);
      }
    }
  }
  return lines;
}

test("Pods of one template get the Nodes that they would get if every Node were judged anew for each", () => {
  for (let seed = 1; seed <= 20; seed++) expect(history(seed, true)).toEqual(history(seed, false));
});

test("a Pod for which room was made goes there, though another Node has more of it", () => {
  const cluster = new ClusterState();
  for (const name of ["n1", "n2"]) cluster.setNode(node(name));
  cluster.assume(pod("other", "1"), cluster.node("n1")!);
  const incoming = pod("incoming", "500m");
  const where = () => {
    const decision = findNode(defaultProfile(), incoming, cluster, seededRandom(1));
    return decision.kind === "placed" ? decision.node.name : decision.kind;
  };
  expect(where()).toBe("n2");
  cluster.nominate(incoming, "n1");
  expect(where()).toBe("n1");
  cluster.assume(pod("third", "1"), cluster.node("n1")!);
  expect(where()).toBe("n2");
});

test("Nodes are gone through zone by zone in turn", () => {
  const cluster = new ClusterState();
  for (const [name, zone] of Object.entries({ a1: "a", a2: "a", a3: "a", b1: "b", c1: "c" }))
    cluster.setNode(node(name, { zone }));
  expect(cluster.nodes.map(({ name }) => name)).toEqual(["a1", "b1", "c1", "a2", "a3"]);
  cluster.removeNode("a1");
  cluster.setNode(node("a3", { zone: "c" }));
  expect(cluster.nodes.map(({ name }) => name)).toEqual(["a2", "b1", "c1", "a3"]);
});
