/** Plugins that are switched on and off, each by what it does. */
import { describe, expect, it } from "vitest";
import type { Pod } from "../../api/core/v1.ts";
import { Namespaces, Nodes, Pods, ServiceAccounts, Services } from "../../api/resources.ts";
import { seededRandom } from "../../base/random.ts";
import { admin, startTestApiServer, type TestApiServer } from "../../testing/api-server.ts";
import { RegistryReader } from "../object-reader.ts";
import { type AdmissionSelection, admissionPlugins, admissionSelectionErrors } from "./catalog.ts";

async function serverWith(selection: AdmissionSelection): Promise<TestApiServer> {
  const api: TestApiServer = await startTestApiServer({
    admission: ({ registry }) =>
      admissionPlugins({
        objects: new RegistryReader(registry),
        random: seededRandom(3),
        selection,
        quotaClient: () => api.server.client(admin, "quota"),
      }),
  });
  await api.client.create(ServiceAccounts, { metadata: { name: "default", namespace: "default" } });
  return api;
}

const pod = (spec: Partial<Pod["spec"]> = {}, namespace = "default") => ({
  metadata: { generateName: "p-", namespace },
  spec: { containers: [{ name: "main", image: "nginx:1.27" }], ...spec },
});

describe("an admission plugin", () => {
  it("does nothing when it is disabled", async () => {
    await using api = await serverWith({ disable: ["DefaultTolerationSeconds", "ServiceAccount"] });
    const { spec } = await api.client.create(Pods, pod());
    expect([spec.tolerations, spec.serviceAccountName, spec.volumes]).toEqual([undefined, undefined, undefined]);
  });

  it("of an unknown name is refused, and so is one both ways", () => {
    expect(admissionSelectionErrors({ enable: ["Magic", "AlwaysDeny"], disable: ["AlwaysDeny"] })).toEqual([
      'enable-admission-plugins plugin "Magic" is unknown',
      "[AlwaysDeny] in enable-admission-plugins and disable-admission-plugins overlapped",
    ]);
    expect(admissionSelectionErrors({ enable: ["NodeRestriction"], disable: ["Priority"] })).toEqual([]);
  });
});

describe("when it is enabled,", () => {
  it("AlwaysPullImages lets nobody use what another pulled", async () => {
    await using api = await serverWith({ enable: ["AlwaysPullImages"] });
    const { spec } = await api.client.create(Pods, pod());
    expect(spec.containers[0]!.imagePullPolicy).toBe("Always");
  });

  it("DenyServiceExternalIPs refuses new external addresses", async () => {
    await using api = await serverWith({ enable: ["DenyServiceExternalIPs"] });
    const service = (externalIPs?: string[]) => ({
      metadata: { name: "s", namespace: "default" },
      spec: { ports: [{ port: 80 }], ...(externalIPs ? { externalIPs } : {}) },
    });
    await expect(api.client.create(Services, service(["192.0.2.1"]))).rejects.toThrow(
      "Use of external IPs is denied by admission control.",
    );
    await api.client.create(Services, service());
    await expect(
      api.client.patch(
        Services,
        { namespace: "default", name: "s" },
        { type: "merge", body: { spec: { externalIPs: ["192.0.2.1"] } } },
      ),
    ).rejects.toThrow("Use of external IPs is denied");
  });

  it("NamespaceAutoProvision makes the namespace that is missing", async () => {
    await using api = await serverWith({ enable: ["NamespaceAutoProvision"], disable: ["ServiceAccount"] });
    await api.client.create(Pods, pod({}, "fresh"));
    expect((await api.client.get(Namespaces, { name: "fresh" })).metadata.name).toBe("fresh");
  });

  it("NamespaceExists refuses what has no namespace", async () => {
    await using api = await serverWith({
      enable: ["NamespaceExists"],
      disable: ["NamespaceLifecycle", "ServiceAccount"],
    });
    await expect(api.client.create(Pods, pod({}, "nowhere"))).rejects.toThrow('namespaces "nowhere" not found');
  });

  it("LimitPodHardAntiAffinityTopology refuses to keep others out of a zone", async () => {
    await using api = await serverWith({ enable: ["LimitPodHardAntiAffinityTopology"] });
    const apart = (topologyKey: string) =>
      pod({
        affinity: {
          podAntiAffinity: {
            requiredDuringSchedulingIgnoredDuringExecution: [
              { topologyKey, labelSelector: { matchLabels: { a: "b" } } },
            ],
          },
        },
      });
    await api.client.create(Pods, apart("kubernetes.io/hostname"));
    await expect(api.client.create(Pods, apart("zone"))).rejects.toThrow(
      "but only key kubernetes.io/hostname is allowed",
    );
  });

  it("ExtendedResourceToleration lets a pod onto the nodes of its device", async () => {
    await using api = await serverWith({ enable: ["ExtendedResourceToleration"] });
    const resources = { requests: { "example.com/gpu": "1", cpu: "1" }, limits: { "example.com/gpu": "1" } };
    const { spec } = await api.client.create(Pods, pod({ containers: [{ name: "main", image: "i", resources }] }));
    expect(spec.tolerations).toContainEqual({ key: "example.com/gpu", operator: "Exists" });
  });

  it("PodNodeSelector sends a namespace's pods to its nodes", async () => {
    await using api = await serverWith({ enable: ["PodNodeSelector"], disable: ["ServiceAccount"] });
    await api.client.create(Namespaces, {
      metadata: { name: "edge", annotations: { "scheduler.alpha.kubernetes.io/node-selector": "site=edge" } },
      spec: {},
    });
    expect((await api.client.create(Pods, pod({}, "edge"))).spec.nodeSelector).toEqual({ site: "edge" });
    await expect(api.client.create(Pods, pod({ nodeSelector: { site: "core" } }, "edge"))).rejects.toThrow(
      "pod node label selector conflicts with its namespace node label selector",
    );
  });

  it("AlwaysDeny lets nothing be changed", async () => {
    // The first thing that a server of the tests wants to make.
    await expect(serverWith({ enable: ["AlwaysDeny"] })).rejects.toThrow(
      'namespaces "default" is forbidden: admission control is denying all modifications',
    );
  });
});

describe("PodTopologyLabels", () => {
  it("tells a pod its node's zone and region when it is bound, and changes nothing that it says of itself", async () => {
    await using api = await serverWith({});
    await api.client.create(Nodes, {
      metadata: {
        name: "n1",
        labels: { "topology.kubernetes.io/zone": "a", "topology.kubernetes.io/region": "kr", other: "x" },
      },
      spec: {},
    });
    const own = {
      metadata: { ...pod().metadata, labels: { "topology.kubernetes.io/region": "mine" } },
      spec: pod().spec,
    };
    const { metadata } = await api.client.create(Pods, own);
    await api.client.createSubresource(Pods, { namespace: "default", name: metadata.name }, "binding", {
      apiVersion: "v1",
      kind: "Binding",
      metadata: { name: metadata.name },
      target: { kind: "Node", name: "n1" },
    });
    expect((await api.client.get(Pods, { namespace: "default", name: metadata.name })).metadata.labels).toEqual({
      "topology.kubernetes.io/zone": "a",
      "topology.kubernetes.io/region": "mine",
    });
  });
});
