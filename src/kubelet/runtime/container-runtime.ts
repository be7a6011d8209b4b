/**
 * The container runtime contract: what the kubelet asks of whatever runs its containers.
 * It is shaped like upstream's CRI RuntimeService, so that one implementation can speak to containerd,
 * but speaks in this project's own types. Implementations share `container-runtime.conformance.ts`.
 */
import type { Duplex, Readable, Writable } from "node:stream";

/**
 * Guarantees, for every implementation:
 * - Containers outlive this object and its process. After a restart, `open()` finds all sandboxes and containers again,
 *   with their labels, annotations, attempt and exit codes; exits that happened in between are reported by `status` and `list`
 *   (no event is replayed: list after subscribing).
 * - Every call is idempotent where its name allows it: stopping what has stopped, and removing what is gone, succeed.
 * - A call on something unknown rejects with a RuntimeError of reason "NotFound".
 * - Calls on different containers run in parallel; the caller orders calls on the same container.
 * - Nothing polls: exits are pushed through `onContainerExit`.
 */
export interface ContainerRuntime {
  /** Also the scheme of container ids in Pod statuses: `pinnace://<id>`. */
  readonly name: string;
  /** True: its containers see no files, so nobody needs to write any for them. */
  readonly withoutFiles?: boolean;
  /** What not every implementation can: it is not to be asked for without. Known once open. */
  readonly features: RuntimeFeatures;
  /**
   * Sandboxes get their network from the runtime (CRI runtimes call CNI plugins), and their addresses stand in `SandboxStatus.ips`.
   * Otherwise the caller gives each a namespace.
   */
  readonly makesNetworks?: boolean;

  /** Prepares the machine, adopts what an earlier process left running. Call once, before anything else. */
  open(signal?: AbortSignal): Promise<void>;
  /** Lets go of watches and descriptors. Containers keep running. */
  close(): Promise<void>;
  version(): Promise<RuntimeVersion>;

  /** Creates a pod's sandbox: namespaces, cgroup, /dev/shm, resolv.conf. Costs no process unless `namespaces.pid` is "pod". */
  createSandbox(config: SandboxConfig): Promise<SandboxId>;
  /** Stops (SIGKILL) every container of the sandbox. The network namespace is the caller's to remove. */
  stopSandbox(id: SandboxId): Promise<void>;
  /** Stops and removes the sandbox and all its containers; no mount, cgroup, process or file stays. */
  removeSandbox(id: SandboxId): Promise<void>;
  sandboxStatus(id: SandboxId): SandboxStatus | undefined;
  listSandboxes(): SandboxStatus[];

  /** Prepares a container to be started. Its root is the image's layers with a writable layer on top. */
  createContainer(sandbox: SandboxId, config: ContainerConfig): Promise<ContainerId>;
  /**
   * Runs the container's process. Rejects with reason "StartError" and upstream's words when the command cannot be executed
   * (`exec: "foo": executable file not found in $PATH`); the container is then "exited" with code 128.
   */
  startContainer(id: ContainerId): Promise<void>;
  /**
   * Sends the stop signal (`options.signal`, else the image's StopSignal, else SIGTERM), waits up to the grace period, then SIGKILL.
   * Resolves when the container has exited. A grace period of 0 kills at once. Called again with a shorter grace period while
   * an earlier call waits, the shorter one wins.
   */
  stopContainer(id: ContainerId, options: StopOptions): Promise<void>;
  /** Removes the container, its writable layer and its cgroup; kills it first when it runs. Its log file stays: it is the caller's. */
  removeContainer(id: ContainerId): Promise<void>;
  /** The state as last reported by the runtime; never blocks. Undefined when unknown. */
  containerStatus(id: ContainerId): ContainerStatus | undefined;
  listContainers(filter?: { sandbox?: SandboxId; podUid?: string }): ContainerStatus[];
  /** Resolves with the final status when the container exits; at once when it has. */
  waitForExit(id: ContainerId, signal?: AbortSignal): Promise<ContainerStatus>;
  updateResources(id: ContainerId, resources: Resources): Promise<void>;
  /** Sets the limits of the pod's cgroup as a whole. */
  updateSandboxResources(id: SandboxId, resources: Resources): Promise<void>;
  /** Makes a group above pods' own, such as `<root>/kubepods/burstable`, where the runtime's driver lets it, and sets its limits. */
  limitGroup(path: string, resources: Resources): void;
  /** Usage now. Undefined when the container does not run. */
  containerStats(id: ContainerId): Promise<ContainerStats | undefined>;
  /** Usage of the pod's cgroup, all containers together. */
  sandboxStats(id: SandboxId): Promise<ContainerStats | undefined>;
  /** What the container has written to its root and to its image's volumes. Walks over it. */
  writableUsage(id: ContainerId): Promise<{ bytes: number; inodes: number }>;
  /** Makes the runtime write to `config.logPath` anew after the caller rotated it away. */
  reopenLog(id: ContainerId): Promise<void>;

  /** Called once for each container exit seen while open. Listeners must not throw. */
  onContainerExit(listener: (status: ContainerStatus) => void): Disposable;

  /** Runs a command to its end, for probes and hooks. Rejects with reason "DeadlineExceeded" after the timeout, having killed it. */
  execSync(id: ContainerId, command: readonly string[], options: ExecSyncOptions): Promise<ExecSyncResult>;
  /** Runs a command with streams. Resolves with its exit code once its output has been delivered. */
  exec(id: ContainerId, request: ExecRequest): Promise<ExitCode>;
  /** Joins the streams of the container's own process. Resolves when the container exits or `request.signal` fires. */
  attach(id: ContainerId, request: AttachRequest): Promise<void>;
  /** A connection to `localhost:port` as seen inside the pod. Rejects with ECONNREFUSED's error when nothing listens. */
  connectToPort(id: SandboxId, port: number, signal?: AbortSignal): Promise<Duplex>;
}

export type SandboxId = string & { readonly __brand: "SandboxId" };
/** 64 hexadecimal digits, without the `<runtime>://` scheme. */
export type ContainerId = string & { readonly __brand: "ContainerId" };

/** For people: `kubectl get node -o wide` shows `<name>://<version>`. */
export interface RuntimeVersion {
  name: string;
  version: string;
}

/** As Nodes tell them in `status.runtimeHandlers` and `status.features`. */
export interface RuntimeFeatures {
  readonly recursiveReadOnlyMounts: boolean;
  /** Sandboxes with a user namespace of their own. */
  readonly userNamespaces: boolean;
  /** `supplementalGroupsPolicy: Strict`. */
  readonly supplementalGroupsPolicy: boolean;
}

export interface SandboxConfig {
  pod: { name: string; namespace: string; uid: string };
  /** Counts sandboxes made for the same pod uid. */
  attempt: number;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  /** Set as the UTS host name. */
  hostname: string;
  /** A network namespace file that exists already (the pod's own, or the node's for hostNetwork). Undefined: the machine's. */
  networkNamespacePath?: string;
  /** The node's network, for runtimes that make networks themselves; others go by `networkNamespacePath`. */
  hostNetwork?: boolean;
  /** One of its containers is privileged: CRI runtimes want to know beforehand. */
  privileged?: boolean;
  /** The RuntimeClass' handler. Absent: the runtime's default. */
  runtimeHandler?: string;
  namespaces?: {
    /** "container": each container has its own (default). "pod": shareProcessNamespace. "node": hostPID. */
    pid?: "container" | "pod" | "node";
    /** Default "pod". */
    ipc?: "pod" | "node";
    /** Default "pod"; "node" with hostNetwork. */
    uts?: "pod" | "node";
    /** Default "node". "pod" (hostUsers: false): users of the pod are nobody on the machine. */
    user?: "pod" | "node";
  };
  /** Written as /etc/resolv.conf of every container. Undefined: none is mounted. */
  dns?: { servers: readonly string[]; searches: readonly string[]; options: readonly string[] };
  /** Kernel settings of the pod's own namespaces: `net.*`, `kernel.shm*`, `kernel.msg*`, `kernel.sem`, `fs.mqueue.*`. */
  sysctls?: Record<string, string>;
  /** Absolute path below the cgroup root, such as `/pinnace/kubepods/burstable/pod<uid>`. Created here, removed with the sandbox. */
  cgroupParent: string;
  /** Limits of the pod's cgroup as a whole. */
  resources?: Resources;
}

export interface SandboxStatus {
  id: SandboxId;
  config: SandboxConfig;
  createdAtMs: number;
  /** "stopped" after stopSandbox, and when a namespace that it needs has vanished (as after a reboot): make a new one. */
  state: "ready" | "stopped";
  /** The pod's addresses, where the runtime made its network. */
  ips?: readonly string[];
}

export interface ContainerConfig {
  /** The container's name in its pod. */
  name: string;
  /** Counts restarts in this pod. */
  attempt: number;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  /** An image id that the image service knows: `PulledImage.id`. */
  imageId: string;
  /** The image as the user wrote it; only reported back. */
  imageName: string;
  /** Kubernetes' `command`: replaces the image's ENTRYPOINT, and drops its CMD. */
  command?: readonly string[];
  /** Kubernetes' `args`: replaces the image's CMD. */
  args?: readonly string[];
  workingDir?: string;
  /** Added to, and overriding, the image's. */
  env?: readonly { name: string; value: string }[];
  mounts?: readonly Mount[];
  devices?: readonly { hostPath: string; containerPath: string; permissions: string }[];
  /** Devices by the Container Device Interface, fully qualified: `vendor.example.com/gpu=gpu0`. */
  cdiDevices?: readonly string[];
  resources?: Resources;
  security?: SecurityContext;
  /** See the processes of this container of the pod, and be seen by them: for debugging. */
  pidNamespaceOf?: ContainerId;
  /** Keep a pipe open to the process's stdin for attach. Without it stdin is /dev/null. */
  stdin?: boolean;
  /** Close stdin when the first attached client that had stdin goes. */
  stdinOnce?: boolean;
  tty?: boolean;
  /** File that receives the output in CRI's log format: `<RFC 3339 nano> <stdout|stderr> <F|P> <text>`. Its folder must exist. */
  logPath?: string;
  /** Overrides the image's StopSignal. */
  stopSignal?: string;
}

export interface Mount {
  hostPath: string;
  /** `hostPath` is an overlay of these folders, topmost first: its owners cannot be shifted for a user namespace, theirs can. */
  layers?: readonly string[];
  containerPath: string;
  readOnly?: boolean;
  /** What is mounted below it is read-only, too. */
  recursiveReadOnly?: boolean;
  /** Default "None" (private), as in `volumeMounts[].mountPropagation`. */
  propagation?: "None" | "HostToContainer" | "Bidirectional";
}

export interface SecurityContext {
  privileged?: boolean;
  /** Default: the image's user, else 0. */
  runAsUser?: number;
  /** A user name to look up in the image's /etc/passwd; `runAsUser` wins. */
  runAsUserName?: string;
  /** Default: the user's primary group in the image, else 0. */
  runAsGroup?: number;
  supplementalGroups?: readonly number[];
  /** "Merge" (default) adds the groups that the image's /etc/group gives the user. */
  supplementalGroupsPolicy?: "Merge" | "Strict";
  readOnlyRootFilesystem?: boolean;
  /** Kubernetes' allowPrivilegeEscalation=false. */
  noNewPrivileges?: boolean;
  /** Names without CAP_; "ALL" is allowed. */
  capabilities?: { add?: readonly string[]; drop?: readonly string[] };
  seccomp?: { type: "Unconfined" } | { type: "RuntimeDefault" } | { type: "Localhost"; path: string };
  /** Localhost: a profile that the kernel has loaded. Absent: the runtime's default where the kernel has AppArmor, none for privileged ones. */
  appArmor?: { type: "Unconfined" } | { type: "RuntimeDefault" } | { type: "Localhost"; profile: string };
  procMount?: "Default" | "Unmasked";
}

/** As CRI's LinuxContainerResources. Absent: unlimited, or inherited. */
export interface Resources {
  cpuShares?: number;
  cpuQuotaMicroseconds?: number;
  cpuPeriodMicroseconds?: number;
  memoryLimitBytes?: number;
  /** Swap on top of memory; 0 forbids it. Default 0 when a memory limit is set, as upstream's. */
  swapLimitBytes?: number;
  /** -1000 … 1000. Set when the container starts; not updatable. */
  oomScoreAdj?: number;
  cpusetCpus?: string;
  cpusetMems?: string;
  pidsLimit?: number;
  /** Sizes such as "2MB" to bytes. */
  hugepageLimits?: Record<string, number>;
  /** Files of cgroup v2 and what is written to them, for machines that have it. */
  unified?: Readonly<Record<string, string>>;
}

export interface StopOptions {
  gracePeriodSeconds: number;
  signal?: string;
  /** Stops waiting; what was already sent stays sent. */
  abort?: AbortSignal;
}

export interface ContainerStatus {
  id: ContainerId;
  sandbox: SandboxId;
  podUid: string;
  config: ContainerConfig;
  /** Repo digest or id of the image it was made from, for `containerStatuses[].imageID`. */
  imageId: string;
  /** Who its first process starts as, the groups with its own. Absent: the runtime does not tell. */
  user?: { uid: number; gid: number; supplementalGroups: readonly number[] };
  createdAtMs: number;
  state: ContainerState;
}

export type ContainerState =
  | { kind: "created" }
  | { kind: "running"; pid: number; startedAtMs: number }
  | {
      kind: "exited";
      /** 128 + n when killed by signal n, as Kubernetes shows it. */
      exitCode: number;
      /** "Completed", "Error", "OOMKilled", "StartError" or "ContainerStatusUnknown" (its record was lost). */
      reason: "Completed" | "Error" | "OOMKilled" | "StartError" | "ContainerStatusUnknown";
      message?: string;
      /** 0 when it never started. */
      startedAtMs: number;
      finishedAtMs: number;
    };

export interface ContainerStats {
  atMs: number;
  cpu: { usageNanoseconds: number };
  memory: {
    usageBytes: number;
    workingSetBytes: number;
    rssBytes: number;
    pageFaults: number;
    majorPageFaults: number;
  };
  processes: number;
}

export interface ExecSyncOptions {
  /** 0: none. */
  timeoutMs: number;
  /** Output beyond this is dropped, per stream. Default 16 MiB, as upstream's. */
  maximumOutputBytes?: number;
  signal?: AbortSignal;
}

export interface ExecSyncResult {
  exitCode: ExitCode;
  stdout: Buffer;
  stderr: Buffer;
}

export type ExitCode = number;

export interface TerminalSize {
  columns: number;
  rows: number;
}

export interface ExecRequest {
  command: readonly string[];
  tty: boolean;
  /** Its end closes the process's stdin. */
  stdin?: Readable;
  /** Ended when the process's output has ended. With a tty everything arrives here. */
  stdout?: Writable;
  stderr?: Writable;
  resize?: AsyncIterable<TerminalSize>;
  /** Kills the process. */
  signal?: AbortSignal;
}

export interface AttachRequest {
  stdin?: Readable;
  stdout?: Writable;
  stderr?: Writable;
  resize?: AsyncIterable<TerminalSize>;
  /**
   * Deliver output since the container's start first, so that what an interactive container printed before its client came is seen.
   * Heeded for the first client of a container with stdinOnce, which is there for that client alone; others get what comes from now on.
   */
  fromStart?: boolean;
  /** With `fromStart`: so many bytes of the log are left out, as the client has read them. Default: 0. */
  knownBytes?: number;
  /** Detaches; the container goes on. */
  signal?: AbortSignal;
}

export type RuntimeErrorReason =
  | "NotFound"
  | "AlreadyExists"
  | "InvalidArgument"
  | "FailedPrecondition"
  | "DeadlineExceeded"
  | "StartError"
  | "Unavailable"
  | "Internal";

export class RuntimeError extends Error {
  readonly reason: RuntimeErrorReason;

  constructor(reason: RuntimeErrorReason, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "RuntimeError";
    this.reason = reason;
  }
}

export function isRuntimeError(error: unknown, reason?: RuntimeErrorReason): error is RuntimeError {
  return error instanceof RuntimeError && (reason === undefined || error.reason === reason);
}
