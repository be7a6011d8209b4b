/** `pinnace shell`: a shell, or one command, that is at home in a cluster: its kubectl, its kubeconfig, and if wanted a node's network. */
import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { constants } from "node:os";
import { delimiter, join } from "node:path";
import { clusterKubeconfig } from "../kubeconfig.ts";
import { nodeNetns } from "../network/plan-lan.ts";
import { clusterPaths, readPki, writeAtomically } from "../state-folder.ts";
import { runningPlan } from "./why.ts";

export interface ShellOptions {
  name?: string;
  /** Whose network the shell is in, as if one had logged in there. Default: this machine's. */
  node?: string;
  /** The script that starts `pinnace`. */
  entry: string;
  print(line: string): void;
}

/** Resolves to the exit code of the shell, or of `command`. */
export async function shell(command: readonly string[], options: ShellOptions): Promise<number> {
  const plan = runningPlan(options.name);
  const paths = clusterPaths(plan.name);
  const node = plan.nodes.find(({ name }) => name === options.node);
  if (options.node !== undefined && !node)
    throw new Error(`there is no node ${options.node}; there are: ${plan.nodes.map(({ name }) => name).join(", ")}`);
  if (node && node.kind !== "local") throw new Error(`node ${node.name} is simulated: it has no network to be in`);

  const folder = join(paths.root, "shell");
  const bin = join(folder, "bin");
  mkdirSync(bin, { recursive: true });
  // The entry file is a launcher: it must find this very Node.
  const ours = `PINNACE_NODE='${process.execPath}' exec '${options.entry}'`;
  writeAtomically(join(bin, "kubectl"), `#!/bin/sh\n${ours} kubectl "$@"\n`, 0o755);
  writeAtomically(join(bin, "pinnace"), `#!/bin/sh\n${ours} "$@"\n`, 0o755);
  // A node has a loopback of its own: from there the API server is asked at its address on the LAN.
  const server = node && plan.nodes.find(({ role }) => role === "control-plane")?.address;
  const kubeconfig = join(folder, node ? `kubeconfig-${node.name}` : "kubeconfig");
  const seen = server ? { ...plan, apiServer: { ...plan.apiServer, address: server, port: lanPort } } : plan;
  writeAtomically(kubeconfig, clusterKubeconfig(seen, readPki(paths)!), 0o600);

  const isTalking = command.length === 0;
  const inside = isTalking ? [process.env["SHELL"] ?? "/bin/sh"] : command;
  const [program = "", ...args] = node ? ["ip", "netns", "exec", nodeNetns(plan.name, node.name), ...inside] : inside;
  if (isTalking && process.stdin.isTTY)
    options.print(
      `${node ? `You are on ${node.name}, in` : "You are in"} cluster "${plan.name}". exit ends this shell.`,
    );
  const child = spawn(program, args, {
    stdio: "inherit",
    env: {
      ...process.env,
      PATH: `${bin}${delimiter}${process.env["PATH"] ?? ""}`,
      KUBECONFIG: kubeconfig,
      PINNACE_CLUSTER: plan.name,
    },
  });
  // What the user types is for the shell.
  const ignore = () => {};
  process.on("SIGINT", ignore);
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (code, signal) => resolve(code ?? 128 + (signal ? constants.signals[signal] : 0)));
    });
  } finally {
    process.off("SIGINT", ignore);
  }
}

/** Where the API server listens on the control plane's address. */
const lanPort = 6443;
