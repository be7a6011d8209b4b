/** Of several processes with the same work one does it: whoever holds the Lease (client-go's leaderelection). */
import type { Lease } from "../api/coordination/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { Leases } from "../api/resources.ts";
import { isAlreadyExists, isConflict, isNotFound } from "../apimachinery/status-error.ts";
import { type Clock, rfc3339Micro, sleep } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { Client, ObjectRef } from "../client/client.ts";

export interface LeaderElectionOptions {
  client: Client;
  clock: Clock;
  log: Logger;
  signal: AbortSignal;
  /** `kube-controller-manager` in `kube-system`. */
  lease: Required<ObjectRef>;
  /** Unlike that of every other candidate. */
  identity: string;
  /** Others take over when the Lease was not renewed for so long. Default 15 s. */
  leaseDurationMs?: number;
  /** The leader gives up when it could not renew for so long. Default 10 s. */
  renewDeadlineMs?: number;
  /** Between two attempts. Default 2 s. */
  retryPeriodMs?: number;
}

/**
 * Calls `lead` whenever this process holds the Lease, with a signal that aborts when it no longer may count on it: before
 * anybody else can have taken over, if clocks run equally fast. Resolves when `signal` aborts; the Lease is then given
 * back, so that another takes over at once. `lead` must end soon after its signal.
 */
export async function runWhenLeader(options: LeaderElectionOptions, lead: (signal: AbortSignal) => Promise<void>) {
  const { clock, log, signal, identity, retryPeriodMs = 2_000, renewDeadlineMs = 10_000 } = options;
  const attempt = candidate(options);
  while (!signal.aborted) {
    if (!(await attempt())) {
      await sleep(clock, retryPeriodMs, signal).catch(() => {});
      continue;
    }
    log.info("became leader", { identity });
    const stop = new AbortController();
    const leading = lead(AbortSignal.any([signal, stop.signal]));
    let renewedMs = clock.now();
    while (!signal.aborted && clock.now() - renewedMs < renewDeadlineMs) {
      await sleep(clock, retryPeriodMs, signal).catch(() => {});
      if (signal.aborted) break;
      // An answer that never comes must not keep a leader in office.
      const late = sleep(clock, Math.max(0, renewedMs + renewDeadlineMs - clock.now()), signal).catch(() => {});
      const askedMs = clock.now();
      if (await Promise.race([attempt(), late.then(() => false)])) renewedMs = askedMs;
    }
    stop.abort();
    await leading;
    if (!signal.aborted) log.warn("lost the lease, no longer leader", { identity });
  }
  await attempt({ giveBack: true });
}

/** One attempt to take or renew the Lease; tells whether this process holds it. Never rejects. */
function candidate({ client, clock, lease: ref, identity, leaseDurationMs = 15_000, log }: LeaderElectionOptions) {
  /** When the record was last seen to change, by our own clock: clocks of other machines are not compared. */
  let seen: { record: string; atMs: number } | undefined;

  return async ({ giveBack = false } = {}): Promise<boolean> => {
    const now = rfc3339Micro(clock.now());
    const leaseDurationSeconds = giveBack ? 1 : Math.max(1, Math.round(leaseDurationMs / 1000));
    try {
      let current: DeepReadonly<Lease>;
      try {
        current = await client.get(Leases, ref);
      } catch (error) {
        if (!isNotFound(error) || giveBack) throw error;
        const spec = {
          holderIdentity: identity,
          leaseDurationSeconds,
          acquireTime: now,
          renewTime: now,
          leaseTransitions: 0,
        };
        await client.create(Leases, { metadata: ref, spec });
        return true;
      }
      const { holderIdentity = "", renewTime, acquireTime, leaseTransitions = 0 } = current.spec ?? {};
      const isOurs = holderIdentity === identity;
      if (giveBack && !isOurs) return false;
      const record = `${holderIdentity} ${renewTime}`;
      if (seen?.record !== record) seen = { record, atMs: clock.now() };
      if (!isOurs && holderIdentity !== "" && clock.now() < seen.atMs + leaseDurationMs) return false;
      const spec = {
        ...current.spec,
        holderIdentity: giveBack ? "" : identity,
        leaseDurationSeconds,
        renewTime: now,
        ...(isOurs ? (acquireTime ? { acquireTime } : {}) : { acquireTime: now }),
        leaseTransitions: isOurs ? leaseTransitions : leaseTransitions + 1,
      };
      // The Lease's resourceVersion goes along: of two that try at once one is told of a conflict.
      await client.update(Leases, { ...current, spec });
      return !giveBack;
    } catch (error) {
      if (!isConflict(error) && !isAlreadyExists(error)) log.debug("lease not renewed", { error: String(error) });
      return false;
    }
  };
}
