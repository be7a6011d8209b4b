/** Writes down what a container is in the OCI runtime specification's config.json. Pure: the same inputs give the same bundle. */
import type { ImageConfig } from "../../images/image-service.ts";
import {
  type ContainerConfig,
  type Mount,
  type Resources,
  RuntimeError,
  type SandboxConfig,
} from "../container-runtime.ts";
import { containerCapabilities } from "./capabilities.ts";
import type { ContainerEdits } from "./cdi.ts";
import { defaultSeccompProfile, type SeccompProfile } from "./seccomp-default.ts";
import type { ContainerUser } from "./users.ts";

export interface BundleInputs {
  config: ContainerConfig;
  sandbox: SandboxConfig;
  image: ImageConfig;
  user: ContainerUser;
  /** The user's home folder in the image. */
  home: string | undefined;
  rootfs: string;
  cgroupPath: string;
  cgroupKind: "v1" | "v2" | "hybrid";
  /** Namespace files to join. Absent: the machine's own for network, ipc, uts; a new one for pid. */
  namespaces: { network?: string; ipc?: string; uts?: string; pid?: string | "new" | "machine" };
  /** The file that holds the pod's user namespace, when it has one. */
  userNamespace?: string | undefined;
  /** The sandbox's own /dev/shm; absent: the machine's. */
  shm: string | undefined;
  /** Files that the sandbox gives all its containers: /etc/resolv.conf and /etc/hostname. */
  sandboxFiles: readonly Mount[];
  /** Devices of the machine, for privileged containers. */
  machineDevices?: readonly Device[];
  /** What the container's devices ask for. */
  edits?: ContainerEdits | undefined;
  /** The content of a Localhost profile. */
  localhostSeccomp?: SeccompProfile;
  /** The AppArmor profile that it starts under. */
  appArmorProfile?: string | undefined;
  openFilesLimit: number;
  /** What this process may give away. */
  availableCapabilities: ReadonlySet<string>;
}

export interface Device {
  path: string;
  type: "c" | "b" | "p";
  major: number;
  minor: number;
  fileMode: number;
  uid: number;
  gid: number;
  permissions: string;
}

/** What the runtime reads; only its mounts and its user are of use here. */
export type Bundle = { mounts: OciMount[]; process: { user: ContainerUser } & Record<string, unknown> } & Record<
  string,
  unknown
>;

export interface OciMount {
  destination: string;
  type: string;
  source: string;
  options: string[];
}

export function compileBundle(inputs: BundleInputs): Bundle {
  const { config, sandbox } = inputs;
  const security = config.security;
  const capabilities = containerCapabilities(security, inputs.availableCapabilities);
  // As upstream: only root keeps its capabilities across exec.
  const held = inputs.user.uid === 0 ? capabilities : [];
  return {
    ociVersion: "1.0.2",
    process: {
      terminal: config.tty ?? false,
      user: withGroups(inputs.user, inputs.edits),
      args: processArgs(config, inputs.image),
      env: environment(inputs),
      cwd: config.workingDir || inputs.image.workingDir || "/",
      capabilities: {
        bounding: capabilities,
        effective: held,
        permitted: held,
        inheritable: [],
        ambient: [],
      },
      rlimits: [{ type: "RLIMIT_NOFILE", hard: inputs.openFilesLimit, soft: inputs.openFilesLimit }],
      ...(inputs.appArmorProfile ? { apparmorProfile: inputs.appArmorProfile } : {}),
      noNewPrivileges: security?.noNewPrivileges ?? false,
      oomScoreAdj: allowedOomScoreAdj(config.resources?.oomScoreAdj ?? 0, inputs.availableCapabilities),
    },
    root: { path: inputs.rootfs, readonly: security?.readOnlyRootFilesystem ?? false },
    mounts: mounts(inputs),
    annotations: config.annotations ?? {},
    ...(inputs.edits ? { hooks: inputs.edits.hooks } : {}),
    linux: {
      resources: { ...resources(config.resources), devices: deviceRules(inputs) },
      cgroupsPath: inputs.cgroupPath,
      namespaces: namespaces(inputs),
      devices: devices(inputs),
      // The root of a user namespace may not set them: they have been set from outside.
      sysctl: inputs.userNamespace ? {} : (sandbox.sysctls ?? {}),
      rootfsPropagation: rootPropagation(config.mounts ?? []),
      seccomp: seccomp(inputs, capabilities),
      ...(security?.privileged || security?.procMount === "Unmasked" ? {} : { maskedPaths, readonlyPaths }),
    },
  };
}

function withGroups(user: ContainerUser, edits: ContainerEdits | undefined): ContainerUser {
  if (!edits?.additionalGids.length) return user;
  return { ...user, additionalGids: [...new Set([...user.additionalGids, ...edits.additionalGids])] };
}

/** Kubernetes' `command` replaces ENTRYPOINT and drops CMD; `args` replaces CMD. */
export function processArgs(config: ContainerConfig, image: ImageConfig): string[] {
  const hasCommand = (config.command?.length ?? 0) > 0;
  const hasArgs = (config.args?.length ?? 0) > 0;
  const command = hasCommand ? config.command! : (image.entrypoint ?? []);
  const args = hasArgs ? config.args! : hasCommand ? [] : (image.cmd ?? []);
  const all = [...command, ...args];
  if (all.length === 0) throw new RuntimeError("InvalidArgument", "no command specified");
  return all;
}

function environment(inputs: BundleInputs): string[] {
  const variables = new Map<string, string>([["PATH", defaultPath]]);
  if (inputs.config.tty) variables.set("TERM", "xterm");
  variables.set("HOSTNAME", inputs.sandbox.hostname);
  for (const entry of inputs.image.env ?? []) {
    const at = entry.indexOf("=");
    if (at > 0) variables.set(entry.slice(0, at), entry.slice(at + 1));
  }
  for (const { name, value } of inputs.config.env ?? []) variables.set(name, value);
  for (const { name, value } of inputs.edits?.env ?? []) variables.set(name, value);
  if (!variables.has("HOME")) variables.set("HOME", inputs.home ?? "/");
  return [...variables].map(([name, value]) => `${name}=${value}`);
}

/** Without CAP_SYS_RESOURCE (in a user namespace, in some virtual machines) nobody may be made safer than we are. */
export function allowedOomScoreAdj(wanted: number, available: ReadonlySet<string>): number {
  return available.has("CAP_SYS_RESOURCE") ? wanted : Math.max(wanted, 0);
}

const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

function mounts(inputs: BundleInputs): OciMount[] {
  const isPrivileged = inputs.config.security?.privileged ?? false;
  const access = isPrivileged ? "rw" : "ro";
  const given = [...(inputs.config.mounts ?? [])];
  const taken = new Set(given.map((mount) => mount.containerPath));
  for (const file of inputs.sandboxFiles) if (!taken.has(file.containerPath)) given.push(file);
  const shm = inputs.shm
    ? { destination: "/dev/shm", type: "bind", source: inputs.shm, options: ["rbind", "rprivate", "rw"] }
    : { destination: "/dev/shm", type: "bind", source: "/dev/shm", options: ["rbind", "rprivate", "rw"] };
  const base = [
    { destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"] },
    {
      destination: "/dev",
      type: "tmpfs",
      source: "tmpfs",
      options: ["nosuid", "strictatime", "mode=755", "size=65536k"],
    },
    {
      destination: "/dev/pts",
      type: "devpts",
      source: "devpts",
      options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
    },
    { destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: ["nosuid", "noexec", "nodev"] },
    // One of its own is only for those who own the pod's network, and that belongs to the machine's root.
    inputs.userNamespace
      ? { destination: "/sys", type: "bind", source: "/sys", options: ["rbind", "nosuid", "noexec", "nodev", "rro"] }
      : { destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", access] },
    {
      destination: "/sys/fs/cgroup",
      type: "cgroup",
      source: "cgroup",
      options: ["nosuid", "noexec", "nodev", "relatime", access],
    },
    shm,
  ].filter((mount) => !taken.has(mount.destination));
  // Outer folders before the ones inside them.
  given.sort((a, b) => depth(a.containerPath) - depth(b.containerPath));
  return [...base, ...given.map(bindMount), ...(inputs.edits?.mounts ?? [])];
}

function bindMount(mount: Mount): OciMount {
  return {
    destination: mount.containerPath,
    type: "bind",
    source: mount.hostPath,
    options: ["rbind", propagation(mount), mount.recursiveReadOnly ? "rro" : mount.readOnly ? "ro" : "rw"],
  };
}

function propagation(mount: Mount): string {
  if (mount.propagation === "Bidirectional") return "rshared";
  return mount.propagation === "HostToContainer" ? "rslave" : "rprivate";
}

function rootPropagation(mounts: readonly Mount[]): string | undefined {
  if (mounts.some((mount) => mount.propagation === "Bidirectional")) return "rshared";
  return mounts.some((mount) => mount.propagation === "HostToContainer") ? "rslave" : undefined;
}

function depth(path: string): number {
  return path.split("/").filter(Boolean).length;
}

function namespaces(inputs: BundleInputs): object[] {
  const { network, ipc, uts, pid = "new" } = inputs.namespaces;
  const list: object[] = [{ type: "mount" }];
  if (inputs.userNamespace) list.push({ type: "user", path: inputs.userNamespace });
  if (network) list.push({ type: "network", path: network });
  if (ipc) list.push({ type: "ipc", path: ipc });
  if (uts) list.push({ type: "uts", path: uts });
  if (pid === "new") list.push({ type: "pid" });
  else if (pid !== "machine") list.push({ type: "pid", path: pid });
  // On v2 a container sees its own group as the root, as with containerd.
  if (inputs.cgroupKind === "v2" && !inputs.config.security?.privileged) list.push({ type: "cgroup" });
  return list;
}

function resources(limits: Resources | undefined): object {
  if (!limits) return {};
  const memory =
    limits.memoryLimitBytes === undefined
      ? undefined
      : { limit: limits.memoryLimitBytes, swap: limits.memoryLimitBytes + (limits.swapLimitBytes ?? 0) };
  return {
    cpu: {
      shares: limits.cpuShares,
      quota: limits.cpuQuotaMicroseconds,
      period: limits.cpuPeriodMicroseconds,
      cpus: limits.cpusetCpus || undefined,
      mems: limits.cpusetMems || undefined,
    },
    memory,
    pids: limits.pidsLimit === undefined ? undefined : { limit: limits.pidsLimit },
    ...(limits.unified ? { unified: limits.unified } : {}),
    hugepageLimits: Object.entries(limits.hugepageLimits ?? {}).map(([pageSize, limit]) => ({ pageSize, limit })),
  };
}

function devices(inputs: BundleInputs): object[] {
  return allDevices(inputs).map(({ permissions: _, ...device }) => device);
}

function allDevices({ machineDevices = [], edits }: BundleInputs): Device[] {
  const given = edits?.devices ?? [];
  const paths = new Set(given.map(({ path }) => path));
  return [...machineDevices.filter(({ path }) => !paths.has(path)), ...given];
}

/** The runtime itself allows /dev/null and its like; everything else is refused but for what is named here. */
function deviceRules(inputs: BundleInputs): object[] {
  if (inputs.config.security?.privileged) return [{ allow: true, access: "rwm" }];
  return [
    { allow: false, access: "rwm" },
    ...allDevices(inputs).map((device) => ({
      allow: true,
      type: device.type,
      major: device.major,
      minor: device.minor,
      access: device.permissions,
    })),
  ];
}

function seccomp(inputs: BundleInputs, capabilities: string[]): SeccompProfile | undefined {
  const wanted = inputs.config.security?.seccomp;
  if (inputs.config.security?.privileged || !wanted || wanted.type === "Unconfined") return undefined;
  return wanted.type === "Localhost" ? inputs.localhostSeccomp : defaultSeccompProfile(new Set(capabilities));
}

export const maskedPaths = [
  "/proc/acpi",
  "/proc/asound",
  "/proc/interrupts",
  "/proc/kcore",
  "/proc/keys",
  "/proc/latency_stats",
  "/proc/sched_debug",
  "/proc/scsi",
  "/proc/timer_list",
  "/proc/timer_stats",
  "/sys/devices/virtual/powercap",
  "/sys/firmware",
];

export const readonlyPaths = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];
