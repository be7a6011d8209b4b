/** Reads what a plan must respect: ranges and ports that are taken on this machine. */
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { missingForContainerd } from "../kubelet/runtime/cri/containerd-programs.ts";
import { readClaims } from "./cluster-lock.ts";
import type { ClusterConfig } from "./config/cluster-config.ts";
import type { MachineFacts } from "./config/plan-cluster.ts";
import { checkPrerequisites, missing } from "./prerequisites.ts";
import { clusterPaths, listClusters, readPlan } from "./state-folder.ts";

/** `wanted` is where the configuration wants the API server. */
export async function readMachineFacts(home: string, wanted: ClusterConfig["apiServer"] = {}): Promise<MachineFacts> {
  const plans = listClusters(home).flatMap((name) => readPlan(clusterPaths(name, home)) ?? []);
  const claims = readClaims();
  const takenPorts = new Map<number, string>([
    ...claims.ports.map((port) => [port, "a cluster that is starting"] as const),
    ...plans.map((plan) => [plan.apiServer.port, `cluster "${plan.name}"`] as const),
  ]);
  if (wanted.port && !takenPorts.has(wanted.port) && !(await isPortFree(wanted.port, wanted.address)))
    takenPorts.set(wanted.port, "another program");
  const routes = hostRoutes();
  return {
    takenRanges: [...routes.map(({ range }) => range), ...plans.map((plan) => plan.network.lan), ...claims.lans],
    neighbours: [
      ...plans.map(({ name, network }) => ({ range: network.lan, owner: `the LAN of cluster "${name}"` })),
      ...routes
        .filter(({ isDirect }) => isDirect)
        .map(({ range, link }) => ({ range, owner: `a network of this machine (${link})` })),
    ],
    takenPorts,
    freeApiPort: await freePort(6443, takenPorts),
    canRunLocalNodes: missing(checkPrerequisites()).length === 0,
    missingForContainerd: missingForContainerd(),
    hasIpv6: existsSync("/proc/net/if_inet6"),
  };
}

interface Route {
  range: string;
  link: string;
  /** Not through a gateway: the range is a network that this machine is on. */
  isDirect: boolean;
}

/** Destinations of the host's IPv4 routes, but for the default route. */
function hostRoutes(): Route[] {
  let table: string;
  try {
    table = readFileSync("/proc/net/route", "utf8");
  } catch {
    return [];
  }
  return table
    .trim()
    .split("\n")
    .slice(1)
    .map((line) => line.split("\t"))
    .filter((fields) => fields[1] !== "00000000")
    .map((fields) => ({
      range: `${addressOf(fields[1]!)}/${prefixLengthOf(fields[7]!)}`,
      link: fields[0]!,
      isDirect: fields[2] === "00000000",
    }));
}

/** The kernel prints addresses as little-endian hexadecimal numbers. */
function addressOf(hex: string): string {
  return Buffer.from(hex, "hex").reverse().join(".");
}

function prefixLengthOf(hexMask: string): number {
  return Number.parseInt(hexMask, 16).toString(2).replaceAll("0", "").length;
}

/** Whether something could listen on the port now. */
export function isPortFree(port: number, address = "127.0.0.1"): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    // An address that is not this machine's is the server's to complain about.
    server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code !== "EADDRINUSE"));
    server.listen(port, address, () => server.close(() => resolve(true)));
  });
}

async function freePort(first: number, taken: ReadonlyMap<number, string>): Promise<number> {
  for (let port = first; port < first + 1000; port++) {
    if (!taken.has(port) && (await isPortFree(port))) return port;
  }
  throw new Error(
    `no free port between ${first} and ${first + 999}; name one as apiServer.port in the configuration file`,
  );
}
