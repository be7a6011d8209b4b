import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { PodSpec } from "../../../api/core/v1.ts";
import { Deployments, Namespaces, Pods, ServiceAccounts } from "../../../api/resources.ts";
import { InProcessClient } from "../../../apiserver/in-process-client.ts";
import type { TestApiServer } from "../../../testing/api-server.ts";
import { startPolicyServer } from "../../../testing/policy-server.ts";
import { violations } from "./checks.ts";

let api: TestApiServer;
let client: InProcessClient;
const warnings: string[] = [];

beforeAll(async () => {
  api = await startPolicyServer();
  client = new InProcessClient({
    pipeline: api.server.pipeline,
    user: { name: "admin", groups: ["system:masters"] },
    fieldManager: "test",
    onWarning: (text) => warnings.push(text),
  });
  const level = (name: string, labels: Record<string, string>) => ({ metadata: { name, labels }, spec: {} });
  await client.create(Namespaces, level("base", { "pod-security.kubernetes.io/enforce": "baseline" }));
  await client.create(
    Namespaces,
    level("strict", {
      "pod-security.kubernetes.io/enforce": "restricted",
      "pod-security.kubernetes.io/enforce-version": "v1.30",
    }),
  );
  await client.create(Namespaces, level("told", { "pod-security.kubernetes.io/warn": "restricted" }));
  await client.create(Namespaces, level("free", {}));
  for (const namespace of ["base", "strict", "free"]) {
    await client.create(ServiceAccounts, { metadata: { name: "default", namespace } });
  }
});
afterAll(() => api.close());

const main = { name: "main", image: "nginx:1.27" };
const pod = (namespace: string, spec: Partial<PodSpec> = {}, name = "a") => ({
  metadata: { name, namespace },
  spec: { containers: [main], ...spec },
});
const found = (spec: Partial<PodSpec>, level: "baseline" | "restricted" = "baseline") =>
  violations({ metadata: {}, spec: { containers: [main], ...spec } as PodSpec }, { level, minor: undefined }).map(
    ({ reason, detail }) => `${reason} (${detail})`,
  );

describe("a pod", () => {
  it.each<[Partial<PodSpec>, string]>([
    [{ hostNetwork: true, hostPID: true }, "host namespaces (hostNetwork=true, hostPID=true)"],
    [
      {
        volumes: [
          { name: "a", hostPath: { path: "/" } },
          { name: "b", hostPath: { path: "/" } },
        ],
      },
      'hostPath volumes (volumes "a", "b")',
    ],
    [
      { containers: [{ ...main, ports: [{ containerPort: 80, hostPort: 80 }] }] } as never,
      'hostPort (container "main" uses hostPort 80)',
    ],
    [
      { containers: [{ ...main, securityContext: { privileged: true } }] },
      'privileged (container "main" must not set securityContext.privileged=true)',
    ],
    [
      { containers: [{ ...main, securityContext: { capabilities: { add: ["NET_ADMIN", "CHOWN"] } } }] },
      'non-default capabilities (container "main" must not include "NET_ADMIN" in securityContext.capabilities.add)',
    ],
    [
      { securityContext: { seccompProfile: { type: "Unconfined" } } },
      'seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")',
    ],
    [{ securityContext: { sysctls: [{ name: "kernel.msgmax", value: "1" }] } }, "forbidden sysctls (kernel.msgmax)"],
    [
      { securityContext: { seLinuxOptions: { type: "spc_t", user: "root" } } },
      'seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: type "spc_t"; user may not be set)',
    ],
  ])("%j is more than baseline", (spec, wanted) => {
    expect(found(spec)).toEqual([wanted]);
  });

  it("that says nothing is not restricted", () => {
    expect(found({}, "restricted")).toEqual([
      'allowPrivilegeEscalation != false (container "main" must set securityContext.allowPrivilegeEscalation=false)',
      'unrestricted capabilities (container "main" must set securityContext.capabilities.drop=["ALL"])',
      'runAsNonRoot != true (pod or container "main" must set securityContext.runAsNonRoot=true)',
      'seccompProfile (pod or container "main" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")',
    ]);
    const securityContext = {
      allowPrivilegeEscalation: false,
      capabilities: { drop: ["ALL"] },
      runAsNonRoot: true,
      seccompProfile: { type: "RuntimeDefault" },
    };
    expect(found({ containers: [{ ...main, securityContext }] }, "restricted")).toEqual([]);
  });
});

describe("a namespace's level", () => {
  const createPod = (...args: Parameters<typeof pod>) => client.create(Pods, pod(...args) as never);

  it("keeps pods out", async () => {
    await expect(createPod("base", { hostPID: true })).rejects.toMatchObject({
      code: 403,
      message: 'pods "a" is forbidden: violates PodSecurity "baseline:latest": host namespaces (hostPID=true)',
    });
    await expect(createPod("strict")).rejects.toThrow(
      'violates PodSecurity "restricted:v1.30": allowPrivilegeEscalation',
    );
  });

  it("is told to those who write Deployments, and warned of", async () => {
    warnings.length = 0;
    await client.create(Deployments, {
      metadata: { name: "a", namespace: "told" },
      spec: {
        selector: { matchLabels: { a: "b" } },
        template: { metadata: { labels: { a: "b" } }, spec: { containers: [main], hostIPC: true } },
      },
    } as never);
    expect(warnings[0]).toMatch(
      /^would violate PodSecurity "restricted:latest": host namespaces \(hostIPC=true\), allowPrivilegeEscalation/,
    );
  });

  it("must be one that there is, and says what it would not have let in", async () => {
    warnings.length = 0;
    const label = (value: string) => ({
      type: "merge" as const,
      body: { metadata: { labels: { "pod-security.kubernetes.io/enforce": value } } },
    });
    await expect(client.patch(Namespaces, { name: "free" }, label("none"))).rejects.toThrow(
      'metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: "none": must be one of privileged, baseline, restricted',
    );
    for (const name of ["x", "y"]) await createPod("free", { hostPID: true }, name);
    await client.patch(Namespaces, { name: "free" }, label("baseline"));
    expect(warnings).toEqual([
      'existing pods in namespace "free" violate the new PodSecurity enforce level "baseline:latest"',
      "x (and 1 other pod): host namespaces",
    ]);
    // What is loosened says nothing, and whoever stands may be labelled; what is run anew is held to the level.
    const change = (body: object) => client.patch(Pods, { name: "x", namespace: "free" }, { type: "strategic", body });
    await client.patch(Namespaces, { name: "free" }, label("restricted"));
    warnings.length = 0;
    await client.patch(Namespaces, { name: "free" }, label("baseline"));
    await change({ metadata: { annotations: { a: "b" }, labels: { a: "b" } } });
    expect(warnings).toEqual([]);
    await expect(change({ spec: { containers: [{ ...main, image: "nginx:1.28" }] } })).rejects.toThrow(
      'violates PodSecurity "baseline:latest": host namespaces (hostPID=true)',
    );
  });
});
