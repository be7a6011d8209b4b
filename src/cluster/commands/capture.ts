/** `pinnace capture`: packets on a node or in a pod as tcpdump shows them, with names beside the addresses. */
import { readFileSync } from "node:fs";
import { findProgram } from "../../base/node/find-program.ts";
import { inNetns, spawnIn } from "../../base/node/netns.ts";
import { annotate, namesOf, readTranslations, type Translation } from "../../inspect/annotate-packets.ts";
import { readWorld } from "../../inspect/gather.ts";
import { isIn } from "../../inspect/route.ts";
import type { World } from "../../inspect/world.ts";
import { adminClient } from "../admin-client.ts";
import { clusterPaths, readPki } from "../state-folder.ts";
import { machineOf, runningPlan } from "./why.ts";

export interface CaptureOptions {
  name?: string;
  namespace?: string;
  /** End after so many packets. */
  count?: number;
  print(line: string): void;
}

/** `where` is NODE or pod/NAME. Resolves to tcpdump's exit code when it ends: interrupted, or after `count` packets. */
export async function capture(where: string, filter: readonly string[], options: CaptureOptions): Promise<number> {
  const { namespace = "default", count, print } = options;
  if (!findProgram("tcpdump"))
    throw new Error("tcpdump is not on this machine; Debian and Ubuntu: apt-get install tcpdump");
  const plan = runningPlan(options.name);
  const machine = machineOf(plan);
  const client = await adminClient(plan, readPki(clusterPaths(plan.name))!);
  try {
    let world = await readWorld(client.api, machine.network, namespace);
    const { netns, node, place } = find(where, namespace, world, machine);
    let names = namesOf(world);
    const args = ["-n", "-l", "-i", "any", ...(count === undefined ? [] : ["-c", String(count)]), ...filter];
    const child = spawnIn(netns, "tcpdump", args, { stdio: ["ignore", "pipe", "pipe"] });
    const stop = () => void child.kill("SIGINT");
    process.once("SIGINT", stop).once("SIGTERM", stop);
    let rest = "";
    const known = new Map<string, Translation>();
    let isAsking = false;
    child.stdout?.on("data", (chunk: Buffer) => {
      const lines = (rest + chunk.toString()).split("\n");
      rest = lines.pop() ?? "";
      // Once a batch: what has just been rewritten is in the table by now.
      for (const one of translationsIn(node))
        known.set(`${one.source} ${one.sourcePort} ${one.destination} ${one.port}`, one);
      const translations = [...known.values()];
      for (const line of lines) print(annotate(line, names, translations));
      if (isAsking || !lines.some((line) => isUnknownPod(line, names, world))) return;
      isAsking = true;
      void readWorld(client.api, machine.network, namespace)
        .then((found) => {
          world = found;
          names = namesOf(found);
        })
        .catch(() => {})
        .finally(() => {
          isAsking = false;
        });
    });
    let complaint = "";
    child.stderr?.on("data", (chunk: Buffer) => {
      complaint += chunk.toString();
      if (chunk.includes("listening on")) process.stderr.write(`Listening on ${place}; Ctrl+C ends it.\n`);
    });
    const code = await new Promise<number>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (exitCode) => resolve(exitCode ?? 0));
    });
    process.off("SIGINT", stop).off("SIGTERM", stop);
    if (code !== 0) throw new Error(`tcpdump: ${complaint.trim().split("\n").at(-1) ?? ""}`);
    return code;
  } finally {
    await client.close();
  }
}

/** `node` is whose connections are looked up: a pod's packets are rewritten by its node. */
function find(where: string, namespace: string, world: World, machine: ReturnType<typeof machineOf>) {
  const [kind, name = ""] = where.split("/");
  if (kind === "pod" || kind === "pods" || kind === "po") {
    const pod = world.pods.find(({ metadata }) => metadata.name === name && metadata.namespace === namespace);
    if (!pod) throw new Error(`there is no pod ${name} in namespace ${namespace}`);
    const netns = machine.podNetns(pod);
    const node = pod.spec.nodeName && machine.nodeNetns(pod.spec.nodeName);
    if (!netns || !node)
      throw new Error(`pod ${name} has no network on this machine: it does not run, or its node is simulated`);
    return { netns, node, place: `pod ${namespace}/${name}` };
  }
  const nodeName = kind === "node" && name ? name : where;
  if (!world.nodes.some(({ metadata }) => metadata.name === nodeName))
    throw new Error(
      `there is no node ${nodeName}; there are: ${world.nodes.map(({ metadata }) => metadata.name).join(", ")}`,
    );
  const netns = machine.nodeNetns(nodeName);
  if (!netns) throw new Error(`node ${nodeName} is simulated: it has no packets`);
  return { netns, node: netns, place: `node ${nodeName}` };
}

function translationsIn(node: string): Translation[] {
  try {
    return readTranslations(inNetns(node, () => readFileSync("/proc/thread-self/net/nf_conntrack", "utf8")));
  } catch {
    return []; // A kernel without this file: names stay, rewritten destinations are not shown.
  }
}

/** An address of the pod range that nobody is known by: somebody has come since. */
function isUnknownPod(line: string, names: ReadonlyMap<string, string>, { network }: World): boolean {
  // tcpdump puts the port behind a dot.
  const found = [...line.matchAll(/\d+\.\d+\.\d+\.\d+|[0-9a-f]*:[0-9a-f:]*:[0-9a-f]*/g)];
  return found.some(([address]) => !names.has(address) && network.podCIDRs.some((block) => isIn(block, address)));
}
