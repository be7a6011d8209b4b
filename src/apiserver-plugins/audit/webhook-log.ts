/** Sends audit events to a webhook, many at a time (upstream: `--audit-webhook-config-file`, mode batch). */
import { backoffDelayMs } from "../../base/backoff.ts";
import { type Clock, sleep, type Timer } from "../../base/clock.ts";
import type { Logger } from "../../base/logger.ts";
import type { WebhookCaller, WebhookTarget } from "../webhooks/webhook-caller.ts";
import type { AuditLog } from "./policy-auditor.ts";

export interface WebhookLogOptions {
  target: WebhookTarget;
  caller: WebhookCaller;
  clock: Clock;
  log: Logger;
}

const maximumBatch = 400;
const longestWaitMs = 30_000;
/** Beyond this, events are lost and counted: requests never wait for whoever records them. */
const maximumWaiting = 10_000;
const timeoutMs = 30_000;
const attempts = 5;
const backoff = { initialMs: 10_000, maximumMs: 60_000, factor: 1.5 };

export class WebhookLog implements AuditLog {
  readonly plugin = "webhook";
  readonly #options: WebhookLogOptions;
  readonly #ended = new AbortController();
  #waiting: string[] = [];
  #lost = 0;
  #lostEvents = 0;
  #timer: Timer | undefined;
  #sending: Promise<void> | undefined;

  constructor(options: WebhookLogOptions) {
    this.#options = options;
  }

  get lostEvents(): number {
    return this.#lostEvents;
  }

  /** `event` is an audit.k8s.io/v1 Event as JSON. It is sent soon; nobody waits for it. */
  append(event: string): void {
    if (this.#waiting.length >= maximumWaiting) {
      this.#lost++;
      this.#lostEvents++;
      return;
    }
    this.#waiting.push(event);
    if (this.#sending) return;
    if (this.#waiting.length >= maximumBatch) this.#send();
    else this.#timer ??= this.#options.clock.setTimer(longestWaitMs, () => this.#send(), { background: true });
  }

  /** Sends what is left, once. */
  async close(): Promise<void> {
    this.#ended.abort();
    await this.#sending;
    const { waiting } = this.#take();
    if (waiting.length > 0) await this.#post(waiting).catch(() => {});
  }

  #send(): void {
    this.#sending = this.#sendAll().finally(() => {
      this.#sending = undefined;
    });
  }

  async #sendAll(): Promise<void> {
    const { log } = this.#options;
    do {
      const { waiting, lost } = this.#take();
      if (lost > 0) log.warn("audit events were lost: the webhook is too slow", { events: lost });
      await this.#deliver(waiting).catch((error: Error) => {
        this.#lostEvents += waiting.length;
        if (!this.#ended.signal.aborted) {
          log.warn("audit events were lost", { events: waiting.length, error: error.message });
        }
      });
    } while (this.#waiting.length >= maximumBatch && !this.#ended.signal.aborted);
    if (this.#waiting.length > 0) {
      this.#timer ??= this.#options.clock.setTimer(longestWaitMs, () => this.#send(), { background: true });
    }
  }

  #take(): { waiting: string[]; lost: number } {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    const lost = this.#lost;
    this.#lost = 0;
    return { waiting: this.#waiting.splice(0, maximumBatch), lost };
  }

  async #deliver(events: readonly string[]): Promise<void> {
    for (let failures = 1; ; failures++) {
      try {
        await this.#post(events);
        return;
      } catch (error) {
        if (failures >= attempts) throw error;
        await sleep(this.#options.clock, backoffDelayMs(backoff, failures), this.#ended.signal);
      }
    }
  }

  async #post(events: readonly string[]): Promise<void> {
    const { caller, target } = this.#options;
    const list = {
      kind: "EventList",
      apiVersion: "audit.k8s.io/v1",
      metadata: {},
      items: events.map((event) => JSON.parse(event) as unknown),
    };
    await caller.call(target, list, { timeoutMs, ignoreAnswer: true });
  }
}
