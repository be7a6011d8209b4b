/** Looks at intervals whether the node runs out of something, says so in the node's conditions, and evicts pods until it does not. */
import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/logger.ts";
import type { ImageService } from "../images/image-service.ts";
import type { PodState } from "../pod-state.ts";
import type { StatsSource } from "../stats/node-stats.ts";
import {
  type Eviction,
  hasLocalLimits,
  overLocalLimits,
  type PressureCondition,
  planEviction,
  shortages,
} from "./plan-eviction.ts";
import { defaultThresholds, type Observations, type Thresholds } from "./signals.ts";

export interface EvictionManagerOptions {
  stats: StatsSource;
  images: ImageService;
  clock: Clock;
  log: Logger;
  thresholds?: Thresholds;
  observe(): Promise<Observations>;
  pods(): PodState[];
  evict(eviction: Eviction): void;
  /** A condition has come or gone. */
  onPressure(): void;
}

/** A condition stays this long after its cause has gone, so that it does not flap: evictionPressureTransitionPeriod. */
const transitionMs = 5 * 60_000;
/** How long the pod that was evicted last is waited for before another goes. */
const patienceMs = 30_000;
/** What was pulled or left just now may be about to be used: imageMinimumGCAge. */
const minimumImageAgeMs = 2 * 60_000;

export class EvictionManager {
  readonly #options: EvictionManagerOptions;
  readonly #seenAtMs = new Map<PressureCondition, number>();
  readonly counts: Record<string, number> = {};
  #isLooking = false;
  #evicted: { uids: ReadonlySet<string>; atMs: number } | undefined;

  constructor(options: EvictionManagerOptions) {
    this.#options = options;
  }

  get pressures(): ReadonlySet<PressureCondition> {
    return new Set(this.#seenAtMs.keys());
  }

  /** One look and what follows from it. A look that takes longer than the interval is not doubled. */
  async look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    try {
      await this.#look();
    } catch (error) {
      this.#options.log.warn("looking at the node's resources failed", { error: (error as Error).message });
    } finally {
      this.#isLooking = false;
    }
  }

  async #look(): Promise<void> {
    const { observe, thresholds = defaultThresholds, pods, stats } = this.#options;
    const short = shortages(await observe(), thresholds);
    this.#tell(short.map(({ condition }) => condition));
    // What it held is not given back yet: another might go in vain.
    if (this.#awaitsEvicted()) return;
    const active = pods().filter(({ stage }) => stage.kind === "active");
    const limited = active.filter(({ pod }) => hasLocalLimits(pod));
    if (short.length === 0 && limited.length === 0) return;
    // Only what is looked at is walked over.
    const { pods: measured } = await stats.read({ disks: true, only: short.length > 0 ? active : limited });
    const offenders = measured.flatMap((each) => overLocalLimits(each) ?? []);
    if (offenders.length > 0) return this.#evict(offenders);
    const [worst] = short;
    if (!worst) return;
    if (worst.condition === "DiskPressure" && (await this.#removeUnusedImages()) > 0) return;
    const eviction = planEviction(worst, measured);
    if (eviction) this.#evict([eviction]);
    else this.#options.log.warn("the node is low and no pod may be evicted", { resource: worst.resource });
  }

  #tell(conditions: readonly PressureCondition[]): void {
    const { clock, onPressure } = this.#options;
    const before = [...this.#seenAtMs.keys()].sort().join();
    for (const condition of conditions) this.#seenAtMs.set(condition, clock.now());
    for (const [condition, atMs] of this.#seenAtMs) {
      if (clock.now() - atMs > transitionMs) this.#seenAtMs.delete(condition);
    }
    if ([...this.#seenAtMs.keys()].sort().join() !== before) onPressure();
  }

  #evict(evictions: readonly Eviction[]): void {
    const { clock, evict } = this.#options;
    this.#evicted = { uids: new Set(evictions.map(({ pod }) => pod.metadata.uid)), atMs: clock.now() };
    for (const eviction of evictions) {
      this.counts[eviction.signal] = (this.counts[eviction.signal] ?? 0) + 1;
      evict(eviction);
    }
  }

  #awaitsEvicted(): boolean {
    const { clock, pods } = this.#options;
    const evicted = this.#evicted;
    if (!evicted) return false;
    const isEnding = ({ pod, stage }: PodState) =>
      evicted.uids.has(pod.metadata.uid) && (stage.kind === "stopping" || stage.kind === "releasing");
    if (clock.now() - evicted.atMs < patienceMs && pods().some(isEnding)) return true;
    this.#evicted = undefined;
    return false;
  }

  /** Returns the bytes that the names stood for; containers keep what they run from. */
  async #removeUnusedImages(): Promise<number> {
    const { images, clock, log } = this.#options;
    let freed = 0;
    for (const image of images.list()) {
      if (image.pinned || image.inUse || clock.now() - image.lastUsedAtMs < minimumImageAgeMs) continue;
      log.info("removing an unused image", { image: image.names[0] ?? image.id });
      await images.remove(image.id);
      freed += image.sizeBytes;
    }
    return freed;
  }
}
