/** What Prometheus' client libraries tell of their own process. */
import { readdirSync, readFileSync } from "node:fs";
import type { Clock } from "../clock.ts";
import type { MetricFamily } from "../exposition.ts";

export function processMetrics(clock: Clock): MetricFamily[] {
  const { rss, heapUsed } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  const one = (name: string, help: string, type: "counter" | "gauge", value: number): MetricFamily => ({
    name,
    help,
    type,
    samples: [{ value }],
  });
  return [
    one("process_cpu_seconds_total", "Processor time used, in seconds.", "counter", (user + system) / 1e6),
    one("process_resident_memory_bytes", "Resident memory, in bytes.", "gauge", rss),
    one("process_start_time_seconds", "When it started, in seconds since 1970.", "gauge", startOf(clock)),
    one("process_open_fds", "Open file descriptors.", "gauge", readdirSync("/proc/self/fd").length),
    one("process_max_fds", "Most file descriptors it may open.", "gauge", fileLimit()),
    one("nodejs_heap_used_bytes", "JavaScript heap in use, in bytes.", "gauge", heapUsed),
  ];
}

function startOf(clock: Clock): number {
  return Math.round(clock.now() / 1000 - process.uptime());
}

function fileLimit(): number {
  return Number(/^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1] ?? Number.NaN);
}
