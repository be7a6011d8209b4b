/** What the pods of a node use at one moment: gathered from the runtime, the kernel and the file systems when somebody asks. */
import { readFile, statfs } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../../base/clock.ts";
import type { ImageService } from "../images/image-service.ts";
import { type NodeFolders, podFolders } from "../paths.ts";
import type { PodObject, PodState } from "../pod-state.ts";
import type { ContainerId, ContainerRuntime, ContainerStats } from "../runtime/container-runtime.ts";
import { type DiskUsage, diskUsage } from "./disk-usage.ts";

export interface NodeStats {
  nodeName: string;
  atMs: number;
  /** When the kubelet started. */
  startedAtMs: number;
  memory: MachineMemory;
  filesystem: FilesystemStats;
  imageFilesystem: FilesystemStats;
  pods: PodStats[];
}

export interface MachineMemory {
  totalBytes: number;
  availableBytes: number;
}

export interface FilesystemStats {
  capacityBytes: number;
  availableBytes: number;
  inodes: number;
  inodesFree: number;
  usedBytes?: number;
}

export interface PodStats {
  pod: PodObject;
  startedAtMs: number;
  /** The pod's cgroup as a whole. */
  usage: UsageStats | undefined;
  network: NetworkStats | undefined;
  processes: number;
  containers: ContainerUsage[];
  volumes: VolumeUsage[];
}

export interface ContainerUsage {
  name: string;
  id: ContainerId;
  image: string;
  startedAtMs: number;
  usage: UsageStats;
  writable: DiskUsage;
  logs: DiskUsage;
}

export interface VolumeUsage extends DiskUsage {
  name: string;
  /** Counts towards the pod's ephemeral storage. */
  isEphemeral: boolean;
}

/** `usageNanoCores`: the rate since the last time somebody asked, or since the container's start. */
export interface UsageStats extends ContainerStats {
  usageNanoCores: number;
}

export interface NetworkStats {
  interface: string;
  receivedBytes: number;
  receivedErrors: number;
  receivedPackets: number;
  sentBytes: number;
  sentErrors: number;
  sentPackets: number;
}

export interface StatsSourceOptions {
  nodeName: string;
  runtime: ContainerRuntime;
  images: ImageService;
  folders: NodeFolders;
  clock: Clock;
  pods(): Iterable<PodState>;
}

/** Measures nothing until it is asked: an idle node pays nothing for its statistics. */
export class StatsSource {
  readonly #options: StatsSourceOptions;
  readonly #startedAtMs: number;
  /** The last reading of each cgroup, for rates. */
  readonly #last = new Map<string, { atMs: number; nanoseconds: number; rate: number }>();

  constructor(options: StatsSourceOptions) {
    this.#options = options;
    this.#startedAtMs = options.clock.now();
  }

  /** `disks`: false leaves out what takes walks over folders. `only`: these pods instead of all. */
  async read({ disks = true, only }: { disks?: boolean; only?: readonly PodState[] } = {}): Promise<NodeStats> {
    const { nodeName, clock, folders, images } = this.#options;
    const states = only ?? [...this.#options.pods()];
    const [memory, filesystem, imageUsage, pods] = await Promise.all([
      machineMemory(),
      filesystemStats(folders.root),
      images.usage(),
      Promise.all(states.map((state) => this.#pod(state, disks))),
    ]);
    const seen = new Set(pods.flatMap(({ pod, containers }) => [pod.metadata.uid, ...containers.map(({ id }) => id)]));
    for (const key of only ? [] : this.#last.keys()) if (!seen.has(key)) this.#last.delete(key);
    return {
      nodeName,
      atMs: clock.now(),
      startedAtMs: this.#startedAtMs,
      memory,
      filesystem,
      imageFilesystem: {
        ...filesystem,
        capacityBytes: imageUsage.filesystemBytes || filesystem.capacityBytes,
        availableBytes: imageUsage.availableBytes || filesystem.availableBytes,
        usedBytes: imageUsage.usedBytes,
      },
      pods: pods.filter(({ containers, usage }) => usage || containers.length > 0),
    };
  }

  async #pod(state: PodState, disks: boolean): Promise<PodStats> {
    const { runtime } = this.#options;
    const { pod, sandbox, startTimeMs } = state;
    const running = state.containers.flatMap(({ name, run }) => (run.kind === "running" ? [{ name, run }] : []));
    const containers = await Promise.all(
      running.map(async ({ name, run }): Promise<ContainerUsage[]> => {
        const stats = await runtime.containerStats(run.id).catch(() => undefined);
        if (!stats) return [];
        const logs = join(podFolders(this.#options.folders, pod).logs, name);
        return [
          {
            name,
            id: run.id,
            image: run.image,
            startedAtMs: run.startedAtMs,
            usage: this.#withRate(run.id, run.startedAtMs, stats),
            writable: disks ? await runtime.writableUsage(run.id).catch(() => nothing) : nothing,
            logs: disks ? await diskUsage(logs) : nothing,
          },
        ];
      }),
    );
    const whole = sandbox.kind === "ready" ? await runtime.sandboxStats(sandbox.id).catch(() => undefined) : undefined;
    const pid = running
      .map(({ run }) => runtime.containerStatus(run.id)?.state)
      .find((each) => each?.kind === "running");
    return {
      pod,
      startedAtMs: startTimeMs,
      usage: whole && this.#withRate(pod.metadata.uid, startTimeMs, whole),
      network: pid && pid.pid > 0 && !pod.spec.hostNetwork ? await networkStats(pid.pid) : undefined,
      processes: whole?.processes ?? 0,
      containers: containers.flat(),
      volumes: disks ? await this.#volumes(pod) : [],
    };
  }

  #withRate(key: string, startedAtMs: number, stats: ContainerStats): UsageStats {
    const nanoseconds = stats.cpu.usageNanoseconds;
    const last = this.#last.get(key) ?? { atMs: startedAtMs, nanoseconds: 0, rate: 0 };
    const elapsedMs = stats.atMs - last.atMs;
    // Two askers at one moment are told the same.
    if (elapsedMs < minimumIntervalMs && this.#last.has(key)) return { ...stats, usageNanoCores: last.rate };
    const rate = elapsedMs > 0 ? Math.max(0, Math.round(((nanoseconds - last.nanoseconds) / elapsedMs) * 1000)) : 0;
    this.#last.set(key, { atMs: stats.atMs, nanoseconds, rate });
    return { ...stats, usageNanoCores: rate };
  }

  async #volumes(pod: PodObject): Promise<VolumeUsage[]> {
    const folders = podFolders(this.#options.folders, pod);
    const measured = (pod.spec.volumes ?? []).flatMap(
      ({ name, emptyDir, configMap, secret, downwardAPI, projected }) => {
        if (emptyDir) {
          const path = join(folders.root, "volumes", "kubernetes.io~empty-dir", name);
          return [{ name, path, isEphemeral: emptyDir.medium !== "Memory" }];
        }
        const kind = configMap
          ? "configmap"
          : secret
            ? "secret"
            : downwardAPI
              ? "downward-api"
              : projected
                ? "projected"
                : "";
        return kind
          ? [{ name, path: join(folders.volatile, "volumes", `kubernetes.io~${kind}`, name), isEphemeral: false }]
          : [];
      },
    );
    return Promise.all(
      measured.map(async ({ name, path, isEphemeral }) => ({ name, isEphemeral, ...(await diskUsage(path)) })),
    );
  }
}

const minimumIntervalMs = 500;
const nothing: DiskUsage = { bytes: 0, inodes: 0 };

export async function machineMemory(): Promise<MachineMemory> {
  const text = await readFile("/proc/meminfo", "utf8").catch(() => "");
  const of = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(text)?.[1] ?? 0) * 1024;
  return { totalBytes: of("MemTotal"), availableBytes: of("MemAvailable") };
}

export async function filesystemStats(folder: string): Promise<FilesystemStats> {
  const { bsize, blocks, bavail, files, ffree } = await statfs(folder);
  return { capacityBytes: blocks * bsize, availableBytes: bavail * bsize, inodes: files, inodesFree: ffree };
}

/** What went through the pod's first interface, seen from one of its processes. */
async function networkStats(pid: number): Promise<NetworkStats | undefined> {
  const text = await readFile(`/proc/${pid}/net/dev`, "utf8").catch(() => "");
  for (const line of text.split("\n")) {
    const [name, values] = line.split(":");
    if (!values || name!.trim() === "lo") continue;
    const numbers = values.trim().split(/\s+/).map(Number);
    return {
      interface: name!.trim(),
      receivedBytes: numbers[0] ?? 0,
      receivedPackets: numbers[1] ?? 0,
      receivedErrors: numbers[2] ?? 0,
      sentBytes: numbers[8] ?? 0,
      sentPackets: numbers[9] ?? 0,
      sentErrors: numbers[10] ?? 0,
    };
  }
  return undefined;
}
