/** The system's randomness: the one place that touches Math.random and crypto's random bytes. */
import { randomFillSync } from "node:crypto";
import type { Random } from "../random.ts";

export const systemRandom: Random = {
  float: () => Math.random(),
  int: (bound) => Math.floor(Math.random() * bound),
  uuid: uuid4,
};

const pool = new Uint8Array(4096);
let used = pool.length;
const uuidText = Buffer.from("00000000-0000-4000-8000-000000000000");
const hexDigits = Buffer.from("0123456789abcdef");

/** As crypto's own, but one text in one piece: that one is put together from twenty, and whoever reads it first joins them. */
function uuid4(): string {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  for (let i = 0, at = 0; i < 16; i++, at += 2) {
    let byte = pool[used + i]!;
    if (i === 6) byte = 0x40 | (byte & 0x0f);
    else if (i === 8) byte = 0x80 | (byte & 0x3f);
    if (i === 4 || i === 6 || i === 8 || i === 10) at++;
    uuidText[at] = hexDigits[byte >> 4]!;
    uuidText[at + 1] = hexDigits[byte & 15]!;
  }
  used += 16;
  return uuidText.toString("latin1");
}
