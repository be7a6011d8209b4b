/** Autoscalers by metrics that another server tells: of Pods, of an object, from outside the cluster. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { MetricSpec } from "../api/autoscaling/v2.ts";
import { Deployments, Events, HorizontalPodAutoscalers, Pods, Services } from "../api/resources.ts";
import { startTestControlPlane, type TestControlPlane } from "./control-plane.ts";

const watched = [Deployments, HorizontalPodAutoscalers, Events, Services];
const namespace = "default";

/** An adapter's answers by group-version and path; where none stands, no adapter is registered. */
const adapter: Record<string, (query: URLSearchParams) => unknown> = {};
let cluster: TestControlPlane;

beforeAll(async () => {
  cluster = await startTestControlPlane({
    watched,
    controllers: {
      autoscalerPeriodMs: 50,
      async readForeign(group, versions, path) {
        const url = new URL(path, "http://adapter");
        for (const version of versions) {
          const answer = adapter[`${group}/${version}${decodeURI(url.pathname)}`];
          if (answer) return answer(url.searchParams);
        }
        return undefined;
      },
    },
  });
  await cluster.addNode("worker", { cpu: "64" });
});
afterAll(() => cluster[Symbol.asyncDispose]());

/** A Deployment of two replicas, scaled by `metric`. */
async function scaled(name: string, metric: MetricSpec): Promise<void> {
  const labels = { app: name };
  await cluster.client.create(Deployments, {
    metadata: { name, namespace },
    spec: {
      replicas: 2,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: "main", image: "app:1" }] } },
    },
  });
  await cluster.until(() => cluster.get(Deployments, name)?.status.readyReplicas === 2);
  await cluster.client.create(HorizontalPodAutoscalers, {
    metadata: { name, namespace },
    spec: { maxReplicas: 10, scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name }, metrics: [metric] },
  });
}

const status = (name: string) => cluster.get(HorizontalPodAutoscalers, name)?.status;
const current = (name: string) => status(name)?.currentMetrics?.[0];
const scaledTo = (name: string, replicas: number) =>
  cluster.until(() => cluster.get(Deployments, name)?.spec.replicas === replicas);
const active = (name: string) => status(name)?.conditions?.find(({ type }) => type === "ScalingActive");
const told = (name: string, reason: string) =>
  cluster.list(Events, namespace).filter((event) => event.involvedObject.name === name && event.reason === reason);
const timestamp = () => new Date().toISOString().replace(/\.\d+Z/, "Z");

test("what the Pods tell of themselves brings more, by their labels and the metric's", async () => {
  const asked: Record<string, string>[] = [];
  let pods: string[] = [];
  adapter["custom.metrics.k8s.io/v1beta2/namespaces/default/pods/*/requests"] = (query) => {
    asked.push(Object.fromEntries(query));
    return {
      items: pods.map((name) => ({ describedObject: { kind: "Pod", name }, timestamp: timestamp(), value: "15500m" })),
    };
  };
  const metric = { name: "requests", selector: { matchLabels: { verb: "GET" } } };
  await scaled("busy", { type: "Pods", pods: { metric, target: { type: "AverageValue", averageValue: "10" } } });
  await cluster.until(() => active("busy")?.status === "False");
  expect(active("busy")).toMatchObject({
    reason: "FailedGetPodsMetric",
    message: expect.stringContaining("no metrics returned from custom metrics API"),
  });
  expect(cluster.get(Deployments, "busy")?.spec.replicas, "unknown metrics change nothing").toBe(2);
  pods = cluster.list(Pods, namespace).map(({ metadata }) => metadata.name);
  await scaledTo("busy", 4);
  expect(asked[0]).toEqual({ labelSelector: "app=busy", metricLabelSelector: "verb=GET" });
  await cluster.until(() => current("busy")?.pods?.current.averageValue === "15500m");
  await cluster.until(() =>
    told("busy", "SuccessfulRescale").some(({ message }) =>
      message?.endsWith("reason: pods metric requests above target"),
    ),
  );
});

test("a value of an object is shared by all replicas, also when an adapter of the older version tells it", async () => {
  let value = "80";
  adapter["custom.metrics.k8s.io/v1beta1/namespaces/default/services/front/hits"] = () => ({
    items: [{ describedObject: { kind: "Service", name: "front" }, timestamp: timestamp(), value }],
  });
  const describedObject = { apiVersion: "v1", kind: "Service", name: "front" };
  const target = { type: "AverageValue", averageValue: "20" };
  await scaled("behind", { type: "Object", object: { describedObject, metric: { name: "hits" }, target } });
  await scaledTo("behind", 4);
  value = "90";
  await scaledTo("behind", 5);
  await cluster.until(() => current("behind")?.object?.current.averageValue === "18");
});

test("of an external metric all series that match add up", async () => {
  adapter["external.metrics.k8s.io/v1beta1/namespaces/default/queue"] = (query) => ({
    items:
      query.get("labelSelector") === "name=jobs"
        ? [12, 18].map((value) => ({ metricName: "queue", timestamp: timestamp(), value: String(value) }))
        : [],
  });
  const metric = { name: "queue", selector: { matchLabels: { name: "jobs" } } };
  await scaled("workers", {
    type: "External",
    external: { metric, target: { type: "AverageValue", averageValue: "10" } },
  });
  await scaledTo("workers", 3);
  await cluster.until(() => current("workers")?.external?.current.averageValue === "10");
});

test("without an adapter the condition says which API is missing, and its event counts", async () => {
  delete adapter["external.metrics.k8s.io/v1beta1/namespaces/default/queue"];
  const external = { metric: { name: "queue" }, target: { type: "AverageValue", averageValue: "10" } };
  await scaled("lonely", { type: "External", external });
  await cluster.until(() => active("lonely")?.status === "False");
  const why =
    "unable to get external metric default/queue/nil: unable to fetch metrics from external metrics API: no external metrics API (external.metrics.k8s.io) registered";
  expect(active("lonely")).toMatchObject({
    reason: "FailedGetExternalMetric",
    message: `the HPA was unable to compute the replica count: ${why}`,
  });
  await cluster.until(() => (told("lonely", "FailedGetExternalMetric")[0]?.count ?? 0) > 2);
  expect(told("lonely", "FailedGetExternalMetric")).toHaveLength(1);
  await cluster.until(() => told("lonely", "FailedComputeMetricsReplicas").length > 0);
  expect(told("lonely", "FailedComputeMetricsReplicas")[0]?.message).toBe(
    `invalid metrics (1 invalid out of 1), first error is: failed to get queue external metric value: failed to get queue external metric: ${why}`,
  );
});
