/** Adds up the layers of a pull. */
import type { Descriptor } from "./content-store.ts";
import type { PullOptions } from "./image-service.ts";

export class PullProgressMeter {
  readonly #total: number;
  readonly #bytes = new Map<string, number>();
  readonly #report: PullOptions["onProgress"];

  constructor(layers: readonly Descriptor[], report: PullOptions["onProgress"]) {
    this.#total = layers.reduce((sum, layer) => sum + Math.max(0, layer.size), 0);
    this.#report = report;
  }

  set(digest: string, bytes: number): void {
    if (!this.#report) return;
    this.#bytes.set(digest, bytes);
    let downloadedBytes = 0;
    for (const each of this.#bytes.values()) downloadedBytes += each;
    this.#report({ downloadedBytes, totalBytes: this.#total });
  }
}
