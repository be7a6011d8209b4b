/** The server may die at any moment: pods go on, Services go on, and `up` brings the same cluster back. */
import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { systemRandom } from "../src/base/node/system-random.ts";
import { describeCluster, eventually } from "../src/testing/cluster-fixture.ts";

const web = `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 2
  selector:
    matchLabels: { app: web }
  template:
    metadata:
      labels: { app: web }
    spec:
      containers:
      - name: echo
        image: pinnace.local/echo:1
---
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  type: NodePort
  selector: { app: web }
  ports:
  - port: 80
    targetPort: 8080
    nodePort: 30080
`;

/** Asks for the Service by its name without pause and writes down what came of it. */
const asker = `
apiVersion: v1
kind: Pod
metadata:
  name: asker
spec:
  containers:
  - name: asker
    image: busybox
    command: [sh, -c, "while :; do curl -s --max-time 5 -o /dev/null http://web && echo answered || echo failed; sleep 0.05; done"]
`;

/** One that counts, and one that crashes beside a container that sees how often. */
const streaming = `
apiVersion: v1
kind: Pod
metadata: {name: talker}
spec:
  containers:
  - {name: main, image: busybox, command: [sh, -c, "i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done"]}
---
apiVersion: v1
kind: Pod
metadata: {name: crasher}
spec:
  volumes: [{name: runs, emptyDir: {}}]
  containers:
  - {name: witness, image: busybox, command: [sleep, "100000"], volumeMounts: [{name: runs, mountPath: /runs}]}
  - name: main
    image: busybox
    command: [sh, -c, "echo run >> /runs/log; sleep 2; exit 3"]
    volumeMounts: [{name: runs, mountPath: /runs}]
`;

const onceAndStaying = (round: number) => `
apiVersion: v1
kind: Pod
metadata: {name: once-${round}, labels: {kind: once}}
spec:
  restartPolicy: Never
  containers: [{name: main, image: busybox, command: [sh, -c, "sleep 0.3; exit 41"]}]
---
apiVersion: v1
kind: Pod
metadata: {name: stays-${round}, labels: {kind: stays}}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: main, image: busybox, command: [sleep, "100000"]}]
`;

/** How many containers are held on the machine for this home. */
function conmons(home: string): number {
  return readdirSync("/proc").filter((name) => {
    if (!/^\d+$/.test(name)) return false;
    try {
      const [program = "", ...args] = readFileSync(`/proc/${name}/cmdline`, "utf8").split("\0");
      return program.endsWith("conmon") && args.some((arg) => arg.includes(home)) && !args.includes("--exec");
    } catch {
      return false; // It has just ended.
    }
  }).length;
}

describeCluster("a server killed with SIGKILL", {}, (cluster) => {
  const statusOf = async () => JSON.parse(await cluster.pinnace("status", "-o", "json"));

  test("leaves pods running and Services answering, and comes back to the same cluster", async () => {
    await cluster.apply(web);
    await cluster.kubectl`rollout status deployment/web --timeout=60s`;
    await cluster.kubectl`create configmap kept --from-literal=a=1`;
    const identity =
      "jsonpath={range .items[*]}{.metadata.uid} {.status.containerStatuses[0].containerID} {.status.containerStatuses[0].restartCount}{'\\n'}{end}";
    const before = await cluster.kubectl`get pods -l app=web -o ${identity}`;
    const { server, nodes } = await statusOf();
    const worker = nodes.find((node: { role: string }) => node.role === "worker").address;
    const answer = () => cluster.host("curl", "-s", "--max-time", "2", `http://${worker}:30080`);
    await eventually(answer, (text) => expect(text).toContain("web-"));

    await cluster.apply(asker);
    await eventually(
      () => cluster.kubectl`logs asker`,
      (text) => expect(text).toMatch(/answered\n$/),
    );
    const address = await cluster.kubectl`get service web -o ${"jsonpath={.spec.clusterIP}"}`;
    const dns = await cluster.kubectl`get service kube-dns -n kube-system -o ${"jsonpath={.spec.clusterIP}"}`;
    const namespace = ["ip", "netns", "exec", `pinnace-${cluster.name}.worker-1`] as const;
    const resolve = (...flags: string[]) =>
      cluster.host(...namespace, "dig", `@${dns}`, "+short", "+tries=1", ...flags, "web.default.svc.cluster.local");

    process.kill(server.pid, "SIGKILL");
    for (let i = 0; i < 10; i++) {
      expect(await answer()).toContain("web-");
      expect(await resolve()).toBe(`${address}\n`);
    }
    expect(await resolve("+tcp")).toBe(`${address}\n`);

    await cluster.pinnace("up");
    expect(await resolve()).toBe(`${address}\n`);
    expect(await cluster.kubectl`logs asker`).not.toContain("failed");
    expect(await cluster.kubectl`get configmap kept -o ${"jsonpath={.data.a}"}`).toBe("1");
    expect(await cluster.kubectl`get pods -l app=web -o ${identity}`).toBe(before);
    expect((await statusOf()).server.pid).not.toBe(server.pid);
    expect(await answer()).toContain("web-");
  });

  test("finishes what was half done when it is back", async () => {
    const { server } = await statusOf();
    await cluster.kubectl`scale deployment/web --replicas=4`;
    process.kill(server.pid, "SIGKILL");
    await cluster.pinnace("up");
    await cluster.kubectl`rollout status deployment/web --timeout=60s`;
    expect(await cluster.kubectl`get deployment web -o ${"jsonpath={.status.readyReplicas}"}`).toBe("4");
  });

  test("killed again and again while pods start, stop and stream: nothing is lost, doubled or left behind", async () => {
    const { kubectl } = cluster;
    await cluster.apply(streaming);
    await kubectl`wait --for=condition=Ready pod/talker pod/crasher --timeout=60s`;
    const talker = "jsonpath={.metadata.uid} {.status.containerStatuses[0].containerID}";
    const before = await kubectl`get pod talker -o ${talker}`;
    const rounds = 5;
    for (let round = 0; round < rounds; round++) {
      await cluster.apply(onceAndStaying(round));
      if (round > 0) await kubectl`delete pod stays-${round - 1} --wait=false`;
      const streams = [
        ["logs", "-f", "talker", "--tail=1"],
        ["exec", "-i", "talker", "--", "cat"],
        ["attach", "talker"],
        ["port-forward", "talker", `${40_000 + (process.pid % 10_000)}:1`],
      ].map((args) => stream(args));
      await Promise.all(streams.map(({ began }) => began));
      // Somewhere between the pods' creation and their being settled.
      await new Promise((resolve) => setTimeout(resolve, systemRandom.int(400)));
      process.kill((await statusOf()).server.pid, "SIGKILL");
      // port-forward waits for connections, and learns of the end with the next.
      streams.at(-1)!.child.kill();
      await Promise.all(streams.map(({ ended }) => ended));
      await cluster.pinnace("up");
    }
    const exits =
      "jsonpath={range .items[*]}{.status.phase} {.status.containerStatuses[0].state.terminated.exitCode} {.status.containerStatuses[0].restartCount}{'\\n'}{end}";
    await eventually(
      () => kubectl`get pods -l kind=once -o ${exits}`,
      (text) => expect(text).toBe("Failed 41 0\n".repeat(rounds)),
    );
    await eventually(
      () =>
        kubectl`get pods -l kind=stays -o ${"jsonpath={range .items[*]}{.metadata.name} {.status.phase}{'\\n'}{end}"}`,
      (text) => expect(text).toBe(`stays-${rounds - 1} Running\n`),
    );
    // The talker has never been disturbed: it counts on, and every number is in its log once.
    expect(await kubectl`get pod talker -o ${talker}`).toBe(before);
    const numbers = (await kubectl`logs talker`).trim().split("\n").map(Number);
    expect(numbers.length).toBeGreaterThan(rounds);
    expect(numbers).toEqual(numbers.map((_, i) => i + 1));
    // What was executed in it ended with its stream.
    await eventually(
      () => kubectl`exec talker -- ps -o args`,
      (text) => expect(text).not.toMatch(/^cat$/m),
    );
    // Its neighbour crashed at its own pace: as many restarts as runs but the first, each with its exit code.
    await eventually(
      async () => {
        const runs = (await kubectl`exec crasher -c witness -- cat /runs/log`).trim().split("\n").length;
        const status =
          await kubectl`get pod crasher -o ${"jsonpath={range .status.containerStatuses[?(@.name=='main')]}{.restartCount} {.state.terminated.exitCode}{.lastState.terminated.exitCode}{end}"}`;
        return { runs, status };
      },
      ({ runs, status }) => expect(status).toMatch(new RegExp(`^${runs - 1} 3`)),
    );
    // As many containers are held on the machine as the API says run.
    await eventually(
      async () => ({
        held: conmons(cluster.home),
        running: (
          await kubectl`get pods -A -o ${"jsonpath={range .items[*]}{range .status.containerStatuses[*]}{.state.running.startedAt}{'\\n'}{end}{end}"}`
        )
          .split("\n")
          .filter(Boolean).length,
      }),
      ({ held, running }) => expect(held).toBe(running),
    );
    await kubectl`delete pod talker crasher stays-${rounds - 1} --now`;
  }, 180_000);

  /** A kubectl whose stream is open: it has said something. */
  function stream(args: readonly string[]) {
    const child = spawn("kubectl", args, { env: { ...process.env, KUBECONFIG: cluster.kubeconfig } });
    const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
    const spoke = new Promise<void>((resolve) => child.stdout.once("data", () => resolve()));
    child.stdin.on("error", () => {});
    if (args[0] === "exec") child.stdin.write("hello\n");
    return { child, ended, began: Promise.race([spoke, ended]) };
  }

  test("a second up of a running cluster says so and changes nothing", async () => {
    const { server } = await statusOf();
    expect(await cluster.pinnace("up")).toContain(`already up (process ${server.pid})`);
    expect((await statusOf()).server.pid).toBe(server.pid);
  });
});
