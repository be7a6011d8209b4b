import { describe, expect, it } from "vitest";
import { changeProblemsOf, problemsOf, storedForm } from "../../testing/problems-of.ts";
import { services } from "./service.ts";

const ports = [{ port: 80 }];
const cluster = {
  clusterIP: "10.96.0.9",
  clusterIPs: ["10.96.0.9"],
  ipFamilies: ["IPv4"],
  ipFamilyPolicy: "SingleStack",
};
const ipMessage = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";

describe("a Service is refused", () => {
  it.each<[string, object, string[]]>([
    ["without ports", {}, ["spec.ports: Required value"]],
    [
      "with a port out of range",
      { ports: [{ port: 0, targetPort: 80 }] },
      ["spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive"],
    ],
    [
      "when two ports have no names",
      { ports: [{ port: 80 }, { port: 81 }] },
      ["spec.ports[0].name: Required value", "spec.ports[1].name: Required value"],
    ],
    [
      "when a port is there twice",
      {
        ports: [
          { name: "a", port: 80 },
          { name: "b", port: 80 },
        ],
      },
      [
        'spec.ports[1]: Duplicate value: {"Name":"","Protocol":"TCP","AppProtocol":null,"Port":80,"TargetPort":0,"NodePort":0}',
      ],
    ],
    [
      "with a node port it has no use for",
      { ports: [{ port: 80, nodePort: 30000 }] },
      ["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"],
    ],
    [
      "of an unknown type",
      { type: "Foo", ports },
      [
        'spec.type: Unsupported value: "Foo": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"',
      ],
    ],
    ["as ExternalName without a name", { type: "ExternalName" }, ["spec.externalName: Required value"]],
    [
      "headless with node ports",
      { type: "NodePort", clusterIP: "None", clusterIPs: ["None"], ports },
      [`spec.clusterIPs[0]: Invalid value: "None": may not be set to 'None' for NodePort services`],
    ],
    [
      "with a bad address",
      { clusterIP: "foo", clusterIPs: ["foo"], ports },
      [`spec.clusterIPs[0]: Invalid value: "foo": ${ipMessage}`],
    ],
    [
      "with a loopback external address",
      { externalIPs: ["127.0.0.1"], ports },
      ['spec.externalIPs[0]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)'],
    ],
    [
      "with a load-balancer class it has no use for",
      { loadBalancerClass: "a.test/b", ports },
      ["spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'"],
    ],
    [
      "with an affinity of no time",
      { sessionAffinity: "ClientIP", sessionAffinityConfig: { clientIP: { timeoutSeconds: 0 } }, ports },
      [
        "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 0: must be greater than 0 and less than 86400",
      ],
    ],
    [
      "with a numeric target port as text",
      { ports: [{ port: 80, targetPort: "8080" }] },
      ['spec.ports[0].targetPort: Invalid value: "8080": must contain at least one letter (a-z)'],
    ],
  ])("%s", (_, spec, problems) => {
    expect(problemsOf(services, { spec })).toEqual(problems);
  });

  it("when a change moves it to another address", () => {
    const moved = { ...cluster, clusterIP: "10.96.0.10", clusterIPs: ["10.96.0.10"], ports };
    expect(changeProblemsOf(services, { spec: { ...cluster, ports } }, { spec: moved })).toEqual([
      'spec.clusterIPs[0]: Invalid value: ["10.96.0.10"]: may not change once set',
    ]);
  });
});

describe("a Service", () => {
  it("gets its defaults by type", () => {
    expect(storedForm(services, { spec: { type: "LoadBalancer", ports } }).spec).toEqual({
      type: "LoadBalancer",
      ports: [{ port: 80, protocol: "TCP", targetPort: 80 }],
      sessionAffinity: "None",
      externalTrafficPolicy: "Cluster",
      internalTrafficPolicy: "Cluster",
      allocateLoadBalancerNodePorts: true,
    });
  });

  it("drops what a change of type makes needless", () => {
    const nodePort = {
      ...cluster,
      type: "NodePort",
      externalTrafficPolicy: "Cluster",
      ports: [{ port: 80, nodePort: 30001 }],
    };
    expect(changeProblemsOf(services, { spec: nodePort }, { spec: { ...nodePort, type: "ClusterIP" } })).toEqual([]);
  });

  it("prints its ports and addresses as kubectl shows them", () => {
    const cells = (spec: object, status: object = {}) => {
      const service = { ...storedForm(services, { spec }), status } as never;
      return services.columns!.slice(1, 5).map((column) => column.cell(service, 0));
    };
    expect(cells({ type: "NodePort", ...cluster, ports: [{ port: 80, nodePort: 30001 }] })).toEqual([
      "NodePort",
      "10.96.0.9",
      "<none>",
      "80:30001/TCP",
    ]);
    expect(cells({ type: "LoadBalancer", ...cluster, ports })).toEqual([
      "LoadBalancer",
      "10.96.0.9",
      "<pending>",
      "80/TCP",
    ]);
    expect(
      cells({ type: "LoadBalancer", ...cluster, ports }, { loadBalancer: { ingress: [{ ip: "192.0.2.7" }] } })[2],
    ).toBe("192.0.2.7");
    expect(cells({ type: "ExternalName", externalName: "a.test" })).toEqual([
      "ExternalName",
      "<none>",
      "a.test",
      "<none>",
    ]);
  });
});
