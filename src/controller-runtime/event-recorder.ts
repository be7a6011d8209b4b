/** Writes core/v1 Events behind the caller's back, repeats counted and floods cut (client-go's recorder and correlator). */
import { Events } from "../api/resources.ts";
import { isNotFound } from "../apimachinery/status-error.ts";
import { type Clock, rfc3339 } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { Client } from "../client/client.ts";
import { EventNames, rememberAtMost, writeUntilAnswered } from "./event-writing.ts";
import type { EventRecorder, EventSubject } from "./events.ts";

export interface EventRecorderOptions {
  client: Client;
  clock: Clock;
  log: Logger;
  /** `source.component` and `reportingComponent`: `deployment-controller`, `default-scheduler`, `kubelet`. */
  component: string;
  /** `source.host`: the node, for what runs on one. */
  host?: string;
  signal: AbortSignal;
}

/** The tenth distinct message within the window, and what follows it, becomes one "(combined from similar events)". */
const similarLimit = 10;
const similarWindowMs = 600_000;
/** One source may record this many events about one object at once, and then one per refill time. */
const burst = 25;
const refillMs = 300_000;
/** Remembered series, subjects and unsent events; the oldest is forgotten (or dropped) beyond. */
const memory = 4096;
const unsentLimit = 1000;

interface Series {
  name: string;
  namespace: string;
  count: number;
  firstTimestamp: string;
  /** Writes of one series follow one another: a count must not overtake its creation. */
  tail: Promise<void>;
}

export function createEventRecorder(options: EventRecorderOptions): EventRecorder {
  const { client, clock, component, host, log, signal } = options;
  const series = new Map<string, Series>();
  const similar = new Map<string, { messages: Set<string>; lastMs: number }>();
  const budgets = new Map<string, { tokens: number; atMs: number }>();
  const names = new EventNames(clock);
  let unsent = 0;

  function withinBudget(subject: string): boolean {
    const now = clock.now();
    const budget = budgets.get(subject) ?? { tokens: burst, atMs: now };
    const tokens = Math.min(burst, budget.tokens + (now - budget.atMs) / refillMs);
    rememberAtMost(memory, budgets, subject, { tokens: tokens >= 1 ? tokens - 1 : tokens, atMs: now });
    return tokens >= 1;
  }

  function combined(group: string, message: string): boolean {
    const now = clock.now();
    const known = similar.get(group);
    const entry = known && now - known.lastMs <= similarWindowMs ? known : { messages: new Set<string>(), lastMs: now };
    if (entry.messages.size < similarLimit - 1) entry.messages.add(message);
    entry.lastMs = now;
    rememberAtMost(memory, similar, group, entry);
    return !entry.messages.has(message);
  }

  return {
    event(object: EventSubject, type, reason, message, fieldPath, atMs) {
      if (signal.aborted) return;
      const { name = "", namespace = "", uid = "", resourceVersion } = object.metadata;
      const subject = JSON.stringify([object.kind, namespace, name, uid]);
      const group = JSON.stringify([subject, type, reason]);
      const isCombined = combined(group, message);
      if (isCombined) message = `(combined from similar events): ${message}`;
      const seriesKey = isCombined ? group : JSON.stringify([group, message, fieldPath]);

      const timestamp = rfc3339(atMs ?? clock.now());
      let entry = series.get(seriesKey);
      if (!entry) {
        entry = {
          name: names.next(name, atMs),
          namespace: namespace || "default",
          count: 0,
          firstTimestamp: timestamp,
          tail: Promise.resolve(),
        };
      }
      entry.count++;
      rememberAtMost(memory, series, seriesKey, entry);
      // Counted all the same: the next one that passes tells of them.
      if (!withinBudget(subject)) return;
      if (unsent >= unsentLimit) {
        log.warn("event dropped: too many are waiting to be written", { reason, name });
        return;
      }

      const { count, firstTimestamp, namespace: eventNamespace } = entry;
      const write = async (): Promise<void> => {
        const current = entry;
        const create = () =>
          client.create(Events, {
            metadata: { name: current.name, namespace: eventNamespace },
            involvedObject: {
              kind: object.kind,
              ...(namespace ? { namespace } : {}),
              name,
              uid,
              apiVersion: object.apiVersion,
              ...(resourceVersion ? { resourceVersion } : {}),
              ...(fieldPath ? { fieldPath } : {}),
            },
            reason,
            message,
            source: { component, ...(host ? { host } : {}) },
            firstTimestamp,
            lastTimestamp: timestamp,
            count,
            type,
            reportingComponent: component,
            reportingInstance: host ?? "",
          });
        if (count === 1) return void (await create());
        try {
          const body = { count, message, lastTimestamp: timestamp };
          await client.patch(Events, { name: current.name, namespace: eventNamespace }, { type: "merge", body });
        } catch (error) {
          if (!isNotFound(error)) throw error;
          // It expired meanwhile: start it again, under a new name as upstream does.
          current.name = names.next(name);
          await create();
        }
      };
      unsent++;
      entry.tail = entry.tail
        .then(() => writeUntilAnswered(write, { clock, signal }))
        .catch((error) => {
          if (!signal.aborted) log.debug("event not written", { reason, name, error: String(error) });
        })
        .finally(() => unsent--);
    },
  };
}
