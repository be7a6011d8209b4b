/** A kubelet whose pods run in containerd, with the network that CNI plugins give them. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { PodSpec } from "../api/core/v1.ts";
import { Events, Namespaces, Nodes, Pods, RuntimeClasses } from "../api/resources.ts";
import { isNotFound } from "../apimachinery/status-error.ts";
import { silentLogger } from "../base/logger.ts";
import { connectIn } from "../base/node/netns.ts";
import { systemClock } from "../base/node/system-clock.ts";
import { systemRandom } from "../base/node/system-random.ts";
import { startTestApiServer, type TestApiServer } from "../testing/api-server.ts";
import { GrpcChannel } from "./grpc/channel.ts";
import { type Kubelet, startKubelet } from "./kubelet.ts";
import { machineFacts } from "./machine-facts.ts";
import { RuntimeNetwork } from "./network/runtime-network.ts";
import { type ContainerdFixture, canRunContainerd, startContainerd } from "./runtime/cri/containerd.fixture.ts";
import { CriImages } from "./runtime/cri/cri-images.ts";
import { CriRuntime } from "./runtime/cri/cri-runtime.ts";
import { Cgroups, parseCgroupMounts } from "./runtime/oci/cgroups.ts";

const nodeName = `pnt-cri-kubelet-${process.pid}`;

describe.skipIf(!canRunContainerd)("a kubelet with containerd", () => {
  let containerd: ContainerdFixture;
  let api: TestApiServer;
  let folder: string;
  let kubelet: Kubelet;
  let runtime: CriRuntime;
  let stop: AbortController;

  beforeAll(async () => {
    containerd = await startContainerd("kubelet");
    folder = mkdtempSync("/var/tmp/pnt-cri-kubelet-");
    api = await startTestApiServer({});
    await api.client.create(Namespaces, { metadata: { name: "kube-node-lease" }, spec: {} });
    await startNode();
  }, 60_000);

  afterAll(async () => {
    await api.client.deleteCollection(Pods, { namespace: "default" }, { gracePeriodSeconds: 0 });
    await until(async () => (await api.client.list(Pods, {})).items.length === 0);
    await until(async () => runtime.listSandboxes().length === 0);
    await stopNode();
    await new Cgroups(parseCgroupMounts(readFileSync("/proc/self/mountinfo", "utf8"))!, systemClock).remove(
      `/${nodeName}`,
    );
    await containerd.dispose();
    await api[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  }, 60_000);

  async function startNode(): Promise<void> {
    stop = new AbortController();
    const channel = new GrpcChannel(containerd.socket, systemClock);
    const images = new CriImages(channel, systemClock);
    const connect = (host: string, port: number) => connectIn(containerd.netns, host, port);
    runtime = new CriRuntime({ channel, images, clock: systemClock, logger: silentLogger, dial: connect });
    await runtime.open();
    await images.open();
    kubelet = startKubelet({
      node: { name: nodeName, ips: ["10.0.2.9"], podCIDRs: [], kubeletVersion: "v1.36.2" },
      machine: machineFacts(nodeName, folder),
      client: api.client,
      runtime,
      images,
      network: new RuntimeNetwork(),
      clock: systemClock,
      random: systemRandom,
      log: silentLogger,
      signal: stop.signal,
      folders: { root: join(folder, "kubelet"), volatile: join(folder, "volatile"), logs: join(folder, "logs") },
      cgroupRoot: `/${nodeName}`,
      clusterDomain: "cluster.local",
      seccompRoot: join(folder, "seccomp"),
      dns: () => ({ servers: ["10.96.0.10"], searches: [], options: [] }),
      connect,
    });
    await kubelet.ready;
  }

  async function stopNode(): Promise<void> {
    stop.abort();
    await kubelet.stopped;
    await runtime.close();
  }

  async function create(
    name: string,
    spec: Omit<Partial<PodSpec>, "containers">,
    container: Partial<PodSpec["containers"][0]>,
  ) {
    const containers = [{ name: "main", image: "localhost/busybox:test", ...container }];
    const full = { terminationGracePeriodSeconds: 1, ...spec, containers, nodeName };
    await api.client.create(Pods, { metadata: { name, namespace: "default" }, spec: full as PodSpec });
  }

  const get = (name: string) => api.client.get(Pods, { name, namespace: "default" });
  const isReady = async (name: string) =>
    (await get(name)).status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") ?? false;
  const forever = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"];

  test("runs a pod with an address, probes, a Service's environment and files, and takes it away again", async () => {
    await create(
      "web",
      { hostname: "web-0", subdomain: "net" },
      {
        command: ["sh", "-c", "echo started; while :; do echo hello | nc -l -p 8080; done"],
        readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 },
        env: [{ name: "POD_IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } }],
      },
    );
    await until(() => isReady("web"));
    const { status } = await get("web");
    expect(status?.podIP).toMatch(/^10\.98\.7\./);
    expect(status?.containerStatuses?.[0]).toMatchObject({
      containerID: expect.stringMatching(/^containerd:\/\/[0-9a-f]{64}$/),
      restartCount: 0,
      state: { running: {} },
    });
    const exec = async (...command: string[]) => {
      const stdout = new PassThrough();
      const code = kubelet.pods.exec({ name: "web", namespace: "default" }, undefined, {
        command,
        tty: false,
        stdout,
        signal: AbortSignal.timeout(10_000),
      });
      return [await text(stdout), await code];
    };
    expect(await exec("sh", "-c", "hostname; echo $POD_IP; exit 3")).toEqual([`web-0\n${status?.podIP}\n`, 3]);
    expect((await exec("cat", "/etc/hosts"))[0]).toContain(
      `${status?.podIP}\tweb-0.net.default.svc.cluster.local\tweb-0`,
    );
    const node = await api.client.get(Nodes, { name: nodeName });
    expect(node.status?.nodeInfo?.containerRuntimeVersion).toMatch(/^containerd:\/\/1\./);
    await api.client.delete(Pods, { name: "web", namespace: "default" });
    await until(async () => get("web").then(() => false, isNotFound));
    expect(runtime.listSandboxes().filter(({ config }) => config.pod.name === "web")).toEqual([]);
  });

  test("restarts what fails, and keeps the count through its own restart; containers run on meanwhile", async () => {
    await create("failing", {}, { command: ["sh", "-c", "sleep 0.2; exit 4"] });
    await create("steady", {}, { command: forever });
    await until(async () => ((await get("failing")).status?.containerStatuses?.[0]?.restartCount ?? 0) > 0);
    await until(() => isReady("steady"));
    const before = await get("steady");
    await stopNode();
    await startNode();
    expect(runtime.listContainers({ podUid: before.metadata.uid })).toMatchObject([{ state: { kind: "running" } }]);
    await until(
      async () => (await get("failing")).status?.containerStatuses?.[0]?.state?.waiting?.reason === "CrashLoopBackOff",
    );
    const { status } = await get("steady");
    expect(status?.containerStatuses?.[0]).toMatchObject({
      restartCount: 0,
      containerID: before.status?.containerStatuses?.[0]?.containerID,
    });
  });

  test("a RuntimeClass chooses the handler; one that the runtime does not know fails with its words", async () => {
    await api.client.create(RuntimeClasses, { metadata: { name: "other" }, handler: "other" });
    await api.client.create(RuntimeClasses, { metadata: { name: "none" }, handler: "no-such-handler" });
    await create("by-handler", { runtimeClassName: "other" }, { command: forever });
    await create("no-handler", { runtimeClassName: "none" }, { command: forever });
    await until(() => isReady("by-handler"));
    await until(async () => {
      const { items } = await api.client.list(Events, { namespace: "default" });
      return items.some(({ message }) => message?.includes('no runtime for "no-such-handler" is configured'));
    });
  });
});

async function until(holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`still not true: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
