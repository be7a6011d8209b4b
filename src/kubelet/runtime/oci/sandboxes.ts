/** The pods' sandboxes: what makes them, holds them without a process, finds them again, and takes them away. */
import { readdirSync, statfsSync, statSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Clock } from "../../../base/clock.ts";
import { inNetns } from "../../../base/node/netns.ts";
import type { Random } from "../../../base/random.ts";
import { sysctlPath } from "../../sysctls.ts";
import { RuntimeError, type SandboxConfig, type SandboxId, type SandboxStatus } from "../container-runtime.ts";
import { makeFolder, readRecord, SandboxFolder, type SandboxRecord, writeRecord } from "./folders.ts";
import { createNamespaces, mount, msNodev, msNoexec, msNosuid, releaseNamespace, unmount } from "./linux.ts";
import type { OciMachine } from "./machine.ts";
import { startPidHolder } from "./pid-holder.ts";
import { signalProcess, startTicks } from "./processes.ts";
import { allocateUsers, createUserNamespaces, setIpcSysctl } from "./user-namespaces.ts";

export interface Sandbox {
  record: SandboxRecord;
  folder: SandboxFolder;
}

export interface SandboxesOptions {
  machine: OciMachine;
  /** The node's folder in memory. Known once the machine is open. */
  run: () => string;
  clock: Clock;
  random: Random;
}

export class Sandboxes {
  readonly #options: SandboxesOptions;
  readonly #sandboxes = new Map<SandboxId, Sandbox>();

  constructor(options: SandboxesOptions) {
    this.#options = options;
  }

  /** Those that an earlier process left. One whose namespaces are gone, as after a restart of the machine, is stopped. */
  async adopt(): Promise<void> {
    const folders = join(this.#options.run(), "sandboxes");
    makeFolder(folders);
    for (const id of readdirSync(folders)) {
      const folder = new SandboxFolder(this.#options.run(), id);
      const record = readRecord<SandboxRecord>(folder.record);
      if (!record) {
        await rm(folder.path, { recursive: true, force: true });
        continue;
      }
      const sandbox = { record, folder };
      this.#sandboxes.set(record.id, sandbox);
      if (record.firstUser !== undefined) this.#options.machine.userRanges.add(record.firstUser);
      if (!isIntact(sandbox)) this.markStopped(sandbox);
    }
  }

  async create(id: SandboxId, config: SandboxConfig): Promise<void> {
    const folder = new SandboxFolder(this.#options.run(), id);
    const record: SandboxRecord = { id, config, createdAtMs: this.#options.clock.now(), isStopped: false };
    const sandbox: Sandbox = { record, folder };
    makeFolder(folder.path);
    try {
      // Written first: whatever comes after is found and taken away again should this process die here.
      writeRecord(folder.record, record);
      await this.#furnish(sandbox);
    } catch (error) {
      await this.#takeDown(sandbox);
      throw error;
    }
    this.#sandboxes.set(id, sandbox);
  }

  async #furnish({ record, folder }: Sandbox): Promise<void> {
    const { machine } = this.#options;
    const { config } = record;
    machine.cgroups.create(config.cgroupParent, config.resources);
    const ownsIpc = config.namespaces?.ipc !== "node";
    if (config.namespaces?.user === "pod") await this.#furnishUsers(record, folder);
    else
      createNamespaces({
        ipc: ownsIpc ? folder.ipc : undefined,
        uts: config.namespaces?.uts === "node" ? undefined : { file: folder.uts, hostname: config.hostname },
      });
    if (ownsIpc) {
      makeFolder(folder.shm);
      const flags = msNosuid | msNodev | msNoexec;
      mount({ source: "shm", target: folder.shm, type: "tmpfs", flags, data: "mode=1777,size=65536k" });
    }
    writeFileSync(folder.hostname, `${config.hostname}\n`);
    if (config.dns) writeFileSync(folder.resolvConf, resolvConf(config.dns));
    if (config.namespaces?.pid !== "pod") return;
    record.pidHolder = await startPidHolder({
      machine,
      folder: folder.pause,
      runtimeRoot: this.#runtimeRoot,
      id: record.id,
      cgroupPath: `${config.cgroupParent}/${record.id}`,
    });
    writeRecord(folder.record, record);
  }

  /** Its IPC and UTS namespaces lie inside its user namespace, so that its root may set them up. */
  async #furnishUsers(record: SandboxRecord, folder: SandboxFolder): Promise<void> {
    const { machine, random } = this.#options;
    const { config } = record;
    checkSearchable(folder.path);
    const firstUser = allocateUsers(machine.userRanges, random);
    machine.userRanges.add(firstUser);
    record.firstUser = firstUser;
    writeRecord(folder.record, record);
    await createUserNamespaces(folder, firstUser, config.hostname);
    for (const [name, value] of Object.entries({ ...openNetwork(config), ...config.sysctls })) {
      if (!name.startsWith("net.")) await setIpcSysctl(folder, name, value);
      else if (config.networkNamespacePath)
        inNetns(config.networkNamespacePath, () => writeFileSync(`/proc/sys/${sysctlPath(name)}`, value));
    }
  }

  find(id: SandboxId): Sandbox | undefined {
    return this.#sandboxes.get(id);
  }

  get(id: SandboxId): Sandbox {
    const sandbox = this.#sandboxes.get(id);
    if (!sandbox) throw new RuntimeError("NotFound", `sandbox "${id}" not found`);
    return sandbox;
  }

  list(): SandboxStatus[] {
    return [...this.#sandboxes.values()].map(sandboxStatus);
  }

  markStopped({ record, folder }: Sandbox): void {
    if (record.isStopped) return;
    record.isStopped = true;
    writeRecord(folder.record, record);
  }

  /** Its containers are gone by now. */
  async remove(sandbox: Sandbox): Promise<void> {
    await this.#takeDown(sandbox);
    this.#sandboxes.delete(sandbox.record.id);
  }

  async #takeDown({ record, folder }: Sandbox): Promise<void> {
    const { cgroups } = this.#options.machine;
    if (record.pidHolder) signalProcess(record.pidHolder, 9);
    unmount(folder.shm);
    releaseNamespace(folder.ipc);
    releaseNamespace(folder.uts);
    if (record.firstUser !== undefined) {
      releaseNamespace(folder.user);
      this.#options.machine.userRanges.delete(record.firstUser);
    }
    cgroups.kill(record.config.cgroupParent);
    await cgroups.remove(record.config.cgroupParent);
    for (const path of [join(this.#runtimeRoot, record.id), folder.path]) {
      await rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 5 });
    }
  }

  get #runtimeRoot(): string {
    return join(this.#options.run(), "runtime");
  }
}

/** The network namespace belongs to the machine's root; the pod's may use any port, and ping, all the same. */
function openNetwork({ hostNetwork }: SandboxConfig): Record<string, string> {
  if (hostNetwork) return {};
  return { "net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647" };
}

/** The container's root, which is nobody on the machine, must find its files. */
function checkSearchable(path: string): void {
  for (let at = path; at !== "/"; at = dirname(at)) {
    if ((statSync(at).mode & 0o001) !== 0) continue;
    throw new RuntimeError(
      "Unavailable",
      `pods with a user namespace (hostUsers: false) need the folder ${at} to be open to all: chmod o+x ${at}`,
    );
  }
}

export function sandboxStatus({ record }: Sandbox): SandboxStatus {
  const { id, config, createdAtMs, isStopped } = record;
  return { id, config, createdAtMs, state: isStopped ? "stopped" : "ready" };
}

function isIntact({ record, folder }: Sandbox): boolean {
  const { config, pidHolder } = record;
  if (config.networkNamespacePath && !holdsNamespace(config.networkNamespacePath)) return false;
  if (config.namespaces?.ipc !== "node" && !holdsNamespace(folder.ipc)) return false;
  if (config.namespaces?.uts !== "node" && !holdsNamespace(folder.uts)) return false;
  if (config.namespaces?.user === "pod" && !holdsNamespace(folder.user)) return false;
  if (config.namespaces?.pid !== "pod") return true;
  return pidHolder !== undefined && startTicks(pidHolder.pid) === pidHolder.startTicks;
}

function holdsNamespace(path: string): boolean {
  try {
    return statfsSync(path).type === nsfs;
  } catch {
    return false;
  }
}

/** The filesystem type of a file that holds a namespace. */
const nsfs = 0x6e736673;

function resolvConf(dns: NonNullable<SandboxConfig["dns"]>): string {
  const lines = [];
  if (dns.searches.length > 0) lines.push(`search ${dns.searches.join(" ")}`);
  for (const server of dns.servers) lines.push(`nameserver ${server}`);
  if (dns.options.length > 0) lines.push(`options ${dns.options.join(" ")}`);
  return lines.map((line) => `${line}\n`).join("");
}
