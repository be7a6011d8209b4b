/** `pinnace status`: what runs of a cluster, for people and for scripts. */
import type { ClusterPlan } from "../config/cluster-config.ts";
import { clusterPaths, listClusters, readPlan, runningServer } from "../state-folder.ts";
import { defaultClusterName } from "./up.ts";

export interface ClusterStatus {
  name: string;
  /** `up`: usable. `starting`: the server runs but is not usable yet. `stopped`: pods may run, the server does not. */
  state: "up" | "starting" | "stopped";
  server?: { pid: number; version: string };
  apiServer: string;
  kubeconfig: string;
  nodes: { name: string; address: string; role: string; kind: string }[];
}

export interface StatusOptions {
  name?: string;
  output: string;
  print(line: string): void;
}

/** Resolves to the exit code: 0 when the cluster is up, 1 otherwise. */
export async function status({ name = defaultClusterName, output, print }: StatusOptions): Promise<number> {
  if (output !== "text" && output !== "json") throw new Error(`unknown output format "${output}"; use text or json`);
  const plan = readPlan(clusterPaths(name));
  if (!plan) {
    const others = listClusters();
    const hint = others.length > 0 ? `there are: ${others.join(", ")}` : `"pinnace up --name ${name}" makes one`;
    throw new Error(`there is no cluster "${name}" on this machine; ${hint}`);
  }
  const found = statusOf(plan);
  if (output === "json") print(JSON.stringify(found, null, 2));
  else printStatus(found, print);
  return found.state === "up" ? 0 : 1;
}

function statusOf(plan: ClusterPlan): ClusterStatus {
  const paths = clusterPaths(plan.name);
  const server = runningServer(paths);
  return {
    name: plan.name,
    state: !server ? "stopped" : server.usable ? "up" : "starting",
    ...(server ? { server: { pid: server.pid, version: server.version } } : {}),
    apiServer: `https://${plan.apiServer.address}:${plan.apiServer.port}`,
    kubeconfig: paths.kubeconfig,
    nodes: plan.nodes.map(({ name, address, role, kind }) => ({ name, address, role, kind })),
  };
}

function printStatus(found: ClusterStatus, print: (line: string) => void): void {
  const server = found.server ? `, server process ${found.server.pid}` : "";
  print(`Cluster "${found.name}" is ${found.state}${server}, API at ${found.apiServer}.`);
  for (const node of found.nodes)
    print(
      `  ${node.name.padEnd(20)} ${node.address.padEnd(15)} ${node.role}${node.kind === "simulated" ? ", simulated" : ""}`,
    );
  if (found.state === "stopped")
    print(
      `Its pods may still run. "pinnace up --name ${found.name}" brings it back, "pinnace down --name ${found.name}" ends it.`,
    );
}
