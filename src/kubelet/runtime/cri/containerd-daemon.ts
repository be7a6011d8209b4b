/**
 * A containerd of a node's own, in the node's network namespace: its CNI plugins and its hostNetwork pods find the node's network
 * there. It outlives this process, as containers do (it is what reads their output), and is taken up again by the next one.
 */
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Clock, sleep } from "../../../base/clock.ts";
import type { Logger } from "../../../base/logger.ts";
import { findProgram } from "../../../base/node/find-program.ts";
import { inNetns } from "../../../base/node/netns.ts";
import { spawnProcess } from "../../../base/node/spawn-process.ts";
import { GrpcChannel } from "../../grpc/channel.ts";
import { startTicks } from "../oci/processes.ts";
import { pauseImage } from "./containerd-images.ts";
import { pluginFolder } from "./containerd-programs.ts";
import { containerdEvents, cri } from "./cri-api.ts";

export interface ContainerdOptions {
  /** The node's. */
  netnsPath: string;
  /** For its state, its configuration and its log. */
  folder: string;
  /** One a family. */
  podCIDRs: readonly string[];
  clock: Clock;
  log: Logger;
  /** Nobody restarts it after that; it runs on. */
  signal: AbortSignal;
}

/** The kernel's limit for a socket's path, less what containerd appends to it. */
const longestSocketPath = 107 - ".ttrpc".length;
const startPatienceMs = 30_000;

/** Resolves with its socket when it serves. It is started again whenever it ends before the signal. */
export async function startContainerd(options: ContainerdOptions): Promise<string> {
  const { folder, log, clock, signal } = options;
  const socket = join(folder, "c.sock");
  if (socket.length > longestSocketPath)
    throw new Error(`the path ${socket} is too long for a socket: choose a shorter PINNACE_HOME`);
  mkdirSync(join(folder, "cni"), { recursive: true, mode: 0o711 });
  writeFileSync(join(folder, "config.toml"), configuration(folder, socket));
  writeFileSync(join(folder, "cni/10-pods.conflist"), JSON.stringify(podNetwork(options)));
  const channel = new GrpcChannel(socket, clock);
  await serve(options, channel);
  const keep = async () => {
    while (!signal.aborted) {
      await untilGone(channel, signal);
      if (signal.aborted) break;
      log.warn("containerd ended, and is started again", {});
      try {
        await serve(options, channel);
      } catch (error) {
        if (!signal.aborted) log.error("containerd does not start", { error: (error as Error).message });
        await sleep(clock, 1000, signal).catch(() => {});
      }
    }
    channel.close();
  };
  void keep();
  return socket;
}

async function serve(options: ContainerdOptions, channel: GrpcChannel): Promise<void> {
  const { folder, clock, signal } = options;
  if (!isRunning(folder)) launch(options);
  const deadlineMs = clock.now() + startPatienceMs;
  for (;;) {
    try {
      await channel.call(cri.version, { version: "v1" }, { signal, timeoutMs: startPatienceMs });
      return;
    } catch (error) {
      signal.throwIfAborted();
      const isOver = !isRunning(folder);
      if (!isOver && clock.now() < deadlineMs) await sleep(clock, 20, signal);
      else
        throw new Error(`containerd ${isOver ? "ended" : "does not answer"}: ${lastWords(folder)}`, { cause: error });
    }
  }
}

function launch({ folder, netnsPath }: ContainerdOptions): void {
  const logFile = openSync(join(folder, "containerd.log"), "a", 0o600);
  try {
    const daemon = inNetns(netnsPath, () =>
      spawnProcess({
        file: findProgram("containerd") ?? "containerd",
        args: ["--config", join(folder, "config.toml")],
        fds: { 1: logFile, 2: logFile },
        newSession: true,
      }),
    );
    daemon.unref(); // It goes on with its pods when the server ends.
    writeFileSync(join(folder, "containerd.pid"), `${daemon.pid} ${startTicks(daemon.pid) ?? ""}`);
  } finally {
    closeSync(logFile);
  }
}

function isRunning(folder: string): boolean {
  const [pid = "0", ticks] = readText(join(folder, "containerd.pid")).split(" ");
  return Number(pid) > 0 && startTicks(Number(pid)) === ticks;
}

/** Holds an open call, which ends with it. */
async function untilGone(channel: GrpcChannel, signal: AbortSignal): Promise<void> {
  try {
    const nothing = { filters: ['topic=="/none"'] };
    for await (const _ of channel.stream(containerdEvents, nothing, { signal }));
  } catch {
    // Gone, or we are.
  }
}

function lastWords(folder: string): string {
  const lines = readText(join(folder, "containerd.log")).trim().split("\n");
  return lines.findLast((line) => /level=(error|fatal)|^containerd:/.test(line)) ?? lines.at(-1) ?? "it said nothing";
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

function configuration(folder: string, socket: string): string {
  const section = 'plugins."io.containerd.grpc.v1.cri"';
  const unused = ["snapshotter.v1.btrfs", "snapshotter.v1.zfs", "snapshotter.v1.devmapper", "snapshotter.v1.aufs"];
  return `version = 2
root = "${folder}/root"
state = "${folder}/state"
disabled_plugins = [${[...unused, "tracing.processor.v1.otlp"].map((name) => `"io.containerd.${name}"`).join(", ")}]
[debug]
  level = "warn"
[grpc]
  address = "${socket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "${folder}/opt"
[${section}]
  sandbox_image = "${pauseImage}"
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  enable_unprivileged_ports = true
  enable_unprivileged_icmp = true
  [${section}.cni]
    bin_dir = "${pluginFolder()}"
    conf_dir = "${folder}/cni"
  [${section}.containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [${section}.containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [${section}.containerd.runtimes.runc.options]
        Root = "${folder}/runc"
`;
}

/**
 * Each pod has the node for its only neighbour, as with the built-in network: a Service's reply passes the node's connection
 * tracking even when it comes from next door.
 */
function podNetwork({ podCIDRs, folder }: ContainerdOptions): object {
  const ipam = {
    type: "host-local",
    ranges: podCIDRs.map((subnet) => [{ subnet }]),
    dataDir: join(folder, "addresses"),
    routes: podCIDRs.map((range) => ({ dst: range.includes(":") ? "::/0" : "0.0.0.0/0" })),
  };
  return { cniVersion: "0.4.0", name: "pods", plugins: [{ type: "ptp", ipam }] };
}
