/** `pinnace demo`, which is `npm start`: from nothing to a Service whose traffic one can watch being shared out. */
import { spawn } from "node:child_process";
import { get as httpGet } from "node:http";
import type { Deployment } from "../../api/apps/v1.ts";
import type { Service } from "../../api/core/v1.ts";
import type { Resource } from "../../api/resource.ts";
import { Deployments, Services } from "../../api/resources.ts";
import { apiVersionOf } from "../../apimachinery/group-version.ts";
import { sleep } from "../../base/clock.ts";
import { systemClock } from "../../base/node/system-clock.ts";
import type { Client } from "../../client/client.ts";
import { adminClient } from "../admin-client.ts";
import type { ClusterPlan } from "../config/cluster-config.ts";
import { checkPrerequisites, installationPlan, missing } from "../prerequisites.ts";
import { clusterPaths, readPki, runningServer } from "../state-folder.ts";
import { defaultClusterName, up } from "./up.ts";

export interface DemoOptions {
  name?: string;
  entry: string;
  print(line: string): void;
}

const namespace = "default";
const labels = { app: "echo" };
const replicas = 3;
const nodePort = 30080;
const requests = 30;

export async function demo(options: DemoOptions): Promise<void> {
  const { print } = options;
  await installMissingPrograms(print);
  const name = options.name ?? defaultClusterName;
  const isUp = runningServer(clusterPaths(name)) !== undefined;
  const since = systemClock.now();
  const plan = await up({ name, entry: options.entry, print });
  const nodes = plan.nodes.map((node) => node.name).join(", ");
  if (!isUp) print(`Cluster "${name}" is up after ${seconds(systemClock.now() - since)}: ${nodes}.`);
  const client = await adminClient(plan, readPki(clusterPaths(plan.name))!);
  try {
    await deployEcho(client.api, print);
    await showTraffic(plan, print);
  } finally {
    await client.close();
  }
  printNextSteps(plan, print);
}

async function installMissingPrograms(print: (line: string) => void): Promise<void> {
  const lacking = missing(checkPrerequisites());
  if (lacking.length === 0) return;
  print("This machine lacks what nodes with real containers need:");
  for (const item of lacking) print(`  ${item.name}: ${item.purpose}`);
  const plan = installationPlan();
  if (!plan) return;
  if (process.getuid?.() !== 0) {
    print(`Install it with: sudo ${plan.command}`);
    return;
  }
  if (plan.refresh) await runShown(plan.refresh, print);
  await runShown(plan.command, print);
}

function runShown(command: string, print: (line: string) => void): Promise<void> {
  print(`$ ${command}`);
  const [program = "", ...args] = command.split(" ");
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: ["ignore", "ignore", "inherit"],
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    });
    child.once("error", reject);
    child.once("exit", (code) =>
      code === 0 ? resolve() : reject(new Error(`"${command}" failed with exit code ${code}`)),
    );
  });
}

async function deployEcho(api: Client, print: (line: string) => void): Promise<void> {
  const since = systemClock.now();
  await apply(api, Deployments, {
    replicas,
    selector: { matchLabels: labels },
    template: {
      metadata: { labels },
      spec: { containers: [{ name: "echo", image: "pinnace.local/echo:1", ports: [{ containerPort: 8080 }] }] },
    },
  });
  await apply(api, Services, {
    type: "NodePort",
    selector: labels,
    ports: [{ port: 80, targetPort: 8080, nodePort }],
  });
  await untilReady(api);
  print(
    `Deployment "echo" has ${replicas} pods ready after ${seconds(systemClock.now() - since)}, behind Service "echo" on node port ${nodePort}.`,
  );
}

/** An earlier demo may have been here. */
async function apply<T extends Deployment | Service>(
  api: Client,
  resource: Resource<T>,
  spec: Partial<T["spec"]>,
): Promise<void> {
  const metadata = { name: "echo", namespace, labels };
  const body = { apiVersion: apiVersionOf(resource), kind: resource.kind, metadata, spec };
  await api.patch(resource, metadata, { type: "apply", body, force: true });
}

async function untilReady(api: Client): Promise<void> {
  const isReady = (count: number | undefined) => (count ?? 0) >= replicas;
  const { items, metadata } = await api.list(Deployments, { namespace, fieldSelector: "metadata.name=echo" });
  if (items.some((item) => isReady(item.status.readyReplicas))) return;
  await new Promise<void>((resolve, reject) => {
    const options = { namespace, fieldSelector: "metadata.name=echo", resourceVersion: metadata.resourceVersion };
    const watching = api.watch(Deployments, options, (events) => {
      for (const event of events) {
        if (event.type !== "BOOKMARK" && isReady(event.object.status.readyReplicas)) {
          resolve();
          void watching.then((handle) => handle.stop());
        }
      }
    });
    watching.then((handle) => handle.closed).catch(reject);
  });
}

async function showTraffic(plan: ClusterPlan, print: (line: string) => void): Promise<void> {
  const workers = plan.nodes.filter((node) => node.kind === "local");
  if (workers.length === 0) {
    print("The nodes are simulated: there is no traffic to show.");
    return;
  }
  print(`\n${requests} requests from this machine, in turn to each node's address:`);
  const answers = new Map<string, number>();
  for (let i = 0; i < requests; i++) {
    const { address } = workers[i % workers.length]!;
    const answer = await ask(`http://${address}:${nodePort}/`);
    answers.set(answer, (answers.get(answer) ?? 0) + 1);
  }
  for (const [answer, count] of [...answers].sort()) print(`  ${answer.padEnd(36)} ${"█".repeat(count)} ${count}`);
}

/** The first line of the answer; tries again for a second while the rules are being programmed. */
async function ask(url: string): Promise<string> {
  for (let attempt = 0; ; attempt++) {
    try {
      return (await fetchText(url)).trim().split("\n")[0] ?? "";
    } catch (error) {
      if (attempt >= 50) throw new Error(`no answer from ${url}`, { cause: error });
      await sleep(systemClock, 20);
    }
  }
}

function fetchText(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    // A connection a request: the kernel chooses a pod for each connection.
    const request = httpGet(url, { agent: false, timeout: 2000 }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => (text += chunk));
      response.on("end", () => resolve(text));
    });
    request.on("timeout", () => request.destroy(new Error("timed out")));
    request.on("error", reject);
  });
}

function printNextSteps(plan: ClusterPlan, print: (line: string) => void): void {
  const local = plan.nodes.find((node) => node.kind === "local");
  const suffix = plan.name === "pinnace" ? "" : ` --name ${plan.name}`;
  print("\nTry next:");
  print("  kubectl get all -o wide");
  print("  kubectl scale deployment echo --replicas=10");
  print(`  npx pinnace map${suffix}   # who serves whom`);
  if (local) {
    print(`  npx pinnace why svc/echo${suffix}   # a request, followed step by step`);
    print("  npx pinnace lab list   # exercises, each with a cluster of its own");
    print(`  curl http://${local.address}:${nodePort}`);
    print("  kubectl run tmp --rm -it --image=busybox --restart=Never -- sh   # then: wget -q -O - http://echo");
    print(`  ip netns exec pinnace-${plan.name}.${local.name} nft list ruleset`);
  }
  print(`  npx pinnace down${suffix}`);
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}
