/** Reads and writes DNS messages in wire format, on guard against packets that lie about their lengths or loop. */
import {
  classInternet,
  type Message,
  type Question,
  type RecordData,
  RecordType,
  type ResourceRecord,
} from "./message.ts";

export class WireError extends Error {
  override name = "WireError";
}

/** The message in `bytes`. Throws WireError on anything that is not one; never reads outside, never loops. */
export function decodeMessage(bytes: Uint8Array): Message {
  const reader = new Reader(bytes);
  const id = reader.u16();
  const flags = reader.u16();
  const counts = [reader.u16(), reader.u16(), reader.u16(), reader.u16()] as const;
  const message: Message = {
    id,
    isResponse: (flags & flagResponse) !== 0,
    opcode: (flags >> 11) & 15,
    authoritative: (flags & flagAuthoritative) !== 0,
    truncated: (flags & flagTruncated) !== 0,
    recursionDesired: (flags & flagRecursionDesired) !== 0,
    recursionAvailable: (flags & flagRecursionAvailable) !== 0,
    checkingDisabled: (flags & flagCheckingDisabled) !== 0,
    rcode: flags & 15,
    questions: [],
    answers: [],
    authority: [],
    additional: [],
  };
  for (let i = 0; i < counts[0]; i++)
    message.questions.push({ name: reader.name(), type: reader.u16(), class: reader.u16() });
  for (const [section, count] of [
    [message.answers, counts[1]],
    [message.authority, counts[2]],
    [message.additional, counts[3]],
  ] as const) {
    for (let i = 0; i < count; i++) {
      const record = reader.record();
      if (record.type !== RecordType.OPT) section.push(record);
      else if (section !== message.additional || message.edns || record.name !== "")
        throw new WireError("misplaced OPT record");
      else {
        message.edns = {
          udpSize: record.class,
          version: (record.ttl >> 16) & 255,
          dnssecOk: (record.ttl & 0x8000) !== 0,
        };
        message.rcode |= (record.ttl >>> 24) << 4;
      }
    }
  }
  return message;
}

/** Only what a refusal needs of a packet that could not be decoded: id, opcode and RD. Undefined when it is too short or a response. */
export function decodeHeader(bytes: Uint8Array): Pick<Message, "id" | "opcode" | "recursionDesired"> | undefined {
  if (bytes.length < 12 || (bytes[2]! & 0x80) !== 0) return undefined;
  return { id: (bytes[0]! << 8) | bytes[1]!, opcode: (bytes[2]! >> 3) & 15, recursionDesired: (bytes[2]! & 1) !== 0 };
}

/**
 * The message in at most `limit` bytes. What does not fit is left out: silently from the additional section, elsewhere
 * with the truncation flag, so that the client asks again over TCP.
 */
export function encodeMessage(message: Message, limit = 65_535): Buffer {
  const writer = new Writer(limit - (message.edns ? optLength : 0));
  const counts: [number, number, number, number] = [0, 0, 0, 0];
  let { truncated } = message;
  writer.at = 12;
  for (const question of message.questions) {
    if (!writer.attempt(() => writer.question(question))) break;
    counts[0]++;
  }
  write: for (const [index, section] of [message.answers, message.authority, message.additional].entries()) {
    for (const record of section) {
      if (writer.attempt(() => writer.record(record))) counts[index + 1]!++;
      else {
        truncated ||= index < 2;
        break write;
      }
    }
  }
  if (message.edns) {
    const { udpSize, version, dnssecOk } = message.edns;
    const ttl = ((message.rcode >> 4) << 24) | (version << 16) | (dnssecOk ? 0x8000 : 0);
    writer.limit += optLength;
    writer.u8(0);
    writer.u16(RecordType.OPT);
    writer.u16(udpSize);
    writer.u32(ttl >>> 0);
    writer.u16(0);
    counts[3]++;
  }
  const end = writer.at;
  writer.at = 0;
  writer.u16(message.id);
  writer.u16(
    (message.isResponse ? flagResponse : 0) |
      (message.opcode << 11) |
      (message.authoritative ? flagAuthoritative : 0) |
      (truncated ? flagTruncated : 0) |
      (message.recursionDesired ? flagRecursionDesired : 0) |
      (message.recursionAvailable ? flagRecursionAvailable : 0) |
      (message.checkingDisabled ? flagCheckingDisabled : 0) |
      (message.rcode & 15),
  );
  for (const count of counts) writer.u16(count);
  return Buffer.from(writer.bytes.subarray(0, end));
}

class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  u8(): number {
    if (this.#at >= this.#bytes.length) throw new WireError("message ends early");
    return this.#bytes[this.#at++]!;
  }

  u16(): number {
    return (this.u8() << 8) | this.u8();
  }

  u32(): number {
    return this.u16() * 0x10000 + this.u16();
  }

  take(length: number): Uint8Array {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new WireError("message ends early");
    const taken = new Uint8Array(this.#bytes.subarray(this.#at, end)); // A copy: it may outlive the packet.
    this.#at = end;
    return taken;
  }

  /** A name, perhaps compressed. Pointers may only lead backwards, which ends every chain of them. */
  name(): string {
    let name = "";
    let wireLength = 1;
    let back: number | undefined;
    let earliest = this.#at;
    for (;;) {
      const length = this.u8();
      if (length === 0) break;
      if ((length & 0xc0) === 0xc0) {
        const target = ((length & 0x3f) << 8) | this.u8();
        if (target >= earliest) throw new WireError("compression pointer does not lead backwards");
        back ??= this.#at;
        earliest = target;
        this.#at = target;
        continue;
      }
      if (length > 63) throw new WireError("label longer than 63 bytes");
      wireLength += length + 1;
      if (wireLength > 255) throw new WireError("name longer than 255 bytes");
      if (this.#at + length > this.#bytes.length) throw new WireError("message ends early");
      if (name !== "") name += ".";
      for (const end = this.#at + length; this.#at < end; this.#at++) name += characterOf[this.#bytes[this.#at]!]!;
    }
    if (back !== undefined) this.#at = back;
    return name;
  }

  record(): ResourceRecord {
    const name = this.name();
    const [type, recordClass, ttl, length] = [this.u16(), this.u16(), this.u32(), this.u16()];
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new WireError("message ends early");
    const data = this.#data(type, length);
    if (this.#at !== end) throw new WireError("record data and its length disagree");
    return { name, type, class: recordClass, ttl, data };
  }

  #data(type: number, length: number): RecordData {
    switch (type) {
      case RecordType.CNAME:
      case RecordType.NS:
      case RecordType.PTR:
        return { kind: "name", name: this.name() };
      case RecordType.MX:
        return { kind: "mx", preference: this.u16(), exchange: this.name() };
      case RecordType.SRV:
        return { kind: "srv", priority: this.u16(), weight: this.u16(), port: this.u16(), target: this.name() };
      case RecordType.SOA: {
        const [primary, mailbox] = [this.name(), this.name()];
        const [serial, refresh, retry, expire, minimum] = [this.u32(), this.u32(), this.u32(), this.u32(), this.u32()];
        return { kind: "soa", primary, mailbox, serial, refresh, retry, expire, minimum };
      }
      default:
        return { kind: "bytes", bytes: this.take(length) };
    }
  }
}

class Full extends Error {}
const full = new Full();

class Writer {
  readonly bytes = scratch;
  at = 0;
  limit: number;
  /** Where each name, and each of its endings, was written: a later one points there. */
  readonly #offsets = new Map<string, number>();

  constructor(limit: number) {
    this.limit = Math.min(limit, scratch.length);
  }

  /** Writes all of it or nothing; false when it does not fit. */
  attempt(write: () => void): boolean {
    const start = this.at;
    try {
      write();
      return true;
    } catch (error) {
      if (error !== full) throw error;
      this.at = start;
      for (const [name, offset] of this.#offsets) if (offset >= start) this.#offsets.delete(name);
      return false;
    }
  }

  u8(value: number): void {
    if (this.at >= this.limit) throw full;
    this.bytes[this.at++] = value;
  }

  u16(value: number): void {
    this.u8(value >>> 8);
    this.u8(value & 255);
  }

  u32(value: number): void {
    this.u16(value >>> 16);
    this.u16(value & 0xffff);
  }

  put(bytes: Uint8Array): void {
    if (this.at + bytes.length > this.limit) throw full;
    this.bytes.set(bytes, this.at);
    this.at += bytes.length;
  }

  question({ name, type, class: questionClass }: Question): void {
    this.name(name);
    this.u16(type);
    this.u16(questionClass);
  }

  name(name: string): void {
    let rest = name;
    while (rest !== "") {
      const known = this.#offsets.get(rest);
      if (known !== undefined) {
        this.u16(0xc000 | known);
        return;
      }
      if (this.at < 0x4000) this.#offsets.set(rest, this.at);
      rest = this.#label(rest);
    }
    this.u8(0);
  }

  record({ name, type, class: recordClass, ttl, data }: ResourceRecord): void {
    this.name(name);
    this.u16(type);
    this.u16(recordClass);
    this.u32(ttl);
    const lengthAt = this.at;
    this.u16(0);
    this.#data(data);
    const end = this.at;
    this.at = lengthAt;
    this.u16(end - lengthAt - 2);
    this.at = end;
  }

  #data(data: RecordData): void {
    switch (data.kind) {
      case "bytes":
        this.put(data.bytes);
        break;
      case "name":
        this.name(data.name);
        break;
      case "mx":
        this.u16(data.preference);
        this.name(data.exchange);
        break;
      case "srv":
        for (const value of [data.priority, data.weight, data.port]) this.u16(value);
        this.name(data.target);
        break;
      case "soa":
        this.name(data.primary);
        this.name(data.mailbox);
        for (const value of [data.serial, data.refresh, data.retry, data.expire, data.minimum]) this.u32(value);
    }
  }

  /** Writes the first label of a name; returns what follows it. */
  #label(name: string): string {
    const lengthAt = this.at;
    this.u8(0);
    let i = 0;
    for (; i < name.length && name.charCodeAt(i) !== dot; i++) {
      if (name.charCodeAt(i) !== backslash) this.u8(name.charCodeAt(i));
      else {
        this.u8(Number(name.slice(i + 1, i + 4)));
        i += 3;
      }
    }
    const length = this.at - lengthAt - 1;
    if (length === 0 || length > 63) throw new WireError(`not a DNS name: ${name}`);
    this.bytes[lengthAt] = length;
    return name.slice(i + 1);
  }
}

/** Every message is written here and copied out once its length is known. */
const scratch = new Uint8Array(65_535);

const dot = 46;
const backslash = 92;

/** How each byte of a label reads: letters in lower case, what is neither letter, digit, `-`, `_` nor `*` as \DDD. */
const characterOf = Array.from({ length: 256 }, (_, byte) => {
  const character = String.fromCharCode(byte).toLowerCase();
  return byte < 128 && /[a-z0-9_*-]/.test(character) ? character : `\\${String(byte).padStart(3, "0")}`;
});

const optLength = 11;
const flagResponse = 0x8000;
const flagAuthoritative = 0x0400;
const flagTruncated = 0x0200;
const flagRecursionDesired = 0x0100;
const flagRecursionAvailable = 0x0080;
const flagCheckingDisabled = 0x0010;

/** Whether this is a question as resolvers ask them: one, of the Internet class. */
export function isOrdinaryQuestion(message: Message): boolean {
  return message.questions.length === 1 && message.questions[0]!.class === classInternet;
}
