import { refuses, refusesChanges } from "../../testing/refusals.ts";
import { services } from "./service.ts";

const valid = {
  metadata: { name: "web", namespace: "default" },
  spec: {
    selector: { app: "web" },
    ports: [{ port: 80 }],
    clusterIP: "10.96.0.5",
    clusterIPs: ["10.96.0.5"],
    ipFamilies: ["IPv4"],
    ipFamilyPolicy: "SingleStack",
  },
};
const namePart =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const label =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const balanced = {
  "spec.type": "LoadBalancer",
  "spec.externalTrafficPolicy": "Local",
  "spec.healthCheckNodePort": 30001,
};
const unaddressed = {
  "spec.clusterIP": undefined,
  "spec.clusterIPs": undefined,
  "spec.ipFamilies": undefined,
  "spec.ipFamilyPolicy": undefined,
};

refuses(services, valid, [
  ["without ports", { "spec.ports": [] }, ["spec.ports: Required value"]],
  [
    "with ports beyond the numbers",
    { "spec.ports": [{ port: 0 }, { port: 65536, name: "b", protocol: "Q" }] },
    [
      "spec.ports[0].name: Required value",
      "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
      "spec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive",
      "spec.ports[1].port: Invalid value: 65536: must be between 1 and 65535, inclusive",
      'spec.ports[1].protocol: Unsupported value: "Q": supported values: "SCTP", "TCP", "UDP"',
      "spec.ports[1].targetPort: Invalid value: 65536: must be between 1 and 65535, inclusive",
    ],
  ],
  [
    "with ports of one name, or one number",
    {
      "spec.ports": [
        { port: 80, name: "a" },
        { port: 81, name: "a" },
        { port: 80, name: "C" },
      ],
    },
    [
      'spec.ports[1].name: Duplicate value: "a"',
      `spec.ports[2].name: Invalid value: "C": ${label}`,
      'spec.ports[2]: Duplicate value: {"Name":"","Protocol":"TCP","AppProtocol":null,"Port":80,"TargetPort":0,"NodePort":0}',
    ],
  ],
  [
    "that leads to a port of no name",
    { "spec.ports.0.targetPort": "8080" },
    ['spec.ports[0].targetPort: Invalid value: "8080": must contain at least one letter (a-z)'],
  ],
  [
    "that speaks an odd protocol",
    { "spec.ports.0.appProtocol": "a b" },
    [`spec.ports[0].appProtocol: Invalid value: "a b": ${namePart}`],
  ],
  [
    "with a port of the nodes that it does not use",
    { "spec.ports.0.nodePort": 30000 },
    ["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"],
  ],
  [
    "with one port of the nodes twice",
    {
      "spec.type": "NodePort",
      "spec.ports": [
        { port: 80, name: "a", nodePort: 30000 },
        { port: 81, name: "b", nodePort: 30000 },
      ],
    },
    ["spec.ports[1].nodePort: Duplicate value: 30000"],
  ],
  [
    "of a type nobody knows",
    { "spec.type": "Magic" },
    [
      'spec.type: Unsupported value: "Magic": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"',
    ],
  ],
  [
    "without a head and with a type that needs one",
    { "spec.type": "NodePort", "spec.clusterIP": "None", "spec.clusterIPs": ["None"] },
    ["spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services"],
  ],
  [
    "that is a name and has addresses",
    { "spec.type": "ExternalName", "spec.externalName": "" },
    [
      "spec.clusterIPs: Forbidden: may not be set for ExternalName services",
      "spec.ipFamilies: Forbidden: may not be set for ExternalName services",
      "spec.ipFamilyPolicy: Forbidden: may not be set for ExternalName services",
      "spec.externalName: Required value",
    ],
  ],
  [
    "with addresses that disagree",
    { "spec.clusterIPs": ["10.96.0.6"] },
    ['spec.clusterIPs: Invalid value: ["10.96.0.6"]: first value must match `clusterIP`'],
  ],
  [
    "with addresses that are none",
    { "spec.clusterIP": "x", "spec.clusterIPs": ["x"] },
    ['spec.clusterIPs[0]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'],
  ],
  [
    "with two addresses of a kind, of the other kind",
    {
      "spec.clusterIPs": ["10.96.0.5", "10.96.0.6"],
      "spec.ipFamilies": ["IPv6", "IPv6"],
      "spec.ipFamilyPolicy": "Both",
    },
    [
      'spec.ipFamilies[1]: Duplicate value: "IPv6"',
      'spec.ipFamilyPolicy: Unsupported value: "Both": supported values: "PreferDualStack", "RequireDualStack", "SingleStack"',
      'spec.clusterIPs: Invalid value: ["10.96.0.5","10.96.0.6"]: may specify no more than one IP for each IP family',
      'spec.clusterIPs[0]: Invalid value: "10.96.0.5": expected an IPv6 value as indicated by `ipFamilies[0]`',
      'spec.clusterIPs[1]: Invalid value: "10.96.0.6": expected an IPv6 value as indicated by `ipFamilies[1]`',
    ],
  ],
  [
    "that remembers clients in ways nobody knows",
    { "spec.sessionAffinity": "Cookie" },
    ['spec.sessionAffinity: Unsupported value: "Cookie": supported values: "ClientIP", "None"'],
  ],
  [
    "that remembers clients for no time",
    { "spec.sessionAffinity": "ClientIP", "spec.sessionAffinityConfig": { clientIP: { timeoutSeconds: 0 } } },
    [
      "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 0: must be greater than 0 and less than 86400",
    ],
  ],
  [
    "reached at addresses that are special",
    { "spec.externalIPs": ["127.0.0.1", "x", "0.0.0.0"] },
    [
      'spec.externalIPs[0]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)',
      'spec.externalIPs[1]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
      'spec.externalIPs[2]: Invalid value: "0.0.0.0": may not be unspecified (0.0.0.0)',
    ],
  ],
  [
    "that is no load balancer and speaks like one",
    {
      "spec.loadBalancerSourceRanges": ["10.0.0.0/8"],
      "spec.allocateLoadBalancerNodePorts": true,
      "spec.loadBalancerClass": "a.test/b",
      "spec.healthCheckNodePort": 30001,
      "spec.externalTrafficPolicy": "Local",
    },
    [
      "spec.LoadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'",
      "spec.allocateLoadBalancerNodePorts: Forbidden: may only be used when `type` is 'LoadBalancer'",
      "spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'",
      'spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services',
      "spec.healthCheckNodePort: Invalid value: 30001: may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
    ],
  ],
  [
    "open to ranges that are none, in the field and in the annotation",
    { "spec.type": "LoadBalancer", "spec.loadBalancerSourceRanges": ["10.0.0.0/33"] },
    [
      'spec.LoadBalancerSourceRanges[0]: Invalid value: "10.0.0.0/33": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)',
    ],
  ],
  [
    "that sends traffic where nobody knows",
    {
      ...balanced,
      "spec.internalTrafficPolicy": "Far",
      "spec.trafficDistribution": "Random",
      "spec.healthCheckNodePort": undefined,
    },
    [
      "spec.healthCheckNodePort: Required value",
      'spec.internalTrafficPolicy: Unsupported value: "Far": supported values: "Cluster", "Local"',
      'spec.trafficDistribution: Unsupported value: "Random": supported values: "PreferClose", "PreferSameZone", "PreferSameNode"',
    ],
  ],
  [
    "with hints of topology that contradict",
    {
      "metadata.annotations": {
        "service.kubernetes.io/topology-mode": "Auto",
        "service.kubernetes.io/topology-aware-hints": "disabled",
      },
    },
    [
      'metadata.annotations[service.kubernetes.io/topology-mode]: Invalid value: "Auto": must match annotations[service.kubernetes.io/topology-aware-hints] when both are specified',
    ],
  ],
  ["with an odd selector", { "spec.selector": { "a b": "x" } }, [`spec.selector: Invalid value: "a b": ${namePart}`]],
]);

refusesChanges(services, valid, [
  ["may open another port", { "spec.ports.0.port": 81, "spec.ports.0.targetPort": 81 }, []],
  ["may become a name", { ...unaddressed, "spec.type": "ExternalName", "spec.externalName": "a.test" }, []],
  [
    "may not move",
    { "spec.clusterIP": "10.96.0.6", "spec.clusterIPs": ["10.96.0.6"] },
    ['spec.clusterIPs[0]: Invalid value: ["10.96.0.6"]: may not change once set'],
  ],
  [
    "may not leave its address",
    unaddressed,
    [
      "spec.clusterIPs[0]: Invalid value: []: primary clusterIP can not be unset",
      "spec.ipFamilies[0]: Invalid value: []: primary ipFamily can not be unset",
    ],
  ],
  [
    "may not change its balancer's class",
    { "spec.loadBalancerClass": "a.test/y" },
    ['spec.loadBalancerClass: Invalid value: "a.test/y": may not change once set'],
    { "spec.type": "LoadBalancer", "spec.loadBalancerClass": "a.test/x" },
  ],
  [
    "may not change where its health is asked",
    { "spec.healthCheckNodePort": 30002 },
    ["spec.healthCheckNodePort: Forbidden: field is immutable"],
    balanced,
  ],
]);
refusesChanges(
  services,
  valid,
  [
    [
      "may not say that it is balanced when it is not",
      { status: { loadBalancer: { ingress: [{ ip: "10.0.0.1" }] } } },
      ["status.loadBalancer.ingress: Forbidden: may only be used when `spec.type` is 'LoadBalancer'"],
    ],
    [
      "may not name places that are none",
      {
        status: { loadBalancer: { ingress: [{ ip: "x", ipMode: "VIP" }, { ipMode: "VIP" }, { hostname: "1.2.3.4" }] } },
      },
      [
        'status.loadBalancer.ingress[0].ip: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
        "status.loadBalancer.ingress[1].ipMode: Forbidden: may not be specified when `ip` is not set",
        'status.loadBalancer.ingress[2].hostname: Invalid value: "1.2.3.4": must be a DNS name, not an IP address',
      ],
      { "spec.type": "LoadBalancer" },
    ],
  ],
  "status",
);
