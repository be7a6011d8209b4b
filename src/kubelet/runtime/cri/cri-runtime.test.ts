import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "vitest";
import { silentLogger } from "../../../base/logger.ts";
import { connectIn } from "../../../base/node/netns.ts";
import { systemClock } from "../../../base/node/system-clock.ts";
import { GrpcChannel } from "../../grpc/channel.ts";
import { describeContainerRuntime, type RuntimeFixture } from "../container-runtime.conformance.ts";
import { Cgroups, parseCgroupMounts } from "../oci/cgroups.ts";
import { canRunContainerd, shimsOf, startContainerd } from "./containerd.fixture.ts";
import { CriRuntime } from "./cri-runtime.ts";

if (canRunContainerd) describeContainerRuntime("the CRI runtime with containerd", criFixture);
else test.skip("the CRI runtime with containerd (needs root, containerd, runc, CNI plugins and busybox)", () => {});

async function criFixture(): Promise<RuntimeFixture> {
  const containerd = await startContainerd("runtime");
  const cgroupParent = `/pnt-cri-${process.pid}`;
  const cgroups = new Cgroups(parseCgroupMounts(readFileSync("/proc/self/mountinfo", "utf8"))!, systemClock);
  return {
    folder: containerd.folder,
    imageId: containerd.imageId,
    cgroupParent,
    limitsMemory: true,
    podsAtOnce: 3,
    leavesBackgroundChildren: false,
    execsWithTerminal: true,
    runtime: () =>
      new CriRuntime({
        channel: new GrpcChannel(containerd.socket, systemClock),
        clock: systemClock,
        logger: silentLogger,
        dial: (host, port) => connectIn(containerd.netns, host, port),
      }),
    networkNamespace: () => undefined,
    leftovers() {
      const tasks = readdirSync(join(containerd.folder, "state/io.containerd.runtime.v2.task/k8s.io"));
      return [
        ...tasks,
        ...shimsOf(containerd.socket).map((pid) => `shim ${pid}`),
        ...cgroups.processes(cgroupParent).map(String),
      ];
    },
    async dispose() {
      await cgroups.remove(cgroupParent);
      await containerd.dispose();
    },
  };
}
