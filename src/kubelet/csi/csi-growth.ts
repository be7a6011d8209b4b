/**
 * Volumes that have grown: their controller made them larger, and the node has to make the file system follow (upstream's
 * NodeExpander). Done as a volume is mounted, and while pods use it. How far it has come is told in the claim's status.
 */
import type { PersistentVolume, PersistentVolumeClaim, PersistentVolumeClaimCondition } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { PersistentVolumeClaims, PersistentVolumes } from "../../api/resources.ts";
import { compareQuantities, quantityValue } from "../../apimachinery/quantity.ts";
import { backoffDelayMs } from "../../base/backoff.ts";
import { type Clock, rfc3339 } from "../../base/clock.ts";
import type { Client } from "../../client/client.ts";
import type { EventRecorder, EventSubject } from "../../controller-runtime/events.ts";
import { GrpcError, grpcCode } from "../grpc/channel.ts";
import type { PodObject } from "../pod-state.ts";

export interface CsiGrowthOptions {
  client: Client;
  clock: Clock;
  events: EventRecorder;
  nodeName: string;
  signal: AbortSignal;
}

/** A persistent volume that a pod of this node has. */
export interface MountedVolume {
  /** Of the PersistentVolume. */
  name: string;
  claim: { name: string; namespace: string };
  pod: PodObject;
  readOnly: boolean;
  /** Has the driver make what is mounted as large as the volume. Rejects with the driver's GrpcError. */
  expand(bytes: number): Promise<void>;
}

interface Watched {
  volume: MountedVolume;
  /** What this node knows the file system to hold. */
  size: string;
  failures: number;
  /** The driver has said that it will not do it. */
  hasFailed: boolean;
  retryAtMs: number;
}

type Claim = DeepReadonly<PersistentVolumeClaim>;

const retry = { initialMs: 10_000, maximumMs: 120_000 };
const inProgress = "NodeResizeInProgress";
const pending = "NodeResizePending";
const infeasible = "NodeResizeInfeasible";
const errorType = "NodeResizeError";
const resizeConditions: ReadonlySet<string> = new Set([
  ...["FileSystemResizePending", "Resizing", "ControllerResizeError", errorType],
]);

export class CsiGrowth {
  readonly #options: CsiGrowthOptions;
  /** By the folder in the pod's. */
  readonly #watched = new Map<string, Watched>();
  #looking = false;

  constructor(options: CsiGrowthOptions) {
    this.#options = options;
  }

  /** The volume has been mounted at `folder`. Resolves when it is as large as it should be; rejects when it cannot be made so. */
  async mounted(folder: string, volume: MountedVolume): Promise<void> {
    const known = this.#watched.get(folder);
    if (known) {
      known.volume = volume;
      return;
    }
    const claim = await this.#claimOf(volume);
    const entry = {
      volume,
      size: claim.status?.capacity?.["storage"] ?? "0",
      failures: 0,
      hasFailed: false,
      retryAtMs: 0,
    };
    try {
      await this.#grow(entry, claim);
    } catch (error) {
      if (!isGrpc(error, grpcCode.failedPrecondition)) throw error;
      // The driver does not grow what is in use: that keeps no pod from starting.
      entry.retryAtMs = Number.POSITIVE_INFINITY;
    }
    this.#watched.set(folder, entry);
  }

  unmounted(folder: string): void {
    this.#watched.delete(folder);
  }

  /** Whether volumes in use have grown. Nodes may not watch claims: call now and then. Never rejects. */
  async look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    try {
      for (const entry of [...this.#watched.values()]) {
        if (entry.retryAtMs <= this.#options.clock.now() && !this.#options.signal.aborted) await this.#lookAt(entry);
      }
    } finally {
      this.#looking = false;
    }
  }

  async #lookAt(entry: Watched): Promise<void> {
    const { events, clock, signal } = this.#options;
    const { volume } = entry;
    try {
      await this.#grow(entry, await this.#claimOf(volume));
      entry.failures = 0;
    } catch (error) {
      if (signal.aborted) return;
      entry.failures++;
      const isInUse = isGrpc(error, grpcCode.failedPrecondition);
      entry.retryAtMs = isInUse ? Number.POSITIVE_INFINITY : clock.now() + backoffDelayMs(retry, entry.failures);
      if (!(error instanceof ExpansionError)) return; // The API server's: asked again.
      const { message } = error;
      const told = `NodeExpandVolume.NodeExpandVolume failed for volume ${JSON.stringify(volume.name)} : ${message}`;
      events.event(podSubject(volume.pod), "Warning", "VolumeResizeFailed", told);
    }
  }

  async #grow(entry: Watched, claim: Claim): Promise<void> {
    const { client, signal, events, nodeName } = this.#options;
    const { volume } = entry;
    const held = claim.status?.capacity?.["storage"] ?? "0";
    if (!isAskedFor(claim) && compareQuantities(held, entry.size) <= 0) return;
    const { spec }: DeepReadonly<PersistentVolume> = await client.get(
      PersistentVolumes,
      { name: volume.name },
      { signal },
    );
    const wanted = spec.capacity?.["storage"] ?? "0";
    if (compareQuantities(wanted, entry.size) <= 0) return;
    // Another node has grown it, and told so; this one's mount has to follow.
    const isTold = compareQuantities(held, wanted) >= 0 && stateOf(claim) === undefined;
    if (!isTold && !isAskedFor(claim)) return;
    const subjects = [podSubject(volume.pod), claimSubject(claim)];
    if (volume.readOnly) {
      const words = `MountVolume.NodeExpandVolume failed for volume ${JSON.stringify(volume.name)} requested read-only file system`;
      for (const subject of subjects) events.event(subject, "Warning", "FileSystemResizeFailed", words);
      entry.size = wanted;
      return;
    }
    let current = isTold || isLegacy(claim) ? claim : await this.#tell(claim, { state: inProgress });
    try {
      await volume.expand(quantityValue(wanted));
    } catch (error) {
      if (isFinal(error)) {
        const asksForOther = compareQuantities(claim.spec.resources?.requests?.["storage"] ?? wanted, wanted) !== 0;
        const isHopeless = impossible.has((error as GrpcError).code) || (entry.hasFailed && asksForOther);
        current = await this.#tellFailure(current, error as GrpcError, isHopeless);
        entry.hasFailed = true;
      }
      throw new ExpansionError(error);
    }
    entry.size = wanted;
    entry.hasFailed = false;
    const words = `MountVolume.NodeExpandVolume succeeded for volume ${JSON.stringify(volume.name)} ${nodeName}`;
    for (const subject of subjects) events.event(subject, "Normal", "FileSystemResizeSuccessful", words);
    if (!isTold) await this.#tell(current, { state: null, capacity: wanted, conditions: [] });
  }

  async #tellFailure(claim: Claim, error: GrpcError, isHopeless: boolean): Promise<Claim> {
    const condition = {
      type: errorType,
      status: "True",
      lastTransitionTime: rfc3339(this.#options.clock.now()),
      message: `failed to expand pvc with ${wordsOf(error)}`,
    };
    const others = (claim.status?.conditions ?? []).filter(({ type }) => type !== errorType);
    const change = { conditions: [...others, condition], ...(isHopeless ? { state: infeasible } : {}) };
    return this.#tell(claim, change).catch(() => claim); // What matters is the driver's failure.
  }

  /** `conditions` stand in the place of those about growing; others stay. */
  async #tell(
    claim: Claim,
    change: {
      state?: string | null;
      capacity?: string;
      conditions?: readonly DeepReadonly<PersistentVolumeClaimCondition>[];
    },
  ): Promise<Claim> {
    const { client, signal } = this.#options;
    const { name, namespace, resourceVersion } = claim.metadata;
    const others = (claim.status?.conditions ?? []).filter(({ type }) => !resizeConditions.has(type));
    const conditions = change.conditions?.length === 0 ? others : change.conditions;
    const body = {
      metadata: { resourceVersion },
      status: {
        ...(change.state === undefined ? {} : { allocatedResourceStatuses: { storage: change.state } }),
        ...(change.capacity === undefined ? {} : { capacity: { storage: change.capacity } }),
        ...(conditions ? { conditions: conditions.length > 0 ? conditions : null } : {}),
      },
    };
    const how = { subresource: "status", signal };
    return client.patch(PersistentVolumeClaims, { name, namespace }, { type: "merge", body } as never, how);
  }

  async #claimOf({ claim }: MountedVolume): Promise<Claim> {
    const { client, signal } = this.#options;
    return client.get(PersistentVolumeClaims, claim, { signal });
  }
}

/** The driver's refusal, in upstream's words. */
class ExpansionError extends Error {
  override name = "ExpansionError";

  constructor(cause: unknown) {
    super(wordsOf(cause), { cause });
  }
}

function wordsOf(error: unknown): string {
  return `Expander.NodeExpand failed to expand the volume: ${(error as Error).message}`;
}

function stateOf(claim: Claim): string | undefined {
  return claim.status?.allocatedResourceStatuses?.["storage"];
}

/** The volume's controller has done its part. */
function isAskedFor(claim: Claim): boolean {
  const state = stateOf(claim);
  return state === pending || state === inProgress || isLegacy(claim);
}

/** By a resizer that knows no states. */
function isLegacy({ status }: Claim): boolean {
  const isPending = status?.conditions?.some(
    (each) => each.type === "FileSystemResizePending" && each.status === "True",
  );
  return (
    (isPending ?? false) && !status?.allocatedResourceStatuses?.["storage"] && !status?.allocatedResources?.["storage"]
  );
}

/** Asking again for the same will not help. */
const impossible: ReadonlySet<number> = new Set([grpcCode.invalidArgument, grpcCode.notFound, grpcCode.outOfRange]);

/** The driver may still be at it. */
const undecided: ReadonlySet<number> = new Set([
  ...[grpcCode.canceled, grpcCode.deadlineExceeded, grpcCode.unavailable, grpcCode.resourceExhausted, grpcCode.aborted],
]);

function isFinal(error: unknown): boolean {
  return error instanceof GrpcError && !undecided.has(error.code);
}

function isGrpc(error: unknown, code: number): boolean {
  const { cause } = error as Error;
  return cause instanceof GrpcError && cause.code === code;
}

function podSubject({ metadata }: PodObject): EventSubject {
  return { apiVersion: "v1", kind: "Pod", metadata };
}

function claimSubject({ metadata }: Claim): EventSubject {
  return { apiVersion: "v1", kind: PersistentVolumeClaims.kind, metadata };
}
