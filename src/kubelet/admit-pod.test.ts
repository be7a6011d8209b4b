import { expect, test } from "vitest";
import { type NodeRoom, refusalOf } from "./admit-pod.ts";
import type { PodObject } from "./pod-state.ts";

const room: NodeRoom = {
  allocatable: { cpu: "2", memory: "1Gi", pods: "3" },
  labels: { disk: "ssd" },
  others: [],
  pressures: new Set(),
};

function pod(requests: Record<string, string>, spec: object = {}): PodObject {
  return {
    metadata: { name: "p", namespace: "default", uid: "1" },
    spec: { containers: [{ name: "c", resources: { requests } }], ...spec },
  } as unknown as PodObject;
}

test("a pod that fits is taken", () => {
  expect(refusalOf(pod({ cpu: "2" }, { nodeSelector: { disk: "ssd" } }), room)).toBeUndefined();
});

test("a pod that asks for more than is left is refused with upstream's reason", () => {
  expect(refusalOf(pod({ cpu: "1500m" }), { ...room, others: [pod({ cpu: "1" })] })).toEqual({
    reason: "OutOfcpu",
    message: "Node didn't have enough resource: cpu, requested: 1500, used: 1000, capacity: 2000",
  });
  expect(refusalOf(pod({}), { ...room, others: [pod({}), pod({}), pod({})] })?.reason).toBe("OutOfpods");
});

test("a resource that the node does not know of is not its to refuse", () => {
  expect(refusalOf(pod({ "example.com/dongle": "5" }), room)).toBeUndefined();
});

test("a pod bound past the scheduler to a node that it does not want is refused", () => {
  expect(refusalOf(pod({}, { nodeSelector: { disk: "tape" } }), room)?.reason).toBe("NodeAffinity");
});

test("two pods cannot have one host port", () => {
  const spec = { containers: [{ name: "c", ports: [{ containerPort: 80, hostPort: 8080 }] }] };
  expect(refusalOf(pod({}, spec), { ...room, others: [pod({}, spec)] })?.reason).toBe("NodePorts");
});

test("under memory pressure only pods that asked for memory come in; under disk pressure none", () => {
  const pressed = { ...room, pressures: new Set(["MemoryPressure"] as const) };
  expect(refusalOf(pod({}), pressed)?.message).toBe("The node had condition: [MemoryPressure]. ");
  expect(refusalOf(pod({ memory: "1Mi" }), pressed)).toBeUndefined();
  const full = { ...room, pressures: new Set(["DiskPressure"] as const) };
  expect(refusalOf(pod({ memory: "1Mi" }), full)?.reason).toBe("Evicted");
});

test("an AppArmor profile is taken only where it would be enforced", () => {
  const asks = (type: string, where: "pod" | "container" = "container") => {
    const securityContext = { appArmorProfile: { type, ...(type === "Localhost" ? { localhostProfile: "web" } : {}) } };
    return where === "pod" ? pod({}, { securityContext }) : pod({}, { containers: [{ name: "c", securityContext }] });
  };
  const without = { reason: "AppArmor", message: "Cannot enforce AppArmor: AppArmor is not enabled on the host" };
  expect(refusalOf(asks("Localhost"), room)).toEqual(without);
  expect(refusalOf(asks("RuntimeDefault", "pod"), room)).toEqual(without);
  expect(refusalOf(asks("Unconfined"), room)).toBeUndefined();
  const confining = { ...room, hasAppArmor: true };
  expect(refusalOf(asks("Localhost", "pod"), confining)).toBeUndefined();
  expect(refusalOf(asks("RuntimeDefault"), confining)).toBeUndefined();
});

test("a static pod's annotations say its AppArmor profiles, unless its containers' fields do", () => {
  const annotations = {
    "container.apparmor.security.beta.kubernetes.io/c": "localhost/",
    "container.apparmor.security.beta.kubernetes.io/d": "unconfined",
  };
  const annotated = (spec: object) => {
    const plain = pod({}, spec);
    return { ...plain, metadata: { ...plain.metadata, annotations } } as PodObject;
  };
  const confining = { ...room, hasAppArmor: true };
  expect(refusalOf(annotated({ containers: [{ name: "d" }] }), room)).toBeUndefined();
  expect(refusalOf(annotated({ containers: [{ name: "c" }] }), room)?.message).toContain("is not enabled on the host");
  expect(refusalOf(annotated({ containers: [{ name: "c" }] }), confining)?.message).toBe(
    'Cannot enforce AppArmor: invalid AppArmor profile name: "localhost/"',
  );
  const securityContext = { appArmorProfile: { type: "Localhost", localhostProfile: "web" } };
  expect(refusalOf(annotated({ containers: [{ name: "c", securityContext }] }), confining)).toBeUndefined();
});
