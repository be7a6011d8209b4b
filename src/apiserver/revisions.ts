/** Waiting for revisions, and what clients hear whose revision has not come or is gone. */
import { StatusError } from "../apimachinery/status-error.ts";
import type { ServedResource } from "./resource-registry.ts";
import type { RequestContext, Services } from "./services.ts";

/** How long a read waits for a revision that may be on its way from another server. */
const patienceMs = 3000;

/** Resolves when the cache shows `revision`; throws upstream's 504 when that takes too long. */
export async function waitForRevision(
  services: Services,
  context: RequestContext,
  resource: ServedResource,
  revision: number,
): Promise<void> {
  const { cache } = resource;
  if (revision <= cache.revision) return;
  const patience = new AbortController();
  const giveUp = () => patience.abort();
  context.signal?.addEventListener("abort", giveUp, { once: true });
  const timer = services.clock.setTimer(patienceMs, giveUp, { background: true });
  try {
    await cache.reached(revision, patience.signal);
  } catch (error) {
    if (!patience.signal.aborted) throw error;
    throw tooLargeError(revision, cache.revision);
  } finally {
    timer[Symbol.dispose]();
    context.signal?.removeEventListener("abort", giveUp);
  }
}

export function tooLargeError(revision: number, current: number): StatusError {
  return new StatusError(504, "Timeout", `Timeout: Too large resource version: ${revision}, current: ${current}`, {
    causes: [{ reason: "ResourceVersionTooLarge", message: "Too large resource version" }],
    retryAfterSeconds: 1,
  });
}

export function tooOldError(revision: number, oldest: number): StatusError {
  return new StatusError(410, "Expired", `too old resource version: ${revision} (${oldest})`);
}
