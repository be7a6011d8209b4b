/** From the runtime contract's sandboxes and containers to what CRI asks for, and back. Pure. */
import type { Read, Written } from "../../grpc/message.ts";
import type {
  ContainerConfig,
  ContainerId,
  ContainerState,
  ContainerStatus,
  Resources,
  RuntimeFeatures,
  SandboxConfig,
  SecurityContext,
} from "../container-runtime.ts";
import { maskedPaths, readonlyPaths } from "../oci/bundle.ts";
import { usersPerPod } from "../oci/user-namespaces.ts";
import {
  type containerConfig as containerMessage,
  containerState,
  type cri,
  type linuxResources,
  mountPropagation,
  podNamespace,
  profileType,
  type sandboxConfig as sandboxMessage,
} from "./cri-api.ts";

export type CriSandboxConfig = Written<(typeof sandboxMessage)["fields"]>;
export type CriContainerConfig = Written<(typeof containerMessage)["fields"]>;
type CriContainerStatus = NonNullable<Read<(typeof cri.containerStatus.response)["fields"]>["status"]>;

/** CRI gives back labels and annotations only: what was asked for travels in an annotation of its own. */
const configAnnotation = "pinnace.local/config";

/** `cgroupParent`: the pod's control group as the runtime names it. */
export function criSandbox(config: UserSandboxConfig, cgroupParent: string): CriSandboxConfig {
  const { pod, resources } = config;
  return {
    metadata: { ...pod, attempt: config.attempt },
    // With the node's network a pod has the node's name: runtimes refuse another one.
    ...(config.hostNetwork ? {} : { hostname: config.hostname }),
    log_directory: logRoot,
    ...(config.dns ? { dns_config: config.dns } : {}),
    labels: config.labels ?? {},
    annotations: { ...config.annotations, [configAnnotation]: JSON.stringify(config) },
    linux: {
      cgroup_parent: cgroupParent,
      sysctls: config.sysctls ?? {},
      security_context: {
        namespace_options: namespaceOptions(config),
        privileged: config.privileged ?? false,
        // The runtime's own process in the sandbox needs no more than its default profile.
        seccomp: { profile_type: profileType.runtimeDefault },
      },
      ...(resources ? { resources: criResources(resources) } : {}),
    },
  };
}

/** A sandbox's configuration, and which users of the machine are those of its user namespace. */
export type UserSandboxConfig = SandboxConfig & { firstUser?: number };

function idMappings({ firstUser }: UserSandboxConfig) {
  return firstUser === undefined ? undefined : [{ host_id: firstUser, container_id: 0, length: usersPerPod }];
}

function namespaceOptions(config: UserSandboxConfig) {
  const { namespaces = {}, hostNetwork } = config;
  const { pid = "container", ipc = "pod" } = namespaces;
  const ids = idMappings(config);
  return {
    ...(ids ? { userns_options: { mode: podNamespace.pod, uids: ids, gids: ids } } : {}),
    network: hostNetwork ? podNamespace.node : podNamespace.pod,
    pid: podNamespace[pid],
    ipc: podNamespace[ipc],
  };
}

export function criContainer(config: ContainerConfig, sandbox: UserSandboxConfig): CriContainerConfig {
  const ids = idMappings(sandbox);
  return {
    metadata: { name: config.name, attempt: config.attempt },
    image: { image: config.imageId },
    command: config.command ?? [],
    args: config.args ?? [],
    working_dir: config.workingDir ?? "",
    envs: (config.env ?? []).map(({ name, value }) => ({ key: name, value })),
    mounts: (config.mounts ?? []).map((mount) => ({
      container_path: mount.containerPath,
      host_path: mount.hostPath,
      readonly: mount.readOnly ?? false,
      propagation: propagations[mount.propagation ?? "None"],
      recursive_read_only: mount.recursiveReadOnly ?? false,
      // Files of the machine look as if they were owned inside.
      ...(ids ? { uidMappings: ids, gidMappings: ids } : {}),
    })),
    devices: (config.devices ?? []).map((device) => ({
      host_path: device.hostPath,
      container_path: device.containerPath,
      permissions: device.permissions,
    })),
    CDI_devices: (config.cdiDevices ?? []).map((name) => ({ name })),
    labels: config.labels ?? {},
    annotations: { ...config.annotations, [configAnnotation]: JSON.stringify(config) },
    ...(config.logPath ? { log_path: config.logPath.replace(/^\/+/, "") } : {}),
    stdin: config.stdin ?? false,
    stdin_once: config.stdinOnce ?? false,
    tty: config.tty ?? false,
    linux: {
      ...(config.resources ? { resources: criResources(config.resources) } : {}),
      security_context: criSecurity(config.security ?? {}, sandbox, config.pidNamespaceOf),
    },
  };
}

/** Container logs are named in full. */
const logRoot = "/";

const propagations = {
  None: mountPropagation.private,
  HostToContainer: mountPropagation.hostToContainer,
  Bidirectional: mountPropagation.bidirectional,
} as const;

function criSecurity(security: SecurityContext, sandbox: UserSandboxConfig, target: ContainerId | undefined) {
  const { runAsUser, runAsUserName, runAsGroup, capabilities } = security;
  const isOpen = security.privileged || security.procMount === "Unmasked";
  return {
    privileged: security.privileged ?? false,
    namespace_options: {
      ...namespaceOptions(sandbox),
      ...(target ? { pid: podNamespace.target, target_id: target } : {}),
    },
    ...(runAsUser !== undefined ? { run_as_user: runAsUser } : runAsUserName ? { run_as_username: runAsUserName } : {}),
    ...(runAsGroup !== undefined ? { run_as_group: runAsGroup } : {}),
    supplemental_groups: security.supplementalGroups ?? [],
    supplemental_groups_policy: security.supplementalGroupsPolicy === "Strict" ? 1 : 0,
    readonly_rootfs: security.readOnlyRootFilesystem ?? false,
    no_new_privs: security.noNewPrivileges ?? false,
    ...(capabilities
      ? { capabilities: { add_capabilities: capabilities.add ?? [], drop_capabilities: capabilities.drop ?? [] } }
      : {}),
    seccomp: criSeccomp(security),
    ...(security.appArmor ? { apparmor: criAppArmor(security.appArmor) } : {}),
    ...(isOpen ? {} : { masked_paths: maskedPaths, readonly_paths: readonlyPaths }),
  };
}

function criSeccomp({ seccomp }: SecurityContext) {
  if (seccomp?.type === "RuntimeDefault") return { profile_type: profileType.runtimeDefault };
  if (seccomp?.type === "Localhost") return { profile_type: profileType.localhost, localhost_ref: seccomp.path };
  return { profile_type: profileType.unconfined };
}

/** Without one the runtime's own rule holds: its default, where the machine has AppArmor. */
function criAppArmor(appArmor: NonNullable<SecurityContext["appArmor"]>) {
  if (appArmor.type === "RuntimeDefault") return { profile_type: profileType.runtimeDefault };
  if (appArmor.type === "Localhost") return { profile_type: profileType.localhost, localhost_ref: appArmor.profile };
  return { profile_type: profileType.unconfined };
}

export function criResources(resources: Resources): Written<(typeof linuxResources)["fields"]> {
  const { memoryLimitBytes, swapLimitBytes = 0, hugepageLimits = {} } = resources;
  const set = (value: number | undefined) => value ?? 0;
  return {
    cpu_period: set(resources.cpuPeriodMicroseconds),
    cpu_quota: set(resources.cpuQuotaMicroseconds),
    cpu_shares: set(resources.cpuShares),
    memory_limit_in_bytes: set(memoryLimitBytes),
    oom_score_adj: set(resources.oomScoreAdj),
    cpuset_cpus: resources.cpusetCpus ?? "",
    cpuset_mems: resources.cpusetMems ?? "",
    hugepage_limits: Object.entries(hugepageLimits).map(([page_size, limit]) => ({ page_size, limit })),
    ...(resources.unified ? { unified: resources.unified } : {}),
    ...(memoryLimitBytes !== undefined ? { memory_swap_limit_in_bytes: memoryLimitBytes + swapLimitBytes } : {}),
  };
}

/** What was asked for when it was made; undefined for what somebody else made. */
export function configOf<T>(annotations: Readonly<Record<string, string>>): T | undefined {
  const text = annotations[configAnnotation];
  return text === undefined ? undefined : (JSON.parse(text) as T); // Nobody but this kubelet writes it.
}

export function stateOf(status: CriContainerStatus, pid: number): ContainerState {
  const startedAtMs = milliseconds(status.started_at);
  if (status.state === containerState.created) return { kind: "created" };
  if (status.state === containerState.running) return { kind: "running", pid, startedAtMs };
  return {
    kind: "exited",
    exitCode: status.exit_code,
    reason: reasonOf(status),
    ...(status.message ? { message: status.message } : {}),
    startedAtMs,
    finishedAtMs: milliseconds(status.finished_at),
  };
}

function reasonOf({ state, reason, exit_code }: CriContainerStatus) {
  if (state === containerState.unknown) return "ContainerStatusUnknown";
  // containerd and CRI-O differ in the words for a container that never ran.
  if (reason === "StartError" || reason === "OOMKilled") return reason;
  return exit_code === 0 ? "Completed" : "Error";
}

/** Runtimes before containerd 2.0 and CRI-O 1.31 do not tell. */
export function userOf({ user }: CriContainerStatus): ContainerStatus["user"] {
  if (!user?.linux) return undefined;
  const { uid, gid, supplemental_groups } = user.linux;
  return { uid, gid, supplementalGroups: supplemental_groups };
}

/** What the runtime's default handler can. Those that tell nothing pass such wishes over in silence: a pod would not be as isolated as it asked. */
export function featuresOf({
  runtime_handlers,
  features,
}: Read<(typeof cri.status.response)["fields"]>): RuntimeFeatures {
  const handler = runtime_handlers.find(({ name }) => name === "")?.features;
  return {
    recursiveReadOnlyMounts: handler?.recursive_read_only_mounts ?? false,
    userNamespaces: handler?.user_namespaces ?? false,
    supplementalGroupsPolicy: features?.supplemental_groups_policy ?? false,
  };
}

/** By SIGKILL, for a reason that the runtime has not told. */
export function wasKilled({ state, exit_code, reason }: CriContainerStatus): boolean {
  return state === containerState.exited && exit_code === 128 + 9 && reason !== "OOMKilled";
}

export function milliseconds(nanoseconds: number): number {
  return Math.floor(nanoseconds / 1_000_000);
}

/** What a runtime tells of a container's or sandbox's inside when asked for everything: containerd and CRI-O write JSON under "info". */
export function pidOf(info: Readonly<Record<string, string>>): number {
  try {
    return (JSON.parse(info["info"] ?? "{}") as { pid?: number }).pid ?? 0;
  } catch {
    return 0;
  }
}
