/** `pinnace down`: ends a cluster and leaves nothing of it behind, whatever state it is in. */
import { existsSync, writeFileSync } from "node:fs";
import { type Clock, sleep } from "../../base/clock.ts";
import { systemClock } from "../../base/node/system-clock.ts";
import { shutdownSeconds } from "../../kubelet/node-shutdown.ts";
import { lock } from "../cluster-lock.ts";
import { removeContext, userKubeconfig } from "../kubeconfig.ts";
import { type ClusterPaths, clusterFolders, clusterPaths, isAlive, readPlan, runningServer } from "../state-folder.ts";
import { takeDownCluster } from "../teardown.ts";
import { defaultClusterName } from "./up.ts";

export interface DownOptions {
  name?: string;
  print(line: string): void;
}

// The server only has to close its store; what it leaves open the teardown takes.
const serverPatienceMs = 5000;

export async function down({ name = defaultClusterName, print }: DownOptions): Promise<void> {
  const paths = clusterPaths(name);
  const turn = await lock(paths, "command", (pid) =>
    print(`Another command (process ${pid}) is working on cluster "${name}"; waiting for it to finish.`),
  );
  try {
    await downAlone(name, paths, print);
  } finally {
    await turn.release();
  }
}

/** For a command that has the cluster to itself already. */
export async function downAlone(name: string, paths: ClusterPaths, print: (line: string) => void): Promise<void> {
  const existed = existsSync(paths.root);
  // From here on the cluster is ending: an interrupted `down` is finished by the next `up` or `down`.
  if (existed) markGoingDown(paths);
  const { shutdown } = readPlan(paths) ?? {};
  const graceSeconds = shutdown ? shutdownSeconds(shutdown) : 0;
  if (graceSeconds > 0 && runningServer(paths)) print(`Pods are given up to ${graceSeconds} s to end.`);
  await stopServer(paths, systemClock, graceSeconds * 1000);
  const context = await removeContext(name, userKubeconfig());
  await takeDownCluster(name, paths, systemClock);
  print(existed ? `Cluster "${name}" is gone.` : `There was no cluster "${name}".`);
  if (context) print(`kubectl uses the cluster that is left again, as context ${context}.`);
}

/** A full disk must not keep a cluster from ending, which frees it. */
function markGoingDown(paths: ClusterPaths): void {
  try {
    writeFileSync(paths.goingDown, "");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
  }
}

export async function downAll(print: (line: string) => void): Promise<void> {
  const names = clusterFolders();
  if (names.length === 0) print("There is no cluster on this machine.");
  for (const name of names) await down({ name, print });
}

/** Ends the server alone; pods go on. Resolves when no process of it is left. `graceMs`: what it may take for its pods. */
export async function stopServer(paths: ClusterPaths, clock: Clock, graceMs = 0): Promise<void> {
  const server = runningServer(paths);
  if (!server) return;
  signal(server.pid, "SIGTERM");
  for (let waitedMs = 0; waitedMs < serverPatienceMs + graceMs; waitedMs += 10) {
    if (!isAlive(server)) return;
    await sleep(clock, 10);
  }
  signal(server.pid, "SIGKILL");
  while (isAlive(server)) await sleep(clock, 10);
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
