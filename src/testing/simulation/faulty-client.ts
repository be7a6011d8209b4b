/**
 * A client over a network that is slow and unreliable: calls take time and fail, watches lag and break.
 * Once cut off, none of its calls reaches the server any more: so dies a component.
 */
import type { KubeObject } from "../../api/object.ts";
import type { Resource } from "../../api/resource.ts";
import { conflictError, internalError, StatusError } from "../../apimachinery/status-error.ts";
import { type Clock, sleep } from "../../base/clock.ts";
import type { Random } from "../../base/random.ts";
import type { Client, WatchEvent } from "../../client/client.ts";

/** Shared by all clients of a simulation: what may go wrong at the moment. Probabilities are per call or per batch of events. */
export interface Faults {
  /** A write is refused, before it is done. */
  refusal: number;
  /** A write is done, and its answer lost. */
  lostAnswer: number;
  /** A watch breaks before a batch of events; half of the time the server has forgotten where it was. */
  brokenWatch: number;
  /** Events come up to this much late, in order. */
  watchDelayMs: number;
  /** Calls take up to this long each way. */
  callDelayMs: number;
}

export const noFaults: Faults = { refusal: 0, lostAnswer: 0, brokenWatch: 0, watchDelayMs: 5, callDelayMs: 5 };

export interface FaultyClient extends Client {
  /** From now on nothing comes through, in either direction. */
  cutOff(): void;
  /** Every open watch breaks. */
  breakWatches(): void;
}

export interface FaultyClientOptions {
  client: Client;
  clock: Clock;
  random: Random;
  faults: Faults;
  /** Told of each write that was done. */
  onWrite?(verb: string, resource: Resource): void;
}

export function faultyClient({ client, clock, random, faults, onWrite }: FaultyClientOptions): FaultyClient {
  let isCutOff = false;
  const watches = new Set<(error: Error) => void>();
  const delay = () => sleep(clock, 1 + random.int(Math.max(1, faults.callDelayMs)));
  const never = new Promise<never>(() => {});

  async function read<R>(call: () => Promise<R>): Promise<R> {
    await delay();
    if (isCutOff) return never;
    const answer = await call();
    await delay();
    return isCutOff ? never : answer;
  }

  async function write<R>(verb: string, resource: Resource, name: string, call: () => Promise<R>): Promise<R> {
    await delay();
    if (isCutOff) return never;
    const isEvent = resource.plural === "events";
    if (!isEvent && random.float() < faults.refusal) throw refusal(verb, resource, name);
    let answer: R;
    try {
      answer = await call();
    } catch (error) {
      await delay();
      if (isCutOff) return never;
      throw error;
    }
    onWrite?.(verb, resource);
    await delay();
    if (isCutOff) return never;
    if (!isEvent && random.float() < faults.lostAnswer) throw new Error("simulated: the connection broke");
    return answer;
  }

  function refusal(verb: string, resource: Resource, name: string): Error {
    const isUpdate = verb === "update" || verb === "patch";
    if (isUpdate && random.float() < 0.6) {
      return conflictError(
        { group: resource.group, resource: resource.plural },
        name,
        "simulated: somebody was quicker",
      );
    }
    return random.float() < 0.5 ? internalError("simulated: no leader") : new Error("simulated: connection refused");
  }

  return {
    cutOff() {
      isCutOff = true;
    },
    breakWatches() {
      for (const fail of [...watches]) fail(brokenWatch(random));
    },
    get: (resource, ref, options) => read(() => client.get(resource, ref, options)),
    list: (resource, options) => read(() => client.list(resource, options)),
    async watch<T extends KubeObject>(
      resource: Resource<T>,
      options: Parameters<Client["watch"]>[1],
      receive: (events: readonly WatchEvent<T>[]) => void,
    ) {
      await delay();
      if (isCutOff) return never;
      let fail!: (error: Error) => void;
      let end!: () => void;
      const closed = new Promise<void>((resolve, reject) => {
        fail = reject;
        end = resolve;
      });
      closed.catch(() => {});
      let isOver = false;
      let lastDueMs = 0;
      const handle = await client.watch(resource, options, (events: readonly WatchEvent<T>[]) => {
        if (isOver || isCutOff) return;
        if (random.float() < faults.brokenWatch) return breakOff(brokenWatch(random));
        lastDueMs = Math.max(lastDueMs, clock.now() + random.int(faults.watchDelayMs + 1));
        clock.setTimer(lastDueMs - clock.now(), () => {
          if (!isOver && !isCutOff) receive(events);
        });
      });
      const breakOff = (error: Error) => {
        if (isOver) return;
        isOver = true;
        watches.delete(breakOff);
        handle.stop();
        fail(error);
      };
      watches.add(breakOff);
      handle.closed.then(end, breakOff);
      const stop = () => {
        isOver = true;
        watches.delete(breakOff);
        handle.stop();
        end();
      };
      return { closed, stop };
    },
    create: (resource, object, options) =>
      write("create", resource as Resource, object.metadata.name ?? "", () => client.create(resource, object, options)),
    update: (resource, object, options) =>
      write("update", resource as Resource, object.metadata.name as string, () =>
        client.update(resource, object, options),
      ),
    updateStatus: (resource, object, options) =>
      write("update", resource as Resource, object.metadata.name as string, () =>
        client.updateStatus(resource, object, options),
      ),
    patch: (resource, ref, patch, options) =>
      write("patch", resource as Resource, ref.name, () => client.patch(resource, ref, patch, options)),
    delete: (resource, ref, options) =>
      write("delete", resource as Resource, ref.name, () => client.delete(resource, ref, options)),
    deleteCollection: (resource, list, options) =>
      write("deletecollection", resource as Resource, "", () => client.deleteCollection(resource, list, options)),
    createSubresource: (resource, ref, subresource, body, options) =>
      write(`create ${subresource}`, resource, ref.name, () =>
        client.createSubresource(resource, ref, subresource, body, options),
      ),
    updateSubresource: (resource, ref, subresource, body, options) =>
      write("update", resource, ref.name, () => client.updateSubresource(resource, ref, subresource, body, options)),
  };
}

function brokenWatch(random: Random): Error {
  return random.float() < 0.5
    ? new StatusError(410, "Expired", "simulated: too old resource version")
    : new Error("simulated: the connection broke");
}
