/**
 * The life of one object of each kind that the conformance list plays through: made, read, listed by label, watched, patched,
 * replaced, its status written, deleted alone and with its like.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { KubeObject, New } from "../api/object.ts";
import type { Resource } from "../api/resource.ts";
import {
  ConfigMaps,
  CSIDrivers,
  CSINodes,
  CSIStorageCapacities,
  DeviceClasses,
  Leases,
  Nodes,
  PersistentVolumeClaims,
  PersistentVolumes,
  Pods,
  PodTemplates,
  ResourceClaims,
  ResourceClaimTemplates,
  ResourceSlices,
  RuntimeClasses,
  Secrets,
  StorageClasses,
  VolumeAttachments,
  VolumeAttributesClasses,
} from "../api/resources.ts";
import { isConflict, isNotFound } from "../apimachinery/status-error.ts";
import type { WatchEvent } from "../client/client.ts";
import { startTestApiServer, type TestApiServer } from "./api-server.ts";

interface Life {
  resource: Resource;
  /** All but the metadata. */
  body: Record<string, unknown>;
  /** A merge patch beyond the label that every object is given, and what shows of it. */
  change?: Record<string, unknown>;
  status?: Record<string, unknown>;
}

const podSpec = { containers: [{ name: "main", image: "busybox" }] };
const requests = { requests: [{ name: "one", exactly: { deviceClassName: "gpu" } }] };

const lives: Record<string, Life> = {
  ConfigMap: { resource: ConfigMaps, body: { data: { a: "1" } }, change: { data: { b: "2" } } },
  Secret: { resource: Secrets, body: { data: { a: "MQ==" } }, change: { data: { b: "Mg==" } } },
  Lease: {
    resource: Leases,
    body: { spec: { holderIdentity: "me", leaseDurationSeconds: 30 } },
    change: { spec: { holderIdentity: "you", leaseTransitions: 1 } },
  },
  PodTemplate: {
    resource: PodTemplates,
    body: { template: { metadata: { labels: { app: "x" } }, spec: podSpec } },
    change: { template: { metadata: { labels: { app: "y" } } } },
  },
  Pod: {
    resource: Pods,
    body: { spec: podSpec },
    change: { spec: { activeDeadlineSeconds: 5000 } },
    status: { phase: "Running", conditions: [{ type: "Ready", status: "True" }] },
  },
  Node: {
    resource: Nodes,
    body: {},
    change: { spec: { unschedulable: true } },
    status: { conditions: [{ type: "Ready", status: "True" }] },
  },
  RuntimeClass: { resource: RuntimeClasses, body: { handler: "crun" } },
  PersistentVolume: {
    resource: PersistentVolumes,
    body: {
      spec: {
        capacity: { storage: "1Gi" },
        accessModes: ["ReadWriteOnce"],
        persistentVolumeReclaimPolicy: "Retain",
        hostPath: { path: "/nowhere" },
      },
    },
    change: { spec: { persistentVolumeReclaimPolicy: "Delete" } },
    status: { phase: "Failed", message: "said", reason: "Tried" },
  },
  PersistentVolumeClaim: {
    resource: PersistentVolumeClaims,
    body: {
      spec: { accessModes: ["ReadWriteOnce"], storageClassName: "", resources: { requests: { storage: "1Gi" } } },
    },
    status: { phase: "Pending", conditions: [{ type: "Tried", status: "True" }] },
  },
  StorageClass: {
    resource: StorageClasses,
    body: { provisioner: "test.csi" },
    change: { allowVolumeExpansion: true },
  },
  VolumeAttachment: {
    resource: VolumeAttachments,
    body: { spec: { attacher: "test.csi", nodeName: "here", source: { persistentVolumeName: "pv" } } },
    status: { attached: true, attachmentMetadata: { device: "/dev/x" } },
  },
  VolumeAttributesClass: {
    resource: VolumeAttributesClasses,
    body: { driverName: "test.csi", parameters: { tier: "fast" } },
  },
  CSIDriver: {
    resource: CSIDrivers,
    body: { spec: { attachRequired: false, volumeLifecycleModes: ["Ephemeral"] } },
    change: { spec: { requiresRepublish: true } },
  },
  CSINode: {
    resource: CSINodes,
    body: { spec: { drivers: [] } },
    change: { spec: { drivers: [{ name: "test.csi", nodeID: "7", topologyKeys: null }] } },
  },
  CSIStorageCapacity: {
    resource: CSIStorageCapacities,
    body: { storageClassName: "fast", capacity: "1Gi" },
    change: { capacity: "2Gi" },
  },
  DeviceClass: {
    resource: DeviceClasses,
    body: { spec: {} },
    change: { spec: { selectors: [{ cel: { expression: 'device.driver == "gpu.example"' } }] } },
  },
  ResourceClaim: {
    resource: ResourceClaims,
    body: { spec: { devices: requests } },
    status: {
      allocation: {
        devices: { results: [{ request: "one", driver: "gpu.example", pool: "here", device: "gpu-0" }] },
      },
    },
  },
  ResourceClaimTemplate: { resource: ResourceClaimTemplates, body: { spec: { spec: { devices: requests } } } },
  ResourceSlice: {
    resource: ResourceSlices,
    body: {
      spec: {
        driver: "gpu.example",
        nodeName: "here",
        pool: { name: "here", generation: 1, resourceSliceCount: 1 },
        devices: [{ name: "gpu-0" }],
      },
    },
    change: { spec: { pool: { generation: 2 } } },
  },
};

let api: TestApiServer;

beforeAll(async () => {
  api = await startTestApiServer({});
});
afterAll(() => api.close());

test.each(Object.entries(lives))("a %s lives its whole life", async (kind, { resource, body, change, status }) => {
  const { client } = api;
  const place = resource.scope === "Namespaced" ? { namespace: "default" } : {};
  const ref = (name: string) => ({ name, ...place });
  const make = (name: string) =>
    client.create(resource, {
      metadata: { ...ref(name), labels: { life: kind } },
      ...structuredClone(body),
    } as New<KubeObject>);
  const seen: WatchEvent["type"][] = [];
  const { metadata } = await client.list(resource, place);
  const watch = await client.watch(
    resource,
    { ...place, labelSelector: `life=${kind}`, resourceVersion: metadata.resourceVersion },
    (events) => seen.push(...events.map(({ type }) => type)),
  );

  const made = await make("one");
  expect(made.metadata).toMatchObject({ name: "one", uid: expect.any(String), creationTimestamp: expect.any(String) });
  expect(made).toMatchObject(body);
  expect(await client.get(resource, ref("one"))).toEqual(made);
  expect((await client.list(resource, { labelSelector: `life=${kind}` })).items).toHaveLength(1);

  const patch = { metadata: { annotations: { patched: "yes" } }, ...change };
  const patched = await client.patch(resource, ref("one"), { type: "merge", body: patch });
  expect(patched).toMatchObject(patch);
  const next = {
    ...patched,
    metadata: { ...patched.metadata, annotations: { ...patched.metadata.annotations, replaced: "yes" } },
  };
  const replaced = await client.update(resource, next);
  expect(replaced.metadata.annotations).toMatchObject({ patched: "yes", replaced: "yes" });
  await expect(client.update(resource, next)).rejects.toSatisfy(isConflict);

  if (status) {
    const written = await client.updateStatus(resource, { ...replaced, status } as KubeObject);
    expect(written).toMatchObject({ status });
    const labels = { labels: { "with-status": "yes" } };
    const both = await client.patch(
      resource,
      ref("one"),
      { type: "merge", body: { status } },
      { subresource: "status" },
    );
    expect(both).toMatchObject({ status });
    expect(await client.patch(resource, ref("one"), { type: "merge", body: { metadata: labels } })).toMatchObject({
      status,
      metadata: labels,
    });
  }

  const now = { gracePeriodSeconds: 0 };
  await client.delete(resource, ref("one"), now);
  await release("one");
  await expect(client.get(resource, ref("one"))).rejects.toSatisfy(isNotFound);
  for (const name of ["two", "three"]) await make(name);
  await client.deleteCollection(resource, { ...place, labelSelector: `life=${kind}` }, now);
  for (const name of ["two", "three"]) await release(name);
  expect((await client.list(resource, { ...place, labelSelector: `life=${kind}` })).items).toEqual([]);
  await expect.poll(() => seen.filter((type) => type === "DELETED").length).toBe(3);
  expect(seen[0]).toBe("ADDED");
  expect(seen.filter((type) => type === "ADDED")).toHaveLength(3);
  expect(seen.filter((type) => type === "MODIFIED").length).toBeGreaterThanOrEqual(status ? 4 : 2);
  watch.stop();

  /** What a controller holds back until it is unused is let go. */
  async function release(name: string): Promise<void> {
    const object = await client.get(resource, ref(name)).catch(() => undefined);
    if (object?.metadata.finalizers?.length)
      await client.patch(resource, ref(name), { type: "merge", body: { metadata: { finalizers: null } } });
  }
});
