/** Another machine joins: here a namespace with a cable to the nodes' switch, and a process that knows the cluster by its URL only. */
import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemRandom } from "../src/base/node/system-random.ts";
import { issueLeaf } from "../src/cluster/certificates.ts";
import {
  type ContainerdFixture,
  canRunContainerd,
  shimsOf,
  startContainerd,
} from "../src/kubelet/runtime/cri/containerd.fixture.ts";
import { describeCluster, eventually } from "../src/testing/cluster-fixture.ts";

const command = resolve("dist/bin/pinnace.mjs");
const ip = (...args: string[]) => execFileSync("ip", args, { encoding: "utf8" });

describeCluster("a machine that joins", { nodes: 1 }, (cluster) => {
  const netns = `pnt-join-${process.pid}`;
  const home = () => join(cluster.home, "elsewhere");
  let node: ChildProcess;
  let network: { prefix: string; hostAddress: string };

  /** Cables a namespace to the switch; the address is the LAN's with this last number. */
  function plugIn(namespace: string, last: number): string {
    const address = `${network.prefix}.${last}`;
    const port = `to-join-${last}`;
    ip(
      "-n",
      `pinnace-${cluster.name}_switch`,
      "link",
      "add",
      port,
      "type",
      "veth",
      "peer",
      "name",
      "eth0",
      "netns",
      namespace,
    );
    ip("-n", `pinnace-${cluster.name}_switch`, "link", "set", port, "master", "lan", "up");
    ip("-n", namespace, "address", "add", `${address}/24`, "dev", "eth0");
    for (const link of ["lo", "eth0"]) ip("-n", namespace, "link", "set", link, "up");
    ip("-n", namespace, "route", "add", "default", "via", network.hostAddress);
    return address;
  }

  async function startNode(namespace: string, folder: string, args: readonly string[]): Promise<ChildProcess> {
    mkdirSync(folder, { recursive: true });
    const child = spawn("nsenter", [`--net=/run/netns/${namespace}`, process.execPath, command, "join", ...args], {
      env: { ...process.env, PINNACE_HOME: folder },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let said = "";
    await new Promise<void>((done, fail) => {
      for (const stream of [child.stdout!, child.stderr!]) {
        stream.on("data", (chunk) => {
          said += chunk;
          if (said.includes("has joined the cluster")) done();
        });
      }
      child.once("exit", (code) => fail(new Error(`join ended with ${code}: ${said}`)));
    });
    return child;
  }

  async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((done) => child.once("exit", done));
    child.kill(signal);
    await ended;
  }

  async function leave(namespace: string, name: string, folder: string): Promise<void> {
    const words = [`--net=${namespace}`, process.execPath, command, "leave", "--node-name", name];
    await promisify(execFile)("nsenter", words, { env: { ...process.env, PINNACE_HOME: folder } });
  }

  const joinArguments = async () => (await cluster.pinnace("token", "create")).trim().split(" ").slice(2);
  const podOn = (name: string, nodeName: string, image: string) =>
    cluster.apply(
      JSON.stringify({
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name, labels: { app: name } },
        spec: {
          nodeName,
          terminationGracePeriodSeconds: 1,
          containers: [
            {
              name: "c",
              image,
              imagePullPolicy: "IfNotPresent",
              command: ["sh", "-c", `echo from ${name}; while :; do echo hello | nc -l -p 8080; done`],
            },
          ],
        },
      }),
    );
  const ready = (name: string) => cluster.kubectl`wait --for=condition=Ready pod/${name} --timeout=60s`;

  beforeAll(async () => {
    const plan = JSON.parse(readFileSync(join(cluster.home, "clusters", cluster.name, "plan.json"), "utf8"));
    network = { prefix: plan.network.lan.split(".").slice(0, 3).join("."), hostAddress: plan.network.hostAddress };
    ip("netns", "add", netns);
    const address = plugIn(netns, 201);
    node = await startNode(netns, home(), [
      ...(await joinArguments()),
      "--node-name",
      "elsewhere",
      "--node-ip",
      address,
    ]);
  }, 60_000);

  afterAll(async () => {
    await end(node, "SIGTERM");
    await leave(`/run/netns/${netns}`, "elsewhere", home());
    ip("netns", "delete", netns);
  }, 60_000);

  test("it is a node with a certificate of its own, a range for its pods and a lease", async () => {
    await cluster.kubectl`wait --for=condition=Ready node/elsewhere --timeout=30s`;
    const csr = JSON.parse(await cluster.kubectl`get csr -o json`).items[0];
    expect(csr.spec.username).toMatch(/^system:bootstrap:/);
    expect(csr.status.conditions[0].type).toBe("Approved");
    expect(await cluster.kubectl`get node elsewhere -o ${"jsonpath={.spec.podCIDR}"}`).toMatch(/^10\.244\.\d+\.0\/24$/);
    await cluster.kubectl`get lease -n kube-node-lease elsewhere`;
  });

  test("its pods are reached from other nodes, by name and by Service, and through kubectl", async () => {
    await podOn("there", "elsewhere", "busybox");
    await podOn("here", "control-plane", "busybox");
    await cluster.kubectl`expose pod there --port=80 --target-port=8080`;
    for (const name of ["there", "here"]) await ready(name);
    expect(await cluster.kubectl`logs there`).toBe("from there\n");
    const asked = () => cluster.kubectl`exec here -- sh -c ${"nc -w 3 there 80 </dev/null"}`;
    await eventually(asked, (answer) => expect(answer).toBe("hello\n"));
    const { exitCode } = await cluster.kubectlRaw(["exec", "there", "--", "sh", "-c", "exit 7"]);
    expect(exitCode).toBe(7);
    expect((await cluster.kubectlRaw(["exec", "-i", "there", "--", "cat"], "typed\n")).stdout).toBe("typed\n");
    expect(await cluster.kubectl`get --raw /api/v1/nodes/elsewhere/proxy/healthz`).toBe("ok");
    expect(await cluster.kubectl`get --raw /api/v1/nodes/elsewhere/proxy/logs/pods`).toContain("<pre>");
  });

  test("killed and started again it needs no token, its containers have run on, and its certificate is renewed with the old one when most of its time is over", async () => {
    const id = () => cluster.kubectl`get pod there -o ${"jsonpath={.status.containerStatuses[0].containerID}"}`;
    const before = await id();
    await end(node, "SIGKILL");
    const { ca } = JSON.parse(readFileSync(join(cluster.home, "clusters", cluster.name, "pki/pki.json"), "utf8"));
    const file = join(home(), "joined/elsewhere/kubelet-client.pem");
    const subject = { commonName: "system:node:elsewhere", organizations: ["system:nodes"] };
    // Its time: from an hour ago until two minutes from now.
    const since = Date.now() - 3_600_000;
    const old = issueLeaf(ca, { subject, usage: "client", validityMs: 3_720_000 }, since, systemRandom);
    writeFileSync(file, `${old.certificatePem.trimEnd()}\n${old.privateKeyPem.trimEnd()}\n`, { mode: 0o600 });
    node = await startNode(netns, home(), ["--node-name", "elsewhere", "--node-ip", `${network.prefix}.201`]);
    const ends = () => Date.parse(new X509Certificate(readFileSync(file)).validTo);
    await eventually(
      async () => ends(),
      (end) => expect(end).toBeGreaterThan(Date.now() + 86_400_000),
    );
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(await id()).toBe(before);
    expect(
      await cluster.kubectl`get csr -o ${"jsonpath={range .items[*]}{.spec.username} {.status.conditions[0].type}{'\\n'}{end}"}`,
    ).toContain("system:node:elsewhere Approved\n");
    expect((await cluster.kubectlRaw(["exec", "there", "--", "hostname"])).stdout).toBe("there\n");
  });

  test("it changes over when the cluster gets a new authority, and stays when the former one is forgotten", async () => {
    const authority = () => {
      const pki = JSON.parse(readFileSync(join(cluster.home, "clusters", cluster.name, "pki/pki.json"), "utf8"));
      return new X509Certificate(pki.ca.certificatePem);
    };
    const own = () => new X509Certificate(readFileSync(join(home(), "joined/elsewhere/kubelet-client.pem")));
    const former = authority();
    expect(own().verify(former.publicKey)).toBe(true);
    await cluster.pinnace("certs", "rotate-ca");
    await eventually(
      async () => own().verify(authority().publicKey),
      (isRenewed) => expect(isRenewed).toBe(true),
      30_000,
    );
    expect(own().verify(former.publicKey)).toBe(false);
    await cluster.pinnace("certs", "forget-former-ca");
    const kept = () => JSON.parse(readFileSync(join(home(), "joined/elsewhere/cluster.json"), "utf8")).ca as string;
    await eventually(
      async () => kept().match(/BEGIN/g),
      (found) => expect(found).toHaveLength(1),
    );
    // Both ways: the node reads its pods, and the API server asks its kubelet.
    await podOn("later", "elsewhere", "busybox");
    await ready("later");
    expect((await cluster.kubectlRaw(["exec", "later", "--", "hostname"])).stdout).toBe("later\n");
    await cluster.kubectl`delete pod later --wait=false`;
  }, 60_000);

  test("it comes back after it was away while the authority changed; once that is over, with a token", async () => {
    const pki = () => JSON.parse(readFileSync(join(cluster.home, "clusters", cluster.name, "pki/pki.json"), "utf8"));
    const isOfNow = () => {
      const own = new X509Certificate(readFileSync(join(home(), "joined/elsewhere/kubelet-client.pem")));
      return own.verify(new X509Certificate(pki().ca.certificatePem).publicKey);
    };
    const again = ["--node-name", "elsewhere", "--node-ip", `${network.prefix}.201`];
    await end(node, "SIGKILL");
    await cluster.pinnace("certs", "rotate-ca");
    expect(isOfNow()).toBe(false);
    node = await startNode(netns, home(), again);
    await eventually(
      async () => isOfNow(),
      (isRenewed) => expect(isRenewed).toBe(true),
    );
    await end(node, "SIGKILL");
    await cluster.pinnace("certs", "rotate-ca", "--revoke");
    await expect(startNode(netns, home(), again)).rejects.toThrow("join again with what");
    node = await startNode(netns, home(), [...(await joinArguments()), ...again]);
    expect(isOfNow()).toBe(true);
    expect((await cluster.kubectlRaw(["exec", "there", "--", "hostname"])).stdout).toBe("there\n");
  }, 60_000);

  test("a wrong token, a wrong hash and no hash are refused, and nothing is left of the attempt", async () => {
    const [server = "", , token = "", , hash = ""] = await joinArguments();
    const attempt = (args: string[]) =>
      promisify(execFile)(process.execPath, [command, "join", server, ...args], {
        env: { ...process.env, PINNACE_HOME: join(cluster.home, "nobody") },
      }).then(
        () => "joined",
        (error: Error & { stderr?: string }) => error.stderr ?? "",
      );
    expect(await attempt(["--token", "aaaaaa.0123456789abcdef", "--discovery-token-ca-cert-hash", hash])).toContain(
      "is invalid for this cluster or it has expired",
    );
    const forged = `${token.split(".")[0]}.0123456789abcdef`;
    expect(await attempt(["--token", forged, "--discovery-token-ca-cert-hash", hash])).toContain(
      "is not signed with this token",
    );
    expect(await attempt(["--token", token, "--discovery-token-ca-cert-hash", `sha256:${"0".repeat(64)}`])).toContain(
      "the cluster's authority has the hash",
    );
    expect(await attempt(["--token", token])).toContain("--discovery-token-ca-cert-hash says whom to trust");
  });

  describe.skipIf(!canRunContainerd)("with containerd", () => {
    let containerd: ContainerdFixture;
    let other: ChildProcess;

    beforeAll(async () => {
      containerd = await startContainerd("join");
      const namespace = containerd.netns.split("/").at(-1)!;
      const address = plugIn(namespace, 202);
      other = await startNode(namespace, join(cluster.home, "with-containerd"), [
        ...(await joinArguments()),
        ...["--node-name", "with-containerd", "--node-ip", address],
        ...["--container-runtime-endpoint", `unix://${containerd.socket}`],
      ]);
    }, 60_000);

    afterAll(async () => {
      await end(other, "SIGTERM");
      try {
        await leave(containerd.netns, "with-containerd", join(cluster.home, "with-containerd"));
        expect(shimsOf(containerd.socket)).toEqual([]);
      } finally {
        await containerd.dispose();
      }
    }, 60_000);

    test("its pods run there, and kubectl looks into them", async () => {
      await podOn("contained", "with-containerd", "localhost/busybox:test");
      await ready("contained");
      expect(
        await cluster.kubectl`get node with-containerd -o ${"jsonpath={.status.nodeInfo.containerRuntimeVersion}"}`,
      ).toMatch(/^containerd:\/\//);
      expect(await cluster.kubectl`logs contained`).toBe("from contained\n");
      expect((await cluster.kubectlRaw(["exec", "-i", "contained", "--", "cat"], "typed\n")).stdout).toBe("typed\n");
    });
  });
});
