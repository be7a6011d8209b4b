/** Garbage collection, Namespaces, quotas, ranges, disruption budgets, taints: what they promise, against the real API server. */
import { expect, test } from "vitest";
import type { Pod } from "../api/core/v1.ts";
import type { OwnerReference } from "../api/meta/v1.ts";
import type { New } from "../api/object.ts";
import {
  ConfigMaps,
  Deployments,
  EndpointSlices,
  Endpoints,
  Events,
  LimitRanges,
  Namespaces,
  Nodes,
  PodDisruptionBudgets,
  Pods,
  ReplicaSets,
  ReplicationControllers,
  ResourceQuotas,
  Secrets,
  ServiceAccounts,
  Services,
} from "../api/resources.ts";
import { isNotFound } from "../apimachinery/status-error.ts";
import { rfc3339 } from "../base/clock.ts";
import { leapingClock, runningPods, startTestControlPlane, type TestControlPlane } from "./control-plane.ts";

const namespace = "default";
const labels = { app: "x" };
const template = { metadata: { labels }, spec: { containers: [{ name: "main", image: "app:1" }] } };
const watched = [
  Deployments,
  EndpointSlices,
  Endpoints,
  ReplicaSets,
  ReplicationControllers,
  ResourceQuotas,
  LimitRanges,
  PodDisruptionBudgets,
  Namespaces,
  ConfigMaps,
  Secrets,
  Services,
  Events,
];

async function start(): Promise<TestControlPlane> {
  const cluster = await startTestControlPlane({ watched });
  await cluster.addNode("worker", { cpu: "64" });
  return cluster;
}

const pod = (name: string, extra: Partial<Pod["spec"]> = {}): New<Pod> => ({
  metadata: { name, namespace, labels },
  spec: { containers: [{ name: "main", image: "app:1" }], ...extra },
});
const controller = (name: string, replicas: number) => ({
  metadata: { name, namespace },
  spec: { replicas, selector: labels, template },
});
const settled = (ms = 300) => new Promise((done) => setTimeout(done, ms));

test("a Deployment deleted in the background takes its ReplicaSet and Pods along", async () => {
  await using cluster = await start();
  await cluster.client.create(Deployments, {
    metadata: { name: "web", namespace },
    spec: { replicas: 2, selector: { matchLabels: labels }, template },
  });
  await cluster.until(() => runningPods(cluster).length === 2);
  await cluster.client.delete(Deployments, { name: "web", namespace }, { propagationPolicy: "Background" });
  await cluster.until(() => cluster.list(ReplicaSets).length === 0 && cluster.list(Pods).length === 0);
});

test.each([["Background"], ["Foreground"], ["Orphan"]] as const)(
  "a ReplicationController deleted by %s does with its Pods as that says",
  async (propagationPolicy) => {
    await using cluster = await start();
    await cluster.client.create(ReplicationControllers, controller("rc", 10));
    await cluster.until(() => runningPods(cluster).length === 10);
    let isEarly = false;
    using _ = cluster.observe(() => {
      isEarly ||= !cluster.get(ReplicationControllers, "rc") && cluster.list(Pods).length > 0;
    });
    await cluster.client.delete(ReplicationControllers, { name: "rc", namespace }, { propagationPolicy });
    if (propagationPolicy === "Orphan") {
      await cluster.until(() => !cluster.get(ReplicationControllers, "rc"));
      await settled();
      expect(runningPods(cluster)).toHaveLength(10);
      expect(runningPods(cluster).flatMap(({ metadata }) => metadata.ownerReferences ?? [])).toEqual([]);
      return;
    }
    await cluster.until(() => !cluster.get(ReplicationControllers, "rc") && cluster.list(Pods).length === 0);
    if (propagationPolicy === "Foreground") expect(isEarly).toBe(false);
  },
);

test("a Pod with two owners outlives the one that waits for its dependents", async () => {
  await using cluster = await start();
  await cluster.client.create(ReplicationControllers, controller("leaving", 4));
  const second = await cluster.client.create(ReplicationControllers, {
    ...controller("staying", 0),
    spec: {
      ...controller("staying", 0).spec,
      selector: { app: "none" },
      template: { ...template, metadata: { labels: { app: "none" } } },
    },
  });
  await cluster.until(() => runningPods(cluster).length === 4);
  const shared = runningPods(cluster)
    .slice(0, 2)
    .map(({ metadata }) => metadata.name);
  const reference: OwnerReference = {
    apiVersion: "v1",
    kind: "ReplicationController",
    name: "staying",
    uid: second.metadata.uid,
  };
  for (const name of shared)
    await cluster.edit(
      Pods,
      name,
      ({ metadata }) => void (metadata.ownerReferences = [...metadata.ownerReferences!, reference]),
    );
  await cluster.client.delete(
    ReplicationControllers,
    { name: "leaving", namespace },
    { propagationPolicy: "Foreground" },
  );
  await cluster.until(() => !cluster.get(ReplicationControllers, "leaving"));
  expect(
    runningPods(cluster)
      .map(({ metadata }) => metadata.name)
      .sort(),
  ).toEqual(shared.sort());
  expect(runningPods(cluster).map(({ metadata }) => metadata.ownerReferences?.map(({ name }) => name))).toEqual([
    ["staying"],
    ["staying"],
  ]);
});

test("a circle of owners goes as a whole", async () => {
  await using cluster = await start();
  const made = [];
  for (const name of ["one", "two", "three"]) made.push(await cluster.client.create(Pods, pod(name)));
  for (const [i, { metadata }] of made.entries()) {
    const owner = made[(i + 2) % 3]!.metadata;
    await cluster.edit(Pods, metadata.name, (object) => {
      object.metadata.ownerReferences = [
        { apiVersion: "v1", kind: "Pod", name: owner.name, uid: owner.uid, controller: true, blockOwnerDeletion: true },
      ];
    });
  }
  await cluster.until(() => runningPods(cluster).length === 3);
  await cluster.client.delete(Pods, { name: "one", namespace }, { propagationPolicy: "Foreground" });
  await cluster.until(() => cluster.list(Pods).length === 0);
});

test("an owner in another Namespace is none: what names it is collected, and told why", async () => {
  await using cluster = await start();
  await cluster.client.create(Namespaces, { metadata: { name: "other" }, spec: {} });
  const owner = await cluster.client.create(ConfigMaps, { metadata: { name: "owner", namespace: "other" } });
  const ownerReferences = [{ apiVersion: "v1", kind: "ConfigMap", name: "owner", uid: owner.metadata.uid }];
  await cluster.client.create(ConfigMaps, { metadata: { name: "dependent", namespace, ownerReferences } });
  await cluster.until(() => cluster.get(ConfigMaps, "dependent") === undefined);
  const beside = await cluster.client.create(ConfigMaps, { metadata: { name: "beside", namespace } });
  const wrong = [{ apiVersion: "v1", kind: "ConfigMap", name: "another", uid: beside.metadata.uid }];
  const right = [{ ...wrong[0]!, name: "beside" }];
  await cluster.client.create(ConfigMaps, { metadata: { name: "kept", namespace, ownerReferences: right } });
  await cluster.client.create(ConfigMaps, { metadata: { name: "misled", namespace, ownerReferences: wrong } });
  // Asked of the server: what this test watches may not have heard of them yet.
  const there = (name: string) => cluster.client.get(ConfigMaps, { name, namespace }).catch(() => undefined);
  await expect.poll(() => there("misled")).toBeUndefined();
  expect(await there("kept")).toBeDefined();
  await cluster.until(() =>
    cluster.list(Events, namespace).some(({ reason }) => reason === "OwnerRefInvalidNamespace"),
  );
});

test("a Namespace goes with its Services, after its Pods, and says while it waits what holds it", async () => {
  await using cluster = await start();
  const { client } = cluster;
  await client.create(Namespaces, { metadata: { name: "doomed" }, spec: {} });
  await expect
    .poll(() => client.get(ServiceAccounts, { name: "default", namespace: "doomed" }).catch(() => undefined))
    .toBeDefined();
  const held = { name: "held", namespace: "doomed", finalizers: ["example.com/hold"] };
  await client.create(Pods, { ...pod("held"), metadata: held });
  await client.create(Secrets, { metadata: { name: "used", namespace: "doomed" } });
  await client.create(Services, {
    metadata: { name: "web", namespace: "doomed" },
    spec: {
      clusterIP: "None",
      clusterIPs: ["None"],
      ipFamilies: ["IPv4"],
      ipFamilyPolicy: "SingleStack",
      selector: labels,
      ports: [{ port: 80 }],
    },
  });
  await cluster.until(() => cluster.get(Pods, "held", "doomed")?.status?.phase === "Running");
  await client.delete(Namespaces, { name: "doomed" });
  const condition = (wanted: string) =>
    cluster
      .get(Namespaces, "doomed")
      ?.status?.conditions?.find(({ type, status }) => type === wanted && status === "True");
  await cluster.until(() => condition("NamespaceFinalizersRemaining") !== undefined);
  expect(condition("NamespaceContentRemaining")?.message).toContain("pods. has 1 resource instances");
  expect(condition("NamespaceFinalizersRemaining")?.message).toContain("example.com/hold in 1 resource instances");
  // What the Pod may still use is there as long as the Pod.
  expect(cluster.get(Secrets, "used", "doomed")).toBeDefined();
  await expect(client.create(ConfigMaps, { metadata: { name: "late", namespace: "doomed" } })).rejects.toThrow(
    "forbidden: unable to create new content in namespace doomed because it is being terminated",
  );
  await client.patch(
    Pods,
    { name: "held", namespace: "doomed" },
    { type: "merge", body: { metadata: { finalizers: null } } },
  );
  await cluster.until(() => cluster.get(Namespaces, "doomed") === undefined);
  expect([cluster.list(Services, "doomed"), cluster.list(Secrets, "doomed")]).toEqual([[], []]);
});

async function withQuota(hard: Record<string, string>, spec = {}): Promise<TestControlPlane> {
  const cluster = await start();
  await cluster.client.create(ResourceQuotas, { metadata: { name: "limits", namespace }, spec: { hard, ...spec } });
  await cluster.until(() => cluster.get(ResourceQuotas, "limits")?.status?.used !== undefined);
  return cluster;
}
const used = (cluster: TestControlPlane, name = "limits") => cluster.get(ResourceQuotas, name)?.status?.used ?? {};

const headless = { clusterIP: "None", clusterIPs: ["None"], ipFamilies: ["IPv4"], ipFamilyPolicy: "SingleStack" };
test.each([
  ["services", "services", Services, { spec: { ...headless, selector: labels, ports: [{ port: 80 }] } }],
  ["secrets", "secrets", Secrets, { stringData: { a: "b" } }],
  ["configmaps", "configmaps", ConfigMaps, { data: { a: "b" } }],
  ["replicationcontrollers", "replicationcontrollers", ReplicationControllers, { spec: controller("one", 0).spec }],
  [
    "ReplicaSets",
    "count/replicasets.apps",
    ReplicaSets,
    { spec: { replicas: 0, selector: { matchLabels: labels }, template } },
  ],
] as const)("a quota counts %s as they come and go", async (_, key, resource, body) => {
  await using cluster = await withQuota({ [key]: "10" });
  await cluster.until(() => used(cluster)[key] !== undefined);
  // The Namespace's own ConfigMap may still be on its way.
  if (key === "configmaps") await cluster.until(() => used(cluster)[key] === "1");
  const before = Number(used(cluster)[key]);
  const metadata = { name: "one", namespace };
  await cluster.client.create(resource as typeof ConfigMaps, { metadata, ...body } as never);
  await cluster.until(() => used(cluster)[key] === String(before + 1));
  await cluster.client.delete(resource as typeof ConfigMaps, metadata, { propagationPolicy: "Background" });
  await cluster.until(() => used(cluster)[key] === String(before));
});

test("a quota counts what Pods request, of extended resources too, and gives it back", async () => {
  const gpu = "requests.example.com/gpu";
  await using cluster = await withQuota({
    pods: "5",
    cpu: "1",
    memory: "1Gi",
    "requests.ephemeral-storage": "10Gi",
    [gpu]: "3",
  });
  const requests = { cpu: "500m", memory: "252Mi", "ephemeral-storage": "3Gi", "example.com/gpu": "2" };
  const wanting = (name: string, amounts: Record<string, string>) =>
    pod(name, {
      containers: [
        {
          name: "main",
          image: "app:1",
          resources: { requests: amounts, limits: { "example.com/gpu": amounts["example.com/gpu"]! } },
        },
      ],
    });
  await cluster.client.create(Pods, wanting("first", requests));
  await cluster.until(() => used(cluster)["pods"] === "1");
  expect(used(cluster)).toEqual({
    pods: "1",
    cpu: "500m",
    memory: "252Mi",
    "requests.ephemeral-storage": "3Gi",
    [gpu]: "2",
  });
  await expect(cluster.client.create(Pods, wanting("second", { ...requests, cpu: "600m" }))).rejects.toThrow(
    "exceeded quota: limits",
  );
  await expect(cluster.client.create(Pods, wanting("third", requests))).rejects.toThrow(
    `requested: ${gpu}=2, used: ${gpu}=2, limited: ${gpu}=3`,
  );
  const more = cluster.edit(
    Pods,
    "first",
    ({ spec }) => void (spec.containers[0]!.resources!.requests!["cpu"] = "100m"),
  );
  await expect(more).rejects.toThrow("Forbidden: pod updates may not change fields other than");
  await cluster.client.delete(Pods, { name: "first", namespace }, { gracePeriodSeconds: 0 });
  await cluster.until(() => used(cluster)["pods"] === "0" && used(cluster)[gpu] === "0");
});

const bounded = { resources: { requests: { cpu: "100m", memory: "10Mi" }, limits: { cpu: "200m", memory: "20Mi" } } };
test.each([
  ["BestEffort", "NotBestEffort", {}, { containers: [{ name: "main", image: "app:1", ...bounded }] }],
  ["NotTerminating", "Terminating", {}, { activeDeadlineSeconds: 3600 }],
])("a quota of scope %s does not count what one of scope %s does", async (first, second, plain, other) => {
  await using cluster = await withQuota({ pods: "5" }, { scopes: [first] });
  await cluster.client.create(ResourceQuotas, {
    metadata: { name: "second", namespace },
    spec: { hard: { pods: "5" }, scopes: [second] },
  });
  await cluster.until(() => used(cluster, "second")["pods"] === "0");
  const counts = () => `${used(cluster)["pods"]} ${used(cluster, "second")["pods"]}`;
  await cluster.client.create(Pods, pod("plain", plain));
  await cluster.until(() => counts() === "1 0");
  await cluster.client.delete(Pods, { name: "plain", namespace }, { gracePeriodSeconds: 0 });
  await cluster.until(() => counts() === "0 0");
  await cluster.client.create(Pods, pod("other", other));
  await cluster.until(() => counts() === "0 1");
  await cluster.client.delete(Pods, { name: "other", namespace }, { gracePeriodSeconds: 0 });
  await cluster.until(() => counts() === "0 0");
});

test("a quota that is changed counts by its new numbers; deleted, it holds nobody back", async () => {
  await using cluster = await withQuota({ pods: "0" });
  await expect(cluster.client.create(Pods, pod("one"))).rejects.toThrow("exceeded quota");
  const hard = { pods: "1", cpu: "1", memory: "500Mi" };
  await cluster.edit(ResourceQuotas, "limits", ({ spec }) => void (spec!.hard = { ...hard, cpu: "2" }));
  await cluster.edit(ResourceQuotas, "limits", ({ spec }) => void (spec!.hard = hard));
  const isCounted = () => JSON.stringify(cluster.get(ResourceQuotas, "limits")?.status?.hard) === JSON.stringify(hard);
  await cluster.until(isCounted);
  await cluster.client.create(Pods, pod("one", { containers: [{ name: "main", image: "app:1", ...bounded }] }));
  await cluster.client.delete(ResourceQuotas, { name: "limits", namespace });
  await cluster.until(() => cluster.get(ResourceQuotas, "limits") === undefined);
  await cluster.client.create(Pods, pod("two"));
});

test("a LimitRange gives Pods its defaults, and refuses what lies outside it", async () => {
  await using cluster = await start();
  const { client } = cluster;
  await client.create(LimitRanges, {
    metadata: { name: "range", namespace },
    spec: {
      limits: [
        {
          type: "Container",
          min: { cpu: "50m", memory: "100Mi" },
          max: { cpu: "500m", memory: "500Mi" },
          default: { cpu: "500m", memory: "500Mi" },
          defaultRequest: { cpu: "100m", memory: "200Mi" },
        },
      ],
    },
  });
  const created = await client.create(Pods, pod("plain"));
  expect(created.spec.containers[0]!.resources).toEqual({
    limits: { cpu: "500m", memory: "500Mi" },
    requests: { cpu: "100m", memory: "200Mi" },
  });
  const partial = { resources: { requests: { cpu: "300m" }, limits: { memory: "300Mi" } } };
  const mixed = await client.create(
    Pods,
    pod("partial", { containers: [{ name: "main", image: "app:1", ...partial }] }),
  );
  expect(mixed.spec.containers[0]!.resources).toEqual({
    limits: { cpu: "500m", memory: "300Mi" },
    requests: { cpu: "300m", memory: "300Mi" }, // What is limited and not requested is requested in full.
  });
  const asking = (resources: object) =>
    client.create(Pods, pod("odd", { containers: [{ name: "main", image: "app:1", resources }] }));
  await expect(asking({ requests: { cpu: "10m" } })).rejects.toThrow(
    "minimum cpu usage per Container is 50m, but request is 10m",
  );
  await expect(asking({ limits: { memory: "600Mi" } })).rejects.toThrow(
    "maximum memory usage per Container is 500Mi, but limit is 600Mi",
  );
});

const evict = (cluster: TestControlPlane, name: string) =>
  cluster.client.createSubresource(Pods, { name, namespace }, "eviction", {
    apiVersion: "policy/v1",
    kind: "Eviction",
    metadata: { name, namespace },
  });

test("a budget tells how many Pods may go, and refuses an eviction until it allows it", async () => {
  await using cluster = await start();
  await cluster.client.create(ReplicaSets, {
    metadata: { name: "web", namespace },
    spec: { replicas: 3, selector: { matchLabels: labels }, template },
  });
  await cluster.client.create(PodDisruptionBudgets, {
    metadata: { name: "budget", namespace },
    spec: { minAvailable: 3, selector: { matchLabels: labels } },
  });
  const budget = () => cluster.get(PodDisruptionBudgets, "budget")?.status;
  await cluster.until(() => budget()?.currentHealthy === 3);
  expect(budget()).toMatchObject({ disruptionsAllowed: 0, currentHealthy: 3, desiredHealthy: 3, expectedPods: 3 });
  expect(budget()?.conditions).toMatchObject([
    { type: "DisruptionAllowed", status: "False", reason: "InsufficientPods" },
  ]);
  const [first] = runningPods(cluster).map(({ metadata }) => metadata.name);
  await expect(evict(cluster, first!)).rejects.toMatchObject({
    code: 429,
    message: "Cannot evict pod as it would violate the pod's disruption budget.",
    details: { causes: [{ message: "The disruption budget budget needs 3 healthy pods and has 3 currently" }] },
  });
  await cluster.edit(PodDisruptionBudgets, "budget", ({ spec }) => void (spec!.minAvailable = "60%"));
  await cluster.until(() => budget()?.disruptionsAllowed === 1 && budget()?.desiredHealthy === 2);
  const said = new Set<string | undefined>();
  using _ = cluster.observe(() => {
    const condition = cluster.get(Pods, first!)?.status?.conditions?.find(({ type }) => type === "DisruptionTarget");
    if (condition) said.add(`${condition.reason}: ${condition.message}`);
  });
  await evict(cluster, first!);
  await cluster.until(() => cluster.get(Pods, first!) === undefined);
  expect([...said]).toEqual(["EvictionByEvictionAPI: Eviction API: evicting"]);
  await cluster.until(() => budget()?.disruptionsAllowed === 1 && runningPods(cluster).length === 3);
});

test("a budget's share is of what any kind with a Scale wants; Pods that nobody owns are told of", async () => {
  await using cluster = await start();
  const owner = await cluster.client.create(Deployments, {
    metadata: { name: "other", namespace },
    spec: {
      replicas: 4,
      selector: { matchLabels: { app: "other" } },
      template: { metadata: { labels: { app: "other" } }, spec: template.spec },
    },
  });
  const { name, uid } = owner.metadata;
  // Owned by the Deployment itself, as a custom resource would own it.
  const ownerReferences = [{ apiVersion: "apps/v1", kind: "Deployment", name, uid, controller: true }];
  for (const owned of ["a", "b", "c"]) {
    const { metadata, spec } = pod(owned);
    await cluster.client.create(Pods, { metadata: { ...metadata, ownerReferences }, spec });
  }
  await cluster.client.create(Pods, pod("loose"));
  await cluster.client.create(PodDisruptionBudgets, {
    metadata: { name: "budget", namespace },
    spec: { maxUnavailable: "50%", selector: { matchLabels: labels } },
  });
  const budget = () => cluster.get(PodDisruptionBudgets, "budget")?.status;
  await cluster.until(() => budget()?.currentHealthy === 4);
  expect(budget()).toMatchObject({ expectedPods: 4, desiredHealthy: 2, disruptionsAllowed: 2 });
  await cluster.until(() => cluster.list(Events, namespace).some(({ reason }) => reason === "UnmanagedPods"));
});

test("Pods leave a tainted Node when the time that they tolerate is over, and stay when the taint is taken off in time", async () => {
  const clock = leapingClock(Date.now());
  await using cluster = await startTestControlPlane({ watched, clock, controllers: { nodeMonitorGracePeriodMs: 1e9 } });
  await cluster.addNode("worker");
  const tolerating = (name: string, tolerationSeconds?: number) =>
    cluster.client.create(
      Pods,
      pod(name, {
        nodeName: "worker",
        tolerations: [
          {
            key: "bad",
            operator: "Exists",
            effect: "NoExecute",
            ...(tolerationSeconds === undefined ? {} : { tolerationSeconds }),
          },
        ],
      }),
    );
  await tolerating("short", 10);
  await tolerating("long", 100);
  await tolerating("forever");
  await cluster.client.create(Pods, pod("not-at-all", { nodeName: "worker" }));
  await cluster.until(() => runningPods(cluster).length === 4);
  await cluster.edit(Nodes, "worker", ({ spec }) => void (spec.taints = [{ key: "bad", effect: "NoExecute" }]));
  const left = () =>
    runningPods(cluster)
      .map(({ metadata }) => metadata.name)
      .sort()
      .join();
  const told = () =>
    cluster
      .list(Events, namespace)
      .filter(({ reason }) => reason === "TaintManagerEviction")
      .map(({ message }) => message)
      .sort();
  await cluster.until(() => left() === "forever,long,short");
  clock.leap(11_000);
  await cluster.until(() => left() === "forever,long");
  await cluster.edit(Nodes, "worker", ({ spec }) => void delete spec.taints);
  await cluster.until(() => told().length === 3);
  clock.leap(120_000);
  await settled(300);
  expect(left()).toBe("forever,long");
  expect(told()).toEqual([
    "Cancelling deletion of Pod default/long",
    "Marking for deletion Pod default/not-at-all",
    "Marking for deletion Pod default/short",
  ]);
});

test("a Pod that was to be disrupted and still is there after two minutes says so no more", async () => {
  const clock = leapingClock(Date.now());
  await using cluster = await startTestControlPlane({ watched, clock, controllers: { nodeMonitorGracePeriodMs: 1e9 } });
  await cluster.client.create(Pods, pod("spared"));
  const lastTransitionTime = rfc3339(clock.now());
  const body = { status: { conditions: [{ type: "DisruptionTarget", status: "True", lastTransitionTime }] } };
  await cluster.client.patch(
    Pods,
    { name: "spared", namespace },
    { type: "strategic", body },
    { subresource: "status" },
  );
  const condition = () =>
    cluster.get(Pods, "spared")?.status?.conditions?.find(({ type }) => type === "DisruptionTarget");
  await cluster.until(() => condition()?.status === "True");
  clock.leap(125_000);
  await cluster.until(() => condition()?.status === "False");
});

test("hand-made Endpoints are mirrored into slices as they come, change and go", async () => {
  await using cluster = await start();
  const { client } = cluster;
  const ref = { name: "manual", namespace };
  await client.create(Services, {
    metadata: ref,
    spec: {
      clusterIP: "None",
      clusterIPs: ["None"],
      ipFamilies: ["IPv4"],
      ipFamilyPolicy: "SingleStack",
      ports: [{ name: "http", port: 80 }],
    },
  });
  const subset = (ip: string) => ({ addresses: [{ ip }], ports: [{ name: "http", port: 8080, protocol: "TCP" }] });
  await client.create(Endpoints, { metadata: ref, subsets: [subset("10.1.2.3")] });
  const slices = () =>
    cluster
      .list(EndpointSlices, namespace)
      .filter(({ metadata }) => metadata.labels?.["kubernetes.io/service-name"] === "manual");
  await cluster.until(() => slices()[0]?.endpoints?.[0]?.addresses[0] === "10.1.2.3");
  expect(slices()[0]).toMatchObject({
    metadata: { labels: { "endpointslice.kubernetes.io/managed-by": "endpointslicemirroring-controller.k8s.io" } },
    ports: [{ name: "http", port: 8080, protocol: "TCP" }],
  });
  await cluster.edit(Endpoints, "manual", (endpoints) => void (endpoints.subsets = [subset("10.1.2.4")]));
  await cluster.until(() => slices().length === 1 && slices()[0]?.endpoints?.[0]?.addresses[0] === "10.1.2.4");
  await client.delete(Endpoints, ref);
  await cluster.until(() => slices().length === 0);
});

test("a Node is made, labelled, found by its label, and deleted", async () => {
  await using cluster = await start();
  const { client } = cluster;
  await client.create(Nodes, { metadata: { name: "extra" }, spec: {} });
  await client.patch(Nodes, { name: "extra" }, { type: "strategic", body: { metadata: { labels: { found: "yes" } } } });
  expect((await client.list(Nodes, { labelSelector: "found=yes" })).items.map(({ metadata }) => metadata.name)).toEqual(
    ["extra"],
  );
  await client.deleteCollection(Nodes, { labelSelector: "found=yes" });
  await expect(client.get(Nodes, { name: "extra" })).rejects.toSatisfy(isNotFound);
});
