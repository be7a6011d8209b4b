/** Control groups v2 by the kernel itself: machines with v1 mostly have its hierarchy too, with few controllers or none. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { systemClock } from "../../../base/node/system-clock.ts";
import { Cgroups, parseCgroupMounts } from "./cgroups.ts";

const mounts = parseCgroupMounts(readFileSync("/proc/self/mountinfo", "utf8"));
const root = mounts?.kind === "v2" ? mounts.root : mounts?.unified;

describe.skipIf(process.getuid?.() !== 0 || !root)("the kernel's v2 hierarchy", () => {
  const cgroups = new Cgroups({ kind: "v2", root: root! }, systemClock);
  const top = `/pnt-kubelet-cgroups-${process.pid}`;
  const group = `${top}/kubepods/poda`;
  afterAll(() => cgroups.remove(top));

  test("holds a pod's processes, counts their time, ends them all at once, and goes without a trace", async () => {
    const limits = { cpuShares: 1024, memoryLimitBytes: 64 * 1024 ** 2, pidsLimit: 100 };
    cgroups.create(group, limits);
    const available = readFileSync(join(root!, group, "cgroup.controllers"), "utf8").split(/\s/);
    const limit = (file: string) => readFileSync(join(root!, group, file), "utf8").trim();
    // Those that v1 has taken are passed over; the others hold.
    if (available.includes("pids")) expect(limit("pids.max")).toBe("100");
    if (available.includes("memory")) expect(limit("memory.max")).toBe(String(limits.memoryLimitBytes));
    if (available.includes("cpu")) expect(limit("cpu.weight")).toBe("39");
    expect(cgroups.limitsHugePages).toBe(readFileSync(join(root!, "cgroup.controllers"), "utf8").includes("hugetlb"));

    cgroups.create(`${group}/c`);
    const busy = spawn("sh", ["-c", "read go; while :; do :; done & while :; do :; done"], {
      stdio: ["pipe", "ignore", "ignore"],
    });
    const ended = once(busy, "exit");
    writeFileSync(join(root!, group, "c", "cgroup.procs"), String(busy.pid));
    busy.stdin.end("go\n");
    const deadline = systemClock.now() + 10_000;
    const isThere = () =>
      cgroups.processes(group).length === 2 && (cgroups.stats(group)?.cpu.usageNanoseconds ?? 0) > 1_000_000;
    while (!isThere() && systemClock.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(cgroups.processes(group)).toContain(busy.pid);
    expect(cgroups.stats(group)?.cpu.usageNanoseconds).toBeGreaterThan(1_000_000);

    cgroups.kill(group);
    expect((await ended)[1]).toBe("SIGKILL");
    await cgroups.remove(top);
    expect(existsSync(join(root!, top))).toBe(false);
    expect(cgroups.stats(group)).toBeUndefined();
  });
});

test("limits and usage are v2's files, in its units; what a controller lacks is passed over", () => {
  const folder = mkdtempSync(join(tmpdir(), "pnt-kubelet-cgroup2-"));
  try {
    const files = {
      "cpu.stat": "usage_usec 1500\nuser_usec 1000\n",
      "cpu.weight": "100",
      "cpu.max": "max 100000",
      "memory.max": "max",
      "memory.swap.max": "max",
      "memory.current": "5000",
      "memory.stat": "anon 3000\ninactive_file 1000\npgfault 7\npgmajfault 2\n",
      "memory.events": "low 0\noom 3\noom_kill 2\n",
      "pids.max": "max",
      "pids.current": "4",
    };
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
    const cgroups = new Cgroups({ kind: "v2", root: folder }, systemClock);
    const cpu = { cpuShares: 1024, cpuQuotaMicroseconds: 50_000, cpuPeriodMicroseconds: 100_000, cpusetCpus: "0" };
    cgroups.update("/", { ...cpu, memoryLimitBytes: 1000, pidsLimit: 9 });
    const text = (name: string) => readFileSync(join(folder, name), "utf8");
    expect(["cpu.weight", "cpu.max", "memory.max", "memory.swap.max", "pids.max"].map(text)).toEqual([
      "39",
      "50000 100000",
      "1000",
      "0",
      "9",
    ]);
    expect(existsSync(join(folder, "cpuset.cpus"))).toBe(false);
    cgroups.update("/", { cpuQuotaMicroseconds: -1, memoryLimitBytes: -1, pidsLimit: -1 });
    expect(["cpu.max", "memory.max", "pids.max"].map(text)).toEqual(["max 100000", "max", "max"]);
    expect(cgroups.stats("/")).toMatchObject({
      cpu: { usageNanoseconds: 1_500_000 },
      memory: { usageBytes: 5000, workingSetBytes: 4000, rssBytes: 3000, pageFaults: 7, majorPageFaults: 2 },
      processes: 4,
    });
    expect(cgroups.oomKills("/")).toBe(2);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
