/** Locks between the processes that share an image store, by flock(2): the kernel frees them when their holder ends, however it ends. */
import { closeSync, openSync } from "node:fs";
import { type Clock, sleep } from "../../base/clock.ts";
import { check, koffi } from "../../base/node/libc.ts";

export type LockMode = "shared" | "exclusive";

/** Undefined while others hold it in a way that excludes this. */
export function tryLock(file: string, mode: LockMode): Disposable | undefined {
  const fd = openSync(file, "a", 0o600);
  if (flock(fd, operations[mode] | withoutWaiting) === 0) return held(fd);
  closeSync(fd);
  return undefined;
}

/** For what others hold only for moments. Waits with the whole thread. */
export function lockBriefly(file: string): Disposable {
  const fd = openSync(file, "a", 0o600);
  try {
    while (flock(fd, operations.exclusive) !== 0) {
      if (koffi().errno() !== interrupted) check(-1, "flock", file);
    }
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return held(fd);
}

/** For what others may hold for seconds. */
export async function lock(file: string, mode: LockMode, clock: Clock, signal?: AbortSignal): Promise<Disposable> {
  for (;;) {
    const own = tryLock(file, mode);
    if (own) return own;
    await sleep(clock, 5, signal);
  }
}

function held(fd: number): Disposable {
  return { [Symbol.dispose]: () => closeSync(fd) };
}

const operations = { shared: 1, exclusive: 2 };
const withoutWaiting = 4;
const interrupted = 4;

let loaded: ((fd: number, operation: number) => number) | undefined;

function flock(fd: number, operation: number): number {
  loaded ??= koffi().load(null).func("int flock(int fd, int operation)") as (fd: number, operation: number) => number;
  return loaded(fd, operation);
}
