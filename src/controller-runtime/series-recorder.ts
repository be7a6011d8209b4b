/** Writes events.k8s.io Events behind the caller's back, repeats joined into series (client-go's tools/events): the scheduler's. */
import type { Event } from "../api/events/v1.ts";
import type { New } from "../api/object.ts";
import { EventsV1 } from "../api/resources.ts";
import { isNotFound } from "../apimachinery/status-error.ts";
import { type Clock, rfc3339Micro, type Timer } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { Client } from "../client/client.ts";
import { EventNames, rememberAtMost, writeUntilAnswered } from "./event-writing.ts";
import type { EventSubject } from "./events.ts";

export interface SeriesRecorderOptions {
  client: Client;
  clock: Clock;
  log: Logger;
  /** `reportingController`: `default-scheduler`. */
  controller: string;
  /** `reportingInstance` is the controller's name and this: the machine. */
  host: string;
  signal: AbortSignal;
}

export interface SeriesRecorder {
  /**
   * Records what was done to an object. Returns at once; writes happen behind.
   * What comes again of the same type, action and reason about the same state of the same object makes a series:
   * the second one is written at once as `series.count` 2, later ones are counted and written every half hour, and when
   * six minutes have passed without one. The note stays that of the first, as upstream's does.
   */
  event(what: RecordedAction): void;
}

export interface RecordedAction {
  regarding: EventSubject;
  related?: EventSubject;
  type: "Normal" | "Warning";
  reason: string;
  /** What was being done: `Binding`, `Scheduling`. */
  action: string;
  /** Cut to the 1,024 characters that the API takes. */
  note: string;
  /** When it happened, epoch milliseconds. Default: now. */
  atMs?: number;
}

/** Series are looked over so often; one that has been quiet for so long is finished. */
const finishMs = 6 * 60_000;
/** Series that go on are written each so many looks, so that they do not expire. */
const looksPerRefresh = 5;
const mostRemembered = 4096;
const mostUnsent = 1000;
const longestNote = 1024;

interface Isomorphic {
  event: New<Event>;
  /** Epoch milliseconds of the last one. */
  lastMs: number;
  count: number;
  tail: Promise<void>;
}

export function createSeriesRecorder(options: SeriesRecorderOptions): SeriesRecorder {
  const { client, clock, controller, host, log, signal } = options;
  const known = new Map<string, Isomorphic>();
  const names = new EventNames(clock);
  let unsent = 0;
  let looks = 0;
  let nextLook: Timer | undefined;
  signal.addEventListener("abort", () => nextLook?.[Symbol.dispose](), { once: true });

  function send(entry: Isomorphic): void {
    const { metadata, reason } = entry.event;
    const series = entry.count > 1 ? { count: entry.count, lastObservedTime: rfc3339Micro(entry.lastMs) } : undefined;
    const write = async () => {
      if (!series) return await client.create(EventsV1, entry.event);
      try {
        const ref = { name: metadata.name!, namespace: metadata.namespace! };
        return await client.patch(EventsV1, ref, { type: "merge", body: { series } });
      } catch (error) {
        // It expired meanwhile.
        if (!isNotFound(error)) throw error;
        return await client.create(EventsV1, { ...entry.event, series });
      }
    };
    unsent++;
    entry.tail = entry.tail
      .then(() => writeUntilAnswered(write, { clock, signal }))
      .catch((error) => {
        if (!signal.aborted) log.debug("event not written", { reason, name: metadata.name, error: String(error) });
      })
      .finally(() => unsent--);
  }

  /** No timer runs while nothing is remembered. */
  function lookLater(): void {
    nextLook ??= clock.setTimer(
      finishMs,
      () => {
        nextLook = undefined;
        if (signal.aborted) return;
        const isRefresh = ++looks % looksPerRefresh === 0;
        for (const [key, entry] of known) {
          const isOver = entry.lastMs <= clock.now() - finishMs;
          if (entry.count > 1 && (isOver || isRefresh)) send(entry);
          if (isOver) known.delete(key);
        }
        if (known.size > 0) lookLater();
      },
      { background: true },
    );
  }

  return {
    event({ regarding, related, type, reason, action, note, atMs }) {
      if (signal.aborted) return;
      const happenedMs = atMs ?? clock.now();
      const { name = "", namespace = "" } = regarding.metadata;
      const references = { regarding: referenceTo(regarding), ...(related ? { related: referenceTo(related) } : {}) };
      const key = JSON.stringify([type, action, reason, references]);
      const before = known.get(key);
      if (before) {
        before.count++;
        before.lastMs = happenedMs;
        rememberAtMost(mostRemembered, known, key, before);
        if (before.count === 2) send(before);
        return;
      }
      if (unsent >= mostUnsent) {
        log.warn("event dropped: too many are waiting to be written", { reason, name });
        return;
      }
      const event: New<Event> = {
        metadata: { name: names.next(name, atMs), namespace: namespace || "default" },
        eventTime: rfc3339Micro(happenedMs),
        reportingController: controller,
        reportingInstance: `${controller}-${host}`,
        action,
        reason,
        ...references,
        note: note.length <= longestNote ? note : `${note.slice(0, longestNote - 4)} ...`,
        type,
      };
      const entry = { event, lastMs: happenedMs, count: 1, tail: Promise.resolve() };
      rememberAtMost(mostRemembered, known, key, entry);
      send(entry);
      lookLater();
    },
  };
}

function referenceTo({ apiVersion, kind, metadata: { name, namespace, uid, resourceVersion } }: EventSubject) {
  return {
    apiVersion,
    kind,
    ...(namespace ? { namespace } : {}),
    ...(name ? { name } : {}),
    ...(uid ? { uid } : {}),
    ...(resourceVersion ? { resourceVersion } : {}),
  };
}
