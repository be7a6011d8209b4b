/** Who waits when there is more to do than can be done at once: the contract of API Priority and Fairness (KEP-1040). */
import type { MetricFamily } from "../base/exposition.ts";
import type { Attributes } from "./authorization.ts";

export interface FlowControl {
  /**
   * Asks for room for a request. Undefined: it needs none. A promise: it has to wait, and gives up when its client is gone. Rejects
   * with a TooManyRequestsError when it may not even wait, or waited in vain.
   */
  admit(attributes: Attributes, asking: Asking): Room | undefined | Promise<Room>;
  /** A watch begins: whatever is written of what it watches costs more from now on. Returns what to call at its end. */
  beginWatch(attributes: Attributes): () => void;
  metrics(): MetricFamily[];
}

export interface Asking {
  /** A whole collection is read for it: a list, or a watch that begins with one. */
  readonly readsCollection: boolean;
  /** How many objects of it at most; 0: all. */
  readonly limit: number;
  /** Calls back when the client is gone. */
  onGone(callback: () => void): void;
  /** Told at once, before any waiting: headers that name the request's flow, for whatever it is answered. */
  tellFlow(headers: Readonly<Record<string, string>>): void;
}

/** What a request holds while it is being answered. */
export interface Room {
  /** Called once, when the answer is on its way. */
  release(): void;
}

/** The 429 of a request for which there is no room. */
export class TooManyRequestsError extends Error {
  override name = "TooManyRequestsError";
  readonly retryAfterSeconds: number;
  constructor(retryAfterSeconds: number, options?: ErrorOptions) {
    super("Too many requests, please try again later.", options);
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

const longRunningSubresources = new Set(["exec", "attach", "portforward", "proxy", "log"]);

/** Requests that last as long as their clients like: they take no room from others. Watches take it until they have begun. */
export function isLongRunning({ subresource }: Pick<Attributes, "subresource">): boolean {
  return longRunningSubresources.has(subresource);
}
