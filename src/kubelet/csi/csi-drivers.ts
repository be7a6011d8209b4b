/** CSI drivers on the node: each stands in the CSINode object from its registration on (upstream's CSI node info manager). */
import { CSINodes, Nodes } from "../../api/resources.ts";
import type { CSINodeDriver, CSINodeSpec } from "../../api/storage/v1.ts";
import { isAlreadyExists, isConflict, isNotFound } from "../../apimachinery/status-error.ts";
import { backoffDelayMs } from "../../base/backoff.ts";
import { type Clock, sleep } from "../../base/clock.ts";
import type { Logger } from "../../base/logger.ts";
import type { Client } from "../../client/client.ts";
import { GrpcChannel } from "../grpc/channel.ts";
import type { PluginHandler, PluginInfo } from "../plugin-registration.ts";
import { csi, nodeCapability } from "./csi-api.ts";

export interface CsiDriver {
  name: string;
  channel: GrpcChannel;
  capabilities: ReadonlySet<number>;
}

export interface CsiDriversOptions {
  nodeName: string;
  /** The Node object's; empty while it is not registered. */
  nodeUid(): string;
  client: Client;
  clock: Clock;
  log: Logger;
  signal: AbortSignal;
}

const answerMs = 15_000;
/** Of volumes in pods' own words, those that CSI drivers have taken over, as upstream's kubelets say. */
const migratedPlugins = ["aws-ebs", "azure-disk", "azure-file", "cinder", "gce-pd", "portworx-volume", "vsphere-volume"]
  .map((plugin) => `kubernetes.io/${plugin}`)
  .join(",");
const annotation = "csi.volume.kubernetes.io/nodeid";

export class CsiDrivers implements PluginHandler {
  readonly type = "CSIPlugin";
  readonly #options: CsiDriversOptions;
  readonly #drivers = new Map<string, CsiDriver>();

  constructor(options: CsiDriversOptions) {
    this.#options = options;
    options.signal.addEventListener("abort", () => this.#close(), { once: true });
  }

  /** Rejects in upstream's words when there is no such driver. */
  driver(name: string): CsiDriver {
    const driver = this.#drivers.get(name);
    if (!driver) throw new Error(`driver name ${name} not found in the list of registered CSI drivers`);
    return driver;
  }

  /** Every node has a CSINode, with or without drivers. Call when the Node is registered; a problem is logged. */
  async announce(): Promise<void> {
    const { client, nodeName, signal, log } = this.#options;
    await client
      .get(CSINodes, { name: nodeName }, { signal })
      .catch((error: unknown) => {
        if (isNotFound(error)) return this.#create({ drivers: [] }, this.#options.nodeUid());
        throw error;
      })
      .catch((error: Error) => {
        if (!isAlreadyExists(error) && !signal.aborted)
          log.warn("writing the CSINode failed", { error: error.message });
      });
  }

  async register({ name, endpoint, versions }: PluginInfo): Promise<void> {
    if (!versions.some((version) => /^v?1\./.test(version)))
      throw new Error(`none of the CSI versions reported by this driver are supported: ${versions.join(" ")}`);
    await this.#welcome(name, endpoint);
  }

  async #welcome(name: string, endpoint: string): Promise<void> {
    const channel = new GrpcChannel(endpoint, this.#options.clock);
    try {
      const [info, { capabilities }] = await Promise.all([
        channel.call(csi.getInfo, {}, { timeoutMs: answerMs }),
        channel.call(csi.getCapabilities, {}, { timeoutMs: answerMs }),
      ]);
      const segments = info.accessible_topology?.segments ?? {};
      await this.#tell(name, segments, {
        name,
        nodeID: info.node_id,
        ...(Object.keys(segments).length > 0 ? { topologyKeys: Object.keys(segments).sort() } : {}),
        ...(info.max_volumes_per_node > 0 ? { allocatable: { count: info.max_volumes_per_node } } : {}),
      });
      this.#drivers.get(name)?.channel.close();
      this.#drivers.set(name, {
        name,
        channel,
        capabilities: new Set(capabilities.flatMap(({ rpc }) => (rpc ? [rpc.type] : []))),
      });
    } catch (error) {
      channel.close();
      throw error;
    }
  }

  async deregister({ name }: PluginInfo): Promise<void> {
    this.#drivers.get(name)?.channel.close();
    this.#drivers.delete(name);
    await this.#tell(name, {}, undefined).catch((error: Error) =>
      this.#options.log.warn("taking a CSI driver from the node failed", { driver: name, error: error.message }),
    );
  }

  /** Writes the driver into CSINode, and what the Node says of it; `driver` undefined takes it out. */
  async #tell(name: string, labels: Record<string, string>, driver: CSINodeDriver | undefined): Promise<void> {
    const { client, nodeName, nodeUid, signal, clock } = this.#options;
    for (let tries = 1; ; tries++) {
      try {
        const node = await client.get(Nodes, { name: nodeName }, { signal });
        const ids = JSON.parse(node.metadata.annotations?.[annotation] ?? "{}") as Record<string, string>;
        if (driver) ids[name] = driver.nodeID;
        else delete ids[name];
        const text = Object.keys(ids).length > 0 ? JSON.stringify(ids) : null;
        const body = { metadata: { annotations: { [annotation]: text }, labels } };
        await client.patch(Nodes, { name: nodeName }, { type: "merge", body }, { signal });
        await this.#writeCsiNode(name, driver, node.metadata.uid || nodeUid());
        return;
      } catch (error) {
        const again = isConflict(error) || isAlreadyExists(error) || isNotFound(error);
        if (!again || tries > 8 || signal.aborted) throw error;
        await sleep(clock, backoffDelayMs({ initialMs: 50, maximumMs: 2000 }, tries), signal);
      }
    }
  }

  async #writeCsiNode(name: string, driver: CSINodeDriver | undefined, uid: string): Promise<void> {
    const { client, nodeName, signal } = this.#options;
    const known = await client.get(CSINodes, { name: nodeName }, { signal }).catch((error: unknown) => {
      if (isNotFound(error)) return undefined;
      throw error;
    });
    const others = (known?.spec.drivers ?? []).filter((each) => each.name !== name);
    const spec = { drivers: [...others, ...(driver ? [driver] : [])] } as CSINodeSpec; // Not changed, only passed on.
    if (known) {
      await client.update(CSINodes, { ...known, spec }, { signal });
      return;
    }
    await this.#create(spec, uid);
  }

  async #create(spec: CSINodeSpec, uid: string): Promise<void> {
    const { client, nodeName, signal } = this.#options;
    const ownerReferences = [{ apiVersion: "v1", kind: "Node", name: nodeName, uid }];
    const annotations = { "storage.alpha.kubernetes.io/migrated-plugins": migratedPlugins };
    await client.create(CSINodes, { metadata: { name: nodeName, ownerReferences, annotations }, spec }, { signal });
  }

  #close(): void {
    for (const { channel } of this.#drivers.values()) channel.close();
  }
}

export function stages({ capabilities }: CsiDriver): boolean {
  return capabilities.has(nodeCapability.stageUnstageVolume);
}
