import { describe, expect, it } from "vitest";
import type { Pod } from "../../api/core/v1.ts";
import { changeProblemsOf, problemsOf, storedForm } from "../../testing/problems-of.ts";
import { pods } from "./pod.ts";
import { summarizePod } from "./pod-columns.ts";

const main = { name: "main", image: "nginx:1.27" };
const withContainer = (more: object) => ({ containers: [{ ...main, ...more }] });
const c0 = "spec.containers[0]";

describe("a Pod is refused", () => {
  it.each<[string, object, string[]]>([
    ["without containers", {}, ["spec.containers: Required value"]],
    [
      "with two containers of one name",
      { containers: [main, main] },
      ['spec.containers[1].name: Duplicate value: "main"'],
    ],
    [
      "with an image that ends in space",
      withContainer({ image: "nginx " }),
      [`${c0}.image: Invalid value: "nginx ": must not have leading or trailing whitespace`],
    ],
    [
      "with a probe that does nothing",
      withContainer({ livenessProbe: {} }),
      [`${c0}.livenessProbe: Required value: must specify a handler type`],
    ],
    [
      "with a mount of no volume",
      withContainer({ volumeMounts: [{ name: "zz", mountPath: "/d" }] }),
      [`${c0}.volumeMounts[0].name: Not found: "zz"`],
    ],
    [
      "with a volume of two kinds",
      { ...withContainer({}), volumes: [{ name: "v", emptyDir: {}, configMap: { name: "c" } }] },
      ["spec.volumes[0].configMap: Forbidden: may not specify more than 1 volume type"],
    ],
    [
      "with requests above limits",
      withContainer({ resources: { requests: { cpu: "2" }, limits: { cpu: "1" } } }),
      [`${c0}.resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1`],
    ],
    [
      "with a variable that has two sources",
      withContainer({ env: [{ name: "A", value: "x", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } }] }),
      [`${c0}.env[0].valueFrom: Invalid value: "": may not be specified when \`value\` is not empty`],
    ],
    [
      "with a restart policy nobody knows",
      { ...withContainer({}), restartPolicy: "Sometimes" },
      ['spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"'],
    ],
    [
      "with gates and a node",
      { ...withContainer({}), schedulingGates: [{ name: "a.test/b" }], nodeName: "n1" },
      ["spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared"],
    ],
    [
      "with a toleration of nothing",
      { ...withContainer({}), tolerations: [{ operator: "Equal" }] },
      [
        'spec.tolerations[0].operator: Invalid value: "Equal": operator must be Exists when `key` is empty, which means "match all values and all keys"',
      ],
    ],
    [
      "with a spread of nothing",
      { ...withContainer({}), topologySpreadConstraints: [{ maxSkew: 0, topologyKey: "", whenUnsatisfiable: "X" }] },
      [
        "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero",
        "spec.topologySpreadConstraints[0].topologyKey: Required value: can not be empty",
        'spec.topologySpreadConstraints[0].whenUnsatisfiable: Unsupported value: "X": supported values: "DoNotSchedule", "ScheduleAnyway"',
      ],
    ],
  ])("%s", (_, spec, problems) => {
    expect(problemsOf(pods, { spec: { serviceAccountName: "default", ...spec } })).toEqual(problems);
  });
});

describe("a Pod's change", () => {
  const before = { spec: withContainer({}) };

  it("of an image is fine", () => {
    expect(changeProblemsOf(pods, before, { spec: withContainer({ image: "nginx:1.28" }) })).toEqual([]);
  });

  it("of anything else shows what differs", () => {
    const [problem] = changeProblemsOf(pods, before, { spec: { ...withContainer({}), nodeName: "n9" } });
    expect(problem).toContain(
      "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`",
    );
    expect(problem).toContain('- "NodeName": "",\n+ "NodeName": "n9",\n');
  });

  it("may not add containers", () => {
    expect(changeProblemsOf(pods, before, { spec: { containers: [main, { ...main, name: "two" }] } })).toEqual([
      "spec.containers: Forbidden: pod updates may not add or remove containers",
    ]);
  });

  it("by a binding is the binding's own business", () => {
    const bound = { spec: { ...withContainer({}), nodeName: "n9" } };
    expect(changeProblemsOf(pods, before, bound, "binding")).toEqual([]);
  });
});

describe("a Pod", () => {
  it("gets its defaults", () => {
    const pod = storedForm(pods, {
      spec: {
        containers: [
          { name: "a", image: "busybox", ports: [{ containerPort: 80 }], resources: { limits: { cpu: "1000m" } } },
        ],
        hostNetwork: true,
      },
    });
    expect(pod.spec).toEqual({
      containers: [
        {
          name: "a",
          image: "busybox",
          imagePullPolicy: "Always",
          ports: [{ containerPort: 80, hostPort: 80, protocol: "TCP" }],
          resources: { limits: { cpu: "1" }, requests: { cpu: "1" } },
          terminationMessagePath: "/dev/termination-log",
          terminationMessagePolicy: "File",
        },
      ],
      hostNetwork: true,
      restartPolicy: "Always",
      terminationGracePeriodSeconds: 30,
      dnsPolicy: "ClusterFirst",
      securityContext: {},
      schedulerName: "default-scheduler",
      enableServiceLinks: true,
    });
    expect(pod.status).toEqual({ phase: "Pending", qosClass: "Burstable" });
  });

  it("has a second to end when it was given less than none", () => {
    const { spec } = storedForm(pods, { spec: { containers: [], terminationGracePeriodSeconds: -1 } });
    expect(spec!.terminationGracePeriodSeconds).toBe(1);
  });

  it("is given time to end only where it runs", () => {
    const grace = (spec: object, phase: string, requested?: number) =>
      pods.gracePeriodSeconds!({ spec, status: { phase } } as Pod, requested);
    expect(grace({ terminationGracePeriodSeconds: 30 }, "Pending")).toBeUndefined();
    expect(grace({ terminationGracePeriodSeconds: 30, nodeName: "n" }, "Running")).toBe(30);
    expect(grace({ terminationGracePeriodSeconds: 30, nodeName: "n" }, "Running", 5)).toBe(5);
    expect(grace({ terminationGracePeriodSeconds: 30, nodeName: "n" }, "Succeeded", 5)).toBeUndefined();
    expect(grace({ terminationGracePeriodSeconds: 30, nodeName: "n" }, "Running", -1)).toBe(1);
  });
});

describe("kubectl's word for a Pod's state", () => {
  const container = (state: object, more: object = {}) => ({
    name: "main",
    restartCount: 0,
    ready: false,
    image: "",
    imageID: "",
    state,
    ...more,
  });
  it.each<[string, object, object?, object?]>([
    ["Pending", { phase: "Pending" }],
    [
      "ContainerCreating",
      { phase: "Pending", containerStatuses: [container({ waiting: { reason: "ContainerCreating" } })] },
    ],
    [
      "CrashLoopBackOff",
      { phase: "Running", containerStatuses: [container({ waiting: { reason: "CrashLoopBackOff" } })] },
    ],
    [
      "Completed",
      { phase: "Succeeded", containerStatuses: [container({ terminated: { exitCode: 0, reason: "Completed" } })] },
    ],
    ["ExitCode:3", { phase: "Failed", containerStatuses: [container({ terminated: { exitCode: 3 } })] }],
    ["Init:0/1", { phase: "Pending", initContainerStatuses: [container({ running: {} })] }, { initContainers: [main] }],
    [
      "Init:Error",
      { phase: "Pending", initContainerStatuses: [container({ terminated: { exitCode: 1, reason: "Error" } })] },
      { initContainers: [main] },
    ],
    ["Terminating", { phase: "Running" }, {}, { deletionTimestamp: "2026-01-01T00:00:00Z" }],
    ["Evicted", { phase: "Failed", reason: "Evicted" }],
    [
      "SchedulingGated",
      { phase: "Pending", conditions: [{ type: "PodScheduled", status: "False", reason: "SchedulingGated" }] },
    ],
  ])("%s", (word, status, spec = {}, meta = {}) => {
    const pod = { metadata: { name: "web", ...meta }, spec: { containers: [main], ...spec }, status } as unknown as Pod;
    expect(summarizePod(pod).status).toBe(word);
  });

  it("counts restarts and how long ago the last was", () => {
    const lastState = { terminated: { exitCode: 1, finishedAt: "2026-01-01T00:00:00Z" } };
    const status = {
      phase: "Running",
      containerStatuses: [container({ running: {} }, { ready: true, restartCount: 2, lastState })],
    };
    const pod = { metadata: { name: "web" }, spec: { containers: [main] }, status } as unknown as Pod;
    const restarts = pods.columns!.find(({ name }) => name === "Restarts")!;
    expect(restarts.cell(pod, Date.parse("2026-01-01T00:03:00Z"))).toBe("2 (3m ago)");
  });
});
