/** `pinnace server`: one process that runs a cluster's parts; in the foreground, or started by `pinnace up`. */
import { existsSync } from "node:fs";
import { systemClock } from "../../base/node/system-clock.ts";
import { systemRandom } from "../../base/node/system-random.ts";
import { lockHolder, tryLock } from "../cluster-lock.ts";
import type { ClusterPlan, StoreConfig } from "../config/cluster-config.ts";
import { type LogLevel, lineLogger } from "../line-logger.ts";
import { type RunningCluster, startServer } from "../server.ts";
import { StuckStartError } from "../start-watch.ts";
import { claimServer, clusterPaths, inUse, readPlan, recordServer, releaseServer } from "../state-folder.ts";
import { pinnaceVersion } from "../version.ts";
import type { ServerMessage, StartMessage } from "./server-messages.ts";
import { checkedRoles } from "./server-roles.ts";
import { defaultClusterName, preparePlan } from "./up.ts";

export interface ServerOptions {
  name?: string;
  configFile?: string | undefined;
  nodes?: number | undefined;
  roles?: readonly string[] | undefined;
  /** As kube-controller-manager's `--controllers`. */
  controllers?: readonly string[] | undefined;
  /** As kube-controller-manager's `--horizontal-pod-autoscaler-sync-period`. Default: 15,000. */
  autoscalerPeriodMs?: number | undefined;
  /** In the place of the configuration's. */
  store?: StoreConfig | undefined;
  /** The script that runs `pinnace`. */
  entry: string;
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
    const stopped = waitForSignal();
    const given = parent ? await waitForStart() : undefined;
    const { plan, pki } = given
      ? { plan: planOf(options.name), pki: given.pki }
      : await preparePlan({ ...options, print: (line) => process.stderr.write(`${line}\n`) });
    const paths = clusterPaths(plan.name);
    const turn = await tryLock(paths, "server");
    if (!turn) throw inUse({ pid: (await lockHolder(paths, "server")) ?? 0 });
    claimServer(paths, pinnaceVersion);
    const log = lineLogger(process.stdout, systemClock, (process.env["PINNACE_LOG"] as LogLevel | undefined) ?? "info");
    const cluster: RunningCluster = await startServer({
      plan,
      pki,
      paths,
      roles,
      ...(options.controllers ? { controllers: options.controllers } : {}),
      ...(options.autoscalerPeriodMs ? { autoscalerPeriodMs: options.autoscalerPeriodMs } : {}),
      clock: systemClock,
      random: systemRandom,
      log,
      dnsStandby: { paths, command: [process.execPath, options.entry] },
      onProgress: (text) => tell({ kind: "progress", text }),
      ...(given ? { timeoutSeconds: given.timeoutSeconds } : {}),
    });
    recordServer(paths, pinnaceVersion, true);
    log.info("the cluster is usable", { pid: process.pid, name: plan.name });
    tell({ kind: "usable" });
    systemClock.setTimer(warmAfterMs, options.onWarm, { background: true });
    await stopped;
    // Its nodes end with it; stopped otherwise, it leaves their pods running.
    if (existsSync(paths.goingDown)) await cluster.shutdownNodes();
    await cluster.close();
    releaseServer(paths);
    await turn.release();
    return 0;
  } catch (error) {
    tell({ kind: "failed", message: (error as Error).message, isStuck: error instanceof StuckStartError });
    // Whatever did not let itself be closed must not keep the process.
    systemClock.setTimer(endPatienceMs, () => process.exit(1), { background: true });
    throw error;
  }
}

const endPatienceMs = 1000;

/** `up` has written it. */
function planOf(name = defaultClusterName): ClusterPlan {
  const plan = readPlan(clusterPaths(name));
  if (!plan) throw new Error(`cluster "${name}" was taken away while it was starting`);
  return plan;
}

function waitForSignal(): Promise<void> {
  return new Promise((resolve) => {
    process.once("SIGTERM", () => resolve());
    process.once("SIGINT", () => resolve());
  });
}

function waitForStart(): Promise<StartMessage> {
  return new Promise((resolve, reject) => {
    process.once("message", (message: StartMessage) => resolve(message));
    process.once("disconnect", () =>
      reject(new Error("the command that started this server ended before it gave the certificates")),
    );
  });
}
