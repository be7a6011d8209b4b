/** Plugins that are switched on and off, each by what it does. */
import { describe, expect, it } from "vitest";
import type { Pod } from "../../api/core/v1.ts";
import { Events, Namespaces, Nodes, Pods, ServiceAccounts, Services } from "../../api/resources.ts";
import { InProcessClient } from "../../apiserver/in-process-client.ts";
import { systemClock } from "../../base/node/system-clock.ts";
import { seededRandom } from "../../base/random.ts";
import { admin, startTestApiServer, type TestApiServer } from "../../testing/api-server.ts";
import { startWebhookServer } from "../../testing/webhook-server.ts";
import { RegistryReader } from "../object-reader.ts";
import { plainDial } from "../webhooks/service-route.ts";
import { WebhookCaller, type WebhookTarget } from "../webhooks/webhook-caller.ts";
import { type AdmissionSelection, admissionPlugins, admissionSelectionErrors } from "./catalog.ts";

async function serverWith(selection: AdmissionSelection, webhook?: WebhookTarget): Promise<TestApiServer> {
  const route = () => Promise.reject(new Error("there are no Services here"));
  const webhooks = new WebhookCaller({ router: { dial: plainDial, route }, clock: systemClock });
  const api: TestApiServer = await startTestApiServer({
    admission: ({ registry, pipeline }) =>
      admissionPlugins({
        clock: systemClock,
        ...(webhook
          ? {
              webhookOf: async () => webhook,
              extension: { registry, authorizers: () => pipeline.authorizers, webhooks },
            }
          : {}),
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

  it("PodTolerationRestriction gives pods their namespace's tolerations, and refuses others", async () => {
    await using api = await serverWith({ enable: ["PodTolerationRestriction"] });
    const namespace = (await api.client.get(Namespaces, { name: "default" })) as Parameters<
      typeof api.client.update
    >[1];
    const gpu = { key: "gpu", operator: "Exists" as const };
    const annotations = {
      "scheduler.alpha.kubernetes.io/defaultTolerations": JSON.stringify([gpu]),
      "scheduler.alpha.kubernetes.io/tolerationsWhitelist": JSON.stringify([
        gpu,
        { key: "node.kubernetes.io/not-ready", operator: "Exists" },
        { key: "node.kubernetes.io/unreachable", operator: "Exists" },
      ]),
    };
    await api.client.update(Namespaces, { ...namespace, metadata: { ...namespace.metadata, annotations } } as never);
    const { spec } = await api.client.create(Pods, pod());
    expect(spec.tolerations).toContainEqual(gpu);
    const greedy = pod({ tolerations: [{ operator: "Exists" }] });
    await expect(api.client.create(Pods, greedy)).rejects.toThrow("conflict with its namespace whitelist");
  });

  it("EventRateLimit refuses Events beyond the rate of their namespace, and no others", async () => {
    const limits = [{ type: "Namespace", qps: 0.001, burst: 2 }];
    await using api = await serverWith({
      enable: ["EventRateLimit"],
      plugins: [{ name: "EventRateLimit", configuration: { limits } }],
    });
    const event = (namespace: string) => ({
      metadata: { generateName: "e-", namespace },
      involvedObject: { kind: "Pod", name: "a", namespace },
      reason: "Tried",
      type: "Normal",
    });
    for (let i = 0; i < 2; i++) await api.client.create(Events, event("default") as never);
    await expect(api.client.create(Events, event("default") as never)).rejects.toThrow(
      "limit reached on type Namespace for key default",
    );
    await api.client.create(Events, event("kube-system") as never);
  });

  it("ImagePolicyWebhook lets in what another server allows, and nothing when it is away", async () => {
    const hook = await startWebhookServer((review: { spec: { containers: { image: string }[] } }) => {
      const allowed = review.spec.containers.every(({ image }) => image.startsWith("nginx"));
      return { status: { allowed, ...(allowed ? {} : { reason: "unknown publisher" }) } };
    });
    await using api = await serverWith(
      {
        enable: ["ImagePolicyWebhook"],
        plugins: [{ name: "ImagePolicyWebhook", configuration: { imagePolicy: { kubeConfigFile: "x", allowTTL: 0 } } }],
      },
      { url: hook.url, caBundle: hook.caBundle },
    );
    await api.client.create(Pods, pod());
    const foreign = pod({ containers: [{ name: "main", image: "evil:1" }] });
    await expect(api.client.create(Pods, foreign)).rejects.toThrow("denied one or more images: unknown publisher");
    await hook[Symbol.asyncDispose]();
    await expect(api.client.create(Pods, pod())).rejects.toThrow("forbidden");
  });

  it("those that need to be told something say so", () => {
    expect(admissionSelectionErrors({ enable: ["EventRateLimit"] })).toEqual([
      "EventRateLimit needs a configuration, in apiServer.admission.plugins",
    ]);
    expect(
      admissionSelectionErrors({
        enable: ["EventRateLimit", "ImagePolicyWebhook"],
        plugins: [
          { name: "EventRateLimit", configuration: { limits: [{ type: "Everybody", qps: 1, burst: 1 }] } },
          { name: "ImagePolicyWebhook", configuration: {} },
        ],
      }),
    ).toEqual([
      expect.stringContaining("EventRateLimit: limits"),
      expect.stringContaining("kubeConfigFile is required"),
    ]);
    const configuration = {
      defaults: { enforce: "none", "warn-version": "v1.01", audits: "baseline" },
      exemptions: { usernames: ["a", "", "a"], namespaces: ["A"], runtimeClasses: ["-"], groups: [] },
    };
    expect(admissionSelectionErrors({ plugins: [{ name: "PodSecurity", configuration }] })).toEqual([
      'PodSecurity: unknown field "defaults.audits"',
      'PodSecurity: unknown field "exemptions.groups"',
      'PodSecurity: defaults.enforce: Invalid value: "none": must be one of privileged, baseline, restricted',
      'PodSecurity: defaults.warn-version: Invalid value: "v1.01": must be "latest" or "v1.x"',
      'PodSecurity: exemptions.usernames[1]: Invalid value: "": username must not be empty',
      'PodSecurity: exemptions.usernames[2]: Duplicate value: "a"',
      expect.stringContaining('PodSecurity: exemptions.namespaces[0]: Invalid value: "A": a lowercase RFC 1123 label'),
      expect.stringContaining('PodSecurity: exemptions.runtimeClasses[0]: Invalid value: "-"'),
    ]);
  });

  it("PodSecurity holds namespaces that say nothing to its defaults, and exempt users, namespaces and runtimes to nothing", async () => {
    const configuration = {
      defaults: { enforce: "baseline", "enforce-version": "v1.30" },
      exemptions: { usernames: ["robot"], namespaces: ["free"], runtimeClasses: ["sandboxed"] },
    };
    await using api = await serverWith({
      disable: ["RuntimeClass"],
      plugins: [{ name: "PodSecurity", configuration }],
    });
    const warnings: string[] = [];
    const as = (name: string) =>
      new InProcessClient({
        pipeline: api.server.pipeline,
        user: { name, groups: ["system:masters"] },
        fieldManager: "test",
        onWarning: (text) => warnings.push(text),
      });
    const labels = {
      "pod-security.kubernetes.io/enforce": "restricted",
      "pod-security.kubernetes.io/warn": "baseline",
    };
    await as("ann").create(Namespaces, { metadata: { name: "free", labels }, spec: {} });
    expect(warnings).toEqual([
      'namespace "free" is exempt from Pod Security, and the policy (enforce=restricted:v1.30, warn=baseline:latest) will be ignored',
    ]);
    await api.client.create(ServiceAccounts, { metadata: { name: "default", namespace: "free" } });
    const open = pod({ hostPID: true });
    await expect(as("ann").create(Pods, open)).rejects.toThrow(
      'is forbidden: violates PodSecurity "baseline:v1.30": host namespaces (hostPID=true)',
    );
    await as("robot").create(Pods, open);
    await as("ann").create(Pods, pod({ hostPID: true }, "free"));
    await as("ann").create(Pods, pod({ hostPID: true, runtimeClassName: "sandboxed" }));
  });
});
