/** One leader among several processes, by a Lease that the leader renews (client-go's leaderelection). */
import type { Lease } from "../api/coordination/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { Leases } from "../api/resources.ts";
import { isAlreadyExists, isConflict, isNotFound } from "../apimachinery/status-error.ts";
import { type Clock, rfc3339Micro, sleep } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { Client } from "../client/client.ts";

export interface LeaderElectionOptions {
  client: Client;
  clock: Clock;
  log: Logger;
  /** The Lease: `kube-controller-manager` in `kube-system`. */
  name: string;
  namespace: string;
  /** Distinct per candidate. */
  identity: string;
  /** Others take over when a lease was not renewed for this long. Default 15 s. */
  leaseDurationMs?: number;
  /** A leader that cannot renew for this long stops leading. Default 10 s; less than the lease. */
  renewDeadlineMs?: number;
  /** Between attempts. Default 2 s. */
  retryPeriodMs?: number;
  signal: AbortSignal;
}

/**
 * Waits until this candidate leads, then calls `lead` with a signal that aborts when leadership is lost.
 * Returns when the signal aborts (releasing the lease) or rejects when leadership was lost.
 */
export async function leadWhenElected(
  options: LeaderElectionOptions,
  lead: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const { clock, log, signal, leaseDurationMs = 15_000, renewDeadlineMs = 10_000, retryPeriodMs = 2_000 } = options;
  const observed: Observed = { record: undefined, atMs: 0 };
  while (!(await tryAcquire(options, observed, leaseDurationMs))) await sleep(clock, retryPeriodMs, signal);
  log.info("became leader", { lease: options.name });

  const leading = new AbortController();
  const stop = () => leading.abort(signal.reason);
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();
  const work = lead(leading.signal);
  const lost = renewUntilLost();
  try {
    await Promise.race([work, lost]);
  } finally {
    signal.removeEventListener("abort", stop);
    leading.abort(new Error(`no longer leader of ${options.name}`));
    await work.catch(() => {});
    await release(options).catch(() => {});
  }

  async function renewUntilLost(): Promise<void> {
    let renewedMs = clock.now();
    while (!leading.signal.aborted) {
      try {
        await sleep(clock, retryPeriodMs, leading.signal);
      } catch {
        return work;
      }
      if (await tryAcquire(options, observed, leaseDurationMs)) renewedMs = clock.now();
      else if (clock.now() - renewedMs > renewDeadlineMs) throw new Error(`lost the lease ${options.name}`);
    }
    return work;
  }
}

/** The lease as last seen changing: other hosts' clocks are not trusted, only that a record has stood still long enough. */
interface Observed {
  record: string | undefined;
  atMs: number;
}

async function tryAcquire(
  options: LeaderElectionOptions,
  observed: Observed,
  leaseDurationMs: number,
): Promise<boolean> {
  const { client, clock, identity, name, namespace, log } = options;
  const now = clock.now();
  const spec = (previous?: DeepReadonly<Lease>["spec"]) => {
    const mine = previous?.holderIdentity === identity;
    return {
      holderIdentity: identity,
      leaseDurationSeconds: Math.ceil(leaseDurationMs / 1000),
      acquireTime: mine ? previous.acquireTime : rfc3339Micro(now),
      renewTime: rfc3339Micro(now),
      leaseTransitions: (previous?.leaseTransitions ?? 0) + (mine || !previous ? 0 : 1),
    };
  };
  try {
    let lease: DeepReadonly<Lease>;
    try {
      lease = await client.get(Leases, { name, namespace });
    } catch (error) {
      if (!isNotFound(error)) throw error;
      await client.create(Leases, { metadata: { name, namespace }, spec: spec() });
      return true;
    }
    const holder = lease.spec?.holderIdentity;
    const record = `${holder} ${lease.spec?.renewTime}`;
    if (record !== observed.record) Object.assign(observed, { record, atMs: now });
    const held = holder !== undefined && holder !== "" && holder !== identity;
    if (held && now - observed.atMs < (lease.spec?.leaseDurationSeconds ?? 15) * 1000) return false;
    await client.update(Leases, { ...lease, spec: spec(lease.spec) });
    return true;
  } catch (error) {
    if (!isConflict(error) && !isAlreadyExists(error))
      log.warn("leader election", { lease: name, error: String(error) });
    return false;
  }
}

/** Lets the next candidate in without waiting for the lease to run out. */
async function release({ client, identity, name, namespace }: LeaderElectionOptions): Promise<void> {
  const lease = await client.get(Leases, { name, namespace });
  if (lease.spec?.holderIdentity !== identity) return;
  await client.update(Leases, { ...lease, spec: { ...lease.spec, holderIdentity: "", leaseDurationSeconds: 1 } });
}
