/** Ownership of what was opened: an owner closes everything registered with it, last opened first. */

export type Disposer = () => void | Promise<void>;

export class Owner {
  #disposers: Disposer[] = [];
  #closing: Promise<void> | undefined;

  /** Registers what must be closed. Called after closing began, it closes at once. */
  own(dispose: Disposer): void {
    if (this.#closing) void dispose();
    else this.#disposers.push(dispose);
  }

  /** Closes in reverse order; every disposer runs even when one fails. Rejects with an AggregateError of the failures. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#closeAll();
    return this.#closing;
  }

  async #closeAll(): Promise<void> {
    const failures: unknown[] = [];
    for (const dispose of this.#disposers.reverse()) {
      try {
        await dispose();
      } catch (error) {
        failures.push(error);
      }
    }
    this.#disposers = [];
    if (failures.length > 0) throw new AggregateError(failures, `closing failed: ${failures.map(String).join("; ")}`);
  }
}
