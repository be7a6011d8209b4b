import { expect, test } from "vitest";
import { drawMap } from "./draw-map.ts";
import type { World } from "./world.ts";

const pod = (
  name: string,
  nodeName: string | undefined,
  podIP: string | undefined,
  ready: boolean,
  labels = { app: "web" },
) => ({
  metadata: { name, namespace: "default", labels },
  spec: { ...(nodeName ? { nodeName } : {}), containers: [{ name: "web", image: "web" }] },
  status: {
    phase: podIP ? "Running" : "Pending",
    ...(podIP ? { podIP } : {}),
    conditions: [
      { type: "Ready", status: ready ? "True" : "False" },
      ...(nodeName
        ? []
        : [{ type: "PodScheduled", status: "False", message: "0/2 nodes are available: 2 Insufficient cpu." }]),
    ],
  },
});

const world = {
  network: { dnsDomain: "cluster.local" },
  services: [
    {
      metadata: { name: "web", namespace: "default" },
      spec: {
        type: "LoadBalancer",
        clusterIP: "10.96.0.7",
        selector: { app: "web" },
        ports: [{ port: 80, targetPort: 8080, nodePort: 30080, protocol: "TCP" }],
      },
    },
    { metadata: { name: "db", namespace: "default" }, spec: { type: "ExternalName", externalName: "db.example.org" } },
    {
      metadata: { name: "each", namespace: "default" },
      spec: { clusterIP: "None", selector: { app: "nothing" }, ports: [{ port: 80 }] },
    },
  ],
  slices: [
    {
      metadata: { name: "web-abc", namespace: "default", labels: { "kubernetes.io/service-name": "web" } },
      addressType: "IPv4",
      ports: [{ port: 8080 }],
      endpoints: [
        { addresses: ["10.244.1.2"], nodeName: "node-1", targetRef: { name: "web-1" }, conditions: { ready: true } },
        { addresses: ["10.244.1.3"], nodeName: "node-1", targetRef: { name: "web-2" }, conditions: { ready: false } },
      ],
    },
  ],
  pods: [
    pod("web-1", "node-1", "10.244.1.2", true),
    pod("web-2", "node-1", "10.244.1.3", false),
    pod("web-3", undefined, undefined, false),
    pod("alone", "node-2", "10.244.2.9", true, { app: "alone" }),
  ],
  nodes: [],
  namespaces: [],
  policies: [],
  pools: [],
  events: [],
  claims: [],
} as unknown as World;

test("each Service stands with its doors, and by node with the pods behind it", () => {
  expect(drawMap(world, { namespace: "default" })).toMatchInlineSnapshot(`
    "namespace default

    web  LoadBalancer  10.96.0.7:80 → 8080  any node:30080  <pending>
    │  selects app=web; EndpointSlice web-abc: 1 ready
    ├─ no node yet
    │  └─ ○ web-3  has no node
    └─ node-1
       ├─ ● web-1  10.244.1.2:8080
       └─ ○ web-2  10.244.1.3:8080  not ready yet

    db  ExternalName  → db.example.org

    each  headless  each.default.svc.cluster.local is the pods' own addresses
    │  selects app=nothing; no EndpointSlice: 0 ready
    └─ nobody

    behind no Service
      ● alone  10.244.2.9  on node-2"
  `);
});

test("a narrow terminal cuts lines, and colours take no room", () => {
  const lines = drawMap(world, { width: 30, isColoured: true }).split("\n");
  for (const line of lines) expect(line.replace(/\u001b\[[0-9;]*m/g, "").length).toBeLessThanOrEqual(30);
});

test("an empty namespace says so", () => {
  expect(drawMap(world, { namespace: "shop" })).toBe("There is no Service and no pod in namespace shop.");
});
