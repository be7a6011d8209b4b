import { crc32, gunzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { combineCrc, deflatePiece, GzipTrailer, gzipHead, packPiece, unpackPiece } from "./deflate.ts";

test("pieces that were compressed apart make one gzip stream", () => {
  const texts = ["head", "", "x".repeat(5000), JSON.stringify({ a: [1, 2, 3] }), "é"];
  const trailer = new GzipTrailer();
  const parts: Uint8Array[] = [gzipHead];
  for (const text of texts) {
    const piece = unpackPiece(packPiece(deflatePiece(Buffer.from(text))));
    trailer.add(piece);
    parts.push(piece.bytes);
  }
  parts.push(trailer.end());
  expect(gunzipSync(Buffer.concat(parts)).toString()).toBe(texts.join(""));
});

test("checksums combine", () => {
  const a = Buffer.from("some bytes");
  const b = Buffer.from("and some others, of another length");
  expect(combineCrc(crc32(a), crc32(b), b.length)).toBe(crc32(Buffer.concat([a, b])));
});
