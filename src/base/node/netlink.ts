/** Netlink's framing: messages, attributes, acknowledgements. What rtnetlink and conntrack have in common; knows no family's messages. */
import { endianness } from "node:os";
import { check, type Libc, libc, SystemError } from "./libc.ts";

/** Attributes by number: bytes, a nested list, or undefined to leave one out. */
export type Attributes = readonly (readonly [type: number, value: Uint8Array | Attributes | undefined])[];

export interface NetlinkRequest {
  type: number;
  flags: number;
  /** The family's fixed header that stands before the attributes. */
  header: Uint8Array;
  attributes: Attributes;
  /** What is said of the request when the kernel refuses it. */
  describe?: string;
  /** Codes that count as success: EEXIST where a thing may be there already. */
  tolerate?: readonly string[];
}

export interface NetlinkReply {
  type: number;
  /** The fixed header and the attributes after it. */
  body: Buffer;
}

const nlmRequest = 0x1;
const nlmAck = 0x4;
export const nlmReplace = 0x100;
export const nlmExclusive = 0x200;
export const nlmCreate = 0x400;
export const nlmDump = 0x300;
const nestedFlag = 0x8000;
const messageError = 2;
/**
 * The kernel answers each request before it takes up the next, and nobody reads meanwhile: what does not fit into the
 * socket's receive buffer (some 200 KiB; an answer takes one) is lost, and ENOBUFS is all that is heard of it.
 */
const batchSize = 64;
const messageDone = 3;

/**
 * A netlink socket of the namespace in which it was opened; it may be used from any other.
 * The kernel does the work inside the calls, so that an exchange is synchronous and waits for nobody.
 */
export class NetlinkSocket {
  readonly #fd: number;
  #sequence = 0;

  /** `protocol` is NETLINK_ROUTE (0), NETLINK_NETFILTER (12), … */
  constructor(protocol: number) {
    if (endianness() !== "LE")
      throw new Error("netlink messages are written little-endian; this machine is big-endian");
    this.#fd = check(libc().socket(afNetlink, sockRaw | sockCloexec, protocol), "socket", "(netlink)");
  }

  /** The kernel carries the requests out in order, some at a time. Throws the first refusal after all were tried. */
  request(requests: readonly NetlinkRequest[]): NetlinkReply[] {
    const replies: NetlinkReply[] = [];
    let refusal: Error | undefined;
    for (let at = 0; at < requests.length; at += batchSize) {
      const exchange = this.#begin(requests.slice(at, at + batchSize));
      check(libc().send(this.#fd, exchange.bytes, exchange.bytes.length, 0), "send", "(netlink)");
      while (!exchange.isOver) {
        const length = libc().recv(this.#fd, receiveBuffer, receiveBuffer.length, 0);
        exchange.take(receiveBuffer, check(length, "recv", "(netlink)"));
      }
      refusal ??= exchange.refusal;
      for (const reply of exchange.replies) replies.push(reply);
    }
    if (refusal) throw refusal;
    return replies;
  }

  /** As `request`, for a few, off the main thread: for walks over tables that take the kernel milliseconds. One at a time per socket. */
  async requestInBackground(requests: readonly NetlinkRequest[]): Promise<NetlinkReply[]> {
    if (requests.length === 0) return [];
    const exchange = this.#begin(requests);
    const buffer = Buffer.alloc(64 * 1024);
    await inBackground("send", libc().send, this.#fd, exchange.bytes, exchange.bytes.length, 0);
    while (!exchange.isOver) {
      exchange.take(buffer, await inBackground("recv", libc().recv, this.#fd, buffer, buffer.length, 0));
    }
    if (exchange.refusal) throw exchange.refusal;
    return exchange.replies;
  }

  close(): void {
    libc().close(this.#fd);
  }

  #begin(requests: readonly NetlinkRequest[]): Exchange {
    const first = this.#sequence + 1;
    this.#sequence += requests.length;
    return new Exchange(requests, first);
  }
}

/** Requests on their way, and what was answered so far. */
class Exchange {
  readonly bytes: Buffer;
  readonly #requests: readonly NetlinkRequest[];
  readonly #first: number;
  readonly replies: NetlinkReply[] = [];
  /** The first one. */
  refusal: Error | undefined;
  #unanswered: number;

  constructor(requests: readonly NetlinkRequest[], first: number) {
    this.#requests = requests;
    this.#first = first;
    this.#unanswered = requests.length;
    this.bytes = Buffer.concat(requests.map((request, i) => encodeRequest(request, first + i)));
  }

  get isOver(): boolean {
    return this.#unanswered === 0;
  }

  take(received: Buffer, length: number): void {
    for (const message of decodeMessages(received, length)) {
      const request = this.#requests[message.sequence - this.#first];
      if (!request) continue; // An answer to a request that was given up.
      if (message.type === messageError || message.type === messageDone) {
        this.#unanswered--;
        const code = message.body.length >= 4 ? -message.body.readInt32LE(0) : 0;
        if (code === 0) continue;
        const error = new SystemError(request.describe ?? "netlink", code, "");
        if (!request.tolerate?.includes(error.code)) this.refusal ??= error;
      } else this.replies.push({ type: message.type, body: message.body });
    }
  }
}

function inBackground(name: string, call: Libc["send"], ...args: unknown[]): Promise<number> {
  return new Promise((resolve, reject) => {
    call.async(...args, (error: unknown, result: number) => {
      if (error || result < 0) reject(new Error(`${name} on a netlink socket failed`, { cause: error }));
      else resolve(result);
    });
  });
}

function decodeMessages(received: Buffer, length: number) {
  const messages: { type: number; sequence: number; body: Buffer }[] = [];
  for (let at = 0; at + 16 <= length; ) {
    const size = received.readUInt32LE(at);
    if (size < 16) break;
    messages.push({
      type: received.readUInt16LE(at + 4),
      sequence: received.readUInt32LE(at + 8),
      body: Buffer.from(received.subarray(at + 16, at + size)),
    });
    at += (size + 3) & ~3;
  }
  return messages;
}

/** Shared by all sockets: every synchronous exchange is over before the next begins. */
const receiveBuffer = Buffer.alloc(256 * 1024);

function encodeRequest(request: NetlinkRequest, sequence: number): Buffer {
  const header = Buffer.alloc(16);
  const attributes = encodeAttributes(request.attributes);
  const padding = Buffer.alloc((4 - (request.header.length & 3)) & 3);
  header.writeUInt32LE(16 + request.header.length + padding.length + attributes.length, 0);
  header.writeUInt16LE(request.type, 4);
  header.writeUInt16LE(request.flags | nlmRequest | nlmAck, 6);
  header.writeUInt32LE(sequence, 8);
  return Buffer.concat([header, request.header, padding, attributes]);
}

function encodeAttributes(attributes: Attributes): Buffer {
  const parts: Uint8Array[] = [];
  for (const [type, value] of attributes) {
    if (value === undefined) continue;
    const isNested = !(value instanceof Uint8Array);
    const payload = isNested ? encodeAttributes(value) : value;
    const head = Buffer.alloc(4);
    head.writeUInt16LE(payload.length + 4, 0);
    head.writeUInt16LE(isNested ? type | nestedFlag : type, 2);
    parts.push(head, payload, Buffer.alloc((4 - (payload.length & 3)) & 3));
  }
  return Buffer.concat(parts);
}

/** The attributes that follow a fixed header of `skip` bytes, by number; of repeated ones the last. */
export function decodeAttributes(body: Buffer, skip: number): Map<number, Buffer> {
  const attributes = new Map<number, Buffer>();
  for (let at = (skip + 3) & ~3; at + 4 <= body.length; ) {
    const size = body.readUInt16LE(at);
    if (size < 4) break;
    attributes.set(body.readUInt16LE(at + 2) & 0x3fff, body.subarray(at + 4, at + size));
    at += (size + 3) & ~3;
  }
  return attributes;
}

export function u8(value: number): Uint8Array {
  return Uint8Array.of(value);
}

export function u32(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

export function text(value: string): Uint8Array {
  return Buffer.from(`${value}\0`);
}

const afNetlink = 16;
const sockRaw = 3;
const sockCloexec = 0o2000000;
