import { expect, test } from "vitest";
import { type NodeRoom, refusalOf } from "./admit-pod.ts";
import type { PodObject } from "./pod-state.ts";

const room: NodeRoom = {
  allocatable: { cpu: "2", memory: "1Gi", pods: "3" },
  name: "n",
  labels: { disk: "ssd" },
  taints: [],
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

test("required node affinity is held to as well, of labels and of the name", () => {
  const wants = (term: object) => ({
    affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [term] } } },
  });
  const disk = (operator: string, values: string[]) => wants({ matchExpressions: [{ key: "disk", operator, values }] });
  expect(refusalOf(pod({}, disk("In", ["ssd"])), room)).toBeUndefined();
  expect(refusalOf(pod({}, disk("NotIn", ["ssd"])), room)?.reason).toBe("NodeAffinity");
  const name = (value: string) => wants({ matchFields: [{ key: "metadata.name", operator: "In", values: [value] }] });
  expect(refusalOf(pod({}, name("n")), room)).toBeUndefined();
  expect(refusalOf(pod({}, name("m")), room)?.reason).toBe("NodeAffinity");
});

test("a taint that drives pods away keeps out those that do not tolerate it, but for static ones", () => {
  const tainted = (effect: string) => ({ ...room, taints: [{ key: "sick", effect }] });
  expect(refusalOf(pod({}), tainted("NoSchedule"))).toBeUndefined();
  expect(refusalOf(pod({}), tainted("NoExecute"))).toEqual({
    reason: "TaintToleration",
    message: "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate",
  });
  expect(refusalOf(pod({}, { tolerations: [{ operator: "Exists" }] }), tainted("NoExecute"))).toBeUndefined();
  const { metadata, ...rest } = pod({});
  const annotations = { "kubernetes.io/config.source": "file", "kubernetes.io/config.hash": "1" };
  expect(refusalOf({ ...rest, metadata: { ...metadata, annotations } }, tainted("NoExecute"))).toBeUndefined();
});

test.each([
  [{}, {}, true],
  [{ hostIP: "10.0.0.1" }, {}, true],
  [{ hostIP: "10.0.0.1" }, { hostIP: "10.0.0.2" }, false],
  [{ protocol: "UDP" }, {}, false],
  [{ hostPort: 8081 }, {}, false],
])("two pods cannot have one host port: %o and %o", (one, other, isRefused) => {
  const asks = (more: object) =>
    pod({}, { containers: [{ name: "c", ports: [{ containerPort: 80, hostPort: 8080, ...more }] }] });
  const refusal = refusalOf(asks(one), { ...room, others: [asks(other)] });
  expect(refusal?.reason).toBe(isRefused ? "NodePorts" : undefined);
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
