/**
 * Where the runtime keeps what it must find again after its process died, and the records in it. The many small files are in
 * memory (`run`): no container outlives the machine's memory either, and disks are slow to make and remove files. What a
 * container writes is on the disk (`disk`).
 */
import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type {
  ContainerConfig,
  ContainerId,
  ContainerState,
  ContainerStatus,
  SandboxConfig,
  SandboxId,
} from "../container-runtime.ts";

export interface SandboxRecord {
  id: SandboxId;
  config: SandboxConfig;
  createdAtMs: number;
  isStopped: boolean;
  /** The process that holds the pod's PID namespace, when its containers share one. */
  pidHolder?: { pid: number; startTicks: string };
  /** The machine's number of root in the pod, which has a user namespace of its own. */
  firstUser?: number;
}

export interface ContainerRecord {
  id: ContainerId;
  sandbox: SandboxId;
  config: ContainerConfig;
  createdAtMs: number;
  /** The image's name with digest. */
  imageReference: string;
  user?: ContainerStatus["user"];
  stopSignal: string | undefined;
  cgroupPath: string;
  /** The layer below the image's that has a place for each mount. */
  mountPoints: string;
}

export interface StartedRecord {
  pid: number;
  /** Tells this process from a later one with the same number. */
  startTicks: string;
  startedAtMs: number;
}

export type ExitRecord = Extract<ContainerState, { kind: "exited" }>;

export class SandboxFolder {
  readonly path: string;

  constructor(root: string, id: string) {
    this.path = join(root, "sandboxes", id);
  }

  get record() {
    return join(this.path, "sandbox.json");
  }
  get ipc() {
    return join(this.path, "ipc");
  }
  get uts() {
    return join(this.path, "uts");
  }
  get user() {
    return join(this.path, "user");
  }
  get shm() {
    return join(this.path, "shm");
  }
  get resolvConf() {
    return join(this.path, "resolv.conf");
  }
  get hostname() {
    return join(this.path, "hostname");
  }
  get pause() {
    return join(this.path, "pause");
  }
}

/** Also the OCI bundle, and conmon's folder: it makes `attach` and `ctl` in it. */
export class ContainerFolder {
  readonly path: string;
  /** Its writable layer, and what else may grow. */
  readonly disk: string;
  readonly id: string;

  constructor(run: string, disk: string, id: string) {
    this.id = id;
    this.path = join(run, "containers", id);
    this.disk = join(disk, id);
  }

  get record() {
    return join(this.path, "container.json");
  }
  get started() {
    return join(this.path, "started.json");
  }
  get exited() {
    return join(this.path, "exited.json");
  }
  get config() {
    return join(this.path, "config.json");
  }
  get rootfs() {
    return join(this.path, "rootfs");
  }
  /**
   * What is mounted for a container that cannot take it from where it lies: with shifted owners for a pod with a user namespace, or
   * what the runtime does not see. There while the container starts.
   */
  get shifted() {
    return join(this.path, "shifted");
  }
  get upper() {
    return join(this.disk, "upper");
  }
  get work() {
    return join(this.disk, "work");
  }
  get volumes() {
    return join(this.disk, "volumes");
  }
  get pidFile() {
    return join(this.path, "pid");
  }
  get conmonPidFile() {
    return join(this.path, "conmon.pid");
  }
  /** A FIFO whose writing end conmon holds open: its end of file says that conmon has ended. */
  get lifeline() {
    return join(this.path, "lifeline");
  }
  /** Written by conmon, named by the container: `--exit-dir` is the container's folder. */
  get exitFile() {
    return join(this.path, this.id);
  }
  get ctl() {
    return join(this.path, "ctl");
  }
  get attachSocket() {
    return join(this.path, "attach");
  }
  /** The log when the caller wants none; attach reads it. */
  get ownLog() {
    return join(this.disk, "log");
  }
}

/** Whole or not at all, even when this process dies meanwhile. */
export function writeRecord(file: string, record: object): void {
  writeFileSync(`${file}.new`, JSON.stringify(record));
  renameSync(`${file}.new`, file);
}

/** Undefined when there is none, or it is not whole. */
export function readRecord<T>(file: string): T | undefined {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as T;
  } catch {
    return undefined;
  }
}

export function readText(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

export function modifiedAtMs(file: string): number | undefined {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs;
}

export function makeFolder(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o711 });
}
