/** A kubelet with an API server over a memory store, crun, and namespaces: pods run for real. */
import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer as createHttp2Server, type Http2Server } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { isDeepStrictEqual } from "node:util";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { Pod, PodSpec, PodStatus } from "../api/core/v1.ts";
import { ClusterTrustBundles } from "../api/gated-resources.ts";
import type { DeepReadonly } from "../api/object.ts";
import {
  ConfigMaps,
  CSIDrivers,
  CSINodes,
  Events,
  Leases,
  Namespaces,
  Nodes,
  PersistentVolumeClaims,
  PersistentVolumes,
  Pods,
  ResourceClaims,
  ResourceSlices,
  Secrets,
  VolumeAttachments,
} from "../api/resources.ts";
import { isNotFound } from "../apimachinery/status-error.ts";
import { type Logger, silentLogger } from "../base/logger.ts";
import { findProgram } from "../base/node/find-program.ts";
import { Links } from "../base/node/links.ts";
import { mountsBelow, unmountAll } from "../base/node/mounts.ts";
import { connectIn, createNetns, deleteNetns, listenIn, listNetns, netnsPath } from "../base/node/netns.ts";
import { systemClock } from "../base/node/system-clock.ts";
import { systemRandom } from "../base/node/system-random.ts";
import { startTestApiServer, type TestApiServer } from "../testing/api-server.ts";
import { newAuthority } from "../testing/webhook-server.ts";
import { startCsiDriver } from "./csi/csi-driver.fixture.ts";
import { startDraDriver } from "./dra/dra-driver.fixture.ts";
import { type Observations, observeMachine } from "./eviction/signals.ts";
import { ImageError, type ImageService, type StoredImage } from "./images/image-service.ts";
import { type Kubelet, startKubelet } from "./kubelet.ts";
import { machineFacts } from "./machine-facts.ts";
import { BridgePodNetwork } from "./network/pod-network.ts";
import { OciMachine } from "./runtime/oci/machine.ts";
import { OciRuntime } from "./runtime/oci/oci-runtime.ts";

const isPossible = process.getuid?.() === 0 && findProgram("conmon") && findProgram("busybox") && findProgram("crun");
const nodeName = `pnt-kubelet-${process.pid}`;

const loudLogger: Logger = {
  debug: () => {},
  info: (message, fields) => console.log("info", message, fields ?? ""),
  warn: (message, fields) => console.log("warn", message, fields ?? ""),
  error: (message, fields) => console.log("error", message, fields ?? ""),
  with: () => loudLogger,
};
const log = process.env["LOUD"] ? loudLogger : silentLogger;

// Eight at a time on a busy machine: much of it is waiting.
vi.setConfig({ testTimeout: 60_000, maxConcurrency: 8 });

describe.skipIf(!isPossible)("a kubelet", () => {
  let folder: string;
  let api: TestApiServer;
  let machine: OciMachine;
  let runtime: OciRuntime;
  let network: BridgePodNetwork;
  let kubelet: Kubelet;
  let stop: AbortController;
  let count = 0;
  /** What the node shall think that it is short of. */
  let shortOf: Partial<Observations> = {};

  beforeAll(async () => {
    folder = mkdtempSync("/var/tmp/pnt-kubelet-");
    busyboxLayer(join(folder, "layer"));
    const beta = { "api/beta": true };
    const featureGates = { ClusterTrustBundle: true, ClusterTrustBundleProjection: true };
    api = await startTestApiServer({ switches: { featureGates, runtimeConfig: beta } });
    await api.client.create(Namespaces, { metadata: { name: "kube-node-lease" }, spec: {} });
    createNetns(nodeName, () => {
      const links = new Links();
      links.apply([
        { kind: "bridge", name: "cni0" },
        { kind: "address", link: "cni0", address: "10.244.77.1/24" },
        { kind: "up", name: "cni0" },
        { kind: "up", name: "lo" },
      ]);
      links.close();
      writeFileSync("/proc/sys/net/ipv4/ip_forward", "1");
    });
    const cdiFolders = [join(folder, "cdi")];
    machine = new OciMachine({ folder, clock: systemClock, logger: silentLogger, runtime: "crun", cdiFolders });
    await startNode();
  }, 30_000);

  afterAll(async () => {
    try {
      await removeAllPods();
      await until(() =>
        ["kubelet/pods", "volatile/pods", "logs"].every((name) => namesIn(join(folder, name)).length === 0),
      );
    } finally {
      await tearDown();
    }
  }, 30_000);

  async function removeAllPods(): Promise<void> {
    await api.client.deleteCollection(Pods, { namespace: "default" }, { gracePeriodSeconds: 0 });
    await until(async () => (await api.client.list(Pods, {})).items.length === 0);
  }

  /** Whatever the tests left: nothing of it may stay on the machine. */
  async function tearDown(): Promise<void> {
    stop.abort();
    await kubelet.stopped;
    await runtime.close();
    machine.cgroups.kill(`/${nodeName}`);
    await machine.cgroups.remove(`/${nodeName}`);
    const mounts = mountsBelow(folder).filter((point) => /\/(kubelet|volatile|node)\//.test(point));
    machine.tearDown();
    unmountAll(folder); // What a crun of the killed kubelets still held.
    network.close();
    const left = listNetns(`${nodeName}_`);
    for (const name of [...left, nodeName]) deleteNetns(name);
    await api[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
    expect({ left, mounts }).toEqual({ left: [], mounts: [] });
  }

  async function startNode(): Promise<void> {
    stop = new AbortController();
    runtime = new OciRuntime({
      folder: join(folder, "node"),
      machine,
      images: testImages(join(folder, "layer")),
      clock: systemClock,
      random: systemRandom,
      logger: silentLogger,
    });
    await runtime.open();
    network = new BridgePodNetwork({ node: nodeName, bridge: "cni0", podCIDRs: ["10.244.77.0/24"] });
    kubelet = startKubelet({
      node: {
        name: nodeName,
        ips: ["10.0.2.4"],
        podCIDRs: ["10.244.77.0/24"],
        kubeletVersion: "v1.36.2",
        roles: ["worker"],
      },
      machine: machineFacts(nodeName, folder),
      client: mortal(api.client, stop.signal),
      runtime: mortal(runtime, stop.signal),
      images: testImages(join(folder, "layer")),
      network: mortal(network, stop.signal),
      clock: systemClock,
      random: systemRandom,
      log,
      signal: stop.signal,
      folders: { root: join(folder, "kubelet"), volatile: join(folder, "volatile"), logs: join(folder, "logs") },
      cgroupRoot: `/${nodeName}`,
      clusterDomain: "cluster.local",
      seccompRoot: join(folder, "seccomp"),
      dns: () => ({ servers: ["10.96.0.10"], searches: [], options: [] }),
      connect: (address, port) => connectIn(netnsPath(nodeName), address, port),
      podPidsLimit: 100,
      staticPodFolder: join(folder, "manifests"),
      pluginFolder: join(folder, "plugins_registry"),
      driverPatienceMs: 200,
      heartbeatMs: 250,
      logLimits: { maximumBytes: 1 << 20, maximumFiles: 2 },
      observe: async () => ({ ...(await observeMachine(folder)), ...shortOf }),
    });
    await kubelet.ready;
  }

  /** The kubelet and what it holds end as with its process; its containers stay. */
  async function die(): Promise<void> {
    stop.abort();
    // What it waits for is not answered any more, but a crun that runs comes to its end.
    await Promise.race([kubelet.stopped, pause(200)]);
    await runtime.close();
    network.close();
  }

  type LoosePod = Omit<Partial<PodSpec>, "containers"> & { containers?: Partial<PodSpec["containers"][number]>[] };

  async function create(spec: LoosePod, name = `pod-${count++}`, annotations = {}): Promise<string> {
    const containers = (spec.containers ?? [{}]).map((container) => ({
      name: "main",
      image: "busybox:1",
      command: ["sh", "-c", "trap 'exit 0' TERM; while true; do sleep 0.1; done"],
      ...container,
    }));
    const full = { terminationGracePeriodSeconds: 2, ...spec, containers, nodeName };
    await api.client.create(Pods, { metadata: { name, namespace: "default", annotations }, spec: full as PodSpec });
    return name;
  }

  const get = (name: string) => api.client.get(Pods, { name, namespace: "default" });

  async function reach(
    name: string,
    done: (status: DeepReadonly<PodStatus>, pod: DeepReadonly<Pod>) => unknown,
  ): Promise<DeepReadonly<Pod>> {
    let pod = await get(name);
    try {
      await until(async () => {
        pod = await get(name);
        return done(pod.status, pod);
      });
    } catch (error) {
      throw new Error(
        `${name} is ${JSON.stringify(pod.status, null, 1)}, ${JSON.stringify(await eventsOf(name), null, 1)}`,
        { cause: error },
      );
    }
    return pod;
  }

  const isReady = (status: DeepReadonly<PodStatus>) =>
    status.conditions?.some(({ type, status }) => type === "Ready" && status === "True");

  async function eventsOf(name: string): Promise<string[]> {
    const { items } = await api.client.list(Events, { namespace: "default" });
    return items
      .filter((event) => event.involvedObject.name === name)
      .map((event) => `${event.type} ${event.reason}: ${event.message}`);
  }

  async function isGone(name: string): Promise<boolean> {
    return get(name).then(
      () => false,
      (error) => isNotFound(error),
    );
  }

  /** Waits until it is gone, and says what it looks like when it is not. */
  async function leaves(name: string): Promise<void> {
    await until(() => isGone(name)).catch(async (error: unknown) => {
      const { metadata, status } = await get(name);
      const containers = runtime.listContainers({ podUid: metadata.uid });
      throw new Error(JSON.stringify({ metadata, status, containers, events: await eventsOf(name) }), { cause: error });
    });
  }

  async function logOf(name: string, options = {}, container?: string): Promise<string> {
    let text = "";
    const ref = { name, namespace: "default" };
    for await (const chunk of await kubelet.pods.logs(ref, container, options, AbortSignal.timeout(10_000)))
      text += chunk;
    return text;
  }

  async function run(name: string, ...command: string[]): Promise<string> {
    const stdout = new PassThrough();
    let text = "";
    stdout.on("data", (chunk) => {
      text += chunk;
    });
    await kubelet.pods.exec({ name, namespace: "default" }, undefined, { command, tty: false, stdout });
    return text.trim();
  }

  test.concurrent("registers its node, and renews the lease", async () => {
    const node = await api.client.get(Nodes, { name: nodeName });
    expect(node.metadata.labels).toMatchObject({
      "kubernetes.io/hostname": nodeName,
      "node-role.kubernetes.io/worker": "",
    });
    expect(node.status.conditions?.find(({ type }) => type === "Ready")).toMatchObject({
      status: "True",
      reason: "KubeletReady",
    });
    expect(node.status.nodeInfo?.kubeletVersion).toBe("v1.36.2");
    expect(node.spec.podCIDR).toBe("10.244.77.0/24");
    await until(
      async () => (await api.client.get(Leases, { name: nodeName, namespace: "kube-node-lease" })).spec.renewTime,
    );
  });

  // The longest first: eight at a time.
  test.concurrent("a container that writes its log without end fills no disk, and its neighbour is not held up", async () => {
    const flood = await create({
      containers: [
        { command: ["sh", "-c", "yes 'a line of a log that nobody reads'"], resources: { limits: { cpu: "300m" } } },
      ],
    });
    await reach(flood, isReady);
    const { uid } = (await get(flood)).metadata;
    const logs = join(folder, "logs", `default_${flood}_${uid}`, "main");
    const times = new Set<string>();
    await until(() => {
      for (const name of namesIn(logs)) times.add(name.slice(0, "0.log.20060102-150405".length));
      return times.size >= 3;
    }, 60_000);
    expect(namesIn(logs).length).toBeLessThanOrEqual(3);
    const neighbour = await create({ restartPolicy: "Never", containers: [{ command: ["echo", "undisturbed"] }] });
    await reach(neighbour, (status) => status.phase === "Succeeded");
    expect(await logOf(neighbour)).toBe("undisturbed\n");
    await api.client.delete(Pods, { name: flood, namespace: "default" });
    await until(() => isGone(flood));
    expect(namesIn(join(folder, "logs")).some((name) => name.includes(flood))).toBe(false);
  }, 90_000);

  test.concurrent("a missing image, a bad name and pull policy Never have their own words", async () => {
    const missing = await create({ containers: [{ image: "nowhere:1" }] });
    const bad = await create({ containers: [{ image: "Bad Name" }] });
    const never = await create({ containers: [{ image: "nowhere:2", imagePullPolicy: "Never" }] });
    const reason = (status: DeepReadonly<PodStatus>) => status.containerStatuses?.[0]?.state?.waiting?.reason;
    await reach(missing, (status) => reason(status) === "ErrImagePull");
    await reach(bad, (status) => reason(status) === "InvalidImageName");
    await reach(never, (status) => reason(status) === "ErrImageNeverPull");
    await reach(missing, (status) => reason(status) === "ImagePullBackOff");
    expect(await eventsOf(missing)).toContain('Normal BackOff: Back-off pulling image "nowhere:1"');
  });

  test.concurrent("probes: readiness follows a file, liveness restarts, HTTP and TCP reach the pod", async () => {
    const server =
      "mkdir -p /www; echo ok > /www/index.html; httpd -p 8080 -h /www; trap 'exit 0' TERM; while true; do sleep 0.1; done";
    const web = await create({
      containers: [
        {
          command: ["sh", "-c", server],
          ports: [{ name: "http", containerPort: 8080 }],
          startupProbe: { tcpSocket: { port: "http" }, periodSeconds: 1, failureThreshold: 10 },
          readinessProbe: { httpGet: { path: "/index.html", port: "http" }, periodSeconds: 1 },
        } as never,
      ],
    });
    const exec = await create({
      containers: [
        { readinessProbe: { exec: { command: ["cat", "/tmp/ready"] }, periodSeconds: 1, failureThreshold: 1 } },
      ],
    });
    const live = await create({
      containers: [{ livenessProbe: { httpGet: { path: "/", port: 81 }, periodSeconds: 1, failureThreshold: 2 } }],
    });
    await reach(web, isReady);
    await reach(exec, (status) => status.phase === "Running");
    expect(isReady((await get(exec)).status)).toBe(false);
    await run(exec, "touch", "/tmp/ready");
    await reach(exec, isReady);
    await run(exec, "rm", "/tmp/ready");
    await reach(exec, (status) => !isReady(status));
    expect((await eventsOf(exec)).join()).toContain("Readiness probe failed: cat: can't open '/tmp/ready'");
    const restarted = await reach(live, (status) => (status.containerStatuses?.[0]?.restartCount ?? 0) > 0);
    const events = await eventsOf(live);
    expect(events).toContain(
      `Warning Unhealthy: Liveness probe failed: Get "http://${restarted.status.podIP}:81/": dial tcp ${restarted.status.podIP}:81: connect: connection refused`,
    );
    expect(events).toContain("Normal Killing: Container main failed liveness probe, will be restarted");
    await run(web, "rm", "/www/index.html");
    await until(async () =>
      (await eventsOf(web)).includes(
        "Warning Unhealthy: Readiness probe failed: HTTP probe failed with statuscode: 404",
      ),
    );
  });

  test.concurrent("a pod becomes Ready, can be entered and read, and goes without a trace", async () => {
    const name = await create({
      containers: [
        { command: ["sh", "-c", "echo hello from $(hostname); trap 'exit 0' TERM; while true; do sleep 0.1; done"] },
      ],
    });
    const pod = await reach(name, isReady);
    expect(pod.status).toMatchObject({ phase: "Running", hostIP: "10.0.2.4", qosClass: "BestEffort" });
    expect(pod.status.podIP).toMatch(/^10\.244\.77\./);
    expect(pod.status.containerStatuses?.[0]).toMatchObject({
      ready: true,
      started: true,
      restartCount: 0,
      image: "busybox:1",
    });
    await until(async () => (await logOf(name)) === `hello from ${name}\n`);
    expect(await run(name, "cat", "/etc/hosts")).toContain(`${pod.status.podIP}\t${name}`);
    expect(await run(name, "cat", "/etc/resolv.conf")).toContain("nameserver 10.96.0.10");
    await until(async () => (await eventsOf(name)).length >= 3);
    expect(await eventsOf(name)).toEqual([
      'Normal Pulled: Container image "busybox:1" already present on machine and can be accessed by the pod',
      "Normal Created: Container created",
      "Normal Started: Container started",
    ]);
    await api.client.delete(Pods, { name, namespace: "default" });
    await until(() => isGone(name));
    expect(await eventsOf(name)).toContain("Normal Killing: Stopping container main");
  });

  test.concurrent("a crashing container restarts at once, and then backs off; what it said before can be read", async () => {
    const name = await create({
      containers: [{ command: ["sh", "-c", "echo going down; echo because > /dev/termination-log; exit 3"] }],
    });
    const pod = await reach(
      name,
      (status) => status.containerStatuses?.[0]?.state?.waiting?.reason === "CrashLoopBackOff",
    );
    const status = pod.status.containerStatuses?.[0];
    expect(status?.state?.waiting?.message).toBe(
      `back-off 10s restarting failed container=main pod=${name}_default(${pod.metadata.uid})`,
    );
    expect(status).toMatchObject({
      restartCount: 1,
      lastState: { terminated: { exitCode: 3, reason: "Error", message: "because\n" } },
    });
    expect(await logOf(name)).toBe("going down\n");
    expect(await logOf(name, { previous: true })).toBe("going down\n");
    expect(await eventsOf(name)).toContain(
      `Warning BackOff: Back-off restarting failed container main in pod ${name}_default(${pod.metadata.uid})`,
    );
  });

  test.concurrent("a job's pod succeeds and keeps its log", async () => {
    const name = await create({ restartPolicy: "Never", containers: [{ command: ["sh", "-c", "echo done"] }] });
    await reach(name, (status) => status.phase === "Succeeded");
    expect(await logOf(name)).toBe("done\n");
    await api.client.delete(Pods, { name, namespace: "default" });
    await until(() => isGone(name));
  });

  test.concurrent("a command that does not exist is a RunContainerError", async () => {
    const name = await create({ containers: [{ command: ["no-such-command"] }] });
    await reach(name, (status) => status.containerStatuses?.[0]?.lastState?.terminated?.reason === "StartError");
    await reach(name, (status) => status.containerStatuses?.[0]?.state?.waiting?.reason === "CrashLoopBackOff");
  });

  test.concurrent("environment and files come from ConfigMaps and Secrets, and files follow changes", async () => {
    await api.client.create(ConfigMaps, {
      metadata: { name: "settings", namespace: "default" },
      data: { color: "red" },
    });
    await api.client.create(Secrets, {
      metadata: { name: "keys", namespace: "default" },
      data: { token: Buffer.from("s3cret").toString("base64") },
    });
    const name = await create({
      containers: [
        {
          env: [
            { name: "COLOR", valueFrom: { configMapKeyRef: { name: "settings", key: "color" } } },
            { name: "GREETING", value: "a $(COLOR) day" },
            { name: "IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } },
          ],
          envFrom: [{ prefix: "KEY_", secretRef: { name: "keys" } }],
          volumeMounts: [
            { name: "settings", mountPath: "/settings" },
            { name: "all", mountPath: "/all" },
            { name: "scratch", mountPath: "/scratch" },
            { name: "settings", mountPath: "/one-file", subPath: "color" },
            { name: "scratch", mountPath: "/deep", subPath: "a/b" },
            { name: "memory", mountPath: "/memory" },
          ],
        },
      ],
      volumes: [
        { name: "settings", configMap: { name: "settings" } },
        { name: "scratch", emptyDir: {} },
        { name: "memory", emptyDir: { medium: "Memory", sizeLimit: "1Mi" } },
        {
          name: "all",
          projected: {
            sources: [
              { secret: { name: "keys", items: [{ key: "token", path: "nested/token" }] } },
              { downwardAPI: { items: [{ path: "name", fieldRef: { fieldPath: "metadata.name" } }] } },
            ],
          },
        },
      ],
    });
    const pod = await reach(name, isReady);
    expect(await run(name, "sh", "-c", "echo $GREETING $KEY_token $IP")).toBe(`a red day s3cret ${pod.status.podIP}`);
    expect(await run(name, "cat", "/settings/color", "/one-file", "/all/nested/token", "/all/name")).toBe(
      `redreds3cret${name}`,
    );
    expect(await run(name, "sh", "-c", "echo x > /deep/file && cat /scratch/a/b/file")).toBe("x");
    expect(await run(name, "sh", "-c", "head -c 2000000 /dev/zero > /memory/x || echo full")).toBe("full");
    await api.client.patch(
      ConfigMaps,
      { name: "settings", namespace: "default" },
      { type: "merge", body: { data: { color: "blue" } } },
    );
    await until(async () => (await run(name, "cat", "/settings/color")) === "blue");
  });

  test.concurrent("files of the downward API follow the pod's labels", async () => {
    const name = await create({
      containers: [{ volumeMounts: [{ name: "about", mountPath: "/about" }] }],
      volumes: [
        { name: "about", downwardAPI: { items: [{ path: "labels", fieldRef: { fieldPath: "metadata.labels" } }] } },
      ],
    });
    await reach(name, isReady);
    const body = { metadata: { labels: { tier: "front" } } };
    await api.client.patch(Pods, { name, namespace: "default" }, { type: "merge", body });
    await until(async () => (await run(name, "cat", "/about/labels")) === 'tier="front"');
  });

  test.concurrent("a pod waits for a ConfigMap that is not there yet, says so, and starts when it comes", async () => {
    const name = await create({ containers: [{ envFrom: [{ configMapRef: { name: "late" } }] }] });
    await reach(
      name,
      (status) => status.containerStatuses?.[0]?.state?.waiting?.reason === "CreateContainerConfigError",
    );
    const pod = await get(name);
    expect(pod.status.containerStatuses?.[0]?.state?.waiting?.message).toBe('configmap "late" not found');
    await api.client.create(ConfigMaps, { metadata: { name: "late", namespace: "default" }, data: {} });
    await reach(name, isReady);
  });

  test.concurrent("a volume whose ConfigMap is missing is told as FailedMount", async () => {
    const name = await create({
      volumes: [{ name: "v", configMap: { name: "nope" } }],
      containers: [{ volumeMounts: [{ name: "v", mountPath: "/v" }] }],
    });
    await until(async () =>
      (await eventsOf(name)).includes(
        'Warning FailedMount: MountVolume.SetUp failed for volume "v" : configmap "nope" not found',
      ),
    );
  });

  test.concurrent("init containers, a sidecar and hooks run in their order", async () => {
    const write = (text: string) => ["sh", "-c", `echo ${text} >> /out/log`];
    const mounts = [{ name: "out", mountPath: "/out" }];
    const name = await create({
      volumes: [{ name: "out", emptyDir: {} }],
      initContainers: [
        { name: "first", image: "busybox:1", command: write("first"), volumeMounts: mounts },
        {
          name: "side",
          image: "busybox:1",
          restartPolicy: "Always",
          command: ["sh", "-c", "echo side >> /out/log; trap 'exit 0' TERM; while true; do sleep 0.1; done"],
          volumeMounts: mounts,
        },
        { name: "second", image: "busybox:1", command: write("second"), volumeMounts: mounts },
      ],
      containers: [
        {
          volumeMounts: mounts,
          lifecycle: {
            postStart: { exec: { command: write("hook") } },
            preStop: { exec: { command: ["sleep", "1"] } },
          },
        },
      ],
    });
    await reach(name, isReady);
    expect(await run(name, "cat", "/out/log")).toBe("first\nside\nsecond\nhook");
    const deleting = performance.now();
    await api.client.delete(Pods, { name, namespace: "default" });
    await until(() => isGone(name));
    expect(performance.now() - deleting).toBeGreaterThan(1000);
  });

  test.concurrent("preStop hooks run all at once; sidecars are asked to end after the main containers, the last one first", async () => {
    const folder = mkdtempSync(join(tmpdir(), "pinnace-stop-"));
    const speaker = (name: string, hook: string) => ({
      name,
      image: "busybox:1",
      command: ["sh", "-c", `trap 'echo ${name} ends >> /out/log; exit 0' TERM; while true; do sleep 0.05; done`],
      volumeMounts: [{ name: "out", mountPath: "/out" }],
      lifecycle: { preStop: { exec: { command: ["sh", "-c", `${hook}; echo ${name} hook >> /out/log`] } } },
    });
    try {
      const name = await create({
        terminationGracePeriodSeconds: 20,
        volumes: [{ name: "out", hostPath: { path: folder } }],
        initContainers: [
          { ...speaker("one", "true"), restartPolicy: "Always" },
          { ...speaker("two", "sleep 0.3"), restartPolicy: "Always" },
        ],
        containers: [speaker("main", "sleep 2")],
      });
      await reach(name, isReady);
      await api.client.delete(Pods, { name, namespace: "default" });
      await until(() => isGone(name));
      const said = readFileSync(join(folder, "log"), "utf8").trim().split("\n");
      expect(said.slice(0, 3).toSorted()).toEqual(["main hook", "one hook", "two hook"]);
      expect(said.slice(3)).toEqual(["main ends", "two ends", "one ends"]);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test.concurrent("deleted by force, a container is still asked before it is killed, and its preStop hook begins", async () => {
    const folder = mkdtempSync(join(tmpdir(), "pinnace-force-"));
    const script = "trap 'echo asked >> /out/log; exit 0' TERM; echo up >> /out/log; sleep 1000 & wait";
    const said = () => (existsSync(join(folder, "log")) ? readFileSync(join(folder, "log"), "utf8") : "");
    try {
      const name = await create({
        volumes: [{ name: "out", hostPath: { path: folder } }],
        containers: [
          {
            command: ["sh", "-c", script],
            // Its two seconds are short where others take the processor.
            resources: { requests: { cpu: "250m" } },
            volumeMounts: [{ name: "out", mountPath: "/out" }],
            lifecycle: { preStop: { exec: { command: ["sh", "-c", "echo hook >> /out/log"] } } },
          },
        ],
      });
      await until(() => said().includes("up"));
      await reach(name, isReady);
      await api.client.delete(Pods, { name, namespace: "default" }, { gracePeriodSeconds: 0 });
      await until(() => said().includes("asked"));
      // Its hook has a second; on a machine that is busy with others it may be too slow.
      expect(said()).toMatch(/^up\n(hook\n)?asked\n$/);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test.concurrent("a log is followed until the container ends, and the next run has a log of its own", async () => {
    const script = "[ -e /d/again ] && echo three && exit 0; touch /d/again; echo one; sleep 0.5; echo two; exit 1";
    const name = await create({
      restartPolicy: "OnFailure",
      volumes: [{ name: "d", emptyDir: {} }],
      containers: [{ command: ["sh", "-c", script], volumeMounts: [{ name: "d", mountPath: "/d" }] }],
    });
    await reach(name, (status) => status.containerStatuses?.[0]?.state?.running);
    expect(await logOf(name, { follow: true })).toBe("one\ntwo\n");
    await reach(name, (status) => status.phase === "Succeeded");
    expect(await logOf(name, { follow: true })).toBe("three\n");
    expect(await logOf(name, { previous: true, follow: true })).toBe("one\ntwo\n");
    expect(await logOf(name, { previous: true, tailLines: 1 })).toBe("two\n");
    expect(await logOf(name, { previous: true, limitBytes: 5 })).toBe("one\nt");
    expect(await logOf(name, { previous: true, timestamps: true, tailLines: 1 })).toMatch(/^\d{4}-\d\d-\d\dT.* two\n$/);
  });

  test.concurrent("a container that takes more memory than its limit is OOMKilled", async () => {
    const name = await create({
      restartPolicy: "Never",
      containers: [
        { command: ["sh", "-c", "x=a; while true; do x=$x$x; done"], resources: { limits: { memory: "16Mi" } } },
      ],
    });
    const pod = await reach(name, (status) => status.phase === "Failed");
    expect(pod.status.containerStatuses?.[0]?.state?.terminated).toMatchObject({ reason: "OOMKilled", exitCode: 137 });
    expect(pod.status.qosClass).toBe("Burstable");
  });

  test.concurrent("a pod that forks without end gets no further than its limit, and others do not feel it", async () => {
    const bomb = await create({
      restartPolicy: "Never",
      containers: [{ command: ["sh", "-c", "i=0; while [ $i -lt 300 ]; do sleep 1000 & i=$((i+1)); done; echo done"] }],
    });
    await reach(bomb, ({ phase }) => phase === "Failed");
    expect(await logOf(bomb)).toContain("can't fork");
    const other = await create({});
    await reach(other, isReady);
    expect(await run(other, "echo", "well")).toBe("well");
  });

  test.concurrent("a security context is kept to", async () => {
    const name = await create({
      securityContext: { runAsUser: 1000, runAsGroup: 2000, fsGroup: 3000 },
      volumes: [
        { name: "v", emptyDir: {} },
        {
          name: "facts",
          downwardAPI: {
            items: [
              { path: "open", fieldRef: { fieldPath: "metadata.name" } },
              { path: "closed", fieldRef: { fieldPath: "metadata.name" }, mode: 0o400 },
            ],
          },
        },
      ],
      containers: [
        {
          securityContext: {
            readOnlyRootFilesystem: true,
            allowPrivilegeEscalation: false,
            capabilities: { drop: ["ALL"] },
          },
          volumeMounts: [
            { name: "v", mountPath: "/v" },
            { name: "facts", mountPath: "/facts" },
          ],
        },
      ],
    });
    await reach(name, isReady);
    // What is only to be read, the group may read and not write.
    expect(await run(name, "sh", "-c", "cd /facts; stat -Lc '%a %g' open closed")).toBe("644 3000\n440 3000");
    expect(await run(name, "sh", "-c", "id -u; id -g; touch /x 2>&1; touch /v/x && ls -n /v")).toMatch(
      /^1000\n2000\ntouch: \/x: Read-only file system\n[\s\S]* 1000 +3000 /,
    );
    expect(await run(name, "sh", "-c", "cat /proc/self/status")).toMatch(/CapEff:\s0+\n[\s\S]*NoNewPrivs:\s1/);
    const refused = await create({ containers: [{ securityContext: { runAsNonRoot: true } }] });
    const pod = await reach(
      refused,
      (status) => status.containerStatuses?.[0]?.state?.waiting?.reason === "CreateContainerConfigError",
    );
    expect(pod.status.containerStatuses?.[0]?.state?.waiting?.message).toBe(
      `container has runAsNonRoot and image will run as root (pod: "${refused}_default(${pod.metadata.uid})", container: main)`,
    );
  });

  test.concurrent("what the API asks wrongly gets the words that kubectl users know", async () => {
    const name = await create({ containers: [{ name: "a" }, { name: "b" }] });
    await reach(name, isReady);
    await expect(logOf(name)).rejects.toThrow(
      `a container name must be specified for pod ${name}, choose one of: [a b]`,
    );
    await expect(logOf(name, {}, "c")).rejects.toThrow(`container c is not valid for pod ${name}`);
    await expect(logOf(name, { previous: true }, "a")).rejects.toThrow(
      `previous terminated container "a" in pod "${name}" not found`,
    );
    await expect(run("no-such-pod", "true")).rejects.toThrow("pod does not exist");
  });

  test.concurrent("hooks ask another pod over HTTP and TCP; a hook that fails ends its container", async () => {
    const serve = "mkdir -p /www; echo x > /www/started; echo x > /www/stopping; exec httpd -f -vv -p 8080 -h /www";
    const server = await create({ containers: [{ command: ["sh", "-c", serve] }] });
    const host = (await reach(server, isReady)).status.podIP!;
    const asked = async () => (await logOf(server)).match(/url:\S+/g) ?? [];
    const http = await create({
      containers: [
        {
          lifecycle: {
            postStart: { httpGet: { host, path: "/started", port: 8080 } },
            preStop: { httpGet: { host, path: "/stopping", port: 8080 } },
          },
        },
      ],
    });
    const tcp = await create({ containers: [{ lifecycle: { postStart: { tcpSocket: { host, port: 8080 } } } }] });
    const refused = await create({
      restartPolicy: "Never",
      containers: [{ lifecycle: { postStart: { httpGet: { host, path: "/nowhere", port: 8080 } } } }],
    });
    await Promise.all([reach(http, isReady), reach(tcp, isReady)]);
    await reach(refused, ({ phase }) => phase === "Failed" || phase === "Succeeded");
    expect((await eventsOf(refused)).join("\n")).toContain("Warning FailedPostStartHook: PostStartHook failed");
    expect((await asked()).toSorted()).toEqual(["url:/nowhere", "url:/started"]);
    await api.client.delete(Pods, { name: http, namespace: "default" });
    await until(() => isGone(http));
    expect(await asked()).toContain("url:/stopping");
  });

  test.concurrent("a gRPC liveness probe asks the pod's health service, and restarts the container whose service is not well", async () => {
    const serving = { well: true, ill: true };
    const asks = async (name: "well" | "ill") => {
      const livenessProbe = {
        grpc: { port: 5000, service: name },
        periodSeconds: 1,
        timeoutSeconds: 10, // The one failure is to be the answer, not a busy machine's delay.
        failureThreshold: 1,
      };
      // It has its address, and does not start before its service is there.
      return create({ containers: [{ livenessProbe, envFrom: [{ configMapRef: { name: "health" } }] }] });
    };
    const servers: Http2Server[] = [];
    try {
      const pods = { well: await asks("well"), ill: await asks("ill") };
      for (const name of ["well", "ill"] as const) {
        const { metadata, status } = await reach(pods[name], ({ podIP }) => podIP);
        const server = healthServer((service) => service === name && serving[name]);
        servers.push(server);
        await listenIn(server, netnsPath(`${nodeName}_${metadata.uid}`), status.podIP!, 5000);
      }
      await api.client.create(ConfigMaps, { metadata: { name: "health", namespace: "default" }, data: {} });
      const restarts = async (name: string) => (await get(name)).status.containerStatuses?.[0]?.restartCount ?? 0;
      await reach(pods.well, isReady);
      await reach(pods.ill, isReady);
      serving.ill = false;
      await until(async () => (await restarts(pods.ill)) > 0);
      expect((await eventsOf(pods.ill)).join("\n")).toMatch(
        /Warning Unhealthy: Liveness probe failed: service unhealthy \(responded with "NOT_SERVING"\)/,
      );
      expect(await restarts(pods.well)).toBe(0);
    } finally {
      for (const server of servers) server.close();
    }
  });

  test.concurrent("a deadline that is set later ends a running pod", async () => {
    const name = await create({});
    await reach(name, isReady);
    const body = { spec: { activeDeadlineSeconds: 1 } };
    await api.client.patch(Pods, { name, namespace: "default" }, { type: "merge", body });
    const pod = await reach(name, ({ phase }) => phase === "Failed");
    expect(pod.status).toMatchObject({ reason: "DeadlineExceeded" });
  });

  test.concurrent("a pod's generation grows with its spec and not with its labels, and the status keeps up with 500 changes", async () => {
    const name = await create({});
    const ref = { name, namespace: "default" };
    expect((await get(name)).metadata.generation).toBe(1);
    await reach(name, (status) => isReady(status) && status.observedGeneration === 1);
    await api.client.patch(Pods, ref, { type: "merge", body: { metadata: { labels: { a: "b" }, generation: 77 } } });
    expect((await get(name)).metadata.generation).toBe(1);
    const toleration = (tolerationSeconds: number) => ({
      spec: { tolerations: [{ key: "k", operator: "Exists", effect: "NoExecute", tolerationSeconds }] },
    });
    for (let i = 1; i <= 500; i++)
      await api.client.patch(Pods, ref, { type: "strategic", body: toleration(i) }, { fieldManager: "test" });
    const pod = await reach(name, ({ observedGeneration }) => observedGeneration === 501);
    expect(pod.metadata.generation).toBe(501);
    await api.client.delete(Pods, ref);
    expect((await get(name)).metadata.generation).toBe(502);
    await until(() => isGone(name));
  });

  test.concurrent("a subPathExpr that comes to no path in the volume holds its container back until it does", async () => {
    const withSubPath = (value: string | { fieldPath: string }, annotations: Record<string, string> = {}) => {
      const env = { name: "SUB", ...(typeof value === "string" ? { value } : { valueFrom: { fieldRef: value } }) };
      const volumeMounts = [{ name: "v", mountPath: "/v", subPathExpr: "$(SUB)" }];
      const spec = { containers: [{ env: [env], volumeMounts }], volumes: [{ name: "v", emptyDir: {} }] };
      return create(spec, undefined, annotations);
    };
    const says = (name: string, message: string) =>
      reach(name, ({ containerStatuses }) => {
        const waiting = containerStatuses?.[0]?.state?.waiting;
        return waiting?.reason === "CreateContainerConfigError" && waiting.message === message;
      });
    const absolute = await withSubPath("/tmp");
    const climbing = await withSubPath("..");
    const empty = await withSubPath("");
    const changing = await withSubPath({ fieldPath: "metadata.annotations['sub']" }, { sub: "/tmp" });
    await says(absolute, "error SubPath `/tmp` must not be an absolute path");
    await says(climbing, "unable to provision SubPath `..`: must not contain '..'");
    await says(empty, "missing value for SUB");
    await says(changing, "error SubPath `/tmp` must not be an absolute path");
    const body = { metadata: { annotations: { sub: "mine" } } };
    await api.client.patch(Pods, { name: changing, namespace: "default" }, { type: "merge", body });
    await reach(changing, isReady);
    expect((await get(absolute)).status.phase).toBe("Pending");
  });

  test.concurrent("optional ConfigMaps and Secrets reach a running pod when they come, change and go", async () => {
    const { client } = api;
    const kinds = { config: ConfigMaps, secret: Secrets } as const;
    const make = (kind: keyof typeof kinds, name: string) =>
      client.create<never>(
        kinds[kind] as never,
        {
          metadata: { name, namespace: "default" },
          data: { a: Buffer.from("1").toString(kind === "secret" ? "base64" : "utf8") },
        } as never,
      );
    await Promise.all([
      make("config", "going"),
      make("secret", "going"),
      make("config", "changing"),
      make("secret", "changing"),
    ]);
    const names = ["coming", "going", "changing"];
    const volumes = names.flatMap((name) => [
      { name: `config-${name}`, configMap: { name, optional: true } },
      { name: `secret-${name}`, secret: { secretName: name, optional: true } },
      {
        name: `projected-${name}`,
        projected: {
          sources: [
            { configMap: { name, optional: true, items: [{ key: "a", path: "c" }] } },
            { secret: { name, optional: true, items: [{ key: "a", path: "s" }] } },
          ],
        },
      },
    ]);
    const name = await create({
      volumes,
      containers: [{ volumeMounts: volumes.map((volume) => ({ name: volume.name, mountPath: `/v/${volume.name}` })) }],
    });
    await reach(name, isReady);
    const files = () => run(name, "sh", "-c", "cd /v; for f in */*; do test -f $f && echo $f=$(cat $f); done");
    const expected = (of: Record<string, string>) =>
      Object.entries(of)
        .flatMap(([each, value]) => [
          `config-${each}/a=${value}`,
          `projected-${each}/c=${value}`,
          `projected-${each}/s=${value}`,
          `secret-${each}/a=${value}`,
        ])
        .toSorted()
        .join("\n");
    const shows = async (of: Record<string, string>) =>
      until(async () => (await files()).split("\n").toSorted().join("\n") === expected(of));
    await shows({ changing: "1", going: "1" });
    await Promise.all([make("config", "coming"), make("secret", "coming")]);
    const ref = (each: string) => ({ name: each, namespace: "default" });
    await client.patch(ConfigMaps, ref("changing"), { type: "merge", body: { data: { a: "2" } } });
    await client.patch(Secrets, ref("changing"), { type: "merge", body: { stringData: { a: "2" } } });
    await client.delete(ConfigMaps, ref("going"));
    await client.delete(Secrets, ref("going"));
    await shows({ changing: "2", coming: "1" });
  });

  test.concurrent("a pod sees the authorities of a bundle, and of a signer's, each once, as they come and change", async () => {
    const authorities = [1, 2, 3].map(() => newAuthority().certificatePem.trim());
    const [a = "", b = "", c = ""] = authorities;
    const { client } = api;
    const write = (name: string, trustBundle: string, labels: Record<string, string> = {}) => {
      const spec = { trustBundle, ...(name.includes(":") ? { signerName: "example.com/ours" } : {}) };
      return client.create(ClusterTrustBundles, { metadata: { name, labels }, spec });
    };
    await write("plain", `${a}\n# twice\n`);
    const sources = [
      { clusterTrustBundle: { name: "plain", path: "plain" } },
      { clusterTrustBundle: { name: "late", path: "late", optional: true } },
      {
        clusterTrustBundle: {
          signerName: "example.com/ours",
          labelSelector: { matchLabels: { live: "yes" } },
          path: "ours",
        },
      },
    ];
    const name = await create({
      volumes: [{ name: "ca", projected: { sources } }],
      containers: [{ volumeMounts: [{ name: "ca", mountPath: "/ca" }] }],
    });
    const waiting = async () =>
      (await eventsOf(name)).some((event) =>
        event.includes("combination of signerName and labelSelector matched zero ClusterTrustBundles"),
      );
    await until(waiting);
    await write("example.com:ours:v1", `${a}\n${b}`, { live: "yes" });
    await write("example.com:ours:v2", `${b}\n${c}`, { live: "yes" });
    await write("example.com:ours:v0", c, { live: "no" });
    await reach(name, isReady);
    const read = async (file: string) =>
      (await run(name, "cat", `/ca/${file}`))
        .split(/(?<=-----END CERTIFICATE-----)\n?/)
        .filter(Boolean)
        .toSorted();
    const shows = (file: string, ...expected: string[]) =>
      until(async () => (await read(file)).join() === expected.toSorted().join());
    await shows("plain", a);
    await shows("late");
    await shows("ours", a, b, c);
    await write("late", c);
    await client.delete(ClusterTrustBundles, { name: "example.com:ours:v2" });
    await client.patch(ClusterTrustBundles, { name: "plain" }, { type: "merge", body: { spec: { trustBundle: b } } });
    await shows("late", c);
    await shows("ours", a, b);
    await shows("plain", b);
  });

  test.concurrent("five pods with fifty ConfigMaps each start, three times", async () => {
    const names = Array.from({ length: 50 }, (_, i) => `many-${i}`);
    for (const name of names)
      await api.client.create(ConfigMaps, { metadata: { name, namespace: "default" }, data: { name } });
    const volumes = names.map((name) => ({ name, configMap: { name } }));
    const volumeMounts = names.map((name) => ({ name, mountPath: `/v/${name}` }));
    const containers = [{ command: ["sh", "-c", "cat /v/*/name"], volumeMounts }];
    for (let round = 0; round < 3; round++) {
      const pods: string[] = [];
      for (let i = 0; i < 5; i++) pods.push(await create({ restartPolicy: "Never", volumes, containers }));
      for (const pod of pods) {
        await reach(pod, ({ phase }) => phase === "Succeeded");
        expect(await logOf(pod)).toBe(names.toSorted().join(""));
      }
      for (const name of pods) await api.client.delete(Pods, { name, namespace: "default" });
    }
  });

  test.concurrent("a pod that fills its volume is evicted", async () => {
    const filler = await create({
      containers: [
        {
          command: ["sh", "-c", "dd if=/dev/zero of=/cache/big bs=1M count=8; sleep 1000"],
          volumeMounts: [{ name: "cache", mountPath: "/cache" }],
        },
      ],
      volumes: [{ name: "cache", emptyDir: { sizeLimit: "4Mi" } }],
    });
    const evicted = await reach(filler, ({ phase }) => phase === "Failed");
    expect(evicted.status).toMatchObject({
      reason: "Evicted",
      message: 'Usage of EmptyDir volume "cache" exceeds the limit "4Mi". ',
    });
    expect(evicted.status.conditions?.find(({ type }) => type === "DisruptionTarget")).toMatchObject({
      status: "True",
      reason: "TerminationByKubelet",
    });
    expect(await eventsOf(filler)).toContain(`Warning Evicted: ${evicted.status.message}`);
  });

  test("under memory pressure the greediest is evicted, and no other is taken; the node says so", async () => {
    await removeAllPods();
    const modest = await create({ containers: [{ resources: { requests: { memory: "64Mi" } } }] });
    const greedy = await create({
      containers: [{ command: ["sh", "-c", "x=$(dd if=/dev/zero bs=1M count=30 | tr '\\0' x); sleep 1000"] }],
    });
    await reach(modest, isReady);
    await reach(greedy, isReady);
    shortOf = { "memory.available": { available: 1024 ** 2, capacity: 2 ** 34 } };
    await reach(greedy, ({ phase, reason }) => phase === "Failed" && reason === "Evicted");
    shortOf = {};
    expect((await get(modest)).status.phase).toBe("Running");
    const node = await api.client.get(Nodes, { name: nodeName });
    expect(node.status.conditions?.find(({ type }) => type === "MemoryPressure")).toMatchObject({
      status: "True",
      reason: "KubeletHasInsufficientMemory",
    });
    const late = await create({});
    await reach(late, ({ phase, reason }) => phase === "Failed" && reason === "Evicted");
    await removeAllPods();
    await die();
    await startNode(); // The pressure would be told for five minutes more.
  }, 60_000);

  test("a file in the manifests' folder is a pod, whatever becomes of its mirror; changed it is another, removed it is none", async () => {
    const file = join(folder, "manifests", "web.yaml");
    const name = `web-${nodeName}`;
    const write = (greeting: string) =>
      writeFileSync(
        file,
        `apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\n  labels: {app: web}\nspec:\n  terminationGracePeriodSeconds: 1\n  containers:\n  - {name: main, image: "busybox:1", command: [sh, -c, "echo ${greeting}; trap 'exit 0' TERM; while :; do sleep 0.1; done"]}\n`,
      );
    const there = async () => ((await isGone(name)) ? undefined : await get(name));
    write("one");
    await until(async () => (await there())?.status?.containerStatuses?.[0]?.ready);
    const first = await get(name);
    expect(first.metadata).toMatchObject({
      labels: { app: "web" },
      annotations: {
        "kubernetes.io/config.source": "file",
        "kubernetes.io/config.mirror": first.metadata.annotations?.["kubernetes.io/config.hash"],
      },
      ownerReferences: [{ kind: "Node", name: nodeName, controller: true }],
    });
    await until(async () => (await logOf(name)) === "one\n");

    await api.client.delete(Pods, { name, namespace: "default" });
    await until(async () => {
      const pod = await there();
      return pod && pod.metadata.uid !== first.metadata.uid && pod.status.containerStatuses?.[0]?.ready;
    });
    const again = await get(name);
    expect(again.status.containerStatuses?.[0]?.containerID).toBe(first.status.containerStatuses?.[0]?.containerID);

    await die();
    await startNode();
    write("two");
    await until(async () => {
      const containerID = (await there())?.status?.containerStatuses?.[0]?.containerID;
      return containerID && containerID !== first.status.containerStatuses?.[0]?.containerID;
    });
    await until(async () => (await logOf(name).catch(() => "")) === "two\n");

    writeFileSync(join(folder, "manifests", "broken.yaml"), "kind: Pod\napiVersion: v1\nspec: {}\n");
    rmSync(file);
    await until(() => isGone(name));
    await until(() => !runtime.listSandboxes().some(({ config }) => config.pod.name === name));
  });

  test("a CSI driver registers, its volumes are staged once and published to each pod, and taken away with the last", async () => {
    const { client } = api;
    const driver = await startCsiDriver({
      name: "test.csi",
      nodeId: "node-id-7",
      registrationFolder: join(folder, "plugins_registry"),
      folder: join(folder, "csi-driver"),
    });
    const called = (name: string) => driver.calls.filter((call) => call.name === name);
    try {
      const csiNode = () => client.get(CSINodes, { name: nodeName }).catch(() => undefined);
      await until(async () => (await csiNode())?.spec.drivers?.length);
      expect((await csiNode())?.spec.drivers).toEqual([
        { name: "test.csi", nodeID: "node-id-7", topologyKeys: ["test/zone"], allocatable: { count: 5 } },
      ]);
      expect((await client.get(Nodes, { name: nodeName })).metadata).toMatchObject({
        labels: { "test/zone": "a" },
        annotations: { "csi.volume.kubernetes.io/nodeid": '{"test.csi":"node-id-7"}' },
      });
      const spec = { attachRequired: true, podInfoOnMount: true, volumeLifecycleModes: ["Persistent", "Ephemeral"] };
      await client.create(CSIDrivers, { metadata: { name: "test.csi" }, spec });
      const makeClaim = async (name: string, volumeMode: string, csi: object) => {
        const common = { accessModes: ["ReadWriteOnce"], volumeMode };
        await client.create(PersistentVolumes, {
          metadata: { name: `csi-pv-of-${name}` },
          spec: {
            ...common,
            capacity: { storage: "1Gi" },
            claimRef: { namespace: "default", name },
            csi: { driver: "test.csi", ...csi },
          },
        } as never);
        const resources = { requests: { storage: "1Gi" } };
        const claim = await client.create(PersistentVolumeClaims, {
          metadata: { name, namespace: "default" },
          spec: { ...common, resources, storageClassName: "", volumeName: `csi-pv-of-${name}` },
        });
        const capacity = { storage: "1Gi" };
        await client.updateStatus(PersistentVolumeClaims, { ...claim, status: { phase: "Bound", capacity } });
      };
      const attributes = { fsType: "ext4", volumeAttributes: { tier: "fast" } };
      await makeClaim("claim", "Filesystem", { volumeHandle: "handle-1", ...attributes });
      await makeClaim("raw", "Block", { volumeHandle: "handle-2" });
      const withVolume = (command: string) => ({
        terminationGracePeriodSeconds: 1,
        restartPolicy: "Never" as const,
        securityContext: { fsGroup: 4321 },
        volumes: [
          { name: "data", persistentVolumeClaim: { claimName: "claim" } },
          { name: "scratch", csi: { driver: "test.csi", volumeAttributes: { size: "1" } } },
        ],
        containers: [
          {
            command: ["sh", "-c", command],
            volumeMounts: [
              { name: "data", mountPath: "/data" },
              { name: "scratch", mountPath: "/scratch" },
            ],
          },
        ],
      });
      const first = await create(
        withVolume("echo kept > /data/file; echo x > /scratch/y; stat -c %g /data; sleep 1000"),
      );
      await until(async () => (await eventsOf(first)).some((event) => event.includes("is not attached to node")));
      // As the driver's attacher would.
      for (const [handle, name] of [
        ["handle-1", "claim"],
        ["handle-2", "raw"],
      ]) {
        const id = createHash("sha256").update(`${handle}test.csi${nodeName}`).digest("hex");
        const attachment = await client.create(VolumeAttachments, {
          metadata: { name: `csi-${id}` },
          spec: { attacher: "test.csi", nodeName, source: { persistentVolumeName: `csi-pv-of-${name}` } },
        });
        await client.updateStatus(VolumeAttachments, {
          ...attachment,
          status: { attached: true, attachmentMetadata: { device: "/dev/x" } },
        });
      }
      await reach(first, isReady);
      await until(() => existsSync(join(driver.content("handle-1"), "file")));
      expect(statSync(driver.content("handle-1")).gid).toBe(4321);
      const second = await create(withVolume("cat /data/file; ls /scratch | wc -l"));
      await reach(second, (status) => status.phase === "Succeeded");
      expect(await logOf(second)).toBe("kept\n0\n");
      // The driver's resizer has done its part: the node does the rest, while the pod runs.
      const bound = { name: "claim", namespace: "default" };
      const larger = { spec: { capacity: { storage: "5Gi" } } };
      await client.patch(PersistentVolumes, { name: "csi-pv-of-claim" }, { type: "merge", body: larger });
      const pending = { status: { allocatedResourceStatuses: { storage: "NodeResizePending" } } };
      await client.patch(PersistentVolumeClaims, bound, { type: "merge", body: pending }, { subresource: "status" });
      await until(
        async () => (await client.get(PersistentVolumeClaims, bound)).status?.capacity?.["storage"] === "5Gi",
      );
      expect(called("NodeExpandVolume").map(({ request }) => request)).toEqual([
        expect.objectContaining({
          volume_id: "handle-1",
          volume_path: expect.stringMatching(/\/volumes\/kubernetes\.io~csi\/csi-pv-of-claim\/mount$/),
          staging_target_path: expect.stringMatching(/globalmount$/),
          capacity_range: { required_bytes: 5 * 1024 ** 3 },
        }),
      ]);
      await until(async () => (await eventsOf(first)).some((event) => event.includes("NodeExpandVolume succeeded")));
      // A pod that wants no file system gets the device, and only that.
      const raw = await create({
        restartPolicy: "Never",
        volumes: [{ name: "disk", persistentVolumeClaim: { claimName: "raw" } }],
        containers: [
          {
            command: ["sh", "-c", "test -b /dev/disk && ls -l /dev/disk"],
            volumeDevices: [{ name: "disk", devicePath: "/dev/disk" }],
          },
        ],
      });
      await reach(raw, (status) => status.phase === "Succeeded");
      expect(await logOf(raw)).toMatch(/^brw.* 7, +199 /);
      const ofDevice = called("NodePublishVolume").find(({ request }) => request["volume_id"] === "handle-2");
      expect(ofDevice?.request).toMatchObject({
        volume_capability: { block: {}, mount: undefined, access_mode: { mode: 1 } },
      });
      const published = called("NodePublishVolume").map(({ request }) => request);
      expect(published.find((request) => request["volume_id"] === "handle-1")).toMatchObject({
        publish_context: { device: "/dev/x" },
        volume_context: { tier: "fast", "csi.storage.k8s.io/pod.name": first, "csi.storage.k8s.io/ephemeral": "false" },
        volume_capability: { mount: { fs_type: "ext4" }, access_mode: { mode: 1 } },
      });
      // The kubelet's successor takes away what this one mounted; a refusal is tried again.
      await die();
      await startNode();
      driver.refuse = { name: "NodeUnpublishVolume", message: "busy" };
      for (const name of [first, second, raw]) await client.delete(Pods, { name, namespace: "default" });
      await until(() => called("NodeUnpublishVolume").length > 0);
      driver.refuse = undefined;
      for (const name of [first, second, raw]) await until(() => isGone(name));
      expect(new Set(called("NodeUnstageVolume").map(({ request }) => request["volume_id"]))).toEqual(
        new Set(["handle-1", "handle-2"]),
      );
      expect(readdirSync(driver.content("handle-1"))).toEqual(["file"]);
      expect(mountsBelow(join(folder, "kubelet")).filter((path) => /csi/.test(path))).toEqual([]);
    } finally {
      await driver.stop();
    }
    rmSync(join(folder, "plugins_registry", "test.csi-reg.sock"), { force: true });
    await until(async () => (await api.client.get(CSINodes, { name: nodeName })).spec.drivers?.length === 0);
  });

  test("a Pod waits for the driver of its claim; its containers get the devices that they name, and the claim is given back with its last Pod", async () => {
    const { client } = api;
    const driverName = "dra.test";
    const request = { name: "one", exactly: { deviceClassName: "any" } };
    const claim = await client.create(ResourceClaims, {
      metadata: { name: "shared", namespace: "default" },
      spec: { devices: { requests: [request] } },
    });
    const withClaim = (command: string) => ({
      terminationGracePeriodSeconds: 1,
      restartPolicy: "Never" as const,
      resourceClaims: [{ name: "it", resourceClaimName: "shared" }],
      containers: [
        { command: ["sh", "-c", command], resources: { claims: [{ name: "it" }] } },
        { name: "plain", command: ["sh", "-c", 'test -z "$CLAIMED" && ! test -e /dev/claimed'] },
      ],
    });
    const show = 'echo "$CLAIMED"; cat /claimed.txt; head -c 4 /dev/claimed | wc -c';
    const first = await create(withClaim(`${show}; sleep 1000`));
    const second = await create(withClaim(show));
    // As the scheduler would.
    const reservedFor = await Promise.all(
      [first, second].map(async (name) => {
        const { uid } = (await client.get(Pods, { name, namespace: "default" })).metadata;
        return { resource: "pods", name, uid };
      }),
    );
    const results = [{ request: "one", driver: driverName, pool: "pool", device: "one" }];
    await client.updateStatus(ResourceClaims, {
      ...claim,
      status: { allocation: { devices: { results } }, reservedFor },
    });
    await until(async () =>
      (await eventsOf(first)).some((event) =>
        event.includes(`prepare dynamic resources: DRA driver ${driverName} is not registered`),
      ),
    );
    expect((await client.get(Pods, { name: first, namespace: "default" })).status?.phase).toBe("Pending");

    const options = {
      name: driverName,
      registrationFolder: join(folder, "plugins_registry"),
      folder: join(folder, "dra-driver"),
      cdiFolder: join(folder, "cdi"),
    };
    let driver = await startDraDriver(options);
    const called = (name: string) => driver.calls.filter((call) => call.name === name).map((call) => call.request);
    try {
      await client.create(ResourceSlices, {
        metadata: { name: "slice-of-the-driver" },
        spec: { driver: driverName, nodeName, pool: { name: "pool", generation: 1, resourceSliceCount: 1 } },
      });
      await reach(second, (status) => status.phase === "Succeeded");
      await until(async () => (await logOf(first, {}, "main").catch(() => "")).endsWith("4\n"));
      for (const name of [first, second]) expect(await logOf(name, {}, "main")).toBe("shared\nfor shared\n4\n");
      const { namespace, name, uid } = claim.metadata;
      expect(called("NodePrepareResources")).toEqual([{ claims: [{ namespace, name, uid }] }]);
      // How the device is, the driver tells while it is in use; who does not use it says nothing.
      const resourceID = `${driverName}/claim=${uid}`;
      const tells = (health: object) => (status: DeepReadonly<PodStatus>) => {
        const [main, plain] = ["main", "plain"].map((each) =>
          status.containerStatuses?.find((container) => container.name === each),
        );
        const told = [{ name: "claim:it", resources: [{ resourceID, ...health }] }];
        return isDeepStrictEqual(main?.allocatedResourcesStatus, told) && !plain?.allocatedResourcesStatus;
      };
      await reach(first, tells({ health: "Unknown" }));
      await until(() => called("NodeWatchResources").length > 0);
      driver.report(2, "too hot");
      await reach(first, tells({ health: "Unhealthy", message: "too hot" }));
      driver.report(1);
      await reach(first, tells({ health: "Healthy" }));

      // The kubelet's successor knows what was prepared; a driver's, speaking the older version, takes it back.
      await die();
      await driver.stop();
      driver = await startDraDriver({ ...options, service: "v1beta1.DRAPlugin" });
      await startNode();
      await client.delete(Pods, { name: second, namespace: "default" });
      await until(() => isGone(second));
      expect(called("NodeUnprepareResources")).toEqual([]);
      driver.refuse = { name: "NodeUnprepareResources", message: "busy" };
      await client.delete(Pods, { name: first, namespace: "default" });
      await until(() => called("NodeUnprepareResources").length > 0);
      driver.refuse = undefined;
      await until(() => isGone(first));
      expect(called("NodeUnprepareResources").at(-1)).toEqual({ claims: [{ namespace, name, uid }] });
      expect(namesIn(join(folder, "cdi"))).toEqual([]);
    } finally {
      await driver.stop();
    }
    // Nobody can use what a driver offered that is gone.
    await until(async () => (await client.list(ResourceSlices)).items.length === 0);
    await client.delete(ResourceClaims, { name: "shared", namespace: "default" });
  });

  test("after the kubelet's death containers run on and are adopted; what happened meanwhile is caught up with", async () => {
    const steady = await create({});
    const doomed = await create({});
    const finished = await create({ restartPolicy: "Never", containers: [{ command: ["sleep", "1"] }] });
    const before = await reach(steady, isReady);
    await reach(doomed, isReady);
    await reach(finished, (status) => status.phase === "Running");
    await die();
    await api.client.delete(Pods, { name: doomed, namespace: "default" }, { gracePeriodSeconds: 0 });
    await until(() => isGone(doomed));
    await pause(1500);
    await startNode();
    await reach(finished, (status) => status.phase === "Succeeded");
    const after = await get(steady);
    expect(after.status.containerStatuses?.[0]?.containerID).toBe(before.status.containerStatuses?.[0]?.containerID);
    expect(after.status.containerStatuses?.[0]?.restartCount).toBe(0);
    expect(isReady(after.status)).toBe(true);
    await until(() => !runtime.listSandboxes().some((sandbox) => sandbox.config.pod.name === doomed));
    expect(await run(steady, "echo", "alive")).toBe("alive");
  });

  test("a pod that the system needs gets its room from a lesser one; others are refused for want of it", async () => {
    await removeAllPods();
    const { allocatable } = (await api.client.get(Nodes, { name: nodeName })).status;
    const containers = [{ resources: { requests: { cpu: allocatable!["cpu"]! } } }];
    const lesser = await create({ containers });
    await reach(lesser, isReady);
    const late = await create({ containers });
    const { status: refusal } = await reach(late, ({ phase }) => phase === "Failed");
    expect(refusal).toMatchObject({ reason: "OutOfcpu" });
    expect(refusal.message).toMatch(/^Pod was rejected: Node didn't have enough resource: cpu, requested: /);
    const needed = await create({ priority: 2_000_000_000, containers });
    await reach(needed, isReady);
    const { status } = await reach(lesser, ({ phase }) => phase === "Failed");
    expect(status).toMatchObject({ reason: "Preempting", message: "Preempted in order to admit critical pod" });
    expect(status.conditions?.find(({ type }) => type === "DisruptionTarget")).toMatchObject({
      reason: "TerminationByKubelet",
      message: "Pod was preempted by Kubelet to accommodate a critical pod.",
    });
    await removeAllPods();
  }, 60_000);

  test("a node that shuts down ends its pods, critical ones last, and takes no others", async () => {
    const slow = ["sh", "-c", "trap 'sleep 0.3; exit 0' TERM; while :; do sleep 0.05; done"];
    const plain = await create({ containers: [{ command: slow }] });
    const critical = await create({ priority: 2_000_000_000, containers: [{ command: slow }] });
    const stubborn = await create({
      containers: [{ command: ["sh", "-c", "trap '' TERM; while :; do sleep 0.05; done"] }],
    });
    for (const name of [plain, critical, stubborn]) await reach(name, isReady);
    await kubelet.shutdown({ gracePeriodSeconds: 6, criticalPodsSeconds: 3 });
    const late = await create({});
    const verdict = { phase: "Failed", reason: "Terminated" };
    const ends = await Promise.all(
      [plain, stubborn, critical].map(async (name) => {
        const { status } = await reach(name, ({ phase }) => phase === "Failed");
        expect(status).toMatchObject(verdict);
        return status.containerStatuses![0]!.state!.terminated!;
      }),
    );
    expect(ends.map(({ exitCode }) => exitCode)).toEqual([0, 137, 0]);
    expect(ends[2]!.finishedAt! >= ends[1]!.finishedAt!).toBe(true);
    expect((await reach(late, ({ phase }) => phase === "Failed")).status).toMatchObject({
      reason: "NodeShutdown",
      message: "Pod was rejected: Pod was rejected as the node is shutting down.",
    });
    const node = await api.client.get(Nodes, { name: nodeName });
    expect(node.status?.conditions?.find(({ type }) => type === "Ready")).toMatchObject({
      status: "False",
      message: "node is shutting down",
    });
    for (const name of [plain, critical, stubborn, late]) await api.client.delete(Pods, { name, namespace: "default" });
    for (const name of [plain, critical, stubborn, late]) await until(() => isGone(name));
    await die();
    await startNode();
  });

  test("killed at any moment, it finishes what was half done: no container is lost, doubled or left behind", async () => {
    for (let round = 0; round < 8; round++) {
      const names: string[] = [];
      for (let i = 0; i < 3; i++) names.push(await create({ volumes: [{ name: "v", emptyDir: {} }] }));
      await pause(systemRandom.int(120));
      await die();
      await startNode();
      for (const name of names) {
        const pod = await reach(name, isReady);
        const running = runtime
          .listContainers({ podUid: pod.metadata.uid })
          .filter(({ state }) => state.kind === "running");
        expect(running).toHaveLength(1);
        expect(runtime.listSandboxes().filter(({ config }) => config.pod.name === name)).toHaveLength(1);
        expect(pod.status.containerStatuses?.[0]?.containerID).toContain(running[0]!.id);
      }
      for (const name of names) await api.client.delete(Pods, { name, namespace: "default" });
      await pause(systemRandom.int(120));
      await die();
      await startNode();
      for (const name of names) await leaves(name);
      await until(() => !runtime.listSandboxes().some(({ config }) => names.includes(config.pod.name)));
    }
  }, 120_000);
});

/** A gRPC health service, as grpc.health.v1 has it. */
function healthServer(isServing: (service: string) => boolean): Http2Server {
  const server = createHttp2Server();
  server.on("stream", (stream) => {
    stream.on("error", () => {});
    stream.on("data", (chunk: Buffer) => {
      // Five bytes of gRPC's, a tag and a length, and the service's name.
      const status = isServing(chunk.subarray(7).toString()) ? 1 : 2;
      stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      stream.end(Buffer.from([0, 0, 0, 0, 2, 8, status]));
    });
  });
  return server;
}

function namesIn(path: string): string[] {
  return existsSync(path) ? readdirSync(path) : [];
}

/** Ends with its process: after the signal no call does anything, and none that was under way returns. */
function mortal<T extends object>(target: T, death: AbortSignal): T {
  return new Proxy(target, {
    get(object, name) {
      const value = Reflect.get(object, name, object);
      if (typeof value !== "function") return value;
      return (...args: unknown[]) => {
        if (death.aborted) return new Promise(() => {});
        const result = value.apply(object, args);
        if (!(result instanceof Promise)) return result;
        return new Promise((resolve, reject) => {
          result.then(
            (answer) => !death.aborted && resolve(answer),
            (error) => !death.aborted && reject(error),
          );
        });
      };
    },
  });
}

async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}

async function until(done: () => unknown, timeoutMs = 30_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await done())) {
    if (performance.now() > deadline) throw new Error(`not reached within ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** One image, made of busybox; every other name is nowhere. */
function testImages(layer: string): ImageService {
  const image: StoredImage = {
    id: "sha256:busybox",
    names: ["busybox:1"],
    digests: ["busybox@sha256:0"],
    sizeBytes: 1,
    lastUsedAtMs: 0,
    pinned: true,
  };
  return {
    async open() {},
    async close() {},
    resolve(name) {
      if (name.includes(" "))
        throw new ImageError("InvalidImageName", `couldn't parse image reference "${name}": invalid reference format`);
      return { requested: name, image: name };
    },
    status: (name) => (name === "busybox:1" || name === image.id ? image : undefined),
    async pull(name) {
      throw new ImageError("NotFound", `failed to pull and unpack image "${name}": not found`);
    },
    list: () => [image],
    async remove() {},
    async usage() {
      return { usedBytes: 0, filesystemBytes: 0, availableBytes: 0 };
    },
    async rootfs() {
      return { layers: [layer], config: { cmd: ["sh"] }, reference: "busybox@sha256:0" };
    },
    hold() {},
    release() {},
  };
}

function busyboxLayer(layer: string): void {
  for (const path of ["bin", "etc", "tmp", "www"]) mkdirSync(join(layer, path), { recursive: true });
  copyFileSync(findProgram("busybox")!, join(layer, "bin/busybox"));
  const applets = "sh cat echo head hostname httpd id ls mkdir nc rm sleep touch true wget".split(" ");
  for (const name of applets) symlinkSync("busybox", join(layer, "bin", name));
  writeFileSync(join(layer, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n");
  writeFileSync(join(layer, "etc/group"), "root:x:0:\n");
}
