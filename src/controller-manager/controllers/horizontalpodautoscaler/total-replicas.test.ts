import { expect, test } from "vitest";
import { replicasForTotal } from "./total-replicas.ts";

const value = (milliValue: number) => ({ kind: "value", milliValue }) as const;
const average = (milliValue: number) => ({ kind: "averageValue", milliValue }) as const;

test.each([
  ["twice the value wants twice the ready Pods", 20_000, value(10_000), [3, 3, 3], 6, 20_000],
  ["Pods that are not ready bear nothing", 20_000, value(10_000), [3, 3, 2], 4, 20_000],
  ["a tenth more changes nothing", 11_000, value(10_000), [3, 3, 3], 3, 11_000],
  ["a tenth less changes nothing", 9_000, value(10_000), [3, 3, 3], 3, 9_000],
  ["a little more than a tenth does", 11_001, value(10_000), [3, 3, 3], 4, 11_001],
  ["half the value wants half, rounded up", 5_000, value(10_000), [3, 3, 3], 2, 5_000],
  ["nothing wants nothing", 0, value(10_000), [3, 3, 3], 0, 0],
  ["from nothing the value alone decides", 25_000, value(10_000), [0, 0, 0], 3, 25_000],
  ["an average is shared by all replicas", 90_000, average(10_000), [3, 3, 1], 9, 30_000],
  ["and rounded up", 91_000, average(10_000), [3, 3, 3], 10, 30_334],
  ["an average within the tolerance changes nothing", 32_000, average(10_000), [3, 3, 3], 3, 10_667],
  ["shared by the replicas that the status tells", 60_000, average(10_000), [6, 3, 3], 6, 20_000],
])("%s", (_, milliValue, target, [specReplicas, statusReplicas, readyPods], replicas, told) => {
  const tolerance = { up: 0.1, down: 0.1 };
  expect(
    replicasForTotal({
      milliValue,
      target,
      specReplicas: specReplicas!,
      statusReplicas: statusReplicas!,
      readyPods: readyPods!,
      tolerance,
    }),
  ).toEqual({ replicas, milliValue: told });
});
