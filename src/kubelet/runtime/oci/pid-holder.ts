/**
 * Holds the PID namespace of a pod that asks for shareProcessNamespace: its first process must live as long as the pod, and
 * take in orphans. Only such pods have one; upstream has it, as the pause container, in every pod.
 */
import { existsSync, lstatSync, readlinkSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { spawnProcess } from "../../../base/node/spawn-process.ts";
import { RuntimeError } from "../container-runtime.ts";
import { allowedOomScoreAdj } from "./bundle.ts";
import { makeFolder, readText } from "./folders.ts";
import type { OciMachine } from "./machine.ts";
import { startTicks } from "./processes.ts";

export interface PidHolderRequest {
  machine: OciMachine;
  /** Its bundle. */
  folder: string;
  runtimeRoot: string;
  id: string;
  cgroupPath: string;
}

export async function startPidHolder(request: PidHolderRequest): Promise<{ pid: number; startTicks: string }> {
  const { machine, folder, runtimeRoot, id } = request;
  const rootfs = join(folder, "rootfs");
  for (const name of ["dev", "proc", "sys"]) makeFolder(join(rootfs, name));
  writeFileSync(
    join(folder, "config.json"),
    JSON.stringify(holderBundle(rootfs, request.cgroupPath, allowedOomScoreAdj(-998, machine.capabilities))),
  );
  const pidFile = join(folder, "pid");
  const { file, args } = machine.command("runtime", [
    ...["--root", runtimeRoot, "run", "--detach", "--bundle", folder, "--pid-file", pidFile, id],
  ]);
  const child = spawnProcess({ file, args, fds: { 2: "pipe-out" }, newSession: true });
  const complaint = text(child.readers[2]!).catch(() => "");
  const { code } = await child.exited;
  const pid = Number(readText(pidFile));
  if (code !== 0 || !pid) {
    throw new RuntimeError(
      "Internal",
      `cannot hold the pod's PID namespace: ${(await complaint).trim() || `exit code ${code}`}`,
    );
  }
  // The holder has the other end as long as it lives.
  child.readers[2]!.destroy();
  return { pid, startTicks: startTicks(pid) ?? "" };
}

/** It runs the machine's own shell and sleep, seen read-only under an empty root, without any capability. */
function holderBundle(rootfs: string, cgroupPath: string, oomScoreAdj: number): object {
  const mounts: object[] = [
    { destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"] },
    { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755", "size=64k"] },
  ];
  for (const path of ["/usr", "/bin", "/lib", "/lib64", "/nix"]) {
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found?.isSymbolicLink() && !existsSync(join(rootfs, path))) symlinkSync(readlinkSync(path), join(rootfs, path));
    else if (found?.isDirectory())
      mounts.push({ destination: path, type: "bind", source: path, options: ["rbind", "rprivate", "ro"] });
  }
  return {
    ociVersion: "1.0.2",
    process: {
      user: { uid: 65_535, gid: 65_535 },
      // Ignoring SIGCHLD makes the kernel clear away the orphans that end here.
      args: ["/bin/sh", "-c", "trap '' CHLD; exec sleep infinity"],
      env: ["PATH=/usr/bin:/bin"],
      cwd: "/",
      capabilities: {},
      noNewPrivileges: true,
      oomScoreAdj,
    },
    root: { path: rootfs, readonly: true },
    mounts,
    linux: {
      cgroupsPath: cgroupPath,
      namespaces: [{ type: "mount" }, { type: "pid" }, { type: "ipc" }, { type: "uts" }, { type: "network" }],
    },
  };
}
