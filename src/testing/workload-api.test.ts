/** What the API promises of the kinds that controllers work on: written, listed, changed, their status and scale apart, deleted together. */
import { afterAll, describe, expect, test } from "vitest";
import type { KubeObject } from "../api/object.ts";
import type { Resource } from "../api/resource.ts";
import {
  ControllerRevisions,
  CronJobs,
  DaemonSets,
  Deployments,
  Events,
  EventsV1,
  HorizontalPodAutoscalers,
  Jobs,
  LimitRanges,
  Namespaces,
  Nodes,
  PodDisruptionBudgets,
  PodTemplates,
  PriorityClasses,
  ReplicaSets,
  ReplicationControllers,
  ResourceQuotas,
  StatefulSets,
} from "../api/resources.ts";
import { startTestApiServer, type TestApiServer } from "./api-server.ts";

const labels = { app: "web" };
const template = { metadata: { labels }, spec: { containers: [{ name: "main", image: "app:1" }] } };
const finite = { ...template, spec: { ...template.spec, restartPolicy: "Never" } };
const selector = { matchLabels: labels };
const about = { kind: "Pod", namespace: "default", name: "web", uid: "1" };

interface Case {
  resource: Resource;
  /** What comes beside metadata. */
  body: object;
  /** A change of the status; none where there is no such subresource. */
  status?: object;
  scales?: boolean;
  /** A field to change, and its new value. Default: an annotation. */
  change?: object;
}

const condition = {
  type: "Seen",
  status: "True",
  reason: "Test",
  message: "seen",
  lastTransitionTime: "2026-01-01T00:00:00Z",
};
const replicated = { replicas: 1, conditions: [condition] };

const cases: [string, Case][] = (
  [
    { resource: Deployments, body: { spec: { replicas: 1, selector, template } }, status: replicated, scales: true },
    { resource: ReplicaSets, body: { spec: { replicas: 1, selector, template } }, status: replicated, scales: true },
    {
      resource: ReplicationControllers,
      body: { spec: { replicas: 1, selector: labels, template } },
      status: replicated,
      scales: true,
    },
    {
      resource: StatefulSets,
      body: { spec: { replicas: 1, serviceName: "web", selector, template } },
      status: replicated,
      scales: true,
    },
    { resource: DaemonSets, body: { spec: { selector, template } }, status: { conditions: [condition] } },
    { resource: Jobs, body: { spec: { suspend: true, template: finite } }, status: { active: 1, ready: 0 } },
    {
      resource: CronJobs,
      body: { spec: { schedule: "* * * * *", jobTemplate: { spec: { template: finite } } } },
      status: { lastScheduleTime: "2026-01-01T00:00:00Z" },
    },
    {
      resource: PodDisruptionBudgets,
      body: { spec: { minAvailable: 1, selector } },
      status: { disruptionsAllowed: 2, currentHealthy: 3, desiredHealthy: 1, expectedPods: 3 },
    },
    {
      resource: ResourceQuotas,
      body: { spec: { hard: { cpu: "1" } } },
      status: { hard: { cpu: "1" }, used: { cpu: "500m" } },
      change: { spec: { hard: { cpu: "2" } } },
    },
    {
      resource: HorizontalPodAutoscalers,
      body: { spec: { maxReplicas: 3, scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "web" } } },
      status: { currentReplicas: 1, desiredReplicas: 2, conditions: [condition] },
    },
    {
      resource: LimitRanges,
      body: { spec: { limits: [{ type: "Container", default: { cpu: "1" } }] } },
      change: { spec: { limits: [{ type: "Container", default: { cpu: "2" } }] } },
    },
    { resource: PodTemplates, body: { template } },
    { resource: ControllerRevisions, body: { revision: 1, data: { spec: {} } }, change: { revision: 2 } },
    {
      resource: Events,
      body: { involvedObject: about, reason: "Test", message: "first", type: "Normal" },
      change: { message: "second", series: { count: 2, lastObservedTime: "2026-01-01T00:00:00.000000Z" } },
    },
    {
      resource: EventsV1,
      body: {
        eventTime: "2026-01-01T00:00:00.000000Z",
        regarding: about,
        reason: "Test",
        action: "Do",
        note: "first",
        type: "Normal",
        reportingController: "test.example.com/controller",
        reportingInstance: "one",
      },
      change: { series: { count: 2, lastObservedTime: "2026-01-01T00:00:01.000000Z" } },
    },
    { resource: PriorityClasses, body: { value: 1, description: "low" }, change: { description: "lower" } },
    { resource: Namespaces, body: { spec: {} }, status: { phase: "Active", conditions: [condition] } },
    { resource: Nodes, body: { spec: {} }, status: { conditions: [condition] } },
  ] satisfies Case[]
).map((one) => [one.resource.group ? `${one.resource.plural}.${one.resource.group}` : one.resource.plural, one]);

let empty: Promise<TestApiServer> | undefined;
afterAll(async () => (await empty)?.close());

describe.each(cases)("%s", (_, { resource, body, status, scales, change }) => {
  const namespace = resource.scope === "Namespaced" ? { namespace: "default" } : {};
  const ref = (name: string) => ({ name, ...namespace });
  /** Jobs and ReplicationControllers leave their dependents behind unless told otherwise, for which somebody must act. */
  const background = { propagationPolicy: "Background" } as const;
  const object = (name: string) => ({ metadata: { ...ref(name), labels: { suite: "api" } }, ...body }) as never;

  test("are created, read, listed by label, patched, replaced, and deleted as a collection", async () => {
    await using api = await startTestApiServer({});
    const { client } = api;
    const list = { ...namespace, labelSelector: "suite=api" };
    const added: string[] = [];
    const watch = await client.watch(resource, list, (events) => {
      for (const { type, object: seen } of events) added.push(`${type} ${(seen as KubeObject).metadata.name}`);
    });
    await client.create(resource, object("one"));
    await client.create(resource, object("two"));
    expect((await client.list(resource, list)).items.map(({ metadata }) => metadata.name)).toEqual(["one", "two"]);
    const patched = await client.patch(resource, ref("one"), {
      type: "merge",
      body: change ?? { metadata: { annotations: { patched: "true" } } },
    });
    expect(patched).toMatchObject(change ?? { metadata: { annotations: { patched: "true" } } });
    const current = await client.get(resource, ref("one"));
    const relabelled = { ...current.metadata, labels: { ...current.metadata.labels, replaced: "true" } };
    await client.update(resource, { ...current, metadata: relabelled });
    expect((await client.get(resource, ref("one"))).metadata.labels?.["replaced"]).toBe("true");
    if (resource.plural === "namespaces") {
      // Several at once go only one by one.
      await client.delete(resource, ref("one"));
      expect((await client.get(resource, ref("one"))).metadata.deletionTimestamp).toBeDefined();
    } else {
      await client.deleteCollection(resource, { ...namespace, labelSelector: "replaced=true" }, background);
      expect((await client.list(resource, list)).items.map(({ metadata }) => metadata.name)).toEqual(["two"]);
      await client.delete(resource, ref("two"), background);
      await expect.poll(() => added.at(-1)).toBe("DELETED two");
    }
    await expect.poll(() => added.slice(0, 3)).toEqual(["ADDED one", "ADDED two", "MODIFIED one"]);
    watch.stop();
  });

  /** Every kind has the test or is refused: nothing is passed over. */
  const testPart = (subresource: "status" | "scale", isThere: boolean, name: string, body: () => Promise<void>) =>
    isThere
      ? test(name, body)
      : test(`have no ${subresource} apart`, async () => {
          empty ??= startTestApiServer({});
          const { client } = await empty;
          await expect(
            client.patch(resource, ref("one"), { type: "merge", body: {} }, { subresource }),
          ).rejects.toThrow("the server could not find the requested resource");
        });

  testPart("status", status !== undefined, "keep what is written to their status apart from their spec", async () => {
    await using api = await startTestApiServer({});
    const { client } = api;
    const created = await client.create(resource, object("one"));
    const patch = { type: "merge", body: { metadata: { annotations: { by: "patch" } }, status } } as const;
    const patched = await client.patch(resource, ref("one"), patch, { subresource: "status" });
    expect(patched).toMatchObject({ status });
    const read = await client.get(resource, ref("one"));
    expect(read).toMatchObject({ status });
    expect((read as { spec?: unknown }).spec).toEqual((created as { spec?: unknown }).spec);
    // By the object itself the status stays as it is; by the status the spec does.
    const plain = await client.patch(resource, ref("one"), { type: "merge", body: { status: null } });
    expect(plain).toMatchObject({ status });
    const replaced = await client.updateStatus(resource, { ...plain, status } as never);
    expect(replaced).toMatchObject({ status });
  });

  testPart("scale", scales === true, "have a scale that is read, replaced and patched", async () => {
    await using api = await startTestApiServer({});
    const { client } = api;
    const created = await client.create(resource, object("one"));
    const replicas = async () =>
      ((await client.get(resource, ref("one"))) as { spec?: { replicas?: number } }).spec?.replicas;
    const patch = { type: "merge", body: { spec: { replicas: 2 } } } as const;
    const scale = await client.patch(resource, ref("one"), patch, { subresource: "scale" });
    expect(scale).toMatchObject({ kind: "Scale", apiVersion: "autoscaling/v1", spec: { replicas: 2 } });
    expect(scale).toMatchObject({ status: { selector: "app=web" }, metadata: { uid: created.metadata.uid } });
    expect(await replicas()).toBe(2);
    await client.updateSubresource(resource, ref("one"), "scale", { ...scale, spec: { replicas: 4 } });
    expect(await replicas()).toBe(4);
    await expect(
      client.patch(resource, ref("one"), { type: "merge", body: { spec: { replicas: -1 } } }, { subresource: "scale" }),
    ).rejects.toThrow("must be greater than or equal to 0");
  });
});

test("what a PriorityClass is worth cannot be changed", async () => {
  await using api = await startTestApiServer({});
  const { client } = api;
  await client.create(PriorityClasses, { metadata: { name: "low" }, value: 1 });
  const patch = (body: object) => client.patch(PriorityClasses, { name: "low" }, { type: "merge", body });
  await expect(patch({ value: 2 })).rejects.toThrow("may not be changed in an update");
  await expect(patch({ preemptionPolicy: "Never" })).rejects.toThrow("preemptionPolicy: ");
});

test("a finalizer of a Namespace's spec comes and goes by its subresource", async () => {
  await using api = await startTestApiServer({});
  const { client } = api;
  const created = await client.create(Namespaces, { metadata: { name: "held" }, spec: {} });
  const finalizers = async () => (await client.get(Namespaces, { name: "held" })).spec?.finalizers;
  const held = ["kubernetes", "test.example.com/hold"];
  const put = (list: string[]) =>
    client.updateSubresource(Namespaces, { name: "held" }, "finalize", {
      ...created,
      metadata: { name: "held" },
      spec: { finalizers: list },
    });
  await put(held);
  expect(await finalizers()).toEqual(held);
  await put(["kubernetes"]);
  expect(await finalizers()).toEqual(["kubernetes"]);
});
