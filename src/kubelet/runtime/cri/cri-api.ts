/** The Container Runtime Interface, version 1: the messages and methods that this kubelet uses, by their field numbers. */
import type { Method } from "../../grpc/channel.ts";
import { bytes, flag, int, ints, list, type Message, map, message, part, text, wrapped } from "../../grpc/message.ts";

export const podNamespace = { pod: 0, container: 1, node: 2, target: 3 } as const;
export const sandboxState = { ready: 0, notReady: 1 } as const;
export const containerState = { created: 0, running: 1, exited: 2, unknown: 3 } as const;
export const cgroupDriver = { systemd: 0, cgroupfs: 1 } as const;
export const profileType = { runtimeDefault: 0, unconfined: 1, localhost: 2 } as const;
export const mountPropagation = { private: 0, hostToContainer: 1, bidirectional: 2 } as const;

const empty = message({});

const idMapping = message({ host_id: int(1), container_id: int(2), length: int(3) });
const userNamespace = message({ mode: int(1), uids: list(part(2, idMapping)), gids: list(part(3, idMapping)) });
const namespaceOption = message({
  network: int(1),
  pid: int(2),
  ipc: int(3),
  target_id: text(4),
  userns_options: part(5, userNamespace),
});
const securityProfile = message({ profile_type: int(1), localhost_ref: text(2) });
const hugepageLimit = message({ page_size: text(1), limit: int(2) });
export const linuxResources = message({
  cpu_period: int(1),
  cpu_quota: int(2),
  cpu_shares: int(3),
  memory_limit_in_bytes: int(4),
  oom_score_adj: int(5),
  cpuset_cpus: text(6),
  cpuset_mems: text(7),
  hugepage_limits: list(part(8, hugepageLimit)),
  unified: map(9),
  memory_swap_limit_in_bytes: int(10),
});
const sandboxSecurity = message({
  namespace_options: part(1, namespaceOption),
  run_as_user: wrapped(3),
  readonly_rootfs: flag(4),
  supplemental_groups: ints(5),
  privileged: flag(6),
  run_as_group: wrapped(8),
  seccomp: part(9, securityProfile),
});
const dnsConfig = message({ servers: list(text(1)), searches: list(text(2)), options: list(text(3)) });
const sandboxMetadata = message({ name: text(1), uid: text(2), namespace: text(3), attempt: int(4) });
const linuxSandbox = message({
  cgroup_parent: text(1),
  security_context: part(2, sandboxSecurity),
  sysctls: map(3),
  resources: part(5, linuxResources),
});
export const sandboxConfig = message({
  metadata: part(1, sandboxMetadata),
  hostname: text(2),
  log_directory: text(3),
  dns_config: part(4, dnsConfig),
  labels: map(6),
  annotations: map(7),
  linux: part(8, linuxSandbox),
});

const imageSpec = message({ image: text(1), annotations: map(2) });
const keyValue = message({ key: text(1), value: text(2) });
const mount = message({
  container_path: text(1),
  host_path: text(2),
  readonly: flag(3),
  selinux_relabel: flag(4),
  propagation: int(5),
  uidMappings: list(part(6, idMapping)),
  gidMappings: list(part(7, idMapping)),
  recursive_read_only: flag(8),
});
const device = message({ container_path: text(1), host_path: text(2), permissions: text(3) });
const capability = message({ add_capabilities: list(text(1)), drop_capabilities: list(text(2)) });
const containerSecurity = message({
  capabilities: part(1, capability),
  privileged: flag(2),
  namespace_options: part(3, namespaceOption),
  run_as_user: wrapped(5),
  run_as_username: text(6),
  readonly_rootfs: flag(7),
  supplemental_groups: ints(8),
  no_new_privs: flag(11),
  run_as_group: wrapped(12),
  masked_paths: list(text(13)),
  readonly_paths: list(text(14)),
  seccomp: part(15, securityProfile),
  apparmor: part(16, securityProfile),
  supplemental_groups_policy: int(17),
});
const linuxContainer = message({ resources: part(1, linuxResources), security_context: part(2, containerSecurity) });
const containerMetadata = message({ name: text(1), attempt: int(2) });
export const containerConfig = message({
  metadata: part(1, containerMetadata),
  image: part(2, imageSpec),
  command: list(text(3)),
  args: list(text(4)),
  working_dir: text(5),
  envs: list(part(6, keyValue)),
  mounts: list(part(7, mount)),
  devices: list(part(8, device)),
  labels: map(9),
  annotations: map(10),
  log_path: text(11),
  stdin: flag(12),
  stdin_once: flag(13),
  tty: flag(14),
  linux: part(15, linuxContainer),
  CDI_devices: list(part(17, message({ name: text(1) }))),
});

const podIP = message({ ip: text(1) });
const networkStatus = message({ ip: text(1), additional_ips: list(part(2, podIP)) });
const sandboxStatus = message({
  id: text(1),
  metadata: part(2, sandboxMetadata),
  state: int(3),
  created_at: int(4),
  network: part(5, networkStatus),
  labels: map(7),
  annotations: map(8),
  runtime_handler: text(9),
});
const sandboxItem = message({ id: text(1), state: int(3), annotations: map(6) });
const containerItem = message({ id: text(1), pod_sandbox_id: text(2), state: int(6), annotations: map(9) });
const labelFilter = message({ label_selector: map(3) });
const containerFilter = message({ label_selector: map(4) });
const containerStatus = message({
  id: text(1),
  metadata: part(2, containerMetadata),
  state: int(3),
  created_at: int(4),
  started_at: int(5),
  finished_at: int(6),
  exit_code: int(7),
  image: part(8, imageSpec),
  image_ref: text(9),
  reason: text(10),
  message: text(11),
  labels: map(12),
  annotations: map(13),
  log_path: text(15),
  user: part(18, message({ linux: part(1, message({ uid: int(1), gid: int(2), supplemental_groups: ints(3) })) })),
});
const filesystemUsage = message({ timestamp: int(1), used_bytes: wrapped(3), inodes_used: wrapped(4) });
const containerStats = message({ writable_layer: part(4, filesystemUsage) });

const image = message({
  id: text(1),
  repo_tags: list(text(2)),
  repo_digests: list(text(3)),
  size: int(4),
  uid: wrapped(5),
  username: text(6),
  pinned: flag(8),
});
const authConfig = message({
  username: text(1),
  password: text(2),
  server_address: text(4),
  identity_token: text(5),
  registry_token: text(6),
});
const fsUsage = message({ used_bytes: wrapped(3), fs_id: part(2, message({ mountpoint: text(1) })) });

const sandboxId = message({ pod_sandbox_id: text(1) });
const containerId = message({ container_id: text(1) });
const url = message({ url: text(1) });

function runtimeMethod<In extends Message, Out extends Message>(
  name: string,
  request: In,
  response: Out,
): Method<In, Out> {
  return { path: `/runtime.v1.RuntimeService/${name}`, request, response };
}

function imageMethod<In extends Message, Out extends Message>(name: string, request: In, response: Out) {
  return { path: `/runtime.v1.ImageService/${name}`, request, response };
}

export const cri = {
  version: runtimeMethod(
    "Version",
    message({ version: text(1) }),
    message({ runtime_name: text(2), runtime_version: text(3), runtime_api_version: text(4) }),
  ),
  status: runtimeMethod(
    "Status",
    message({ verbose: flag(1) }),
    message({
      info: map(2),
      status: part(
        1,
        message({
          conditions: list(part(1, message({ type: text(1), status: flag(2), reason: text(3), message: text(4) }))),
        }),
      ),
      runtime_handlers: list(
        part(
          3,
          message({
            name: text(1),
            features: part(2, message({ recursive_read_only_mounts: flag(1), user_namespaces: flag(2) })),
          }),
        ),
      ),
      features: part(4, message({ supplemental_groups_policy: flag(1) })),
    }),
  ),
  runtimeConfig: runtimeMethod("RuntimeConfig", empty, message({ linux: part(1, message({ cgroup_driver: int(1) })) })),
  updateRuntimeConfig: runtimeMethod(
    "UpdateRuntimeConfig",
    message({ runtime_config: part(1, message({ network_config: part(1, message({ pod_cidr: text(1) })) })) }),
    empty,
  ),
  runPodSandbox: runtimeMethod(
    "RunPodSandbox",
    message({ config: part(1, sandboxConfig), runtime_handler: text(2) }),
    sandboxId,
  ),
  stopPodSandbox: runtimeMethod("StopPodSandbox", sandboxId, empty),
  removePodSandbox: runtimeMethod("RemovePodSandbox", sandboxId, empty),
  podSandboxStatus: runtimeMethod(
    "PodSandboxStatus",
    message({ pod_sandbox_id: text(1), verbose: flag(2) }),
    message({ status: part(1, sandboxStatus), info: map(2) }),
  ),
  listPodSandbox: runtimeMethod(
    "ListPodSandbox",
    message({ filter: part(1, labelFilter) }),
    message({ items: list(part(1, sandboxItem)) }),
  ),
  createContainer: runtimeMethod(
    "CreateContainer",
    message({ pod_sandbox_id: text(1), config: part(2, containerConfig), sandbox_config: part(3, sandboxConfig) }),
    containerId,
  ),
  startContainer: runtimeMethod("StartContainer", containerId, empty),
  stopContainer: runtimeMethod("StopContainer", message({ container_id: text(1), timeout: int(2) }), empty),
  removeContainer: runtimeMethod("RemoveContainer", containerId, empty),
  listContainers: runtimeMethod(
    "ListContainers",
    message({ filter: part(1, containerFilter) }),
    message({ containers: list(part(1, containerItem)) }),
  ),
  containerStatus: runtimeMethod(
    "ContainerStatus",
    message({ container_id: text(1), verbose: flag(2) }),
    message({ status: part(1, containerStatus), info: map(2) }),
  ),
  updateContainerResources: runtimeMethod(
    "UpdateContainerResources",
    message({ container_id: text(1), linux: part(2, linuxResources) }),
    empty,
  ),
  reopenContainerLog: runtimeMethod("ReopenContainerLog", containerId, empty),
  execSync: runtimeMethod(
    "ExecSync",
    message({ container_id: text(1), cmd: list(text(2)), timeout: int(3) }),
    message({ stdout: bytes(1), stderr: bytes(2), exit_code: int(3) }),
  ),
  exec: runtimeMethod(
    "Exec",
    message({
      container_id: text(1),
      cmd: list(text(2)),
      tty: flag(3),
      stdin: flag(4),
      stdout: flag(5),
      stderr: flag(6),
    }),
    url,
  ),
  attach: runtimeMethod(
    "Attach",
    message({ container_id: text(1), stdin: flag(2), tty: flag(3), stdout: flag(4), stderr: flag(5) }),
    url,
  ),
  containerStats: runtimeMethod("ContainerStats", containerId, message({ stats: part(1, containerStats) })),
  getContainerEvents: runtimeMethod(
    "GetContainerEvents",
    empty,
    message({ container_id: text(1), container_event_type: int(2) }),
  ),
  listImages: imageMethod("ListImages", empty, message({ images: list(part(1, image)) })),
  pullImage: imageMethod(
    "PullImage",
    message({ image: part(1, imageSpec), auth: part(2, authConfig), sandbox_config: part(3, sandboxConfig) }),
    message({ image_ref: text(1) }),
  ),
  imageStatus: imageMethod("ImageStatus", message({ image: part(1, imageSpec) }), message({ image: part(1, image) })),
  removeImage: imageMethod("RemoveImage", message({ image: part(1, imageSpec) }), empty),
  imageFsInfo: imageMethod("ImageFsInfo", empty, message({ image_filesystems: list(part(1, fsUsage)) })),
};

/** containerd's own event stream, for versions whose CRI has none. */
export const containerdEvents = {
  path: "/containerd.services.events.v1.Events/Subscribe",
  request: message({ filters: list(text(1)) }),
  response: message({ event: part(4, message({ type_url: text(1), value: bytes(2) })) }),
};

export const taskExit = message({ container_id: text(1), id: text(2) });
