/** A container's root: the image's layers under a writable layer, put together by overlayfs. */
import { chownSync, lstatSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { check, koffi, libc } from "../../../base/node/libc.ts";
import { RuntimeError } from "../container-runtime.ts";
import { mount, msNodev, msNosuid, unmount } from "./linux.ts";
import { mountShifted } from "./user-namespaces.ts";

export interface RootfsFolders {
  /** Topmost first. */
  layers: readonly string[];
  upper: string;
  work: string;
  merged: string;
  /** The container's users, when they are not the machine's: the layers are shown to them by way of mounts below `shifted`. */
  users?: { file: string; first: number; shifted: string };
}

/** Mounts the root; dispose of the result to unmount it. A process that has it as its root keeps it alive without the mount. */
export function mountRootfs(folders: RootfsFolders): Disposable {
  for (const folder of [folders.upper, folders.work, folders.merged]) mkdirSync(folder, { recursive: true });
  const { upper, work, merged } = folders;
  const layers = folders.users ? shiftedLayers(folders.layers, upper, folders.users) : folders.layers;
  // volatile: the writable layer is thrown away with the container, so the kernel need not sync it.
  const data = `lowerdir=${layers.map(escaped).join(":")},upperdir=${escaped(upper)},workdir=${escaped(work)},index=off,volatile`;
  if (Buffer.byteLength(data) < pageSize) mountOverlay(merged, data);
  else mountManyLayers(layers, folders);
  return { [Symbol.dispose]: () => unmount(merged) };
}

/** What the layers' root owns is the container's root's. The writable layer's owners are as they are written. */
function shiftedLayers(layers: readonly string[], upper: string, users: NonNullable<RootfsFolders["users"]>): string[] {
  chownSync(upper, users.first, users.first);
  return layers.map((layer, i) => {
    const place = join(users.shifted, `layer-${i}`);
    mkdirSync(place, { recursive: true, mode: 0o711 });
    mountShifted(layer, place, users.file);
    return place;
  });
}

/** Read-only, as the users of the namespace see them. What is mounted on the way lies beside the target, and is taken away with it. */
export function mountLayersShifted(layers: readonly string[], target: string, userNamespace: string): void {
  const places = layers.map((layer, i) => {
    const place = `${target}-layer-${i}`;
    mkdirSync(place, { recursive: true, mode: 0o711 });
    mountShifted(layer, place, userNamespace);
    return place;
  });
  // Without a layer to write to, overlayfs wants at least two.
  const empty = `${target}-empty`;
  mkdirSync(empty, { recursive: true, mode: 0o755 });
  const data = `lowerdir=${[...places, empty].map(escaped).join(":")}`;
  if (Buffer.byteLength(data) >= pageSize)
    throw new RuntimeError("Unavailable", `the image has ${layers.length} layers, too many for a volume`);
  mount({ source: "overlay", target, type: "overlay", data, flags: msReadonly | msNosuid | msNodev });
}

function mountOverlay(target: string, data: string): void {
  try {
    mount({ source: "overlay", target, type: "overlay", data });
  } catch (error) {
    // Linux before 5.10 does not know `volatile`.
    if ((error as NodeJS.ErrnoException).code !== "EINVAL") throw error;
    mount({ source: "overlay", target, type: "overlay", data: data.replace(",volatile", "") });
  }
}

const pageSize = 4096;
const msReadonly = 1;

function escaped(path: string): string {
  return path.replace(/[\\:,]/g, "\\$&");
}

/** mount(2) takes one page of options. Beyond that the layers are given one by one (Linux 6.8 and later). */
function mountManyLayers(layers: readonly string[], folders: RootfsFolders): void {
  const c = mountApi();
  const context = check(c.fsopen(sysFsopen, "overlay", fsopenCloexec), "fsopen", "overlay");
  try {
    const set = (name: string, value: string) => {
      if (c.fsconfig(sysFsconfig, context, fsconfigSetString, name, value, 0) < 0) {
        throw new RuntimeError(
          "Unavailable",
          `the image has ${layers.length} layers, more than this kernel's overlayfs takes`,
        );
      }
    };
    for (const layer of layers) set("lowerdir+", layer);
    set("upperdir", folders.upper);
    set("workdir", folders.work);
    check(c.fsconfig(sysFsconfig, context, fsconfigSetFlag, "volatile", null, 0), "fsconfig", "volatile");
    check(c.fsconfig(sysFsconfig, context, fsconfigCreate, null, null, 0), "fsconfig", folders.merged);
    const mounted = check(c.fsmount(sysFsmount, context, fsopenCloexec, 0), "fsmount", folders.merged);
    try {
      check(
        c.moveMount(sysMoveMount, mounted, "", atFdcwd, folders.merged, moveMountFromEmptyPath),
        "move_mount",
        folders.merged,
      );
    } finally {
      libc().close(mounted);
    }
  } finally {
    libc().close(context);
  }
}

type CFunction = (...args: unknown[]) => number;
let loadedMountApi: Record<"fsopen" | "fsconfig" | "fsmount" | "moveMount", CFunction> | undefined;

/** Through syscall(2): the C library of Debian 12 has no names for these. The numbers are the same on all architectures. */
function mountApi() {
  if (loadedMountApi) return loadedMountApi;
  const library = koffi().load(null);
  return (loadedMountApi = {
    fsopen: library.func("long syscall(long number, str name, int flags)"),
    fsconfig: library.func("long syscall(long number, int fd, int command, str key, str value, int extra)"),
    fsmount: library.func("long syscall(long number, int fd, int flags, int attributes)"),
    moveMount: library.func("long syscall(long number, int fromFd, str from, int toFd, str to, int flags)"),
  });
}

const sysFsopen = 430;
const sysFsconfig = 431;
const sysFsmount = 432;
const sysMoveMount = 429;
const fsopenCloexec = 1;
const fsconfigSetFlag = 0;
const fsconfigSetString = 1;
const fsconfigCreate = 6;
const moveMountFromEmptyPath = 4;
const atFdcwd = -100;

/** A small file of the image, looked up in the layers as overlayfs would find it. Undefined: there is none. */
export function readImageFile(layers: readonly string[], path: string): string | undefined {
  const parts = path.split("/").filter(Boolean);
  for (const layer of layers) {
    let current = layer;
    let depth = 0;
    for (const part of parts) {
      current = join(current, part);
      const found = lstatSync(current, { throwIfNoEntry: false });
      if (!found) break;
      if (found.isCharacterDevice()) return undefined; // A whiteout: deleted in this layer.
      depth++;
      if (depth < parts.length && !found.isDirectory()) break; // A link may point anywhere; it is not followed.
      if (depth === parts.length && found.isFile()) return readFileSync(current, "utf8");
    }
  }
  return undefined;
}
