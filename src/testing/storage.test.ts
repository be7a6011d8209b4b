/** PersistentVolumes, claims and the Pods that use them, against the real API server. */
import { expect, test } from "vitest";
import type { PersistentVolume, PersistentVolumeClaim, Pod } from "../api/core/v1.ts";
import type { New } from "../api/object.ts";
import {
  CSIDrivers,
  CSIStorageCapacities,
  Events,
  PersistentVolumeClaims,
  PersistentVolumes,
  Pods,
  StorageClasses,
  VolumeAttachments,
} from "../api/resources.ts";
import type { StorageClass } from "../api/storage/v1.ts";
import { startTestControlPlane, type TestControlPlane } from "./control-plane.ts";

const watched = [PersistentVolumes, PersistentVolumeClaims, StorageClasses, Events, VolumeAttachments];

async function start(folders = new Set<string>()): Promise<TestControlPlane> {
  const localVolumes = {
    async create(name: string) {
      folders.add(name);
      return `/volumes/${name}`;
    },
    async remove(name: string) {
      folders.delete(name);
    },
  };
  const cluster = await startTestControlPlane({ watched, controllers: { localVolumes } });
  const standard: New<StorageClass> = {
    metadata: { name: "standard", annotations: { "storageclass.kubernetes.io/is-default-class": "true" } },
    provisioner: "pinnace.local/local-path",
    volumeBindingMode: "WaitForFirstConsumer",
    allowVolumeExpansion: true,
  };
  await cluster.client.create(StorageClasses, standard);
  await cluster.client.create(StorageClasses, {
    ...standard,
    metadata: { name: "manual" },
    allowVolumeExpansion: false,
    volumeBindingMode: "Immediate",
    provisioner: "kubernetes.io/no-provisioner",
  });
  return cluster;
}

const claim = (name: string, spec: Partial<PersistentVolumeClaim["spec"]> = {}): New<PersistentVolumeClaim> => ({
  metadata: { name, namespace: "default" },
  spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } }, ...spec },
});

const told = (cluster: TestControlPlane, wanted: string) =>
  cluster
    .list(Events, "default")
    .filter(({ reason }) => reason === wanted)
    .map(({ message }) => message);

const podWith = (name: string, volumes: NonNullable<Pod["spec"]["volumes"]>): New<Pod> => ({
  metadata: { name, namespace: "default" },
  spec: { containers: [{ name: "main", image: "app:1" }], volumes },
});

const volume = (name: string, storage: string): New<PersistentVolume> => ({
  metadata: { name },
  spec: {
    capacity: { storage },
    accessModes: ["ReadWriteOnce"],
    storageClassName: "manual",
    hostPath: { path: `/srv/${name}` },
  },
});

test("a claim of the default class waits for its Pod, gets a volume on the Pod's Node, grows, and leaves nothing", async () => {
  const folders = new Set<string>();
  await using cluster = await start(folders);
  const { client } = cluster;
  await cluster.addNode("worker-1");
  await cluster.addNode("worker-2", { spec: { unschedulable: true } });
  await client.create(PersistentVolumeClaims, claim("data"));
  const reasons = () => cluster.list(Events).map(({ reason }) => reason);
  await cluster.until(() => reasons().includes("WaitForFirstConsumer"));
  expect(cluster.get(PersistentVolumeClaims, "data")).toMatchObject({
    metadata: { finalizers: ["kubernetes.io/pvc-protection"] },
    spec: { storageClassName: "standard" },
    status: { phase: "Pending" },
  });

  const source = [{ name: "data", persistentVolumeClaim: { claimName: "data" } }];
  await client.create(Pods, podWith("user", source));
  await cluster.until(() => cluster.get(Pods, "user")?.status.phase === "Running");
  const bound = cluster.get(PersistentVolumeClaims, "data")!;
  expect(bound.status).toMatchObject({ phase: "Bound", capacity: { storage: "1Gi" } });
  const name = `pvc-${bound.metadata.uid}`;
  expect([...folders]).toEqual([name]);
  await cluster.until(() => cluster.get(PersistentVolumes, name, "")?.status?.phase === "Bound");
  expect(cluster.get(PersistentVolumes, name, "")?.spec).toMatchObject({
    persistentVolumeReclaimPolicy: "Delete",
    local: { path: `/volumes/${name}` },
    nodeAffinity: {
      required: {
        nodeSelectorTerms: [{ matchExpressions: [{ key: "kubernetes.io/hostname", values: ["worker-1"] }] }],
      },
    },
  });

  await cluster.edit(PersistentVolumeClaims, "data", ({ spec }) => (spec.resources = { requests: { storage: "2Gi" } }));
  await cluster.until(() => cluster.get(PersistentVolumeClaims, "data")?.status?.capacity?.["storage"] === "2Gi");

  // In use, the claim outlives its deletion; with the Pod gone everything goes.
  await client.delete(PersistentVolumeClaims, { name: "data", namespace: "default" });
  await cluster.until(() => cluster.get(PersistentVolumeClaims, "data")?.metadata.deletionTimestamp !== undefined);
  await client.delete(Pods, { name: "user", namespace: "default" });
  await cluster.until(() => cluster.list(PersistentVolumes).length === 0 && folders.size === 0);
  expect(cluster.list(PersistentVolumeClaims)).toEqual([]);
  expect(cluster.complaints).toEqual([]);
});

test("a claim takes the smallest volume that will do; a released one that is retained goes to nobody", async () => {
  await using cluster = await start();
  const { client } = cluster;
  for (const made of [volume("large", "5Gi"), volume("medium", "2Gi"), volume("small", "500Mi")]) {
    await client.create(PersistentVolumes, made);
  }
  await cluster.until(() => cluster.list(PersistentVolumes).every(({ status }) => status?.phase === "Available"));
  await client.create(PersistentVolumeClaims, claim("first", { storageClassName: "manual" }));
  await cluster.until(() => cluster.get(PersistentVolumeClaims, "first")?.status?.phase === "Bound");
  expect(cluster.get(PersistentVolumeClaims, "first")?.spec.volumeName).toBe("medium");
  expect(cluster.get(PersistentVolumeClaims, "first")?.status?.capacity).toEqual({ storage: "2Gi" });

  await client.delete(PersistentVolumeClaims, { name: "first", namespace: "default" });
  await cluster.until(() => cluster.get(PersistentVolumes, "medium", "")?.status?.phase === "Released");
  await client.create(PersistentVolumeClaims, claim("second", { storageClassName: "manual" }));
  await cluster.until(() => cluster.get(PersistentVolumeClaims, "second")?.status?.phase === "Bound");
  expect(cluster.get(PersistentVolumeClaims, "second")?.spec.volumeName).toBe("large");
  await expect(
    client.patch(
      PersistentVolumeClaims,
      { name: "second", namespace: "default" },
      {
        type: "merge",
        body: { spec: { resources: { requests: { storage: "9Gi" } } } },
      },
    ),
  ).rejects.toThrow("only dynamically provisioned pvc can be resized");
  // A volume that is taken away under its claim is missed.
  await client.delete(PersistentVolumes, { name: "large" });
  await cluster.edit(PersistentVolumes, "large", ({ metadata }) => (metadata.finalizers = []));
  await cluster.until(() => cluster.get(PersistentVolumeClaims, "second")?.status?.phase === "Lost");
});

test("a claim that named no class gets the default one when that comes; one without any class is left alone", async () => {
  await using cluster = await startTestControlPlane({ watched });
  const { client } = cluster;
  await client.create(PersistentVolumeClaims, claim("patient"));
  await client.create(PersistentVolumeClaims, claim("none", { storageClassName: "" }));
  await cluster.until(() => told(cluster, "FailedBinding").length > 0);
  const isDefault = { "storageclass.kubernetes.io/is-default-class": "true" };
  const provisioner = "kubernetes.io/no-provisioner";
  await client.create(StorageClasses, { metadata: { name: "late", annotations: isDefault }, provisioner });
  await cluster.until(() => cluster.get(PersistentVolumeClaims, "patient")?.spec.storageClassName === "late");
  await cluster.until(() =>
    told(cluster, "ProvisioningFailed").includes(`no volume plugin matched name: ${provisioner}`),
  );
  expect(cluster.get(PersistentVolumeClaims, "none")?.spec.storageClassName).toBe("");
});

test("a claim that asks for one volume by name waits for it, says what does not fit, and tells which Pod it waits for", async () => {
  await using cluster = await start();
  const { client } = cluster;
  await cluster.addNode("worker", { spec: { unschedulable: true } });
  const named = { storageClassName: "manual", volumeName: "big" };
  await client.create(PersistentVolumeClaims, claim("early", named));
  await client.create(PersistentVolumes, volume("big", "500Mi"));
  await cluster.until(() =>
    told(cluster, "VolumeMismatch").includes('Cannot bind to requested volume "big": requested PV is too small'),
  );
  await cluster.edit(PersistentVolumes, "big", ({ spec }) => (spec!.capacity = { storage: "2Gi" }));
  await cluster.until(() => cluster.get(PersistentVolumeClaims, "early")?.status?.phase === "Bound");

  await client.create(PersistentVolumeClaims, claim("lazy"));
  await client.create(Pods, podWith("user", [{ name: "data", persistentVolumeClaim: { claimName: "lazy" } }]));
  await cluster.until(() => told(cluster, "WaitForPodScheduled").includes("waiting for pod user to be scheduled"));
});

test("a Pod says why its claims keep it waiting, and its ephemeral claim comes and goes with it", async () => {
  await using cluster = await start();
  const { client } = cluster;
  await cluster.addNode("worker-1");
  await client.create(Pods, podWith("eager", [{ name: "data", persistentVolumeClaim: { claimName: "missing" } }]));
  const message = () =>
    cluster.get(Pods, "eager")?.status.conditions?.find(({ type }) => type === "PodScheduled")?.message ?? "";
  await cluster.until(() =>
    message().startsWith('0/1 nodes are available: persistentvolumeclaim "missing" not found.'),
  );
  await client.create(PersistentVolumeClaims, claim("missing", { storageClassName: "manual" }));
  await cluster.until(() =>
    message().startsWith("0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims."),
  );
  await client.create(PersistentVolumes, volume("late", "1Gi"));
  await cluster.until(() => cluster.get(Pods, "eager")?.status.phase === "Running");

  const { spec } = claim("x");
  await client.create(Pods, podWith("scratch", [{ name: "tmp", ephemeral: { volumeClaimTemplate: { spec } } }]));
  await cluster.until(() => cluster.get(Pods, "scratch")?.status.phase === "Running");
  expect(cluster.get(PersistentVolumeClaims, "scratch-tmp")?.metadata.ownerReferences).toMatchObject([
    { kind: "Pod", name: "scratch", controller: true },
  ]);
  await client.delete(Pods, { name: "scratch", namespace: "default" });
  await cluster.until(() => cluster.get(PersistentVolumeClaims, "scratch-tmp") === undefined);
});

test("a claim that one Pod may use is not given to a second", async () => {
  await using cluster = await start();
  const { client } = cluster;
  await cluster.addNode("worker-1");
  await client.create(PersistentVolumeClaims, claim("only", { accessModes: ["ReadWriteOncePod"] }));
  const source = [{ name: "data", persistentVolumeClaim: { claimName: "only" } }];
  await client.create(Pods, podWith("first", source));
  await cluster.until(() => cluster.get(Pods, "first")?.status.phase === "Running");
  await client.create(Pods, podWith("second", source));
  const message = () =>
    cluster.get(Pods, "second")?.status.conditions?.find(({ type }) => type === "PodScheduled")?.message ?? "";
  await cluster.until(() => message().includes("ReadWriteOncePod access mode"));
  await client.delete(Pods, { name: "first", namespace: "default" });
  await cluster.until(() => cluster.get(Pods, "second")?.status.phase === "Running");
});

test("a claim waits for a Node on which its driver says that there is room", async () => {
  await using cluster = await start();
  const { client } = cluster;
  const driver = "disks.example.com";
  for (const zone of ["a", "b"]) await cluster.addNode(`node-${zone}`, { labels: { zone } });
  await client.create(CSIDrivers, { metadata: { name: driver }, spec: { storageCapacity: true } });
  await client.create(StorageClasses, {
    metadata: { name: "disks" },
    provisioner: driver,
    volumeBindingMode: "WaitForFirstConsumer",
  });
  const room = (zone: string, capacity: string) =>
    client.create(CSIStorageCapacities, {
      metadata: { name: zone, namespace: "kube-system" },
      storageClassName: "disks",
      nodeTopology: { matchLabels: { zone } },
      capacity,
    });
  await room("a", "500Mi");
  await client.create(PersistentVolumeClaims, claim("data", { storageClassName: "disks" }));
  await client.create(Pods, podWith("user", [{ name: "data", persistentVolumeClaim: { claimName: "data" } }]));
  const why = "0/2 nodes are available: 2 node(s) did not have enough free storage.";
  await cluster.until(() => told(cluster, "FailedScheduling").some((message) => message?.startsWith(why)));
  await room("b", "2Gi");
  const selected = "volume.kubernetes.io/selected-node";
  await cluster.until(() => cluster.get(PersistentVolumeClaims, "data")?.metadata.annotations?.[selected] === "node-b");
});

test("a CSI volume is attached to the Node of the Pod that uses it, and detached when nobody does", async () => {
  await using cluster = await start();
  const { client } = cluster;
  await cluster.addNode("worker-1");
  const driver = { attachRequired: true };
  await client.create(CSIDrivers, { metadata: { name: "test.csi" }, spec: driver });
  await client.create(CSIDrivers, { metadata: { name: "local.csi" }, spec: { attachRequired: false } });
  for (const name of ["test", "local"]) {
    const { hostPath: _, ...spec } = volume(name, "1Gi").spec;
    const csi = { driver: `${name}.csi`, volumeHandle: `handle-${name}` };
    await client.create(PersistentVolumes, { metadata: { name }, spec: { ...spec, csi } });
    await client.create(PersistentVolumeClaims, claim(name, { storageClassName: "manual", volumeName: name }));
  }
  const source = ["test", "local"].map((name) => ({ name, persistentVolumeClaim: { claimName: name } }));
  await client.create(Pods, podWith("user", source));
  const attachments = () => cluster.list(VolumeAttachments);
  await cluster.until(() => attachments().length > 0);
  expect(attachments().map(({ spec }) => spec)).toEqual([
    { attacher: "test.csi", nodeName: "worker-1", source: { persistentVolumeName: "test" } },
  ]);
  await client.delete(Pods, { name: "user", namespace: "default" });
  await cluster.until(() => attachments().length === 0);
});
