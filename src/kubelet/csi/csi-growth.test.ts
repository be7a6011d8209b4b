import { beforeEach, expect, test } from "vitest";
import type { PersistentVolumeClaimStatus } from "../../api/core/v1.ts";
import { PersistentVolumeClaims, PersistentVolumes } from "../../api/resources.ts";
import { SteppedClock } from "../../base/stepped-clock.ts";
import type { Client } from "../../client/client.ts";
import { startTestApiServer } from "../../testing/api-server.ts";
import { GrpcError, grpcCode } from "../grpc/channel.ts";
import type { PodObject } from "../pod-state.ts";
import { CsiGrowth, type MountedVolume } from "./csi-growth.ts";

const pod = { metadata: { name: "user", namespace: "default", uid: "u" }, spec: {} } as unknown as PodObject;
const ref = { name: "data", namespace: "default" };

let clock: SteppedClock;
let growth: CsiGrowth;
let events: string[];
let asked: number[];
/** The driver's answer. */
let refusal: GrpcError | undefined;

beforeEach(() => {
  clock = new SteppedClock(Date.UTC(2026, 0, 1));
  events = [];
  asked = [];
  refusal = undefined;
});

/** A claim with a volume of 1Gi that a pod has mounted, after what `before` made of it. */
async function withClaim(
  work: (client: Client) => Promise<void>,
  before?: (client: Client) => Promise<void>,
  readOnly = false,
) {
  await using api = await startTestApiServer({});
  const { client } = api;
  const common = { accessModes: ["ReadWriteOnce"], storageClassName: "" };
  await client.create(PersistentVolumes, {
    metadata: { name: "pv" },
    spec: { ...common, capacity: { storage: "1Gi" }, csi: { driver: "d", volumeHandle: "h" } },
  });
  await client.create(PersistentVolumeClaims, {
    metadata: ref,
    spec: { ...common, volumeName: "pv", resources: { requests: { storage: "2Gi" } } },
  });
  await tell(client, { phase: "Bound", capacity: { storage: "1Gi" } });
  await before?.(client);
  growth = new CsiGrowth({
    client,
    clock,
    nodeName: "node",
    signal: new AbortController().signal,
    events: { event: ({ kind }, type, reason, message) => events.push(`${kind} ${type} ${reason} ${message}`) },
  });
  const volume: MountedVolume = {
    name: "pv",
    claim: ref,
    pod,
    readOnly,
    async expand(bytes) {
      asked.push(bytes);
      if (refusal) throw refusal;
    },
  };
  await growth.mounted("/folder", volume);
  await work(client);
}

async function tell(client: Client, status: Partial<PersistentVolumeClaimStatus>): Promise<void> {
  await client.patch(PersistentVolumeClaims, ref, { type: "merge", body: { status } } as never, {
    subresource: "status",
  });
}

/** As external-resizer leaves it. */
async function grow(client: Client, storage = "2Gi", status: object = pendingOnNode(storage)): Promise<void> {
  await client.patch(PersistentVolumes, { name: "pv" }, { type: "merge", body: { spec: { capacity: { storage } } } });
  await tell(client, status);
}

const pendingOnNode = (storage: string) => ({
  allocatedResources: { storage },
  allocatedResourceStatuses: { storage: "NodeResizePending" },
  conditions: [{ type: "FileSystemResizePending", status: "True" }],
});

const statusOf = async (client: Client) => {
  const { conditions, ...status } = (await client.get(PersistentVolumeClaims, ref)).status!;
  return { ...status, conditions: conditions?.map(({ type, message }) => [type, message]) };
};

const success = 'Normal FileSystemResizeSuccessful MountVolume.NodeExpandVolume succeeded for volume "pv" node';
const grown = {
  phase: "Bound",
  capacity: { storage: "2Gi" },
  allocatedResources: { storage: "2Gi" },
  allocatedResourceStatuses: undefined,
  conditions: undefined,
};

test("a volume in use that has grown is made larger on the node, once", () =>
  withClaim(async (client) => {
    await growth.look();
    expect(asked).toEqual([]);
    await grow(client);
    await growth.look();
    await growth.look();
    expect(asked).toEqual([2 * 1024 ** 3]);
    expect(await statusOf(client)).toEqual(grown);
    expect(events).toEqual([`Pod ${success}`, `PersistentVolumeClaim ${success}`]);
  }));

test("a volume that grew while nobody used it is made larger as it is mounted", () =>
  withClaim(
    async (client) => {
      expect(asked).toEqual([2 * 1024 ** 3]);
      expect(await statusOf(client)).toEqual(grown);
    },
    (client) => grow(client),
  ));

test("a resizer that knows no states of its own is understood", () =>
  withClaim(async (client) => {
    await grow(client, "2Gi", { conditions: [{ type: "FileSystemResizePending", status: "True" }] });
    await growth.look();
    expect(await statusOf(client)).toEqual({ ...grown, allocatedResources: undefined });
  }));

test("what the controller is still busy with, and what it has finished by itself, is not the node's", () =>
  withClaim(async (client) => {
    await grow(client, "2Gi", { allocatedResourceStatuses: { storage: "ControllerResizeInProgress" } });
    await growth.look();
    expect(asked).toEqual([]);
  }));

test("where another node has told of the growth, this one's mount follows and says nothing", () =>
  withClaim(async (client) => {
    await grow(client, "2Gi", { capacity: { storage: "2Gi" } });
    await growth.look();
    expect(asked).toEqual([2 * 1024 ** 3]);
    expect((await statusOf(client)).capacity).toEqual({ storage: "2Gi" });
  }));

test("a driver's failure is told in the claim and the pod's events, and tried again later", () =>
  withClaim(async (client) => {
    await grow(client);
    refusal = new GrpcError(grpcCode.unknown, "no room");
    await growth.look();
    const message = "Expander.NodeExpand failed to expand the volume: no room";
    const after = await statusOf(client);
    expect(after.conditions).toEqual([
      ["FileSystemResizePending", undefined],
      ["NodeResizeError", `failed to expand pvc with ${message}`],
    ]);
    expect(events).toEqual([
      `Pod Warning VolumeResizeFailed NodeExpandVolume.NodeExpandVolume failed for volume "pv" : ${message}`,
    ]);
    await growth.look();
    expect(asked).toHaveLength(1);
    refusal = undefined;
    await clock.advance(60_000);
    await growth.look();
    expect(asked).toHaveLength(2);
    expect(await statusOf(client)).toEqual(grown);
  }));

test("what cannot be done at all is told as infeasible, and not tried again", () =>
  withClaim(async (client) => {
    await grow(client);
    refusal = new GrpcError(grpcCode.outOfRange, "too large");
    await growth.look();
    expect((await statusOf(client)).allocatedResourceStatuses).toEqual({ storage: "NodeResizeInfeasible" });
    await clock.advance(600_000);
    await growth.look();
    expect(asked).toHaveLength(1);
  }));

test("a claim that asks for another size since its growth failed is its controller's again", () =>
  withClaim(async (client) => {
    await grow(client, "3Gi");
    refusal = new GrpcError(grpcCode.unknown, "no room");
    await growth.look();
    expect((await statusOf(client)).allocatedResourceStatuses).toEqual({ storage: "NodeResizeInProgress" });
    await clock.advance(60_000);
    await growth.look();
    expect((await statusOf(client)).allocatedResourceStatuses).toEqual({ storage: "NodeResizeInfeasible" });
  }));

test("a driver that grows nothing in use keeps no pod from starting, and is not asked again", () => {
  refusal = new GrpcError(grpcCode.failedPrecondition, "in use");
  return withClaim(
    async () => {
      await clock.advance(600_000);
      await growth.look();
      expect(asked).toHaveLength(1);
    },
    (client) => grow(client),
  );
});

test("a read-only volume is left as it is, with an event", () =>
  withClaim(
    async () => {
      expect(asked).toEqual([]);
      expect(events[0]).toBe(
        'Pod Warning FileSystemResizeFailed MountVolume.NodeExpandVolume failed for volume "pv" requested read-only file system',
      );
    },
    (client) => grow(client),
    true,
  ));
