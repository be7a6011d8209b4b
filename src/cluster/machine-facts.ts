/** Reads what a plan must respect: ranges and ports that are taken on this machine. */
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import type { MachineFacts } from "./config/plan-cluster.ts";
import { checkPrerequisites, missing } from "./prerequisites.ts";
import { clusterPaths, listClusters, readPlan } from "./state-folder.ts";

export async function readMachineFacts(home: string): Promise<MachineFacts> {
  const plans = listClusters(home).flatMap((name) => readPlan(clusterPaths(name, home)) ?? []);
  const takenPorts = new Set(plans.map((plan) => plan.apiServer.port));
  return {
    takenRanges: [...hostRoutes(), ...plans.map((plan) => plan.network.lan)],
    freeApiPort: await freePort(6443, takenPorts),
    canRunLocalNodes: missing(checkPrerequisites()).length === 0,
  };
}

/** Destinations of the host's IPv4 routes, but for the default route. */
function hostRoutes(): string[] {
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
    .map((fields) => `${addressOf(fields[1]!)}/${prefixLengthOf(fields[7]!)}`);
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
    server.once("error", () => resolve(false));
    server.listen(port, address, () => server.close(() => resolve(true)));
  });
}

async function freePort(first: number, taken: ReadonlySet<number>): Promise<number> {
  for (let port = first; port < first + 1000; port++) {
    if (!taken.has(port) && (await isPortFree(port))) return port;
  }
  throw new Error(
    `no free port between ${first} and ${first + 999}; name one as apiServer.port in the configuration file`,
  );
}
