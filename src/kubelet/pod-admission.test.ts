import { expect, test, vi } from "vitest";
import type { Node } from "../api/core/v1.ts";
import { systemClock } from "../base/node/system-clock.ts";
import { PodAdmission, type PodAdmissionOptions } from "./pod-admission.ts";
import type { PodExecutor } from "./pod-executor.ts";

/** What becomes of a pod that wants `disk: ssd` on a node that was last read without; `asked`: what the API server says of it now. */
async function verdictOf(asked: () => Promise<Node>, spec: object = {}, pods = "1"): Promise<string> {
  const start = vi.fn();
  const dispatch = vi.fn();
  const admission = new PodAdmission({
    node: { name: "node" },
    machine: {},
    client: { get: asked },
    clock: systemClock,
    signal: new AbortController().signal,
    allocatable: { pods },
    events: { event: () => {} },
    executors: new Map(),
    seenNode: () => nodeWith({}),
    pressures: () => new Set(),
    isShuttingDown: () => false,
  } as unknown as PodAdmissionOptions);
  const pod = {
    metadata: { name: "p", namespace: "default", uid: "1" },
    spec: { containers: [], nodeSelector: { disk: "ssd" }, ...spec },
    status: { phase: "Pending" },
  };
  admission.admit({ state: { pod }, start, dispatch } as unknown as PodExecutor);
  await vi.waitUntil(() => start.mock.calls.length + dispatch.mock.calls.length > 0);
  return dispatch.mock.calls[0]?.[0].verdict.reason ?? "started";
}

const nodeWith = (labels: Record<string, string>) => ({ metadata: { name: "node", labels } }) as Node;

test("a node that was labelled since is looked at again before a pod is refused", async () => {
  expect(await verdictOf(async () => nodeWith({ disk: "tape" }))).toBe("NodeAffinity");
  expect(await verdictOf(async () => nodeWith({ disk: "ssd" }))).toBe("started");
});

test("a pod does not start because nobody answers for its node", async () => {
  expect(await verdictOf(() => Promise.reject(new Error("no answer")))).toBe("NodeAffinity");
});

test("a pod that the system needs makes room on a node that was labelled since", async () => {
  const critical = { priority: 2_000_000_000 };
  // Nobody is there to make it.
  expect(await verdictOf(async () => nodeWith({ disk: "ssd" }), critical, "0")).toBe("UnexpectedAdmissionError");
});
