/** One node's agent: registers the node, and does for each pod bound to it what its spec says (upstream's kubelet). */
import { setMaxListeners } from "node:events";
import { readdir, rm } from "node:fs/promises";
import type { Socket } from "node:net";
import { join } from "node:path";
import type { Pod } from "../api/core/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { Nodes, Pods, Services } from "../api/resources.ts";
import { type Clock, sleep } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { Random } from "../base/random.ts";
import type { Client } from "../client/client.ts";
import { objectKey } from "../controller-runtime/cache.ts";
import { createEventRecorder } from "../controller-runtime/event-recorder.ts";
import type { Change } from "../controller-runtime/informer.ts";
import { InformerCache } from "../controller-runtime/informer-cache.ts";
import { resizeRefusalOf } from "./admit-pod.ts";
import { adoptPod } from "./adopt-pod.ts";
import { labels } from "./container-config.ts";
import { CsiDrivers } from "./csi/csi-drivers.ts";
import { CsiGrowth } from "./csi/csi-growth.ts";
import { CsiVolumes } from "./csi/csi-volumes.ts";
import { DeviceHealth } from "./dra/device-health.ts";
import { DraDrivers } from "./dra/dra-drivers.ts";
import { PodDevices } from "./dra/pod-devices.ts";
import { EvictionManager } from "./eviction/eviction-manager.ts";
import type { Eviction } from "./eviction/plan-eviction.ts";
import { type Observations, observeMachine, type Thresholds } from "./eviction/signals.ts";
import type { ImageService } from "./images/image-service.ts";
import { LogKeeper } from "./log-keeper.ts";
import { defaultLogLimits, type LogLimits } from "./log-rotation.ts";
import type { MachineFacts } from "./machine-facts.ts";
import type { HostPorts } from "./network/host-ports.ts";
import type { PodNetwork } from "./network/pod-network.ts";
import { kubeletPort, maximumPods, type NodeConfig, nodeAllocatable } from "./node-object.ts";
import { NodeRegistration } from "./node-registration.ts";
import { planShutdown, type ShutdownSettings } from "./node-shutdown.ts";
import { type NodeFolders, podFoldersByUid } from "./paths.ts";
import { PluginRegistration } from "./plugin-registration.ts";
import { PodAdmission } from "./pod-admission.ts";
import { createPodApi, type PodApi } from "./pod-api.ts";
import type { PodSurroundings } from "./pod-desk.ts";
import { PodExecutor } from "./pod-executor.ts";
import type { PodObject } from "./pod-state.ts";
import { type RunAction, runAction } from "./probes/action.ts";
import { QosGroups } from "./qos-groups.ts";
import { ReferencedObjects } from "./referenced-objects.ts";
import type { ContainerRuntime, SandboxConfig, SandboxStatus } from "./runtime/container-runtime.ts";
import { type KubeletRoutes, kubeletRoutes } from "./server/routes.ts";
import { isStatic, mirroredUid } from "./static-pods/manifest.ts";
import { StaticPods } from "./static-pods/static-pods.ts";
import { StatsSource } from "./stats/node-stats.ts";
import { StatusWriter } from "./status-writer.ts";
import { parseSysctlPatterns } from "./sysctls.ts";
import { TrustBundles } from "./trust-bundles.ts";
import { Turns } from "./turns.ts";
import { removeVolumes } from "./volumes/pod-volumes.ts";

export interface KubeletOptions {
  node: NodeConfig;
  machine: MachineFacts;
  client: Client;
  /** Open. Records of other nodes in it are left alone. */
  runtime: ContainerRuntime;
  /** Open. */
  images: ImageService;
  network: PodNetwork;
  /** For pods' hostPorts. Absent: they are not served. */
  hostPorts?: HostPorts;
  clock: Clock;
  random: Random;
  log: Logger;
  /** Ends the kubelet. Containers run on. */
  signal: AbortSignal;
  folders: NodeFolders;
  /** Below which pods' cgroups are made: `/pinnace/<cluster>/<node>`. */
  cgroupRoot: string;
  clusterDomain: string;
  /** Where Localhost seccomp profiles lie. */
  seccompRoot: string;
  /** For hostNetwork pods. Undefined: the machine's own. */
  nodeNetnsPath?: string;
  /** What a pod's resolv.conf says. */
  dns(pod: PodObject): SandboxConfig["dns"];
  /** A TCP connection from the node, for probes and hooks: as net.connect begins it. */
  connect(address: string, port: number): Socket;
  /** Runs what probes and hooks ask for. Default: for real. */
  runAction?: RunAction;
  /** Where CSI drivers put their registration sockets. Default: nowhere, and the node takes none. */
  pluginFolder?: string;
  /** How long a driver for dynamic resources may be away before its ResourceSlices are removed. Default: 30 s. */
  driverPatienceMs?: number;
  /** Files in it are pods of this node, whatever the API says. Default: none. */
  staticPodFolder?: string;
  /** How many processes and threads a pod may have. Default: 4096, so that one that forks without end stays alone with that. */
  podPidsLimit?: number;
  /** Names and patterns of kernel parameters that pods may set although their effect may be felt beyond the pod. Default: none. */
  allowedUnsafeSysctls?: readonly string[];
  /** Whether `/logs/?query=` is answered. Default: not. */
  enableSystemLogQuery?: boolean;
  logLimits?: LogLimits;
  /** Between two renewals of the lease, with which log sizes and the node's resources are looked at. Default: 10 s. */
  heartbeatMs?: number;
  /** Below which pods are evicted. Default: upstream's, but milder with disks. */
  evictionThresholds?: Thresholds;
  /** How much of what evictions look at is left. Default: what the machine says. */
  observe?(): Promise<Observations>;
}

/** Between two looks at whether pods that were told to end have ended. */
const endingLookMs = 20;

/** How long what is half made may take to be finished. */
const stopPatienceMs = 3000;

export interface Kubelet {
  /** The node is registered and says Ready, and the pods of a kubelet before this one are adopted. */
  readonly ready: Promise<void>;
  readonly pods: PodApi;
  /** Answers what is asked of the node over HTTP; for doors that have authorized the asker. */
  readonly routes: KubeletRoutes;
  /** Usage of the node's pods and containers, measured when asked. */
  readonly stats: StatsSource;
  /** Resolves when everything has ended, after the signal. */
  readonly stopped: Promise<void>;
  /** Ends the node's pods in the order of their importance, and takes no others. Resolves when all have ended or their time is over. */
  shutdown(settings: ShutdownSettings): Promise<void>;
}

export function startKubelet(options: KubeletOptions): Kubelet {
  const kubelet = new RunningKubelet(options);
  const ready = kubelet.start();
  return {
    ready,
    pods: kubelet.podApi,
    routes: kubelet.routes,
    stats: kubelet.stats,
    stopped: kubelet.stopped,
    shutdown: (settings) => kubelet.shutdown(settings),
  };
}

class RunningKubelet {
  readonly podApi: PodApi;
  readonly routes: KubeletRoutes;
  readonly stats: StatsSource;
  readonly stopped: Promise<void>;
  readonly #options: KubeletOptions;
  /** The node's own signal: every pod and request listens to it. */
  readonly #ending = new AbortController();
  readonly #executors = new Map<string, PodExecutor>();
  readonly #informers: InformerCache;
  readonly #surroundings: PodSurroundings;
  readonly #evictions: EvictionManager;
  readonly #logs: LogKeeper;
  readonly #staticPods: StaticPods | undefined;
  readonly #plugins: PluginRegistration | undefined;
  readonly #csiDrivers: CsiDrivers;
  readonly #draDrivers: DraDrivers;
  readonly #growth: CsiGrowth;
  readonly #admission: PodAdmission;
  readonly #qosGroups: QosGroups;
  #registration: NodeRegistration | undefined;
  #isShuttingDown = false;

  constructor(options: KubeletOptions) {
    const { node, machine, client, clock, runtime } = options;
    const log = options.log.with({ node: node.name });
    const { signal } = this.#ending;
    // Not 0: Node then takes the signal for no emitter at all where somebody asks for its limit (as undici's fetch does).
    setMaxListeners(manyListeners, signal);
    this.#options = { ...options, log, signal };
    this.#qosGroups = new QosGroups({ runtime, cgroupRoot: options.cgroupRoot, clock, log });
    this.#informers = new InformerCache({
      client,
      clock,
      log,
      signal,
      fieldSelectors: { pods: `spec.nodeName=${node.name}` },
    });
    const references = new ReferencedObjects({
      client,
      clock,
      log,
      signal,
      onChange: (podUid) => this.#executors.get(podUid)?.referenceChanged(),
    });
    const trustBundles = new TrustBundles({
      cache: () => new InformerCache({ client, clock, log, signal }),
      onChange: (podUid) => this.#executors.get(podUid)?.referenceChanged(),
    });
    const { pluginFolder } = options;
    const forPlugins = { nodeName: node.name, client, clock, log, signal };
    this.#csiDrivers = new CsiDrivers({ ...forPlugins, nodeUid: () => this.#registration?.uid ?? "" });
    const health = new DeviceHealth({
      clock,
      log,
      onChange: () => {
        for (const executor of this.#executors.values()) executor.devicesChanged();
      },
    });
    this.#draDrivers = new DraDrivers({
      ...forPlugins,
      health,
      ...(options.driverPatienceMs === undefined ? {} : { patienceMs: options.driverPatienceMs }),
      onRegistered: () => {
        for (const executor of this.#executors.values()) executor.driverAppeared();
      },
    });
    this.#plugins =
      pluginFolder === undefined
        ? undefined
        : new PluginRegistration({
            folder: pluginFolder,
            handlers: [this.#csiDrivers, this.#draDrivers],
            clock,
            log,
            signal,
          });
    const events = createEventRecorder({ client, clock, log, component: "kubelet", host: node.name, signal });
    const growth = new CsiGrowth({ client, clock, events, nodeName: node.name, signal });
    this.#growth = growth;
    const ofVolumes = { plugins: this.#csiDrivers, growth, client, nodeName: node.name, root: options.folders.root };
    this.#surroundings = {
      ...this.#options,
      csi: this.#plugins && new CsiVolumes(ofVolumes),
      claims:
        this.#plugins &&
        new PodDevices({ drivers: this.#draDrivers, health, client, folder: join(options.folders.root, "dra") }),
      nodeName: node.name,
      podPidsLimit: options.podPidsLimit ?? defaultPodPidsLimit,
      references,
      trustBundles,
      turns: new Turns(clock),
      statuses: new StatusWriter({
        client,
        clock,
        log,
        signal,
        objectOf: (pod) => (isStatic(pod) ? this.#staticPods?.mirrorOf(pod) : pod),
      }),
      events,
      facts: {
        hostIPs: node.ips,
        runtimeName: runtime.name,
        recursiveReadOnlyMounts: runtime.features.recursiveReadOnlyMounts,
        allocatable: nodeAllocatable(node, machine),
        memoryBytes: machine.memoryBytes,
        hugePageSizes: Object.keys(machine.hugePages ?? {}),
        containerGroupFiles: machine.containerGroupFiles ?? {},
      },
      runAction: options.runAction ?? runAction,
      services: () => this.#informers.list(Services),
      resizeRefusal: (pod) => resizeRefusalOf(pod, this.#admission.roomFor(pod)),
      onGone: (podUid) => this.#gone(podUid),
    };
    this.podApi = createPodApi({
      runtime,
      folders: options.folders,
      now: () => clock.now(),
      find: ({ name, namespace }) => {
        const pod = this.#informers.get(Pods, objectKey(name, namespace));
        return pod && this.#executors.get(mirroredUid(pod) ?? pod.metadata.uid)?.state;
      },
    });
    this.#staticPods =
      options.staticPodFolder === undefined ? undefined : this.#makeStaticPods(options.staticPodFolder);
    const states = () => [...this.#executors.values()].map(({ state }) => state);
    this.stats = new StatsSource({ ...this.#options, nodeName: node.name, pods: states });
    this.#logs = new LogKeeper({
      runtime,
      limits: options.logLimits ?? defaultLogLimits,
      regularMs: options.heartbeatMs ?? 10_000,
      clock,
      log,
      signal,
    });
    this.#evictions = new EvictionManager({
      stats: this.stats,
      images: options.images,
      clock,
      log,
      ...(options.evictionThresholds ? { thresholds: options.evictionThresholds } : {}),
      observe: options.observe ?? (() => observeMachine(options.folders.root)),
      pods: states,
      evict: (eviction) => this.#evict(eviction),
      onPressure: () => void this.#registration?.tellStatus(),
    });
    this.#admission = new PodAdmission({
      node,
      machine,
      client,
      clock,
      signal,
      features: runtime.features,
      allocatable: this.#surroundings.facts.allocatable,
      sysctls: parseSysctlPatterns(options.allowedUnsafeSysctls ?? []),
      events: this.#surroundings.events,
      executors: this.#executors,
      seenNode: () => this.#registration?.node,
      pressures: () => this.#evictions.pressures,
      isShuttingDown: () => this.#isShuttingDown,
    });
    this.routes = kubeletRoutes({
      nodeName: node.name,
      stats: this.stats,
      pods: this.podApi,
      folders: options.folders,
      ...(options.enableSystemLogQuery ? { logQueryClock: clock } : {}),
      startedAtMs: clock.now(),
      states,
      evictions: () => this.#evictions.counts,
      probes: () => [...this.#executors.values()].map(({ state, probes }) => ({ pod: state.pod, probes })),
      config: kubeletConfiguration(options),
    });
    this.stopped = new Promise((resolve) => {
      const stop = () => {
        this.#ending.abort(options.signal.reason);
        this.#qosGroups.close();
        void this.#closeExecutors().then(resolve);
      };
      if (options.signal.aborted) stop();
      else options.signal.addEventListener("abort", stop, { once: true });
    });
  }

  #makeStaticPods(folder: string): StaticPods {
    const { node, client, clock, log, signal } = this.#options;
    return new StaticPods({
      folder,
      nodeName: node.name,
      client,
      clock,
      log,
      signal,
      nodeUid: () => this.#registration?.uid ?? "",
      isHere: (uid) => this.#executors.has(uid),
      onAdded: (pod) => this.#takeOn(pod),
      onRemoved: (uid) => this.#executors.get(uid)?.dispatch({ kind: "podVanished" }),
      onMirror: (pod, mirror) => this.#surroundings.statuses.anew(pod.metadata.uid, mirror.status),
    });
  }

  /** What is half made is finished first: nobody else knows of it. */
  async #closeExecutors(): Promise<void> {
    const executors = [...this.#executors.values()];
    for (const executor of executors) executor.close();
    const settled = Promise.all([...executors.map((executor) => executor.settled()), this.#informers.stopped()]);
    const patience = new AbortController();
    const { clock } = this.#options;
    await Promise.race([settled, sleep(clock, stopPatienceMs, patience.signal).catch(() => {})]);
    patience.abort();
  }

  async start(): Promise<void> {
    const { node, machine, client, images, clock, log, signal, runtime, network } = this.#options;
    const version = await runtime.version();
    const subject = { apiVersion: "v1", kind: Nodes.kind, metadata: { name: node.name, uid: node.name } };
    const registration = new NodeRegistration({
      config: { ...node, features: runtime.features },
      machine,
      runtimeVersion: `${version.name}://${version.version}`,
      client,
      images,
      clock,
      log,
      signal,
      ...(this.#options.heartbeatMs ? { renewalMs: this.#options.heartbeatMs } : {}),
      pressures: () => this.#evictions.pressures,
      isShuttingDown: () => this.#isShuttingDown,
      networkProblem: () => network.problem?.(),
      record: (type, reason, message) => this.#surroundings.events.event(subject, type, reason, message),
      onTick: () => {
        if (!runtime.withoutFiles) void this.#rotateLogs();
        void this.#evictions.look();
        this.#staticPods?.sync();
        this.#plugins?.look();
        void this.#growth.look();
        // Others may have made room.
        for (const executor of this.#executors.values()) if (executor.state.resize) executor.resize();
      },
    });
    this.#registration = registration;
    network.onChange?.(() => void registration.tellStatus(), signal);
    const registered = registration.register();
    const exits = runtime.onContainerExit((status) => this.#executors.get(status.podUid)?.containerExited(status));
    signal.addEventListener("abort", () => exits[Symbol.dispose](), { once: true });
    // Service variables must be known before the first container starts.
    const services = this.#informers.informer(Services);
    this.#qosGroups.open();
    // They may be what the API server itself runs in.
    await this.#staticPods?.start();
    await Promise.all([registered, Promise.race([services.synced, aborted(signal)])]);
    if (signal.aborted) return;
    if (this.#plugins) {
      this.#plugins.start();
      void this.#csiDrivers.announce();
      void this.#draDrivers.removeOldSlices();
    }
    void registration.run();
    this.#surroundings.events.event(subject, "Normal", "Starting", "Starting kubelet.");
    const pods = this.#informers.informer(Pods);
    pods.addHandler((change) => this.#podChanged(change));
    await Promise.race([pods.synced, aborted(signal)]);
    if (signal.aborted) return;
    this.#staticPods?.begin();
    await this.#removeOrphans();
  }

  #podChanged({ type, object }: Change<Pod>): void {
    if (this.#staticPods?.tookMirror(type, object)) return;
    const { uid } = object.metadata;
    const executor = this.#executors.get(uid);
    if (type === "DELETED") {
      if (!executor) return;
      if (executor.state.stage.kind === "gone") this.#forget(uid);
      else executor.dispatch({ kind: "podVanished" });
    } else if (executor) {
      this.#qosGroups.tell(object);
      executor.podChanged(object);
    } else this.#takeOn(object);
  }

  #takeOn(pod: DeepReadonly<Pod>): void {
    const { runtime, clock } = this.#options;
    const { uid } = pod.metadata;
    const records = {
      sandboxes: this.#sandboxes().filter((sandbox) => sandbox.config.pod.uid === uid),
      containers: runtime.listContainers({ podUid: uid }),
    };
    for (const { id, state } of records.containers) {
      // Its start was interrupted: it is made anew.
      if (state.kind === "created") void runtime.removeContainer(id).catch(() => {});
    }
    const executor = new PodExecutor(adoptPod(pod, records, runtime.name, clock.now()), this.#surroundings);
    this.#executors.set(uid, executor);
    this.#qosGroups.tell(pod);
    // What was begun here is gone on with.
    if (records.sandboxes.length > 0) executor.start();
    else this.#admission.admit(executor);
  }

  #evict({ pod, message, graceSeconds }: Eviction): void {
    const { events } = this.#surroundings;
    const executor = this.#executors.get(pod.metadata.uid);
    if (executor?.state.stage.kind !== "active") return;
    this.#options.log.info("evicting a pod", { pod: executor.name, message });
    events.event({ ...pod, apiVersion: "v1", kind: "Pod" }, "Warning", "Evicted", message);
    executor.dispatch({ kind: "evicted", verdict: { reason: "Evicted", message, isDisruption: true }, graceSeconds });
  }

  async shutdown(settings: ShutdownSettings): Promise<void> {
    this.#isShuttingDown = true;
    const { clock, log, signal } = this.#options;
    const told = this.#registration?.tellStatus();
    const running = [...this.#executors.values()].filter(({ state }) => state.stage.kind === "active");
    const verdict = {
      reason: "Terminated",
      message: "Pod was terminated in response to imminent node shutdown.",
      isDisruption: true,
    };
    const turns = planShutdown(
      running.map((executor) => ({ executor, pod: executor.state.pod })),
      settings,
    );
    for (const { pods, seconds } of turns) {
      log.info("the node shuts down: ending pods", { pods: pods.map(({ executor }) => executor.name), seconds });
      const deadlineMs = clock.now() + seconds * 1000;
      for (const { executor, pod } of pods) {
        const graceSeconds = Math.min(Number(pod.spec.terminationGracePeriodSeconds ?? 30), seconds);
        executor.dispatch({ kind: "evicted", verdict, graceSeconds });
      }
      const isOver = () => pods.every(({ executor }) => !["active", "stopping"].includes(executor.state.stage.kind));
      while (!isOver() && clock.now() < deadlineMs && !signal.aborted)
        await sleep(clock, endingLookMs, signal).catch(() => {});
      await Promise.all(pods.map(({ pod }) => this.#surroundings.statuses.flushed(pod.metadata.uid)));
    }
    await told;
  }

  #sandboxes(): SandboxStatus[] {
    const { runtime, node } = this.#options;
    return runtime.listSandboxes().filter((sandbox) => sandbox.config.labels?.[labels.node] === node.name);
  }

  #gone(podUid: string): void {
    const executor = this.#executors.get(podUid);
    // While its object is there, the executor stays: later news of the object must not start the pod again.
    const pod = executor?.state.pod;
    const present = pod && this.#informers.get(Pods, objectKey(pod.metadata.name, pod.metadata.namespace));
    if (present?.metadata.uid !== podUid) this.#forget(podUid);
  }

  #forget(podUid: string): void {
    this.#executors.get(podUid)?.close();
    this.#executors.delete(podUid);
    this.#qosGroups.forget(podUid);
    this.#surroundings.statuses.forget(podUid);
    this.#staticPods?.gone(podUid);
  }

  /** Pods that were deleted while no kubelet looked: nothing of them may stay. */
  async #removeOrphans(): Promise<void> {
    const { runtime, network, folders, log } = this.#options;
    const isOrphan = (uid: string) => !this.#executors.has(uid);
    const sandboxes = this.#sandboxes().filter((sandbox) => isOrphan(sandbox.config.pod.uid));
    await Promise.all(
      sandboxes.map(async ({ id, config }) => {
        const pod = `${config.pod.namespace}/${config.pod.name}`;
        log.info("removing a pod that was deleted meanwhile", { pod });
        try {
          const containers = runtime.listContainers({ sandbox: id });
          await Promise.all(containers.map((status) => runtime.stopContainer(status.id, { gracePeriodSeconds: 1 })));
          await runtime.removeSandbox(id);
        } catch (error) {
          log.warn("removing an orphaned pod failed", { pod, error: (error as Error).message });
        }
      }),
    );
    const attachments = await network.list();
    await Promise.all(attachments.filter(({ podUid }) => isOrphan(podUid)).map(({ podUid }) => network.detach(podUid)));
    const { claims } = this.#surroundings;
    const uids = new Set([
      ...(claims?.podUids() ?? []),
      ...(await namesIn(join(folders.root, "pods"))),
      ...(await namesIn(join(folders.volatile, "pods"))),
    ]);
    for (const uid of [...uids].filter(isOrphan)) {
      try {
        await removeVolumes(podFoldersByUid(folders, uid), this.#surroundings.csi);
        await claims?.unprepare(uid);
        await rm(podFoldersByUid(folders, uid).root, { recursive: true, force: true });
      } catch (error) {
        // Its driver may not be there yet. What is still mounted must not be emptied: the next kubelet tries again.
        log.warn("removing an orphaned pod's volumes failed", { uid, error: (error as Error).message });
      }
    }
    for (const name of await namesIn(folders.logs)) {
      if (isOrphan(name.slice(name.lastIndexOf("_") + 1)))
        await rm(join(folders.logs, name), { recursive: true, force: true });
    }
  }

  async #rotateLogs(): Promise<void> {
    const states = [...this.#executors.values()].flatMap(({ state }) => state.containers);
    await this.#logs.look(states.flatMap(({ run }) => (run.kind === "running" ? [run.id] : [])));
  }
}

/** What of upstream's KubeletConfiguration means something here. */
function kubeletConfiguration({
  allowedUnsafeSysctls,
  cgroupRoot,
  clusterDomain,
  enableSystemLogQuery = false,
  logLimits = defaultLogLimits,
  node,
  podPidsLimit = defaultPodPidsLimit,
}: KubeletOptions) {
  return {
    kind: "KubeletConfiguration",
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    authentication: { anonymous: { enabled: false }, webhook: { enabled: true } },
    authorization: { mode: "Webhook" },
    ...(allowedUnsafeSysctls ? { allowedUnsafeSysctls } : {}),
    cgroupRoot,
    clusterDomain,
    enableSystemLogHandler: true,
    enableSystemLogQuery,
    containerLogMaxSize: `${logLimits.maximumBytes / 1024 / 1024}Mi`,
    containerLogMaxFiles: logLimits.maximumFiles,
    maxPods: maximumPods,
    podPidsLimit,
    port: node.kubeletPort ?? kubeletPort,
  };
}

const defaultPodPidsLimit = 4096;
const manyListeners = 100_000;

async function namesIn(folder: string): Promise<string[]> {
  return await readdir(folder).catch(() => []);
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
