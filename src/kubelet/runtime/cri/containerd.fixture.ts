/** A containerd of its own for tests: its state in a folder, its network in a namespace, images imported from files. */
import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { findProgram } from "../../../base/node/find-program.ts";
import { Links } from "../../../base/node/links.ts";
import { unmountAll } from "../../../base/node/mounts.ts";
import { createNetns, deleteNetns, netnsPath } from "../../../base/node/netns.ts";
import { busyboxLayer } from "../busybox-layer.fixture.ts";

export interface ContainerdFixture {
  folder: string;
  socket: string;
  /** The namespace that containerd and its hostNetwork pods live in. */
  netns: string;
  /** The id of an image with busybox, by the name `localhost/busybox:test`. */
  imageId: string;
  stop(): Promise<void>;
  start(): Promise<void>;
  /** Ends it and everything that it runs, and takes its folder away. */
  dispose(): Promise<void>;
}

export const canRunContainerd =
  process.getuid?.() === 0 && ["containerd", "ctr", "runc", "busybox"].every((name) => findProgram(name) !== undefined);

export async function startContainerd(name: string): Promise<ContainerdFixture> {
  const folder = mkdtempSync(`/var/tmp/pnt-containerd-${name}-`);
  chmodSync(folder, 0o711); // Users of a pod's own namespace pass through.
  const netnsName = `pnt-cri-${basename(folder).slice(-6).toLowerCase()}`;
  createNetns(netnsName, () => {
    const links = new Links();
    links.apply([{ kind: "up", name: "lo" }]);
    links.close();
  });
  const netns = netnsPath(netnsName);
  const socket = join(folder, "c.sock");
  writeFileSync(join(folder, "config.toml"), configuration(folder, socket));
  mkdirSync(join(folder, "cni"));
  writeFileSync(join(folder, "cni/10-pods.conflist"), JSON.stringify(podNetwork(folder)));
  let daemon: ReturnType<typeof spawn> | undefined;
  const start = async () => {
    daemon = spawn("nsenter", [`--net=${netns}`, "containerd", "--config", join(folder, "config.toml")], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    let said = "";
    daemon.stderr!.on("data", (chunk) => (said = `${said}${chunk}`.slice(-20_000)));
    for (let tries = 0; ; tries++) {
      if (daemon.exitCode !== null || tries > 300) throw new Error(`containerd did not start:\n${said}`);
      if (existsSync(socket) && isReady(socket)) return;
      await delay(100);
    }
  };
  const stop = async () => {
    if (!daemon || daemon.exitCode !== null || daemon.signalCode !== null) return;
    const ended = new Promise((resolve) => daemon!.once("exit", resolve));
    daemon.kill("SIGTERM");
    await ended;
  };
  const dispose = async () => {
    await stop();
    for (const pid of shimsOf(socket)) process.kill(pid, "SIGKILL");
    await delay(50);
    unmountAll(folder);
    deleteNetns(netnsName);
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  };
  try {
    await start();
    const imageId = importImage(folder, socket, "localhost/busybox:test", ["sh"]);
    importImage(folder, socket, "localhost/pause:test", ["/bin/sleep", "2147483647"]);
    return { folder, socket, netns, imageId, stop, start, dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** The shims, which outlive containerd as they should. */
export function shimsOf(socket: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
        return words[0]?.endsWith("containerd-shim-runc-v2") && words.includes(socket) ? [Number(pid)] : [];
      } catch {
        return [];
      }
    });
}

function isReady(socket: string): boolean {
  try {
    execFileSync("ctr", ["-a", socket, "-n", "k8s.io", "version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

function configuration(folder: string, socket: string): string {
  const cri = 'plugins."io.containerd.grpc.v1.cri"';
  return `version = 2
root = "${folder}/root"
state = "${folder}/state"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs", "io.containerd.tracing.processor.v1.otlp"]
[grpc]
  address = "${socket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "${folder}/opt"
[${cri}]
  sandbox_image = "localhost/pause:test"
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  restrict_oom_score_adj = true
  [${cri}.cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "${folder}/cni"
  [${cri}.containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [${cri}.containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [${cri}.containerd.runtimes.runc.options]
        Root = "${folder}/runc"
    [${cri}.containerd.runtimes.other]
      runtime_type = "io.containerd.runc.v2"
      [${cri}.containerd.runtimes.other.options]
        Root = "${folder}/runc-other"
`;
}

function podNetwork(folder: string): object {
  return {
    cniVersion: "0.4.0",
    name: "pods",
    plugins: [
      {
        type: "ptp",
        ipam: {
          type: "host-local",
          subnet: "10.98.7.0/24",
          dataDir: join(folder, "ipam"),
          routes: [{ dst: "0.0.0.0/0" }],
        },
      },
    ],
  };
}

/** Imports an image of one layer, written as `docker save` does. Returns its id. */
function importImage(folder: string, socket: string, name: string, command: string[]): string {
  const work = join(folder, "import");
  const layer = join(work, "layer");
  busyboxLayer(layer);
  execFileSync("tar", ["-C", layer, "--owner=0", "--group=0", "--mtime=@0", "-cf", join(work, "layer.tar"), "."]);
  const digest = createHash("sha256")
    .update(readFileSync(join(work, "layer.tar")))
    .digest("hex");
  const architecture = { x64: "amd64", arm64: "arm64" }[process.arch as string] ?? process.arch;
  const config = JSON.stringify({
    architecture,
    os: "linux",
    config: { Cmd: command },
    rootfs: { type: "layers", diff_ids: [`sha256:${digest}`] },
  });
  const id = createHash("sha256").update(config).digest("hex");
  writeFileSync(join(work, `${id}.json`), config);
  writeFileSync(
    join(work, "manifest.json"),
    JSON.stringify([{ Config: `${id}.json`, RepoTags: [name], Layers: ["layer.tar"] }]),
  );
  execFileSync("tar", ["-C", work, "-cf", join(folder, "image.tar"), "manifest.json", `${id}.json`, "layer.tar"]);
  execFileSync("ctr", ["-a", socket, "-n", "k8s.io", "images", "import", join(folder, "image.tar")], { stdio: "pipe" });
  rmSync(work, { recursive: true });
  rmSync(join(folder, "image.tar"));
  return `sha256:${id}`;
}
