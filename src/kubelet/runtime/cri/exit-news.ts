/**
 * Learns of containers' ends. CRI runtimes tell of them in a stream (GetContainerEvents: CRI-O, containerd from 1.7 on);
 * containerd before that has a stream of its own on the same socket; where there is neither, the runtime is asked each second,
 * as upstream's kubelet does.
 */
import { backoffDelayMs } from "../../../base/backoff.ts";
import { type Clock, sleep } from "../../../base/clock.ts";
import { type GrpcChannel, grpcCode, isGrpcError } from "../../grpc/channel.ts";
import { containerdEvents, cri, taskExit } from "./cri-api.ts";

export interface ExitNewsOptions {
  channel: GrpcChannel;
  clock: Clock;
  signal: AbortSignal;
  /** A container has ended, or where the runtime did not say so much, something has changed with it. */
  onChange(containerId: string, hasEnded: boolean): void;
  /** Anything may have changed. */
  onGap(): void;
}

/** Runs until the signal fires. Never rejects. */
export async function followExits(options: ExitNewsOptions): Promise<void> {
  const { clock, signal, onGap } = options;
  let failures = 0;
  while (!signal.aborted) {
    // A stream does not say when it stands: what happened just before is asked for a moment later.
    const standing = clock.setTimer(relistMs, onGap, { background: true });
    try {
      if (!(await anyStream(options))) await sleep(clock, relistMs, signal);
      failures = 0;
    } catch {
      failures++; // It is not there just now.
    }
    standing[Symbol.dispose]();
    if (signal.aborted) return;
    onGap();
    if (failures > 0) await sleep(clock, backoffDelayMs(retry, failures), signal).catch(() => {});
  }
}

/** Until the runtime ends it, perhaps with itself. False when the runtime has none. */
async function anyStream({ channel, signal, onChange }: ExitNewsOptions): Promise<boolean> {
  try {
    for await (const { container_id, container_event_type } of channel.stream(cri.getContainerEvents, {}, { signal }))
      onChange(container_id, container_event_type === containerStopped);
    return true;
  } catch (error) {
    if (!isGrpcError(error, grpcCode.unimplemented)) throw error;
  }
  try {
    for await (const { event } of channel.stream(containerdEvents, { filters: exitsOfPods }, { signal })) {
      if (!event) continue;
      const { container_id, id } = taskExit.decode(event.value);
      // The end of a command that was run in it is none of its own.
      if (id === container_id) onChange(container_id, true);
    }
    return true;
  } catch (error) {
    if (!isGrpcError(error, grpcCode.unimplemented)) throw error;
  }
  return false;
}

const exitsOfPods = ['namespace=="k8s.io",topic=="/tasks/exit"'];
/** CRI's CONTAINER_STOPPED_EVENT. */
const containerStopped = 2;
const relistMs = 1000;
const retry = { initialMs: 100, maximumMs: 5000 };
