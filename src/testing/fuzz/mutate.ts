/** Changes inputs at random, the way fuzzers do: bytes as bytes, and parsed objects field by field. */
import type { Random } from "../../base/random.ts";

const tokens = [
  '"',
  "{",
  "}",
  "[",
  "]",
  ":",
  ",",
  "\n",
  "null",
  "1e999",
  "-",
  "\\u0000",
  "&a",
  "*a",
  "---",
  "!!binary ",
];

/** A copy with up to eight small changes: flipped, inserted, removed, repeated and cut parts. */
export function mutateBytes(bytes: Uint8Array, random: Random): Buffer {
  let out = Buffer.from(bytes);
  for (let changes = 1 + random.int(8); changes > 0; changes--) {
    const at = random.int(out.length + 1);
    const length = random.int(Math.min(32, out.length - at + 1));
    const [before, part, after] = [out.subarray(0, at), out.subarray(at, at + length), out.subarray(at + length)];
    switch (random.int(7)) {
      case 0:
        if (at < out.length) out[at] = random.int(256);
        break;
      case 1:
        if (at < out.length) out[at]! ^= 1 << random.int(8);
        break;
      case 2:
        out = Buffer.concat([before, after]);
        break;
      case 3:
        out = Buffer.concat([before, part, part, after]);
        break;
      case 4:
        out = Buffer.concat([before, Buffer.from(tokens[random.int(tokens.length)]!), part, after]);
        break;
      case 5:
        out = Buffer.concat([
          before,
          Buffer.from(Array.from({ length: 1 + random.int(12) }, () => random.int(256))),
          after,
        ]);
        break;
      default:
        out = Buffer.from(out.subarray(0, Math.max(at, 1)));
    }
  }
  return out;
}

/** What stands in the place of something else: empty, huge, negative, of another type, nearly right. */
const oddities: readonly unknown[] = [
  null,
  "",
  " ",
  "x",
  "0",
  "-1",
  "a".repeat(300),
  "\u0000",
  "\ud800",
  "..",
  "../x",
  "1Gi",
  "1e400",
  "100%",
  "-5%",
  "*",
  "Always",
  "2020-01-01T00:00:00Z",
  "10.0.0.1",
  "10.0.0.0/8",
  "::1",
  0,
  1,
  -1,
  1.5,
  65_536,
  2 ** 31,
  -(2 ** 31),
  2 ** 53,
  1e300,
  true,
  false,
  [],
  {},
  [null],
  [[]],
  [{}],
  [""],
  { "": "" },
  { a: null },
  { name: "x" },
  [{ name: "x" }, { name: "x" }],
  JSON.parse('{"__proto__":{"a":1},"constructor":null}'),
];

/** A copy with up to four fields or items replaced, removed, repeated or moved elsewhere. */
export function mutateObject(object: unknown, random: Random): unknown {
  const copy = structuredClone(object);
  for (let changes = 1 + random.int(4); changes > 0; changes--) {
    const places = [...placesIn(copy)];
    if (places.length === 0) return copy;
    const { holder, key } = places[random.int(places.length)]!;
    const other = places[random.int(places.length)]!;
    switch (random.int(5)) {
      case 0:
        if (Array.isArray(holder)) holder.splice(Number(key), 1);
        else delete holder[key];
        break;
      case 1:
        if (Array.isArray(holder)) holder.push(structuredClone(holder[Number(key)]));
        else holder[`${key}x`] = structuredClone(holder[key]);
        break;
      case 2:
        (holder as Record<string, unknown>)[key] = structuredClone(
          (other.holder as Record<string, unknown>)[other.key],
        );
        break;
      default:
        (holder as Record<string, unknown>)[key] = structuredClone(oddities[random.int(oddities.length)]);
    }
  }
  return copy;
}

type Holder = Record<string, unknown> | unknown[];

function* placesIn(value: unknown): Iterable<{ holder: Holder; key: string }> {
  if (typeof value !== "object" || value === null) return;
  for (const key of Object.keys(value)) {
    yield { holder: value as Holder, key };
    yield* placesIn((value as Record<string, unknown>)[key]);
  }
}
