/** A program beside the scheduler, asked over HTTPS, against the real API server. */
import { expect, test } from "vitest";
import type { Node, Pod } from "../api/core/v1.ts";
import { Events, Pods, PriorityClasses } from "../api/resources.ts";
import type { ExtenderConfig } from "../scheduler/extender.ts";
import { startTestControlPlane, type TestControlPlane } from "./control-plane.ts";
import { startWebhookServer, type WebhookAnswer, type WebhookServer } from "./webhook-server.ts";

interface Asked {
  Pod: Pod;
  Nodes: { items: Node[] } | null;
  NodeNames: string[] | null;
  NodeNameToVictims: Record<string, { Pods: Pod[]; NumPDBViolations: number }>;
  NodeNameToMetaVictims: Record<string, { Pods: { UID: string }[] }>;
  PodName: string;
  PodNamespace: string;
  PodUID: string;
  Node: string;
}

type Verbs = Record<string, (asked: Asked) => WebhookAnswer>;

const serve = (verbs: Verbs) =>
  startWebhookServer((body, path) => verbs[path.slice(1)]?.(body) ?? { status: 404, text: "no such verb" });

const at = (server: WebhookServer, config: Partial<ExtenderConfig>): ExtenderConfig => ({
  urlPrefix: server.url,
  tlsConfig: { caData: server.caBundle },
  ...config,
});

async function start(extenders: ExtenderConfig[]): Promise<TestControlPlane> {
  const cluster = await startTestControlPlane({ watched: [Events], scheduler: { extenders } });
  for (const name of ["n1", "n2", "n3"]) await cluster.addNode(name, { cpu: "2" });
  return cluster;
}

const create = ({ client }: TestControlPlane, name: string, requests: Record<string, string> = {}, priority = "") =>
  client.create(Pods, {
    metadata: { name, namespace: "default" },
    spec: {
      ...(priority ? { priorityClassName: priority } : {}),
      containers: [{ name: "main", image: "app:1", resources: { requests, limits: requests } }],
    },
  });

const nodeOf = (cluster: TestControlPlane, name: string) => cluster.get(Pods, name)?.spec.nodeName;
const failure = (cluster: TestControlPlane) =>
  cluster.list(Events).find(({ reason }) => reason === "FailedScheduling")?.message;

test("an extender lets Nodes pass, scores them and binds, and says why it refuses the others", async () => {
  let cluster: TestControlPlane;
  await using server = await serve({
    filter: ({ Pod, Nodes }) => {
      if (Pod.metadata.name === "nowhere") {
        const FailedNodes = { n1: "too loud", n2: "too loud" };
        return { Nodes: { items: [] }, FailedNodes, FailedAndUnresolvableNodes: { n3: "too far" } };
      }
      return { Nodes: { items: Nodes!.items.filter(({ metadata }) => metadata.name !== "n1") } };
    },
    prioritize: ({ Nodes }) =>
      Nodes!.items.map(({ metadata: { name } }) => ({ Host: name, Score: name === "n3" ? 9 : 1 })),
    bind: ({ PodName: name, PodNamespace: namespace, PodUID: uid, Node: node }) => {
      void cluster.client.createSubresource(Pods, { name, namespace }, "binding", {
        metadata: { name, namespace, uid, annotations: { by: "extender" } },
        target: { apiVersion: "v1", kind: "Node", name: node },
      });
      return { Error: "" };
    },
  });
  const verbs = { filterVerb: "filter", prioritizeVerb: "prioritize", bindVerb: "bind", weight: 10 };
  cluster = await start([at(server, verbs)]);
  await using _ = cluster;
  await create(cluster, "loved");
  await cluster.until(() => nodeOf(cluster, "loved") !== undefined);
  expect([nodeOf(cluster, "loved"), cluster.get(Pods, "loved")?.metadata.annotations]).toEqual([
    "n3",
    { by: "extender" },
  ]);
  await create(cluster, "nowhere");
  await cluster.until(() => failure(cluster) !== undefined);
  expect(failure(cluster)).toBe(
    "0/3 nodes are available: 1 too far, 2 too loud. no new claims to deallocate, preemption: 0/3 nodes are available: 1 Preemption is not helpful for scheduling, 2 No preemption victims found for incoming pod.",
  );
  const { Pod, Nodes } = server.received[0]!.body as Asked;
  expect([Pod.kind, Pod.metadata.name, Nodes!.items.map(({ kind, metadata }) => [kind, metadata.name])]).toEqual([
    "Pod",
    "loved",
    [
      ["Node", "n1"],
      ["Node", "n2"],
      ["Node", "n3"],
    ],
  ]);
});

test("an extender of certain resources is asked by names about Pods that want them, and only it counts them", async () => {
  await using server = await serve({ filter: ({ NodeNames }) => ({ nodeNames: NodeNames!.slice(1, 2) }) });
  const managedResources = [{ name: "example.com/seat", ignoredByScheduler: true }];
  await using cluster = await start([at(server, { filterVerb: "filter", nodeCacheCapable: true, managedResources })]);
  await create(cluster, "stranger");
  await create(cluster, "seated", { "example.com/seat": "2" });
  await cluster.until(() => nodeOf(cluster, "seated") !== undefined && nodeOf(cluster, "stranger") !== undefined);
  expect(server.received.map(({ body }) => [(body as Asked).Pod.metadata.name, (body as Asked).Nodes])).toEqual([
    ["seated", null],
  ]);
  expect(nodeOf(cluster, "seated")).toBe((server.received[0]!.body as Asked).NodeNames![1]);
});

test("Pods wait for an extender that does not answer, and do without one that may be ignored", async () => {
  await using server = await serve({ filter: () => ({ Error: "out of order" }) });
  await using cluster = await start([
    { urlPrefix: "http://127.0.0.1:1", filterVerb: "filter", prioritizeVerb: "score", weight: 1, ignorable: true },
    at(server, { filterVerb: "filter", managedResources: [{ name: "example.com/seat", ignoredByScheduler: true }] }),
  ]);
  await create(cluster, "plain");
  await cluster.until(() => nodeOf(cluster, "plain") !== undefined);
  await create(cluster, "waiting", { "example.com/seat": "1" });
  await cluster.until(() => failure(cluster) !== undefined);
  expect(failure(cluster)).toBe("out of order");
  await cluster.until(() => cluster.get(Pods, "waiting")?.status?.conditions?.[0]?.reason === "SchedulerError");
});

test("room is made where the extender agrees to it", async () => {
  await using server = await serve({
    preempt: ({ NodeNameToVictims }) => {
      const { Pods: pods, NumPDBViolations } = NodeNameToVictims["n2"]!;
      const victims = pods.map(({ metadata }) => ({ UID: metadata.uid }));
      return { NodeNameToMetaVictims: { n2: { Pods: victims, NumPDBViolations } } };
    },
  });
  await using cluster = await start([at(server, { preemptVerb: "preempt" })]);
  for (const name of ["a", "b", "c"]) await create(cluster, name, { cpu: "2" });
  const names = ["a", "b", "c"];
  await cluster.until(() => names.every((name) => nodeOf(cluster, name) !== undefined));
  const victim = names.find((name) => nodeOf(cluster, name) === "n2")!;
  await cluster.client.create(PriorityClasses, { metadata: { name: "high" }, value: 1000 });
  await create(cluster, "important", { cpu: "2" }, "high");
  await cluster.until(() => nodeOf(cluster, "important") !== undefined);
  expect([nodeOf(cluster, "important"), cluster.get(Pods, victim)]).toEqual(["n2", undefined]);
  expect(Object.keys((server.received[0]!.body as Asked).NodeNameToVictims).sort()).toEqual(["n1", "n2", "n3"]);
});
