/** The small controllers, against the real API server. */
import { createHmac } from "node:crypto";
import { expect, test } from "vitest";
import type { Secret, ServiceAccount } from "../api/core/v1.ts";
import type { New } from "../api/object.ts";
import {
  ConfigMaps,
  IPAddresses,
  Namespaces,
  Nodes,
  PersistentVolumeClaims,
  Pods,
  Secrets,
  ServiceAccounts,
  ServiceCIDRs,
  VolumeAttributesClasses,
} from "../api/resources.ts";
import { judgeToken } from "../controller-manager/controllers/legacy-serviceaccount-token-cleaner-controller.ts";
import { ttlStep } from "../controller-manager/controllers/ttl-controller.ts";
import { startTestControlPlane } from "./control-plane.ts";

const text = (encoded: string | undefined) => Buffer.from(encoded ?? "", "base64").toString();

test("a Node says for how long its kubelet may trust what it has read", async () => {
  await using cluster = await startTestControlPlane({ watched: [] });
  await cluster.addNode("node");
  const ttl = () => cluster.get(Nodes, "node")?.metadata.annotations?.["node.alpha.kubernetes.io/ttl"];
  await cluster.until(() => ttl() === "0");
  await cluster.edit(Nodes, "node", ({ metadata }) => {
    metadata.annotations = { "node.alpha.kubernetes.io/ttl": "77" };
  });
  await cluster.until(() => ttl() === "0");
});

test("Pods that hang on a Node shut down for good go when somebody says so by its taint", async () => {
  await using cluster = await startTestControlPlane({ watched: [], controllers: { nodeMonitorGracePeriodMs: 1e9 } });
  await cluster.addNode("node");
  const [gone, stays] = ["gone", "stays"].map((name) => ({ name, namespace: "default" }));
  for (const metadata of [gone!, stays!]) {
    // Tolerates the taint: only the collector acts here.
    const spec = {
      nodeName: "node",
      tolerations: [{ operator: "Exists" }],
      containers: [{ name: "main", image: "app:1" }],
    };
    await cluster.client.create(Pods, { metadata: { ...metadata, finalizers: ["example.com/hold"] }, spec });
  }
  await cluster.until(() => cluster.list(Pods).every(({ status }) => status?.phase === "Running"));
  await cluster.client.delete(Pods, gone!, { gracePeriodSeconds: 600 });
  const phase = (name: string) => cluster.get(Pods, name)?.status?.phase;
  const conditions = [{ type: "Ready", status: "False" }];
  await cluster.client.patch(
    Nodes,
    { name: "node" },
    { type: "strategic", body: { status: { conditions } } },
    { subresource: "status" },
  );
  await cluster.edit(Nodes, "node", ({ spec }) => {
    spec.taints = [
      ...(spec.taints ?? []),
      { key: "node.kubernetes.io/out-of-service", value: "nodeshutdown", effect: "NoExecute" },
    ];
  });
  await cluster.until(() => phase("gone") === "Failed");
  expect(phase("stays")).toBe("Running");
});

test.each([
  [0, 1, 0],
  [0, 100, 0],
  [0, 101, 1],
  [1, 90, 1],
  [1, 89, 0],
  [0, 1500, 3],
  [3, 5000, 4],
  [4, 1800, 4],
  [4, 1799, 3],
  [4, 10, 0],
])("from step %i, %i Nodes lead to step %i of the trust in what was read", (step, nodes, next) => {
  expect(ttlStep(step, nodes)).toBe(next);
});

test("a Secret that asks for a ServiceAccount's token gets it, and goes with the account", async () => {
  await using cluster = await startTestControlPlane({ watched: [Secrets, ServiceAccounts] });
  const { client } = cluster;
  await client.create(ServiceAccounts, { metadata: { name: "robot", namespace: "default" } });
  const wanted = (name: string, account: string): New<Secret> => ({
    metadata: { name, namespace: "default", annotations: { "kubernetes.io/service-account.name": account } },
    type: "kubernetes.io/service-account-token",
  });
  await client.create(Secrets, wanted("robot-token", "robot"));
  await cluster.until(() => cluster.get(Secrets, "robot-token")?.data?.["token"] !== undefined);
  const { data, metadata } = cluster.get(Secrets, "robot-token")!;
  expect(text(data!["token"])).toBe("token of robot in robot-token");
  expect([text(data!["ca.crt"]), text(data!["namespace"])]).toEqual(["PEM", "default"]);
  expect(metadata.annotations!["kubernetes.io/service-account.uid"]).toBe(
    cluster.get(ServiceAccounts, "robot")!.metadata.uid,
  );
  await client.delete(ServiceAccounts, { name: "robot", namespace: "default" });
  await cluster.until(() => cluster.get(Secrets, "robot-token") === undefined);
  await client.create(Secrets, wanted("nobodys-token", "nobody"));
  await cluster.until(() => cluster.get(Secrets, "nobodys-token") === undefined);
});

test.each([
  ["of an account that does not list it", { listed: false }, "keep"],
  ["while nobody knows since when uses are counted", { since: undefined }, "keep"],
  ["made a month ago", { created: "2026-10-21T00:00:00Z" }, "keep"],
  ["counted for less than a year", { since: "2026-01-01" }, "keep"],
  ["used a month ago", { used: "2026-10-21" }, "keep"],
  ["mounted by a Pod", { mounted: true }, "keep"],
  ["used over a year ago", { used: "2025-11-01" }, "mark"],
  ["never used", {}, "mark"],
  ["marked half a year ago", { marked: "2026-05-21" }, "keep"],
  ["marked over a year ago", { marked: "2025-11-01" }, "delete"],
  ["marked, and used since", { marked: "2026-01-01", used: "2026-10-21" }, "unmark"],
])("a token Secret %s: %s → %s", (_, facts, verdict) => {
  const { listed, since, created, used, mounted, marked } = {
    listed: true,
    since: "2024-01-01",
    created: "2023-01-01T00:00:00Z",
    used: "",
    mounted: false,
    marked: "",
    ...(facts as Partial<
      Record<"since" | "created" | "used" | "marked", string> & Record<"listed" | "mounted", boolean>
    >),
  };
  const labels = {
    ...(used ? { "kubernetes.io/legacy-token-last-used": used } : {}),
    ...(marked ? { "kubernetes.io/legacy-token-invalid-since": marked } : {}),
  };
  const annotations = { "kubernetes.io/service-account.name": "robot" };
  const secret = { metadata: { name: "token", annotations, labels, creationTimestamp: created } } as unknown as Secret;
  const account = { metadata: { name: "robot" }, secrets: listed ? [{ name: "token" }] : [] };
  const pods = mounted ? [{ spec: { volumes: [{ name: "v", secret: { secretName: "token" } }] } }] : [];
  const now = Date.parse("2026-11-21T00:00:00Z");
  expect(judgeToken(secret, [account as ServiceAccount], pods as never, since, now)).toBe(verdict);
});

test("bootstrap tokens sign the cluster's description, and go when their time is over", async () => {
  await using cluster = await startTestControlPlane({ watched: [Secrets, ConfigMaps] });
  const { client, clock } = cluster;
  await client.create(Namespaces, { metadata: { name: "kube-public" }, spec: {} });
  await client.create(ConfigMaps, {
    metadata: { name: "cluster-info", namespace: "kube-public" },
    data: { kubeconfig: "apiVersion: v1" },
  });
  const token = (id: string, expiresAtMs: number): New<Secret> => ({
    metadata: { name: `bootstrap-token-${id}`, namespace: "kube-system" },
    type: "bootstrap.kubernetes.io/token",
    stringData: {
      "token-id": id,
      "token-secret": "0123456789abcdef",
      expiration: new Date(expiresAtMs).toISOString(),
      "usage-bootstrap-signing": "true",
    },
  });
  await client.create(Secrets, token("aaaaaa", clock.now() + 1500));
  await client.create(Secrets, token("bbbbbb", clock.now() + 3600_000));
  const info = () => cluster.get(ConfigMaps, "cluster-info", "kube-public")?.data ?? {};
  const header = Buffer.from('{"alg":"HS256","kid":"bbbbbb"}').toString("base64url");
  const payload = Buffer.from("apiVersion: v1").toString("base64url");
  const signature = createHmac("sha256", "0123456789abcdef").update(`${header}.${payload}`).digest("base64url");
  await cluster.until(() => info()["jws-kubeconfig-bbbbbb"] === `${header}..${signature}`);
  await cluster.until(() => cluster.get(Secrets, "bootstrap-token-aaaaaa", "kube-system") === undefined);
  await cluster.until(() => !("jws-kubeconfig-aaaaaa" in info()));
  expect(cluster.get(Secrets, "bootstrap-token-bbbbbb", "kube-system")).toBeDefined();
});

test("a ServiceCIDR stays until its last address is given back, or another range provides it", async () => {
  await using cluster = await startTestControlPlane({ watched: [ServiceCIDRs, IPAddresses] });
  const { client } = cluster;
  const ready = (name: string) => cluster.get(ServiceCIDRs, name)?.status?.conditions?.[0];
  const address = (name: string) =>
    client.create(IPAddresses, {
      metadata: { name },
      spec: { parentRef: { group: "", resource: "services", namespace: "default", name: "web" } },
    });
  await client.create(ServiceCIDRs, { metadata: { name: "first" }, spec: { cidrs: ["10.100.0.0/24"] } });
  await cluster.until(() => ready("first")?.status === "True");
  await address("10.100.0.7");
  await cluster.until(() => cluster.get(IPAddresses, "10.100.0.7") !== undefined);
  await client.delete(ServiceCIDRs, { name: "first" });
  await cluster.until(() => ready("first")?.reason === "Terminating");
  await client.create(ServiceCIDRs, { metadata: { name: "wider" }, spec: { cidrs: ["10.100.0.0/16"] } });
  await cluster.until(() => cluster.get(ServiceCIDRs, "first") === undefined);
  await client.delete(ServiceCIDRs, { name: "wider" });
  await cluster.until(() => ready("wider")?.reason === "Terminating");
  await client.delete(IPAddresses, { name: "10.100.0.7" });
  await cluster.until(() => cluster.get(ServiceCIDRs, "wider") === undefined);
});

test("a VolumeAttributesClass stays while a claim names it", async () => {
  await using cluster = await startTestControlPlane({ watched: [VolumeAttributesClasses, PersistentVolumeClaims] });
  const { client } = cluster;
  await client.create(VolumeAttributesClasses, {
    metadata: { name: "gold" },
    driverName: "disks.example.com",
    parameters: { speed: "high" },
  });
  await cluster.until(() => cluster.get(VolumeAttributesClasses, "gold")?.metadata.finalizers?.length === 1);
  await client.create(PersistentVolumeClaims, {
    metadata: { name: "data", namespace: "default" },
    spec: {
      accessModes: ["ReadWriteOnce"],
      resources: { requests: { storage: "1Gi" } },
      volumeAttributesClassName: "gold",
    },
  });
  await cluster.until(() => cluster.get(PersistentVolumeClaims, "data") !== undefined);
  await client.delete(VolumeAttributesClasses, { name: "gold" });
  await cluster.until(() => cluster.get(VolumeAttributesClasses, "gold")?.metadata.deletionTimestamp !== undefined);
  await client.delete(PersistentVolumeClaims, { name: "data", namespace: "default" });
  await cluster.until(() => cluster.get(VolumeAttributesClasses, "gold") === undefined);
});
