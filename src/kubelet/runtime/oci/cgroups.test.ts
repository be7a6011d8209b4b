/** Control groups v2 by the kernel itself: machines with v1 mostly have its hierarchy too, with few controllers or none. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
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
