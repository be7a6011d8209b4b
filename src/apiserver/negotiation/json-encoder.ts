/** Objects as JSON: what is stored is what clients get, so an object is serialised once in its life. */
import type { KubeObject } from "../../api/object.ts";
import { parseExactly, stringifyExactly } from "../../apimachinery/serializer/big-integers.ts";
import type { Codec, Encoder, WatchEventType } from "../../storage/encoding.ts";

/** What every encoded object of a kind begins with; lists leave it out of their items. */
export function jsonTypePrefix(apiVersion: string, kind: string): string {
  return `{"kind":${JSON.stringify(kind)},"apiVersion":${JSON.stringify(apiVersion)},`;
}

const frameHeads: Record<WatchEventType, Buffer> = {
  ADDED: Buffer.from('{"type":"ADDED","object":'),
  MODIFIED: Buffer.from('{"type":"MODIFIED","object":'),
  DELETED: Buffer.from('{"type":"DELETED","object":'),
};
const frameTail = Buffer.from("}\n");

export function jsonFrame(type: WatchEventType, encoded: Uint8Array): readonly Uint8Array[] {
  return [frameHeads[type], encoded, frameTail];
}

export function bookmarkObject(apiVersion: string, kind: string, revision: number, initialEventsEnd: boolean): object {
  return {
    kind,
    apiVersion,
    metadata: {
      resourceVersion: String(revision),
      ...(initialEventsEnd ? { annotations: { "k8s.io/initial-events-end": "true" } } : {}),
    },
  };
}

/** `convert` turns the stored object into this version's; `revision` tells conversions apart that came after one another. */
export function jsonEncoder(
  apiVersion: string,
  kind: string,
  convert?: (object: KubeObject) => KubeObject,
  revision = "",
): Encoder<KubeObject> {
  return {
    id: `json ${apiVersion} ${kind}${revision && ` ${revision}`}`,
    encode: (object) => Buffer.from(stringifyExactly(convert ? convert(object) : object)),
    frame: jsonFrame,
    bookmark: (revision, initialEventsEnd) =>
      Buffer.from(
        `{"type":"BOOKMARK","object":${JSON.stringify(bookmarkObject(apiVersion, kind, revision, initialEventsEnd))}}\n`,
      ),
  };
}

/** What stands in the store: this version's JSON, written by the same encoder that answers clients. */
export function storedJsonCodec(apiVersion: string, kind: string): Codec<KubeObject> {
  return {
    encoder: jsonEncoder(apiVersion, kind),
    decode: (bytes, key) => {
      try {
        const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
        return parseExactly(text) as KubeObject;
      } catch (cause) {
        throw new Error(`the store's value of ${key} cannot be read`, { cause });
      }
    },
  };
}
