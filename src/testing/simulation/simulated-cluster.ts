/** API server on the memory store, controllers, scheduler and simulated nodes on one simulated clock: deterministic from its seed. */
import { setMaxListeners } from "node:events";
import type { Resource } from "../../api/resource.ts";
import {
  ControllerRevisions,
  CronJobs,
  DaemonSets,
  Deployments,
  EndpointSlices,
  Endpoints,
  Jobs,
  Leases,
  Namespaces,
  Nodes,
  PodDisruptionBudgets,
  Pods,
  ReplicaSets,
  ServiceAccounts,
  Services,
  StatefulSets,
} from "../../api/resources.ts";
import { ApiServer } from "../../apiserver/server.ts";
import { admissionPlugins } from "../../apiserver-plugins/admission/catalog.ts";
import { mastersAuthorizer } from "../../apiserver-plugins/authorization/masters.ts";
import { RegistryReader } from "../../apiserver-plugins/object-reader.ts";
import { namespaceFinalize } from "../../apiserver-plugins/subresources/namespace-finalize.ts";
import { podBinding } from "../../apiserver-plugins/subresources/pod-binding.ts";
import { podEviction } from "../../apiserver-plugins/subresources/pod-eviction.ts";
import { type Logger, silentLogger } from "../../base/logger.ts";
import { type Random, seededRandom } from "../../base/random.ts";
import type { Client } from "../../client/client.ts";
import { controllerCatalog } from "../../controller-manager/catalog.ts";
import { runControllers } from "../../controller-runtime/run-controllers.ts";
import { definitions } from "../../resources/catalog.ts";
import { startScheduler } from "../../scheduler/scheduler.ts";
import { MemoryStore } from "../../storage/memory.ts";
import { type Faults, type FaultyClient, faultyClient } from "./faulty-client.ts";
import { SimulatedClock } from "./simulated-clock.ts";
import { SimulatedKubelets } from "./simulated-kubelets.ts";
import { World, type WorldChange } from "./world.ts";

/** What the garbage collector looks at: the kinds that a scenario can bring about. */
const collected: readonly Resource[] = [
  ControllerRevisions,
  CronJobs,
  DaemonSets,
  Deployments,
  EndpointSlices,
  Endpoints,
  Jobs,
  Leases,
  Nodes,
  PodDisruptionBudgets,
  Pods,
  ReplicaSets,
  ServiceAccounts,
  Services,
  StatefulSets,
];

export type Component = "controllers" | "scheduler";

export class SimulatedCluster {
  readonly clock = new SimulatedClock();
  readonly world: World;
  readonly kubelets: SimulatedKubelets;
  /** Of an administrator, without delay and fault. */
  readonly admin: Client;
  /** Writes that controllers and scheduler have done, since it was last emptied: `patch pods` and how often. */
  readonly writes = new Map<string, number>();
  /** What components complained of. */
  readonly complaints: string[] = [];
  readonly #server: ApiServer;
  readonly #store: MemoryStore;
  readonly #random: Random;
  readonly #faults: Faults;
  readonly #running = new Map<Component, { client: FaultyClient; stop: AbortController }>();

  constructor(seed: number, faults: Faults, onChange: (change: WorldChange) => void) {
    const { clock } = this;
    this.#random = seededRandom(seed);
    this.#faults = faults;
    this.#store = new MemoryStore({ clock });
    this.world = new World(this.#store, (change) => {
      onChange(change);
      if (change.plural === "pods") this.kubelets.onPod(change.object, change.type === "DELETED");
    });
    this.#server = new ApiServer({
      definitions,
      store: this.#store,
      clock,
      random: seededRandom(seed + 1),
      authenticators: [],
      authorizers: [mastersAuthorizer],
      subresources: new Map([
        ["namespaces/finalize", namespaceFinalize],
        ["pods/binding", podBinding],
        ["pods/eviction", podEviction],
      ]),
      admission: ({ registry }) =>
        admissionPlugins({ objects: new RegistryReader(registry), random: seededRandom(seed + 2) }),
    });
    this.admin = this.#server.client({ name: "admin", groups: ["system:masters"] }, "admin");
    const nodeClient = faultyClient({
      client: this.#server.client({ name: "nodes", groups: ["system:masters"] }, "kubelet"),
      clock,
      random: seededRandom(seed + 3),
      faults: { ...faults, refusal: 0, lostAnswer: 0 },
    });
    this.kubelets = new SimulatedKubelets({
      client: nodeClient,
      clock,
      random: seededRandom(seed + 4),
      podsOn: (node) => this.world.all("pods").filter(({ spec }) => spec.nodeName === node),
      nodeNamed: (name) => this.world.find("nodes", name),
    });
  }

  async start(): Promise<void> {
    for (const name of ["default", "kube-system", "kube-node-lease"]) {
      await this.admin.create(Namespaces, { metadata: { name }, spec: {} });
    }
    this.restart("controllers");
    this.restart("scheduler");
  }

  /** The component dies in the middle of what it is doing, and comes back without memory. */
  restart(component: Component): void {
    const before = this.#running.get(component);
    before?.client.cutOff();
    before?.stop.abort();
    const { clock } = this;
    const client = faultyClient({
      client: this.#server.client({ name: component, groups: ["system:masters"] }, component),
      clock,
      random: seededRandom(this.#random.int(2 ** 31)),
      faults: this.#faults,
      onWrite: (verb, { plural }) => {
        const what = `${verb} ${plural}`;
        this.writes.set(what, (this.writes.get(what) ?? 0) + 1);
      },
    });
    const stop = new AbortController();
    setMaxListeners(100_000, stop.signal);
    const complain = (message: string, fields?: Record<string, unknown>) => {
      const error = String(fields?.["error"] ?? "");
      if (!error.includes("simulated")) this.complaints.push(`${message} ${JSON.stringify(fields)}`);
    };
    const log: Logger = { ...silentLogger, warn: complain, error: complain, with: () => log };
    const surroundings = {
      client,
      clock,
      random: seededRandom(this.#random.int(2 ** 31)),
      log,
      signal: stop.signal,
    };
    if (component === "scheduler") startScheduler(surroundings);
    else runControllers(controllerCatalog({ discover: () => this.#discover(), rootCa: () => "PEM" }), surroundings);
    this.#running.set(component, { client, stop });
  }

  breakWatches(): void {
    for (const { client } of this.#running.values()) client.breakWatches();
  }

  async close(): Promise<void> {
    for (const { client, stop } of this.#running.values()) {
      client.cutOff();
      stop.abort();
    }
    this.world.close();
    await this.#server.close();
    await this.#store.close();
  }

  async #discover() {
    const verbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
    return { resources: collected.map((resource) => ({ resource, verbs })), failures: [] };
  }
}
