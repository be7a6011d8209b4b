/** Reads strings in HPACK's Huffman code (RFC 7541, appendix B), which is canonical: the codes follow from their lengths. */

/** How many bits each byte's code has. The end-of-string symbol, of 30 bits, is never sent. */
const codeLengths = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28,
  28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6,
  5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23,
  22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22,
  23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26,
  20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27,
  27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27,
  27, 27, 27, 26,
];
const longestCode = 30;
const quickBits = 8;

/** By the next eight bits: the byte and its code's length, as `length << 8 | byte`; 0 where the code is longer. */
const quick = new Uint16Array(1 << quickBits);
/** By length: the first code, and where its byte stands among those sorted by code. */
const firstCode = new Int32Array(longestCode + 2);
const firstAt = new Int32Array(longestCode + 2);
const byCode = new Uint8Array(256);
prepare();

function prepare(): void {
  let code = 0;
  let at = 0;
  for (let length = 1; length <= longestCode; length++) {
    code *= 2;
    firstCode[length] = code;
    firstAt[length] = at;
    for (let byte = 0; byte < 256; byte++) {
      if (codeLengths[byte] !== length) continue;
      byCode[at++] = byte;
      if (length <= quickBits) {
        const from = code << (quickBits - length);
        quick.fill((length << 8) | byte, from, from + (1 << (quickBits - length)));
      }
      code++;
    }
  }
  firstAt[longestCode + 1] = at;
}

/** The byte that each bit pattern of one length stands for ends here. */
function codesOf(length: number): number {
  return firstAt[length + 1]! - firstAt[length]!;
}

/** Writes what `bytes[start..end)` says into `target`, which has room for 8/5 of it, and returns its length; -1 when it is not in the code. */
export function decodeHuffman(bytes: Uint8Array, start: number, end: number, target: Uint8Array): number {
  let written = 0;
  // The next bits, the earliest in the highest place of `held`; never more than 31.
  let bits = 0;
  let held = 0;
  let at = start;
  for (;;) {
    while (held <= 23 && at < end) {
      bits = (bits << 8) | bytes[at++]!;
      held += 8;
    }
    if (held < quickBits && at === end) break;
    const found = quick[(bits >>> (held - quickBits)) & 0xff]!;
    if (found !== 0) {
      target[written++] = found & 0xff;
      held -= found >>> 8;
      bits &= (1 << held) - 1;
      continue;
    }
    // A rare byte. Its code may reach beyond the bits at hand.
    let length = quickBits;
    let code = (bits >>> (held - quickBits)) & 0xff;
    held -= quickBits;
    bits &= (1 << held) - 1;
    for (;;) {
      if (held === 0) {
        // All ones until the end are padding, of which there may be seven bits: these were eight and more.
        if (at === end || length === longestCode) return -1;
        bits = bytes[at++]!;
        held = 8;
      }
      code = code * 2 + ((bits >>> --held) & 1);
      bits &= (1 << held) - 1;
      if (++length > longestCode) return -1;
      const offset = code - firstCode[length]!;
      if (offset < codesOf(length)) {
        if (offset < 0) return -1;
        target[written++] = byCode[firstAt[length]! + offset]!;
        break;
      }
    }
  }
  // What is left is less than eight bits: one more short code, or padding.
  for (;;) {
    if (held === 0) return written;
    const padded = ((bits << (quickBits - held)) | ((1 << (quickBits - held)) - 1)) & 0xff;
    const found = quick[padded]!;
    const length = found >>> 8;
    if (found === 0 || length > held) return bits === (1 << held) - 1 ? written : -1;
    target[written++] = found & 0xff;
    held -= length;
    bits &= (1 << held) - 1;
  }
}
