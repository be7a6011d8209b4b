/**
 * The whole state at one revision, in memory or in a file: to keep, to move from one engine to another, to fork a cluster
 * from. Revisions are kept, so that objects bear the same resourceVersions afterwards. History is not part of it.
 */
import { open, readFile, rename, rm } from "node:fs/promises";
import { crc32 } from "node:zlib";
import { prefixEnd } from "./ordered-map.ts";
import type { Revision, Store, StoredValue, Write } from "./store.ts";

export interface Snapshot {
  revision: Revision;
  values: readonly StoredValue[];
}

const everything = { from: "/", to: prefixEnd("/")! };
const pageSize = 1_000;
// Names the format and its version.
const magic = Buffer.from("pinnace snapshot 1\n");

/** The state now. Writes go on meanwhile and are not part of it. */
export async function takeSnapshot(store: Store): Promise<Snapshot> {
  const values: StoredValue[] = [];
  let revision: Revision | undefined;
  for (let from = everything.from; ; from = `${values.at(-1)!.key}\0`) {
    const page = await store.range(from, everything.to, { revision, limit: pageSize });
    revision = page.revision;
    values.push(...page.values);
    if (page.remaining === 0 || page.values.length === 0) return { revision, values };
  }
}

const writesAtOnce = 64;

/**
 * Makes a store that is open, and perhaps watched, hold what the snapshot holds: under new revisions, and not in one transaction.
 * Resolves to how many keys it wrote or removed.
 */
export async function restoreInto(store: Store, snapshot: Snapshot): Promise<number> {
  const wanted = new Map(snapshot.values.map(({ key, value }) => [key, value]));
  const standing = (await takeSnapshot(store)).values;
  const isSame = new Set<string>();
  const writes: Write[] = [];
  for (const { key, value } of standing) {
    const next = wanted.get(key);
    if (!next) writes.push({ kind: "delete", key });
    else if (Buffer.compare(next, value) === 0) isSame.add(key);
  }
  for (const [key, value] of wanted) if (!isSame.has(key)) writes.push({ kind: "put", key, value });
  for (let i = 0; i < writes.length; i += writesAtOnce)
    await Promise.all(writes.slice(i, i + writesAtOnce).map((write) => store.write(write)));
  return writes.length;
}

/** Writes the file beside its place, flushes it, and only then puts it there: what stands at `path` is always whole. */
export async function writeSnapshot(snapshot: Snapshot, path: string): Promise<void> {
  const beside = `${path}.partial`;
  const file = await open(beside, "w", 0o600);
  try {
    let checksum = 0;
    const write = async (bytes: Buffer) => {
      checksum = crc32(bytes, checksum);
      await file.write(bytes);
    };
    const head = Buffer.alloc(12);
    head.writeDoubleLE(snapshot.revision, 0);
    head.writeUInt32LE(snapshot.values.length, 8);
    await write(Buffer.concat([magic, head]));
    for (let i = 0; i < snapshot.values.length; i += pageSize) {
      await write(Buffer.concat(snapshot.values.slice(i, i + pageSize).flatMap(encodeValue)));
    }
    const tail = Buffer.alloc(4);
    tail.writeUInt32LE(checksum, 0);
    await file.write(tail);
    await file.sync();
    await file.close();
    await rename(beside, path);
  } catch (error) {
    await file.close().catch(() => {});
    await rm(beside, { force: true });
    throw new Error(`write the snapshot ${path}: ${(error as Error).message}`, { cause: error });
  }
}

/** Rejects when the file is not a whole snapshot. */
export async function readSnapshot(path: string): Promise<Snapshot> {
  const bytes = await readFile(path);
  const damaged = (what: string) => new Error(`${path} ${what}`);
  if (bytes.length < magic.length + 16 || !bytes.subarray(0, magic.length).equals(magic)) {
    throw damaged("is not a snapshot that this program can read");
  }
  const body = bytes.subarray(0, -4);
  if (bytes.readUInt32LE(body.length) !== crc32(body)) throw damaged("is damaged: it does not match its checksum");
  let at = magic.length;
  const revision = body.readDoubleLE(at);
  const count = body.readUInt32LE(at + 8);
  at += 12;
  const values: StoredValue[] = [];
  for (let i = 0; i < count; i++) {
    const keyEnd = at + valueHead + body.readUInt16LE(at + 16);
    const valueEnd = keyEnd + body.readUInt32LE(at + 18);
    values.push({
      key: body.toString("utf8", at + valueHead, keyEnd),
      value: body.subarray(keyEnd, valueEnd),
      createRevision: body.readDoubleLE(at),
      modRevision: body.readDoubleLE(at + 8),
    });
    at = valueEnd;
  }
  return { revision, values };
}

// createRevision f64, modRevision f64, length of the key u16, length of the value u32.
const valueHead = 8 + 8 + 2 + 4;

function encodeValue({ key, value, createRevision, modRevision }: StoredValue): Uint8Array[] {
  const keyBytes = Buffer.from(key);
  const head = Buffer.alloc(valueHead);
  head.writeDoubleLE(createRevision, 0);
  head.writeDoubleLE(modRevision, 8);
  head.writeUInt16LE(keyBytes.length, 16);
  head.writeUInt32LE(value.length, 18);
  return [head, keyBytes, value];
}
