/** Two servers on one etcd: one set of controllers and one scheduler act, and the other's take over when theirs die. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Deployments, Leases, Nodes, Pods, ReplicaSets, Services } from "../api/resources.ts";
import type { ResourceDefinition } from "../apimachinery/resource-definition.ts";
import { createServiceAllocators } from "../apiserver-plugins/allocation/service-allocators.ts";
import { followServices, serviceClaims } from "../apiserver-plugins/allocation/shared-allocations.ts";
import { rfc3339, sleep } from "../base/clock.ts";
import { silentLogger } from "../base/logger.ts";
import { findProgram } from "../base/node/find-program.ts";
import { systemClock } from "../base/node/system-clock.ts";
import { seededRandom } from "../base/random.ts";
import type { Client } from "../client/client.ts";
import { discoveryOf } from "../cluster/served-resources.ts";
import { controllerCatalog } from "../controller-manager/catalog.ts";
import { runWhenLeader } from "../controller-runtime/leader-election.ts";
import { runControllers } from "../controller-runtime/run-controllers.ts";
import { definitions } from "../resources/catalog.ts";
import { serviceAllocation } from "../resources/core/service-allocation.ts";
import { startScheduler } from "../scheduler/scheduler.ts";
import { EtcdStore } from "../storage/etcd/etcd-store.ts";
import { startTestApiServer } from "./api-server.ts";
import { faultyClient, noFaults } from "./simulation/faulty-client.ts";

const etcdProgram = findProgram("etcd");
const clock = systemClock;
const lease = (name: string) => ({ name, namespace: "kube-system" });
/** As upstream's, a tenth as long. */
const durations = { leaseDurationMs: 1500, renewDeadlineMs: 1000, retryPeriodMs: 200 };

describe.skipIf(!etcdProgram)("two servers on one etcd", () => {
  let folder: string;
  let endpoint: string;
  let etcd: ChildProcess;
  const leading = new Map<string, Set<string>>();

  beforeAll(async () => {
    folder = mkdtempSync("/dev/shm/pnt-shared-store-");
    const [client, peer] = [await freePort(), await freePort()];
    endpoint = `http://127.0.0.1:${client}`;
    const peers = `http://127.0.0.1:${peer}`;
    const args = [
      ...["--name", "pnt", "--data-dir", join(folder, "data")],
      // The only member need not wait long for others to stand for election.
      ...["--heartbeat-interval", "10", "--election-timeout", "100"],
      ...["--listen-client-urls", endpoint, "--advertise-client-urls", endpoint],
      ...["--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers, "--initial-cluster", `pnt=${peers}`],
    ];
    etcd = spawn(etcdProgram!, args, { stdio: "ignore" });
    const isUp = () =>
      fetch(`${endpoint}/v3/maintenance/status`, { method: "POST", body: "{}" }).then(
        ({ ok }) => ok,
        () => false,
      );
    while (!(await isUp())) await sleep(clock, 20);
  }, 20_000);

  afterAll(async () => {
    const ended = new Promise((resolve) => etcd.once("exit", resolve));
    etcd.kill("SIGKILL");
    await ended;
    rmSync(folder, { recursive: true, force: true });
  });

  /** An API server with its controllers and scheduler, all of which act only while they hold their Lease. */
  async function startServer(name: string) {
    const api = await startTestApiServer({ store: await EtcdStore.open({ endpoints: [endpoint], clock }) });
    const stop = new AbortController();
    const random = seededRandom(name.charCodeAt(0));
    const client = faultyClient({ client: api.client, clock, random, faults: { ...noFaults, callDelayMs: 1 } });
    const elect = (component: string, start: (signal: AbortSignal) => { done: Promise<void> }) => {
      const options = {
        client,
        clock,
        log: silentLogger,
        signal: stop.signal,
        lease: lease(component),
        identity: name,
      };
      const leaders = leading.get(component) ?? new Set();
      leading.set(component, leaders);
      return runWhenLeader({ ...options, ...durations }, async (signal) => {
        expect([...leaders]).toEqual([]);
        leaders.add(name);
        signal.addEventListener("abort", () => leaders.delete(name), { once: true });
        await start(signal).done;
      });
    };
    const surroundings = { client, clock, random, log: silentLogger };
    const elections = [
      elect("kube-controller-manager", (signal) =>
        runControllers(controllerCatalog({ discover: discoveryOf(api.server.registry) }), { ...surroundings, signal }),
      ),
      elect("kube-scheduler", (signal) => startScheduler({ ...surroundings, signal })),
    ];
    return {
      name,
      client: api.client,
      /** As if its process had been killed: nothing that it does comes through any more. */
      kill: () => client.cutOff(),
      async [Symbol.asyncDispose]() {
        stop.abort();
        // The dead do not answer.
        await Promise.race([Promise.all(elections), new Promise((done) => setTimeout(done, 500))]);
        await api[Symbol.asyncDispose]();
      },
    };
  }

  test("an address or a node port that both give away at the same moment goes to one Service, and the other draws again", async () => {
    const server = async (seed: number) => {
      const allocators = createServiceAllocators({
        serviceCidrs: ["10.96.0.0/16"],
        random: seededRandom(seed),
      });
      const withAllocation = (definition: ResourceDefinition): ResourceDefinition =>
        definition.group === "" && definition.plural === "services"
          ? {
              ...definition,
              beginWrite: serviceAllocation(allocators) as unknown as NonNullable<ResourceDefinition["beginWrite"]>,
              claims: serviceClaims as unknown as NonNullable<ResourceDefinition["claims"]>,
            }
          : definition;
      const store = await EtcdStore.open({ endpoints: [endpoint], clock });
      const api = await startTestApiServer({ store, definitions: definitions.map(withAllocation) });
      return { api, allocators };
    };
    // The same seed: both draw the same addresses and ports in the same order.
    const servers = await Promise.all([server(1), server(1)]);
    const create = (client: Client, name: string, spec: object = {}) =>
      client.create(Services, {
        metadata: { name, namespace: "default" },
        spec: { type: "NodePort", ports: [{ name: "a", port: 80 }], ...spec },
      });
    // Who has not asked for any hears nothing of it: what another server was quicker to give away is drawn again.
    const made = await Promise.all(
      servers.flatMap(({ api }, i) => Array.from({ length: 5 }, (_, k) => create(api.client, `s${i}-${k}`))),
    );
    expect(new Set(made.map(({ spec }) => spec.clusterIP)).size).toBe(10);
    expect(new Set(made.map(({ spec }) => spec.ports![0]!.nodePort)).size).toBe(10);
    // A Service that is changed draws as well.
    const changed = await Promise.all(
      servers.map(({ api }, i) => {
        const body = { spec: { ports: [{ name: "b", port: 81 }] } };
        return api.client.patch(Services, { name: `s${i}-0`, namespace: "default" }, { type: "strategic", body });
      }),
    );
    const [port, other] = changed.map(({ spec }) => spec.ports!.find(({ name }) => name === "b")?.nodePort);
    expect(port).toBeGreaterThanOrEqual(30000);
    expect(other).not.toBe(port);
    // Who asked for one that is gone is told so, and may come again.
    const outcomes = await Promise.allSettled(
      servers.map(({ api }, i) => create(api.client, `asked-${i}`, { clusterIP: "10.96.0.77" })),
    );
    expect(outcomes.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    expect(outcomes.find(({ status }) => status === "rejected")).toMatchObject({
      reason: { reason: "ServerTimeout", details: { retryAfterSeconds: 1 } },
    });

    // What is given back can be had at the other server, which hears of it by following.
    const [{ api: first }, { api: second, allocators }] = servers;
    const gone = made[0]!;
    const freed = gone.spec.ports![0]!.nodePort!;
    await first.client.delete(Services, { name: gone.metadata.name, namespace: "default" });
    followServices(allocators, () => [])({ type: "DELETED", object: gone });
    const again = await create(second.client, "again", { ports: [{ port: 80, nodePort: freed }] });
    expect(again.spec.ports![0]!.nodePort).toBe(freed);
    for (const { api } of servers) await api[Symbol.asyncDispose]();
  }, 30_000);

  const holder = async (client: Client, component: string) => (await client.get(Leases, lease(component))).spec;

  async function placedPods(client: Client): Promise<number> {
    const { items } = await client.list(Pods, { namespace: "default" });
    return items.filter(({ spec }) => spec.nodeName).length;
  }

  test("one acts for both; killed, it is followed, and nothing is done twice", async () => {
    await using first = await startServer("first");
    await expect
      .poll(() => [...(leading.get("kube-controller-manager") ?? [])], { timeout: 10_000 })
      .toEqual(["first"]);
    await expect.poll(() => [...(leading.get("kube-scheduler") ?? [])]).toEqual(["first"]);
    await using second = await startServer("second");
    await second.client.create(Nodes, { metadata: { name: "node" }, spec: {} });
    const now = rfc3339(clock.now());
    const ready = { type: "Ready", status: "True", lastHeartbeatTime: now, lastTransitionTime: now };
    const amounts = { cpu: "8", memory: "8Gi", pods: "110" };
    const body = { status: { allocatable: amounts, capacity: amounts, conditions: [ready] } };
    await second.client.patch(Nodes, { name: "node" }, { type: "strategic", body }, { subresource: "status" });

    const labels = { app: "web" };
    await second.client.create(Deployments, {
      metadata: { name: "web", namespace: "default" },
      spec: {
        replicas: 5,
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: { containers: [{ name: "main", image: "app:1" }] } },
      },
    });
    await expect.poll(() => placedPods(second.client), { timeout: 10_000 }).toBe(5);
    // The second is there, asks, and stays out.
    expect((await holder(second.client, "kube-controller-manager"))?.holderIdentity).toBe("first");

    first.kill();
    const ref = { name: "web", namespace: "default" };
    await second.client.patch(Deployments, ref, { type: "merge", body: { spec: { replicas: 9 } } });
    await expect.poll(() => placedPods(second.client), { timeout: 15_000 }).toBe(9);
    for (const component of ["kube-controller-manager", "kube-scheduler"]) {
      expect(await holder(second.client, component)).toMatchObject({ holderIdentity: "second", leaseTransitions: 1 });
      expect([...leading.get(component)!]).toEqual(["second"]);
    }
    expect((await second.client.list(ReplicaSets, {})).items).toHaveLength(1);
    expect((await second.client.list(Pods, {})).items).toHaveLength(9);
  }, 60_000);
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
