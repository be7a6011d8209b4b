/** Devices by claim: from a driver's slices to a bound Pod and back, against the real API server. */
import { expect, test } from "vitest";
import type { Pod } from "../api/core/v1.ts";
import type { KubeObject, New } from "../api/object.ts";
import type { Device, ExactDeviceRequest, ResourceClaimSpec } from "../api/resource/v1.ts";
import type { Resource } from "../api/resource.ts";
import {
  DeviceClasses,
  Events,
  Namespaces,
  Nodes,
  Pods,
  ResourceClaims,
  ResourceClaimTemplates,
  ResourceSlices,
} from "../api/resources.ts";
import { finishPod, startTestControlPlane, type TestControlPlane } from "./control-plane.ts";

const namespace = "default";
const driver = "gpu.example.com";

async function start(devices: Device[] = [{ name: "gpu-0" }]): Promise<TestControlPlane> {
  const cluster = await startTestControlPlane({ watched: [ResourceClaims, ResourceSlices, DeviceClasses, Events] });
  await cluster.addNode("worker-1");
  await cluster.addNode("worker-2");
  await cluster.client.create(DeviceClasses, {
    metadata: { name: "gpu" },
    spec: { selectors: [{ cel: { expression: `device.driver == "${driver}"` } }] },
  });
  if (devices.length > 0) await publish(cluster, "worker-2", devices);
  return cluster;
}

const publish = ({ client }: TestControlPlane, nodeName: string, devices: Device[]) =>
  client.create(ResourceSlices, {
    metadata: { name: `${nodeName}-gpus` },
    spec: { driver, nodeName, pool: { name: nodeName, generation: 1, resourceSliceCount: 1 }, devices },
  });

const wants = (exactly: Partial<ExactDeviceRequest> = {}): ResourceClaimSpec => ({
  devices: { requests: [{ name: "one", exactly: { deviceClassName: "gpu", ...exactly } }] },
});

const podWith = (name: string, claims: NonNullable<Pod["spec"]["resourceClaims"]>): New<Pod> => ({
  metadata: { name, namespace },
  spec: {
    containers: [
      { name: "main", image: "app:1", resources: { claims: claims.map((claim) => ({ name: claim.name })) } },
    ],
    resourceClaims: claims,
  },
});

const isBound = (cluster: TestControlPlane, name: string) => cluster.get(Pods, name)?.spec.nodeName !== undefined;
const told = (cluster: TestControlPlane, reason: string) =>
  cluster.list(Events).find((event) => event.reason === reason)?.message ?? "";

test("a Pod gets a claim from its template, a device, and the device's Node; all is given back when it ends", async () => {
  await using cluster = await start();
  const { client } = cluster;
  const template = { metadata: { labels: { made: "here" } }, spec: wants() };
  await client.create(ResourceClaimTemplates, { metadata: { name: "one-gpu", namespace }, spec: template });
  await client.create(Pods, podWith("train", [{ name: "gpu", resourceClaimTemplateName: "one-gpu" }]));
  await cluster.until(() => cluster.get(Pods, "train")?.status?.phase === "Running");
  const pod = cluster.get(Pods, "train")!;
  const [status] = pod.status!.resourceClaimStatuses!;
  expect(status).toEqual({ name: "gpu", resourceClaimName: expect.stringMatching(/^train-gpu-[a-z0-9]{5}$/) });
  expect(pod.spec.nodeName).toBe("worker-2");
  const claim = cluster.get(ResourceClaims, status!.resourceClaimName!)!;
  expect(claim).toMatchObject({
    metadata: {
      labels: { made: "here" },
      annotations: { "resource.kubernetes.io/pod-claim-name": "gpu" },
      ownerReferences: [
        { kind: "Pod", name: "train", uid: pod.metadata.uid, controller: true, blockOwnerDeletion: true },
      ],
      finalizers: ["resource.kubernetes.io/delete-protection"],
    },
    status: {
      allocation: {
        devices: { results: [{ request: "one", driver, pool: "worker-2", device: "gpu-0" }] },
        nodeSelector: {
          nodeSelectorTerms: [{ matchFields: [{ key: "metadata.name", operator: "In", values: ["worker-2"] }] }],
        },
      },
      reservedFor: [{ resource: "pods", name: "train", uid: pod.metadata.uid }],
    },
  });

  await client.create(Pods, podWith("next", [{ name: "gpu", resourceClaimTemplateName: "one-gpu" }]));
  await cluster.until(() => told(cluster, "FailedScheduling") !== "");
  expect(told(cluster, "FailedScheduling")).toBe(
    "0/2 nodes are available: 2 cannot allocate all claims. still not schedulable, preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.",
  );
  await finishPod(cluster, pod, 0);
  await cluster.until(() => isBound(cluster, "next"));
  await cluster.until(() => cluster.get(ResourceClaims, claim.metadata.name) === undefined);
  await client.delete(Pods, { name: "next", namespace });
  await cluster.until(() => cluster.list(ResourceClaims).length === 0);
  expect(cluster.complaints).toEqual([]);
});

test("a Pod is bound when its device has been made ready, and gets another when that fails", async () => {
  const conditions = { bindingConditions: ["Attached"], bindingFailureConditions: ["Broken"] };
  await using cluster = await start([{ name: "fabric", ...conditions }]);
  const { client } = cluster;
  await client.create(ResourceClaims, { metadata: { name: "gpu", namespace }, spec: wants() });
  await client.create(Pods, podWith("train", [{ name: "gpu", resourceClaimName: "gpu" }]));
  const claim = () => cluster.get(ResourceClaims, "gpu");
  const allocated = () => claim()?.status?.allocation?.devices?.results?.[0]?.device;
  const say = (device: string, type: string) => {
    const condition = {
      type,
      status: "True",
      reason: "Driver",
      message: "says so",
      lastTransitionTime: "2026-01-01T00:00:00Z",
    };
    const devices = [
      { driver, pool: allocated() === "fabric" ? "worker-2" : "worker-1", device, conditions: [condition] },
    ];
    return cluster.client.patch(
      ResourceClaims,
      { name: "gpu", namespace },
      { type: "merge", body: { status: { devices } } },
      { subresource: "status" },
    );
  };
  await cluster.until(() => told(cluster, "BindingConditionsPending") !== "");
  expect(told(cluster, "BindingConditionsPending")).toBe("waiting for binding conditions for device on node worker-2");
  await cluster.until(() => allocated() === "fabric");
  expect(claim()!.status!.allocation).toMatchObject({
    devices: { results: [conditions] },
    allocationTimestamp: expect.any(String),
  });
  await publish(cluster, "worker-1", [{ name: "spare", ...conditions }]);
  await client.delete(ResourceSlices, { name: "worker-2-gpus" });
  await say("fabric", "Broken");
  await cluster.until(() => told(cluster, "FailedScheduling") !== "");
  expect(told(cluster, "FailedScheduling")).toBe(
    'running PreBind plugin "DynamicResources": claim gpu binding failed: reason=Driver, message="says so"',
  );
  await cluster.until(() => allocated() === "spare");
  expect(isBound(cluster, "train")).toBe(false);
  await say("spare", "Attached");
  await cluster.until(() => isBound(cluster, "train"));
  expect(cluster.get(Pods, "train")!.spec.nodeName).toBe("worker-1");
});

test("extended resources that a class stands for come from its devices, where no Node has them itself", async () => {
  await using cluster = await start([{ name: "gpu-0" }, { name: "gpu-1" }]);
  const { client } = cluster;
  const resource = "example.com/gpu";
  const podFor = (name: string, amounts: Record<string, string>): New<Pod> => ({
    metadata: { name, namespace },
    spec: { containers: [{ name: "main", image: "app:1", resources: { requests: amounts, limits: amounts } }] },
  });
  await client.create(Pods, podFor("train", { [resource]: "2" }));
  await cluster.until(() => told(cluster, "FailedScheduling") !== "");
  expect(told(cluster, "FailedScheduling")).toContain("0/2 nodes are available: 2 Insufficient example.com/gpu.");
  // The class is said to stand for the resource: who waits for it is looked at again.
  await client.patch(
    DeviceClasses,
    { name: "gpu" },
    { type: "merge", body: { spec: { extendedResourceName: resource } } },
  );
  await cluster.until(() => cluster.get(Pods, "train")?.status?.phase === "Running");
  const pod = cluster.get(Pods, "train")!;
  expect(pod.spec.nodeName).toBe("worker-2");
  const { resourceClaimName, requestMappings } = pod.status!.extendedResourceClaimStatus!;
  expect(resourceClaimName).toMatch(/^train-extended-resources-[a-z0-9]{5}$/);
  expect(requestMappings).toEqual([
    { containerName: "main", resourceName: resource, requestName: "container-0-request-0" },
  ]);
  const results = ["gpu-0", "gpu-1"].map((device) => ({
    request: "container-0-request-0",
    driver,
    pool: "worker-2",
    device,
  }));
  expect(cluster.get(ResourceClaims, resourceClaimName)).toMatchObject({
    metadata: {
      annotations: { "resource.kubernetes.io/extended-resource-claim": "true" },
      ownerReferences: [{ kind: "Pod", name: "train", uid: pod.metadata.uid, controller: true }],
    },
    spec: {
      devices: { requests: [{ name: "container-0-request-0", exactly: { deviceClassName: "gpu", count: 2 } }] },
    },
    status: {
      allocation: { devices: { results } },
      reservedFor: [{ resource: "pods", name: "train", uid: pod.metadata.uid }],
    },
  });

  // By the class' own name, and nothing is left; a Node that has the resource itself needs no device.
  await client.create(Pods, podFor("second", { "deviceclass.resource.kubernetes.io/gpu": "1" }));
  await cluster.until(() =>
    cluster.list(Events).some(({ message }) => message?.includes("cannot allocate all claims")),
  );
  const body = { status: { capacity: { [resource]: "1" }, allocatable: { [resource]: "1" } } };
  await client.patch(Nodes, { name: "worker-1" }, { type: "strategic", body }, { subresource: "status" });
  await client.create(Pods, podFor("plain", { [resource]: "1" }));
  await cluster.until(() => isBound(cluster, "plain"));
  expect(cluster.get(Pods, "plain")).toMatchObject({ spec: { nodeName: "worker-1" } });
  expect(cluster.get(Pods, "plain")?.status).not.toHaveProperty("extendedResourceClaimStatus");

  await finishPod(cluster, pod, 0);
  await cluster.until(() => isBound(cluster, "second"));
  await cluster.until(() => cluster.get(ResourceClaims, resourceClaimName) === undefined);
  await client.delete(Pods, { name: "second", namespace });
  await cluster.until(() => cluster.list(ResourceClaims).length === 0);
  expect(cluster.complaints).toEqual([]);
});

test("a claim for extended resources that a failed binding left behind goes before the next try", async () => {
  await using cluster = await start([]);
  const { client } = cluster;
  await client.patch(
    DeviceClasses,
    { name: "gpu" },
    { type: "merge", body: { spec: { extendedResourceName: "example.com/gpu" } } },
  );
  const amounts = { "example.com/gpu": "1" };
  const pod = await client.create(Pods, {
    metadata: { name: "train", namespace },
    spec: { containers: [{ name: "main", image: "app:1", resources: { requests: amounts, limits: amounts } }] },
  });
  await cluster.until(() => told(cluster, "FailedScheduling") !== "");
  await client.create(ResourceClaims, {
    metadata: {
      name: "left",
      namespace,
      finalizers: ["resource.kubernetes.io/delete-protection"],
      annotations: { "resource.kubernetes.io/extended-resource-claim": "true" },
      ownerReferences: [{ apiVersion: "v1", kind: "Pod", name: "train", uid: pod.metadata.uid, controller: true }],
    },
    spec: wants(),
  });
  await cluster.until(() => cluster.get(ResourceClaims, "left") !== undefined);
  await publish(cluster, "worker-2", [{ name: "gpu-0" }]);
  await cluster.until(() => isBound(cluster, "train"));
  expect(cluster.list(ResourceClaims).map(({ metadata }) => metadata.name)).toEqual([
    expect.stringMatching(/^train-extended-resources-/),
  ]);
});

test("Pods share a claim; with the last of them it loses its device, and is not deleted before", async () => {
  await using cluster = await start();
  const { client } = cluster;
  const users = ["a", "b"];
  for (const name of users) await client.create(Pods, podWith(name, [{ name: "gpu", resourceClaimName: "shared" }]));
  await client.create(ResourceClaims, { metadata: { name: "shared", namespace }, spec: wants() });
  await cluster.until(() => users.every((name) => isBound(cluster, name)));
  expect(users.map((name) => cluster.get(Pods, name)?.spec.nodeName)).toEqual(["worker-2", "worker-2"]);
  await cluster.until(() => cluster.get(ResourceClaims, "shared")?.status?.reservedFor?.length === 2);
  // Nobody is told of a Pod that waits for its claim to be made.
  expect(told(cluster, "FailedScheduling")).not.toContain("not found");

  await client.delete(Pods, { name: "a", namespace });
  await cluster.until(() => cluster.get(ResourceClaims, "shared")?.status?.reservedFor?.length === 1);
  await client.delete(ResourceClaims, { name: "shared", namespace });
  await cluster.until(() => cluster.get(ResourceClaims, "shared")?.metadata.deletionTimestamp !== undefined);
  expect(cluster.get(ResourceClaims, "shared")?.status?.allocation).toBeDefined();
  await client.delete(Pods, { name: "b", namespace });
  await cluster.until(() => cluster.get(ResourceClaims, "shared") === undefined);
});

test("a Pod waits for its class and for devices, and is told so", async () => {
  await using cluster = await start([]);
  const { client } = cluster;
  const spec = wants({
    deviceClassName: "fpga",
    selectors: [{ cel: { expression: 'device.attributes["x.com"].size > 3' } }],
  });
  await client.create(ResourceClaims, { metadata: { name: "c", namespace }, spec });
  await client.create(Pods, podWith("p", [{ name: "it", resourceClaimName: "c" }]));
  const message = () =>
    cluster.get(Pods, "p")?.status?.conditions?.find(({ type }) => type === "PodScheduled")?.message ?? "";
  await cluster.until(() => message().includes("request one: device class fpga does not exist."));
  await client.create(DeviceClasses, { metadata: { name: "fpga" }, spec: {} });
  await cluster.until(() => message().includes("2 cannot allocate all claims."));
  await publish(cluster, "worker-1", [{ name: "small", attributes: { "x.com/size": { int: 3 } } }]);
  const fitting = { name: "big", attributes: { "x.com/size": { int: 4 } } };
  await publish(cluster, "worker-2", [fitting]);
  await cluster.until(() => cluster.get(Pods, "p")?.spec.nodeName === "worker-2");
});

test("a template that is not there is told of, and made good when it comes", async () => {
  await using cluster = await start();
  const { client } = cluster;
  await client.create(Pods, podWith("p", [{ name: "gpu", resourceClaimTemplateName: "later" }]));
  await cluster.until(() => told(cluster, "FailedResourceClaimCreation") !== "");
  expect(told(cluster, "FailedResourceClaimCreation")).toBe(
    'PodResourceClaim gpu: resource claim template "later": resourceclaimtemplate.resource.k8s.io "later" not found',
  );
  await client.create(ResourceClaimTemplates, { metadata: { name: "later", namespace }, spec: { spec: wants() } });
  await cluster.until(() => isBound(cluster, "p"));
});

test("a Pod is deleted when its device gets a taint that its claim does not tolerate, or not for so long", async () => {
  await using cluster = await start([{ name: "a" }, { name: "b" }, { name: "c" }]);
  const { client } = cluster;
  const tolerations = {
    a: [],
    b: [{ key: "bad", operator: "Exists", effect: "NoExecute", tolerationSeconds: 1 }],
    c: [{ operator: "Exists" }],
  };
  for (const [name, tolerated] of Object.entries(tolerations)) {
    await client.create(ResourceClaims, { metadata: { name, namespace }, spec: wants({ tolerations: tolerated }) });
    await client.create(Pods, podWith(name, [{ name: "gpu", resourceClaimName: name }]));
    await cluster.until(() => isBound(cluster, name));
  }
  await cluster.edit(ResourceSlices, "worker-2-gpus", ({ spec }) => {
    for (const device of spec.devices ?? []) device.taints = [{ key: "bad", value: "yes", effect: "NoExecute" }];
  });
  await cluster.until(() => cluster.get(Pods, "a") === undefined);
  expect(told(cluster, "DeviceTaintManagerEviction")).toBe("Marking for deletion");
  const [device] = cluster.get(ResourceSlices, "worker-2-gpus")!.spec.devices!;
  expect(device?.taints?.[0]?.timeAdded).toMatch(/^\d{4}-.*Z$/);
  await cluster.until(() => cluster.get(Pods, "b") === undefined);
  expect(cluster.get(Pods, "c")?.metadata.deletionTimestamp).toBeUndefined();
});

test("what is said of a claim must hold together, and devices that others use are looked at only where that is allowed", async () => {
  await using cluster = await start();
  const { client } = cluster;
  const claim = await client.create(ResourceClaims, { metadata: { name: "c", namespace }, spec: wants() });
  const user = (name: string) => ({ resource: "pods", name, uid: name });
  await expect(client.updateStatus(ResourceClaims, { ...claim, status: { reservedFor: [user("a")] } })).rejects.toThrow(
    "status.reservedFor: Forbidden: may not be specified when `allocated` is not set",
  );
  const results = [{ request: "one", driver, pool: "worker-2", device: "gpu-0" }];
  const allocation = { devices: { results } };
  const given = await client.updateStatus(ResourceClaims, { ...claim, status: { allocation } });
  const other = { devices: { results: [{ ...results[0]!, device: "gpu-1" }] } };
  await expect(client.updateStatus(ResourceClaims, { ...given, status: { allocation: other } })).rejects.toThrow(
    "status.allocation: Invalid value",
  );

  const admin = { metadata: { name: "admin", namespace }, spec: wants({ adminAccess: true }) };
  await expect(client.create(ResourceClaims, admin)).rejects.toThrow(
    'ResourceClaim.resource.k8s.io "admin" is invalid: spec.devices.requests[0].exactly.adminAccess: Forbidden: admin access to devices requires the `resource.kubernetes.io/admin-access: true` label on the containing namespace',
  );
  await expect(
    client.create(ResourceClaimTemplates, { metadata: admin.metadata, spec: { spec: admin.spec } }),
  ).rejects.toThrow("spec.spec.devices.requests[0].exactly.adminAccess: Forbidden");
  const body = { metadata: { labels: { "resource.kubernetes.io/admin-access": "true" } } };
  await client.patch(Namespaces, { name: namespace }, { type: "merge", body });
  await client.create(ResourceClaims, admin);
});

/** Conformance: CRUD tests of the four kinds. */
test("classes, claims, templates and slices are created, read, listed, watched, changed and deleted", async () => {
  await using cluster = await start([]);
  const { client } = cluster;
  const kinds: [Resource, object][] = [
    [DeviceClasses as Resource, { spec: { selectors: [] } }],
    [ResourceClaims as Resource, { spec: wants() }],
    [ResourceClaimTemplates as Resource, { spec: { spec: wants() } }],
    [
      ResourceSlices as Resource,
      { spec: { driver, nodeName: "n", pool: { name: "p", generation: 1, resourceSliceCount: 1 } } },
    ],
  ];
  for (const [resource, rest] of kinds) {
    const where = resource.scope === "Namespaced" ? { namespace } : {};
    const mine = { ...where, labelSelector: "crud=yes" };
    const seen: string[] = [];
    const watch = await client.watch(resource, mine, (events) => seen.push(...events.map(({ type }) => type)));
    const make = (name: string) =>
      client.create(resource, { metadata: { name, ...where, labels: { crud: "yes" } }, ...rest } as New<KubeObject>);
    const first = await make("first");
    expect(await client.get(resource, { name: "first", ...where })).toEqual(first);
    await make("second");
    expect((await client.list(resource, mine)).items.map(({ metadata }) => metadata.name)).toEqual(["first", "second"]);
    const merged = { metadata: { annotations: { patched: "merge" } } };
    await client.patch(resource, { name: "first", ...where }, { type: "merge", body: merged });
    const applied = {
      apiVersion: "resource.k8s.io/v1",
      kind: resource.kind,
      metadata: { name: "first", ...where, labels: { applied: "yes" } },
    };
    const patched = await client.patch(
      resource,
      { name: "first", ...where },
      { type: "apply", body: { ...applied, ...rest }, force: true },
      { fieldManager: "test" },
    );
    expect(patched.metadata).toMatchObject({
      annotations: { patched: "merge" },
      labels: { crud: "yes", applied: "yes" },
    });
    const metadata = { ...patched.metadata, annotations: { patched: "put" } };
    const updated = await client.update(resource, { ...patched, metadata } as KubeObject);
    expect(updated.metadata.annotations).toEqual({ patched: "put" });
    await client.delete(resource, { name: "first", ...where });
    await expect(client.get(resource, { name: "first", ...where })).rejects.toThrow("not found");
    await client.deleteCollection(resource, mine);
    expect((await client.list(resource, mine)).items).toEqual([]);
    await expect.poll(() => seen.filter((type) => type === "DELETED").length).toBe(2);
    expect(seen.filter((type) => type === "ADDED")).toHaveLength(2);
    expect(seen).toContain("MODIFIED");
    watch.stop();
  }
});
