/** A table of broken clusters: each says which fault is to be named, and a word of what mends it. */
import { describe, expect, test } from "vitest";
import { explainPath, type PathFacts, type Probe } from "./explain-path.ts";
import { explainPod, explainWorkload, type WorkloadFacts } from "./explain-pod.ts";
import type { Listener } from "./listeners.ts";
import { printReport } from "./report.ts";
import type { Lookup, Source } from "./route.ts";
import { parseTarget } from "./target.ts";
import { readTraces } from "./trace.ts";
import { carries, keyOf, type PodView, type World } from "./world.ts";

// biome-ignore lint/suspicious/noExplicitAny: parts of API objects, of which only what a case is about is written down
type Part = any;

const merged = (base: Part, part: Part): Part => {
  if (part === undefined) return base;
  if (typeof base !== "object" || typeof part !== "object" || Array.isArray(part) || base === null || part === null)
    return part;
  const keys = new Set([...Object.keys(base), ...Object.keys(part)]);
  return Object.fromEntries(
    [...keys].map((key) => [key, key in part ? part[key] && merged(base[key], part[key]) : base[key]]),
  );
};

const pod = (name: string, ip: string, part: Part = {}): Part =>
  merged(
    {
      metadata: { name, namespace: "default", uid: name, labels: { app: "web" } },
      spec: {
        nodeName: "node-1",
        containers: [{ name: "web", image: "web:1", ports: [{ containerPort: 8080, name: "http" }] }],
      },
      status: {
        phase: "Running",
        podIP: ip,
        conditions: [{ type: "Ready", status: "True" }],
        containerStatuses: [{ name: "web", ready: true, restartCount: 0, image: "web:1", state: { running: {} } }],
      },
    },
    part,
  );

const unready = {
  status: {
    conditions: [{ type: "Ready", status: "False" }],
    containerStatuses: [{ name: "web", ready: false, restartCount: 0, image: "web:1", state: { running: {} } }],
  },
};

const waiting = (reason: string, message = "", part: Part = {}) => ({
  status: {
    phase: "Pending",
    conditions: [{ type: "Ready", status: "False" }],
    containerStatuses: [
      { name: "web", ready: false, restartCount: 3, image: "web:1", state: { waiting: { reason, message } }, ...part },
    ],
  },
});

const unscheduled = (message: string, part: Part = {}) =>
  merged(
    {
      spec: { nodeName: undefined },
      status: {
        phase: "Pending",
        podIP: undefined,
        conditions: [{ type: "PodScheduled", status: "False", reason: "Unschedulable", message }],
        containerStatuses: [],
      },
    },
    part,
  );

const service = (part: Part = {}): Part =>
  merged(
    {
      metadata: { name: "web", namespace: "default" },
      spec: {
        type: "ClusterIP",
        clusterIP: "10.96.0.50",
        selector: { app: "web" },
        ports: [{ port: 80, targetPort: 8080, protocol: "TCP" }],
      },
      status: {},
    },
    part,
  );

const node = (name: string, address: string, part: Part = {}): Part =>
  merged(
    {
      metadata: { name, labels: {} },
      spec: {},
      status: { addresses: [{ type: "InternalIP", address }], conditions: [{ type: "Ready", status: "True" }] },
    },
    part,
  );

const client: Part = pod("client", "10.244.1.9", { metadata: { labels: { app: "client" } } });
const ofBoth = (name: string, podIP: string, ip: string, part: Part = {}): Part =>
  pod(name, podIP, merged({ status: { podIPs: [{ ip: podIP }, { ip }] } }, part));
const client6: Part = ofBoth("client", "10.244.1.9", "fd00:10:244::9", { metadata: { labels: { app: "client" } } });
const web6: Part = ofBoth("web-1", "10.244.1.2", "fd00:10:244::2");
const fromClient: Source = { kind: "pod", pod: client };
const outside: Source = { kind: "outside", address: "172.30.0.1" };

/** The slices that the controller would write for these pods. */
function slicesFor(services: Part[], pods: Part[]): Part[] {
  return services.flatMap((svc) =>
    svc.spec.selector
      ? [
          {
            metadata: {
              name: `${svc.metadata.name}-x`,
              namespace: svc.metadata.namespace,
              labels: { "kubernetes.io/service-name": svc.metadata.name },
            },
            addressType: svc.spec.clusterIPs?.[0]?.includes(":") ? "IPv6" : "IPv4",
            ports: (svc.spec.ports ?? []).flatMap(({ name, port, targetPort }: Part) =>
              typeof (targetPort ?? port) === "string" ? [] : [{ ...(name ? { name } : {}), port: targetPort ?? port }],
            ),
            endpoints: pods
              .filter(
                (p) =>
                  p.metadata.namespace === svc.metadata.namespace &&
                  carries(p.metadata.labels, svc.spec.selector) &&
                  p.status.podIP,
              )
              .filter(() => !(svc.spec.ports ?? []).some(({ targetPort }: Part) => typeof targetPort === "string"))
              .map((p) => {
                const ready =
                  p.status.conditions.some((c: Part) => c.type === "Ready" && c.status === "True") &&
                  !p.metadata.deletionTimestamp;
                return {
                  addresses: [svc.spec.clusterIPs?.[0]?.includes(":") ? p.status.podIPs[1].ip : p.status.podIP],
                  nodeName: p.spec.nodeName,
                  targetRef: { kind: "Pod", name: p.metadata.name },
                  conditions: { ready, serving: ready, terminating: p.metadata.deletionTimestamp !== undefined },
                };
              }),
          },
        ]
      : [],
  );
}

function world(part: Partial<Record<keyof World, Part>> = {}): World {
  const pods = part.pods ?? [
    client,
    pod("web-1", "10.244.1.2"),
    pod("web-2", "10.244.2.2", { spec: { nodeName: "node-2" } }),
  ];
  const services = part.services ?? [service()];
  return {
    network: {
      clusterName: "lab",
      lan: "172.30.0.0/24",
      hostAddress: "172.30.0.1",
      podCIDRs: ["10.244.0.0/16", "fd00:10:244::/56"],
      serviceCIDRs: ["10.96.0.0/16", "fd00:10:96::/112"],
      dnsDomain: "cluster.local",
      loadBalancer: "none",
      ...part.network,
    },
    nodes: [node("node-1", "172.30.0.2"), node("node-2", "172.30.0.3")],
    namespaces: [{ metadata: { name: "default", labels: {} } }, { metadata: { name: "shop", labels: {} } }],
    policies: [],
    pools: [],
    events: [],
    claims: [],
    slices: slicesFor(services, pods),
    ...part,
    services,
    pods,
  } as unknown as World;
}

interface PathCase {
  target: string;
  world?: World;
  source?: Source;
  lookup?: Lookup;
  probe?: Probe["outcome"];
  trace?: string;
  listeners?: Record<string, Listener[]>;
}

const listening = (port: number, address = "0.0.0.0"): Listener[] => [{ protocol: "TCP", address, port }];
const allListen = { "default/web-1": listening(8080), "default/web-2": listening(8080) };
const packet = (destination: string, port: number) =>
  `trace id 1 ip T C packet: ip saddr 10.244.1.9 ip daddr ${destination} tcp sport 5 tcp dport ${port} `;
const rule = (table: string, chain: string, text: string, verdict: string) =>
  `trace id 1 ip ${table} ${chain} rule ${text} (verdict ${verdict})`;

function explain({
  target,
  source = fromClient,
  lookup,
  probe = "refused",
  trace,
  listeners = allListen,
  ...rest
}: PathCase) {
  const [found] = readTraces(trace ?? "");
  const facts: PathFacts = {
    world: rest.world ?? world(),
    source,
    target: parseTarget(target, { namespace: "default" }),
    direct: new Map(),
    listeners: new Map(Object.entries(listeners)),
    ...(lookup ? { lookup } : {}),
    probe: { address: "10.96.0.50", port: 80, outcome: probe },
    ...(found ? { trace: found } : {}),
  };
  return explainPath(facts);
}

const policy = (name: string, spec: Part): Part => ({ metadata: { name, namespace: "default" }, spec });
const nodePort = service({
  spec: { type: "NodePort", ports: [{ port: 80, targetPort: 8080, protocol: "TCP", nodePort: 30080 }] },
});
const balancer = (part: Part = {}) => merged(merged(nodePort, { spec: { type: "LoadBalancer" } }), part);
const unknownName: Lookup = { asked: ["web.default.svc.cluster.local", "web"], addresses: [] };

const paths: Record<string, [code: string, remedy: string, PathCase]> = {
  "a selector that no pod carries": [
    "wrong-selector",
    "set selector service web app=web",
    { target: "svc/web", world: world({ services: [service({ spec: { selector: { app: "wbe" } } })] }) },
  ],
  "a selector whose key is another": [
    "wrong-selector",
    "set selector service web app=web",
    {
      target: "svc/web",
      world: world({
        services: [service({ spec: { selector: { name: undefined, "app.name": "web", app: undefined } } })].map(
          (s) => ({ ...s, spec: { ...s.spec, selector: { "app.name": "web" } } }),
        ),
      }),
    },
  ],
  "pods in another namespace than their Service": [
    "pods-in-another-namespace",
    "shop",
    { target: "svc/web", world: world({ pods: [pod("web-1", "10.244.1.2", { metadata: { namespace: "shop" } })] }) },
  ],
  "a Service whose Deployment was scaled to none": [
    "no-pods",
    "scale",
    { target: "svc/web", world: world({ pods: [] }) },
  ],
  "a Service without selector": [
    "no-selector",
    "set selector",
    {
      target: "svc/web",
      world: world({ services: [{ ...service(), spec: { ...service().spec, selector: undefined } }] }),
    },
  ],
  "a targetPort that nothing listens on": [
    "wrong-target-port",
    '"value":8080',
    {
      target: "svc/web",
      world: world({ services: [service({ spec: { ports: [{ port: 80, targetPort: 80, protocol: "TCP" }] } })] }),
    },
  ],
  "a targetPort by a name that no container has": [
    "no-such-named-port",
    '"value":"http"',
    {
      target: "svc/web",
      world: world({ services: [service({ spec: { ports: [{ port: 80, targetPort: "htpp", protocol: "TCP" }] } })] }),
    },
  ],
  "a program that listens on loopback only": [
    "listens-on-loopback",
    "0.0.0.0:8080",
    {
      target: "svc/web",
      listeners: { "default/web-1": listening(8080, "127.0.0.1"), "default/web-2": listening(8080) },
    },
  ],
  "a program that listens on nothing": [
    "nothing-listens",
    "logs web-1",
    { target: "svc/web", listeners: { "default/web-1": [], "default/web-2": listening(8080) } },
  ],
  "a port that the Service does not have": ["wrong-service-port", "use port 80", { target: "svc/web:8080" }],
  "a Service for UDP that is asked over TCP": [
    "wrong-protocol",
    "TCP",
    {
      target: "http://web/",
      world: world({ services: [service({ spec: { ports: [{ port: 80, targetPort: 8080, protocol: "UDP" }] } })] }),
    },
  ],
  "pods that are not ready": [
    "readiness-probe-fails",
    "readinessProbe",
    {
      target: "svc/web",
      world: world({
        pods: [
          pod(
            "web-1",
            "10.244.1.2",
            merged(unready, {
              spec: {
                containers: [
                  {
                    name: "web",
                    image: "web:1",
                    ports: [{ containerPort: 8080 }],
                    readinessProbe: { httpGet: { path: "/ready", port: 80 } },
                  },
                ],
              },
            }),
          ),
        ],
        events: [
          {
            involvedObject: { kind: "Pod", name: "web-1" },
            reason: "Unhealthy",
            message: "Readiness probe failed: connection refused",
          },
        ],
      }),
    },
  ],
  "pods whose image does not exist": [
    "image-not-found",
    "set image",
    {
      target: "svc/web",
      world: world({ pods: [pod("web-1", "10.244.1.2", waiting("ErrImagePull", "web:9: not found"))] }),
    },
  ],
  "pods that are all ending": [
    "only-terminating-endpoints",
    "get deployments",
    {
      target: "svc/web",
      world: world({
        pods: [
          pod("web-1", "10.244.1.2", merged(unready, { metadata: { deletionTimestamp: "2026-01-01T00:00:00Z" } })),
        ],
      }),
    },
  ],
  "a policy that lets nobody in": [
    "policy-blocks-ingress",
    "edit networkpolicy deny",
    {
      target: "svc/web",
      probe: "silent",
      world: world({ policies: [policy("deny", { podSelector: {}, policyTypes: ["Ingress"] })] }),
    },
  ],
  "a policy that lets others in": [
    "policy-blocks-ingress",
    "edit networkpolicy only-front",
    {
      target: "svc/web",
      probe: "silent",
      world: world({
        policies: [
          policy("only-front", {
            podSelector: { matchLabels: { app: "web" } },
            ingress: [{ from: [{ podSelector: { matchLabels: { app: "front" } } }] }],
          }),
        ],
      }),
    },
  ],
  "a policy for another port": [
    "policy-blocks-ingress",
    "port 8080",
    {
      target: "svc/web",
      probe: "silent",
      world: world({ policies: [policy("port", { podSelector: {}, ingress: [{ ports: [{ port: 80 }] }] })] }),
    },
  ],
  "a policy that keeps the client in": [
    "policy-blocks-egress",
    "edit networkpolicy no-way-out",
    {
      target: "svc/web",
      probe: "silent",
      world: world({
        policies: [
          policy("no-way-out", {
            podSelector: { matchLabels: { app: "client" } },
            policyTypes: ["Egress"],
            egress: [],
          }),
        ],
      }),
    },
  ],
  "a policy that keeps the client from DNS": [
    "policy-blocks-dns",
    "port 53",
    {
      target: "web",
      lookup: { asked: ["web.default.svc.cluster.local"], addresses: [], isUnanswered: true },
      world: world({
        policies: [
          policy("no-dns", {
            podSelector: {},
            policyTypes: ["Egress"],
            egress: [{ to: [{ podSelector: { matchLabels: { app: "web" } } }] }],
          }),
        ],
      }),
    },
  ],
  "cluster DNS that is silent": [
    "dns-silent",
    "pinnace status",
    { target: "web", lookup: { asked: ["web.default.svc.cluster.local"], addresses: [], isUnanswered: true } },
  ],
  "a name in another namespace": [
    "name-in-another-namespace",
    "web.shop",
    { target: "web", lookup: unknownName, world: world({ services: [service({ metadata: { namespace: "shop" } })] }) },
  ],
  "a name with a slip": ["no-such-name", "use the name web", { target: "wbe", lookup: unknownName }],
  "a Service in another namespace": [
    "service-in-another-namespace",
    "-n shop",
    { target: "svc/web", world: world({ services: [service({ metadata: { namespace: "shop" } })] }) },
  ],
  "a Service that nobody made": ["no-such-service", "get services --all-namespaces", { target: "svc/nothing-like-it" }],
  "a Service's name asked for outside": [
    "name-outside-pods",
    "kubectl run",
    { target: "http://web", source: outside, lookup: { asked: ["web"], addresses: [] } },
  ],
  "an ExternalName that nobody knows": [
    "external-name-unresolved",
    "externalName",
    {
      target: "web",
      lookup: { asked: ["web.default.svc.cluster.local"], addresses: [], alias: "db.example.invalid" },
      world: world({ services: [service({ spec: { type: "ExternalName", externalName: "db.example.invalid" } })] }),
    },
  ],
  "a headless Service that should translate ports": [
    "headless-has-no-port",
    "use port 8080",
    { target: "svc/web", world: world({ services: [service({ spec: { clusterIP: "None" } })] }) },
  ],
  "a ClusterIP asked for outside": ["cluster-ip-from-outside", "NodePort", { target: "svc/web", source: outside }],
  "a LoadBalancer without anybody who gives addresses": [
    "no-load-balancer",
    "metallb",
    { target: "svc/web", source: outside, world: world({ services: [balancer()] }) },
  ],
  "a LoadBalancer without a pool": [
    "no-address-pool",
    "IPAddressPool",
    {
      target: "svc/web",
      source: outside,
      world: world({ services: [balancer()], network: { loadBalancer: "metallb" } }),
    },
  ],
  "a LoadBalancer whose wish is outside the pool": [
    "address-refused",
    "describe service",
    {
      target: "svc/web",
      source: outside,
      world: world({
        services: [balancer()],
        pools: ["default-pool"],
        network: { loadBalancer: "metallb" },
        events: [
          {
            involvedObject: { kind: "Service", name: "web" },
            reason: "AllocationFailed",
            message: "10.1.1.1 is not allowed",
          },
        ],
      }),
    },
  ],
  "source ranges that leave the client out": [
    "source-range",
    "172.30.0.1/32",
    {
      target: "svc/web",
      source: outside,
      probe: "silent",
      world: world({
        services: [
          balancer({
            spec: { loadBalancerSourceRanges: ["10.0.0.0/8"] },
            status: { loadBalancer: { ingress: [{ ip: "172.30.0.200" }] } },
          }),
        ],
        network: { loadBalancer: "metallb" },
      }),
    },
  ],
  "an external address that leads nowhere": [
    "external-ip-unrouted",
    "externalIPs",
    {
      target: "svc/web",
      source: outside,
      probe: "silent",
      world: world({ services: [service({ spec: { externalIPs: ["203.0.113.7"] } })] }),
    },
  ],
  "a NodePort at a node without pods, policy Local": [
    "external-policy-local",
    "node-1",
    {
      target: "172.30.0.3:30080",
      source: outside,
      probe: "silent",
      world: world({
        pods: [pod("web-1", "10.244.1.2")],
        services: [merged(nodePort, { spec: { externalTrafficPolicy: "Local" } })],
      }),
    },
  ],
  "internal policy Local without a pod on the client's node": [
    "internal-policy-local",
    "internalTrafficPolicy",
    {
      target: "svc/web",
      probe: "silent",
      world: world({
        pods: [client, pod("web-2", "10.244.2.2", { spec: { nodeName: "node-2" } })],
        services: [service({ spec: { internalTrafficPolicy: "Local" } })],
      }),
    },
  ],
  "a node port that no Service has": [
    "no-such-node-port",
    "get services",
    { target: "172.30.0.2:30081", source: outside, world: world({ services: [nodePort] }) },
  ],
  "a targetPort that nothing listens on, asked over IPv6": [
    "wrong-target-port",
    '"value":8080',
    {
      target: "http://[fd00:10:96:0::32]/",
      world: world({
        pods: [client6, web6],
        services: [
          service({
            spec: {
              clusterIP: "fd00:10:96::32",
              clusterIPs: ["fd00:10:96::32"],
              ports: [{ port: 80, targetPort: 80, protocol: "TCP" }],
            },
          }),
        ],
      }),
    },
  ],
  "an IPv6 address of the Service range that is nobody's": [
    "no-service-at-address",
    "get services",
    { target: "[fd00:10:96::99]:80" },
  ],
  "an IPv6 address of the pod range that is nobody's": [
    "no-pod-at-address",
    "get pods",
    { target: "[fd00:10:244::99]:80" },
  ],
  "an address of the Service range that is nobody's": [
    "no-service-at-address",
    "get services",
    { target: "10.96.0.99:80" },
  ],
  "the address of a pod that is gone": ["no-pod-at-address", "get pods", { target: "10.244.1.77:80" }],
  "a pod that is gone": ["no-such-pod", "get pods", { target: "pod/web-0" }],
  "a pod's port that is closed": ["wrong-pod-port", "use port 8080", { target: "pod/web-1:80" }],
  "a node whose rules lack the Service": [
    "no-rule-on-node",
    "pinnace up",
    {
      target: "svc/web",
      trace: `${packet("10.96.0.50", 80)}\n${rule("kube-proxy", "cluster-ips-check", "ip daddr 10.96.0.0/16 drop", "drop")}`,
    },
  ],
  "a rule of somebody else that drops": [
    "dropped-by-rule",
    "nft list table ip firewall",
    {
      target: "svc/web",
      probe: "silent",
      trace: [
        packet("10.96.0.50", 80),
        rule("kube-proxy", "services", "ip daddr . th dport vmap @service-ips", "goto endpoints-2"),
        packet("10.244.1.2", 8080),
        rule("firewall", "forward", "tcp dport 8080 drop", "drop"),
      ].join("\n"),
    },
  ],
  "a pod that reaches itself without masquerading": [
    "hairpin",
    "kubectl delete pod",
    {
      target: "svc/web",
      probe: "silent",
      source: { kind: "pod", pod: pod("web-1", "10.244.1.2") as PodView },
      trace: [
        packet("10.96.0.50", 80),
        rule("kube-proxy", "services", "ip daddr . th dport vmap @service-ips", "goto endpoints-2"),
        packet("10.244.1.2", 8080),
      ].join("\n"),
    },
  ],
};

describe("a request that is lost", () => {
  test.each(Object.entries(paths))("%s", (_, [code, remedy, broken]) => {
    const { verdict, fault, steps } = explain(broken);
    expect({ verdict, code: fault?.code, step: fault?.step }).toEqual({
      verdict: "lost",
      code,
      step: steps.at(-1)?.name,
    });
    expect(fault?.remedies.join("\n")).toContain(remedy);
    expect(fault?.why).not.toBe("");
  });
});

test("where a selector selects nothing, the labels that pods have instead are told", () => {
  const { metadata, ...rest } = pod("db-1", "10.244.1.3");
  const labels = { tier: "data", "pod-template-hash": "1" };
  const other = { ...rest, metadata: { ...(metadata as object), labels } };
  const { steps } = explain({ target: "svc/web", world: world({ pods: [other] }) });
  expect(steps.at(-1)?.details).toEqual(["pods here have the labels tier=data (1)"]);
});

const event = (reason: string, message: string, kind = "Pod", name = "web-1"): Part => ({
  involvedObject: { kind, name },
  reason,
  message,
  type: "Warning",
});
const withProbe = (kind: string) => ({
  spec: {
    containers: [
      { name: "web", image: "web:1", ports: [{ containerPort: 8080 }], [kind]: { httpGet: { path: "/", port: 81 } } },
    ],
  },
});

const pods: Record<string, [code: string, remedy: string, Part, Partial<Record<keyof World, Part>>?]> = {
  "an image whose tag does not exist": [
    "image-not-found",
    "set image pod/web-1 web=",
    waiting("ImagePullBackOff", "nginx:1.99: not found"),
  ],
  "an image whose name is none": ["invalid-image-name", "set image", waiting("InvalidImageName")],
  "an image that needs credentials": ["image-denied", "docker-registry", waiting("ErrImagePull", "401 unauthorized")],
  "a registry out of reach": ["registry-unreachable", "image load", waiting("ErrImagePull", "connect ECONNREFUSED")],
  "an image that may not be pulled": ["image-never-pulled", "image pull web:1", waiting("ErrImageNeverPull")],
  "a taint that it does not tolerate": [
    "taint",
    "taint node node-1 dedicated-",
    unscheduled("0/2 nodes are available: 2 node(s) had untolerated taint {dedicated: db}."),
    {
      nodes: [
        node("node-1", "172.30.0.2", { spec: { taints: [{ key: "dedicated", value: "db", effect: "NoSchedule" }] } }),
      ],
    },
  ],
  "more CPU than any node has": [
    "insufficient-resources",
    "--requests=cpu=",
    unscheduled("0/2 nodes are available: 2 Insufficient cpu."),
  ],
  "a node selector that no node fits": [
    "node-selector",
    "label node node-1 disk=ssd",
    unscheduled("0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector.", {
      spec: { nodeSelector: { disk: "ssd" } },
    }),
  ],
  "nodes that are all cordoned": [
    "cordoned",
    "uncordon node-2",
    unscheduled("0/2 nodes are available: 2 node(s) were unschedulable."),
    { nodes: [node("node-2", "172.30.0.3", { spec: { unschedulable: true } })] },
  ],
  "a claim that is not bound": [
    "unbound-claim",
    "describe persistentvolumeclaim data",
    unscheduled("0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims.", {
      spec: { volumes: [{ name: "v", persistentVolumeClaim: { claimName: "data" } }] },
    }),
    {
      claims: [
        {
          metadata: { name: "data", namespace: "default" },
          spec: { storageClassName: "fast" },
          status: { phase: "Pending" },
        },
      ],
    },
  ],
  "a claim that does not exist": [
    "missing-claim",
    "get persistentvolumeclaims",
    unscheduled('0/2 nodes are available: persistentvolumeclaim "data" not found.'),
  ],
  "a host port that is taken": [
    "host-port-taken",
    "hostPort",
    unscheduled("0/2 nodes are available: 2 node(s) didn't have free ports for the requested pod ports."),
  ],
  "a scheduler that does not exist": [
    "unknown-scheduler",
    "schedulerName",
    {
      spec: { nodeName: undefined, schedulerName: "mine" },
      status: { phase: "Pending", conditions: [], containerStatuses: [] },
    },
  ],
  "a scheduling gate": [
    "scheduling-gate",
    "schedulingGates",
    {
      spec: { nodeName: undefined, schedulingGates: [{ name: "example.com/wait" }] },
      status: { phase: "Pending", conditions: [], containerStatuses: [] },
    },
  ],
  "a ConfigMap that does not exist": [
    "missing-configmap",
    "create configmap settings",
    waiting("CreateContainerConfigError", 'configmap "settings" not found'),
  ],
  "a Secret that does not exist, as a volume": [
    "missing-secret",
    "create secret generic password",
    waiting("ContainerCreating"),
    { events: [event("FailedMount", 'MountVolume.SetUp failed for volume "v" : secret "password" not found')] },
  ],
  "a key that the ConfigMap does not have": [
    "missing-key",
    "edit configmap settings",
    waiting("CreateContainerConfigError", "couldn't find key colour in ConfigMap default/settings"),
  ],
  "a program that ends again and again": [
    "crash-loop",
    "logs web-1 -c web --previous",
    waiting("CrashLoopBackOff", "", { lastState: { terminated: { exitCode: 1, reason: "Error" } } }),
  ],
  "a command that is not in the image": [
    "command-not-found",
    "describe pod",
    waiting("CrashLoopBackOff", "", {
      lastState: { terminated: { exitCode: 128, reason: "StartError", message: "executable file `serve` not found" } },
    }),
  ],
  "a container that needs more memory": [
    "out-of-memory",
    "--limits=memory=",
    waiting("CrashLoopBackOff", "", { lastState: { terminated: { exitCode: 137, reason: "OOMKilled" } } }),
  ],
  "an init container that fails": [
    "init-container-fails",
    "-c prepare",
    {
      spec: { initContainers: [{ name: "prepare", image: "busybox" }] },
      status: {
        phase: "Pending",
        conditions: [],
        initContainerStatuses: [
          {
            name: "prepare",
            ready: false,
            restartCount: 2,
            state: { waiting: { reason: "CrashLoopBackOff" } },
            lastState: { terminated: { exitCode: 2 } },
          },
        ],
        containerStatuses: [],
      },
    },
  ],
  "a readiness probe at the wrong port": [
    "readiness-probe-fails",
    "readinessProbe",
    merged(unready, withProbe("readinessProbe")),
    { events: [event("Unhealthy", "Readiness probe failed: refused")] },
  ],
  "a liveness probe at the wrong port": [
    "liveness-probe-fails",
    "livenessProbe",
    merged(
      waiting("CrashLoopBackOff", "", { lastState: { terminated: { exitCode: 137 } } }),
      withProbe("livenessProbe"),
    ),
    { events: [event("Unhealthy", "Liveness probe failed: refused")] },
  ],
  "a startup probe that never succeeds": [
    "startup-probe-fails",
    "startupProbe",
    merged(unready, withProbe("startupProbe")),
    { events: [event("Unhealthy", "Startup probe failed: refused")] },
  ],
  "a readiness gate that nobody sets": [
    "readiness-gate",
    "get pod web-1",
    {
      spec: { readinessGates: [{ conditionType: "example.com/on" }] },
      status: { conditions: [{ type: "Ready", status: "False" }] },
    },
  ],
  "a node that is not ready": [
    "node-not-ready",
    "describe node node-1",
    {},
    {
      nodes: [
        node("node-1", "172.30.0.2", {
          status: {
            conditions: [{ type: "Ready", status: "Unknown", message: "Kubelet stopped posting node status." }],
          },
        }),
      ],
    },
  ],
  "a finalizer that holds a deleted pod": [
    "finalizer",
    "finalizers",
    { metadata: { deletionTimestamp: "2026-01-01T00:00:00Z", finalizers: ["example.com/hold"] } },
  ],
  "an evicted pod": [
    "evicted",
    "delete pod",
    {
      status: {
        phase: "Failed",
        reason: "Evicted",
        message: "The node was low on resource: memory.",
        conditions: [],
        containerStatuses: [],
      },
    },
  ],
};

describe("a pod that does not run", () => {
  test.each(Object.entries(pods))("%s", (_, [code, remedy, part, rest]) => {
    const broken = pod("web-1", "10.244.1.2", part);
    const { verdict, fault } = explainPod(world({ pods: [broken], ...rest }), broken);
    expect({ verdict, code: fault?.code }).toEqual({ verdict: "lost", code });
    expect(fault?.remedies.join("\n")).toContain(remedy);
  });
});

const refusals: Record<string, [code: string, remedy: string, message: string]> = {
  "a quota that is used up": [
    "quota",
    "edit resourcequota small",
    'pods "web-x" is forbidden: exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2',
  ],
  "a quota that wants requests": [
    "quota-needs-requests",
    "--requests=",
    'pods "web-x" is forbidden: failed quota: small: must specify limits.cpu for: web',
  ],
  "a limit range": [
    "limit-range",
    "describe limitranges",
    'pods "web-x" is forbidden: maximum cpu usage per Container is 100m, but limit is 1',
  ],
  "Pod Security": [
    "pod-security",
    "label namespace default",
    'pods "web-x" is forbidden: violates PodSecurity "restricted:latest"',
  ],
  "a ServiceAccount that does not exist": [
    "missing-service-account",
    "create serviceaccount robot",
    'pods "web-x" is forbidden: error looking up service account default/robot: serviceaccount "robot" not found',
  ],
};

describe("a Deployment whose pods are refused", () => {
  test.each(Object.entries(refusals))("%s", (_, [code, remedy, message]) => {
    const facts: WorkloadFacts = {
      target: { kind: "workload", namespace: "default", resource: "Deployment", name: "web" },
      object: { desired: 3, selector: {}, conditions: [{ type: "ReplicaFailure", status: "True", message }] },
      names: ["web"],
      pods: [],
    };
    const { fault } = explainWorkload(world(), facts);
    expect(fault?.code).toBe(code);
    expect(fault?.remedies.join("\n")).toContain(remedy);
  });
});

describe("what is in order", () => {
  const trace = [
    packet("10.96.0.50", 80),
    rule("kube-proxy", "services", "ip daddr . meta l4proto . th dport vmap @service-ips", "goto endpoints-2"),
    packet("10.244.2.2", 8080),
  ].join("\n");

  test("a request that arrives is followed to its pod, in words", () => {
    const report = explain({
      target: "svc/web",
      probe: "connected",
      trace,
      lookup: { asked: ["web.default.svc.cluster.local"], addresses: ["10.96.0.50"] },
    });
    expect(printReport(report)).toMatchInlineSnapshot(`
      "Service default/web, port 80, asked from pod default/client

        ✓ name       web.default.svc.cluster.local is 10.96.0.50
        ✓ Service    ClusterIP default/web, port 80 → 8080
        ✓ selector   app=web selects 2 pods
        ✓ endpoints  2 endpoints ready
                     10.244.1.2:8080  web-1 on node-1
                     10.244.2.2:8080  web-2 on node-2
        ✓ door       cluster address 10.96.0.50:80
        ✓ rule       10.96.0.50:80 is rewritten to 10.244.2.2:8080 (web-2 on node-2)
                     nft on node-1: ip daddr . meta l4proto . th dport vmap @service-ips → goto endpoints-2
        ✓ listener   port 8080 is open in 2 pods
        ✓ answer     10.96.0.50:80 answers

      It works."
    `);
  });

  test("a policy that nothing enforces is noted, not blamed", () => {
    const report = explain({
      target: "svc/web",
      probe: "connected",
      world: world({ policies: [policy("deny", { podSelector: {} })] }),
    });
    expect(report.verdict).toBe("works");
    expect(report.steps.find(({ name }) => name === "NetworkPolicy")?.state).toBe("note");
  });

  test("a fault is followed by what mends it", () => {
    expect(printReport(explain({ target: "svc/web:81" }))).toMatchInlineSnapshot(`
      "Service default/web, asked from pod default/client

        ✗ Service  ClusterIP default/web has no port 81

      Lost at: Service. It has port 80. A Service takes what comes to its own port; targetPort and containerPort are behind it.

      To mend it:
        use port 80"
    `);
  });

  test("a pod that runs has nothing to explain", () => {
    const web = pod("web-1", "10.244.1.2");
    expect(explainPod(world(), web)).toMatchObject({ verdict: "works", target: `Pod ${keyOf(web)}` });
  });
});
