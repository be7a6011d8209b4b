/** Where the runtime makes pods' networks itself: nothing to give, nothing to take away. */
import type { PodAttachment, PodNetwork } from "./pod-network.ts";

export class RuntimeNetwork implements PodNetwork {
  readonly attached: PodNetwork["attached"];

  /** `attached`: hears of a pod's addresses before its first process runs, which waits for it. */
  constructor(attached?: PodNetwork["attached"]) {
    this.attached = attached;
  }

  async attach(podUid: string): Promise<PodAttachment> {
    throw new Error(`the network of pod ${podUid} is its runtime's to make`);
  }

  async detach(): Promise<void> {}

  async list(): Promise<PodAttachment[]> {
    return [];
  }
}
