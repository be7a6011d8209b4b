/**
 * What the API server's subresource handlers ask of a node: logs, exec, attach and port-forward of its pods (upstream's kubelet server).
 * Mistakes are Status errors in the words that kubectl users know.
 */
import { stat } from "node:fs/promises";
import type { Duplex } from "node:stream";
import { badRequestError, notFoundError, StatusError } from "../apimachinery/status-error.ts";
import type { ObjectRef } from "../client/client.ts";
import { type LogOptions, readLogs } from "./logs.ts";
import { containerLogPath, type NodeFolders, podFolders } from "./paths.ts";
import { type ContainerState, findContainerSpec, type PodState } from "./pod-state.ts";
import { waitingToRestart } from "./pod-status.ts";
import type {
  AttachRequest,
  ContainerId,
  ContainerRuntime,
  ExecRequest,
  ExitCode,
} from "./runtime/container-runtime.ts";

export interface PodLogOptions extends LogOptions {
  /** The run before the present one. */
  previous?: boolean;
  sinceSeconds?: number;
}

export interface PodApi {
  /** Resolves when the log can be read; errors come before the first byte. */
  logs(
    pod: ObjectRef,
    container: string | undefined,
    options: PodLogOptions,
    signal: AbortSignal,
  ): Promise<AsyncIterable<Buffer>>;
  exec(pod: ObjectRef, container: string | undefined, request: ExecRequest): Promise<ExitCode>;
  attach(pod: ObjectRef, container: string | undefined, request: AttachRequest): Promise<void>;
  /** A connection to a port inside the pod. */
  portForward(pod: ObjectRef, port: number, signal?: AbortSignal): Promise<Duplex>;
  /** Whether the container was made with a terminal, and whether its stdin is open: attach's caller must know. */
  containerStreams(pod: ObjectRef, container: string | undefined): { tty: boolean; stdin: boolean };
}

export interface PodApiOptions {
  runtime: ContainerRuntime;
  folders: NodeFolders;
  now(): number;
  find(pod: ObjectRef): PodState | undefined;
}

export function createPodApi({ runtime, folders, now, find }: PodApiOptions): PodApi {
  /** How much of their logs was there when the clients of interactive containers read them: `kubectl run -i` does before it attaches. */
  const readBytes = new Map<ContainerId, number>();

  function podOf(ref: ObjectRef): PodState {
    const state = find(ref);
    if (!state) throw notFoundError({ group: "", resource: "pods" }, ref.name);
    return state;
  }

  function running(ref: ObjectRef, name: string | undefined): ContainerId {
    const state = find(ref);
    if (!state) throw internal(`unable to upgrade connection: pod does not exist`);
    const container = containerOf(state, name);
    if (container.run.kind !== "running") {
      throw internal(`unable to upgrade connection: container not found (${JSON.stringify(container.name)})`);
    }
    return container.run.id;
  }

  /** The runtime lets the first client of an interactive container read what it printed, even when it has ended. */
  function attachable(ref: ObjectRef, name: string | undefined): ContainerId {
    const state = find(ref);
    const run = state && containerOf(state, name).run;
    return run?.kind === "exited" ? run.id : running(ref, name);
  }

  return {
    async logs(ref, name, options, signal) {
      const state = podOf(ref);
      const container = containerOf(state, name);
      const run = options.previous ? previousRun(state, container, now()) : presentRun(state, container);
      const path = containerLogPath(podFolders(folders, state.pod), container.name, run.attempt);
      const file = await stat(path).catch(() => undefined);
      if (!file) throw notFoundError({ group: "", resource: "pods/log" }, `${ref.name}/${container.name}`);
      if (findContainerSpec(state.pod, container.name)?.stdinOnce) readBytes.set(run.id, file.size);
      const sinceMs =
        options.sinceSeconds !== undefined
          ? Math.max(options.sinceMs ?? 0, now() - options.sinceSeconds * 1000)
          : options.sinceMs;
      const ended = new AbortController();
      if (run.kind === "running") {
        runtime.waitForExit(run.id, signal).then(
          () => ended.abort(),
          () => ended.abort(),
        );
      } else ended.abort();
      return readLogs(path, { ...options, ...(sinceMs !== undefined ? { sinceMs } : {}) }, ended.signal, signal);
    },

    async exec(ref, name, request) {
      return await runtime.exec(running(ref, name), request);
    },

    async attach(ref, name, request) {
      const id = attachable(ref, name);
      const knownBytes = readBytes.get(id) ?? 0;
      readBytes.delete(id);
      await runtime.attach(id, { ...request, knownBytes });
    },

    async portForward(ref, port, signal) {
      const state = find(ref);
      if (!state) throw internal("unable to upgrade connection: pod does not exist");
      if (state.sandbox.kind !== "ready") {
        throw internal(
          `unable to forward port because pod is not running. Current status=${state.pod.status?.phase ?? "Pending"}`,
        );
      }
      return await runtime.connectToPort(state.sandbox.id, port, signal);
    },

    containerStreams(ref, name) {
      const state = podOf(ref);
      const spec = findContainerSpec(state.pod, containerOf(state, name).name);
      return { tty: spec?.tty ?? false, stdin: spec?.stdin ?? false };
    },
  };
}

/** The one that is named, or the only one there is. */
function containerOf(state: PodState, name: string | undefined): ContainerState {
  const { pod, containers } = state;
  if (name) {
    const container = containers.find((candidate) => candidate.name === name);
    if (container) return container;
    throw badRequestError(`container ${name} is not valid for pod ${pod.metadata.name}`);
  }
  const [only, another] = pod.spec.containers;
  if (only && !another) return containers.find((candidate) => candidate.name === only.name)!;
  const names = pod.spec.containers.map((container) => container.name);
  const init = (pod.spec.initContainers ?? []).map((container) => container.name);
  const initText = init.length > 0 ? ` or one of the init containers: [${init.join(" ")}]` : "";
  throw badRequestError(
    `a container name must be specified for pod ${pod.metadata.name}, choose one of: [${names.join(" ")}]${initText}`,
  );
}

function presentRun(state: PodState, container: ContainerState) {
  const { run, previous } = container;
  if (run.kind === "running" || run.kind === "exited") return run;
  if (run.kind === "starting" && run.last) return run.last;
  if (previous) return previous;
  const where = `container ${JSON.stringify(container.name)} in pod ${JSON.stringify(state.pod.metadata.name)}`;
  throw badRequestError(`${where} is waiting to start: ${waitingText(state, container)}`);
}

function waitingText(state: PodState, { problem, image }: ContainerState): string {
  if (problem) return problem.reason;
  if (image.kind === "failed" && image.reason === "ErrImagePull") {
    return image.announced ? "trying and failing to pull image" : "image can't be pulled";
  }
  if (image.kind === "failed") return image.reason;
  return state.pod.spec.initContainers?.length ? "PodInitializing" : "ContainerCreating";
}

function previousRun(state: PodState, container: ContainerState, now: number) {
  const { run, previous } = container;
  // While it waits for its restart, the run that has just ended is the one before.
  if (run.kind === "exited" && waitingToRestart(state, container, run, now)) return run;
  if (previous) return previous;
  const where = `container ${JSON.stringify(container.name)} in pod ${JSON.stringify(state.pod.metadata.name)}`;
  throw badRequestError(`previous terminated ${where} not found`);
}

function internal(message: string): StatusError {
  return new StatusError(500, "InternalError", message);
}
