/** A folder of an NFS server, where the machine has a client for it: `mount.nfs` speaks to the server, the kernel does the rest. */
import { mkdirSync } from "node:fs";
import { text } from "node:stream/consumers";
import type { NFSVolumeSource } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { findProgram } from "../../base/node/find-program.ts";
import { spawnProcess } from "../../base/node/spawn-process.ts";
import { isMountPoint } from "./mount.ts";
import { defineVolumePlugin, type PreparedVolume } from "./volume-plugin.ts";

export const nfsFolder = "kubernetes.io~nfs";

export const nfsVolume = defineVolumePlugin({
  type: "nfs",
  folder: nfsFolder,
  prepare: (_volume, source, { folder, signal }) => mountNfs(source, [], folder, signal),
});

export async function mountNfs(
  { server, path, readOnly }: DeepReadonly<NFSVolumeSource>,
  mountOptions: readonly string[],
  folder: string,
  signal: AbortSignal,
): Promise<PreparedVolume> {
  mkdirSync(folder, { recursive: true });
  const prepared = { path: folder, ...(readOnly ? { readOnly } : {}) };
  if (isMountPoint(folder)) return prepared;
  const program = findProgram("mount.nfs");
  if (!program) throw new Error("mount failed: this machine has no NFS client (the program mount.nfs)");
  const options = [...(readOnly ? ["ro"] : []), ...mountOptions];
  const child = spawnProcess({
    file: program,
    args: [`${server}:${path}`, folder, ...(options.length > 0 ? ["-o", options.join(",")] : [])],
    fds: { 2: "pipe-out" },
  });
  const kill = () => process.kill(child.pid, "SIGKILL");
  signal.addEventListener("abort", kill, { once: true });
  try {
    const [complaint, { code }] = await Promise.all([text(child.readers[2]!), child.exited]);
    if (code !== 0) throw new Error(`mount failed: ${complaint.trim() || `mount.nfs ended with ${code}`}`);
  } finally {
    signal.removeEventListener("abort", kill);
  }
  return prepared;
}
