// Memory and CPU of running processes, from /proc.
import { readFileSync } from "node:fs";

/** Proportional set size, in MiB. */
export function pssMiB(pid) {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  return Number(/^Pss:\s+(\d+)/m.exec(rollup)[1]) / 1024;
}

/** CPU time used so far, in seconds. */
export function cpuSeconds(pid) {
  const fields = statFields(pid);
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** CPU time that this process's children used which have ended, in milliseconds, to ten of them. */
export function endedChildrenCpuMs() {
  const fields = statFields("self");
  return (Number(fields[13]) + Number(fields[14])) * 10;
}

function statFields(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
}
