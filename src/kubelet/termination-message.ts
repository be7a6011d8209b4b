/** What a container leaves behind to say why it ended. */
import { open, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { readLogs } from "./logs.ts";
import { containerLogPath, type PodFolders } from "./paths.ts";
import { findContainerSpec, type PodObject } from "./pod-state.ts";
import type { ContainerStatus } from "./runtime/container-runtime.ts";

const maximumTerminationMessageBytes = 4096;
const maximumFallbackBytes = 2048;
const maximumFallbackLines = 80;

export function terminationMessagePath(folders: PodFolders, container: string, attempt: number): string {
  return join(folders.volatile, "containers", container, String(attempt));
}

/** What the container wrote to its termination log; its last output, when it asked for that and failed. */
export async function terminationMessage(
  pod: PodObject,
  folders: PodFolders,
  status: ContainerStatus,
): Promise<string | undefined> {
  const { name, attempt } = status.config;
  const path = terminationMessagePath(folders, name, attempt);
  const written = await readTail(path, maximumTerminationMessageBytes).catch(() => "");
  if (written) return written;
  const spec = findContainerSpec(pod, name);
  const hasFailed = status.state.kind === "exited" && status.state.exitCode !== 0;
  if (spec?.terminationMessagePolicy !== "FallbackToLogsOnError" || !hasFailed) return undefined;
  return (await lastOutput(containerLogPath(folders, name, attempt))) || undefined;
}

/** As the container wrote it: a last line that it did not end gets no newline here. */
async function lastOutput(path: string): Promise<string> {
  let tail: Buffer = Buffer.alloc(0);
  try {
    for await (const chunk of readLogs(path, { tailLines: maximumFallbackLines }, ended, never))
      tail = Buffer.concat([tail, chunk]).subarray(-maximumFallbackBytes);
  } catch {
    // It wrote nothing, or its log is gone.
  }
  return tail.toString("utf8");
}
const ended = AbortSignal.abort();
const never = new AbortController().signal;

/** Removes the message and the log of a run that nobody can ask for any more. */
export async function forgetRun(folders: PodFolders, container: string, attempt: number): Promise<void> {
  await rm(containerLogPath(folders, container, attempt), { force: true });
  await rm(terminationMessagePath(folders, container, attempt), { force: true });
}

async function readTail(path: string, bytes: number): Promise<string> {
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    if (size <= bytes) return await readFile(file, "utf8");
    const buffer = Buffer.alloc(bytes);
    const { bytesRead } = await file.read(buffer, 0, bytes, size - bytes);
    return buffer.toString("utf8", 0, bytesRead);
  } finally {
    await file.close();
  }
}
