/**
 * What the OCI runtimes of all nodes on one machine share: the programs, the machine's control groups, and how many containers
 * start at a time.
 */
import { mkdirSync, readFileSync, realpathSync, statfsSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join, relative } from "node:path";
import { text } from "node:stream/consumers";
import type { Clock } from "../../../base/clock.ts";
import type { Logger } from "../../../base/logger.ts";
import { findProgram } from "../../../base/node/find-program.ts";
import { mountTmpfs } from "../../../base/node/mounts.ts";
import { spawnProcess } from "../../../base/node/spawn-process.ts";
import { kernelHasAppArmor } from "../../machine-facts.ts";
import { RuntimeError } from "../container-runtime.ts";
import { type AppArmorHost, loadDefaultProfile, loadedProfiles } from "./apparmor.ts";
import { parseEffectiveCapabilities } from "./capabilities.ts";
import { Cgroups, parseCgroupMounts } from "./cgroups.ts";
import { mount, msBind, msPrivate, msRecursive, msShared, releaseNamespace, unmount } from "./linux.ts";
import { isWithin, mountsAt } from "./mount-table.ts";
import { Semaphore } from "./semaphore.ts";

export interface OciMachineOptions {
  /**
   * The cluster's folder, in which the runtimes' folders and the pods' volumes lie: on a hybrid machine, mounts made in it are
   * passed on to the containers, and mounts made elsewhere after `open` are not.
   */
  folder: string;
  clock: Clock;
  logger: Logger;
  /** Default: crun, else runc. */
  runtime?: "crun" | "runc";
  /** Where drivers describe their devices. Default: /etc/cdi and /var/run/cdi. */
  cdiFolders?: readonly string[];
  /** A container's start that takes longer has hung, and is given up. Default: two minutes, upstream's. */
  startTimeoutMs?: number;
}

/** What stands in a later folder goes before. */
const defaultCdiFolders = ["/etc/cdi", "/var/run/cdi"];

export class OciMachine {
  readonly #options: OciMachineOptions;
  /** The first user of each pod that has a user namespace of its own. */
  readonly userRanges = new Set<number>();
  readonly starts = new Semaphore(Math.max(2, availableParallelism()));
  #programs: { runtime: string; kind: "crun" | "runc"; conmon: string; nsenter: string | undefined } | undefined;
  #cgroups: Cgroups | undefined;
  #conmonFlags: Set<string> | undefined;
  #version: string | undefined;
  /** The machine's mount table when the view was made. */
  #mountsOfView = "";
  #openFilesLimit: number | undefined;
  #capabilities: ReadonlySet<string> | undefined;
  #appArmor: AppArmorHost | undefined;

  constructor(options: OciMachineOptions) {
    this.#options = options;
  }

  /** Rejects with reason "Unavailable" and the names of the programs or mounts that are missing. */
  async open(): Promise<void> {
    if (this.#programs) return;
    const wanted = this.#options.runtime;
    const kind = wanted ?? (findProgram("crun") ? "crun" : "runc");
    const runtime = findProgram(kind);
    const conmon = findProgram("conmon");
    const missing = [runtime ? undefined : (wanted ?? "crun (or runc)"), conmon ? undefined : "conmon"].filter(Boolean);
    if (!runtime || !conmon) throw new RuntimeError("Unavailable", `missing programs: ${missing.join(", ")}`);
    const mounts = parseCgroupMounts(readFileSync("/proc/self/mountinfo", "utf8"));
    if (!mounts) throw new RuntimeError("Unavailable", "no cgroup filesystem is mounted under /sys/fs/cgroup");
    this.#cgroups = new Cgroups(mounts, this.#options.clock);
    mkdirSync(this.#options.folder, { recursive: true });
    const [help, version, appArmor] = await Promise.all([
      output(conmon, ["--help"]),
      output(runtime, ["--version"]),
      this.#openAppArmor(),
    ]);
    this.#appArmor = appArmor;
    this.#conmonFlags = new Set(help.match(/--[a-z-]+/g));
    this.#version = /version (\S+)/.exec(version)?.[1] ?? "unknown";
    const needsOwnView = mounts.kind === "hybrid" && kind === "crun";
    if (needsOwnView) this.#shareFolder();
    this.#makeRunFolder();
    if (needsOwnView) await this.#makeView(mounts.unified!);
    this.#programs = { runtime, kind, conmon, nsenter: needsOwnView ? needProgram("nsenter") : undefined };
  }

  /** Undoes `open` for good, when the cluster goes. */
  tearDown(): void {
    releaseNamespace(this.#viewFile);
    unmount(this.#viewFolder);
    unmount(this.#runFolder);
    unmount(this.#options.folder);
  }

  get cgroups(): Cgroups {
    return opened(this.#cgroups);
  }

  get kind(): "crun" | "runc" {
    return opened(this.#programs).kind;
  }

  get version(): string {
    return opened(this.#version);
  }

  /** What containers may open: as much as Docker's may, where this process's own limit lets us give it. */
  get openFilesLimit(): number {
    this.#openFilesLimit ??= Number(
      /Max open files\s+\S+\s+(\d+)/.exec(readFileSync("/proc/self/limits", "utf8"))?.[1] ?? 1024,
    );
    return Math.min(1_048_576, this.#openFilesLimit);
  }

  get cdiFolders(): readonly string[] {
    return this.#options.cdiFolders ?? defaultCdiFolders;
  }

  get startTimeoutMs(): number {
    return this.#options.startTimeoutMs ?? 120_000;
  }

  get capabilities(): ReadonlySet<string> {
    this.#capabilities ??= parseEffectiveCapabilities(readFileSync("/proc/self/status", "utf8"));
    return this.#capabilities;
  }

  /** Undefined where the kernel has no AppArmor. */
  get appArmor(): AppArmorHost | undefined {
    return this.#appArmor;
  }

  get runtimeProgram(): string {
    return opened(this.#programs).runtime;
  }

  /** The program and arguments that run conmon or the runtime where they see the machine as they like it. */
  command(program: "conmon" | "runtime", args: readonly string[]): { file: string; args: string[] } {
    const programs = opened(this.#programs);
    const file = programs[program];
    if (!programs.nsenter) return { file, args: [...args] };
    return { file: programs.nsenter, args: [`--mount=${this.#viewFile}`, "--", file, ...args] };
  }

  /** A folder in memory for what belongs to a node's running containers. It outlives this process, not the machine. */
  runFolder(nodeFolder: string): string {
    return join(this.#runFolder, relative(this.#options.folder, nodeFolder).replaceAll(/[^A-Za-z0-9.-]+/g, "_"));
  }

  conmonHas(flag: string): boolean {
    return opened(this.#conmonFlags).has(flag);
  }

  /** A path through which a namespace file is found from within the programs' view, wherever it is mounted. */
  visiblePath(path: string): string {
    return opened(this.#programs).nsenter ? `/proc/${process.pid}/root${path}` : path;
  }

  /** Without the default profile containers that do not ask for one start all the same, unconfined, as with containerd. */
  async #openAppArmor(): Promise<AppArmorHost | undefined> {
    if (!kernelHasAppArmor()) return undefined;
    let hasDefaultProfile = true;
    await loadDefaultProfile().catch((error: Error) => {
      hasDefaultProfile = false;
      this.#options.logger.warn("containers have no default AppArmor profile", { error: error.message });
    });
    return { hasDefaultProfile, loaded: () => loadedProfiles() };
  }

  /**
   * Whether the runtime finds at a path what is there now. What was mounted on the machine since its view was made, it does not, but
   * in the cluster's own folder; what holds that folder is taken as it was.
   */
  sees(path: string): boolean {
    if (!opened(this.#programs).nsenter) return true;
    const [actual, folder] = [realpathSync(path), realpathSync(this.#options.folder)];
    if (isWithin(actual, folder) || isWithin(folder, actual)) return true;
    const now = readFileSync("/proc/self/mountinfo", "utf8");
    return mountsAt(actual, now, folder).join("\n") === mountsAt(actual, this.#mountsOfView, folder).join("\n");
  }

  /** Mounts made in the folder must appear in crun's view, too. */
  #shareFolder(): void {
    const { folder } = this.#options;
    if (isShared(folder, readFileSync("/proc/self/mountinfo", "utf8"))) return;
    mount({ source: folder, target: folder, flags: msBind | msRecursive });
    mount({ source: "", target: folder, flags: msShared | msRecursive });
  }

  #makeRunFolder(): void {
    mkdirSync(this.#runFolder, { recursive: true });
    if (statfsSync(this.#runFolder).type !== tmpfs) mountTmpfs(this.#runFolder, "mode=711");
  }

  /**
   * crun refuses a machine with both kinds of cgroups, but only looks whether `unified` is mounted. So it runs in a mount
   * namespace of its own, without that mount. Other mounts stay tied to the machine's both ways, for volumes whose containers
   * pass mounts on (mountPropagation: Bidirectional).
   */
  async #makeView(unified: string): Promise<void> {
    releaseNamespace(this.#viewFile);
    unmount(this.#viewFolder);
    mkdirSync(this.#viewFolder, { recursive: true });
    // The file that holds a mount namespace must itself be out of that namespace's sight: a private tmpfs.
    mount({ source: "tmpfs", target: this.#viewFolder, type: "tmpfs", data: "mode=700,size=4k" });
    mount({ source: "", target: this.#viewFolder, flags: msPrivate });
    writeFileSync(this.#viewFile, "");
    this.#mountsOfView = readFileSync("/proc/self/mountinfo", "utf8");
    const made = spawnProcess({
      file: needProgram("unshare"),
      args: [
        ...[`--mount=${this.#viewFile}`, "--propagation", "unchanged"],
        // Parted from the machine's first, where the mount must stay.
        ...["/bin/sh", "-c", 'mount --make-rprivate "$1" && umount "$2"', "sh", dirname(unified), unified],
      ],
      fds: { 2: "pipe-out" },
    });
    const [complaint, end] = await Promise.all([text(made.readers[2]!), made.exited]);
    if (end.code !== 0)
      throw new RuntimeError("Unavailable", `cannot prepare a view of ${unified} for crun: ${complaint.trim()}`);
  }

  get #runFolder(): string {
    return join(this.#options.folder, ".run");
  }

  get #viewFolder(): string {
    return join(this.#options.folder, ".view");
  }

  get #viewFile(): string {
    return join(this.#viewFolder, "mnt");
  }
}

/** Its number among filesystem types. */
const tmpfs = 0x01021994;

/** True when mounts made in the folder reach other mount namespaces already, as on most machines with systemd. */
export function isShared(folder: string, mountinfo: string): boolean {
  let longest = "";
  let shared = false;
  for (const line of mountinfo.split("\n")) {
    const fields = line.split(" - ")[0]!.split(" ");
    const mountPoint = fields[4];
    if (!mountPoint) continue;
    const contains = folder === mountPoint || folder.startsWith(mountPoint === "/" ? "/" : `${mountPoint}/`);
    if (!contains || mountPoint.length < longest.length) continue;
    longest = mountPoint;
    shared = fields.slice(6).some((field) => field.startsWith("shared:"));
  }
  return shared;
}

function needProgram(name: string): string {
  const found = findProgram(name);
  if (!found) throw new RuntimeError("Unavailable", `missing programs: ${name}`);
  return found;
}

async function output(file: string, args: string[]): Promise<string> {
  const child = spawnProcess({ file, args, fds: { 1: "pipe-out" } });
  const [out] = await Promise.all([text(child.readers[1]!), child.exited]);
  return out;
}

function opened<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("the machine's runtime was used before it was opened");
  return value;
}
