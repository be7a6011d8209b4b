/** How objects become bytes for clients, and how many of those bytes are kept. */
import type { Revision } from "./store.ts";

export type WatchEventType = "ADDED" | "MODIFIED" | "DELETED";

/**
 * One way to write objects for clients: a media type of one API version, perhaps as a Table.
 * Two encoders with the same `id` must write the same bytes: what one wrote is handed out for the other.
 */
export interface Encoder<T> {
  readonly id: string;
  /** The object alone, as in a get or as one item of a list. Pure. */
  encode(object: T): Buffer;
  /** One frame of a watch stream around what `encode` wrote: `{"type":"ADDED","object":…}\n`, in pieces. */
  frame(type: WatchEventType, encoded: Buffer): readonly Uint8Array[];
  /** The frame of a bookmark; with `initialEventsEnd` it carries the annotation `k8s.io/initial-events-end`. */
  bookmark(revision: Revision, initialEventsEnd: boolean): Buffer;
}

/** How the store's bytes relate to objects. */
export interface Codec<T> {
  /**
   * Writes the bytes that are stored. They include `metadata.resourceVersion`, so the same bytes answer clients that ask
   * for this encoder: an object is serialised once.
   */
  readonly encoder: Encoder<T>;
  /** The reverse. Fresh, unfrozen, owned by the cache, which sets its resourceVersion anew. Throws on bytes it cannot read. */
  decode(bytes: Uint8Array, key: string): T;
}
