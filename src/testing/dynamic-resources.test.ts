/** Devices by claim: from a driver's slices to a bound Pod and back, against the real API server. */
import { expect, test } from "vitest";
import type { Pod } from "../api/core/v1.ts";
import type { New } from "../api/object.ts";
import type { Device, ExactDeviceRequest, ResourceClaimSpec } from "../api/resource/v1.ts";
import {
  DeviceClasses,
  Events,
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
