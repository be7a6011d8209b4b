/** A pod's volumes as a whole: prepared together, mounted into containers, kept up to date, taken away (upstream's volume manager). */
import { chmodSync, chownSync, lstatSync, readdirSync } from "node:fs";
import { readdir, rm, rmdir } from "node:fs/promises";
import { join } from "node:path";
import type { Volume, VolumeMount } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import type { CsiVolumes } from "../csi/csi-volumes.ts";
import { expand } from "../expand.ts";
import type { PodFolders } from "../paths.ts";
import type { ContainerSpec } from "../pod-state.ts";
import type { ContainerConfig, Mount, RuntimeFeatures } from "../runtime/container-runtime.ts";
import { configMapVolume } from "./config-map.ts";
import { csiVolume } from "./csi.ts";
import { downwardApiVolume } from "./downward-api.ts";
import { emptyDirVolume } from "./empty-dir.ts";
import { ephemeralVolume } from "./ephemeral.ts";
import { hostPathVolume } from "./host-path.ts";
import { imageVolume } from "./image.ts";
import { unmount } from "./mount.ts";
import { nfsFolder, nfsVolume } from "./nfs.ts";
import { persistentVolumeClaimVolume } from "./persistent-volume-claim.ts";
import { projectedVolume } from "./projected.ts";
import { secretVolume } from "./secret.ts";
import { bindSubPath } from "./sub-path.ts";
import type { PreparedVolume, VolumeContext, VolumePlugin } from "./volume-plugin.ts";

export const volumePlugins: readonly VolumePlugin[] = [
  configMapVolume,
  csiVolume,
  downwardApiVolume,
  emptyDirVolume,
  ephemeralVolume,
  hostPathVolume,
  imageVolume,
  nfsVolume,
  persistentVolumeClaimVolume,
  projectedVolume,
  secretVolume,
] as unknown as VolumePlugin[]; // Each is typed by its own source; the catalog looks them up by that same field.

export type PreparedVolumes = ReadonlyMap<string, PreparedVolume>;

/** One volume could not be made ready. The message is upstream's, as the FailedMount event shows it. */
export class VolumeError extends Error {
  override name = "VolumeError";
}

export async function prepareVolumes(
  folders: PodFolders,
  context: Omit<VolumeContext, "folder" | "podRoot">,
  options: { onlyRefreshable?: PreparedVolumes } = {},
): Promise<PreparedVolumes> {
  const { pod } = context;
  const prepared = new Map<string, PreparedVolume>(options.onlyRefreshable ?? []);
  await Promise.all(
    (pod.spec.volumes ?? []).map(async (volume) => {
      if (options.onlyRefreshable && !options.onlyRefreshable.get(volume.name)?.isRefreshable) return;
      try {
        prepared.set(volume.name, await prepareVolume(volume, folders, context));
      } catch (error) {
        const message = `MountVolume.SetUp failed for volume ${JSON.stringify(volume.name)} : ${(error as Error).message}`;
        throw new VolumeError(message, { cause: error });
      }
    }),
  );
  return prepared;
}

async function prepareVolume(
  volume: DeepReadonly<Volume>,
  folders: PodFolders,
  context: Omit<VolumeContext, "folder" | "podRoot">,
): Promise<PreparedVolume> {
  // A volume that names no type is an empty folder.
  const isTyped = Object.keys(volume).some((key) => key !== "name");
  const plugin = isTyped ? volumePlugins.find(({ type }) => volume[type] !== undefined) : emptyDirVolume;
  if (!plugin) {
    const type = Object.keys(volume).find((key) => key !== "name");
    throw new Error(`no volume plugin matched: volumes of type ${type} are not supported by this kubelet`);
  }
  const base = plugin.isVolatile ? folders.volatile : folders.root;
  const folder = join(base, "volumes", plugin.folder, volume.name);
  const source = (isTyped ? volume[plugin.type] : {}) as never;
  const prepared = await (plugin as VolumePlugin).prepare(volume, source, {
    ...context,
    folder,
    podRoot: folders.root,
  });
  const { fsGroup, fsGroupChangePolicy } = context.pod.spec.securityContext ?? {};
  if (!prepared.isBlock && (prepared.isOwnedByPod ?? plugin.isOwnedByPod) && fsGroup !== undefined)
    ownByGroup(prepared.path, fsGroup, fsGroupChangePolicy, prepared.readOnly ?? false);
  return prepared;
}

/** The mounts of one container, in the order of its spec. */
export function containerMounts(
  container: ContainerSpec,
  volumes: PreparedVolumes,
  folders: PodFolders,
  env: readonly { name: string; value: string }[],
  features: RuntimeFeatures,
): Mount[] {
  return (container.volumeMounts ?? []).map((mount, index) => {
    const volume = volumes.get(mount.name);
    if (!volume)
      throw new Error(
        `cannot find volume ${JSON.stringify(mount.name)} to mount into container ${JSON.stringify(container.name)}`,
      );
    if (volume.isBlock) throw new Error(`volume ${mount.name} has volumeMode Block, but is specified in volumeMounts`);
    const subPath = mount.subPathExpr ? expandSubPath(mount.subPathExpr, env) : mount.subPath;
    let hostPath = volume.path;
    if (subPath) {
      if (subPath.startsWith("/")) throw new Error(`error SubPath \`${subPath}\` must not be an absolute path`);
      if (subPath.split("/").includes(".."))
        throw new Error(`unable to provision SubPath \`${subPath}\`: must not contain '..'`);
      hostPath = join(folders.root, "volume-subpaths", mount.name, container.name, String(index));
      try {
        bindSubPath(volume.path, subPath, hostPath);
      } catch (error) {
        const where = `volumeMount ${JSON.stringify(mount.name)} of container ${JSON.stringify(container.name)}`;
        throw new Error(`failed to prepare subPath for ${where}: ${(error as Error).message}`, { cause: error });
      }
    }
    const propagation = mount.mountPropagation as Mount["propagation"];
    return {
      hostPath,
      ...(volume.layers && !subPath ? { layers: volume.layers } : {}),
      containerPath: mount.mountPath.startsWith("/") ? mount.mountPath : `/${mount.mountPath}`,
      ...(mount.readOnly || volume.readOnly ? { readOnly: true } : {}),
      ...(isRecursive(mount, features) ? { recursiveReadOnly: true } : {}),
      ...(propagation ? { propagation } : {}),
    };
  });
}

function isRecursive(
  { name, readOnly, recursiveReadOnly }: DeepReadonly<VolumeMount>,
  features: RuntimeFeatures,
): boolean {
  if (!readOnly || recursiveReadOnly === undefined || recursiveReadOnly === "Disabled") return false;
  if (features.recursiveReadOnlyMounts) return true;
  if (recursiveReadOnly === "IfPossible") return false;
  throw new Error(
    `failed to resolve recursive read-only mode: volume ${JSON.stringify(name)} requested recursive read-only mode, but it is not supported by the runtime`,
  );
}

/** The block devices that one container is given. */
export function containerDevices(container: ContainerSpec, volumes: PreparedVolumes): ContainerConfig["devices"] {
  return (container.volumeDevices ?? []).map(({ name, devicePath }) => {
    const volume = volumes.get(name);
    if (!volume)
      throw new Error(
        `cannot find volume ${JSON.stringify(name)} to pass into container ${JSON.stringify(container.name)}`,
      );
    if (!volume.isBlock) throw new Error(`volume ${name} has volumeMode Filesystem, but is specified in volumeDevices`);
    return { hostPath: volume.path, containerPath: devicePath, permissions: volume.readOnly ? "r" : "rwm" };
  });
}

/** Takes away everything that a pod's volumes left, whether this process prepared them or one before it. */
export async function removeVolumes(
  folders: Pick<PodFolders, "root" | "volatile">,
  csi: CsiVolumes | undefined,
): Promise<void> {
  for (const path of await subPathMounts(join(folders.root, "volume-subpaths"))) unmount(path);
  await csi?.unpublishAll(folders.root);
  const emptyDirs = join(folders.root, "volumes", emptyDirVolume.folder);
  for (const name of await namesIn(emptyDirs)) unmount(join(emptyDirs, name));
  const shares = join(folders.root, "volumes", nfsFolder);
  for (const name of await namesIn(shares)) {
    unmount(join(shares, name));
    // Should it be mounted still, what is on the server must not go with the pod.
    await rmdir(join(shares, name));
  }
  const images = join(folders.root, "volumes", imageVolume.folder);
  for (const name of await namesIn(images)) unmount(join(images, name, "content"));
  await Promise.all([
    rm(join(folders.root, "volume-subpaths"), { recursive: true, force: true }),
    rm(join(folders.root, "volumes"), { recursive: true, force: true }),
    rm(folders.volatile, { recursive: true, force: true }),
  ]);
}

/** Unlike in commands, what has no value is an error: a file would land beside where it was meant to. */
function expandSubPath(expression: string, env: readonly { name: string; value: string }[]): string {
  const missing = new Set<string>();
  const subPath = expand(expression, (name) => {
    const value = env.find((variable) => variable.name === name)?.value;
    if (!value) missing.add(name);
    return value;
  });
  if (missing.size > 0) throw new Error(`missing value for ${[...missing].sort().join(", ")}`);
  return subPath;
}

async function subPathMounts(folder: string): Promise<string[]> {
  const paths: string[] = [];
  for (const volume of await namesIn(folder)) {
    for (const container of await namesIn(join(folder, volume))) {
      for (const index of await namesIn(join(folder, volume, container)))
        paths.push(join(folder, volume, container, index));
    }
  }
  return paths;
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch {
    return [];
  }
}

/** fsGroup: the content belongs to the group, which may read it, and write it where the volume is for writing; new files inherit the group. */
function ownByGroup(path: string, gid: number, policy: string | undefined, isReadOnly: boolean): void {
  const ofFiles = isReadOnly ? 0o440 : 0o660;
  const ofFolders = 0o2110 | ofFiles;
  const top = lstatSync(path);
  if (policy === "OnRootMismatch" && top.gid === gid && (top.mode & ofFolders) === ofFolders) return;
  const visit = (at: string) => {
    const stat = lstatSync(at);
    if (stat.isSymbolicLink()) return;
    chownSync(at, stat.uid, gid);
    chmodSync(at, (stat.mode & 0o7777) | (stat.isDirectory() ? ofFolders : ofFiles));
    if (stat.isDirectory()) for (const name of readdirSync(at)) visit(join(at, name));
  };
  visit(path);
}
