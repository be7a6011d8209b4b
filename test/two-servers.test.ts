/**
 * Two server processes on one real etcd, which takes nobody without a certificate: both serve one state; one leads, is killed
 * with SIGKILL, and the other goes on where it stopped.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findProgram } from "../src/base/node/find-program.ts";
import { systemClock } from "../src/base/node/system-clock.ts";
import { systemRandom } from "../src/base/node/system-random.ts";
import { createPki } from "../src/cluster/certificates.ts";
import { describeCluster, eventually } from "../src/testing/cluster-fixture.ts";

const run = promisify(execFile);
const etcdProgram = findProgram("etcd");
const endpoint = `https://127.0.0.1:${await freePort()}`;
const folder = mkdtempSync(join(tmpdir(), "pnt-two-servers-"));
const [caFile, certFile, keyFile] = [join(folder, "ca.pem"), join(folder, "client.pem"), join(folder, "client.key")];
let etcd: ChildProcess;

beforeAll(async () => {
  if (!etcdProgram) return;
  const pki = createPki({
    clusterName: "etcd",
    dnsNames: ["localhost"],
    ipAddresses: ["127.0.0.1"],
    nowMs: systemClock.now(),
    random: systemRandom,
  });
  const [serverCert, serverKey] = [join(folder, "server.pem"), join(folder, "server.key")];
  writeFileSync(caFile, pki.ca.certificatePem);
  writeFileSync(certFile, pki.admin.certificatePem);
  writeFileSync(keyFile, pki.admin.privateKeyPem, { mode: 0o600 });
  writeFileSync(serverCert, pki.apiServer.certificatePem);
  writeFileSync(serverKey, pki.apiServer.privateKeyPem, { mode: 0o600 });
  const peers = `http://127.0.0.1:${await freePort()}`;
  etcd = spawn(
    etcdProgram,
    [
      ...["--name", "pnt", "--data-dir", join(folder, "etcd"), "--unsafe-no-fsync"],
      // The only member need not wait long for others to stand for election.
      ...["--heartbeat-interval", "10", "--election-timeout", "100"],
      ...["--listen-client-urls", endpoint, "--advertise-client-urls", endpoint],
      ...["--client-cert-auth", "--trusted-ca-file", caFile, "--cert-file", serverCert, "--key-file", serverKey],
      ...["--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers, "--initial-cluster", `pnt=${peers}`],
    ],
    { stdio: "ignore" },
  );
  await eventually(
    () => run("curl", ["-sf", "--cacert", caFile, "--cert", certFile, "--key", keyFile, `${endpoint}/health`]),
    ({ stdout }) => expect(stdout).toContain("true"),
  );
});

afterAll(async () => {
  if (etcd) {
    const ended = new Promise((done) => etcd.once("exit", done));
    etcd.kill("SIGKILL");
    await ended;
  }
  rmSync(folder, { recursive: true, force: true });
});

/** A failover is to be waited for here. */
const election = "leaderElection: { leaseDuration: 5s, renewDeadline: 4s, retryPeriod: 500ms }\n";
/** While it is dead, other clusters of this machine must not take the first one's port: theirs count up from 6443. */
const apiPort = await freePort();
const store = `apiServer: { port: ${apiPort} }\n${election}store: { engine: etcd, endpoints: ["${endpoint}"], caFile: ${caFile}, certFile: ${certFile}, keyFile: ${keyFile} }\n`;

/** As kube-apiserver's flags. */
const etcdFlags = [
  ...["--etcd-servers", endpoint, "--etcd-cafile", caFile],
  ...["--etcd-certfile", certFile, "--etcd-keyfile", keyFile],
];

/** Each Pod of the Job takes a second on a simulated node. */
const work = (replicas: number) => `
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  replicas: ${replicas}
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec: { containers: [{ name: main, image: "nowhere.invalid/any:1" }] }
---
apiVersion: batch/v1
kind: Job
metadata: { name: sums }
spec:
  completions: 12
  parallelism: 3
  template:
    metadata: { annotations: { pinnace.local/run-seconds: "1" } }
    spec: { restartPolicy: Never, containers: [{ name: main, image: "nowhere.invalid/any:1" }] }
`;

const configMap = (name: string) => `
apiVersion: v1
kind: ConfigMap
metadata: { name: ${name} }
`;

const nodePortService = (name: string) => `
---
apiVersion: v1
kind: Service
metadata: { name: ${name} }
spec: { type: NodePort, ports: [{ port: 80 }] }
`;

if (!etcdProgram)
  describe.skip("two servers on one etcd (skipped: this machine lacks etcd)", () => test("…", () => {}));
else
  describeCluster("two servers on one etcd", { config: store, nodes: 0 }, (first) => {
    const second = `${first.name}b`;
    const environment = { ...process.env, PINNACE_HOME: join(folder, "home"), KUBECONFIG: join(folder, "kubeconfig") };
    const pinnace = (...args: string[]) =>
      run(process.execPath, [resolve("dist/bin/pinnace.mjs"), ...args, "--name", second], { env: environment });
    const kubectl = async (...args: string[]) => (await run("kubectl", args, { env: environment })).stdout.trim();
    const components = ["kube-controller-manager", "kube-scheduler"];
    const leases = async () => {
      const { items } = JSON.parse(await kubectl("get", "leases", "-n", "kube-system", "-o", "json")) as {
        items: { metadata: { name: string }; spec: { holderIdentity: string; leaseTransitions: number } }[];
      };
      return components.map((name) => items.find(({ metadata }) => metadata.name === name)!.spec);
    };

    beforeAll(async () => {
      const config = join(folder, "second.yaml");
      const certificates = join(first.home, "clusters", first.name, "pki");
      writeFileSync(
        config,
        `apiVersion: pinnace.local/v1alpha1\nkind: Cluster\nnodes: [{ name: n1, kind: simulated }]\ncertificates: ${certificates}\n${election}`,
      );
      await pinnace("up", "--config", config, ...etcdFlags);
    });
    afterAll(async () => {
      await pinnace("down");
    });

    test("each shows what the other was told, at once to those who watch, and no address or port is given twice", async () => {
      const watching = spawn(
        "kubectl",
        ["get", "configmaps", "--watch-only", "--output-watch-events", "--no-headers"],
        {
          env: environment,
        },
      );
      let heard = "";
      watching.stdout.on("data", (chunk) => (heard += chunk));
      try {
        // Nothing says that a watch has begun: what it missed is written again.
        await eventually(
          () => first.apply(configMap(`told-${Math.round(performance.now())}`)),
          () => expect(heard).toMatch(/ADDED +told-/),
        );
      } finally {
        watching.kill();
      }
      const services = (prefix: string) =>
        Array.from({ length: 8 }, (_, i) => nodePortService(`${prefix}-${i}`)).join("");
      const file = join(folder, "services.yaml");
      writeFileSync(file, services("second"));
      await Promise.all([first.apply(services("first")), kubectl("apply", "-f", file)]);
      const list = [
        "get",
        "services",
        "-o",
        'jsonpath={range .items[*]}{.spec.clusterIP} {.spec.ports[*].nodePort}{"\\n"}{end}',
      ];
      const { stdout } = await first.kubectlRaw(list);
      expect(await kubectl(...list)).toBe(stdout.trim());
      const given = stdout.trim().split(/\s+/);
      // The Service of the API itself has no node port.
      expect(given).toHaveLength(2 * 16 + 1);
      expect(new Set(given).size).toBe(given.length);
    });

    test("the second takes over when the first is killed, and nothing is done twice", async () => {
      const before = await leases();
      await first.apply(work(2));
      // The second's API shows what the first was asked for, and its node runs what the first's scheduler placed.
      await eventually(
        () => kubectl("get", "job", "sums", "-o", "jsonpath={.status.succeeded}"),
        (succeeded) => expect(Number(succeeded)).toBeGreaterThan(0),
      );
      expect(await leases(), "the first holds both, though the second asks").toEqual(
        before.map(({ holderIdentity, leaseTransitions }) =>
          expect.objectContaining({ holderIdentity, leaseTransitions }),
        ),
      );

      const { server } = JSON.parse(await first.pinnace("status", "-o", "json"));
      await first.kubectl`scale deployment web --replicas=20`;
      process.kill(server.pid, "SIGKILL");

      const timeoutMs = 90_000;
      await kubectl("rollout", "status", "deployment/web", `--timeout=${timeoutMs / 1000}s`);
      await kubectl("wait", "--for=condition=Complete", "job/sums", `--timeout=${timeoutMs / 1000}s`);
      const after = await leases();
      for (const [i, { holderIdentity, leaseTransitions }] of after.entries()) {
        expect(holderIdentity).not.toBe(before[i]!.holderIdentity);
        expect(leaseTransitions).toBe(before[i]!.leaseTransitions + 1);
      }

      const names = async (...args: string[]) => (await kubectl("get", ...args, "-o", "name")).split("\n");
      expect(await names("replicasets")).toHaveLength(1);
      expect(await names("pods", "-l", "app=web")).toHaveLength(20);
      expect(await names("pods", "-l", "job-name=sums")).toHaveLength(12);
      const job = JSON.parse(await kubectl("get", "job", "sums", "-o", "json"));
      expect(job.status).toMatchObject({ succeeded: 12, uncountedTerminatedPods: {} });
      expect(job.status.failed ?? 0).toBe(0);
      // Each Pod was created once and bound once, whoever did it: none had to go again.
      const events = JSON.parse(await kubectl("get", "events", "-o", "json")).items as { reason: string }[];
      expect(events.filter(({ reason }) => ["SuccessfulDelete", "Killing"].includes(reason))).toEqual([]);
    }, 240_000);

    test("the first comes back and serves what was written while it was away", async () => {
      await kubectl("create", "configmap", "meanwhile");
      await first.pinnace("up");
      expect(await first.kubectl`get configmap meanwhile -o name`).toBe("configmap/meanwhile\n");
      await first.kubectl`delete configmap meanwhile`;
      await expect(kubectl("get", "configmap", "meanwhile")).rejects.toThrow("NotFound");
    }, 60_000);

    test("the state is saved in a file, restored, compacted and defragmented beside both servers", async () => {
      const file = join(folder, "state.snapshot");
      const there = ["get", "configmap", "saved", "--ignore-not-found", "-o", "name"];
      await kubectl("create", "configmap", "saved");
      expect(await first.pinnace("store", "save", file)).toMatch(/^\d+ objects of cluster /);
      await kubectl("delete", "configmap", "saved");
      expect(await first.pinnace("store", "restore", file)).toContain("again");
      await eventually(
        async () => [await kubectl(...there), (await first.kubectlRaw(there)).stdout.trim()],
        (seen) => expect(seen).toEqual(["configmap/saved", "configmap/saved"]),
      );
      expect(await first.pinnace("store", "defragment")).toContain("keeps no history");
      expect(await first.pinnace("store", "verify")).toMatch(/^The \d+ objects of cluster .* can be read/);
      await first.kubectl`delete configmap saved`;
      await eventually(
        () => kubectl(...there),
        (seen) => expect(seen).toBe(""),
      );
    }, 60_000);
  });

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as { port: number };
  await new Promise((done) => server.close(done));
  return port;
}
