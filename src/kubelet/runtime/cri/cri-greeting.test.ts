/** What a CRI runtime says of itself when the kubelet first asks: a CRI-O of which only the greeting is played. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { silentLogger } from "../../../base/logger.ts";
import { systemClock } from "../../../base/node/system-clock.ts";
import { GrpcChannel } from "../../grpc/channel.ts";
import { serveGrpc } from "../../grpc/server.fixture.ts";
import { Cgroups, parseCgroupMounts } from "../oci/cgroups.ts";
import { type CgroupDriver, cgroupNames } from "./cgroup-names.ts";
import { cgroupDriver, cri } from "./cri-api.ts";
import { CriRuntime } from "./cri-runtime.ts";

/** As strict as CRI-O: a parent that is no slice is refused. The groups are made as systemd would. */
function runSandbox({ config }: { config: { linux: { cgroup_parent: string } } }) {
  const parent = config.linux.cgroup_parent;
  if (!parent.endsWith(".slice")) throw new Error(`did not receive slice as parent: ${parent}`);
  const mounts = parseCgroupMounts(readFileSync("/proc/self/mountinfo", "utf8"))!;
  new Cgroups(mounts, systemClock).create(parent, { cpuShares: 1024, memoryLimitBytes: -1, pidsLimit: 1000 });
  return { pod_sandbox_id: "sandbox" };
}

type Calls = { name: string; request: Record<string, unknown> }[];

async function greet(driver: number, use?: (runtime: CriRuntime, calls: Calls) => Promise<void>) {
  const calls: Calls = [];
  const folder = mkdtempSync("/tmp/pnt-cri-greeting-");
  const socket = join(folder, "crio.sock");
  const handler = { name: "", features: { recursive_read_only_mounts: true, user_namespaces: true } };
  const server = serveGrpc(
    [socket],
    [
      { method: cri.version, answer: () => ({ runtime_name: "cri-o", runtime_version: "1.36.0" }) },
      { method: cri.runtimeConfig, answer: () => ({ linux: { cgroup_driver: driver } }) },
      {
        method: cri.status,
        answer: () => ({ runtime_handlers: [handler], features: { supplemental_groups_policy: true } }),
      },
      { method: cri.listPodSandbox, answer: () => ({ items: [] }) },
      { method: cri.listContainers, answer: () => ({ containers: [] }) },
      { method: cri.runPodSandbox, answer: runSandbox },
      { method: cri.podSandboxStatus, answer: () => ({ status: { id: "sandbox", state: 0 } }) },
      { method: cri.stopPodSandbox, answer: () => ({}) },
      { method: cri.removePodSandbox, answer: () => ({}) },
    ],
    { calls, refuse: undefined },
  );
  const channel = new GrpcChannel(socket, systemClock);
  const runtime = new CriRuntime({ channel, clock: systemClock, logger: silentLogger });
  try {
    await runtime.open();
    await use?.(runtime, calls);
    return { name: runtime.name, features: runtime.features };
  } finally {
    await runtime.close();
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

test("what it can is known once it is open", async () => {
  expect(await greet(cgroupDriver.cgroupfs)).toEqual({
    name: "cri-o",
    features: { recursiveReadOnlyMounts: true, userNamespaces: true, supplementalGroupsPolicy: true },
  });
});

const uid = `a-b-${process.pid}`;
const slices = `/pnt_cri_${process.pid}.slice/pnt_cri_${process.pid}-kubepods.slice`;
const podSlice = `${slices}/pnt_cri_${process.pid}-kubepods-pod${uid.replaceAll("-", "_")}.slice`;

describe.skipIf(process.getuid?.() !== 0)("one that has systemd make its control groups", () => {
  const cgroups = new Cgroups(parseCgroupMounts(readFileSync("/proc/self/mountinfo", "utf8"))!, systemClock);
  afterAll(() => cgroups.remove(`/pnt_cri_${process.pid}.slice`));

  test("is told slices, in which the pod's limits hold and its usage is read", async () => {
    const limits = { cpuShares: 512, memoryLimitBytes: 32 * 1024 ** 2, pidsLimit: 50 };
    await greet(cgroupDriver.systemd, async (runtime, calls) => {
      const id = await runtime.createSandbox({
        pod: { name: "a", namespace: "default", uid },
        attempt: 0,
        hostname: "a",
        cgroupParent: `/pnt-cri-${process.pid}/kubepods/pod${uid}`,
        resources: limits,
      });
      const { request } = calls.find(({ name }) => name === "RunPodSandbox")!;
      expect(request).toMatchObject({ config: { linux: { cgroup_parent: podSlice } } });
      const { mounts } = cgroups;
      const [folder, file] =
        mounts.kind === "v2"
          ? [mounts.root, "memory.max"]
          : [mounts.controllers.get("memory")!, "memory.limit_in_bytes"];
      const limit = () => readFileSync(join(folder, podSlice, file), "utf8").trim();
      expect(limit()).toBe(String(limits.memoryLimitBytes));
      await runtime.updateSandboxResources(id, { memoryLimitBytes: 2 * limits.memoryLimitBytes });
      expect(limit()).toBe(String(2 * limits.memoryLimitBytes));
      expect(await runtime.sandboxStats(id)).toMatchObject({ processes: 0 });
      await runtime.removeSandbox(id);
      expect(existsSync(join(folder, podSlice))).toBe(false);
    });
  });
});

test("containers stand where each runtime puts them", () => {
  const at = (driver: CgroupDriver, name: string) => cgroupNames(driver, name).container("/kubepods/pod-a", "1f");
  expect(at("cgroupfs", "containerd")).toBe("/kubepods/pod-a/1f");
  expect(at("cgroupfs", "cri-o")).toBe("/kubepods/pod-a/crio-1f");
  expect(at("systemd", "containerd")).toBe("/kubepods.slice/kubepods-pod_a.slice/cri-containerd-1f.scope");
  expect(at("systemd", "cri-o")).toBe("/kubepods.slice/kubepods-pod_a.slice/crio-1f.scope");
});
