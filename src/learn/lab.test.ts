import { expect, test } from "vitest";
import { type LabWorld, missingFor } from "./check-step.ts";
import { parseDocument, printStep } from "./lab.ts";

const document = [
  "# A lab",
  "",
  "Cluster: [three-nodes.yaml](../three-nodes.yaml)",
  "",
  "What it is about.",
  "",
  "## 1. A pod",
  "",
  "Words.",
  "",
  "```yaml file=pod.yaml",
  "kind: Pod",
  "```",
  "",
  "```console",
  "$ kubectl apply -f pod.yaml",
  "pod/web created",
  "```",
  "",
].join("\n");

test("a document is cut into its steps", () => {
  const { title, clusterFile, introduction, steps } = parseDocument(document);
  expect({ title, clusterFile, introduction }).toEqual({
    title: "A lab",
    clusterFile: "three-nodes.yaml",
    introduction: "What it is about.",
  });
  expect(steps.map((step) => [step.title, step.files])).toEqual([
    ["A pod", [{ name: "pod.yaml", content: "kind: Pod\n" }]],
  ]);
});

test("a step in the terminal shows files and commands set in", () => {
  expect(printStep(parseDocument(document).steps[0]!.text)).toMatchInlineSnapshot(`
    "Words.

      pod.yaml:
        kind: Pod

      $ kubectl apply -f pod.yaml
      pod/web created"
  `);
});

const pod = (name: string, ready: boolean) => ({
  metadata: { name, namespace: "default", labels: { app: "web" }, ownerReferences: [{ name: "web-1" }] },
  spec: { containers: [{ image: "nginx:1" }] },
  status: { phase: "Running", conditions: [{ type: "Ready", status: ready ? "True" : "False" }] },
});

const world = (part: object = {}) =>
  ({
    services: [],
    slices: [],
    pods: [pod("web-1-a", true), pod("web-1-b", false)],
    deployments: [],
    replicaSets: [],
    configMaps: [],
    pools: [],
    events: [],
    ...part,
  }) as unknown as LabWorld;

test("what is missing is said in the learner's language", () => {
  const checks = {
    pods: { labels: "app=web", ready: 2, image: "nginx:2" },
    service: { name: "web" },
    gone: ["pod/web-1-a"],
  };
  expect(missingFor(checks, world(), "en")).toEqual([
    "2 ready pods with label app=web are wanted, and there are 1",
    'pod web-1-b is not ready: "pinnace why pod/web-1-b" says why',
    "all of them should run nginx:2",
    "there is no Service web",
    "pod/web-1-a is still there",
  ]);
  expect(missingFor({ service: { name: "web" } }, world(), "ko")).toEqual(["서비스 web이(가) 없습니다"]);
});

const labelled = (labels: Record<string, string>, namespace = "default") => {
  const { metadata, ...rest } = pod("mine", true);
  return { ...rest, metadata: { ...metadata, labels, namespace } };
};
const service = (name: string, selector: object, namespace = "default") => ({
  metadata: { name, namespace },
  spec: { type: "ClusterIP", selector, ports: [{ port: 80 }] },
});

test.each([
  ["other labels", { pods: [labelled({ app: "mine" })] }, ["pod mine has the labels app=mine"]],
  [
    "another namespace",
    { pods: [labelled({ app: "web" }, "shop")] },
    ["such pods are in namespace shop: the lab is done in namespace default"],
  ],
])("pods of %s are seen", (_what, part, hint) => {
  const checks = { pods: { labels: "app=web", ready: 3 } };
  const [, ...hints] = missingFor(checks, world(part), "en");
  expect(hints).toEqual(hint);
});

test("a Service of another name, elsewhere, or with another selector is seen", () => {
  const checks = { service: { name: "web", endpoints: 2 } };
  const mistakes = (...services: object[]) => missingFor(checks, world({ services }), "en");
  expect(mistakes(service("wbe", {}))).toEqual(["there is no Service web; there is wbe"]);
  expect(mistakes(service("web", {}, "shop"))).toEqual([
    "there is no Service web in namespace default; there is one in namespace shop",
  ]);
  expect(mistakes(service("web", { app: "wbe" }))).toEqual([
    "Service web: number of ready endpoints should be 2, and is 0",
    "its selector app=wbe selects no pod; there are pods with app=web",
  ]);
});

test("a pod that was killed, and is there no more, was replaced", () => {
  const checks = { pods: { labels: "app=web", ready: 1, replaced: true } };
  expect(missingFor(checks, world(), "en")).toHaveLength(1);
  const events = [{ reason: "Killing", involvedObject: { kind: "Pod", name: "web-1-c" } }];
  expect(missingFor(checks, world({ events }), "en")).toEqual([]);
});
