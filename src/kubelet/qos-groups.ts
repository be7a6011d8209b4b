/**
 * The groups of the Burstable and the BestEffort pods, as wholes against the Guaranteed ones beside them: the former weighs what its
 * pods ask of the CPU, the latter next to nothing. Upstream's counterpart is `pkg/kubelet/cm/qos_container_manager_linux.go`.
 */
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { PodObject } from "./pod-state.ts";
import { cpuShares, podCpuMilli, podQosClass } from "./qos.ts";
import type { ContainerRuntime } from "./runtime/container-runtime.ts";

export interface QosGroupsOptions {
  runtime: Pick<ContainerRuntime, "limitGroup">;
  cgroupRoot: string;
  clock: Clock;
  log: Logger;
}

export class QosGroups {
  readonly #options: QosGroupsOptions;
  /** What each pod weighs in the Burstable group, in thousandths of a CPU, by its uid; and of which generation that was said. */
  readonly #asked = new Map<string, { milli: number; generation: number | undefined }>();
  #total = 0;
  /** Shares as last written, by class. */
  readonly #written = new Map<string, number>();
  #timer: Disposable | undefined;

  constructor(options: QosGroupsOptions) {
    this.#options = options;
  }

  /** Sets both groups. From here on they follow what is told of pods. */
  open(): void {
    this.#write();
  }

  close(): void {
    this.#timer?.[Symbol.dispose]();
  }

  /** The pod is there, or is another than it was. One that has ended weighs nothing. */
  tell({ metadata, ...pod }: PodObject): void {
    const hasEnded = pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
    const before = this.#asked.get(metadata.uid);
    const { generation } = metadata;
    if (before && before.generation === generation && generation !== undefined && !hasEnded) return;
    const weighs = !hasEnded && podQosClass({ metadata, ...pod }) === "Burstable";
    const milli = weighs ? podCpuMilli({ metadata, ...pod }) : 0;
    this.#asked.set(metadata.uid, { milli, generation });
    this.#add(milli - (before?.milli ?? 0));
  }

  forget(podUid: string): void {
    this.#add(-(this.#asked.get(podUid)?.milli ?? 0));
    this.#asked.delete(podUid);
  }

  #add(milli: number): void {
    if (milli === 0) return;
    this.#total += milli;
    // Many pods come at once.
    this.#timer ??= this.#options.clock.setTimer(togetherMs, () => {
      this.#timer = undefined;
      this.#write();
    });
  }

  #write(): void {
    this.#limit("besteffort", cpuShares(0));
    this.#limit("burstable", cpuShares(this.#total));
  }

  #limit(group: string, shares: number): void {
    if (this.#written.get(group) === shares) return;
    const { runtime, cgroupRoot, log } = this.#options;
    try {
      runtime.limitGroup(`${cgroupRoot}/kubepods/${group}`, { cpuShares: shares });
      this.#written.set(group, shares);
    } catch (error) {
      log.warn("cannot weigh a class of pods", { group, error: (error as Error).message });
    }
  }
}

const togetherMs = 100;
