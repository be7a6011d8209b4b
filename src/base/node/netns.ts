/**
 * Network namespaces, and sockets and processes inside them, from this one process.
 *
 * A namespace belongs to a thread. The main thread switches into one, makes sockets or forks a child with system calls that
 * finish at once, and switches back before anything else of JavaScript runs; sockets and children stay where they were made.
 * Namespaces are named as `ip netns` names them, so that its `exec` and `list` work on ours.
 */
import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { createSocket, type SocketOptions, type Socket as UdpSocket } from "node:dgram";
import { closeSync, mkdirSync, openSync, readdirSync, stat, unlinkSync } from "node:fs";
import { type Server, Socket } from "node:net";
import { familyOf, ip } from "../ip.ts";
import { check, libc, SystemError } from "./libc.ts";

const folder = "/run/netns";

/** The file that holds a namespace open under this name. */
export function netnsPath(name: string): string {
  return `${folder}/${name}`;
}

/**
 * Runs `work` with the main thread inside the namespace and returns its result. `work` must be synchronous: whatever it
 * leaves for later (`server.listen(port)`, a promise, a name lookup) happens outside.
 */
export function inNetns<T>(path: string, work: () => T): T {
  const target = openSync(path, "r");
  try {
    return switched(() => check(libc().setns(target, cloneNewnet), "setns", path), work);
  } finally {
    closeSync(target);
  }
}

/**
 * Makes a namespace that lives until `deleteNetns`, whatever becomes of this process, and runs `work` inside it.
 * For a namespace that exists already it only runs `work`.
 */
export function createNetns<T>(name: string, work: (created: boolean) => T): T {
  prepareFolder();
  const path = netnsPath(name);
  if (isNetns(path)) return inNetns(path, () => work(false));
  closeSync(openSync(path, "w", 0o444));
  try {
    return switched(
      () => check(libc().unshare(cloneNewnet), "unshare", "(a new network namespace)"),
      () => {
        check(libc().mount("/proc/thread-self/ns/net", path, "none", msBind, null), "mount", path);
        return work(true);
      },
    );
  } catch (error) {
    deleteNetns(name);
    throw error;
  }
}

/** Gives this process's own namespace a name, by which others find it. `deleteNetns` takes the name away, and nothing else. Idempotent. */
export function holdNetns(name: string): void {
  prepareFolder();
  const path = netnsPath(name);
  if (isNetns(path)) return;
  closeSync(openSync(path, "w", 0o444));
  check(libc().mount("/proc/self/ns/net", path, "none", msBind, null), "mount", path);
}

/** Lets go of a namespace; the kernel takes it and its links apart once no process is left in it. Idempotent. */
export function deleteNetns(name: string): void {
  const path = netnsPath(name);
  libc().umount2(path, mntDetach);
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}

/** The names of the namespaces that begin with `prefix`. */
export function listNetns(prefix: string): string[] {
  try {
    return readdirSync(folder).filter((name) => name.startsWith(prefix));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

/** Makes `server` listen on an address of the namespace. Rejects as `server.listen` would, with EADDRINUSE and the like. */
export async function listenIn(server: Server, path: string, address: string, port: number): Promise<void> {
  await listenOn(server, boundSocketIn(path, "tcp", address, port));
}

/** Makes `server` listen on a bound socket, which it owns from now on. */
export function listenOn(server: Server, fd: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ fd }, () => {
      server.removeListener("error", reject);
      resolve();
    });
  });
}

/** A UDP socket bound to an address of the namespace. */
export async function udpSocketIn(path: string, address: string, port: number): Promise<UdpSocket> {
  return udpSocketOn(boundSocketIn(path, "udp", address, port), familyOf(address));
}

/** A socket around the descriptor of a bound one, which it owns from now on. It sends to addresses, not to names. */
export function udpSocketOn(fd: number, family: ReturnType<typeof familyOf>): Promise<UdpSocket> {
  return new Promise((resolve, reject) => {
    // Node looks every destination up, even an address, and only then sends: that costs more than the sending.
    const lookup: NonNullable<SocketOptions["lookup"]> = (address, _, done) =>
      done(null, address, family === "ipv4" ? 4 : 6);
    const socket = createSocket({ type: family === "ipv4" ? "udp4" : "udp6", lookup });
    socket.once("error", reject);
    socket.bind({ fd }, () => {
      socket.removeListener("error", reject);
      resolve(socket);
    });
  });
}

/**
 * A TCP connection from inside the namespace; it emits `connect` or `error` as one of `net.connect` would. `address` is no
 * name. With `md5Key`, of 80 bytes at most, every segment is signed (RFC 2385), and unsigned ones are not heard.
 */
export function connectIn(path: string, address: string, port: number, { md5Key }: { md5Key?: string } = {}): Socket {
  const fd = inNetns(path, () => {
    const fd = openSocket("tcp", address);
    if (md5Key === undefined) return fd;
    try {
      setBytes(fd, ipprotoTcp, tcpMd5sig, md5Signature(address, md5Key), "(TCP MD5)");
      return fd;
    } catch (error) {
      libc().close(fd);
      throw error;
    }
  });
  return new Socket({ fd }).connect({ host: address, port });
}

/** Starts a child process inside the namespace. Of `ip netns exec` it differs in leaving /sys and /etc as they are. */
export function spawnIn(path: string, command: string, args: readonly string[], options: SpawnOptions): ChildProcess {
  return inNetns(path, () => spawn(command, args, options));
}

/**
 * The descriptor of a socket bound to an address of the namespace; TCP ones do not listen yet. Several that are `isShared`
 * may be bound to the same address: the kernel deals what comes out among them. `receiveBytes` is what may wait in the socket
 * while this process is busy. Default: the machine's.
 */
export function boundSocketIn(
  path: string,
  protocol: "tcp" | "udp",
  address: string,
  port: number,
  { isShared = false, receiveBytes }: { isShared?: boolean; receiveBytes?: number } = {},
): number {
  return inNetns(path, () => {
    const fd = openSocket(protocol, address);
    try {
      if (isShared) setOption(fd, solSocket, soReuseport, 1);
      if (receiveBytes !== undefined) widenReceiveBuffer(fd, receiveBytes);
      if (protocol === "tcp") setOption(fd, solSocket, soReuseaddr, 1);
      if (familyOf(address) === "ipv6") setOption(fd, ipprotoIpv6, ipv6V6only, 1);
      const name = socketAddress(address, port);
      check(
        libc().bind(fd, name, name.length),
        "bind",
        `${familyOf(address) === "ipv6" ? `[${address}]` : address}:${port}`,
      );
      return fd;
    } catch (error) {
      libc().close(fd);
      throw error;
    }
  });
}

function openSocket(protocol: "tcp" | "udp", address: string): number {
  const domain = familyOf(address) === "ipv4" ? afInet : afInet6;
  const type = protocol === "tcp" ? sockStream : sockDgram;
  return check(libc().socket(domain, type | sockCloexec | sockNonblock, 0), "socket");
}

/** Beyond the machine's limit where we may; as far as it goes elsewhere. */
function widenReceiveBuffer(fd: number, bytes: number): void {
  try {
    setOption(fd, solSocket, soRcvbufforce, bytes);
  } catch {
    setOption(fd, solSocket, soRcvbuf, bytes);
  }
}

function setOption(fd: number, level: number, name: number, value: number): void {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  setBytes(fd, level, name, bytes);
}

function setBytes(fd: number, level: number, name: number, bytes: Buffer, subject?: string): void {
  check(libc().setsockopt(fd, level, name, bytes, bytes.length), "setsockopt", subject);
}

/** A `struct tcp_md5sig`: whom it is for, and the key. */
function md5Signature(address: string, key: string): Buffer {
  const keyBytes = Buffer.from(key);
  if (keyBytes.length > longestMd5Key) throw new RangeError(`a TCP MD5 key has ${longestMd5Key} bytes at most`);
  const bytes = Buffer.alloc(136 + longestMd5Key);
  socketAddress(address, 0).copy(bytes);
  bytes.writeUInt16LE(keyBytes.length, 130);
  keyBytes.copy(bytes, 136);
  return bytes;
}

/** A `sockaddr_in` or `sockaddr_in6`. */
function socketAddress(address: string, port: number): Buffer {
  const bytes = ip(address);
  const name = Buffer.alloc(bytes.length === 4 ? 16 : 28);
  name.writeUInt16LE(bytes.length === 4 ? afInet : afInet6, 0);
  name.writeUInt16BE(port, 2);
  name.set(bytes, bytes.length === 4 ? 4 : 8);
  return name;
}

/** Runs `work` between `enter` and the way back. A thread that cannot get back would mix up every later socket: the process ends. */
let isAway = false;

/** From inside a namespace it leads back to that one. */
function switched<T>(enter: () => void, work: () => T): T {
  const wasAway = isAway;
  const back = wasAway ? openSync("/proc/thread-self/ns/net", "r") : homeNamespace();
  try {
    enter();
    isAway = true;
    try {
      return work();
    } finally {
      isAway = wasAway;
      if (libc().setns(back, cloneNewnet) < 0) {
        process.stderr.write("pinnace: cannot leave a network namespace again; giving up\n");
        process.abort();
      }
    }
  } finally {
    if (wasAway) closeSync(back);
  }
}

let home: number | undefined;

function homeNamespace(): number {
  if (home === undefined) {
    stat("/", () => {}); // Starts the thread pool here and now, so that no pool thread is born inside another namespace.
    home = openSync("/proc/thread-self/ns/net", "r");
  }
  return home;
}

/** True for a file on which a namespace is mounted; an interrupted creation leaves a plain file. */
function isNetns(path: string): boolean {
  try {
    const fd = openSync(path, "r");
    try {
      return switched(
        () => {},
        () => libc().setns(fd, cloneNewnet) === 0,
      );
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}

let isFolderPrepared = false;

/** As `ip netns add` does: the folder is a shared mount, so that deleting a namespace reaches every mount namespace. */
function prepareFolder(): void {
  if (isFolderPrepared) return;
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  if (libc().mount("", folder, "none", msShared | msRec, null) < 0) {
    check(libc().mount(folder, folder, "none", msBind | msRec, null), "mount", folder);
    check(libc().mount("", folder, "none", msShared | msRec, null), "mount", folder);
  }
  isFolderPrepared = true;
}

/** True when `error` is a failed call with this code, ours or Node's. */
export function isSystemError(error: unknown, code: string): boolean {
  return (error instanceof SystemError || error instanceof Error) && (error as NodeJS.ErrnoException).code === code;
}

const cloneNewnet = 0x40000000;
const msBind = 4096;
const msRec = 16384;
const msShared = 1 << 20;
const mntDetach = 2;
const afInet = 2;
const afInet6 = 10;
const sockStream = 1;
const sockDgram = 2;
const sockNonblock = 0o4000;
const sockCloexec = 0o2000000;
const solSocket = 1;
const soReuseaddr = 2;
const soReuseport = 15;
const soRcvbuf = 8;
const soRcvbufforce = 33;
const ipprotoTcp = 6;
const tcpMd5sig = 14;
const longestMd5Key = 80;
const ipprotoIpv6 = 41;
const ipv6V6only = 26;
