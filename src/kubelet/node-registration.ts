/** Registers the node, keeps its status true and renews its lease: the kubelet's only periodic work. */

import type { Node, NodeStatus } from "../api/core/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { Leases, Nodes } from "../api/resources.ts";
import { isAlreadyExists, isNotFound } from "../apimachinery/status-error.ts";
import { backoffDelayMs } from "../base/backoff.ts";
import { type Clock, rfc3339Micro, sleep } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { Client } from "../client/client.ts";
import type { PressureCondition } from "./eviction/plan-eviction.ts";
import type { ImageService } from "./images/image-service.ts";
import type { MachineFacts } from "./machine-facts.ts";
import { conditionEvents } from "./node-events.ts";
import { isAdvertisedAnew, type NodeConfig, newNode, nodeLabels, nodeStatus } from "./node-object.ts";

export interface NodeRegistrationOptions {
  config: NodeConfig;
  machine: MachineFacts;
  runtimeVersion: string;
  client: Client;
  images: ImageService;
  clock: Clock;
  log: Logger;
  signal: AbortSignal;
  /** Default: 10 s. */
  renewalMs?: number;
  /** What the node is short of. */
  pressures(): ReadonlySet<PressureCondition>;
  /** It takes no more pods. */
  isShuttingDown(): boolean;
  /** Why pods cannot have a network; undefined when they can. */
  networkProblem(): string | undefined;
  /** An event about the node. Default: nobody is told. */
  record?(type: "Normal" | "Warning", reason: string, message: string): void;
  /** Called with every renewal: other work that must be done now and then rides along. */
  onTick(): void;
}

const leaseNamespace = "kube-node-lease";
const leaseSeconds = 40;
/** Without a change the status is told again this often. */
const statusMs = 300_000;
const retry = { initialMs: 100, maximumMs: 7_000 };

export class NodeRegistration {
  readonly #options: NodeRegistrationOptions;
  #uid = "";
  #node: DeepReadonly<Node> | undefined;
  #status: DeepReadonly<NodeStatus> | undefined;
  #statusAtMs = 0;
  #imagesTold = "";
  #pressuresTold = "";
  #wasShuttingDown = false;
  #networkProblemTold: string | undefined;
  #wasUnschedulable = false;

  constructor(options: NodeRegistrationOptions) {
    this.#options = options;
  }

  /** The Node object's; empty until it is registered. */
  get uid(): string {
    return this.#uid;
  }

  /** As last seen: users add to it. */
  get node(): DeepReadonly<Node> | undefined {
    return this.#node;
  }

  /** Resolves when the Node is there and says that it is ready. Tries until it succeeds or the signal fires. */
  async register(): Promise<void> {
    await this.#untilDone("registering the node failed", () => this.#register());
  }

  /** Renews until the signal fires. */
  async run(): Promise<void> {
    const { clock, signal, renewalMs = 10_000 } = this.#options;
    await this.#untilDone("creating the node's lease failed", () => this.#renew());
    while (!signal.aborted) {
      await sleep(clock, renewalMs, signal).catch(() => {});
      if (signal.aborted) return;
      await this.#untilDone("renewing the node's lease failed", () => this.#renew());
      await this.#untilDone("updating the node's status failed", () => this.#updateStatus());
      this.#options.onTick();
    }
  }

  async #register(): Promise<void> {
    const { config, machine, client, signal } = this.#options;
    const status = this.#freshStatus();
    try {
      const node = await client.create(Nodes, newNode(config, machine, status), { signal });
      this.#uid = node.metadata.uid;
      this.#node = node;
      if (node.status?.conditions?.length) this.#took(undefined, node.status);
      else await this.#patchStatus(status);
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
      await this.#registerAgain();
    }
  }

  /** The node came back: its labels and addresses may have changed, what users added to it stays. */
  async #registerAgain(): Promise<void> {
    const { config, machine, client, signal } = this.#options;
    const node = await client.get(Nodes, { name: config.name }, { signal });
    this.#uid = node.metadata.uid;
    this.#status = node.status;
    const { bootID } = node.status?.nodeInfo ?? {};
    if (bootID && bootID !== machine.bootId)
      this.#options.record?.(
        "Warning",
        "Rebooted",
        `Node ${config.name} has been rebooted, boot id: ${machine.bootId}`,
      );
    const labels = nodeLabels(config, machine);
    const isStale = Object.entries(labels).some(([key, value]) => node.metadata.labels?.[key] !== value);
    const lacksCidr = !node.spec?.podCIDR && config.podCIDRs[0];
    if (isStale || lacksCidr) {
      const spec = lacksCidr ? { spec: { podCIDR: config.podCIDRs[0], podCIDRs: config.podCIDRs } } : {};
      const body = { metadata: { labels }, ...spec };
      await client.patch(Nodes, { name: config.name }, { type: "merge", body }, { signal });
    }
    await this.#patchStatus(this.#freshStatus());
  }

  /** Tells now what has changed, not with the next renewal. */
  async tellStatus(): Promise<void> {
    await this.#untilDone("updating the node's status failed", () => this.#updateStatus());
  }

  async #updateStatus(): Promise<void> {
    const { config, client, signal, clock, images, pressures, isShuttingDown, networkProblem } = this.#options;
    const node = await client.get(Nodes, { name: config.name }, { signal });
    this.#node = node;
    this.#status = node.status;
    const isUnschedulable = node.spec?.unschedulable === true;
    if (isUnschedulable !== this.#wasUnschedulable)
      this.#tell(isUnschedulable ? "NodeNotSchedulable" : "NodeSchedulable");
    this.#wasUnschedulable = isUnschedulable;
    const isDue =
      isAdvertisedAnew(node.status) ||
      clock.now() - this.#statusAtMs >= statusMs ||
      isShuttingDown() !== this.#wasShuttingDown ||
      networkProblem() !== this.#networkProblemTold;
    if (!isDue && pressureText(pressures()) === this.#pressuresTold && imagesText(images) === this.#imagesTold) return;
    await this.#patchStatus(this.#freshStatus());
  }

  #freshStatus(): NodeStatus {
    const { config, machine, runtimeVersion, images, clock, pressures, isShuttingDown, networkProblem } = this.#options;
    this.#wasShuttingDown = isShuttingDown();
    this.#networkProblemTold = networkProblem();
    this.#imagesTold = imagesText(images);
    this.#pressuresTold = pressureText(pressures());
    return nodeStatus(
      config,
      machine,
      runtimeVersion,
      images.list(),
      this.#status,
      { pressures: pressures(), isShuttingDown: this.#wasShuttingDown, networkProblem: this.#networkProblemTold },
      clock.now(),
    );
  }

  async #patchStatus(status: NodeStatus): Promise<void> {
    const { config, client, signal } = this.#options;
    // Conditions of others stay, lists of ours are replaced, and what is no longer advertised is taken away.
    const gone = Object.keys(this.#status?.allocatable ?? {}).filter((name) => !(name in (status.allocatable ?? {})));
    const body = {
      status: {
        ...status,
        addresses: [...(status.addresses ?? []), { $patch: "replace" }],
        allocatable: { ...status.allocatable, ...Object.fromEntries(gone.map((name) => [name, null])) },
      },
    };
    const options = { subresource: "status", signal };
    const node = await client.patch(Nodes, { name: config.name }, { type: "strategic", body }, options);
    this.#node = node;
    this.#took(this.#status, node.status);
  }

  #took(before: DeepReadonly<NodeStatus> | undefined, status: DeepReadonly<NodeStatus>): void {
    for (const reason of conditionEvents(before, status)) this.#tell(reason);
    this.#status = status;
    this.#statusAtMs = this.#options.clock.now();
  }

  #tell(reason: string): void {
    const { config, record } = this.#options;
    record?.("Normal", reason, `Node ${config.name} status is now: ${reason}`);
  }

  async #renew(): Promise<void> {
    const { config, client, clock, signal } = this.#options;
    const { name } = config;
    const renewTime = rfc3339Micro(clock.now());
    try {
      const body = { spec: { holderIdentity: name, leaseDurationSeconds: leaseSeconds, renewTime } };
      await client.patch(Leases, { name, namespace: leaseNamespace }, { type: "merge", body }, { signal });
    } catch (error) {
      if (!isNotFound(error)) throw error;
      const ownerReferences = [{ apiVersion: "v1", kind: "Node", name, uid: this.#uid }];
      const spec = { holderIdentity: name, leaseDurationSeconds: leaseSeconds, renewTime };
      await client.create(Leases, { metadata: { name, namespace: leaseNamespace, ownerReferences }, spec }, { signal });
    }
  }

  async #untilDone(what: string, work: () => Promise<void>): Promise<void> {
    const { clock, log, signal, config } = this.#options;
    for (let failures = 1; !signal.aborted; failures++) {
      try {
        return await work();
      } catch (error) {
        if (signal.aborted) return;
        // While the API server starts, a failure or two are no news.
        const tell = failures > 3 ? log.warn : log.debug;
        tell.call(log, what, { node: config.name, error: (error as Error).message });
        await sleep(clock, backoffDelayMs(retry, failures), signal).catch(() => {});
      }
    }
  }
}

function pressureText(pressures: ReadonlySet<PressureCondition>): string {
  return [...pressures].sort().join();
}

function imagesText(images: ImageService): string {
  return images
    .list()
    .map((image) => `${image.id} ${image.names.join(",")}`)
    .join("\n");
}
