import { generateKeyPairSync } from "node:crypto";
import { expect, it } from "vitest";
import { changeWarningsOf } from "../testing/problems-of.ts";
import { warns } from "../testing/refusals.ts";
import { customResourceDefinitions } from "./apiextensions/custom-resource-definition.ts";
import { deployments } from "./apps/deployment.ts";
import { statefulSets } from "./apps/stateful-set.ts";
import { cronJobs } from "./batch/cron-job.ts";
import { jobs } from "./batch/job.ts";
import { endpoints } from "./core/endpoints.ts";
import { nodes } from "./core/node.ts";
import { persistentVolumes } from "./core/persistent-volume.ts";
import { persistentVolumeClaims } from "./core/persistent-volume-claim.ts";
import { pods } from "./core/pod.ts";
import { secrets } from "./core/secret.ts";
import { services } from "./core/service.ts";
import { serviceAccounts } from "./core/service-account.ts";
import { endpointSlices } from "./discovery/endpoint-slice.ts";
import { ingresses } from "./networking/ingress.ts";
import { networkPolicies } from "./networking/network-policy.ts";
import { runtimeClasses } from "./node/runtime-class.ts";
import { csiStorageCapacities } from "./storage/csi.ts";
import { storageClasses } from "./storage/storage-class.ts";

const container = { name: "web", image: "nginx:1.27" };
const term = { matchExpressions: [{ key: "beta.kubernetes.io/os", operator: "In", values: ["linux"] }] };
const osKey = 'beta.kubernetes.io/os is deprecated since v1.14; use "kubernetes.io/os" instead';
const nullSelector = "a null labelSelector results in matching no pod";
const annotation = "metadata.annotations.";

warns(pods, { metadata: {}, spec: { containers: [container] } }, [
  [
    "that its name makes no hostname",
    { "metadata.name": "a.b" },
    [
      "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: [must not contain dots]",
    ],
  ],
  [
    "that nodes' labels have other names now",
    {
      "spec.nodeSelector": { "beta.kubernetes.io/arch": "amd64", "node-role.kubernetes.io/master": "" },
      "spec.affinity.nodeAffinity": {
        requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [term] },
        preferredDuringSchedulingIgnoredDuringExecution: [
          { weight: 1, preference: { matchExpressions: [{ key: "a", operator: "In", values: ["-"] }] } },
        ],
      },
      "spec.topologySpreadConstraints": [
        {
          maxSkew: 1,
          topologyKey: "failure-domain.beta.kubernetes.io/zone",
          whenUnsatisfiable: "DoNotSchedule",
          labelSelector: {},
        },
      ],
    },
    [
      'spec.nodeSelector[beta.kubernetes.io/arch]: deprecated since v1.14; use "kubernetes.io/arch" instead',
      'spec.nodeSelector[node-role.kubernetes.io/master]: use "node-role.kubernetes.io/control-plane" instead',
      `spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].key: ${osKey}`,
      "spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference.matchExpressions[0].values[0]: - is invalid, a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
      'spec.topologySpreadConstraints[0].topologyKey: failure-domain.beta.kubernetes.io/zone is deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
    ],
  ],
  [
    "that selectors which are not there choose nothing",
    {
      "spec.topologySpreadConstraints": [
        { maxSkew: 1, topologyKey: "kubernetes.io/hostname", whenUnsatisfiable: "DoNotSchedule" },
      ],
      "spec.affinity": {
        podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: "zone" }] },
        podAntiAffinity: {
          preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 1, podAffinityTerm: { topologyKey: "zone" } }],
        },
      },
    },
    [
      `spec.topologySpreadConstraints[0].labelSelector: ${nullSelector}`,
      `spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].labelSelector: ${nullSelector}`,
      `spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm.labelSelector: ${nullSelector}`,
    ],
  ],
  [
    "that annotations do nothing any more",
    {
      "metadata.annotations": {
        "scheduler.alpha.kubernetes.io/critical-pod": "",
        "seccomp.security.alpha.kubernetes.io/pod": "runtime/default",
        "container.seccomp.security.alpha.kubernetes.io/web": "unconfined",
        "container.apparmor.security.beta.kubernetes.io/web": "runtime/default",
      },
    },
    [
      'metadata.annotations[container.apparmor.security.beta.kubernetes.io/web]: deprecated since v1.30; use the "appArmorProfile" field instead',
      'metadata.annotations[scheduler.alpha.kubernetes.io/critical-pod]: non-functional in v1.16+; use the "priorityClassName" field instead',
      'metadata.annotations[seccomp.security.alpha.kubernetes.io/pod]: non-functional in v1.27+; use the "seccompProfile" field instead',
      'metadata.annotations[container.seccomp.security.alpha.kubernetes.io/web]: non-functional in v1.27+; use the "seccompProfile" field instead',
    ],
  ],
  [
    "that volumes cannot be mounted any more",
    {
      "spec.volumes": [
        { name: "a", gitRepo: { repository: "x" } },
        { name: "b", storageos: { volumeName: "x" } },
        {
          name: "c",
          ephemeral: {
            volumeClaimTemplate: {
              spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1500m" } } },
            },
          },
        },
      ],
    },
    [
      "spec.volumes[0].gitRepo: deprecated in v1.11, and disabled by default in v1.33+",
      "spec.volumes[1].storageOS: deprecated in v1.22, non-functional in v1.25+",
      'spec.volumes[2].ephemeral.volumeClaimTemplate.spec.resources.requests[storage]: fractional byte value "1500m" is invalid, must be an integer',
    ],
  ],
  [
    "that files of volumes hide each other",
    {
      "spec.volumes": [
        {
          name: "a",
          configMap: {
            name: "x",
            items: [
              { key: "k", path: "p/" },
              { key: "l", path: "p/q" },
            ],
          },
        },
        {
          name: "b",
          projected: {
            sources: [
              { secret: { name: "s", items: [{ key: "k", path: "token" }] } },
              { serviceAccountToken: { path: "token" } },
              {},
            ],
          },
        },
      ],
    },
    [
      'volume "a" (ConfigMap "x"): overlapping paths: "p/q" with "p"',
      'volume "b" (Projected): overlapping paths: "token" (ServiceAccountToken) with "token" (Secret "s")',
      'volume "b" (Projected) has no sources provided',
    ],
  ],
  [
    "of what it says twice",
    {
      "spec.hostAliases": [{ ip: "10.0.0.1" }, { ip: "10.0.0.1" }],
      "spec.imagePullSecrets": [{ name: "a" }, { name: "a" }, {}],
    },
    [
      'spec.hostAliases[1].ip: duplicate ip "10.0.0.1"',
      'spec.imagePullSecrets[1].name: duplicate name "a"',
      'spec.imagePullSecrets[2].name: invalid empty name ""',
    ],
  ],
  [
    "of fractions of bytes",
    {
      "spec.overhead": { memory: "1100m" },
      "spec.containers.0.resources": {
        limits: { memory: "1200m", "ephemeral-storage": "1300m" },
        requests: { memory: "1100m", "ephemeral-storage": "1300m" },
      },
    },
    [
      'spec.overhead[memory]: fractional byte value "1100m" is invalid, must be an integer',
      'spec.containers[0].resources.limits[memory]: fractional byte value "1200m" is invalid, must be an integer',
      'spec.containers[0].resources.requests[memory]: fractional byte value "1100m" is invalid, must be an integer',
      'spec.containers[0].resources.limits[ephemeral-storage]: fractional byte value "1300m" is invalid, must be an integer',
      'spec.containers[0].resources.requests[ephemeral-storage]: fractional byte value "1300m" is invalid, must be an integer',
    ],
  ],
  [
    "of variables that hide others, but not of those that add to them",
    {
      "spec.containers.0.env": [
        { name: "A", value: "x" },
        { name: "A", value: "$(A)y" },
        { name: "A", value: "$(A)" },
        { name: "A", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
      ],
    },
    [
      'spec.containers[0].env[2]: hides previous definition of "A", which may be dropped when using apply',
      'spec.containers[0].env[3]: hides previous definition of "A", which may be dropped when using apply',
    ],
  ],
  [
    "of ports that are there twice",
    {
      "spec.initContainers": [{ ...container, name: "init", ports: [{ containerPort: 9090, name: "http" }] }],
      "spec.containers.0.ports": [{ containerPort: 80, name: "http", hostIP: "10.0.0.1" }],
      "spec.containers.1": { ...container, name: "b", ports: [{ containerPort: 80, name: "http", hostPort: 80 }] },
    },
    [
      "spec.containers[0].ports[0]: hostIP set without hostPort: {Name:http HostPort:0 ContainerPort:80 Protocol:TCP HostIP:10.0.0.1}",
      "spec.containers[1].ports[0]: overlapping port definition with spec.containers[0].ports[0]",
      'spec.containers[1].ports[0]: duplicate port name "http" with spec.containers[0].ports[0], services and probes that select ports by name will use spec.containers[0].ports[0]',
    ],
  ],
  [
    "of odd times and addresses",
    {
      "spec.dnsConfig": { nameservers: ["2001:DB8::1"] },
      "spec.hostAliases": [{ ip: "2001:db8:0:0::1" }],
    },
    [
      'spec.dnsConfig.nameservers[0]: IPv6 address "2001:DB8::1" should be in RFC 5952 canonical format ("2001:db8::1")',
      'spec.hostAliases[0].ip: IPv6 address "2001:db8:0:0::1" should be in RFC 5952 canonical format ("2001:db8::1")',
    ],
  ],
]);

const podsName =
  "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended: [must not contain dots]";
const template = { metadata: { labels: { app: "web" } }, spec: { containers: [container] } };
const workload = { metadata: {}, spec: { selector: { matchLabels: { app: "web" } }, template } };
warns(deployments, workload, [
  ["that pods are named after it", { "metadata.name": "a.b" }, [podsName]],
  [
    "of a time to end that its pods will not have",
    { "spec.template.spec.terminationGracePeriodSeconds": -1 },
    [
      "spec.template.spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1",
    ],
  ],
  [
    "of annotations of its template",
    {
      [`spec.template.${annotation}`.slice(0, -1)]: {
        "container.apparmor.security.beta.kubernetes.io/web": "unconfined",
      },
    },
    [
      'spec.template.metadata.annotations[container.apparmor.security.beta.kubernetes.io/web]: deprecated since v1.30; use the "appArmorProfile" field instead',
    ],
  ],
]);
warns(statefulSets, { ...workload, spec: { ...workload.spec, serviceName: "web" } }, [
  [
    "of its claims and of how many revisions it keeps",
    {
      "spec.volumeClaimTemplates": [{ metadata: { name: "a" }, spec: { resources: { limits: { storage: "1m" } } } }],
      "spec.revisionHistoryLimit": -1,
    },
    [
      'spec.volumeClaimTemplates[0].resources.limits[storage]: fractional byte value "1m" is invalid, must be an integer',
      "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended",
    ],
  ],
]);
const jobSpec = { template: { spec: { restartPolicy: "Never", containers: [container] } } };
const tooMany =
  "In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes might not be able to track completedIndexes when a big number of indexes fail";
const many = { completionMode: "Indexed", completions: 100_001, parallelism: 10_001 };
warns(jobs, { metadata: {}, spec: jobSpec }, [
  ["that pods are named after it", { "metadata.name": "a.b" }, [podsName]],
  ["of more indexes than can be counted", { spec: { ...jobSpec, ...many } }, [`spec: ${tooMany}`]],
]);
warns(cronJobs, { metadata: {}, spec: { schedule: "* * * * *", jobTemplate: { spec: jobSpec } } }, [
  ["of its Jobs", { "spec.jobTemplate.spec": { ...jobSpec, ...many } }, [`spec.jobTemplate.spec: ${tooMany}`]],
]);

it("a workload is spoken of again only when its spec changes", () => {
  const object = { ...workload, metadata: { name: "a.b" } };
  const spread = { maxSkew: 1, topologyKey: "zone", whenUnsatisfiable: "ScheduleAnyway" };
  const spec = {
    ...workload.spec,
    template: { ...template, spec: { ...template.spec, topologySpreadConstraints: [spread] } },
  };
  expect(changeWarningsOf(deployments, { ...object, spec }, { metadata: { name: "a.b", labels: { x: "y" } } })).toEqual(
    [],
  );
  expect(changeWarningsOf(deployments, object, { spec })).toEqual([
    `spec.template.spec.topologySpreadConstraints[0].labelSelector: ${nullSelector}`,
  ]);
});

warns(services, { metadata: {}, spec: { type: "ClusterIP", ports: [{ port: 80 }] } }, [
  [
    "of fields that do nothing without an address",
    {
      "spec.clusterIP": "None",
      "spec.clusterIPs": ["None"],
      "spec.loadBalancerIP": "2001:0db8::1",
      "spec.externalIPs": ["10.0.0.1"],
      "spec.sessionAffinity": "ClientIP",
    },
    [
      "spec.loadBalancerIP is ignored for headless services",
      "spec.externalIPs is ignored for headless services",
      "spec.SessionAffinity is ignored for headless services",
      "spec.externalIPs is deprecated",
      'spec.loadBalancerIP: IPv6 address "2001:0db8::1" should be in RFC 5952 canonical format ("2001:db8::1")',
    ],
  ],
  [
    "of fields that an alias does not need",
    { spec: { type: "ExternalName", externalName: "example.com", externalIPs: ["2001:DB8::1"] } },
    [
      "spec.externalIPs is deprecated",
      'spec.externalIPs[0]: IPv6 address "2001:DB8::1" should be in RFC 5952 canonical format ("2001:db8::1")',
      'spec.externalIPs is ignored when spec.type is "ExternalName"',
    ],
  ],
  [
    "of what has another name now",
    {
      "metadata.annotations": { "service.kubernetes.io/topology-aware-hints": "auto" },
      "spec.trafficDistribution": "PreferClose",
      "spec.externalName": "example.com",
      "spec.loadBalancerSourceRanges": ["2001:DB8::/32"],
    },
    [
      "annotation service.kubernetes.io/topology-aware-hints is deprecated, please use service.kubernetes.io/topology-mode instead",
      'spec.loadBalancerSourceRanges[0]: IPv6 CIDR value "2001:DB8::/32" should be in RFC 5952 canonical format ("2001:db8::/32")',
      'spec.externalName is ignored when spec.type is not "ExternalName"',
      'spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"',
    ],
  ],
]);

const classAnnotation = "volume.beta.kubernetes.io/storage-class";
const classText = `metadata.annotations[${classAnnotation}]: deprecated since v1.8; use "storageClassName" attribute instead`;
warns(persistentVolumes, { spec: { capacity: { storage: "1Gi" }, accessModes: ["ReadWriteOnce"] } }, [
  [
    "of what is on its way out",
    {
      "metadata.annotations": { [classAnnotation]: "fast" },
      "spec.persistentVolumeReclaimPolicy": "Recycle",
      "spec.nodeAffinity.required.nodeSelectorTerms": [term],
      "spec.rbd": { monitors: ["m"], image: "i" },
    },
    [
      classText,
      "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.",
      `spec.nodeAffinity.required.nodeSelectorTerms[0].matchExpressions[0].key: ${osKey}`,
      "spec.rbd: deprecated in v1.28, non-functional in v1.31+",
    ],
  ],
]);
warns(persistentVolumeClaims, { spec: { resources: { requests: { storage: "1Gi" } } } }, [
  [
    "of its class's annotation and of fractions of bytes",
    { "metadata.annotations": { [classAnnotation]: "fast" }, "spec.resources.requests.storage": "1200m" },
    [classText, 'spec.resources.requests[storage]: fractional byte value "1200m" is invalid, must be an integer'],
  ],
]);

const addressText = (at: string) =>
  `${at}: IPv6 address "2001:DB8::1" should be in RFC 5952 canonical format ("2001:db8::1")`;
warns(endpoints, { metadata: {}, subsets: [{ addresses: [{ ip: "10.0.0.1" }] }] }, [
  ["of addresses' form", { "subsets.0.addresses.0.ip": "2001:DB8::1" }, [addressText("subsets[0].addresses[0].ip")]],
]);
warns(endpointSlices, { metadata: {}, addressType: "IPv6", endpoints: [{ addresses: ["2001:db8::1"] }] }, [
  ["of addresses' form", { "endpoints.0.addresses": ["2001:DB8::1"] }, [addressText("endpoints[0].addresses[0]")]],
  ["that names are no addresses", { addressType: "FQDN" }, ["spec.addressType: FQDN endpoints are deprecated"]],
]);
warns(networkPolicies, { metadata: {}, spec: { podSelector: {}, egress: [{ to: [{ ipBlock: { cidr: "::/0" } }] }] } }, [
  [
    "of blocks' form",
    { "spec.egress.0.to.0.ipBlock.except": ["2001:DB8::/32"] },
    [
      'spec.egress[0].to[0].ipBlock.except[0]: IPv6 CIDR value "2001:DB8::/32" should be in RFC 5952 canonical format ("2001:db8::/32")',
    ],
  ],
]);
warns(nodes, { spec: { podCIDRs: ["fd00::/64"] } }, [
  [
    "of fields that do nothing, and of blocks' form",
    { spec: { externalID: "x", configSource: {}, podCIDRs: ["FD00::/64"] } },
    [
      "spec.configSource: the feature is removed",
      "spec.externalID: this field is deprecated, and is unused by Kubernetes",
      'spec.podCIDRs[0]: IPv6 CIDR value "FD00::/64" should be in RFC 5952 canonical format ("fd00::/64")',
    ],
  ],
]);
warns(ingresses, { metadata: {}, spec: {} }, [
  [
    "that its class has a field",
    { "metadata.annotations": { "kubernetes.io/ingress.class": "nginx" } },
    [`annotation "kubernetes.io/ingress.class" is deprecated, please use 'spec.ingressClassName' instead`],
  ],
]);
warns(serviceAccounts, { metadata: {} }, [
  [
    "that namespaces keep Secrets apart better",
    { "metadata.annotations": { "kubernetes.io/enforce-mountable-secrets": "true" } },
    [
      "metadata.annotations[kubernetes.io/enforce-mountable-secrets]: deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets",
    ],
  ],
]);
warns(runtimeClasses, { handler: "runc" }, [
  [
    "of nodes' old labels",
    { scheduling: { nodeSelector: { "beta.kubernetes.io/os": "linux" } } },
    ['scheduling.nodeSelector: deprecated since v1.14; use "kubernetes.io/os" instead'],
  ],
]);
warns(storageClasses, { provisioner: "x" }, [
  [
    "of nodes' old labels",
    { allowedTopologies: [{ matchLabelExpressions: [{ key: "beta.kubernetes.io/os", values: ["linux"] }] }] },
    ['allowedTopologies[0].matchLabelExpressions[0].key: deprecated since v1.14; use "kubernetes.io/os" instead'],
  ],
]);
warns(csiStorageCapacities, { metadata: {}, storageClassName: "x" }, [
  [
    "of nodes' old labels",
    { nodeTopology: { ...term, matchLabels: { "beta.kubernetes.io/arch": "amd64" } } },
    [
      `nodeTopology.matchExpressions[0].key: ${osKey}`,
      'nodeTopology.matchLabels.beta.kubernetes.io/arch: deprecated since v1.14; use "kubernetes.io/arch" instead',
    ],
  ],
]);

const schema = { type: "object", properties: { spec: { type: "object", properties: {} } } };
const names = { plural: "things", kind: "Thing" };
const version = { name: "v1", served: true, storage: true, schema: { openAPIV3Schema: schema } };
const definition = { spec: { group: "a.test", scope: "Cluster", names, versions: [version] } };
const properties = "spec.versions.0.schema.openAPIV3Schema.properties.spec.properties";
warns(customResourceDefinitions, definition, [
  [
    "of formats that nothing is checked by",
    {
      [properties]: {
        a: { type: "string", format: "email" },
        b: { type: "array", items: { type: "string", format: "mood" } },
        c: { type: "integer", format: "int32" },
        d: { type: "integer", format: "uint8" },
      },
    },
    ['unrecognized format "mood"', 'unrecognized format "uint8"'],
  ],
]);

const encode = (text: string) => Buffer.from(text).toString("base64");
const keyOf = () =>
  generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ type: "pkcs8", format: "pem" }) as string;
// Of nobody: a key made for this test, and a certificate that it signed for itself and that is long expired.
const key = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgDQvvLigwHBw6FKHx
HEpRY16uZSe5IgdzZcOS8gj4GmahRANCAAS3RRZp21v9n24j5iPZx9n1KrA5kVEe
z8pugSt1zgtt3hvq8Y3fiDcFRs5P3RomJFJ0sMLY1yhXNaezYHEd6mJ0
-----END PRIVATE KEY-----
`;
const certificate = `-----BEGIN CERTIFICATE-----
MIIBcDCCARegAwIBAgIUPxWnZfKpaFv25yNX3UkTB9Mu/oMwCgYIKoZIzj0EAwIw
DjEMMAoGA1UEAwwDd2ViMB4XDTI2MTEyMTE1NTcwNloXDTI2MTEyMjE1NTcwNlow
DjEMMAoGA1UEAwwDd2ViMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEt0UWadtb
/Z9uI+Yj2cfZ9SqwOZFRHs/KboErdc4Lbd4b6vGN34g3BUbOT90aJiRSdLDC2Nco
VzWns2BxHepidKNTMFEwHQYDVR0OBBYEFLXLuHKznBdU2IJiBYJL/UWCcQtBMB8G
A1UdIwQYMBaAFLXLuHKznBdU2IJiBYJL/UWCcQtBMA8GA1UdEwEB/wQFMAMBAf8w
CgYIKoZIzj0EAwIDRwAwRAIgdtFjso+PI9en+pFGthtmTCD2q8ZHG4qRO/33nZgO
/uECIFxZlvi7erOS84zSToAtlkPp5kXGzoqWirotMFUTT1Ab
-----END CERTIFICATE-----
`;
const pair = (crt: string, keyText: string) => ({ data: { "tls.crt": encode(crt), "tls.key": encode(keyText) } });
warns(secrets, { metadata: {}, type: "kubernetes.io/tls", ...pair(certificate, key) }, [
  ["that its certificate is none", pair("a", "b"), ["tls: failed to find any PEM data in certificate input"]],
  ["that its key is none", pair(certificate, "b"), ["tls: failed to find any PEM data in key input"]],
  [
    "that they stand in each other's place",
    pair(key, certificate),
    [
      "tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have been switched",
    ],
  ],
  [
    "that its key is a certificate",
    pair(certificate, certificate),
    ["tls: found a certificate rather than a key in the PEM for the private key"],
  ],
  ["that its key is another's", pair(certificate, keyOf()), ["tls: private key does not match public key"]],
]);
