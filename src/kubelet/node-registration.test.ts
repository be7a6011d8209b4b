/** What a kubelet makes of what others write to its Node. */
import { tmpdir } from "node:os";
import { expect, test } from "vitest";
import { Namespaces, Nodes } from "../api/resources.ts";
import { silentLogger } from "../base/logger.ts";
import { systemClock } from "../base/node/system-clock.ts";
import type { Client } from "../client/client.ts";
import { startTestApiServer } from "../testing/api-server.ts";
import type { PressureCondition } from "./eviction/plan-eviction.ts";
import { SimulatedImages } from "./images/simulated-images.ts";
import { machineFacts } from "./machine-facts.ts";
import { NodeRegistration, type NodeRegistrationOptions } from "./node-registration.ts";

/** Of a node that runs nothing. */
async function registrationOf(
  client: Client,
  signal: AbortSignal,
  others: Partial<NodeRegistrationOptions> = {},
): Promise<NodeRegistration> {
  await client.create(Namespaces, { metadata: { name: "kube-node-lease" }, spec: {} });
  return new NodeRegistration({
    config: { name: "node", ips: ["10.0.2.4"], podCIDRs: [], kubeletVersion: "v1" },
    machine: machineFacts("node", tmpdir()),
    runtimeVersion: "none://0",
    client,
    images: new SimulatedImages(),
    clock: systemClock,
    log: silentLogger,
    signal,
    renewalMs: 20,
    pressures: () => new Set(),
    isShuttingDown: () => false,
    networkProblem: () => undefined,
    onTick: () => {},
    ...others,
  });
}

test("what becomes of a node is told in events: its conditions, and whether pods may be put on it", async () => {
  await using api = await startTestApiServer({});
  const { client } = api;
  const stop = new AbortController();
  const events: string[] = [];
  const pressures = new Set<PressureCondition>();
  const registration = await registrationOf(client, stop.signal, {
    pressures: () => pressures,
    record: (_, reason, message) => events.push(message.endsWith(`is now: ${reason}`) ? reason : message),
  });
  await registration.register();
  const wait = (reason: string) => expect.poll(() => events.at(-1), { timeout: 10_000 }).toBe(reason);
  const running = registration.run();
  const cordon = (unschedulable: boolean) =>
    client.patch(Nodes, { name: "node" }, { type: "merge", body: { spec: { unschedulable } } });
  try {
    expect(events).toEqual(["NodeHasSufficientMemory", "NodeHasNoDiskPressure", "NodeHasSufficientPID"]);
    await cordon(true);
    await wait("NodeNotSchedulable");
    await cordon(false);
    await wait("NodeSchedulable");
    pressures.add("MemoryPressure");
    await wait("NodeHasInsufficientMemory");
    expect(events).toHaveLength(6);
  } finally {
    stop.abort();
    await running;
  }
});

test("an extended resource that somebody advertises as capacity can be allocated, and no longer once it is taken back", async () => {
  await using api = await startTestApiServer({});
  const { client } = api;
  const stop = new AbortController();
  const registration = await registrationOf(client, stop.signal);
  await registration.register();
  const running = registration.run();
  const dongles = "example.com/dongle";
  const advertise = (capacity: Record<string, string | null>) =>
    client.patch(Nodes, { name: "node" }, { type: "merge", body: { status: { capacity } } }, { subresource: "status" });
  const allocatable = async () => (await client.get(Nodes, { name: "node" })).status?.allocatable;
  try {
    const before = await allocatable();
    await advertise({ [dongles]: "4" });
    await expect.poll(allocatable, { timeout: 10_000 }).toEqual({ ...before, [dongles]: "4" });
    await advertise({ [dongles]: "2" });
    await expect.poll(allocatable, { timeout: 10_000 }).toEqual({ ...before, [dongles]: "2" });
    await advertise({ [dongles]: null });
    await expect.poll(allocatable, { timeout: 10_000 }).toEqual(before);
  } finally {
    stop.abort();
    await running;
  }
});
