/** What a CRI runtime says of itself when the kubelet first asks: a CRI-O of which only the greeting is played. */
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { silentLogger } from "../../../base/logger.ts";
import { systemClock } from "../../../base/node/system-clock.ts";
import { GrpcChannel } from "../../grpc/channel.ts";
import { serveGrpc } from "../../grpc/server.fixture.ts";
import { cgroupDriver, cri } from "./cri-api.ts";
import { CriRuntime } from "./cri-runtime.ts";

async function greet(driver: number) {
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
    ],
    { calls: [], refuse: undefined },
  );
  const channel = new GrpcChannel(socket, systemClock);
  const runtime = new CriRuntime({ channel, clock: systemClock, logger: silentLogger });
  try {
    await runtime.open();
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

test("one that has systemd make its control groups is refused, and told how to be configured", async () => {
  await expect(greet(cgroupDriver.systemd)).rejects.toThrow(
    /^cri-o uses the systemd cgroup driver, and this kubelet cgroupfs: configure it so \(CRI-O: cgroup_manager = "cgroupfs"/,
  );
});
