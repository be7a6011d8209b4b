/** Gathers from sandbox, image and machine what a container's bundle is compiled of. */
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { ImageConfig, ImageRootfs } from "../../images/image-service.ts";
import { type ContainerConfig, type Mount, RuntimeError } from "../container-runtime.ts";
import { profileFor } from "./apparmor.ts";
import { type Bundle, compileBundle, type Device } from "./bundle.ts";
import { editsOf } from "./cdi.ts";
import { deviceAt, machineDevices } from "./devices.ts";
import type { ContainerFolder, SandboxRecord } from "./folders.ts";
import type { OciMachine } from "./machine.ts";
import { isFolder, mountPointLayer } from "./mount-points.ts";
import { startTicks } from "./processes.ts";
import { readImageFile } from "./rootfs.ts";
import type { Sandbox } from "./sandboxes.ts";
import type { SeccompProfile } from "./seccomp-default.ts";
import { makePlace } from "./user-namespaces.ts";
import { homeOf, resolveUser } from "./users.ts";

export interface ContainerParts {
  sandbox: Sandbox;
  config: ContainerConfig;
  folder: ContainerFolder;
  image: ImageRootfs;
  cgroupPath: string;
  /** A process whose PID namespace the container joins. */
  pidOf?: number | undefined;
}

export class ContainerBundles {
  readonly #machine: OciMachine;
  /** By image and mounts: looked up once for all containers that have the same. */
  readonly #mountPointLayers = new Map<string, string>();

  constructor(machine: OciMachine) {
    this.#machine = machine;
  }

  /** Throws a RuntimeError of reason "InvalidArgument" for a user, device, capability or profile that does not exist. */
  compile({ sandbox, config, folder, image, cgroupPath, pidOf }: ContainerParts): Bundle {
    const machine = this.#machine;
    const passwd = readImageFile(image.layers, "etc/passwd") ?? "";
    const group = readImageFile(image.layers, "etc/group") ?? "";
    const user = resolveUser(image.config.user, config.security, passwd, group);
    const sandboxConfig = sandbox.record.config;
    const { ipc, uts } = sandboxConfig.namespaces ?? {};
    const { firstUser } = sandbox.record;
    const visible = (path: string | undefined) => path && machine.visiblePath(path);
    const profile = config.security?.seccomp;
    const { hugepageLimits: _, ...otherResources } = config.resources ?? {};
    return compileBundle({
      config: {
        ...config,
        // A limit that nobody can keep would only keep the container from starting.
        ...(config.resources && !machine.cgroups.limitsHugePages ? { resources: otherResources } : {}),
        mounts:
          firstUser !== undefined
            ? shiftedMounts(image.config, config, folder)
            : seenMounts(machine, image.config, config, folder),
      },
      sandbox: sandboxConfig,
      image: image.config,
      user,
      home: homeOf(user.uid, passwd),
      rootfs: folder.rootfs,
      cgroupPath,
      cgroupKind: machine.cgroups.mounts.kind,
      namespaces: {
        network: visible(sandboxConfig.networkNamespacePath),
        ipc: ipc === "node" ? undefined : visible(sandbox.folder.ipc),
        uts: uts === "node" ? undefined : visible(sandbox.folder.uts),
        pid: pidOf === undefined ? pidNamespace(sandbox.record) : `/proc/${pidOf}/ns/pid`,
      },
      userNamespace: firstUser === undefined ? undefined : visible(sandbox.folder.user),
      shm: ipc === "node" ? undefined : sandbox.folder.shm,
      sandboxFiles: sandboxFiles(sandbox),
      machineDevices: devicesFor(config),
      edits: editsOf(config.cdiDevices ?? [], machine.cdiFolders),
      localhostSeccomp: profile?.type === "Localhost" ? readSeccomp(profile.path) : undefined,
      appArmorProfile: profileFor(config.security ?? {}, machine.appArmor),
      openFilesLimit: machine.openFilesLimit,
      availableCapabilities: machine.capabilities,
    });
  }

  /** The layer in which the bundle's mounts have their places. */
  mountPoints(folder: string, bundle: Bundle, imageId: string, layers: readonly string[]): string {
    const key = JSON.stringify([imageId, ...bundle.mounts.map((mount) => [mount.destination, isFolder(mount)])]);
    let layer = this.#mountPointLayers.get(key);
    if (layer === undefined || !existsSync(layer)) {
      layer = mountPointLayer(folder, bundle.mounts, layers);
      this.#mountPointLayers.set(key, layer);
    }
    return layer;
  }
}

/** What is mounted from the machine: the caller's, and the image's volumes. */
export function bindMounts(image: ImageConfig, config: ContainerConfig, folder: ContainerFolder): Mount[] {
  return [...(config.mounts ?? []), ...volumeMounts(image, config, folder)];
}

/** The same by way of places where their owners are shifted. The places are made; the mounts come when the container starts. */
function shiftedMounts(image: ImageConfig, config: ContainerConfig, folder: ContainerFolder): Mount[] {
  return bindMounts(image, config, folder).map((mount, i) => byPlace(mount, i, folder));
}

/** The same, by way of places where the runtime would not find what is mounted on the machine. */
function seenMounts(
  machine: OciMachine,
  image: ImageConfig,
  config: ContainerConfig,
  folder: ContainerFolder,
): Mount[] {
  return bindMounts(image, config, folder).map((mount, i) =>
    mount.layers || !existsSync(mount.hostPath) || machine.sees(mount.hostPath) ? mount : byPlace(mount, i, folder),
  );
}

function byPlace(mount: Mount, index: number, folder: ContainerFolder): Mount {
  const hostPath = shiftedPlace(folder, index);
  mkdirSync(folder.shifted, { recursive: true, mode: 0o711 });
  makePlace(hostPath, mount.hostPath);
  return { ...mount, hostPath };
}

export function shiftedPlace(folder: ContainerFolder, mount: number): string {
  return join(folder.shifted, `mount-${mount}`);
}

/** As upstream's runtimes: an image's VOLUME is a folder outside the root, unless something is mounted there. */
export function volumeMounts(image: ImageConfig, config: ContainerConfig, folder: ContainerFolder): Mount[] {
  return (image.volumes ?? [])
    .filter((path) => !config.mounts?.some((each) => each.containerPath === path))
    .map((path, i) => ({ hostPath: join(folder.volumes, String(i)), containerPath: path }));
}

function sandboxFiles({ record, folder }: Sandbox): Mount[] {
  const files: Mount[] = [{ hostPath: folder.hostname, containerPath: "/etc/hostname" }];
  if (record.config.dns) files.push({ hostPath: folder.resolvConf, containerPath: "/etc/resolv.conf" });
  return files;
}

function pidNamespace({ config, pidHolder }: SandboxRecord): string {
  const kind = config.namespaces?.pid ?? "container";
  if (kind === "node") return "machine";
  if (kind === "container") return "new";
  if (!pidHolder || startTicks(pidHolder.pid) !== pidHolder.startTicks) {
    throw new RuntimeError("FailedPrecondition", "the pod's PID namespace has ended; it needs a new sandbox");
  }
  return `/proc/${pidHolder.pid}/ns/pid`;
}

function devicesFor(config: ContainerConfig): Device[] {
  if (config.security?.privileged) return machineDevices();
  return (config.devices ?? []).map(({ hostPath, containerPath, permissions }) => ({
    ...deviceAt(hostPath, permissions),
    path: containerPath,
  }));
}

function readSeccomp(path: string): SeccompProfile {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as SeccompProfile;
  } catch (error) {
    throw new RuntimeError("InvalidArgument", `cannot load seccomp profile ${path}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}
