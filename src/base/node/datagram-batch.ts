/** Datagrams of one bound UDP socket, many at a time: one system call takes up to 64, one sends their answers (recvmmsg, sendmmsg). */
import { endianness } from "node:os";
import { formatIp, ip } from "../ip.ts";
import { koffi, libc } from "./libc.ts";

/** What is taken at once. */
const slots = 64;
/** The longest datagram that is taken or sent whole. */
const longestDatagram = 4096;

/**
 * A socket's datagrams in buffers that are made once. It does not say when there are any: Node's socket on the same
 * descriptor does, and gives the first of them away.
 */
export class DatagramBatch {
  readonly #fd: number;
  readonly #received = new Slots();
  readonly #answers = new Slots();
  #waiting = 0;

  /** `fd` is a UDP socket's; its owner closes it. */
  constructor(fd: number) {
    this.#fd = fd;
  }

  /** Takes what has come, 64 datagrams at most, without waiting; the ones taken before are gone. Says how many. */
  receive(): number {
    this.#received.prepareToReceive();
    return Math.max(0, calls().recvmmsg(this.#fd, this.#received.headers, slots, msgDontwait, null));
  }

  /** A datagram of the last `receive`: a view, which the next one overwrites. One that did not fit is cut off. */
  packet(index: number): Buffer {
    return this.#received.packet(index);
  }

  /** Who sent it. */
  sender(index: number): { address: string; port: number } {
    return this.#received.address(index);
  }

  /** Has `bytes`, `longestDatagram` at most, go to who sent the datagram; it waits for `flush`. Returns where they were copied to. */
  answer(index: number, bytes: Uint8Array): Buffer {
    const slot = this.#take();
    this.#answers.copyAddress(slot, this.#received, index);
    return this.#answers.write(slot, bytes);
  }

  /** The same for an address and a port. */
  answerTo(address: string, port: number, bytes: Uint8Array): Buffer {
    const slot = this.#take();
    this.#answers.writeAddress(slot, address, port);
    return this.#answers.write(slot, bytes);
  }

  /** Sends what waits. What the kernel does not take is lost, as datagrams may be. */
  flush(): void {
    for (let at = 0; at < this.#waiting; ) {
      const sent = calls().sendmmsg(this.#fd, this.#answers.headersFrom(at), this.#waiting - at, msgDontwait);
      at += Math.max(1, sent); // The one that it stopped at is passed over.
    }
    this.#waiting = 0;
  }

  #take(): number {
    if (this.#waiting === slots) this.flush();
    return this.#waiting++;
  }
}

/** Whether this machine's calls take the structures as they are written here. */
export function hasDatagramBatches(): boolean {
  if (process.platform !== "linux" || endianness() !== "LE" || !["x64", "arm64"].includes(process.arch)) return false;
  try {
    calls();
    return true;
  } catch {
    return false; // A C library without them.
  }
}

/** An array of `struct mmsghdr` of 64-bit machines, each with a `struct sockaddr` and one buffer. */
class Slots {
  readonly headers = Buffer.alloc(slots * headerBytes);
  readonly #addresses = Buffer.alloc(slots * addressBytes);
  readonly #vectors = Buffer.alloc(slots * vectorBytes);
  readonly #packets = Buffer.alloc(slots * longestDatagram);

  constructor() {
    const addresses = locationOf(this.#addresses);
    const vectors = locationOf(this.#vectors);
    const packets = locationOf(this.#packets);
    for (let i = 0; i < slots; i++) {
      const header = i * headerBytes;
      this.headers.writeBigUInt64LE(addresses + BigInt(i * addressBytes), header);
      this.headers.writeUInt32LE(addressBytes, header + nameLength);
      this.headers.writeBigUInt64LE(vectors + BigInt(i * vectorBytes), header + vectorAt);
      this.headers.writeBigUInt64LE(1n, header + vectorCount);
      this.#vectors.writeBigUInt64LE(packets + BigInt(i * longestDatagram), i * vectorBytes);
      this.#vectors.writeUInt32LE(longestDatagram, i * vectorBytes + 8);
    }
  }

  headersFrom(slot: number): Buffer {
    return slot === 0 ? this.headers : this.headers.subarray(slot * headerBytes);
  }

  /** The kernel overwrote how long the addresses may be with how long they were. */
  prepareToReceive(): void {
    for (let i = 0; i < slots; i++) this.headers.writeUInt32LE(addressBytes, i * headerBytes + nameLength);
  }

  packet(slot: number): Buffer {
    const length = this.headers.readUInt32LE(slot * headerBytes + messageLength);
    return this.#packets.subarray(slot * longestDatagram, slot * longestDatagram + length);
  }

  write(slot: number, bytes: Uint8Array): Buffer {
    const start = slot * longestDatagram;
    this.#packets.set(bytes, start);
    this.#vectors.writeUInt32LE(bytes.length, slot * vectorBytes + 8);
    return this.#packets.subarray(start, start + bytes.length);
  }

  copyAddress(slot: number, from: Slots, index: number): void {
    const length = from.headers.readUInt32LE(index * headerBytes + nameLength);
    from.#addresses.copy(this.#addresses, slot * addressBytes, index * addressBytes, index * addressBytes + length);
    this.headers.writeUInt32LE(length, slot * headerBytes + nameLength);
  }

  writeAddress(slot: number, address: string, port: number): void {
    const bytes = ip(address);
    const [start, isIpv4] = [slot * addressBytes, bytes.length === 4];
    this.#addresses.fill(0, start, start + addressBytes);
    this.#addresses.writeUInt16LE(isIpv4 ? afInet : afInet6, start);
    this.#addresses.writeUInt16BE(port, start + 2);
    this.#addresses.set(bytes, start + (isIpv4 ? 4 : 8));
    this.headers.writeUInt32LE(isIpv4 ? 16 : 28, slot * headerBytes + nameLength);
  }

  address(slot: number): { address: string; port: number } {
    const start = slot * addressBytes;
    const bytes =
      this.#addresses.readUInt16LE(start) === afInet
        ? this.#addresses.subarray(start + 4, start + 8)
        : this.#addresses.subarray(start + 8, start + 24);
    return { address: formatIp(bytes), port: this.#addresses.readUInt16BE(start + 2) };
  }
}

interface Calls {
  recvmmsg(fd: number, headers: Buffer, count: number, flags: number, timeout: null): number;
  sendmmsg(fd: number, headers: Buffer, count: number, flags: number): number;
  memmove(to: Buffer, from: Buffer, length: number): number | bigint;
}

function calls(): Calls {
  if (!loadedCalls) {
    libc();
    const library = koffi().load(null);
    loadedCalls = {
      recvmmsg: library.func("int recvmmsg(int fd, void *headers, uint32_t count, int flags, void *timeout)"),
      sendmmsg: library.func("int sendmmsg(int fd, void *headers, uint32_t count, int flags)"),
      memmove: library.func("uintptr_t memmove(void *to, void *from, size_t length)"),
    };
  }
  return loadedCalls;
}

let loadedCalls: Calls | undefined;

/** Where a buffer lies in memory; it stays there as long as it is referred to. */
function locationOf(buffer: Buffer): bigint {
  return BigInt(calls().memmove(buffer, buffer, 0));
}

const headerBytes = 64;
const nameLength = 8;
const vectorAt = 16;
const vectorCount = 24;
const messageLength = 56;
/** A `sockaddr_in6`, rounded up. */
const addressBytes = 32;
const vectorBytes = 16;
const msgDontwait = 0x40;
const afInet = 2;
const afInet6 = 10;
