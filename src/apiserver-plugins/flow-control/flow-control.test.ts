import { describe, expect, it } from "vitest";
import type { FlowSchema, PriorityLevelConfiguration } from "../../api/flowcontrol/v1.ts";
import type { Attributes } from "../../apiserver/authorization.ts";
import type { Room, TooManyRequestsError } from "../../apiserver/flow-control.ts";
import { exposition } from "../../base/exposition.ts";
import { SteppedClock } from "../../base/stepped-clock.ts";
import { defaultFlowControl } from "../bootstrap/flow-control.ts";
import { flowDumps } from "./flow-dumps.ts";
import { flowOf, orderedSchemas } from "./flow-schemas.ts";
import { PriorityAndFairness } from "./priority-and-fairness.ts";
import { dealHand } from "./shuffle-sharding.ts";

const objects = defaultFlowControl.map(({ resource, object }) => ({ kind: resource.kind, ...object, status: {} }));
const schemas = objects.filter(({ kind }) => kind === "FlowSchema") as unknown as FlowSchema[];

function asked(name: string, groups: string[], change: Partial<Attributes> = {}): Attributes {
  return {
    user: { name, groups: [...groups, "system:authenticated"] },
    verb: "list",
    isResource: true,
    group: "",
    version: "v1",
    resource: "pods",
    subresource: "",
    namespace: "default",
    name: "",
    path: "/api/v1/namespaces/default/pods",
    ...change,
  };
}

describe("a request's flow", () => {
  const ordered = orderedSchemas(schemas);
  const lease = { group: "coordination.k8s.io", resource: "leases", verb: "update" };
  it.each<[string, Attributes, string, string]>([
    ["an administrator", asked("admin", ["system:masters"]), "exempt", "exempt"],
    ["a probe", asked("x", [], { isResource: false, verb: "get", path: "/readyz" }), "probes", "exempt"],
    [
      "another path",
      asked("x", [], { isResource: false, verb: "get", path: "/metrics" }),
      "global-default",
      "global-default",
    ],
    ["a node's lease", asked("system:node:a", ["system:nodes"], lease), "system-node-high", "node-high"],
    ["a node's pods", asked("system:node:a", ["system:nodes"]), "system-nodes", "system"],
    ["the scheduler's lease", asked("system:kube-scheduler", [], lease), "system-leader-election", "leader-election"],
    ["the scheduler", asked("system:kube-scheduler", []), "kube-scheduler", "workload-high"],
    [
      "a part of the system",
      asked("system:serviceaccount:kube-system:dns", ["system:serviceaccounts"]),
      "kube-system-service-accounts",
      "workload-high",
    ],
    ["a pod", asked("system:serviceaccount:a:b", ["system:serviceaccounts"]), "service-accounts", "workload-low"],
    ["a user, over the whole cluster", asked("ada", [], { namespace: "" }), "global-default", "global-default"],
  ])("of %s", (_, attributes, schema, level) => {
    expect(flowOf(attributes, ordered)).toMatchObject({ schema, priorityLevel: level });
  });

  it("is one for each user, or for each namespace, as the schema says", () => {
    const keys = (...list: Attributes[]) => new Set(list.map((one) => flowOf(one, ordered)!.key)).size;
    expect(keys(asked("ada", []), asked("bob", []))).toBe(2);
    expect(keys(asked("ada", []), asked("ada", [], { namespace: "other" }))).toBe(1);
    const scheduler = "system:kube-scheduler";
    expect(keys(asked(scheduler, []), asked(scheduler, [], { namespace: "other" }))).toBe(2);
  });
});

describe("a hand of queues", () => {
  it("holds different queues, the same for the same flow, and others for most others", () => {
    const hands = Array.from({ length: 500 }, (_, i) => dealHand(`user-${i}`, 128, 6));
    for (const hand of hands) {
      expect(new Set(hand).size).toBe(6);
      expect(hand.every((queue) => queue >= 0 && queue < 128)).toBe(true);
    }
    expect(dealHand("user-7", 128, 6)).toEqual(hands[7]);
    const first = new Set(hands[0]);
    expect(hands.slice(1).filter((hand) => hand.every((queue) => first.has(queue)))).toEqual([]);
    const used = new Set(hands.flat());
    expect(used.size).toBe(128);
  });
});

interface LevelOptions {
  shares: number;
  lendablePercent?: number;
  borrowingLimitPercent?: number;
  queueLengthLimit?: number;
}

/** Levels by name, each the level of the users whose names begin with it; seats are given back when `turn` runs. */
function flowControlOf(levels: Record<string, LevelOptions>, seats: number, objects = 0, averageBytes = 1000) {
  const due: (() => void)[] = [];
  const clock = new SteppedClock();
  const control = new PriorityAndFairness({
    clock,
    seats,
    maximumWaitMs: 1000,
    defer: (run) => due.push(run),
    stockOf: () => ({ objects, averageBytes }),
  });
  for (const [name, { shares, queueLengthLimit = 50, ...rest }] of Object.entries(levels)) {
    control.setLevel({
      metadata: { name, uid: `level-${name}` },
      spec: {
        type: "Limited",
        limited: {
          nominalConcurrencyShares: shares,
          ...rest,
          limitResponse: queueLengthLimit
            ? { type: "Queue", queuing: { queues: 64, handSize: 4, queueLengthLimit } }
            : { type: "Reject" },
        },
      },
    } as unknown as PriorityLevelConfiguration);
    control.setSchema({
      metadata: { name, uid: `schema-${name}` },
      spec: {
        priorityLevelConfiguration: { name },
        distinguisherMethod: { type: "ByUser" },
        rules: [
          {
            subjects: [{ kind: "Group", group: { name } }],
            resourceRules: [{ verbs: ["*"], apiGroups: ["*"], resources: ["*"], namespaces: ["*"] }],
          },
        ],
      },
    } as unknown as FlowSchema);
  }
  const running: { user: string; room: Room }[] = [];
  const gone: (() => void)[] = [];
  const failures: Error[] = [];
  const told: object[] = [];
  const ask = (level: string, user: string, verb = "get", limit = 0) => {
    const room = control.admit(asked(user, [level], { verb }), {
      readsCollection: verb === "list",
      limit,
      onGone: (callback) => gone.push(callback),
      tellFlow: (headers) => told.push(headers),
    });
    if (room instanceof Promise) {
      room.then(
        (held) => running.push({ user, room: held }),
        (error: Error) => failures.push(error),
      );
    } else if (room) running.push({ user, room });
  };
  const turn = async () => {
    for (const run of due.splice(0)) run();
    for (let i = 0; i < 5; i++) await Promise.resolve();
  };
  return { control, ask, turn, running, gone, failures, told, clock };
}

/** Of those that are being answered. */
function seatsIn(control: PriorityAndFairness): number {
  const [, seats] = /current_executing_seats\{.*\} (\d+)/.exec(exposition(control.metrics())) ?? [];
  return Number(seats);
}

describe("a priority level", () => {
  it("lets the one request of a quiet user pass the hundred of a loud one", async () => {
    const { ask, turn, running } = flowControlOf({ a: { shares: 1 } }, 5);
    for (let i = 0; i < 100; i++) ask("a", "loud");
    ask("a", "quiet");
    expect(running).toHaveLength(5);
    const order: string[] = [];
    while (running.length > 0) {
      const { user, room } = running.shift()!;
      order.push(user);
      room.release();
      await turn();
    }
    expect(order).toHaveLength(101);
    // Five had begun before it came; of the loud one's queues each had its turn once.
    expect(order.indexOf("quiet")).toBeLessThanOrEqual(10);
  });

  it("refuses whom it cannot even let wait", async () => {
    const { ask, running, failures, turn } = flowControlOf({ a: { shares: 1, queueLengthLimit: 2 } }, 1);
    for (let i = 0; i < 1 + 4 * 2; i++) ask("a", "loud");
    expect(running).toHaveLength(1);
    ask("a", "loud");
    await turn();
    expect(failures.map(({ message }) => message)).toEqual(["Too many requests, please try again later."]);
    const rejecting = flowControlOf({ a: { shares: 1, queueLengthLimit: 0 } }, 1);
    rejecting.ask("a", "x");
    rejecting.ask("a", "x");
    await rejecting.turn();
    expect(rejecting.failures).toHaveLength(1);
  });

  it("forgets whoever has gone or waited too long", async () => {
    const { ask, turn, gone, failures, clock, control, running } = flowControlOf({ a: { shares: 1 } }, 1);
    for (let i = 0; i < 3; i++) ask("a", "x");
    gone[0]!();
    await turn();
    expect(failures).toHaveLength(1);
    expect(exposition(control.metrics())).toContain(
      'apiserver_flowcontrol_current_inqueue_requests{priority_level="a",flow_schema="a"} 1',
    );
    await clock.advance(1001);
    await turn();
    expect(failures).toHaveLength(2);
    for (const reason of ["cancelled", "time-out"])
      expect(exposition(control.metrics())).toMatch(
        new RegExp(`rejected_requests_total\\{.*reason="${reason}".*\\} 1\n`),
      );
    running[0]!.room.release();
    await turn();
    expect(exposition(control.metrics())).toContain(
      'apiserver_flowcontrol_current_executing_seats{priority_level="a",flow_schema="a"} 0',
    );
  });

  it("serves those who wait when its configuration goes or becomes another, and takes no more", async () => {
    for (const change of ["deleted", "exempt"]) {
      const { ask, turn, running, control } = flowControlOf({ a: { shares: 1 } }, 1);
      for (let i = 0; i < 3; i++) ask("a", "x");
      const metadata = { name: "a" };
      if (change === "deleted") control.deleteLevel({ metadata } as PriorityLevelConfiguration);
      else control.setLevel({ metadata, spec: { type: "Exempt" } } as unknown as PriorityLevelConfiguration);
      expect(control.levels().map(({ isQuiescing }) => isQuiescing)).toContain(true);
      for (let i = 0; i < 3; i++) {
        expect(running).toHaveLength(1);
        running.shift()!.room.release();
        await turn();
      }
      expect(running).toEqual([]);
      expect(control.levels().filter(({ isQuiescing }) => isQuiescing)).toEqual([]);
    }
  });

  it("is itself again when its configuration comes back before it is idle", async () => {
    const { ask, turn, running, control } = flowControlOf({ a: { shares: 1 } }, 1);
    const [before] = control.levels();
    for (let i = 0; i < 2; i++) ask("a", "x");
    const metadata = { name: "a" };
    const limited = { nominalConcurrencyShares: 1, limitResponse: { type: "Queue", queuing: { queues: 1 } } };
    control.deleteLevel({ metadata } as PriorityLevelConfiguration);
    control.setLevel({ metadata, spec: { type: "Limited", limited } } as unknown as PriorityLevelConfiguration);
    expect(control.levels()).toEqual([before]);
    running.shift()!.room.release();
    await turn();
    expect(running).toHaveLength(1);
  });

  it("borrows what another lends, and no more than it may", () => {
    const levels = { a: { shares: 1 }, b: { shares: 1, lendablePercent: 50 } };
    const free = flowControlOf(levels, 20);
    for (let i = 0; i < 30; i++) free.ask("a", "x");
    expect(free.running).toHaveLength(15);
    const held = flowControlOf({ ...levels, a: { shares: 1, borrowingLimitPercent: 20 } }, 20);
    for (let i = 0; i < 30; i++) held.ask("a", "x");
    expect(held.running).toHaveLength(12);
  });

  it("finds the seats that it keeps for itself, whatever others do", () => {
    const { ask, running } = flowControlOf(
      { a: { shares: 1, lendablePercent: 100 }, b: { shares: 1, lendablePercent: 50 } },
      20,
    );
    for (let i = 0; i < 100; i++) ask("a", "x");
    for (let i = 0; i < 5; i++) ask("b", "y");
    expect(running.filter(({ user }) => user === "y")).toHaveLength(5);
  });

  it("gives a list a seat for each 100 KB that it takes from memory, up to ten and a seventh of the level", async () => {
    const few = flowControlOf({ a: { shares: 1 } }, 100, 250);
    for (const verb of ["list", "get"]) few.ask("a", "x", verb);
    expect(seatsIn(few.control)).toBe(4);
    few.ask("a", "x", "list", 100);
    expect(seatsIn(few.control)).toBe(5);
    for (const { room } of few.running) room.release();
    await few.turn();
    expect(seatsIn(few.control)).toBe(0);
    const many = flowControlOf({ a: { shares: 1 } }, 100, 50_000);
    for (let i = 0; i < 15; i++) many.ask("a", "x", "list");
    expect(many.running).toHaveLength(10);
    // Who wants little does not overtake for ever whoever wants much.
    many.ask("a", "x", "get");
    expect(many.running).toHaveLength(10);
    const small = flowControlOf({ a: { shares: 1 } }, 4, 50_000);
    for (let i = 0; i < 15; i++) small.ask("a", "x", "list");
    expect(small.running).toHaveLength(4);
  });

  it("counts a write for as much as those who watch what it changes, after it was answered too", async () => {
    const { control, ask, running, turn, clock } = flowControlOf({ a: { shares: 1 } }, 100);
    const watching = (change: Partial<Attributes>) => control.beginWatch(asked("w", [], { verb: "watch", ...change }));
    const ends = Array.from({ length: 9 }, () => watching({ namespace: "" }));
    // Of those who watch one node's Pods, another namespace or another resource none is told.
    watching({ fieldSelector: "spec.nodeName=n1" });
    watching({ namespace: "other" });
    watching({ resource: "services" });
    ask("a", "x", "create");
    expect(seatsIn(control)).toBe(1);
    ends.push(...Array.from({ length: 16 }, () => watching({})));
    ask("a", "x", "update");
    expect(seatsIn(control)).toBe(1 + 3);
    for (const { room } of running) room.release();
    await turn();
    expect(control.levels()[0]!.inUse).toBe(3);
    await clock.advance(5);
    await turn();
    expect(control.levels()[0]!.inUse).toBe(0);
    for (const end of ends) end();
    ask("a", "x", "delete");
    expect(seatsIn(control)).toBe(1);
  });

  it("sends those away for longer who come too often", async () => {
    const { ask, failures, turn, clock } = flowControlOf({ a: { shares: 1, queueLengthLimit: 0 } }, 1);
    ask("a", "x");
    const waits: number[] = [];
    for (let second = 0; second < 12; second++) {
      for (let i = 0; i < 10; i++) ask("a", "x");
      await turn();
      waits.push((failures.at(-1) as TooManyRequestsError).retryAfterSeconds);
      await clock.advance(1000);
    }
    expect(waits).toEqual([1, 2, 2, 4, 4, 4, 4, 8, 8, 8, 8, 8]);
  });

  it("tells operators what it does in upstream's columns", async () => {
    const { control, ask } = flowControlOf({ a: { shares: 1 } }, 1);
    for (let i = 0; i < 3; i++) ask("a", "x");
    const dumps = flowDumps(() => control.levels());
    const dump = (what: string, query = {}) => {
      let text = "";
      const exchange = { respond: (_status: number, _headers: object, body: string) => void (text = body) };
      const handler = dumps.get(`/debug/api_priority_and_fairness/dump_${what}`)!;
      void handler(exchange as never, { query } as never, { name: "", groups: [] }, "");
      return text.trimEnd().split("\n");
    };
    expect(dump("priority_levels")).toEqual([
      "PriorityLevelName, ActiveQueues, IsIdle, IsQuiescing, WaitingRequests, ExecutingRequests, DispatchedRequests, RejectedRequests, TimedoutRequests, CancelledRequests",
      "a,                 2,            false,  false,       2,               1,                 1,                  0,                0,                0",
    ]);
    expect(dump("queues").filter((line) => /^a, +\d+, +1, +0, /.test(line))).toHaveLength(2);
    expect(dump("queues")).toHaveLength(65);
    const requests = dump("requests", { includeRequestDetails: "1" }).map((line) => line.split(/, */));
    expect(requests).toHaveLength(4);
    expect(requests[3]).toEqual(
      "a a -1 -1 x 2026-01-01T00:00:00.000Z 1 0 0s 2026-01-01T00:00:00.000Z x get /api/v1/namespaces/default/pods default  v1 pods ".split(
        " ",
      ),
    );
  });

  it("is named, with the schema, to whoever asks, also when they have to wait or are refused", () => {
    const { ask, told, running } = flowControlOf({ a: { shares: 1, queueLengthLimit: 0 } }, 1);
    for (let i = 0; i < 2; i++) ask("a", "x");
    expect(running).toHaveLength(1);
    const headers = { "x-kubernetes-pf-flowschema-uid": "schema-a", "x-kubernetes-pf-prioritylevel-uid": "level-a" };
    expect(told).toEqual([headers, headers]);
  });

  it("turns nobody away before there is a configuration", () => {
    const control = new PriorityAndFairness({ clock: new SteppedClock(), defer: () => {} });
    const asking = { readsCollection: false, limit: 0, onGone() {}, tellFlow() {} };
    expect(control.admit(asked("x", []), asking)).toBeUndefined();
  });
});
