/** Makes a pod's volumes and claimed devices ready, and keeps them up to date with the objects that they show. */
import { backoffDelayMs } from "../base/backoff.ts";
import type { Timer } from "../base/clock.ts";
import { ensureImage } from "./image-puller.ts";
import { imageBackoffShownAfterMs } from "./plan-pod.ts";
import { fieldFacts, type PodDesk, pullSecrets } from "./pod-desk.ts";
import type { ContainerSpec } from "./pod-state.ts";
import { imageBackoff } from "./pod-worker.ts";
import type { TrustBundles } from "./trust-bundles.ts";
import { lookUpVolumes } from "./volumes/look-up-volumes.ts";
import { type PreparedVolumes, prepareVolumes, VolumeError } from "./volumes/pod-volumes.ts";
import type { TokenFile } from "./volumes/projections.ts";
import { ImageVolumeError } from "./volumes/volume-plugin.ts";

interface ImageWait {
  failures: number;
  retryAtMs: number;
}

export interface MissingImage {
  /** For the container's `waiting`. */
  reason: string;
  message: string;
  retryAfterMs: number;
}

export class PodVolumeKeeper {
  readonly #pod: PodDesk;
  readonly #heldImages = new Set<string>();
  readonly #tokens = new Map<string, TokenFile>();
  /** By the volume's name. */
  readonly #imageWaits = new Map<string, ImageWait>();
  #volumes: PreparedVolumes = new Map();
  #refreshTimer: Timer | undefined;
  #refreshing = false;

  constructor(pod: PodDesk) {
    this.#pod = pod;
  }

  get volumes(): PreparedVolumes {
    return this.#volumes;
  }

  /** They are looked after no more. */
  stop(): void {
    this.#refreshTimer?.[Symbol.dispose]();
    const { images } = this.#pod.node;
    for (const id of this.#heldImages) images.release(id, this.#holder);
    this.#heldImages.clear();
  }

  get #holder(): string {
    return `volumes of ${this.#pod.state.pod.metadata.uid}`;
  }

  async #image(reference: string, pullPolicy: string | undefined): Promise<readonly string[]> {
    const { node } = this.#pod;
    const spec = { name: reference, image: reference, ...(pullPolicy ? { imagePullPolicy: pullPolicy } : {}) };
    const record = (type: "Normal" | "Warning", reason: string, message: string) =>
      this.#pod.record(undefined, type, reason, message);
    const outcome = await ensureImage(spec, () => pullSecrets(this.#pod), node, record, node.signal);
    if (outcome.kind === "failed") throw new ImageVolumeError(outcome.reason, outcome.message);
    const { layers } = await node.images.rootfs(outcome.id);
    node.images.hold(outcome.id, this.#holder);
    this.#heldImages.add(outcome.id);
    return layers;
  }

  /**
   * What keeps this container from starting: an image that it mounts as a volume and that has not come. It is asked for again when the
   * wait after its last failure is over, so call again after `retryAfterMs`.
   */
  async missingImage({ volumeMounts = [] }: ContainerSpec): Promise<MissingImage | undefined> {
    for (const { name } of volumeMounts) {
      let failure = this.#volumes.get(name)?.imageFailure;
      if (!failure) continue;
      const waiting = this.#imageWaits.get(name);
      const { clock } = this.#pod.node;
      if (waiting && waiting.retryAtMs > clock.now()) return this.#backOff(name, failure, waiting);
      // What has just been asked for with all the volumes is not asked for again at once.
      if (waiting) failure = await this.#prepareAgain(name);
      if (!failure) {
        this.#imageWaits.delete(name);
        continue;
      }
      const failures = (waiting?.failures ?? 0) + 1;
      const delayMs = backoffDelayMs(imageBackoff, failures);
      this.#imageWaits.set(name, { failures, retryAtMs: clock.now() + delayMs });
      const { reason, message } = failure;
      return { reason, message, retryAfterMs: Math.min(delayMs, imageBackoffShownAfterMs) };
    }
    return undefined;
  }

  #backOff(volume: string, { reason, message }: ImageVolumeError, { retryAtMs }: ImageWait): MissingImage {
    const retryAfterMs = retryAtMs - this.#pod.node.clock.now();
    if (reason !== "ErrImagePull") return { reason, message, retryAfterMs };
    const image = this.#pod.state.pod.spec.volumes?.find(({ name }) => name === volume)?.image?.reference ?? "";
    const told = `Back-off pulling image ${JSON.stringify(image)}`;
    this.#pod.record(undefined, "Normal", "BackOff", told);
    this.#pod.record(undefined, "Warning", "Failed", "Error: ImagePullBackOff");
    return { reason: "ImagePullBackOff", message: `${told}: ${reason}: ${message}`, retryAfterMs };
  }

  async #prepareAgain(name: string): Promise<ImageVolumeError | undefined> {
    const others = new Map(
      [...this.#volumes].map(([each, volume]) => [each, { ...volume, isRefreshable: each === name }]),
    );
    const { isRefreshable: _, ...prepared } = (
      await prepareVolumes(this.#pod.folders, this.#volumeContext(), { onlyRefreshable: others })
    ).get(name)!;
    this.#volumes = new Map([...this.#volumes, [name, prepared]]);
    return prepared.imageFailure;
  }

  async prepare(): Promise<void> {
    try {
      const { claims, signal } = this.#pod.node;
      await claims?.prepare(this.#pod.state.pod, signal);
    } catch (error) {
      const { message } = error as Error;
      const told = `Failed to prepare dynamic resources: ${message}`;
      this.#pod.record(undefined, "Warning", "FailedPrepareDynamicResources", told);
      this.#pod.dispatch({ kind: "volumesFailed", message });
      return;
    }
    try {
      const context = this.#volumeContext();
      this.#volumes = this.#pod.node.runtime.withoutFiles
        ? await lookUpVolumes(context)
        : await prepareVolumes(this.#pod.folders, context);
      this.#scheduleRefresh();
      this.#pod.dispatch({ kind: "volumesReady" });
    } catch (error) {
      const { message } = error as Error;
      if (error instanceof VolumeError) this.#pod.record(undefined, "Warning", "FailedMount", message);
      else throw error;
      this.#pod.dispatch({ kind: "volumesFailed", message });
    }
  }

  async refresh(): Promise<void> {
    // A change during a refresh is followed by another one.
    if (this.#refreshing) {
      this.#scheduleRefresh(50);
      return;
    }
    if (this.#pod.node.runtime.withoutFiles) return;
    this.#refreshing = true;
    try {
      this.#volumes = await prepareVolumes(this.#pod.folders, this.#volumeContext(), {
        onlyRefreshable: this.#volumes,
      });
      this.#scheduleRefresh();
    } catch (error) {
      if (this.#pod.ending.aborted) return;
      if (error instanceof VolumeError) this.#pod.record(undefined, "Warning", "FailedMount", error.message);
      this.#scheduleRefresh(10_000);
    } finally {
      this.#refreshing = false;
    }
  }

  #scheduleRefresh(afterMs?: number): void {
    const { clock } = this.#pod.node;
    this.#refreshTimer?.[Symbol.dispose]();
    const dueAtMs = Math.min(
      ...[...this.#volumes.values()].map((volume) => volume.refreshAtMs ?? Number.POSITIVE_INFINITY),
    );
    const delayMs = afterMs ?? dueAtMs - clock.now();
    if (!Number.isFinite(delayMs) || this.#pod.ending.aborted) return;
    this.#refreshTimer = clock.setTimer(Math.max(0, delayMs), () => void this.refresh(), { background: true });
  }

  #volumeContext() {
    const { client, clock, references, trustBundles } = this.#pod.node;
    const { pod } = this.#pod.state;
    return {
      pod,
      client,
      clock,
      csi: this.#pod.node.csi,
      facts: fieldFacts(this.#pod),
      signal: this.#pod.ending,
      tokens: this.#tokens,
      trustBundles: (source: Parameters<TrustBundles["select"]>[0]) => trustBundles.select(source, pod.metadata.uid),
      image: (reference: string, pullPolicy: string | undefined) => this.#image(reference, pullPolicy),
      get: ((resource, name) => references.get(resource, pod.metadata.namespace, name, pod.metadata.uid)) as Parameters<
        typeof prepareVolumes
      >[1]["get"],
    };
  }
}
