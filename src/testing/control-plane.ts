/** API server, controllers and scheduler over a memory store, with Nodes whose Pods run as soon as they are bound: for tests of workloads. */
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Node, Pod } from "../api/core/v1.ts";
import type { DeepReadonly, KubeObject, New } from "../api/object.ts";
import type { Resource } from "../api/resource.ts";
import { Nodes, Pods } from "../api/resources.ts";
import { isConflict, isNotFound } from "../apimachinery/status-error.ts";
import { admissionPlugins } from "../apiserver-plugins/admission/catalog.ts";
import { RegistryReader } from "../apiserver-plugins/object-reader.ts";
import { namespaceFinalize } from "../apiserver-plugins/subresources/namespace-finalize.ts";
import { podBinding } from "../apiserver-plugins/subresources/pod-binding.ts";
import { podEviction } from "../apiserver-plugins/subresources/pod-eviction.ts";
import { type Clock, rfc3339, sleep } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import { silentLogger } from "../base/logger.ts";
import { systemClock } from "../base/node/system-clock.ts";
import { seededRandom } from "../base/random.ts";
import type { Client } from "../client/client.ts";
import { discoveryOf } from "../cluster/served-resources.ts";
import { type ControllerManagerOptions, controllerCatalog } from "../controller-manager/catalog.ts";
import { objectKey } from "../controller-runtime/cache.ts";
import { InformerCache } from "../controller-runtime/informer-cache.ts";
import { runControllers } from "../controller-runtime/run-controllers.ts";
import { type SchedulerOptions, startScheduler } from "../scheduler/scheduler.ts";
import { startTestApiServer, type TestApiServer } from "./api-server.ts";

export interface TestControlPlane extends AsyncDisposable {
  client: Client;
  clock: Clock;
  /** What controllers and scheduler complained of, as JSON lines. */
  complaints: string[];
  /** How often controllers and scheduler have tried to write since the start, by verb and resource: `create pods`, `patch pods/status`. */
  attempts: ReadonlyMap<string, number>;
  /** The object as last seen. */
  get<T extends KubeObject>(resource: Resource<T>, name: string, namespace?: string): DeepReadonly<T> | undefined;
  list<T extends KubeObject>(resource: Resource<T>, namespace?: string): DeepReadonly<T>[];
  /** Calls `look` after every change that is seen, until it is disposed of. */
  observe(look: () => void): Disposable;
  /** Resolves when the condition holds; looked at after every change. Rejects after ten seconds. */
  until(condition: () => boolean): Promise<void>;
  addNode(name: string, shape?: { labels?: Record<string, string>; spec?: Node["spec"]; cpu?: string }): Promise<void>;
  /** Changes an object by get and update, again when somebody else was quicker. */
  edit<T extends KubeObject>(resource: Resource<T>, name: string, change: (object: T) => void): Promise<void>;
}

export interface TestControlPlaneOptions {
  /** What a bound Pod becomes; undefined leaves it Pending. Default: Running and ready. */
  podStatus?(pod: DeepReadonly<Pod>, ip: string): Pod["status"] | undefined;
  controllers?: Partial<ControllerManagerOptions>;
  scheduler?: Pick<SchedulerOptions, "profiles" | "extenders">;
  /** Default: the system's. */
  clock?: Clock;
  /** Starts what else the API server is to serve, before controllers look. Ends with the signal. */
  alsoServe?(api: TestApiServer, signal: AbortSignal): Promise<void>;
  /** Watched for get, list and until; Pods and Nodes always are. */
  watched: readonly Resource[];
}

export async function startTestControlPlane(options: TestControlPlaneOptions): Promise<TestControlPlane> {
  const clock = options.clock ?? systemClock;
  const api: TestApiServer = await startTestApiServer({
    clock,
    random: seededRandom(1),
    subresources: new Map([
      ["namespaces/finalize", namespaceFinalize],
      ["pods/binding", podBinding],
      ["pods/eviction", podEviction],
    ]),
    admission: ({ registry }) =>
      admissionPlugins({
        objects: new RegistryReader(registry),
        random: seededRandom(2),
        quotaClient: () => api.client,
      }),
  });
  const discover = discoveryOf(api.server.registry);
  const stop = new AbortController();
  const { client } = api;
  await options.alsoServe?.(api, stop.signal);
  const attempts = new Map<string, number>();
  const complaints: string[] = [];
  const complain = (message: string, fields?: Record<string, unknown>) => {
    complaints.push(JSON.stringify({ message, ...fields }));
  };
  const log: Logger = { ...silentLogger, warn: complain, error: complain, with: () => log };
  const surroundings = {
    client: countingClient(client, attempts),
    clock,
    random: seededRandom(3),
    log,
    signal: stop.signal,
  };
  const controllers = runControllers(
    controllerCatalog({
      discover,
      rootCa: () => "PEM",
      issueAccountToken: ({ name }, secret) => `token of ${name} in ${secret.name}`,
      ...options.controllers,
    }),
    surroundings,
  );
  const scheduler = startScheduler({ ...surroundings, ...options.scheduler });
  await Promise.all([controllers.ready, scheduler.ready]);

  const watches = new Set<Resource>();
  const cache = new InformerCache({ ...surroundings, client: watchingClient(surroundings.client, watches) });
  const checks = new Set<() => void>();
  const watched = new Set<Resource>([Pods as Resource, Nodes as Resource, ...options.watched]);
  for (const resource of watched) {
    cache.informer(resource).addHandler(() => {
      for (const check of [...checks]) check();
    });
  }
  await cache.synced();
  // Watches open after the lists, and deliver from the next turn on: else all that follows could come about before their first event.
  while (watches.size < watched.size) await sleep(systemClock, 1);
  await nextTurn();
  runPods(cache, client, options.podStatus ?? runningStatus(clock));

  return {
    client,
    clock,
    complaints,
    attempts,
    get: (resource, name, namespace = "default") =>
      cache.get(resource, objectKey(name, resource.scope === "Namespaced" ? namespace : undefined)),
    list: (resource, namespace) => cache.list(resource, namespace),
    observe(look) {
      checks.add(look);
      return { [Symbol.dispose]: () => void checks.delete(look) };
    },
    until(condition) {
      return new Promise((resolve, reject) => {
        const check = () => {
          if (!condition()) return;
          settle();
          resolve();
        };
        const timer = systemClock.setTimer(10_000, () => {
          settle();
          reject(new Error(`did not come about: ${condition}; complaints: ${complaints.join("\n")}`));
        });
        const settle = () => {
          timer[Symbol.dispose]();
          checks.delete(check);
        };
        checks.add(check);
        check();
      });
    },
    async addNode(name, { labels = {}, spec = {}, cpu = "4" } = {}) {
      const node: New<Node> = { metadata: { name, labels: { "kubernetes.io/hostname": name, ...labels } }, spec };
      await client.create(Nodes, node);
      const amounts = { cpu, memory: "8Gi", pods: "110" };
      const now = rfc3339(clock.now());
      const ready = { type: "Ready", status: "True", lastHeartbeatTime: now, lastTransitionTime: now };
      const body = { status: { allocatable: amounts, capacity: amounts, conditions: [ready] } };
      await client.patch(Nodes, { name }, { type: "strategic", body }, { subresource: "status" });
    },
    async edit(resource, name, change) {
      const ref = resource.scope === "Namespaced" ? { name, namespace: "default" } : { name };
      for (;;) {
        const copy = structuredClone(await client.get(resource, ref)) as KubeObject;
        change(copy as Parameters<typeof change>[0]);
        try {
          await client.update(resource, copy as never);
          return;
        } catch (error) {
          if (!isConflict(error)) throw error;
        }
      }
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await Promise.all([controllers.done, scheduler.done, cache.stopped()]);
      await api[Symbol.asyncDispose]();
    },
  };
}

/** Notes which resources are watched. */
function watchingClient(client: Client, watches: Set<Resource>): Client {
  return new Proxy(client, {
    get(target, method: keyof Client) {
      const call = (target[method] as (...args: unknown[]) => unknown).bind(target);
      if (method !== "watch") return call;
      return async (...args: unknown[]) => {
        const watch = await call(...args);
        watches.add(args[0] as Resource);
        return watch;
      };
    },
  });
}

function countingClient(client: Client, attempts: Map<string, number>): Client {
  const verbs: Partial<Record<keyof Client, string>> = {
    create: "create",
    update: "update",
    updateStatus: "update",
    patch: "patch",
    delete: "delete",
    deleteCollection: "deletecollection",
    createSubresource: "create",
    updateSubresource: "update",
  };
  return new Proxy(client, {
    get(target, method: keyof Client) {
      const call = (target[method] as (...args: unknown[]) => unknown).bind(target);
      return (...args: unknown[]) => {
        const subresource =
          method === "updateStatus"
            ? "status"
            : method === "patch"
              ? (args[3] as { subresource?: string } | undefined)?.subresource
              : method.endsWith("Subresource")
                ? args[2]
                : undefined;
        const { plural } = args[0] as Resource;
        const what = `${verbs[method]} ${plural}${subresource ? `/${subresource}` : ""}`;
        if (verbs[method]) attempts.set(what, (attempts.get(what) ?? 0) + 1);
        return call(...args);
      };
    },
  });
}

/** A clock that runs so many times as fast as the system's, from `startMs` on. */
export function hastyClock(speed: number, startMs: number): Clock {
  const since = systemClock.now();
  return {
    now: () => startMs + (systemClock.now() - since) * speed,
    setTimer: (delayMs, callback, options) => systemClock.setTimer(delayMs / speed, callback, options),
  };
}

export interface LeapingClock extends Clock {
  /** Puts the clock forward: what falls due on the way is due at once. */
  leap(ms: number): void;
}

/** The system's clock, from `startMs` on, until somebody puts it forward. */
export function leapingClock(startMs: number): LeapingClock {
  const since = systemClock.now();
  const pending = new Set<{ dueMs: number; callback: () => void; timer: Disposable }>();
  let leaptMs = 0;
  const now = () => startMs + leaptMs + systemClock.now() - since;
  return {
    now,
    setTimer(delayMs, callback, options) {
      const fire = () => {
        pending.delete(entry);
        callback();
      };
      const timer = systemClock.setTimer(delayMs, fire, options);
      const entry = { dueMs: now() + delayMs, callback: fire, timer };
      pending.add(entry);
      return {
        [Symbol.dispose]: () => {
          pending.delete(entry);
          entry.timer[Symbol.dispose]();
        },
      };
    },
    leap(ms) {
      leaptMs += ms;
      for (const entry of [...pending].sort((a, b) => a.dueMs - b.dueMs)) {
        if (!pending.has(entry)) continue;
        entry.timer[Symbol.dispose]();
        const leftMs = entry.dueMs - now();
        if (leftMs <= 0) entry.callback();
        else entry.timer = systemClock.setTimer(leftMs, entry.callback);
      }
    },
  };
}

/** Ends a Pod as its first container would: 0 succeeds. */
export async function finishPod(
  { client, clock }: TestControlPlane,
  { metadata: { name, namespace, uid }, spec }: DeepReadonly<Pod>,
  exitCode: number,
  conditions: { type: string; status: string }[] = [],
): Promise<void> {
  const now = rfc3339(clock.now());
  const reason = exitCode === 0 ? "Completed" : "Error";
  const [{ name: container, image = "" }] = spec.containers as [DeepReadonly<Pod["spec"]["containers"][number]>];
  const state = { terminated: { exitCode, finishedAt: now, startedAt: now, reason } };
  const status = {
    phase: exitCode === 0 ? "Succeeded" : "Failed",
    conditions: [{ type: "Ready", status: "False" }, ...conditions].map((one) => ({ ...one, lastTransitionTime: now })),
    containerStatuses: [{ name: container, image, imageID: "", ready: false, restartCount: 0, state }],
  };
  const body = { metadata: { uid }, status };
  await client.patch(Pods, { name, namespace }, { type: "strategic", body }, { subresource: "status" });
}

export function runningPods(cluster: TestControlPlane): DeepReadonly<Pod>[] {
  return cluster
    .list(Pods)
    .filter(({ metadata, status }) => status?.phase === "Running" && !metadata.deletionTimestamp);
}

function runningStatus(clock: Clock) {
  return ({ spec }: DeepReadonly<Pod>, podIP: string): Pod["status"] => {
    const now = rfc3339(clock.now());
    return {
      phase: "Running",
      podIP,
      podIPs: [{ ip: podIP }],
      startTime: now,
      conditions: [
        { type: "PodScheduled", status: "True", lastTransitionTime: now },
        { type: "Ready", status: "True", lastTransitionTime: now },
      ],
      containerStatuses: spec.containers.map(({ name, image = "" }) => ({
        name,
        image,
        imageID: image,
        ready: true,
        restartCount: 0,
        state: { running: { startedAt: now } },
      })),
    };
  };
}

/** Plays every kubelet: starts what is bound, confirms what is being deleted. */
function runPods(
  cache: InformerCache,
  client: Client,
  podStatus: NonNullable<TestControlPlaneOptions["podStatus"]>,
): void {
  const addresses = new Map<string, string>();
  cache.informer(Pods).addHandler(({ type, object: pod }) => {
    const { uid, name, namespace, deletionTimestamp } = pod.metadata;
    if (type === "DELETED" || !pod.spec.nodeName) return;
    const ignoreGone = (error: unknown) => {
      if (!isNotFound(error) && !isConflict(error)) throw error;
    };
    if (deletionTimestamp) {
      const preconditions = { uid };
      void client.delete(Pods, { name, namespace }, { gracePeriodSeconds: 0, preconditions }).catch(ignoreGone);
    } else if (!addresses.has(uid)) {
      const ip = `10.244.${addresses.size >> 8}.${addresses.size & 255}`;
      const status = podStatus(pod, ip);
      if (!status) return;
      addresses.set(uid, ip);
      const body = { metadata: { uid }, status };
      const ref = { name, namespace };
      void client.patch(Pods, ref, { type: "strategic", body }, { subresource: "status" }).catch(ignoreGone);
    }
  });
}
