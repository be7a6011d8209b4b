/** Every word that `kubectl get pods` can show under STATUS, brought about for real and read through kubectl. */
import { type ChildProcess, spawn } from "node:child_process";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeCluster, eventually } from "../src/testing/cluster-fixture.ts";

interface Case {
  /** In the order in which they must have been seen; words between them do not matter. */
  words: string[];
  spec: string;
}

const sleeper = "[sh, -c, 'trap \"exit 0\" TERM; while true; do sleep 0.1; done']";
const busybox = (command: string, more = "") => `{name: main, image: busybox, command: ${command}${more}}`;

const cases: Record<string, Case> = {
  pending: { words: ["Pending"], spec: `nodeSelector: {nowhere: "true"}, containers: [${busybox(sleeper)}]` },
  creating: {
    words: ["ContainerCreating"],
    spec: `containers: [${busybox(sleeper, ", volumeMounts: [{name: late, mountPath: /late}]")}], volumes: [{name: late, configMap: {name: never}}]`,
  },
  running: { words: ["Running"], spec: `containers: [${busybox(sleeper)}]` },
  completed: { words: ["Completed"], spec: `restartPolicy: Never, containers: [${busybox("['true']")}]` },
  error: { words: ["Error"], spec: `restartPolicy: Never, containers: [${busybox("[sh, -c, exit 3]")}]` },
  crashing: { words: ["Error", "CrashLoopBackOff"], spec: `containers: [${busybox("[sh, -c, exit 3]")}]` },
  "oom-killed": {
    words: ["OOMKilled"],
    spec: `restartPolicy: Never, containers: [${busybox(
      "[sh, -c, 'x=$(dd if=/dev/zero bs=1M count=200 | tr \"\\\\0\" x); echo $x | wc -c']",
      ", resources: {limits: {memory: 20Mi}}",
    )}]`,
  },
  init: {
    words: ["Init:0/1", "PodInitializing", "Running"],
    spec: `initContainers: [{name: first, image: busybox, command: [sleep, '1']}], containers: [${busybox(sleeper)}]`,
  },
  "init-error": {
    words: ["Init:Error"],
    spec: `restartPolicy: Never, initContainers: [{name: first, image: busybox, command: ['false']}], containers: [${busybox(sleeper)}]`,
  },
  "init-crashing": {
    words: ["Init:CrashLoopBackOff"],
    spec: `initContainers: [{name: first, image: busybox, command: ['false']}], containers: [${busybox(sleeper)}]`,
  },
  "no-image": {
    words: ["ErrImagePull", "ImagePullBackOff"],
    spec: "containers: [{name: main, image: '127.0.0.1:1/nowhere:1'}]",
  },
  "never-pull": {
    words: ["ErrImageNeverPull"],
    spec: "containers: [{name: main, image: 'nowhere.example/absent:1', imagePullPolicy: Never}]",
  },
  "bad-name": { words: ["InvalidImageName"], spec: "containers: [{name: main, image: 'No Such::Name'}]" },
  "config-error": {
    words: ["CreateContainerConfigError"],
    spec: `containers: [${busybox(sleeper, ", env: [{name: A, valueFrom: {configMapKeyRef: {name: never, key: a}}}]")}]`,
  },
  "run-error": { words: ["RunContainerError"], spec: `containers: [${busybox("[/no/such/program]")}]` },
  deadline: {
    words: ["Running", "DeadlineExceeded"],
    spec: `activeDeadlineSeconds: 2, terminationGracePeriodSeconds: 1, containers: [${busybox(sleeper)}]`,
  },
  evicted: {
    words: ["Evicted"],
    spec: `restartPolicy: Never, containers: [${busybox(
      "[sh, -c, 'dd if=/dev/zero of=/cache/big bs=1M count=4; sleep 1000']",
      ", volumeMounts: [{name: cache, mountPath: /cache}]",
    )}], volumes: [{name: cache, emptyDir: {sizeLimit: 1Mi}}]`,
  },
  "half-done": {
    words: ["NotReady"],
    spec: `restartPolicy: OnFailure, containers: [${busybox("['true']")}, {name: other, image: busybox, command: ${sleeper}}]`,
  },
  refused: {
    words: ["NodeAffinity"],
    spec: `nodeName: NODE, nodeSelector: {no: such}, containers: [${busybox(sleeper)}]`,
  },
  stubborn: {
    words: ["Running", "Terminating"],
    spec: `terminationGracePeriodSeconds: 2, containers: [${busybox("[sh, -c, 'trap \"\" TERM; while true; do sleep 0.1; done']")}]`,
  },
};

describeCluster("STATUS", { nodes: 1 }, (cluster) => {
  let watching: ChildProcess;
  const seen = new Map<string, string[]>();

  beforeAll(async () => {
    const environment = { ...process.env, KUBECONFIG: cluster.kubeconfig };
    watching = spawn("kubectl", ["get", "pods", "--watch", "--no-headers"], { env: environment });
    let rest = "";
    watching.stdout?.setEncoding("utf8").on("data", (text: string) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const [name = "", , word = ""] = line.split(/\s+/);
        seen.set(name, [...(seen.get(name) ?? []), word]);
      }
    });
    const node = (await cluster.kubectl`get nodes -o ${"jsonpath={.items[0].metadata.name}"}`).trim();
    const manifests = Object.entries(cases).map(
      ([name, { spec }]) =>
        `apiVersion: v1\nkind: Pod\nmetadata: {name: ${name}}\nspec: {${spec.replace("NODE", node)}}`,
    );
    await cluster.apply(manifests.join("\n---\n"));
    await eventually(
      async () => seen.get("stubborn"),
      (words) => expect(words).toContain("Running"),
    );
    await cluster.kubectl`delete pod stubborn --wait=false`;
  }, 60_000);

  afterAll(() => {
    watching.kill();
  });

  test.each(Object.entries(cases))("%s", async (name, { words }) => {
    await eventually(
      async () => seen.get(name) ?? [],
      (all) => {
        let at = -1;
        for (const word of words) {
          const next = all.indexOf(word, at + 1);
          expect(next, `${word} in ${all.join(", ")}`).toBeGreaterThan(at);
          at = next;
        }
      },
    );
  });

  test("Unknown: one that is deleted while its node was given up for lost", async () => {
    await cluster.apply(
      `apiVersion: v1\nkind: Pod\nmetadata: {name: lost}\nspec: {nodeName: no-such-node, containers: [${busybox(sleeper)}]}`,
    );
    // As the node controller's clients have it: nobody runs a kubelet there.
    await cluster.kubectl`patch pod lost --subresource=status -p ${'{"status": {"reason": "NodeLost"}}'}`;
    await cluster.kubectl`delete pod lost --wait=false`;
    expect(await cluster.kubectl`get pod lost --no-headers`).toMatch(/^lost +0\/1 +Unknown /);
    await cluster.kubectl`delete pod lost --force --grace-period=0`;
  });

  test("one that ignores SIGTERM is gone when its grace is over", async () => {
    await eventually(
      () => cluster.kubectlRaw(["get", "pod", "stubborn"]),
      ({ stderr }) => expect(stderr).toContain('pods "stubborn" not found'),
    );
  });
});
