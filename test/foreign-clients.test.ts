/** Programs written for Kubernetes, with Kubernetes' own JavaScript client, find in Pinnace what they expect. */
import {
  ApiException,
  AppsV1Api,
  CoreV1Api,
  KubeConfig,
  KubernetesObjectApi,
  makeInformer,
  PatchStrategy,
  type V1ConfigMap,
  type V1Status,
  Watch,
} from "@kubernetes/client-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { importLibrary, type Library } from "../src/testing/built-library.ts";
import { eventually } from "../src/testing/cluster-fixture.ts";

const namespace = "default";

describe("@kubernetes/client-node", () => {
  let cluster: Awaited<ReturnType<Library["startCluster"]>>;
  const config = new KubeConfig();
  let core: CoreV1Api;

  beforeAll(async () => {
    const { startCluster } = await importLibrary();
    cluster = await startCluster({ nodes: 2, simulated: true });
    config.loadFromString(cluster.kubeconfig);
    core = config.makeApiClient(CoreV1Api);
  });
  afterAll(() => cluster?.stop());

  test("lists nodes with typed fields", async () => {
    const { items, metadata } = await core.listNode();
    expect(items.map(({ metadata }) => metadata?.name)).toEqual(["control-plane", "worker-1"]);
    expect(items[0]?.metadata?.creationTimestamp).toBeInstanceOf(Date);
    expect(items[1]?.status?.nodeInfo?.kubeletVersion).toMatch(/^v1\.36\./);
    expect(Number(metadata?.resourceVersion)).toBeGreaterThan(0);
  });

  test("creates a Deployment whose pods come to run", async () => {
    const apps = config.makeApiClient(AppsV1Api);
    const labels = { app: "web" };
    const template = { metadata: { labels }, spec: { containers: [{ name: "web", image: "nginx:1.27" }] } };
    const body = { metadata: { name: "web" }, spec: { replicas: 2, selector: { matchLabels: labels }, template } };
    const created = await apps.createNamespacedDeployment({ namespace, body });
    expect(created.spec?.strategy?.rollingUpdate?.maxSurge).toBe("25%");
    await eventually(
      () => apps.readNamespacedDeploymentStatus({ namespace, name: "web" }),
      ({ status }) => expect(status?.readyReplicas).toBe(2),
    );
    const scaled = await apps.patchNamespacedDeploymentScale(
      { namespace, name: "web", body: [{ op: "replace", path: "/spec/replicas", value: 1 }] },
      undefined,
    );
    expect(scaled.spec?.replicas).toBe(1);
    await apps.deleteNamespacedDeployment({ namespace, name: "web" });
  });

  test("an informer hears of everything from its first list on, in order", async () => {
    const labelSelector = "for=informer";
    const write = (name: string, data: Record<string, string>) => ({
      metadata: { name, labels: { for: "informer" } },
      data,
    });
    await core.createNamespacedConfigMap({ namespace, body: write("before", { x: "1" }) });
    const heard: string[] = [];
    const informer = makeInformer<V1ConfigMap>(
      config,
      `/api/v1/namespaces/${namespace}/configmaps`,
      () => core.listNamespacedConfigMap({ namespace, labelSelector }),
      labelSelector,
    );
    informer.on("add", ({ metadata }) => heard.push(`add ${metadata?.name}`));
    informer.on("update", ({ metadata, data }) => heard.push(`update ${metadata?.name} ${data?.["x"]}`));
    informer.on("delete", ({ metadata }) => heard.push(`delete ${metadata?.name}`));
    informer.on("error", (error) => heard.push(`error ${error}`));
    await informer.start();
    try {
      await core.createNamespacedConfigMap({ namespace, body: write("after", { x: "1" }) });
      await core.replaceNamespacedConfigMap({ namespace, name: "before", body: write("before", { x: "2" }) });
      await core.deleteNamespacedConfigMap({ namespace, name: "after" });
      await core.createNamespacedConfigMap({ namespace, body: { metadata: { name: "another" } } });
      await eventually(
        async () => heard,
        (events) => expect(events).toEqual(["add before", "add after", "update before 2", "delete after"]),
      );
    } finally {
      await informer.stop();
    }
  });

  test("errors carry the server's Status", async () => {
    const failure = await core.readNamespacedPod({ namespace, name: "none" }).catch((error) => error);
    expect(failure).toBeInstanceOf(ApiException);
    expect((failure as ApiException<string>).code).toBe(404);
    const status = JSON.parse((failure as ApiException<string>).body) as V1Status;
    expect(status).toMatchObject({ kind: "Status", reason: "NotFound", message: 'pods "none" not found' });
  });

  test("a watch that cannot be is refused", async () => {
    const ended = new Promise<unknown>((resolve) => {
      const path = `/api/v1/namespaces/${namespace}/configmaps`;
      void new Watch(config).watch(path, { labelSelector: "a in" }, () => {}, resolve);
    });
    expect(String(await ended)).toContain("Bad Request");
  });

  test("the generic client finds kinds by discovery and applies objects", async () => {
    const objects = KubernetesObjectApi.makeApiClient(config);
    const object = {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "applied", namespace },
      data: { x: "1" },
    };
    await objects.patch(object, undefined, undefined, "tester", true, PatchStrategy.ServerSideApply);
    const read = await objects.read<V1ConfigMap>(object);
    expect(read.data).toEqual({ x: "1" });
    expect(read.metadata?.managedFields?.[0]).toMatchObject({ manager: "tester", operation: "Apply" });
    await objects.delete(object);
    await expect(objects.read(object)).rejects.toMatchObject({ code: 404 });
  });
});
