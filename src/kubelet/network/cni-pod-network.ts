/**
 * The pod network of one local node as CNI plugins make it, in place of the built-in one: what containerd does upstream.
 *
 * The configuration is the first of a folder, read for every pod; its plugins run in the node's namespace. What they said of a
 * pod is kept in a file, for they want to be told it again when the pod goes.
 */
import { accessSync, constants, mkdirSync, readdirSync, readFileSync, rmSync, watch, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { Links } from "../../base/node/links.ts";
import { createNetns, deleteNetns, inNetns, listNetns, netnsPath } from "../../base/node/netns.ts";
import { spawnProcess } from "../../base/node/spawn-process.ts";
import type { PodAttachment, PodIdentity, PodNetwork } from "./pod-network.ts";

export interface CniPodNetworkConfig {
  /** The node's namespace, by its name. */
  node: string;
  /** Its pod CIDR: stands for `{{.PodCIDR}}` in configurations. */
  podCIDR: string;
  /** Folders of configurations: the first that has one counts, and in it the first by name. */
  confDirs: readonly string[];
  /** Where plugins are looked for, in this order. */
  binDirs: readonly string[];
  /** The node's own folder: attachments, and the addresses that host-local gave out. */
  stateFolder: string;
}

/** One file of the folder: a list of plugins that work on each pod in turn. */
export interface NetworkConfig {
  name: string;
  cniVersion: string;
  plugins: readonly PluginConfig[];
}

interface PluginConfig {
  type: string;
  ipam?: { type?: string; dataDir?: string };
  capabilities?: Record<string, boolean>;
  [field: string]: unknown;
}

interface CniResult {
  ips?: { address: string }[];
  [field: string]: unknown;
}

/** What was done for a pod, to be undone as it was done. */
interface Attached {
  network: NetworkConfig;
  result: CniResult;
  pod: PodIdentity | undefined;
}

const podLink = "eth0";
const noNetworks = "cni plugin not initialized: no networks found in";

export class CniPodNetwork implements PodNetwork {
  readonly #config: CniPodNetworkConfig;
  readonly #attached = new Map<string, PodAttachment>();
  #isRecovered = false;

  constructor(config: CniPodNetworkConfig) {
    this.#config = config;
  }

  async attach(podUid: string, pod?: PodIdentity): Promise<PodAttachment> {
    this.#recover();
    const existing = this.#attached.get(podUid);
    if (existing) return existing;
    const network = readNetworkConfig(this.#config);
    const name = `${this.#config.node}_${podUid}`;
    createNetns(name, () => {
      const links = new Links();
      links.apply([{ kind: "up", name: "lo" }]);
      links.close();
      for (const [path, value] of openToAll) writeFileSync(path, value);
    });
    try {
      const result = await this.#add(network, podUid, pod);
      const ips = addressesIn(result);
      if (ips.length === 0) throw new Error(`network ${JSON.stringify(network.name)} gave no address`);
      const attachment = { podUid, netnsPath: netnsPath(name), ips };
      this.#keep(podUid, { network, result, pod });
      this.#attached.set(podUid, attachment);
      return attachment;
    } catch (error) {
      await this.#delete({ network, result: {}, pod }, podUid).catch(() => {});
      deleteNetns(name);
      const { message } = error as Error;
      throw new Error(`plugin failed (add): ${message}`, { cause: error });
    }
  }

  async detach(podUid: string): Promise<void> {
    this.#recover();
    const kept = this.#read(podUid);
    try {
      if (kept) await this.#delete(kept, podUid);
    } finally {
      // What a plugin could not take back goes with the namespace, but for addresses: the next garbage collection is the plugin's.
      rmSync(this.#fileOf(podUid), { force: true });
      deleteNetns(`${this.#config.node}_${podUid}`);
      this.#attached.delete(podUid);
    }
  }

  problem(): string | undefined {
    try {
      readNetworkConfig(this.#config);
      return undefined;
    } catch (error) {
      const { message } = error as Error;
      // As upstream's runtimes tell it of a node that nobody has given a network yet.
      return message.startsWith(noNetworks) ? "cni plugin not initialized" : message;
    }
  }

  onChange(listener: () => void, signal: AbortSignal): void {
    for (const folder of this.#config.confDirs) {
      try {
        watch(folder, { signal, persistent: false }, listener).on("error", () => {});
      } catch {
        // Not there yet: what comes into it is seen with the node's next report.
      }
    }
  }

  async list(): Promise<PodAttachment[]> {
    this.#recover();
    return [...this.#attached.values()];
  }

  /** Namespaces of an earlier life. One whose plugins did not finish is nobody's, and goes. */
  #recover(): void {
    if (this.#isRecovered) return;
    this.#isRecovered = true;
    const prefix = `${this.#config.node}_`;
    for (const name of listNetns(prefix)) {
      const podUid = name.slice(prefix.length);
      const kept = this.#read(podUid);
      if (kept) this.#attached.set(podUid, { podUid, netnsPath: netnsPath(name), ips: addressesIn(kept.result) });
      else deleteNetns(name);
    }
  }

  async #add(network: NetworkConfig, podUid: string, pod: PodIdentity | undefined): Promise<CniResult> {
    let result: CniResult | undefined;
    for (const plugin of network.plugins) {
      const printed = await this.#run("ADD", plugin, { network, podUid, pod, prevResult: result });
      result = printed ? (JSON.parse(printed) as CniResult) : result;
    }
    return result ?? {};
  }

  async #delete({ network, result, pod }: Attached, podUid: string): Promise<void> {
    for (const plugin of [...network.plugins].reverse())
      await this.#run("DEL", plugin, { network, podUid, pod, prevResult: result });
  }

  /** Resolves with what the plugin printed; rejects with its own words. */
  async #run(
    command: "ADD" | "DEL",
    plugin: PluginConfig,
    call: { network: NetworkConfig; podUid: string; pod: PodIdentity | undefined; prevResult: CniResult | undefined },
  ): Promise<string> {
    const { network, podUid, pod, prevResult } = call;
    const { binDirs, node } = this.#config;
    const { capabilities: _, ...wishes } = plugin;
    const input = JSON.stringify({
      ...wishes,
      ...(plugin.ipam ? { ipam: this.#withOwnData(plugin.ipam) } : {}),
      name: network.name,
      cniVersion: network.cniVersion,
      ...(prevResult ? { prevResult } : {}),
    });
    const labels = pod
      ? {
          K8S_POD_NAMESPACE: pod.namespace,
          K8S_POD_NAME: pod.name,
          K8S_POD_INFRA_CONTAINER_ID: podUid,
          K8S_POD_UID: podUid,
        }
      : {};
    const args = Object.entries({ IgnoreUnknown: "1", ...labels }).map(([key, value]) => `${key}=${value}`);
    const file = findPlugin(plugin.type, binDirs);
    const child = inNetns(netnsPath(node), () =>
      spawnProcess({
        file,
        args: [],
        env: {
          PATH: process.env["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin",
          CNI_COMMAND: command,
          CNI_CONTAINERID: podUid,
          CNI_NETNS: netnsPath(`${node}_${podUid}`),
          CNI_IFNAME: podLink,
          CNI_ARGS: args.join(";"),
          CNI_PATH: binDirs.join(":"),
        },
        fds: { 0: "pipe-in", 1: "pipe-out", 2: "pipe-out" },
      }),
    );
    child.writers[0]!.on("error", () => {}); // It may end without reading.
    child.writers[0]!.end(input);
    const [printed, complaint, { code }] = await Promise.all([
      text(child.readers[1]!),
      text(child.readers[2]!),
      child.exited,
    ]);
    if (code === 0) return printed.trim();
    throw new Error(`${plugin.type}: ${complaintIn(printed) ?? (complaint.trim() || `exit code ${code}`)}`);
  }

  /** On one machine are many nodes: each keeps for itself which addresses are given out. */
  #withOwnData(ipam: NonNullable<PluginConfig["ipam"]>): object {
    return ipam.type === "host-local" && !ipam.dataDir
      ? { ...ipam, dataDir: join(this.#config.stateFolder, "networks") }
      : ipam;
  }

  #fileOf(podUid: string): string {
    return join(this.#config.stateFolder, "attached", `${podUid}.json`);
  }

  #keep(podUid: string, attached: Attached): void {
    mkdirSync(join(this.#config.stateFolder, "attached"), { recursive: true });
    writeFileSync(this.#fileOf(podUid), JSON.stringify(attached));
  }

  #read(podUid: string): Attached | undefined {
    try {
      return JSON.parse(readFileSync(this.#fileOf(podUid), "utf8")) as Attached;
    } catch {
      return undefined; // Never finished, or cut short by a crash.
    }
  }
}

/** The configuration that holds now. Throws in upstream's words when there is none, or when it cannot be read. */
export function readNetworkConfig({
  confDirs,
  podCIDR,
}: Pick<CniPodNetworkConfig, "confDirs" | "podCIDR">): NetworkConfig {
  const file = confDirs.flatMap(configurationsIn)[0];
  if (!file) throw new Error(`${noNetworks} ${confDirs.join(", ")}`);
  const fail = (why: string): never => {
    throw new Error(`cni plugin not initialized: error loading CNI config file ${file}: ${why}`);
  };
  let config: Partial<NetworkConfig & PluginConfig>;
  try {
    config = JSON.parse(readFileSync(file, "utf8").replace(/\{\{ *\.PodCIDR *\}\}/g, podCIDR));
  } catch (error) {
    return fail((error as Error).message);
  }
  const { name, cniVersion = "0.2.0", plugins = [config as PluginConfig] } = config;
  if (typeof name !== "string" || name === "") return fail("missing network name");
  const nameless = plugins.findIndex(({ type }) => typeof type !== "string" || type === "");
  if (plugins.length === 0 || nameless >= 0) return fail("missing 'type' of a plugin");
  return { name, cniVersion, plugins };
}

function configurationsIn(folder: string): string[] {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return []; // It may come later.
  }
  return names
    .filter((name) => /\.(conf|conflist|json)$/.test(name))
    .sort()
    .map((name) => join(folder, name));
}

function findPlugin(type: string, folders: readonly string[]): string {
  for (const folder of type.includes("/") ? [] : folders) {
    const file = join(folder, type);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // Perhaps in the next.
    }
  }
  throw new Error(`failed to find plugin ${JSON.stringify(type)} in path [${folders.join(" ")}]`);
}

/** IPv4 first, as in a pod's status. */
function addressesIn(result: CniResult): string[] {
  const ips = (result.ips ?? []).map(({ address }) => address.replace(/\/.*/, ""));
  return [...ips.filter((ip) => !ip.includes(":")), ...ips.filter((ip) => ip.includes(":"))];
}

function complaintIn(printed: string): string | undefined {
  try {
    const { msg, details } = JSON.parse(printed) as { msg?: string; details?: string };
    return [msg, details].filter(Boolean).join("; ") || undefined;
  } catch {
    return undefined;
  }
}

/** Any process may bind low ports and send pings in its own pod, as containerd has it. */
const openToAll = [
  ["/proc/sys/net/ipv4/ip_unprivileged_port_start", "0"],
  ["/proc/sys/net/ipv4/ping_group_range", "0 2147483647"],
] as const;
