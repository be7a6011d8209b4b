/** Who waits when there is more to do than can be done at once: the contract of API Priority and Fairness (KEP-1040). */
import type { Attributes } from "./authorization.ts";

export interface FlowControl {
  /**
   * Asks for room for a request. Undefined: it needs none. A promise: it has to wait, and gives up when its client is gone. Rejects
   * with a TooManyRequestsError when it may not even wait, or waited in vain.
   */
  admit(attributes: Attributes, asking: Asking): Room | undefined | Promise<Room>;
  /** In Prometheus' form. */
  metrics(): string;
}

export interface Asking {
  /** A whole collection is read for it: a list, or a watch that begins with one. */
  readonly readsCollection: boolean;
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
  readonly retryAfterSeconds = 1;
  constructor() {
    super("Too many requests, please try again later.");
  }
}

const longRunningSubresources = new Set(["exec", "attach", "portforward", "proxy", "log"]);

/** Requests that last as long as their clients like: they take no room from others. Watches take it until they have begun. */
export function isLongRunning({ subresource }: Pick<Attributes, "subresource">): boolean {
  return longRunningSubresources.has(subresource);
}
