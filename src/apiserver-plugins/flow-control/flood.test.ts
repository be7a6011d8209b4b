/** One user's flood at a real server's door, and another user who wants just one thing. */
import { request } from "node:https";
import { expect, it } from "vitest";
import type { FlowSchema, PriorityLevelConfiguration } from "../../api/flowcontrol/v1.ts";
import type { Attributes } from "../../apiserver/authorization.ts";
import { exposition } from "../../base/exposition.ts";
import { systemClock } from "../../base/node/system-clock.ts";
import { startTestApiServer } from "../../testing/api-server.ts";
import { staticTokenAuthenticator } from "../authentication/static-tokens.ts";
import { alwaysAllowAuthorizer } from "../authorization/always.ts";
import { defaultFlowControl } from "../bootstrap/flow-control.ts";
import { PriorityAndFairness } from "./priority-and-fairness.ts";

const level = (name: string, shares: number) => ({
  kind: "PriorityLevelConfiguration" as const,
  apiVersion: "flowcontrol.apiserver.k8s.io/v1" as const,
  metadata: { name, uid: `level-${name}` } as never,
  spec: {
    type: "Limited",
    limited: {
      nominalConcurrencyShares: shares,
      limitResponse: { type: "Queue", queuing: { queues: 16, handSize: 2, queueLengthLimit: 20 } },
    },
  },
  status: {},
});

it("a flood from one user neither starves another nor fills the memory", async () => {
  const flowControl = new PriorityAndFairness({ clock: systemClock, defer: setImmediate, seats: 4 });
  flowControl.setLevel(level("all", 1));
  flowControl.setSchema({
    kind: "FlowSchema",
    apiVersion: "flowcontrol.apiserver.k8s.io/v1",
    metadata: { name: "all", uid: "schema-all" } as never,
    spec: {
      priorityLevelConfiguration: { name: "all" },
      distinguisherMethod: { type: "ByUser" },
      rules: [
        {
          subjects: [{ kind: "Group", group: { name: "system:authenticated" } }],
          resourceRules: [{ verbs: ["*"], apiGroups: ["*"], resources: ["*"], namespaces: ["*"], clusterScope: true }],
        },
      ],
    },
    status: {},
  });
  // Answers are held back until the test lets them go: so many at once, and no more, ever get as far as authorization.
  const begun: Attributes[] = [];
  const waiting: (() => void)[] = [];
  let held = true;
  await using api = await startTestApiServer({
    flowControl,
    authenticators: [
      staticTokenAuthenticator([
        { token: "loud", user: "loud" },
        { token: "quiet", user: "quiet" },
      ]),
    ],
    authorizers: [
      {
        name: "hold",
        authorize: async (attributes) => {
          if (attributes.user.groups.includes("system:masters")) return { kind: "allow" };
          begun.push(attributes);
          if (held) await new Promise<void>((resolve) => waiting.push(resolve));
          return { kind: "allow" };
        },
      },
      alwaysAllowAuthorizer,
    ],
  });
  const answered: string[] = [];
  const flows = new Set<string>();
  const get = (token: string) =>
    new Promise<number>((resolve, reject) => {
      const headers = { authorization: `Bearer ${token}` };
      request(`${api.url}/api/v1/namespaces/default/configmaps`, { headers, rejectUnauthorized: false, agent: false })
        .on("error", reject)
        .on("response", (response) => {
          answered.push(`${token} ${response.statusCode}`);
          flows.add(
            `${response.headers["x-kubernetes-pf-flowschema-uid"]} ${response.headers["x-kubernetes-pf-prioritylevel-uid"]}`,
          );
          response.resume().on("end", () => resolve(response.statusCode!));
        })
        .end();
    });
  const flood = Array.from({ length: 100 }, () => get("loud"));
  // Four are begun, forty wait in the user's two queues, the others are told to come again.
  await until(() => answered.filter((one) => one === "loud 429").length === 56);
  expect(begun).toHaveLength(4);
  const quiet = get("quiet");
  await until(() =>
    exposition(flowControl.metrics()).includes('current_inqueue_requests{priority_level="all",flow_schema="all"} 41'),
  );
  held = false;
  for (const go of waiting) go();
  expect(await quiet).toBe(200);
  const before = answered.indexOf("quiet 200") - 56;
  expect(before).toBeLessThan(20);
  const codes = await Promise.all(flood);
  expect([codes.filter((code) => code === 200).length, codes.filter((code) => code === 429).length]).toEqual([44, 56]);
  expect([...flows]).toEqual(["schema-all level-all"]);
});

it("a flood from one ServiceAccount that is never answered leaves kubectl and other accounts their seats", async () => {
  const flowControl = new PriorityAndFairness({ clock: systemClock, defer: setImmediate, seats: 60 });
  for (const { resource, object } of defaultFlowControl) {
    const made = { ...object, metadata: { ...object.metadata, uid: object.metadata.name }, status: {} };
    if (resource.kind === "FlowSchema") flowControl.setSchema(made as unknown as FlowSchema);
    else flowControl.setLevel(made as unknown as PriorityLevelConfiguration);
  }
  const loud = "system:serviceaccount:shop:crawler";
  const account = (name: string) => ({
    token: name,
    user: `system:serviceaccount:shop:${name}`,
    groups: ["system:serviceaccounts", "system:serviceaccounts:shop"],
  });
  let held: (() => void)[] | undefined = [];
  await using api = await startTestApiServer({
    flowControl,
    authenticators: [staticTokenAuthenticator([account("crawler"), account("web"), { token: "ada", user: "ada" }])],
    authorizers: [
      {
        name: "hold",
        authorize: async ({ user }) => {
          if (user.name === loud && held) await new Promise<void>((resolve) => held!.push(resolve));
          return { kind: "allow" };
        },
      },
    ],
  });
  const get = (token: string) =>
    new Promise<number>((resolve, reject) => {
      const headers = { authorization: `Bearer ${token}` };
      request(`${api.url}/api/v1/namespaces/default/configmaps`, { headers, rejectUnauthorized: false, agent: false })
        .on("error", reject)
        .on("response", (response) => response.resume().on("end", () => resolve(response.statusCode!)))
        .end();
    });
  const waiting = () => {
    const figures = exposition(flowControl.metrics());
    return Number(/current_inqueue_requests\{priority_level="workload-low".*\} (\d+)/.exec(figures)?.[1] ?? 0);
  };
  const flood = Array.from({ length: 90 }, () => get("crawler"));
  await until(() => held!.length + waiting() === 90 && waiting() > 0);
  // Whoever uses kubectl is at another level.
  expect(await get("ada")).toBe(200);
  const neighbour = get("web");
  await until(() => waiting() + held!.length === 91);
  const release = held!;
  held = undefined;
  for (const go of release) go();
  expect(await neighbour).toBe(200);
  expect(new Set(await Promise.all(flood))).toEqual(new Set([200]));
});

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
}
