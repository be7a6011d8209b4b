import { expect, test } from "vitest";
import { exposition } from "../../base/exposition.ts";
import type { PodObject } from "../pod-state.ts";
import { ProbeTallies, probeMetrics } from "./probe-tally.ts";

test("probes are counted by result, and timed unless they failed", () => {
  const probes = new ProbeTallies();
  probes.add("c", "readiness", "success", 4);
  probes.add("c", "readiness", "warning", 30);
  probes.add("c", "readiness", "failure", 900);
  probes.add("c", "liveness", "failure", 1);
  const pod = { metadata: { name: "p", namespace: "n", uid: "u" }, spec: {} } as unknown as PodObject;
  const text = exposition(probeMetrics([{ pod, probes }]));
  const of = 'container="c",namespace="n",pod="p"';
  const timed = text.split("\n").filter((line) => line.startsWith("prober_probe_duration_seconds"));
  expect(timed).toEqual([
    `prober_probe_duration_seconds_bucket{${of},probe_type="Readiness",le="0.005"} 1`,
    `prober_probe_duration_seconds_bucket{${of},probe_type="Readiness",le="0.01"} 1`,
    `prober_probe_duration_seconds_bucket{${of},probe_type="Readiness",le="0.025"} 1`,
    ...["0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"].map(
      (le) => `prober_probe_duration_seconds_bucket{${of},probe_type="Readiness",le="${le}"} 2`,
    ),
    `prober_probe_duration_seconds_sum{${of},probe_type="Readiness"} 0.034`,
    `prober_probe_duration_seconds_count{${of},probe_type="Readiness"} 2`,
  ]);
  expect(text.split("\n").filter((line) => line.startsWith("prober_probe_total"))).toEqual([
    `prober_probe_total{${of},pod_uid="u",probe_type="Readiness",result="successful"} 2`,
    `prober_probe_total{${of},pod_uid="u",probe_type="Readiness",result="failed"} 1`,
    `prober_probe_total{${of},pod_uid="u",probe_type="Liveness",result="failed"} 1`,
  ]);
});
