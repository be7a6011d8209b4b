/** Where the runtime makes pods' networks itself: nothing to give, nothing to take away. */
import type { PodAttachment, PodNetwork } from "./pod-network.ts";

export class RuntimeNetwork implements PodNetwork {
  async attach(podUid: string): Promise<PodAttachment> {
    throw new Error(`the network of pod ${podUid} is its runtime's to make`);
  }

  async detach(): Promise<void> {}

  async list(): Promise<PodAttachment[]> {
    return [];
  }
}
