/** Other processes of this machine, told from later ones with the same number by their start time. */
import { readFileSync } from "node:fs";
import { constants } from "node:os";
import { RuntimeError } from "../container-runtime.ts";

/** Field 22 of /proc/<pid>/stat. Undefined when there is no such process, or it is a zombie. */
export function startTicks(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The name in parentheses may hold anything.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" || fields[0] === "X" ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

/** False when the process has ended. */
export function signalProcess(process_: { pid: number; startTicks: string }, signal: number): boolean {
  if (startTicks(process_.pid) !== process_.startTicks) return false;
  try {
    process.kill(process_.pid, signal);
    return true;
  } catch {
    return false;
  }
}

/** `SIGTERM`, `TERM`, `15`, `SIGRTMIN+3`. */
export function signalNumber(name: string): number {
  if (/^\d+$/.test(name)) return Number(name);
  const upper = name.toUpperCase();
  const full = upper.startsWith("SIG") ? upper : `SIG${upper}`;
  const realTime = /^SIGRT(MIN|MAX)(?:([+-])(\d+))?$/.exec(full);
  if (realTime) {
    const offset = Number(realTime[3] ?? 0) * (realTime[2] === "-" ? -1 : 1);
    return (realTime[1] === "MIN" ? firstRealTimeSignal : lastRealTimeSignal) + offset;
  }
  const number = constants.signals[full as NodeJS.Signals];
  if (number === undefined) throw new RuntimeError("InvalidArgument", `unknown signal "${name}"`);
  return number;
}

// As the C libraries count: the kernel's 32 and 33 are taken by threads.
const firstRealTimeSignal = 34;
const lastRealTimeSignal = 64;
