/** Remembers what the forwarders said, for as long as they allow and no longer than 30 seconds (CoreDNS' cache plugin as kubeadm sets it up). */
import type { Clock } from "../base/clock.ts";
import { type Answer, Rcode, RecordType, type ResourceRecord } from "./message.ts";
import type { Next, Plugin, Query } from "./plugin.ts";

export interface CacheOptions {
  clock: Clock;
  /** Default 30. */
  longestSeconds?: number;
  /** Answers kept; the one remembered longest ago goes first. Default 10,000. */
  capacity?: number;
  /** Kept up to date, for who wants to know. */
  counts?: { hits: number; misses: number; entries: number };
}

interface Remembered {
  answer: Answer;
  atMs: number;
  untilMs: number;
}

export class CachePlugin implements Plugin {
  readonly name = "cache";
  readonly #clock: Clock;
  readonly #longestSeconds: number;
  readonly #capacity: number;
  readonly #counts: NonNullable<CacheOptions["counts"]>;
  readonly #remembered = new Map<string, Remembered>();

  constructor({
    clock,
    longestSeconds = 30,
    capacity = 10_000,
    counts = { hits: 0, misses: 0, entries: 0 },
  }: CacheOptions) {
    this.#counts = counts;
    this.#clock = clock;
    this.#longestSeconds = longestSeconds;
    this.#capacity = capacity;
  }

  answer(query: Query, next: Next): Answer | Promise<Answer> {
    const key = `${query.type} ${query.class} ${query.checkingDisabled} ${query.dnssecOk} ${query.name}`;
    const known = this.#remembered.get(key);
    const now = this.#clock.now();
    if (known && now < known.untilMs) {
      this.#counts.hits++;
      return aged(known.answer, Math.floor((now - known.atMs) / 1000));
    }
    this.#counts.misses++;
    const answer = next(query);
    if (!(answer instanceof Promise)) return answer;
    return answer.then((fresh) => {
      this.#remember(key, fresh);
      return fresh;
    });
  }

  #remember(key: string, answer: Answer): void {
    const seconds = Math.min(this.#longestSeconds, lifetimeSeconds(answer));
    if (seconds <= 0) return;
    this.#remembered.delete(key); // Its place in the order is that of its youth.
    const atMs = this.#clock.now();
    this.#remembered.set(key, { answer, atMs, untilMs: atMs + seconds * 1000 });
    if (this.#remembered.size > this.#capacity) this.#remembered.delete(this.#remembered.keys().next().value!);
    this.#counts.entries = this.#remembered.size;
  }
}

/** The lowest time to live of what was found; of nothing found, what the SOA record grants; of failures none. */
function lifetimeSeconds({ rcode, answers, authority }: Answer): number {
  if (rcode !== Rcode.NOERROR && rcode !== Rcode.NXDOMAIN) return 0;
  if (answers.length > 0) return Math.min(...answers.map(({ ttl }) => ttl));
  const soa = authority.find(({ type }) => type === RecordType.SOA);
  return soa?.data.kind === "soa" ? Math.min(soa.ttl, soa.data.minimum) : 0;
}

function aged(answer: Answer, seconds: number): Answer {
  if (seconds === 0) return answer;
  const older = (records: readonly ResourceRecord[]) =>
    records.map((record) => ({ ...record, ttl: Math.max(0, record.ttl - seconds) }));
  return {
    ...answer,
    answers: older(answer.answers),
    authority: older(answer.authority),
    additional: older(answer.additional),
  };
}
