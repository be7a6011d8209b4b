/** What the parts of one pod's executor share: the pod's state, its surroundings, and where to report. */
import type { Socket } from "node:net";
import type { Secret, Service } from "../api/core/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { Secrets } from "../api/resources.ts";
import { backoffDelayMs } from "../base/backoff.ts";
import { type Clock, sleep } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { Random } from "../base/random.ts";
import type { Client } from "../client/client.ts";
import type { EventRecorder } from "../controller-runtime/events.ts";
import type { Refusal } from "./admit-pod.ts";
import type { CsiVolumes } from "./csi/csi-volumes.ts";
import type { PodDevices } from "./dra/pod-devices.ts";
import type { FieldFacts } from "./fields.ts";
import type { ImageService } from "./images/image-service.ts";
import type { HostPorts } from "./network/host-ports.ts";
import type { PodNetwork } from "./network/pod-network.ts";
import type { NodeFolders, PodFolders } from "./paths.ts";
import type { ContainerSpec, PodEvent, PodObject, PodState } from "./pod-state.ts";
import type { NodeFacts } from "./pod-status.ts";
import type { ActionTarget, RunAction } from "./probes/action.ts";
import type { NodeGround } from "./qos.ts";
import type { ReferencedObjects } from "./referenced-objects.ts";
import {
  type ContainerId,
  type ContainerRuntime,
  isRuntimeError,
  type SandboxConfig,
} from "./runtime/container-runtime.ts";
import type { StatusWriter } from "./status-writer.ts";
import type { TrustBundles } from "./trust-bundles.ts";
import type { Turns } from "./turns.ts";

/** What all pods of a node share. */
export interface PodSurroundings {
  nodeName: string;
  client: Client;
  runtime: ContainerRuntime;
  images: ImageService;
  network: PodNetwork;
  /** Absent: the node has no ports that could lead to pods. */
  hostPorts?: HostPorts;
  references: ReferencedObjects;
  trustBundles: TrustBundles;
  /** Absent: the node takes no CSI drivers. */
  csi: CsiVolumes | undefined;
  /** Absent: the node takes no drivers for dynamic resources. */
  claims: PodDevices | undefined;
  statuses: StatusWriter;
  /** Sandboxes are made of many short system calls. */
  turns: Turns;
  events: EventRecorder;
  clock: Clock;
  random: Random;
  log: Logger;
  signal: AbortSignal;
  folders: NodeFolders;
  facts: NodeFacts & NodeGround & { allocatable: Readonly<Record<string, string>> };
  /** Below which pods' cgroups are made: `/pinnace/<cluster>/<node>`. */
  cgroupRoot: string;
  /** How many processes and threads a pod may have. */
  podPidsLimit: number;
  seccompRoot: string;
  clusterDomain: string;
  /** For hostNetwork. Undefined: the machine's own. */
  nodeNetnsPath?: string;
  services(): readonly DeepReadonly<Service>[];
  /** What a pod's resolv.conf says. */
  dns(pod: PodObject): SandboxConfig["dns"];
  /** A TCP connection from the node. */
  connect(address: string, port: number): Socket;
  /** Runs what probes and hooks ask for. */
  runAction: RunAction;
  /** Whether the pod, resized as its spec asks, still fits the node. Undefined: it does. */
  resizeRefusal(pod: PodObject): Refusal | undefined;
  /** Nothing of the pod is left on the node. */
  onGone(podUid: string): void;
}

export interface PodDesk {
  readonly node: PodSurroundings;
  readonly folders: PodFolders;
  /** The newest; it changes with every event. */
  readonly state: PodState;
  /** `namespace/name`, for the log. */
  readonly name: string;
  /** Fires when the node stops looking after the pod. */
  readonly ending: AbortSignal;
  dispatch(event: PodEvent): void;
  record(container: string | undefined, type: "Normal" | "Warning", reason: string, message: string): void;
}

/** What fields of the pod and its node may refer to. */
export function fieldFacts({ node: { facts }, state: { sandbox } }: PodDesk): FieldFacts {
  return {
    podIPs: sandbox.kind === "ready" ? sandbox.ips : [],
    hostIPs: facts.hostIPs,
    allocatable: facts.allocatable,
  };
}

/** Where a container's probes and hooks act. */
export function actionTarget(
  { node, state: { sandbox } }: PodDesk,
  container: ContainerSpec,
  id: ContainerId,
): ActionTarget {
  const { clock, runtime, connect } = node;
  return {
    podIP: (sandbox.kind === "ready" ? sandbox.ips[0] : undefined) ?? "127.0.0.1",
    container,
    clock,
    connect,
    exec: (command, timeoutMs, signal) => runtime.execSync(id, command, { timeoutMs, signal }),
  };
}

/** Those that the pod names and that exist; it is told about the others. */
export async function pullSecrets(desk: PodDesk): Promise<DeepReadonly<Secret>[]> {
  const { references } = desk.node;
  const { pod } = desk.state;
  const { namespace, uid } = pod.metadata;
  const names = (pod.spec.imagePullSecrets ?? []).flatMap(({ name }) => name || []);
  const found = await Promise.all(names.map((name) => references.get(Secrets, namespace, name, uid)));
  const missing = names.filter((_, i) => !found[i]);
  if (missing.length > 0) {
    const message = `Unable to retrieve some image pull secrets (${missing.join(", ")}); attempting to pull the image may not succeed.`;
    desk.record(undefined, "Warning", "FailedToRetrieveImagePullSecret", message);
  }
  return found.filter((secret) => secret !== undefined);
}

/** Tries again, later each time, until it succeeds or the node's kubelet ends. What is not there needs nothing done. */
export async function untilDone(pod: PodDesk, what: string, work: () => Promise<void>): Promise<void> {
  const { clock, log, signal } = pod.node;
  for (let failures = 1; !signal.aborted; failures++) {
    try {
      return await work();
    } catch (error) {
      if (signal.aborted || isRuntimeError(error, "NotFound")) return;
      const { message } = error as Error;
      log.warn(what, { pod: pod.name, error: message });
      if (failures === 1) pod.record(undefined, "Warning", "FailedKillPod", `${what}: ${message}`);
      await sleep(clock, backoffDelayMs(retryBackoff, failures), signal).catch(() => {});
    }
  }
}

const retryBackoff = { initialMs: 500, maximumMs: 30_000 };
