/** `pinnace server`: one process that runs a cluster's parts; in the foreground, or started by `pinnace up`. */
import { systemClock } from "../../base/node/system-clock.ts";
import { systemRandom } from "../../base/node/system-random.ts";
import type { ClusterPki } from "../certificates.ts";
import { type LogLevel, lineLogger } from "../line-logger.ts";
import { allRoles, isRole, type Role } from "../roles.ts";
import { type RunningCluster, startServer } from "../server.ts";
import { claimServer, clusterPaths, readPlan, recordServer, releaseServer } from "../state-folder.ts";
import { pinnaceVersion } from "../version.ts";
import type { ServerMessage, StartMessage } from "./server-messages.ts";
import { defaultClusterName, preparePlan } from "./up.ts";

export interface ServerOptions {
  name?: string;
  configFile?: string | undefined;
  nodes?: number | undefined;
  roles?: readonly string[] | undefined;
  /** Called a moment after the cluster was usable, and at the end. */
  onWarm(): void;
}

// The first pods have come by then, and nobody waits.
const warmAfterMs = 5000;

/** Resolves to the exit code when the server has ended, by SIGTERM or SIGINT. */
export async function server(options: ServerOptions): Promise<number> {
  const parent = process.send ? process.send.bind(process) : undefined;
  const tell = (message: ServerMessage) => {
    if (process.connected) parent?.(message);
  };
  try {
    const roles = checkedRoles(options.roles);
    const name = options.name ?? defaultClusterName;
    const stopped = waitForSignal();
    const given = parent ? waitForStart() : undefined;
    const { plan, pki } = given
      ? { plan: readPlan(clusterPaths(name))!, pki: (await given).pki }
      : await preparePlan({ ...options, name, print: (line) => process.stderr.write(`${line}\n`) });
    const paths = clusterPaths(plan.name);
    claimServer(paths, pinnaceVersion);
    const log = lineLogger(process.stdout, systemClock, (process.env["PINNACE_LOG"] as LogLevel | undefined) ?? "info");
    // A defect in one request or reconcile is no reason to take the whole cluster away; it is a reason for a line in the log.
    process.on("unhandledRejection", (error) => log.error("a failure that nobody awaited", { error }));
    const cluster: RunningCluster = await startServer({
      plan,
      pki,
      paths,
      roles,
      clock: systemClock,
      random: systemRandom,
      log,
      onProgress: (text) => tell({ kind: "progress", text }),
    });
    recordServer(paths, pinnaceVersion, true);
    log.info("the cluster is usable", { pid: process.pid, name: plan.name });
    tell({ kind: "usable" });
    const warm = systemClock.setTimer(warmAfterMs, options.onWarm, { background: true });
    await stopped;
    warm[Symbol.dispose]();
    await cluster.close();
    options.onWarm();
    releaseServer(paths);
    return 0;
  } catch (error) {
    tell({ kind: "failed", message: (error as Error).message });
    throw error;
  }
}

function checkedRoles(names: readonly string[] | undefined): ReadonlySet<Role> {
  if (!names) return new Set(allRoles);
  const unknown = names.filter((name) => !isRole(name));
  if (unknown.length > 0) throw new Error(`unknown roles: ${unknown.join(", ")}; known are ${allRoles.join(", ")}`);
  return new Set(names as Role[]);
}

function waitForSignal(): Promise<void> {
  return new Promise((resolve) => {
    process.once("SIGTERM", () => resolve());
    process.once("SIGINT", () => resolve());
  });
}

function waitForStart(): Promise<{ pki: ClusterPki }> {
  return new Promise((resolve, reject) => {
    process.once("message", (message: StartMessage) => resolve(message));
    process.once("disconnect", () =>
      reject(new Error("the command that started this server ended before it gave the certificates")),
    );
  });
}
