/** Distinguished Encoding Rules (X.690), as far as certificates and requests for them need it: read in place, written inside out. */

export interface DerValue {
  tag: number;
  /** With tag and length. */
  whole: Buffer;
  content: Buffer;
}

/** What `[n]` around a value, and `[n]` in the place of a value's own tag, are called. */
export const explicitTag = (n: number): number => 0xa0 | n;
export const implicitTag = (n: number): number => 0x80 | n;

export const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectIdentifier: 0x06,
  utf8String: 0x0c,
  printableString: 0x13,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  bmpString: 0x1e,
  sequence: 0x30,
  set: 0x31,
} as const;

/** The values that stand one after another. Throws a RangeError for a length that leads beyond the end or is not the shortest of its kind. */
export function derValues(bytes: Buffer): DerValue[] {
  const values: DerValue[] = [];
  for (let at = 0; at < bytes.length; ) {
    const tag = bytes.readUInt8(at);
    const first = bytes.readUInt8(at + 1);
    const lengthBytes = first < 0x80 ? 0 : first & 0x7f;
    const length = first < 0x80 ? first : bytes.readUIntBE(at + 2, lengthBytes);
    if (lengthBytes > 0 && length < (lengthBytes === 1 ? 0x80 : 256 ** (lengthBytes - 1)))
      throw new RangeError("a length is longer than it need be");
    const begin = at + 2 + lengthBytes;
    if (begin + length > bytes.length) throw new RangeError("a value ends beyond its surroundings");
    values.push({ tag, whole: bytes.subarray(at, begin + length), content: bytes.subarray(begin, begin + length) });
    at = begin + length;
  }
  return values;
}

/** The values in the one sequence that the bytes are. Throws a RangeError when they are anything else. */
export function derSequence(bytes: Buffer): DerValue[] {
  const [only, ...others] = derValues(bytes);
  if (only?.tag !== tags.sequence || others.length > 0) throw new RangeError("this is not one sequence");
  return derValues(only.content);
}

/** One value of the given tag around what the parts hold. */
export function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([tag, ...lengthOf(content.length)]), content]);
}

function lengthOf(length: number): number[] {
  if (length < 0x80) return [length];
  const bytes: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return [0x80 | bytes.length, ...bytes];
}

export const sequence = (...parts: readonly Uint8Array[]): Buffer => der(tags.sequence, ...parts);
export const set = (...parts: readonly Uint8Array[]): Buffer => der(tags.set, ...parts);
export const octetString = (content: Uint8Array): Buffer => der(tags.octetString, content);
export const isTrue: Buffer = der(tags.boolean, Buffer.from([0xff]));

/** `content` is of the number's own bytes, the greatest first; a number below zero does not occur. */
export function unsignedInteger(content: Uint8Array): Buffer {
  return der(tags.integer, ...(content[0]! >= 0x80 ? [Buffer.from([0])] : []), content);
}

/** Of whole bytes, unless the last one leaves bits unused. */
export function bitString(content: Uint8Array, unusedBits = 0): Buffer {
  return der(tags.bitString, Buffer.from([unusedBits]), content);
}

/** From `1.2.840.10045.2.1`. */
export function objectIdentifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...others] = dotted.split(".").map(Number);
  return der(tags.objectIdentifier, Buffer.from([first * 40 + second, ...others].flatMap(base128)));
}

function base128(value: number): number[] {
  const bytes = [value % 128];
  for (let rest = Math.floor(value / 128); rest > 0; rest = Math.floor(rest / 128)) bytes.unshift(0x80 | (rest % 128));
  return bytes;
}

/** In the narrowest of the types that certificates' names use. */
export function directoryString(text: string): Buffer {
  const isPrintable = /^[A-Za-z0-9 '()+,\-./:=?]*$/.test(text);
  return der(isPrintable ? tags.printableString : tags.utf8String, Buffer.from(text));
}

export function stringOf({ tag, content }: DerValue): string {
  if (tag === tags.bmpString) return Buffer.from(content).swap16().toString("utf16le");
  return content.toString("utf8");
}

/** A moment, to the second: years to 2049 are written with two digits. */
export function time(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replace(/\.\d+/, "").replaceAll(/[-:T]/g, "");
  if (Number(digits.slice(0, 4)) >= 2050) return der(tags.generalizedTime, Buffer.from(digits));
  return der(tags.utcTime, Buffer.from(digits.slice(2)));
}

/** In milliseconds; NaN for what is no time. */
export function timeOf({ tag, content }: DerValue): number {
  const text = content.toString("latin1");
  const digits = tag === tags.utcTime ? `${Number(text.slice(0, 2)) < 50 ? 20 : 19}${text}` : text;
  return Date.parse(digits.replace(/^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/, "$1-$2-$3T$4:$5:$6Z"));
}
