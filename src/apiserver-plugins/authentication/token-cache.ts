/** What others said of tokens, for a while: a bounded memory, oldest out first. */
import type { UserInfo } from "../../apiserver/authentication.ts";
import type { Clock } from "../../base/clock.ts";

const maximumTokens = 4096;

export class TokenCache {
  readonly #clock: Clock;
  readonly #ttlMs: number;
  readonly #users = new Map<string, { user: Promise<UserInfo | undefined>; untilMs: number }>();

  constructor(clock: Clock, ttlMs: number) {
    this.#clock = clock;
    this.#ttlMs = ttlMs;
  }

  /** Asks `find` unless it was asked lately, or is being asked just now. What it throws is not remembered. */
  get(token: string, find: () => Promise<UserInfo | undefined>): Promise<UserInfo | undefined> {
    const known = this.#users.get(token);
    if (known && known.untilMs > this.#clock.now()) return known.user;
    this.#users.delete(token);
    if (this.#users.size >= maximumTokens) this.#users.delete(this.#users.keys().next().value!);
    const user = find();
    this.#users.set(token, { user, untilMs: this.#clock.now() + this.#ttlMs });
    user.catch(() => this.#users.delete(token));
    return user;
  }
}
