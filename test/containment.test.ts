/** What a container must not reach, by tests that try; and a node full of pods. */
import { randomUUID } from "node:crypto";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { canRunContainerd } from "../src/kubelet/runtime/cri/containerd.fixture.ts";
import { describeCluster, eventually } from "../src/testing/cluster-fixture.ts";

/** Each exits with 0 when it got where it should not. */
const attempts: Record<string, string> = {
  "a file of the machine": "cat $SECRET_FILE",
  "a file of the machine, through the root of the first process": "cat /proc/1/root$SECRET_FILE",
  "the machine's processes": "[ $(ls -d /proc/[0-9]* | wc -l) -gt 8 ]",
  "the namespaces of the machine's first process": "nsenter -t 1 -m -n -- cat $SECRET_FILE",
  "a new mount": "mkdir -p /tmp/m && mount -t tmpfs none /tmp/m",
  "the machine's disk, by a device of one's own making": "mknod /tmp/disk b 259 0 && head -c 1 /tmp/disk",
  "the machine's memory": "mknod /tmp/mem c 1 1 && head -c 1 /tmp/mem",
  "a kernel setting": "echo 1 > /proc/sys/kernel/panic",
  "the magic keys": "echo h > /proc/sysrq-trigger",
  "the kernel's memory image": "[ $(head -c 16 /proc/kcore | wc -c) -gt 0 ]",
  "the way out of a control group":
    'f=$(find /sys/fs/cgroup -name release_agent | head -1); [ -n "$f" ] && echo /tmp/x > $f',
  "a higher limit of its own":
    "f=$(find /sys/fs/cgroup -name memory.limit_in_bytes -o -name memory.max | head -1); echo 9999999999 > $f",
  "the host name": "hostname taken",
  "a root above its own": "mkdir -p /tmp/r && chroot /tmp/r true; cd / && cat ../../../../../..$SECRET_FILE",
  "another pod's log": "cat /var/log/pods/*",
  "the server's keys": "cat $STATE/pki/pki.json",
  "another pod's volumes, by their path on the machine": "ls $STATE/nodes/pinnace/pods",
  "the container runtime's socket": "[ -S $STATE/nodes/containerd/containerd/c.sock ] || ls $STATE/.run",
  "the kubelet, without a proof of who asks": "curl -sfk -m 3 https://$NODE:10250/pods",
};

/** The built-in runtime confines as containerd does: both nodes' pods try the same. */
const runtimes = canRunContainerd ? ["pinnace", "containerd"] : ["pinnace"];
const config = `nodes:
- { name: pinnace, role: control-plane, taints: [] }
${canRunContainerd ? "- { name: containerd, containerRuntime: containerd }" : ""}`;

describeCluster("what a container must not reach", { config }, (cluster) => {
  const secretFile = `/run/pnt-secret-${process.pid}`;
  const secret = randomUUID();

  beforeAll(async () => {
    writeFileSync(secretFile, secret, { mode: 0o644 });
    const env = [
      { name: "SECRET_FILE", value: secretFile },
      { name: "STATE", value: join(cluster.home, "clusters", cluster.name) },
      { name: "NODE", valueFrom: { fieldRef: { fieldPath: "status.hostIP" } } },
    ];
    const intruders = runtimes.map((nodeName) => ({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: `intruder-in-${nodeName}`, labels: { app: "intruder" } },
      spec: {
        nodeName,
        terminationGracePeriodSeconds: 0,
        containers: [
          { name: "c", image: "busybox", imagePullPolicy: "IfNotPresent", command: ["sleep", "100000"], env },
        ],
      },
    }));
    await cluster.apply(JSON.stringify({ apiVersion: "v1", kind: "List", items: intruders }));
    await cluster.kubectl`wait --for=condition=Ready pod -l app=intruder --timeout=60s`;
    return () => rmSync(secretFile, { force: true });
  }, 60_000);

  const all = runtimes.flatMap((runtime) =>
    Object.entries(attempts).map(([title, script]) => [runtime, title, script]),
  );
  test.concurrent.each(all)("from a container in %s: %s", async (runtime, _title, script = "") => {
    const before = { name: hostname(), panic: readFileSync("/proc/sys/kernel/panic", "utf8") };
    const { exitCode, stdout } = await cluster.kubectlRaw(["exec", `intruder-in-${runtime}`, "--", "sh", "-c", script]);
    expect(exitCode).not.toBe(0);
    expect(stdout).not.toContain(secret);
    expect({ name: hostname(), panic: readFileSync("/proc/sys/kernel/panic", "utf8") }).toEqual(before);
  });

  test("the files of another pod, by a link in a volume that both see", async () => {
    // What the first container leaves in the volume must not lead the second one's subPath out of it.
    await cluster.apply(
      JSON.stringify({
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name: "linked" },
        spec: {
          nodeName: "pinnace",
          restartPolicy: "Never",
          terminationGracePeriodSeconds: 0,
          volumes: [{ name: "shared", emptyDir: {} }],
          initContainers: [
            {
              name: "layer",
              image: "busybox",
              imagePullPolicy: "IfNotPresent",
              command: ["ln", "-s", "/run", "/shared/out"],
              volumeMounts: [{ name: "shared", mountPath: "/shared" }],
            },
          ],
          containers: [
            {
              name: "c",
              image: "busybox",
              imagePullPolicy: "IfNotPresent",
              command: ["cat", `/out/${secretFile.split("/").at(-1)}`],
              volumeMounts: [{ name: "shared", mountPath: "/out", subPath: "out" }],
            },
          ],
        },
      }),
    );
    await eventually(
      () => cluster.kubectl`get events --field-selector involvedObject.name=linked`,
      (text) => expect(text).toContain("failed to prepare subPath"),
    );
  });

  test("a node takes 110 pods, runs them all, and refuses one more", async () => {
    await cluster.kubectl`delete pod --all --now`;
    const count = 110;
    await cluster.apply(
      JSON.stringify({
        apiVersion: "apps/v1",
        kind: "Deployment",
        metadata: { name: "crowd" },
        spec: {
          replicas: count,
          selector: { matchLabels: { app: "crowd" } },
          template: {
            metadata: { labels: { app: "crowd" } },
            spec: {
              nodeSelector: { "kubernetes.io/hostname": "pinnace" },
              terminationGracePeriodSeconds: 0,
              containers: [
                { name: "c", image: "busybox", imagePullPolicy: "IfNotPresent", command: ["sleep", "100000"] },
              ],
            },
          },
        },
      }),
    );
    await cluster.kubectl`wait --for=jsonpath={.status.readyReplicas}=${count} deployment/crowd --timeout=100s`;
    await cluster.apply(
      `{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one-more"}, "spec": {"nodeName": "pinnace", "containers": [{"name": "c", "image": "busybox"}]}}`,
    );
    await eventually(
      () => cluster.kubectl`get pod one-more -o ${"jsonpath={.status.phase} {.status.reason}"}`,
      (text) => expect(text).toBe("Failed OutOfpods"),
    );
    await cluster.kubectl`delete deployment crowd`;
    await cluster.kubectl`wait --for=delete pod -l app=crowd --timeout=60s`;
  }, 180_000);
});
