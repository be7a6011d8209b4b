/** What tcpdump sees while a test does something: on a node's interface, or on this machine's end of the LAN. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import type { TestCluster } from "./cluster-fixture.ts";

export interface Capture {
  /** Everything printed so far. */
  text(): string;
  stop(): Promise<void>;
}

/** Resolves when packets are being seen. `netns` is a namespace's name; absent, this machine's own. */
export async function capture(options: { netns?: string; link: string; filter: string }): Promise<Capture> {
  const { netns, link, filter } = options;
  const tcpdump = ["tcpdump", "-nnlt", "-i", link, filter];
  const [program, ...args] = netns ? ["ip", "netns", "exec", netns, ...tcpdump] : tcpdump;
  const child = spawn(program!, args);
  const closed = once(child, "close");
  let seen = "";
  let complaint = "";
  child.stdout.on("data", (chunk) => (seen += chunk));
  await new Promise<void>((resolve, reject) => {
    child.stderr.on("data", (chunk) => {
      complaint += chunk;
      if (complaint.includes("listening on")) resolve();
    });
    child.once("exit", () => reject(new Error(`tcpdump ended: ${complaint}`)));
  });
  return {
    text: () => seen,
    async stop() {
      child.kill();
      await closed;
    },
  };
}

/** Captures while `work` runs. */
export async function capturing<T>(
  options: Parameters<typeof capture>[0],
  work: (seen: () => string) => Promise<T>,
): Promise<T> {
  const running = await capture(options);
  try {
    return await work(running.text);
  } finally {
    await running.stop();
  }
}

/** The name of a pod's network namespace: a program of this machine that runs there is on the network what the pod is. */
export async function podNetns(cluster: TestCluster, pod: string, namespace = "default"): Promise<string> {
  const path = "jsonpath={.spec.nodeName}_{.metadata.uid}";
  return `pinnace-${cluster.name}.${await cluster.kubectl`get pod ${pod} -n ${namespace} -o ${path}`}`;
}
