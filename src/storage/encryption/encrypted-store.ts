/** A store whose values are sealed before they reach the engine, by resource. Keys and revisions stand as they are. */
import type { RangeResult, Revision, Store, StoredValue, StoreEvent, Watch, Write, WriteResult } from "../store.ts";
import type { Sealing } from "./encryption-configuration.ts";

/** A value that no key of the configuration opens. */
export class UnreadableValueError extends Error {
  override name = "UnreadableValueError";
  constructor(key: string, why: string, options?: ErrorOptions) {
    super(`unable to transform key ${JSON.stringify(key)}: ${why}`, options);
  }
}

export class EncryptedStore implements Store {
  readonly #inner: Store;
  readonly #sealingOf: (key: string) => Sealing | undefined;

  /** `sealingOf` finds the sealing of a key; undefined: its values are written as they are. */
  constructor(inner: Store, sealingOf: (key: string) => Sealing | undefined) {
    this.#inner = inner;
    this.#sealingOf = sealingOf;
  }

  get revision(): Revision {
    return this.#inner.revision;
  }

  get compactRevision(): Revision {
    return this.#inner.compactRevision;
  }

  get isShared(): boolean {
    return this.#inner.isShared;
  }

  newestRevision(): Promise<Revision> {
    return this.#inner.newestRevision();
  }

  async get(key: string): Promise<StoredValue | undefined> {
    return this.#opened(await this.#inner.get(key));
  }

  async range(from: string, to: string, options?: { revision?: Revision; limit?: number }): Promise<RangeResult> {
    const range = await this.#inner.range(from, to, options);
    return { ...range, values: range.values.map((value) => this.#opened(value)) };
  }

  async write(write: Write): Promise<WriteResult> {
    const result = await this.#inner.write(this.#sealed(write));
    if (result.ok) return { ...result, previous: this.#opened(result.previous) };
    return { ...result, current: this.#opened(result.current) };
  }

  watch(
    prefix: string,
    after: Revision,
    onEvents: (events: readonly StoreEvent[], revision: Revision) => void,
    onLost?: (error: Error) => void,
  ): Watch {
    const watch = this.#inner.watch(
      prefix,
      after,
      (events, revision) => {
        let opened: StoreEvent[];
        try {
          opened = events.map((event) => this.#openedEvent(event));
        } catch (error) {
          // What cannot be read cannot be told: whoever watches reads anew, and learns why.
          watch.stop();
          onLost?.(error as Error);
          return;
        }
        onEvents(opened, revision);
      },
      onLost,
    );
    return watch;
  }

  compact(revision: Revision): Promise<void> {
    return this.#inner.compact(revision);
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  #sealed(write: Write): Write {
    if (write.kind === "delete") return write;
    const writer = this.#sealingOf(write.key)?.writer;
    if (!writer) return write;
    const { key, value } = write;
    const seal = (plain: Uint8Array) => Buffer.concat([Buffer.from(writer.prefix), writer.seal(plain, key)]);
    return { ...write, value: typeof value === "function" ? (revision) => seal(value(revision)) : seal(value) };
  }

  #openedEvent(event: StoreEvent): StoreEvent {
    if (event.kind === "delete") return { ...event, previous: this.#opened(event.previous) };
    return { ...event, current: this.#opened(event.current), previous: this.#opened(event.previous) };
  }

  #opened<T extends StoredValue | undefined>(stored: T): T {
    const sealing = stored && this.#sealingOf(stored.key);
    return stored && sealing ? { ...stored, value: openValue(stored, sealing) } : stored;
  }
}

const sealedBy = Buffer.from("k8s:enc:");

/** The bytes that were sealed. Throws an UnreadableValueError. */
export function openValue({ key, value }: StoredValue, { readers, readsPlain }: Sealing): Uint8Array {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (!bytes.subarray(0, sealedBy.length).equals(sealedBy)) {
    if (readsPlain) return value;
    throw new UnreadableValueError(key, "no matching prefix found");
  }
  const reader = readers.find(({ prefix }) => bytes.subarray(0, prefix.length).toString("latin1") === prefix);
  if (!reader) throw new UnreadableValueError(key, "no matching key was found for the provided transformer");
  try {
    return reader.open(bytes.subarray(reader.prefix.length), key);
  } catch (cause) {
    throw new UnreadableValueError(key, (cause as Error).message, { cause });
  }
}
