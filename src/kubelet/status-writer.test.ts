import { expect, test } from "vitest";
import type { PodStatus } from "../api/core/v1.ts";
import { silentLogger } from "../base/logger.ts";
import { systemClock } from "../base/node/system-clock.ts";
import type { Client } from "../client/client.ts";
import type { PodObject } from "./pod-state.ts";
import { StatusWriter, statusPatch } from "./status-writer.ts";

const pod = { metadata: { name: "p", namespace: "default", uid: "u" }, status: { phase: "Pending" } } as PodObject;

test("a patch holds what differs, and only changed conditions", () => {
  const scheduled = { type: "PodScheduled", status: "True" };
  const from: PodStatus = {
    phase: "Pending",
    qosClass: "Burstable",
    conditions: [scheduled, { type: "Ready", status: "False", reason: "ContainersNotReady" }],
  };
  const to: PodStatus = {
    phase: "Running",
    qosClass: "Burstable",
    conditions: [scheduled, { type: "Ready", status: "True" }],
  };
  expect(statusPatch(from, to)).toEqual({
    phase: "Running",
    conditions: [{ type: "Ready", status: "True", reason: null }],
  });
  expect(statusPatch(to, to)).toBeUndefined();
});

test("conditions and fields of others are left alone", () => {
  const from = { conditions: [{ type: "example.com/gate", status: "True" }], nominatedNodeName: "n" };
  expect(statusPatch(from, { conditions: [] })).toBeUndefined();
});

test("a burst of changes is one write, of the newest", async () => {
  const bodies: unknown[] = [];
  let answer: () => void = () => {};
  const client = {
    patch: (_resource: unknown, _ref: unknown, { body }: { body: unknown }) => {
      bodies.push(body);
      return new Promise<void>((resolve) => {
        answer = resolve;
      });
    },
  } as unknown as Client;
  const writer = new StatusWriter({
    client,
    clock: systemClock,
    log: silentLogger,
    signal: new AbortController().signal,
  });
  for (const phase of ["Running", "Failed", "Succeeded"]) writer.set(pod, { phase });
  await Promise.resolve();
  await Promise.resolve();
  expect(bodies).toEqual([{ metadata: { uid: "u" }, status: { phase: "Succeeded" } }]);
  writer.set(pod, { phase: "Succeeded", reason: "a" });
  writer.set(pod, { phase: "Succeeded", reason: "b" });
  const flushed = writer.flushed("u");
  answer();
  await new Promise((resolve) => setTimeout(resolve, 5));
  expect(bodies[1]).toEqual({ metadata: { uid: "u" }, status: { reason: "b" } });
  answer();
  await flushed;
  expect(bodies).toHaveLength(2);
});

test("a change that nobody waits for keeps company with the next one that somebody does", async () => {
  const phases: unknown[] = [];
  const client = {
    patch: async (_resource: unknown, _ref: unknown, { body }: { body: { status: unknown } }) => {
      phases.push(body.status);
    },
  } as unknown as Client;
  const writer = new StatusWriter({
    client,
    clock: systemClock,
    log: silentLogger,
    signal: new AbortController().signal,
  });
  writer.set(pod, { phase: "Running" });
  writer.set(pod, { phase: "Running", podIP: "10.0.0.1" });
  await new Promise((resolve) => setTimeout(resolve, 5));
  writer.set(pod, { phase: "Running", podIP: "10.0.0.2" });
  await new Promise((resolve) => setTimeout(resolve, 5));
  expect(phases).toEqual([{ phase: "Running", podIP: "10.0.0.1" }]);
  writer.set(pod, { phase: "Failed", podIP: "10.0.0.2" });
  await new Promise((resolve) => setTimeout(resolve, 5));
  expect(phases[1]).toEqual({ phase: "Failed", podIP: "10.0.0.2" });
  writer.set(pod, { phase: "Failed", podIP: "10.0.0.3" });
  await writer.flushed("u");
  expect(phases[2]).toEqual({ podIP: "10.0.0.3" });
});
