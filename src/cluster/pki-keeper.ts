/** The certificates as they are now, for everything that outlives one set of them. */
import type { ClusterPki } from "./certificates.ts";

export class PkiKeeper {
  #current: ClusterPki;
  readonly #followers = new Set<(pki: ClusterPki, before: ClusterPki) => void>();

  constructor(pki: ClusterPki) {
    this.#current = pki;
  }

  get current(): ClusterPki {
    return this.#current;
  }

  /** Everybody who follows has the new ones when it returns. */
  replace(pki: ClusterPki): void {
    const before = this.#current;
    this.#current = pki;
    for (const follower of this.#followers) follower(pki, before);
  }

  /** For whoever cannot ask each time. Returns what ends it. */
  follow(follower: (pki: ClusterPki, before: ClusterPki) => void): () => void {
    this.#followers.add(follower);
    return () => this.#followers.delete(follower);
  }
}
