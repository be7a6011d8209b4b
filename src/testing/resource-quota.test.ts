/** ResourceQuotas against the real API server: admission and controller together. */
import { expect, test } from "vitest";
import type { Pod } from "../api/core/v1.ts";
import type { New } from "../api/object.ts";
import { ConfigMaps, PersistentVolumeClaims, Pods, ResourceQuotas, Roles, Services } from "../api/resources.ts";
import { sleep } from "../base/clock.ts";
import { startTestControlPlane, type TestControlPlane } from "./control-plane.ts";

const watched = [ResourceQuotas, Roles];
const namespace = "default";

async function start(hard: Record<string, string>, spec = {}): Promise<TestControlPlane> {
  const cluster = await startTestControlPlane({ watched });
  await cluster.client.create(ResourceQuotas, { metadata: { name: "limits", namespace }, spec: { hard, ...spec } });
  await cluster.until(() => cluster.get(ResourceQuotas, "limits")?.status?.used !== undefined);
  return cluster;
}

const pod = (name: string, cpu?: string): New<Pod> => ({
  metadata: { name, namespace },
  spec: { containers: [{ name: "main", image: "app:1", ...(cpu ? { resources: { requests: { cpu } } } : {}) }] },
});

const outcomes = async (creations: Promise<unknown>[]) =>
  (await Promise.allSettled(creations)).map((one) => (one.status === "fulfilled" ? "ok" : String(one.reason.message)));

test("of many Pods at once as many get in as the quota allows, and room comes back with what goes", async () => {
  await using cluster = await start({ pods: "5", "requests.cpu": "2" });
  const { client } = cluster;
  const made = await outcomes(Array.from({ length: 20 }, (_, i) => client.create(Pods, pod(`p${i}`, "100m"))));
  expect(made.filter((outcome) => outcome === "ok")).toHaveLength(5);
  const refused = made.find((outcome) => outcome !== "ok");
  expect(refused).toMatch(
    /^pods "p\d+" is forbidden: exceeded quota: limits, requested: pods=1, used: pods=5, limited: pods=5$/,
  );
  const used = () => cluster.get(ResourceQuotas, "limits")?.status?.used;
  await cluster.until(() => used()?.["requests.cpu"] === "500m");

  const first = cluster.list(Pods)[0]!.metadata.name;
  await client.delete(Pods, { name: first, namespace });
  await cluster.until(() => used()?.["pods"] === "4");
  await expect(client.create(Pods, pod("big", "1700m"))).rejects.toThrow(
    'pods "big" is forbidden: exceeded quota: limits, requested: requests.cpu=1700m, used: requests.cpu=400m, limited: requests.cpu=2',
  );
  await client.create(Pods, pod("next", "1600m"));
  expect(cluster.complaints).toEqual([]);
});

test("a Service and a claim that stood for long give their room back when they are deleted", async () => {
  await using cluster = await start({ services: "1", persistentvolumeclaims: "1" });
  const { client } = cluster;
  const used = () => cluster.get(ResourceQuotas, "limits")?.status?.used;
  const metadata = { name: "one", namespace };
  await client.create(Services, { metadata, spec: { ports: [{ port: 80 }] } });
  const claim = { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } };
  await client.create(PersistentVolumeClaims, { metadata, spec: claim });
  await cluster.until(() => used()?.["services"] === "1" && used()?.["persistentvolumeclaims"] === "1");
  await sleep(cluster.clock, 500, new AbortController().signal); // Past the second look that follows a creation.
  await client.delete(Services, metadata);
  await client.delete(PersistentVolumeClaims, metadata);
  await cluster.until(() => used()?.["services"] === "0" && used()?.["persistentvolumeclaims"] === "0");
});

test("where CPU is limited, a Pod must say how much it wants, even when another quota is full", async () => {
  await using cluster = await start({ "limits.memory": "1Gi", "requests.cpu": "1" });
  const { client } = cluster;
  await client.create(ResourceQuotas, { metadata: { name: "full", namespace }, spec: { hard: { pods: "0" } } });
  await cluster.until(() => cluster.get(ResourceQuotas, "full")?.status?.used !== undefined);
  await expect(client.create(Pods, pod("vague"))).rejects.toThrow(
    'pods "vague" is forbidden: failed quota: limits: must specify limits.memory for: main; requests.cpu for: main',
  );
});

test("scopes let the others pass; objects of any kind can be counted; a dry run takes no room", async () => {
  await using cluster = await start({ pods: "0" }, { scopes: ["BestEffort"] });
  const { client } = cluster;
  await client.create(Pods, pod("burstable", "100m"));
  await expect(client.create(Pods, pod("besteffort"))).rejects.toThrow("exceeded quota: limits");

  const counts = { "count/roles.rbac.authorization.k8s.io": "1", configmaps: "1" };
  await client.create(ResourceQuotas, { metadata: { name: "counts", namespace }, spec: { hard: counts } });
  await cluster.until(() => cluster.get(ResourceQuotas, "counts")?.status?.used !== undefined);
  const { used } = cluster.get(ResourceQuotas, "counts")!.status!;
  // The root certificate's ConfigMap may be there already.
  const free = 1 - Number(used?.["configmaps"]);
  await client.create(Roles, { metadata: { name: "one", namespace } }, { dryRun: true });
  await client.create(Roles, { metadata: { name: "one", namespace } });
  await expect(client.create(Roles, { metadata: { name: "two", namespace } })).rejects.toThrow(
    'roles.rbac.authorization.k8s.io "two" is forbidden: exceeded quota: counts, requested: count/roles.rbac.authorization.k8s.io=1, used: count/roles.rbac.authorization.k8s.io=1, limited: count/roles.rbac.authorization.k8s.io=1',
  );
  const maps = await outcomes([0, 1].map((i) => client.create(ConfigMaps, { metadata: { name: `m${i}`, namespace } })));
  expect(maps.filter((outcome) => outcome === "ok").length).toBeLessThanOrEqual(Math.max(0, free));
});

test("a quota that others write to at the same moment takes what is asked for all the same", async () => {
  await using cluster = await start({ configmaps: "100" });
  const { client } = cluster;
  const written = Promise.all(
    Array.from({ length: 10 }, (_, i) =>
      client.patch(
        ResourceQuotas,
        { name: "limits", namespace },
        { type: "merge", body: { metadata: { annotations: { round: `${i}` } } } },
      ),
    ),
  );
  const made = await outcomes(
    Array.from({ length: 20 }, (_, i) => client.create(ConfigMaps, { metadata: { name: `m${i}`, namespace } })),
  );
  expect(new Set(made)).toEqual(new Set(["ok"]));
  await written;
});
