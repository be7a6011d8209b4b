/** What the runtime keeps in mind of one container. */
import type { Socket } from "node:net";
import type { ContainerState, ContainerStatus } from "../container-runtime.ts";
import { type ContainerFolder, type ContainerRecord, readText, type StartedRecord } from "./folders.ts";

export interface Container {
  record: ContainerRecord;
  folder: ContainerFolder;
  state: ContainerState;
  started: StartedRecord | undefined;
  /** Open while conmon lives. */
  lifeline: Socket | undefined;
  exited: Promise<ContainerStatus>;
  resolveExited: (status: ContainerStatus) => void;
  /** Settles when the start that is under way has succeeded or failed. */
  starting: Promise<void> | undefined;
  wasAttached: boolean;
  /** How many calls wait for the exit. */
  waiting: number;
}

export function newContainer(record: ContainerRecord, folder: ContainerFolder, state: ContainerState): Container {
  const { promise, resolve } = deferred<ContainerStatus>();
  return {
    record,
    folder,
    state,
    started: undefined,
    lifeline: undefined,
    exited: promise,
    resolveExited: resolve,
    starting: undefined,
    wasAttached: false,
    waiting: 0,
  };
}

function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

export function isRunning(container: Container): boolean {
  return container.state.kind === "running";
}

export function logPath(container: Container): string {
  return container.record.config.logPath ?? container.folder.ownLog;
}

export function isConmonAlive(folder: ContainerFolder): boolean {
  const pid = Number(readText(folder.conmonPidFile));
  // The FIFO is the real sign; this only spares it where the machine was restarted and the number means another process.
  return pid > 0 && (readText(`/proc/${pid}/cmdline`) ?? "").includes(folder.id);
}
