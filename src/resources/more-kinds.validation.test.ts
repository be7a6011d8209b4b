import { expect } from "vitest";
import { refuses, refusesChanges } from "../testing/refusals.ts";
import { horizontalPodAutoscalers } from "./autoscaling/horizontal-pod-autoscaler.ts";
import { horizontalPodAutoscalersV1 } from "./autoscaling/horizontal-pod-autoscaler-v1.ts";
import { ingresses } from "./networking/ingress.ts";
import { ingressClasses } from "./networking/ingress-class.ts";
import { networkPolicies } from "./networking/network-policy.ts";
import { ipAddresses, serviceCidrs } from "./networking/service-range.ts";
import { clusterRoleBindings, roleBindings } from "./rbac/binding.ts";
import { clusterRoles } from "./rbac/cluster-role.ts";
import { roles } from "./rbac/role.ts";
import { deviceClasses, resourceClaims, resourceClaimTemplates, resourceSlices } from "./resource/dynamic-resources.ts";

const subdomain =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const label =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const notACidr = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
const metadata = { name: "web", namespace: "default" };
const cluster = { name: "web" };
const stands = "field is immutable";

// Networking

const backend = { service: { name: "web", port: { number: 80 } } };
refuses(
  ingresses,
  {
    metadata,
    spec: { rules: [{ host: "a.test", http: { paths: [{ path: "/", pathType: "Prefix", backend }] } }] },
  },
  [
    ["to nowhere", { spec: {} }, ["spec: Invalid value: null: either `defaultBackend` or `rules` must be specified"]],
    [
      "for hosts that are none",
      { "spec.rules": [{ host: "A_b" }, { host: "1.2.3.4" }, { host: "*.*.test" }] },
      [
        `spec.rules[0].host: Invalid value: "A_b": ${subdomain}`,
        'spec.rules[1].host: Invalid value: "1.2.3.4": must be a DNS name, not an IP address',
        expect.stringContaining(
          'spec.rules[2].host: Invalid value: "*.*.test": a wildcard DNS-1123 subdomain must start with',
        ),
      ],
    ],
    [
      "by its second rule",
      { "spec.rules.1": { http: { paths: [{ path: "a", pathType: "Prefix", backend }] } } },
      ['spec.rules[1].http.paths[0].path: Invalid value: "a": must be an absolute path'],
    ],
    ["without paths", { "spec.rules.0.http.paths": [] }, ["spec.rules[0].http.paths: Required value"]],
    [
      "by paths that mean nothing or too much",
      {
        "spec.rules.0.http.paths": [
          { path: "/", backend },
          { path: "/", pathType: "Guess", backend },
          { path: "a", pathType: "Exact", backend },
          { path: "/a//b/..", pathType: "Prefix", backend },
        ],
      },
      [
        "spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified",
        'spec.rules[0].http.paths[1].pathType: Unsupported value: "Guess": supported values: "Exact", "ImplementationSpecific", "Prefix"',
        'spec.rules[0].http.paths[2].path: Invalid value: "a": must be an absolute path',
        "spec.rules[0].http.paths[3].path: Invalid value: \"/a//b/..\": must not contain '//'",
        "spec.rules[0].http.paths[3].path: Invalid value: \"/a//b/..\": cannot end with '/..'",
      ],
    ],
    [
      "to backends that are none",
      {
        "spec.defaultBackend": { service: { name: "", port: {} } },
        "spec.rules.0.http.paths.0.backend": { ...backend, resource: { kind: "A", name: "b" } },
      },
      [
        "spec.defaultBackend.service.name: Required value",
        "spec.defaultBackend: Required value: port name or number is required",
        'spec.rules[0].http.paths[0].backend: Invalid value: "": cannot set both resource and service backends',
      ],
    ],
    [
      "with certificates nobody could name",
      { "spec.tls": [{ hosts: ["bad host"], secretName: "Bad" }], "spec.ingressClassName": "A" },
      [
        `spec.tls[0].hosts[0]: Invalid value: "bad host": ${subdomain}`,
        `spec.tls[0].secretName: Invalid value: "Bad": ${subdomain}`,
        `spec.ingressClassName: Invalid value: "A": ${subdomain}`,
      ],
    ],
    [
      "of two classes",
      { "metadata.annotations": { "kubernetes.io/ingress.class": "a" }, "spec.ingressClassName": "b" },
      [
        'annotations.kubernetes.io/ingress.class: Invalid value: "a": must match `ingressClassName` when both are specified',
      ],
    ],
  ],
);
refusesChanges(ingresses, { metadata, spec: { defaultBackend: backend } }, [
  [
    "may name a secret that cannot be where one stood already",
    { "metadata.labels": { a: "b" } },
    [],
    { "spec.tls": [{ secretName: "A" }] },
  ],
  [
    "may not name a secret that cannot be where none stood",
    { "spec.tls": [{ secretName: "A" }] },
    [`spec.tls[0].secretName: Invalid value: "A": ${subdomain}`],
  ],
  [
    "may keep rules of a wildcard that lead nowhere",
    { "metadata.labels": { a: "b" } },
    [],
    { "spec.rules": [{ host: "*.a.test", http: { paths: [] } }] },
  ],
  [
    "may not lead a wildcard nowhere from now on",
    { "spec.rules": [{ host: "*.a.test", http: { paths: [] } }] },
    ["spec.rules[0].http.paths: Required value"],
  ],
]);
refusesChanges(networkPolicies, { metadata, spec: { podSelector: {} } }, [
  [
    "may go on asking for what no label says",
    { "spec.ingress": [] },
    [],
    { "spec.podSelector": { matchExpressions: [{ key: "a", operator: "In", values: ["b c"] }] } },
  ],
]);
refusesChanges(clusterRoles, { metadata: cluster, rules: [] }, [
  [
    "may not gather by what no label says",
    { aggregationRule: { clusterRoleSelectors: [{ matchLabels: { a: "b c" } }] } },
    [
      expect.stringMatching(
        /^aggregationRule\.clusterRoleSelectors\[0\]\.matchLabels: Invalid value: "b c": a valid label/,
      ),
      "aggregationRule.clusterRoleSelectors[0]: Invalid value: null: invalid label selector.",
    ],
  ],
]);
refuses(ingressClasses, { metadata: cluster, spec: { controller: "a.test/b" } }, [
  ["of nobody", { "spec.controller": "" }, ["spec.controller: Required value"]],
  [
    "of somebody without a domain",
    { "spec.controller": "me" },
    ['spec.controller: Invalid value: "me": must be a domain-prefixed path (such as "acme.io/foo")'],
  ],
  [
    "with parameters of nothing",
    { "spec.parameters": { scope: "Namespace" } },
    [
      "spec.parameters.kind: Required value",
      "spec.parameters.name: Required value",
      "spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'",
    ],
  ],
  [
    "with parameters that cannot be named",
    { "spec.parameters": { apiGroup: "A", kind: "a/b", name: ".", scope: "Namespace", namespace: "A" } },
    [
      `spec.parameters.apiGroup: Invalid value: "A": ${subdomain}`,
      "spec.parameters.kind: Invalid value: \"a/b\": may not contain '/'",
      "spec.parameters.name: Invalid value: \".\": may not be '.'",
      `spec.parameters.namespace: Invalid value: "A": ${label}`,
    ],
  ],
  [
    "with parameters everywhere and somewhere",
    { "spec.parameters": { kind: "A", name: "b", scope: "Cluster", namespace: "c" } },
    ["spec.parameters.namespace: Forbidden: `parameters.scope` is set to 'Cluster'"],
  ],
]);
refusesChanges(ingressClasses, { metadata: cluster, spec: { controller: "a.test/b" } }, [
  [
    "may not hand it over",
    { "spec.controller": "a.test/c" },
    [`spec.controller: Invalid value: "a.test/c": ${stands}`],
  ],
]);
refuses(networkPolicies, { metadata, spec: { podSelector: {}, ingress: [{}] } }, [
  [
    "for ports that cannot be",
    {
      "spec.ingress.0.ports": [
        { protocol: "Q" },
        { port: 70000 },
        { endPort: 5 },
        { port: "web", endPort: 5 },
        { port: 80, endPort: 79 },
      ],
    },
    [
      'spec.ingress[0].ports[0].protocol: Unsupported value: "Q": supported values: "TCP", "UDP", "SCTP"',
      "spec.ingress[0].ports[1].port: Invalid value: 70000: must be between 1 and 65535, inclusive",
      "spec.ingress[0].ports[2].endPort: Invalid value: 5: may not be specified when `port` is not specified",
      "spec.ingress[0].ports[3].endPort: Invalid value: 5: may not be specified when `port` is non-numeric",
      "spec.ingress[0].ports[4].endPort: Invalid value: 80: must be greater than or equal to `port`",
    ],
  ],
  [
    "from nobody, or from two sorts at once",
    { "spec.ingress.0.from": [{}, { podSelector: {}, ipBlock: { cidr: "10.0.0.0/8" } }] },
    [
      "spec.ingress[0].from[0]: Required value: must specify a peer",
      "spec.ingress[0].from[1]: Forbidden: may not specify both ipBlock and another peer",
    ],
  ],
  [
    "from blocks that are none",
    {
      "spec.ingress.0.from": [
        { ipBlock: { cidr: "" } },
        { ipBlock: { cidr: "x" } },
        { ipBlock: { cidr: "10.0.0.0/8", except: ["11.0.0.0/16"] } },
        { ipBlock: { cidr: "10.0.0.0/08", except: ["11.0.0.0/16"] } },
        { ipBlock: { cidr: "10.0.0.1/8", except: ["010.0.0.0/16", "11.0.0.1/16"] } },
        { ipBlock: { cidr: "::ffff:10.0.0.0/104" } },
      ],
    },
    [
      "spec.ingress[0].from[0].ipBlock.cidr: Required value",
      `spec.ingress[0].from[1].ipBlock.cidr: Invalid value: "x": ${notACidr}`,
      'spec.ingress[0].from[2].ipBlock.except[0]: Invalid value: "11.0.0.0/16": must be a strict subset of `cidr`',
      'spec.ingress[0].from[3].ipBlock.cidr: Invalid value: "10.0.0.0/08": must not have leading 0s in IP or prefix length',
      'spec.ingress[0].from[4].ipBlock.cidr: Invalid value: "10.0.0.1/8": must not have bits set beyond the prefix length',
      'spec.ingress[0].from[4].ipBlock.except[0]: Invalid value: "010.0.0.0/16": must not have leading 0s in IP or prefix length',
      'spec.ingress[0].from[4].ipBlock.except[1]: Invalid value: "11.0.0.1/16": must not have bits set beyond the prefix length',
      'spec.ingress[0].from[4].ipBlock.except[1]: Invalid value: "11.0.0.1/16": must be a strict subset of `cidr`',
      'spec.ingress[0].from[5].ipBlock.cidr: Invalid value: "::ffff:10.0.0.0/104": must not have an IPv4-mapped IPv6 address',
    ],
  ],
  [
    "in directions nobody knows",
    { "spec.policyTypes": ["Sideways"] },
    ['spec.policyTypes[0]: Unsupported value: "Sideways": supported values: "Ingress", "Egress"'],
  ],
]);
const parentRef = { resource: "services", namespace: "a", name: "b" };
refuses(ipAddresses, { metadata: { name: "10.0.0.1" }, spec: { parentRef } }, [
  ["of nobody", { spec: {} }, ["spec.parentRef: Required value"]],
  [
    "of somebody without a name",
    { "spec.parentRef": { group: "A", resource: "", name: "a/b" } },
    [
      `spec.parentRef.group: Invalid value: "A": ${subdomain}`,
      "spec.parentRef.resource: Required value",
      "spec.parentRef.name: Invalid value: \"a/b\": may not contain '/'",
    ],
  ],
]);
refuses(serviceCidrs, { metadata: cluster, spec: { cidrs: ["10.0.0.0/16"] } }, [
  ["of nothing", { "spec.cidrs": [] }, ["spec.cidrs: Required value: at least one CIDR required"]],
  ["that is none", { "spec.cidrs": ["x"] }, [`spec.cidrs[0]: Invalid value: "x": ${notACidr}`]],
  [
    "of two of a kind",
    { "spec.cidrs": ["10.0.0.0/16", "10.1.0.0/16"] },
    [
      'spec.cidrs: Invalid value: {"CIDRs":["10.0.0.0/16","10.1.0.0/16"]}: may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64',
    ],
  ],
  [
    "of more than there are families",
    { "spec.cidrs": ["10.0.0.0/16", "fd00::/108", "fd01::/108"] },
    ['spec.cidrs: Invalid value: {"CIDRs":["10.0.0.0/16","fd00::/108","fd01::/108"]}: may only hold up to 2 values'],
  ],
  [
    "with bits beyond its prefix",
    { "spec.cidrs": ["10.0.0.1/16"] },
    ['spec.cidrs[0]: Invalid value: "10.0.0.1/16": must not have bits set beyond the prefix length'],
  ],
  [
    "in a form of its own",
    { "spec.cidrs": ["FD00::/108"] },
    ['spec.cidrs[0]: Invalid value: "FD00::/108": must be in canonical form ("fd00::/108")'],
  ],
]);
refusesChanges(serviceCidrs, { metadata: cluster, spec: { cidrs: ["10.0.0.0/16"] } }, [
  ["may give it a second family", { "spec.cidrs": ["10.0.0.0/16", "fd00::/108"] }, []],
  [
    "may not give it another range",
    { "spec.cidrs": ["10.1.0.0/16"] },
    ['spec.cidrs[0]: Invalid value: "10.1.0.0/16": field is immutable'],
  ],
  [
    "may not take a family away",
    { "spec.cidrs": ["10.0.0.0/16"] },
    ['spec.cidrs: Invalid value: ["10.0.0.0/16"]: field is immutable'],
    { "spec.cidrs": ["10.0.0.0/16", "fd00::/108"] },
  ],
]);

// Policy, RBAC, scheduling, coordination

const rule = { apiGroups: [""], resources: ["pods"], verbs: ["get"] };
refuses(roles, { metadata, rules: [rule] }, [
  [
    "that allows nothing",
    { "rules.0.verbs": [] },
    ["rules[0].verbs: Required value: verbs must contain at least one value"],
  ],
  [
    "about nothing",
    { rules: [{ verbs: ["get"] }] },
    [
      "rules[0].apiGroups: Required value: resource rules must supply at least one api group",
      "rules[0].resources: Required value: resource rules must supply at least one resource",
    ],
  ],
  [
    "beyond its namespace",
    { rules: [{ verbs: ["get"], nonResourceURLs: ["/x"] }] },
    ['rules[0].nonResourceURLs: Invalid value: ["/x"]: namespaced rules cannot apply to non-resource URLs'],
  ],
]);
refuses(clusterRoles, { metadata: cluster, rules: [rule] }, [
  [
    "about paths and things at once",
    { "rules.0.nonResourceURLs": ["/x"] },
    [
      'rules[0].nonResourceURLs: Invalid value: ["/x"]: rules cannot apply to both regular resources and non-resource URLs',
    ],
  ],
  [
    "put together of nothing",
    { aggregationRule: {} },
    [
      "aggregationRule.clusterRoleSelectors: Required value: at least one clusterRoleSelector required if aggregationRule is non-nil",
    ],
  ],
]);
const binding = { metadata, roleRef: { kind: "Role", name: "r" }, subjects: [{ kind: "User", name: "u" }] };
refuses(roleBindings, binding, [
  [
    "of no role",
    { roleRef: { kind: "Foo", name: "", apiGroup: "x" } },
    [
      'roleRef.apiGroup: Unsupported value: "x": supported values: "rbac.authorization.k8s.io"',
      'roleRef.kind: Unsupported value: "Foo": supported values: "Role", "ClusterRole"',
      "roleRef.name: Required value",
    ],
  ],
  [
    "of nobody",
    {
      subjects: [
        { kind: "Robot", name: "" },
        { kind: "User", name: "u", apiGroup: "x" },
        { kind: "ServiceAccount", name: "A" },
      ],
    },
    [
      "subjects[0].name: Required value",
      'subjects[0].kind: Unsupported value: "Robot": supported values: "ServiceAccount", "User", "Group"',
      'subjects[1].apiGroup: Unsupported value: "x": supported values: "rbac.authorization.k8s.io"',
      `subjects[2].name: Invalid value: "A": ${subdomain}`,
    ],
  ],
]);
refusesChanges(roleBindings, binding, [
  ["may add people", { "subjects.1": { kind: "Group", name: "g" } }, []],
  [
    "may not be of another role",
    { "roleRef.name": "s" },
    [
      'roleRef: Invalid value: {"APIGroup":"rbac.authorization.k8s.io","Kind":"Role","Name":"s"}: cannot change roleRef',
    ],
  ],
]);
refuses(clusterRoleBindings, { ...binding, metadata: cluster, roleRef: { kind: "ClusterRole", name: "r" } }, [
  [
    "of a role somewhere, for an account nowhere",
    { "roleRef.kind": "Role", subjects: [{ kind: "ServiceAccount", name: "a" }] },
    [
      'roleRef.kind: Unsupported value: "Role": supported values: "ClusterRole"',
      "subjects[0].namespace: Required value",
    ],
  ],
]);

// Autoscaling

const cpu = { type: "Resource", resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 80 } } };
const scaler = {
  metadata,
  spec: { scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "web" }, maxReplicas: 5, metrics: [cpu] },
};
refuses(horizontalPodAutoscalers, scaler, [
  [
    "of nothing",
    { "spec.scaleTargetRef": { kind: "", name: "a/b" } },
    [
      "spec.scaleTargetRef.kind: Required value",
      "spec.scaleTargetRef.name: Invalid value: \"a/b\": may not contain '/'",
      'spec.scaleTargetRef.apiVersion: Invalid value: "": apiVersion must specify API group',
    ],
  ],
  [
    "of a version that is none",
    { "spec.scaleTargetRef.apiVersion": "a/b/c" },
    ['spec.scaleTargetRef.apiVersion: Invalid value: "a/b/c": unexpected GroupVersion string: a/b/c'],
  ],
  [
    "by containers and by things outside that cannot be",
    {
      "spec.metrics": [
        {
          type: "ContainerResource",
          containerResource: { name: "cpu", container: "A", target: { type: "Utilization", averageUtilization: 1 } },
        },
        {
          type: "External",
          external: { metric: { name: "m" }, target: { type: "Value", value: "1", averageValue: "1" } },
        },
      ],
    },
    [
      `spec.metrics[0].containerResource.container: Invalid value: "A": ${label}`,
      "spec.metrics[1].external.target.value: Forbidden: may not set both a target value for metric and a per-pod target",
    ],
  ],
  [
    "with a tolerance below nothing",
    {
      "spec.behavior.scaleUp": { tolerance: "-0.1", policies: [{ type: "Pods", value: 1, periodSeconds: 1 }] },
    },
    ['spec.behavior.scaleUp.tolerance: Invalid value: "-0.1": must be greater than or equal to 0'],
  ],
  [
    "to fewer than it may",
    { "spec.minReplicas": 6 },
    ["spec.maxReplicas: Invalid value: 5: must be greater than or equal to `minReplicas`"],
  ],
  [
    "to none",
    { "spec.minReplicas": 0 },
    [
      "spec.minReplicas: Invalid value: 0: must be greater than or equal to 1",
      "spec.metrics: Forbidden: must specify at least one Object or External metric to support scaling to zero replicas",
    ],
  ],
  [
    "by measures nobody knows",
    { "spec.metrics": [{ type: "Mood" }, { type: "" }] },
    // Upstream says it once for the type and once for what belongs to it.
    [
      'spec.metrics[0].type: Unsupported value: "Mood": supported values: "ContainerResource", "External", "Object", "Pods", "Resource"',
      'spec.metrics[0].type: Unsupported value: "Mood": supported values: "ContainerResource", "External", "Object", "Pods", "Resource"',
      "spec.metrics[1].type: Required value: must specify a metric source type",
      'spec.metrics[1].type: Unsupported value: "": supported values: "ContainerResource", "External", "Object", "Pods", "Resource"',
      'spec.metrics[1].type: Unsupported value: "": supported values: "ContainerResource", "External", "Object", "Pods", "Resource"',
    ],
  ],
  [
    "by a measure without a target",
    { "spec.metrics.0.resource.target": { type: "Utilization" } },
    [
      "spec.metrics[0].resource.target.averageUtilization: Required value: must set either a target raw value or a target utilization",
    ],
  ],
  [
    "in steps that are none",
    {
      "spec.behavior.scaleDown": {
        stabilizationWindowSeconds: 3601,
        selectPolicy: "Some",
        policies: [{ type: "Percent", value: 0, periodSeconds: 1801 }],
      },
    },
    [
      "spec.behavior.scaleDown.stabilizationWindowSeconds: Invalid value: 3601: must be less than or equal to 3600",
      'spec.behavior.scaleDown.selectPolicy: Unsupported value: "Some": supported values: "Disabled", "Max", "Min"',
      "spec.behavior.scaleDown.policies[0].value: Invalid value: 0: must be greater than zero",
      "spec.behavior.scaleDown.policies[0].periodSeconds: Invalid value: 1801: must be less than or equal to 1800",
    ],
  ],
]);
refuses(
  horizontalPodAutoscalersV1,
  { metadata, spec: { scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "web" }, maxReplicas: 5 } },
  [
    [
      "without a maximum",
      { "spec.maxReplicas": 0 },
      [
        "spec.maxReplicas: Required value: must be set and greater than 0",
        "spec.maxReplicas: Invalid value: 0: must be greater than or equal to `minReplicas`",
      ],
    ],
  ],
);

// Dynamic resources

const claim = { devices: { requests: [{ name: "gpu", exactly: { deviceClassName: "gpu.test" } }] } };
refuses(deviceClasses, { metadata: cluster, spec: {} }, [
  [
    "by rules that are none, told by nobody",
    {
      spec: { selectors: [{}], config: [{ opaque: { driver: "", parameters: "x" } }, {}], extendedResourceName: "cpu" },
    },
    [
      "spec.selectors[0].cel: Required value",
      "spec.config[0].opaque.driver: Required value",
      'spec.config[0].opaque.parameters: Invalid value: "<value omitted>": must be a valid JSON object',
      "spec.config[1].opaque: Required value",
      'spec.extendedResourceName: Invalid value: "cpu": must be a valid extended resource name',
    ],
  ],
]);
refuses(resourceClaims, { metadata, spec: claim }, [
  [
    "for nothing",
    { "spec.devices.requests": [{ name: "" }, { name: "A", exactly: {} }] },
    [
      `spec.devices.requests[0].name: Invalid value: "": ${label}`,
      "spec.devices.requests[0]: Required value: exactly one of `exactly` or `firstAvailable` is required",
      `spec.devices.requests[1].name: Invalid value: "A": ${label}`,
      "spec.devices.requests[1].exactly.deviceClassName: Required value",
    ],
  ],
  [
    "for one thing under one name twice",
    { "spec.devices.requests.1": { name: "gpu", exactly: { deviceClassName: "gpu.test" } } },
    ['spec.devices.requests[1]: Duplicate value: "gpu"'],
  ],
  [
    "for some, all of them",
    { "spec.devices.requests.0.exactly": { deviceClassName: "c", allocationMode: "All", count: 2 } },
    ["spec.devices.requests[0].exactly.count: Invalid value: 2: must not be specified when allocationMode is 'All'"],
  ],
  [
    "for a number nobody knows, or for none",
    {
      "spec.devices.requests.0": {
        name: "gpu",
        firstAvailable: [
          { name: "a", deviceClassName: "c", allocationMode: "Some" },
          { name: "b", deviceClassName: "c", count: -1 },
        ],
      },
    },
    [
      'spec.devices.requests[0].firstAvailable[0].allocationMode: Unsupported value: "Some": supported values: "All", "ExactCount"',
      "spec.devices.requests[0].firstAvailable[1].count: Invalid value: -1: must be greater than zero",
    ],
  ],
  [
    "with conditions about what it does not ask for",
    { "spec.devices.constraints": [{ requests: ["zz"] }, { matchAttribute: "model" }] },
    [
      "spec.devices.constraints[0].requests[0]: Invalid value: \"zz\": must be the name of a request in the claim or the name of a request and a subrequest separated by '/'",
      'spec.devices.constraints[0]: Required value: exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set',
      'spec.devices.constraints[1].matchAttribute: Invalid value: "model": a fully qualified name must be a domain and a name separated by a slash',
    ],
  ],
]);
const result = { request: "gpu", driver: "gpu.test", pool: "n1", device: "d0" };
refusesChanges(
  resourceClaims,
  { metadata, spec: claim },
  [
    [
      "may not give what was not asked for",
      { "status.allocation.devices.results": [{ request: "zz", driver: "", pool: "", device: "A", shareID: "x" }] },
      [
        "status.allocation.devices.results[0].request: Invalid value: \"zz\": must be the name of a request in the claim or the name of a request and a subrequest separated by '/'",
        "status.allocation.devices.results[0].driver: Required value",
        "status.allocation.devices.results[0].pool: Required value",
        `status.allocation.devices.results[0].device: Invalid value: "A": ${label}`,
        'status.allocation.devices.results[0].shareID: Invalid value: "x": error validating uid: invalid UUID length: 1',
      ],
    ],
    [
      "may not report on what is not allocated, nor what is no address",
      {
        "status.devices": [
          { ...result, request: undefined, device: "d1" },
          { ...result, request: undefined, data: "x", networkData: { ips: ["10.0.0.1", "2001:DB8::1/64"] } },
        ],
      },
      [
        'status.devices[0]: Invalid value: "gpu.test/n1/d1": must be an allocated device in the claim',
        'status.devices[1].data: Invalid value: "<value omitted>": must be a valid JSON object',
        'status.devices[1].networkData.ips[0]: Invalid value: "10.0.0.1": must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)',
        'status.devices[1].networkData.ips[1]: Invalid value: "2001:DB8::1/64": must be in canonical form ("2001:db8::1/64")',
      ],
      { "status.allocation.devices.results": [result] },
    ],
    [
      "may not give it to another once it is given",
      { "status.allocation.devices.results.0.device": "d1" },
      [expect.stringMatching(/^status.allocation: Invalid value: .*: field is immutable$/)],
      { "status.allocation.devices.results": [result] },
    ],
  ],
  "status",
);
refusesChanges(resourceClaims, { metadata, spec: claim }, [
  [
    "may not ask for something else",
    { "spec.devices.requests.0.exactly.count": 2 },
    [expect.stringMatching(/^spec: Invalid value: .*: field is immutable$/)],
  ],
]);
refuses(resourceClaimTemplates, { metadata, spec: { spec: claim } }, [
  [
    "for nothing",
    { "spec.spec.devices.requests.0.exactly.deviceClassName": "" },
    ["spec.spec.devices.requests[0].exactly.deviceClassName: Required value"],
  ],
]);
const slice = {
  metadata: cluster,
  spec: { driver: "gpu.test", nodeName: "n1", pool: { name: "n1", generation: 1, resourceSliceCount: 1 } },
};
refuses(resourceSlices, slice, [
  [
    "of nobody, in no pool",
    { "spec.driver": "", "spec.pool": { name: "", generation: -1, resourceSliceCount: 0 } },
    [
      "spec.driver: Required value",
      "spec.pool.name: Required value",
      "spec.pool.resourceSliceCount: Invalid value: 0: must be greater than zero",
      "spec.pool.generation: Invalid value: -1: must be greater than or equal to zero",
    ],
  ],
  [
    "nowhere",
    { "spec.nodeName": undefined },
    [
      "spec: Required value: exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required",
    ],
  ],
  [
    "everywhere and somewhere",
    { "spec.allNodes": true },
    [
      'spec: Invalid value: "{`nodeName`, `allNodes`}": exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required, but multiple fields are set',
    ],
  ],
  [
    "with devices of one name and no qualities",
    {
      "spec.devices": [
        { name: "a", attributes: { model: {} } },
        { name: "a", attributes: { "9x": { int: 1 } } },
      ],
    },
    [
      'spec.devices[0].attributes[model]: Invalid value: "": exactly one value must be specified',
      expect.stringContaining('spec.devices[1].attributes: Invalid value: "9x": a valid C identifier'),
      'spec.devices[1]: Duplicate value: "a"',
    ],
  ],
  [
    "with devices and counters that name nothing",
    {
      "spec.devices": [
        { name: "a", consumesCounters: [{ counterSet: "", counters: {} }], taints: [{ effect: "Gone" }] },
      ],
      "spec.sharedCounters": [{ name: "A", counters: { B: { value: "1" } } }],
    },
    [
      'spec: Invalid value: "": only one of `sharedCounters` or `devices` is allowed',
      'spec.devices[0].taints[0].key: Invalid value: "": name part must be non-empty',
      expect.stringContaining('spec.devices[0].taints[0].key: Invalid value: "": name part must consist of'),
      'spec.devices[0].taints[0].effect: Unsupported value: "Gone": supported values: "NoExecute", "NoSchedule", "None"',
      "spec.devices[0].consumesCounters[0].counterSet: Required value",
      "spec.devices[0].consumesCounters[0].counters: Required value",
      `spec.sharedCounters[0].name: Invalid value: "A": ${label}`,
      `spec.sharedCounters[0].counters: Invalid value: "B": ${label}`,
    ],
  ],
  [
    "with devices that are each somewhere",
    {
      "spec.devices": [
        { name: "a", nodeName: "n1" },
        { name: "b", bindingConditions: ["x"] },
        { name: "c", bindingConditions: ["x", "x"], bindingFailureConditions: ["x"] },
      ],
    },
    [
      "spec.devices[0]: Invalid value: null: `nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec",
      "spec.devices[1].bindingFailureConditions: Invalid value: null: bindingFailureConditions are required to use bindingConditions",
      'spec.devices[2].bindingConditions[1]: Duplicate value: "x"',
      'spec.devices[2].bindingFailureConditions[0]: Invalid value: "x": bindingFailureConditions must not overlap with bindingConditions',
    ],
  ],
  [
    "with portions that its devices do not have",
    {
      "spec.devices": [
        { name: "a", capacity: { memory: { value: "1Gi", requestPolicy: { default: "1Gi" } } } },
        {
          name: "b",
          allowMultipleAllocations: true,
          attributes: { v: { version: "1.2" } },
          capacity: {
            cores: { value: "8", requestPolicy: { default: "3", validValues: ["4", "2", "16"] } },
            memory: {
              value: "8Gi",
              requestPolicy: { default: "3Gi", validRange: { min: "2Gi", max: "16Gi", step: "2Gi" } },
            },
          },
        },
      ],
    },
    [
      "spec.devices[0].capacity[memory].requestPolicy: Forbidden: allowMultipleAllocations must be true",
      'spec.devices[1].attributes[v].version: Invalid value: "1.2": must be a string compatible with semver.org spec 2.0.0',
      'spec.devices[1].capacity[cores].requestPolicy.validValues[1]: Invalid value: "2": values must be sorted in ascending order',
      'spec.devices[1].capacity[cores].requestPolicy.validValues[2]: Invalid value: "16": option is larger than capacity value: 8',
      'spec.devices[1].capacity[cores].requestPolicy.validValues: Invalid value: "3": default value is not valid according to the requestPolicy',
      'spec.devices[1].capacity[memory].requestPolicy.validRange.max: Invalid value: "16Gi": max is larger than capacity value: 8Gi',
      'spec.devices[1].capacity[memory].requestPolicy.validRange.step: Invalid value: "3Gi": value is not a multiple of a given step (2Gi) from (2Gi)',
    ],
  ],
]);
refusesChanges(resourceSlices, slice, [
  [
    "may not be of another",
    { "spec.driver": "b", "spec.nodeName": "n2" },
    [`spec.driver: Invalid value: "b": ${stands}`, `spec.nodeName: Invalid value: "n2": ${stands}`],
  ],
]);

const selecting = (expression: string) => ({ "spec.selectors": [{ cel: { expression } }] });
const place = "spec.selectors[0].cel.expression";

refuses(deviceClasses, { metadata: cluster, spec: { selectors: [{ cel: { expression: "true" } }] } }, [
  ...[
    'device.driver == "gpu.example.com"',
    'device.attributes["gpu.example.com"].model == "a100" && device.capacity["gpu.example.com"].memory.isGreaterThan(quantity("40Gi"))',
    'device.attributes["gpu.example.com"].healthy',
    '"gpu.example.com" in device.attributes && device.attributes["gpu.example.com"].?version.orValue("") == "1"',
    "device.allowMultipleAllocations",
    'cel.bind(a, device.attributes["x.test"], a.b == 1)',
  ].map((fine) => [`not, that selects by ${fine}`, selecting(fine), []] as const),
  [
    "that selects by what is no word",
    selecting("devise.driver == 'a'"),
    [
      `${place}: Invalid value: "devise.driver == 'a'": compilation failed: ERROR: <input>:1:1: undeclared reference to 'devise' (in container '')\n | devise.driver == 'a'\n | ^`,
    ],
  ],
  [
    "that selects by a field that devices have not",
    selecting("device.colour == 'a'"),
    [expect.stringContaining("compilation failed: ERROR: <input>:1:7: undefined field 'colour'")],
  ],
  [
    "that selects by a text",
    selecting("device.driver"),
    [`${place}: Invalid value: "device.driver": must evaluate to bool or the unknown type, not string`],
  ],
  ["that selects by half a sentence", selecting("true &&"), [expect.stringContaining("compilation failed: ERROR: ")]],
]);
