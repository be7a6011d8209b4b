/** What a node answers over HTTP, whichever door the question came by (upstream's pkg/kubelet/server): its pods, logs, statistics, metrics. */
import type { IncomingHttpHeaders } from "node:http";
import { availableParallelism } from "node:os";
import { badRequestError, notFoundError } from "../../apimachinery/status-error.ts";
import type { Clock } from "../../base/clock.ts";
import { exposition, expositionContentType } from "../../base/exposition.ts";
import { containerLogPath, type NodeFolders, podFolders } from "../paths.ts";
import type { PodApi, PodLogOptions } from "../pod-api.ts";
import type { PodObject, PodState } from "../pod-state.ts";
import { type ProbeTallies, probeMetrics } from "../probes/probe-tally.ts";
import { cadvisorMetrics, kubeletMetrics, resourceMetrics } from "../stats/metrics.ts";
import type { StatsSource } from "../stats/node-stats.ts";
import { summary } from "../stats/summary.ts";
import { type ServedFolder, serveFile } from "./file-server.ts";
import { queryLogs } from "./node-log-query.ts";

export interface KubeletRequest {
  method: string;
  /** Without the query. */
  path: string;
  query: URLSearchParams;
  /** Lower-case names. */
  headers: IncomingHttpHeaders;
  signal: AbortSignal;
}

export interface KubeletAnswer {
  status: number;
  contentType?: string;
  /** Besides the content type. */
  headers?: Readonly<Record<string, string>>;
  body: string | AsyncIterable<Uint8Array>;
}

/** Answers one request; a user's mistake rejects with a StatusError. Authenticating and authorizing is the door's work. */
export type KubeletRoutes = (request: KubeletRequest) => Promise<KubeletAnswer>;

export interface RoutesOptions {
  nodeName: string;
  stats: StatsSource;
  pods: PodApi;
  folders: NodeFolders;
  /** Absent: log queries are not answered. */
  logQueryClock?: Clock;
  /** Served at /logs/, with the logs of pods in it. Default: /var/log. */
  logFolder?: string;
  startedAtMs: number;
  states(): Iterable<PodState>;
  evictions(): Readonly<Record<string, number>>;
  /** How the probes of each pod went. */
  probes(): { pod: PodObject; probes: ProbeTallies }[];
  /** What /configz shows. */
  config: object;
}

export function kubeletRoutes(options: RoutesOptions): KubeletRoutes {
  const { stats, nodeName, startedAtMs } = options;
  const nodeLogs = logTree(options);
  const showLogs = (root: ServedFolder, path: string, request: KubeletRequest) =>
    options.logQueryClock ? queryLogs(root, path, request, options.logQueryClock) : serveFile(root, path, request);
  return async (request) => {
    const { path, query, method } = request;
    if (method !== "GET" && method !== "HEAD") return plain(405, "Method Not Allowed\n");
    if (path.startsWith("/logs/"))
      return method === "GET"
        ? showLogs(nodeLogs, path.slice("/logs".length), request)
        : plain(405, "405: Method Not Allowed");
    switch (path === "/" ? path : path.replace(/\/$/, "")) {
      case "/healthz":
      case "/healthz/ping":
      case "/healthz/log":
      case "/healthz/syncloop":
        return plain(200, "ok");
      case "/pods":
        return json(
          podList([...options.states()].map(({ pod }) => ({ ...pod, kind: undefined, apiVersion: undefined }))),
        );
      case "/runningpods":
        return json(podList([...options.states()].filter(isRunning).map(asTheRuntimeKnowsIt)));
      case "/configz":
        return json({ kubeletconfig: options.config });
      case "/stats/summary":
        return json(summary(await stats.read({ disks: query.get("only_cpu_and_memory") !== "true" })));
      case "/metrics":
        return metrics(
          kubeletMetrics({ nodeName, startedAtMs, pods: [...options.states()], evictions: options.evictions() }),
        );
      case "/metrics/resource":
        return metrics(resourceMetrics(await stats.read({ disks: false })));
      case "/metrics/probes":
        return metrics(probeMetrics(options.probes()));
      case "/metrics/cadvisor":
        return metrics(cadvisorMetrics(await stats.read(), availableParallelism()));
    }
    const logs = /^\/containerLogs\/([^/]+)\/([^/]+)\/([^/]+)$/.exec(path);
    if (!logs) return plain(404, "404 page not found\n");
    const [namespace = "", name = "", container] = logs.slice(1).map(decodeURIComponent);
    const body = await options.pods.logs({ namespace, name }, container, logOptions(query), request.signal);
    return { status: 200, contentType: "text/plain", body };
  };

  function metrics(families: Parameters<typeof exposition>[0]): KubeletAnswer {
    return { status: 200, contentType: expositionContentType, body: exposition(families) };
  }
}

/** The machine's log folder, with the places in it that upstream's nodes have for pods and containers. */
function logTree({ folders, logFolder = "/var/log", states }: RoutesOptions): ServedFolder {
  const files = () => new Map([...states()].flatMap((state) => containerLogs(folders, state)));
  return {
    folder: logFolder,
    within: { pods: { folder: folders.logs }, containers: { folder: folders.logs, files } },
  };
}

/** Of the run that is or was there last, under the names that collectors of logs take apart. */
function containerLogs(folders: NodeFolders, { pod, containers }: PodState): [string, string][] {
  const { name, namespace } = pod.metadata;
  return containers.flatMap(({ name: container, run }) =>
    run.kind === "running" || run.kind === "exited"
      ? [
          [
            `${name}_${namespace}_${container}-${run.id}.log`,
            containerLogPath(podFolders(folders, pod), container, run.attempt),
          ],
        ]
      : [],
  );
}

function podList(items: object[]): object {
  return { kind: "PodList", apiVersion: "v1", metadata: {}, items };
}

function isRunning({ sandbox, containers }: PodState): boolean {
  return sandbox.kind === "ready" || containers.some(({ run }) => run.kind === "running");
}

/** A pod's name and what runs in it: all that upstream's runtimes can tell of it. */
function asTheRuntimeKnowsIt({ pod: { metadata, spec }, containers }: PodState): object {
  const { name, namespace, uid } = metadata;
  const running = new Set(containers.flatMap((each) => (each.run.kind === "running" ? [each.name] : [])));
  const shown = [...(spec.initContainers ?? []), ...spec.containers, ...(spec.ephemeralContainers ?? [])]
    .filter((each) => running.has(each.name))
    .map((each) => ({ name: each.name, image: each.image, resources: {} }));
  return { metadata: { name, namespace, uid, creationTimestamp: null }, spec: { containers: shown }, status: {} };
}

export function podOfPath(path: string): { verb: string; namespace: string; name: string; container?: string } {
  const [verb = "", namespace, name, ...rest] = path.split("/").slice(1).map(decodeURIComponent);
  if (!namespace || !name) throw notFoundError({ group: "", resource: "pods" }, name ?? "");
  const container = rest.at(-1);
  return { verb, namespace, name, ...(container ? { container } : {}) };
}

function logOptions(query: URLSearchParams): PodLogOptions {
  const number = (name: string) => {
    const text = query.get(name);
    if (text === null) return undefined;
    const value = Number(text);
    if (!Number.isInteger(value) || value < 0)
      throw badRequestError(`invalid value ${JSON.stringify(text)} for ${name}`);
    return value;
  };
  const [tailLines, limitBytes, sinceSeconds] = [number("tailLines"), number("limitBytes"), number("sinceSeconds")];
  return {
    follow: query.get("follow") === "true",
    timestamps: query.get("timestamps") === "true",
    previous: query.get("previous") === "true",
    ...(tailLines !== undefined ? { tailLines } : {}),
    ...(limitBytes !== undefined ? { limitBytes } : {}),
    ...(sinceSeconds !== undefined ? { sinceSeconds } : {}),
  };
}

function plain(status: number, body: string): KubeletAnswer {
  return { status, contentType: "text/plain; charset=utf-8", body };
}

function json(value: object): KubeletAnswer {
  return { status: 200, contentType: "application/json", body: JSON.stringify(value) };
}
