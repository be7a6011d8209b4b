/**
 * CSI drivers on the node: each puts a socket into the registration folder, is asked who it is, and from then on stands in
 * the CSINode object (upstream's plugin watcher and CSI node info manager).
 */
import { type FSWatcher, mkdirSync, watch } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { CSINodes, Nodes } from "../../api/resources.ts";
import type { CSINodeDriver, CSINodeSpec } from "../../api/storage/v1.ts";
import { isAlreadyExists, isConflict, isNotFound } from "../../apimachinery/status-error.ts";
import { backoffDelayMs } from "../../base/backoff.ts";
import { type Clock, sleep, type Timer } from "../../base/clock.ts";
import type { Logger } from "../../base/logger.ts";
import type { Client } from "../../client/client.ts";
import { GrpcChannel } from "../grpc/channel.ts";
import { csi, nodeCapability, registration } from "./csi-api.ts";

export interface CsiDriver {
  name: string;
  channel: GrpcChannel;
  capabilities: ReadonlySet<number>;
}

export interface PluginRegistryOptions {
  /** Made when it is not there. */
  folder: string;
  nodeName: string;
  /** The Node object's; empty while it is not registered. */
  nodeUid(): string;
  client: Client;
  clock: Clock;
  log: Logger;
  signal: AbortSignal;
}

const settleMs = 50;
const answerMs = 15_000;
const annotation = "csi.volume.kubernetes.io/nodeid";

export class PluginRegistry {
  readonly #options: PluginRegistryOptions;
  /** By the path of the registration socket, with its inode: a driver that starts anew makes another. */
  readonly #sockets = new Map<string, { inode: number; driver?: string }>();
  readonly #drivers = new Map<string, CsiDriver>();
  #watcher: FSWatcher | undefined;
  #timer: Timer | undefined;
  #work: Promise<void> = Promise.resolve();

  constructor(options: PluginRegistryOptions) {
    this.#options = options;
  }

  start(): void {
    const { folder, clock, signal, log } = this.#options;
    mkdirSync(folder, { recursive: true });
    this.#watcher = watch(folder, { persistent: false }, () => {
      this.#timer?.[Symbol.dispose]();
      this.#timer = clock.setTimer(settleMs, () => this.look(), { background: true });
    });
    this.#watcher.on("error", (error) => log.warn("watching for CSI drivers failed", { folder, error: error.message }));
    signal.addEventListener("abort", () => this.#close(), { once: true });
    this.look();
  }

  /** Registers what is new and forgets what is gone. */
  look(): void {
    this.#work = this.#work.then(() => this.#look());
  }

  /** Rejects in upstream's words when there is no such driver. */
  driver(name: string): CsiDriver {
    const driver = this.#drivers.get(name);
    if (!driver) throw new Error(`driver name ${name} not found in the list of registered CSI drivers`);
    return driver;
  }

  async #look(): Promise<void> {
    const { folder, log, signal } = this.#options;
    if (signal.aborted) return;
    const names = (await readdir(folder).catch(() => [])).filter((name) => !name.startsWith("."));
    const present = new Set<string>();
    for (const name of names) {
      const path = join(folder, name);
      const found = await stat(path).catch(() => undefined);
      if (!found?.isSocket()) continue;
      present.add(path);
      if (this.#sockets.get(path)?.inode === found.ino) continue;
      try {
        const driver = await this.#register(path);
        this.#sockets.set(path, { inode: found.ino, driver });
      } catch (error) {
        log.warn("registering a CSI driver failed", { path, error: (error as Error).message });
      }
    }
    for (const [path, { driver }] of this.#sockets) {
      if (present.has(path)) continue;
      this.#sockets.delete(path);
      if (driver) await this.#deregister(driver);
    }
  }

  async #register(path: string): Promise<string> {
    const { clock, log } = this.#options;
    const plugin = new GrpcChannel(path, clock);
    try {
      const info = await plugin.call(registration.getInfo, {}, { timeoutMs: answerMs });
      try {
        if (info.type !== "CSIPlugin")
          throw new Error(`no handler registered for plugin type: ${info.type} at socket ${path}`);
        if (!info.supported_versions.some((version) => /^v?1\./.test(version)))
          throw new Error(
            `none of the CSI versions reported by this driver are supported: ${info.supported_versions.join(" ")}`,
          );
        await this.#welcome(info.name, info.endpoint || path);
      } catch (error) {
        const status = { plugin_registered: false, error: (error as Error).message };
        await plugin.call(registration.notify, status, { timeoutMs: answerMs });
        throw error;
      }
      await plugin.call(registration.notify, { plugin_registered: true }, { timeoutMs: answerMs });
      log.info("a CSI driver registered", { driver: info.name });
      return info.name;
    } finally {
      plugin.close();
    }
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

  async #deregister(name: string): Promise<void> {
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
    const ownerReferences = [{ apiVersion: "v1", kind: "Node", name: nodeName, uid }];
    await client.create(CSINodes, { metadata: { name: nodeName, ownerReferences }, spec }, { signal });
  }

  #close(): void {
    this.#watcher?.close();
    this.#timer?.[Symbol.dispose]();
    for (const { channel } of this.#drivers.values()) channel.close();
  }
}

export function stages({ capabilities }: CsiDriver): boolean {
  return capabilities.has(nodeCapability.stageUnstageVolume);
}
