/**
 * The places that mounts need in a container's root: /proc, /etc/hosts, volumes. The OCI runtime would make what is missing in
 * every container's writable layer, on the disk; here they are made once, in a layer below the image's, for all containers with
 * the same mounts.
 */
import { createHash } from "node:crypto";
import { existsSync, lstatSync, mkdirSync, readlinkSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

export interface MountPlace {
  destination: string;
  type: string;
  source: string;
}

/** The layer's folder, made below `folder` when it is not there yet. */
export function mountPointLayer(folder: string, mounts: readonly MountPlace[], imageLayers: readonly string[]): string {
  const places = outermost(mounts).map((mount) => ({
    path: resolveInImage(imageLayers, mount.destination),
    isFolder: isFolder(mount),
  }));
  const key = createHash("sha256").update(JSON.stringify(places)).digest("hex").slice(0, 16);
  const layer = join(folder, key);
  if (existsSync(layer)) return layer;
  const unfinished = join(folder, `.${key}`);
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished, { recursive: true, mode: 0o755 });
  for (const { path, isFolder } of places) {
    const place = join(unfinished, path);
    mkdirSync(isFolder ? place : dirname(place), { recursive: true, mode: 0o755 });
    if (!isFolder) writeFileSync(place, "", { mode: 0o644 });
  }
  renameSync(unfinished, layer);
  return layer;
}

/** What lies inside another mount has its place there, not in the image. */
function outermost(mounts: readonly MountPlace[]): MountPlace[] {
  const isInside = (inner: string, outer: string) =>
    inner !== outer && inner.startsWith(outer === "/" ? "/" : `${outer}/`);
  return mounts.filter((mount) => !mounts.some((other) => isInside(mount.destination, other.destination)));
}

/** Whether a folder is what a mount needs for its place; else it is a file. */
export function isFolder({ type, source }: MountPlace): boolean {
  return type !== "bind" || (statSync(source, { throwIfNoEntry: false })?.isDirectory() ?? true);
}

/** Where a path leads by the links of the image, such as /var/run to /run. */
export function resolveInImage(layers: readonly string[], path: string): string {
  const pending = path.split("/");
  const resolved: string[] = [];
  for (let links = 0; pending.length > 0; ) {
    const name = pending.shift()!;
    if (name === "" || name === ".") continue;
    if (name === "..") {
      resolved.pop();
      continue;
    }
    const target = linkTarget(layers, join(...resolved, name));
    if (target === undefined || ++links > 40) {
      resolved.push(name);
      continue;
    }
    if (target.startsWith("/")) resolved.length = 0;
    pending.unshift(...target.split("/"));
  }
  return `/${resolved.join("/")}`;
}

/** Of the topmost layer that has the path. */
function linkTarget(layers: readonly string[], path: string): string | undefined {
  for (const layer of layers) {
    const found = lstatSync(join(layer, path), { throwIfNoEntry: false });
    if (found) return found.isSymbolicLink() ? readlinkSync(join(layer, path)) : undefined;
  }
  return undefined;
}
