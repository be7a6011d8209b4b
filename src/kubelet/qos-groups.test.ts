import { expect, test } from "vitest";
import { silentLogger } from "../base/logger.ts";
import { SteppedClock } from "../base/stepped-clock.ts";
import type { PodObject } from "./pod-state.ts";
import { QosGroups } from "./qos-groups.ts";

function pod(uid: string, resources: object, more: { generation?: number; phase?: string } = {}): PodObject {
  return {
    metadata: { name: uid, namespace: "default", uid, generation: more.generation ?? 1 },
    spec: { containers: [{ name: "c", resources }] },
    status: { phase: more.phase ?? "Running" },
  } as unknown as PodObject;
}

const burstable = (cpu: string) => ({ requests: { cpu } });

test("the Burstable group weighs what its running pods ask of the CPU, BestEffort next to nothing", async () => {
  const clock = new SteppedClock(0);
  const written: Record<string, number | undefined>[] = [];
  const groups = new QosGroups({
    cgroupRoot: "/n",
    clock,
    log: silentLogger,
    runtime: { limitGroup: (path, { cpuShares }) => void written.push({ [path]: cpuShares }) },
  });
  const settle = async () => {
    await clock.advance(1000);
    return written.splice(0);
  };
  groups.open();
  expect(await settle()).toEqual([{ "/n/kubepods/besteffort": 2 }, { "/n/kubepods/burstable": 2 }]);
  groups.tell(pod("a", burstable("500m")));
  groups.tell(pod("b", burstable("1500m")));
  groups.tell(pod("c", { limits: { cpu: "4", memory: "1Gi" } })); // Guaranteed: it stands beside the groups.
  groups.tell(pod("d", {}));
  expect(await settle()).toEqual([{ "/n/kubepods/burstable": 2048 }]);
  groups.tell(pod("a", burstable("500m")));
  expect(await settle()).toEqual([]);
  groups.tell(pod("a", burstable("1"), { generation: 2 })); // Resized.
  expect(await settle()).toEqual([{ "/n/kubepods/burstable": 2560 }]);
  groups.tell(pod("b", burstable("1500m"), { phase: "Succeeded" }));
  expect(await settle()).toEqual([{ "/n/kubepods/burstable": 1024 }]);
  groups.forget("a");
  groups.forget("b");
  expect(await settle()).toEqual([{ "/n/kubepods/burstable": 2 }]);
  groups.close();
});
