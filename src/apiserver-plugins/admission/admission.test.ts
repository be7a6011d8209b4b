import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Pod } from "../../api/core/v1.ts";
import { Namespaces, Pods, PriorityClasses, ServiceAccounts } from "../../api/resources.ts";
import { seededRandom } from "../../base/random.ts";
import { startTestApiServer, type TestApiServer } from "../../testing/api-server.ts";
import { RegistryReader } from "../object-reader.ts";
import { admissionPlugins } from "./catalog.ts";

let api: TestApiServer;

beforeAll(async () => {
  api = await startTestApiServer({
    admission: ({ registry }) => admissionPlugins({ objects: new RegistryReader(registry), random: seededRandom(3) }),
  });
  await api.client.create(ServiceAccounts, { metadata: { name: "default", namespace: "default" } });
});
afterAll(() => api[Symbol.asyncDispose]());

const pod = (name: string, spec: Partial<Pod["spec"]> = {}, namespace = "default") => ({
  metadata: { name, namespace },
  spec: { containers: [{ name: "main", image: "nginx:1.27" }], ...spec },
});

describe("a new Pod", () => {
  it("runs as the default ServiceAccount and finds its token", async () => {
    const { spec } = await api.client.create(Pods, pod("token"));
    expect(spec.serviceAccountName).toBe("default");
    expect(spec.volumes?.[0]?.name).toMatch(/^kube-api-access-[a-z0-9]{5}$/);
    expect(spec.containers[0]?.volumeMounts).toEqual([
      { name: spec.volumes?.[0]?.name, mountPath: "/var/run/secrets/kubernetes.io/serviceaccount", readOnly: true },
    ]);
    expect(spec.volumes?.[0]?.projected?.sources).toHaveLength(3);
  });

  it.each([
    [undefined, undefined, true],
    [undefined, true, true],
    [undefined, false, false],
    [true, undefined, true],
    [true, true, true],
    [true, false, true],
    [false, undefined, false],
    [false, true, false],
    [false, false, false],
  ])("that says %s of mounting its token, where its account says %s: %s", async (ofPod, ofAccount, isMounted) => {
    const name = `mount-${ofPod}-${ofAccount}`;
    const said = (value: boolean | undefined) => (value === undefined ? {} : { automountServiceAccountToken: value });
    await api.client.create(ServiceAccounts, { metadata: { name, namespace: "default" }, ...said(ofAccount) });
    const { spec } = await api.client.create(Pods, pod(name, { serviceAccountName: name, ...said(ofPod) }));
    expect((spec.containers[0]?.volumeMounts ?? []).length > 0).toBe(isMounted);
    expect((spec.volumes ?? []).length > 0).toBe(isMounted);
  });

  it("tolerates trouble of its node for five minutes, and has a priority", async () => {
    const { spec } = await api.client.create(Pods, pod("tolerant"));
    expect(spec.tolerations?.map(({ key, tolerationSeconds }) => [key, tolerationSeconds])).toEqual([
      ["node.kubernetes.io/not-ready", 300],
      ["node.kubernetes.io/unreachable", 300],
    ]);
    expect([spec.priority, spec.preemptionPolicy]).toEqual([0, "PreemptLowerPriority"]);
  });

  it("takes its priority from its class", async () => {
    await api.client.create(PriorityClasses, { metadata: { name: "high" }, value: 1000 });
    expect((await api.client.create(Pods, pod("high", { priorityClassName: "high" }))).spec.priority).toBe(1000);
  });

  it.each<[string, Partial<Pod["spec"]>, string]>([
    [
      "a-sa",
      { serviceAccountName: "nobody" },
      'pods "a-sa" is forbidden: error looking up service account default/nobody: serviceaccount "nobody" not found',
    ],
    [
      "a-class",
      { priorityClassName: "absent" },
      'pods "a-class" is forbidden: no PriorityClass with name absent was found',
    ],
    [
      "a-number",
      { priority: 5 },
      'pods "a-number" is forbidden: the integer value of priority (5) must not be provided in pod spec; priority admission controller computed 0 from the given PriorityClass name',
    ],
    [
      "a-runtime",
      { runtimeClassName: "absent" },
      'pods "a-runtime" is forbidden: pod rejected: RuntimeClass "absent" not found',
    ],
  ])("is refused for %s", async (name, spec, message) => {
    await expect(api.client.create(Pods, pod(name, spec))).rejects.toThrow(message);
  });
});

describe("namespaces", () => {
  it("must exist before anything is written into them", async () => {
    await expect(api.client.create(Pods, pod("web", {}, "nowhere"))).rejects.toThrow('namespaces "nowhere" not found');
  });

  it("that end take nothing new", async () => {
    await api.client.create(Namespaces, { metadata: { name: "ending" }, spec: {} });
    await api.client.delete(Namespaces, { name: "ending" });
    await expect(
      api.client.create(ServiceAccounts, { metadata: { name: "late", namespace: "ending" } }),
    ).rejects.toThrow(
      'serviceaccounts "late" is forbidden: unable to create new content in namespace ending because it is being terminated',
    );
  });

  it("of the system never end", async () => {
    await expect(api.client.delete(Namespaces, { name: "default" })).rejects.toThrow(
      'namespaces "default" is forbidden: this namespace may not be deleted',
    );
  });
});
