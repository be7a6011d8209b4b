/** What the kubelet knows of one pod, what can happen to it and what it can want done: plain data for the pure parts. */
import type { Container, EphemeralContainer, Pod, PodSpec, ResourceRequirements } from "../api/core/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import type { ContainerId, ContainerStatus, SandboxId } from "./runtime/container-runtime.ts";

export type PodObject = DeepReadonly<Pod>;
export type ContainerSpec = DeepReadonly<Container> | DeepReadonly<EphemeralContainer>;

export interface PodState {
  /** The newest object seen. */
  readonly pod: PodObject;
  readonly stage: PodStage;
  readonly sandbox: SandboxState;
  readonly volumes: VolumesState;
  /** In the spec's order: init containers and sidecars, main ones, ephemeral ones. */
  readonly containers: readonly ContainerState[];
  /** When this node took the pod on: `status.startTime`. */
  readonly startTimeMs: number;
  /** Main containers have been started in this sandbox: regular init containers are behind it. */
  readonly initialized: boolean;
  /** A container's rule wants the pod to begin anew where it is: its containers are being killed, and then all start again. False: it has. */
  readonly isRestarting?: boolean;
  /** status.reason and status.message of a pod that the node itself ended. */
  readonly verdict?: Verdict;
  /** Why the pod and its containers do not have yet what their spec asks for. */
  readonly resize?: ResizeProblem;
  /** What the pod as a whole was given: as its spec asked when its sandbox was made or it was resized last. */
  readonly resources?: DeepReadonly<ResourceRequirements>;
}

export interface ResizeProblem {
  /** Also the condition's. */
  readonly type: "PodResizePending" | "PodResizeInProgress";
  /** Infeasible, Deferred, Error. Empty: it is under way. */
  readonly reason: string;
  readonly message: string;
}

export interface Verdict {
  readonly reason: string;
  readonly message: string;
  /** The node took its place away: told in the DisruptionTarget condition. */
  readonly isDisruption?: boolean;
  /** What that condition says. Default: the message. */
  readonly disruption?: string;
  /** The node did not take it on: nothing is told of its containers. */
  readonly isRefusal?: boolean;
}

/** A pod moves down this list and never back. */
export type PodStage =
  | { readonly kind: "active" }
  /** Containers are being stopped; those that resist are killed at `deadlineMs`. */
  | { readonly kind: "stopping"; readonly cause: StopCause; readonly graceSeconds: number; readonly deadlineMs: number }
  /** No container runs; network and volumes are being given back. */
  | { readonly kind: "releasing" }
  /** Ended by itself: its records and logs stay until the object is deleted. */
  | { readonly kind: "finished" }
  /** Records and logs are being removed. */
  | { readonly kind: "removing" }
  /** Nothing of it is left on the node. */
  | { readonly kind: "gone" };

/** deleted: deletionTimestamp is set. vanished: the object is gone. completed: nothing is left to run. deadline: activeDeadlineSeconds. evicted: the node will not have it. */
export type StopCause = "deleted" | "vanished" | "completed" | "deadline" | "evicted";

export type SandboxState =
  | { readonly kind: "none"; readonly attempt: number; readonly failure?: Failure }
  | { readonly kind: "creating"; readonly attempt: number; readonly failures?: number }
  | { readonly kind: "ready"; readonly attempt: number; readonly id: SandboxId; readonly ips: readonly string[] }
  /** Given back; the addresses are still told. */
  | { readonly kind: "released"; readonly attempt: number; readonly ips: readonly string[] };

export type VolumesState =
  | { readonly kind: "none"; readonly failure?: Failure }
  | { readonly kind: "preparing"; readonly failures?: number }
  | { readonly kind: "ready" };

/** Something that is tried again at `retryAtMs`, later each time. */
export interface Failure {
  readonly message: string;
  readonly failures: number;
  readonly retryAtMs: number;
}

export type ContainerRole = "init" | "sidecar" | "main" | "ephemeral";

export interface ContainerState {
  readonly name: string;
  readonly role: ContainerRole;
  readonly image: ImageState;
  readonly run: Run;
  /** The run before: `lastState`. */
  readonly previous?: ExitedRun;
  /** Waits before the next restart double; kept from run to run. */
  readonly backoff?: RestartBackoff;
  /** Why it is not running, when not because of its own exit. Cleared by a start. */
  readonly problem?: Problem;
  /** A decision to stop the present run: a failed probe or hook, a changed image. */
  readonly condemned?: {
    readonly message: string;
    readonly graceSeconds?: number;
    readonly restart: boolean;
    /** A run as the spec says now takes its place. */
    readonly isReplaced?: boolean;
  };
  /** The run that a changed spec replaces, as it was: told of until its successor runs or cannot, as nothing is told in between. */
  readonly replaced?: { readonly run: RunningRun; readonly started: boolean; readonly ready: boolean };
  /** The startup probe passed, or there is none and the container runs. */
  readonly started: boolean;
  /** The readiness probe passes, or there is none and the container is started. */
  readonly ready: boolean;
}

export interface Problem {
  /** CreateContainerConfigError, CreateContainerError, RunContainerError, PostStartHookError; of an image volume, as of an image. */
  readonly reason: string;
  readonly message: string;
  /** Absent: the restart policy and back-off say when. */
  readonly retryAtMs?: number;
}

export interface RestartBackoff {
  readonly delayMs: number;
  readonly updatedAtMs: number;
  /** The wait that a BackOff event has been recorded for ends here. */
  readonly announcedUntilMs?: number;
}

export type ImageState =
  | { readonly kind: "unknown"; readonly failures?: number }
  | { readonly kind: "checking"; readonly failures?: number; readonly waiting?: { reason: string; message: string } }
  | { readonly kind: "ready"; readonly image: string; readonly id: string }
  | {
      readonly kind: "failed";
      readonly image: string;
      readonly reason: ImageFailureReason;
      readonly message: string;
      readonly failures: number;
      readonly failedAtMs: number;
      readonly retryAtMs: number;
      readonly announced?: boolean;
    };

export type ImageFailureReason =
  | "ErrImagePull"
  | "ErrImageNeverPull"
  | "InvalidImageName"
  | "ImageInspectError"
  | "RegistryUnavailable"
  | "SignatureValidationFailed";

export type Run =
  | { readonly kind: "none" }
  /** Being created and started; `last` is the run that it follows. */
  | { readonly kind: "starting"; readonly attempt: number; readonly last?: ExitedRun }
  | RunningRun
  | ExitedRun;

export interface RunIdentity {
  readonly id: ContainerId;
  readonly attempt: number;
  readonly sandbox: SandboxId;
  /** As the user wrote it. */
  readonly image: string;
  /** For `containerStatuses[].imageID`. */
  readonly imageId: string;
  /** Who it started as, where the runtime tells. */
  readonly user?: ContainerStatus["user"];
}

export interface RunningRun extends RunIdentity {
  readonly kind: "running";
  readonly startedAtMs: number;
  /** What it was given: as its spec asked when it started or was resized last. */
  readonly resources?: DeepReadonly<ResourceRequirements>;
  /** Its postStart hook has not ended: it does not count as running yet. */
  readonly hook?: "wanted" | "running";
  /** Asked to stop. `restart`: the kubelet wants it to run again whatever its exit code. `awaitsTurn`: no further than its preStop hook. */
  readonly stopping?: { readonly deadlineMs: number; readonly restart?: boolean; readonly awaitsTurn?: boolean };
}

export interface ExitedRun extends RunIdentity {
  readonly kind: "exited";
  readonly exitCode: number;
  /** Completed, Error, OOMKilled, StartError, ContainerStatusUnknown. */
  readonly reason: string;
  readonly message?: string;
  readonly startedAtMs: number;
  readonly finishedAtMs: number;
  /** The kubelet stopped it in order to start it again. */
  readonly mustRestart?: boolean;
}

export type ProbeKind = "startup" | "liveness" | "readiness";

/** What happens to a pod. */
export type PodEvent =
  | { kind: "podChanged"; pod: PodObject }
  /** The object is gone from the API. */
  | { kind: "podVanished" }
  | { kind: "sandboxCreated"; id: SandboxId; ips: readonly string[]; resources?: DeepReadonly<ResourceRequirements> }
  | { kind: "sandboxFailed"; message: string }
  | { kind: "volumesReady" }
  | { kind: "volumesFailed"; message: string }
  /** `image` is the name that was asked for: it may have changed since. */
  | { kind: "imageReady"; container: string; image: string; id: string }
  | { kind: "imageFailed"; container: string; image: string; reason: ImageFailureReason; message: string }
  | { kind: "containerStarted"; container: string; run: RunningRun; backoff?: RestartBackoff }
  /** The postStart hook ended; `failure` when it did not succeed. */
  | { kind: "hookEnded"; container: string; id: ContainerId; failure?: string }
  /** `run` when a container exists: its command could not be executed. */
  | {
      kind: "containerNotStarted";
      container: string;
      problem: Omit<Problem, "retryAtMs">;
      /** Default: 10 s. */
      retryAfterMs?: number;
      run?: ExitedRun;
    }
  | { kind: "containerExited"; container: string; run: ExitedRun }
  | {
      kind: "probed";
      container: string;
      id: ContainerId;
      probe: ProbeKind;
      success: boolean;
      /** The probe's own terminationGracePeriodSeconds. */
      graceSeconds?: number;
    }
  /** The node ends the pod, for the reason that its status then gives. */
  | { kind: "evicted"; verdict: Verdict; graceSeconds: number }
  | { kind: "resized"; container: string; id: ContainerId; resources: DeepReadonly<ResourceRequirements> }
  | { kind: "podResized"; resources: DeepReadonly<ResourceRequirements> }
  | ({ kind: "resizeBlocked" } & ResizeProblem)
  /** The pod and every container have what their spec asks for. */
  | { kind: "resizeSettled" }
  | { kind: "restartWanted"; container: string; id: ContainerId; message: string }
  | { kind: "released" }
  | { kind: "removed" }
  /** An object that this pod refers to has changed or appeared: what failed may be tried at once. */
  | { kind: "referenceChanged" }
  /** The time that the last step asked for has come. */
  | { kind: "timePassed" };

/** What a pod wants done. The executor answers each (but events and deleteObject) with a PodEvent. */
export type PodEffect =
  | { kind: "createSandbox"; attempt: number }
  | { kind: "prepareVolumes" }
  | { kind: "ensureImage"; container: string }
  | { kind: "startContainer"; container: string; attempt: number; imageId: string; backoff?: RestartBackoff }
  | { kind: "runPostStart"; container: string; id: ContainerId }
  /**
   * Runs preStop, asks to stop, kills at the end of the grace period. Wanted again with less grace, the shorter wins. One that awaits
   * its turn is asked to stop when it is wanted again without that, or when its grace is used up.
   */
  | {
      kind: "stopContainer";
      container: string;
      id: ContainerId;
      graceSeconds: number;
      message: string;
      awaitsTurn?: boolean;
    }
  | { kind: "release" }
  | { kind: "remove" }
  /** Once the final status is written and everything is removed. */
  | { kind: "deleteObject" }
  | { kind: "event"; type: "Normal" | "Warning"; reason: string; message: string; container?: string };

export interface PodStep {
  state: PodState;
  effects: PodEffect[];
  /** Call again with timePassed at this time. Absent: only an event can change anything. */
  wakeAtMs?: number;
}

/** A fresh pod, as seen first. */
export function newPodState(pod: PodObject, now: number): PodState {
  const startTime = pod.status?.startTime;
  return {
    pod,
    stage: { kind: "active" },
    sandbox: { kind: "none", attempt: 0 },
    volumes: { kind: "none" },
    containers: containerSpecs(pod.spec).map(({ spec, role }) => newContainerState(spec.name, role)),
    startTimeMs: startTime ? Date.parse(startTime) : now,
    initialized: false,
  };
}

export function newContainerState(name: string, role: ContainerRole): ContainerState {
  return { name, role, image: { kind: "unknown" }, run: { kind: "none" }, started: false, ready: false };
}

export function containerSpecs(spec: DeepReadonly<PodSpec>): { spec: ContainerSpec; role: ContainerRole }[] {
  return [
    ...(spec.initContainers ?? []).map((container) => ({
      spec: container,
      role: container.restartPolicy === "Always" ? ("sidecar" as const) : ("init" as const),
    })),
    ...spec.containers.map((container) => ({ spec: container, role: "main" as const })),
    ...(spec.ephemeralContainers ?? []).map((container) => ({ spec: container, role: "ephemeral" as const })),
  ];
}

export function findContainerSpec(pod: PodObject, name: string): ContainerSpec | undefined {
  const byName = (container: ContainerSpec) => container.name === name;
  return (
    pod.spec.containers.find(byName) ??
    pod.spec.initContainers?.find(byName) ??
    pod.spec.ephemeralContainers?.find(byName)
  );
}

/** `name_namespace(uid)`: how messages name a pod. */
export function podText(pod: PodObject): string {
  return `${pod.metadata.name}_${pod.metadata.namespace}(${pod.metadata.uid})`;
}

/** Where a container stands in its pod, for events: `spec.containers{web}`. */
export function containerFieldPath(pod: PodObject, name: string): string {
  if (pod.spec.containers.some((container) => container.name === name)) return `spec.containers{${name}}`;
  if (pod.spec.initContainers?.some((container) => container.name === name)) return `spec.initContainers{${name}}`;
  return `spec.ephemeralContainers{${name}}`;
}
