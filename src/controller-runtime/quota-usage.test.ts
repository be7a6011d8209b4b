import { expect, test } from "vitest";
import type { PersistentVolumeClaim, Pod, ResourceQuota, Service } from "../api/core/v1.ts";
import { claimInScopes, podInScopes, podUsage, serviceUsage, type Usage } from "./quota-usage.ts";

const metadata = { name: "x", namespace: "default", uid: "x", resourceVersion: "1", creationTimestamp: "" };
const texts = (usage: Usage) => Object.fromEntries([...usage].map(([name, amount]) => [name, amount.toString()]));
const requests = (cpu: string, memory = "1Gi") => ({ resources: { requests: { cpu, memory }, limits: { cpu } } });

function pod(spec: Partial<Pod["spec"]>, phase = "Running"): Pod {
  return { apiVersion: "v1", kind: "Pod", metadata, spec: { containers: [], ...spec }, status: { phase } };
}

test("a Pod uses what its containers ask for, or its hungriest init container", () => {
  const containers = [
    { name: "a", ...requests("250m") },
    { name: "b", ...requests("250m", "512Mi") },
  ];
  expect(texts(podUsage(pod({ containers })))).toEqual({
    "count/pods": "1",
    pods: "1",
    cpu: "500m",
    "requests.cpu": "500m",
    "limits.cpu": "500m",
    memory: "1536Mi",
    "requests.memory": "1536Mi",
  });
  const initContainers = [{ name: "i", ...requests("2") }];
  expect(texts(podUsage(pod({ containers, initContainers })))).toMatchObject({ cpu: "2", memory: "1536Mi" });
});

test("what a Pod says as a whole goes before its containers, and overhead comes on top", () => {
  const containers = [{ name: "a", ...requests("250m") }];
  const whole = { resources: { requests: { cpu: "1" } }, overhead: { cpu: "100m" } };
  expect(texts(podUsage(pod({ containers, ...whole })))).toMatchObject({
    cpu: "1100m",
    "limits.cpu": "350m",
    memory: "1Gi",
  });
});

test("a finished Pod uses nothing but its object", () => {
  expect(texts(podUsage(pod({ containers: [{ name: "a", ...requests("1") }] }, "Succeeded")))).toEqual({
    "count/pods": "1",
  });
});

test("Services use node ports as their type has them", () => {
  const service = (spec: Service["spec"]): Service => ({
    apiVersion: "v1",
    kind: "Service",
    metadata,
    spec,
    status: {},
  });
  const ports = [{ port: 80 }, { port: 81 }];
  expect(texts(serviceUsage(service({ type: "NodePort", ports })))).toMatchObject({ "services.nodeports": "2" });
  expect(texts(serviceUsage(service({ type: "LoadBalancer", ports, allocateLoadBalancerNodePorts: false })))).toEqual({
    services: "1",
    "count/services": "1",
    "services.loadbalancers": "1",
  });
});

test.each<[ResourceQuota["spec"], Partial<Pod["spec"]>, boolean]>([
  [{ scopes: ["BestEffort"] }, { containers: [{ name: "a" }] }, true],
  [{ scopes: ["NotBestEffort"] }, { containers: [{ name: "a" }] }, false],
  [{ scopes: ["BestEffort"] }, { containers: [{ name: "a", resources: { requests: { cpu: "0" } } }] }, true],
  [{ scopes: ["BestEffort"] }, { containers: [{ name: "a" }], resources: { limits: { memory: "1Gi" } } }, false],
  [{ scopes: ["VolumeAttributesClass"] }, {}, false],
  [{ scopes: ["Terminating"] }, { activeDeadlineSeconds: 5 }, true],
  [{ scopes: ["NotTerminating", "BestEffort"] }, { activeDeadlineSeconds: 5 }, false],
  [
    { scopeSelector: { matchExpressions: [{ scopeName: "PriorityClass", operator: "In", values: ["high"] }] } },
    { priorityClassName: "high" },
    true,
  ],
  [
    { scopeSelector: { matchExpressions: [{ scopeName: "PriorityClass", operator: "DoesNotExist" }] } },
    { priorityClassName: "high" },
    false,
  ],
])("scopes %j speak of a Pod with %j: %s", (spec, podSpec, expected) => {
  const quota: ResourceQuota = { apiVersion: "v1", kind: "ResourceQuota", metadata, spec, status: {} };
  expect(podInScopes(quota, pod(podSpec))).toBe(expected);
});

test.each<[object, string | undefined, boolean]>([
  [{ scopes: ["VolumeAttributesClass"] }, "gold", true],
  [{ scopes: ["VolumeAttributesClass"] }, undefined, false],
  [{ scopes: ["BestEffort"] }, "gold", false],
  ...[
    ["In", "gold", true],
    ["In", "lead", false],
    ["In", undefined, false],
    ["NotIn", "gold", false],
    ["NotIn", "lead", true],
    ["NotIn", undefined, true],
    ["DoesNotExist", undefined, true],
    ["DoesNotExist", "gold", false],
  ].map(([operator, name, expected]): [object, string | undefined, boolean] => {
    const values = /In$/.test(operator as string) ? { values: ["gold"] } : {};
    const matchExpressions = [{ scopeName: "VolumeAttributesClass", operator, ...values }];
    return [{ scopeSelector: { matchExpressions } }, name as string | undefined, expected as boolean];
  }),
])("scopes %j speak of a claim of the attributes %s: %s", (spec, volumeAttributesClassName, expected) => {
  const quota = { apiVersion: "v1", kind: "ResourceQuota", metadata, spec, status: {} } as ResourceQuota;
  const claim = { metadata, spec: { ...(volumeAttributesClassName ? { volumeAttributesClassName } : {}) } };
  expect(claimInScopes(quota, claim as PersistentVolumeClaim)).toBe(expected);
});
