/**
 * One command at a time works on a cluster, and one process at a time runs it. A lock is an abstract socket: the kernel
 * frees it when its holder ends, however it ends, and no file is left that could be stale.
 */
import { createHash } from "node:crypto";
import { readFileSync, realpathSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import type { ClusterPaths } from "./state-folder.ts";

export interface Lock {
  release(): Promise<void>;
}

/** `command`: up, down and the like. `server`: runs the cluster. */
export type LockPurpose = "command" | "server";

/** Undefined while another process holds it. */
export function tryLock(paths: ClusterPaths, purpose: LockPurpose): Promise<Lock | undefined> {
  return tryLockAt(addressOf(paths, purpose));
}

function tryLockAt(address: string): Promise<Lock | undefined> {
  return new Promise((resolve, reject) => {
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      socket.on("error", () => {});
      socket.unref();
      // Who waits learns for whom, and that the wait is over when the connection ends.
      socket.write(`${process.pid}\n`);
      sockets.add(socket);
      socket.once("close", () => sockets.delete(socket));
    });
    server.once("error", (error: NodeJS.ErrnoException) =>
      error.code === "EADDRINUSE" ? resolve(undefined) : reject(error),
    );
    server.listen({ path: address, exclusive: true }, () => {
      server.unref();
      resolve({
        release: () =>
          new Promise((released) => {
            server.close(() => released());
            for (const socket of sockets) socket.destroy();
          }),
      });
    });
  });
}

/** Waits for its turn; `onWait` hears once which process is before it. */
export function lock(
  paths: ClusterPaths,
  purpose: LockPurpose,
  onWait: (holderPid: number) => void = () => {},
): Promise<Lock> {
  return lockAt(addressOf(paths, purpose), onWait);
}

/** Waits for its turn at a file that several clusters' commands change: the user's kubeconfig. */
export function lockFile(file: string): Promise<Lock> {
  return lockAt(`\0pinnace-file-${createHash("sha256").update(realpath(file)).digest("hex").slice(0, 32)}`, () => {});
}

/** Waits for its turn to choose what no two clusters of this machine may share: a LAN, a port. */
export function lockPlanning(): Promise<Lock> {
  return lockAt("\0pinnace-planning", () => {});
}

/**
 * Says to every process on this machine that a cluster will use this LAN and this port. `readClaims` sees it until it is released
 * or the process ends; by then the cluster's link and its listening socket speak for themselves.
 */
export async function claim({ lan, port }: { lan: string; port: number }): Promise<Lock> {
  const claims = await Promise.all([tryLockAt(`\0pinnace-lan-${lan};`), tryLockAt(`\0pinnace-port-${port};`)]);
  return {
    release: async () => {
      await Promise.all(claims.map((each) => each?.release()));
    },
  };
}

/** What clusters that are starting now have chosen, wherever their homes are. */
export function readClaims(): { lans: string[]; ports: number[] } {
  const sockets = readFileSync("/proc/net/unix", "utf8");
  const named = (what: string) =>
    [...sockets.matchAll(new RegExp(`@pinnace-${what}-([^;]+);`, "g"))].map(([, name]) => name!);
  return { lans: named("lan"), ports: named("port").map(Number) };
}

async function lockAt(address: string, onWait: (holderPid: number) => void): Promise<Lock> {
  for (let hasWaited = false; ; ) {
    const own = await tryLockAt(address);
    if (own) return own;
    await untilFreed(address, (pid) => {
      if (!hasWaited) onWait(pid);
      hasWaited = true;
    });
  }
}

/** The process that holds it. Undefined: nobody does. */
export function lockHolder(paths: ClusterPaths, purpose: LockPurpose): Promise<number | undefined> {
  return new Promise((resolve) => {
    const socket = connect(addressOf(paths, purpose));
    socket.once("data", (text) => {
      resolve(Number(String(text)));
      socket.destroy();
    });
    socket.on("error", () => resolve(undefined));
    socket.once("close", () => resolve(undefined));
  });
}

function untilFreed(address: string, onHolder: (pid: number) => void): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(address);
    socket.once("data", (text) => onHolder(Number(String(text))));
    socket.on("error", () => {}); // Freed meanwhile; "close" follows.
    socket.once("close", () => resolve());
    socket.resume();
  });
}

/** Not in the file system: the name begins with a zero byte. */
function addressOf({ home, root }: ClusterPaths, purpose: LockPurpose): string {
  const place = root.replace(home, realpath(home));
  return `\0pinnace-${purpose}-${createHash("sha256").update(place).digest("hex").slice(0, 32)}`;
}

function realpath(folder: string): string {
  try {
    return realpathSync(folder);
  } catch {
    return folder;
  }
}
