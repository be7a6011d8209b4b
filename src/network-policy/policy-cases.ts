/** Policies with the connections that they allow: tried in memory, and then in the kernel. */
import type { Pod } from "../api/core/v1.ts";
import type { NetworkPolicy, NetworkPolicySpec } from "../api/networking/v1.ts";

/** web and db are in shop, prober in watch; web runs on n1 beside db, prober on n2. outside is a machine of the LAN. */
export type Place = "web" | "db" | "prober" | "outside";
export type Port = "tcp/8080" | "tcp/9090" | "udp/5353";

export const podAddresses = { web: "10.244.1.2", db: "10.244.1.3", prober: "10.244.2.2", outside: "198.18.80.1" };
export const podAddresses6 = { web: "fd00:10:244:1::2", db: "fd00:10:244:1::3", prober: "fd00:10:244:2::2" };
export const nodeOf = { web: "n1", db: "n1", prober: "n2" } as const;
export const namespaces = {
  shop: { "kubernetes.io/metadata.name": "shop" },
  watch: { "kubernetes.io/metadata.name": "watch", team: "ops" },
};

export function pods(): Pod[] {
  const pod = (name: keyof typeof nodeOf, namespace: string, ports: object[]) =>
    ({
      kind: "Pod",
      apiVersion: "v1",
      metadata: { ...meta(name, namespace), labels: { app: name } },
      spec: { nodeName: nodeOf[name], containers: [{ name: "c", image: "i", ports }] },
      status: { phase: "Running", podIPs: [{ ip: podAddresses[name] }, { ip: podAddresses6[name] }] },
    }) as unknown as Pod;
  return [
    pod("web", "shop", [{ name: "http", containerPort: 8080 }]),
    // The same name is another number here.
    pod("db", "shop", [{ name: "http", containerPort: 9090 }]),
    pod("prober", "watch", [{ name: "http", containerPort: 8080 }]),
  ];
}

export function policy(name: string, namespace: string, spec: NetworkPolicySpec): NetworkPolicy {
  return { kind: "NetworkPolicy", apiVersion: "networking.k8s.io/v1", metadata: meta(name, namespace), spec };
}

function meta(name: string, namespace: string) {
  return { name, namespace, uid: name, resourceVersion: "1", creationTimestamp: "2026-01-01T00:00:00Z" };
}

export interface PolicyCase {
  title: string;
  policies: NetworkPolicy[];
  /** `from to port`. */
  allowed: [Place, Place, Port][];
  denied: [Place, Place, Port][];
}

const web = { matchLabels: { app: "web" } };
const db = { matchLabels: { app: "db" } };
const watch = { matchLabels: { "kubernetes.io/metadata.name": "watch" } };

export const policyCases: PolicyCase[] = [
  {
    title: "without a policy everything is allowed",
    policies: [],
    allowed: [
      ["web", "db", "tcp/8080"],
      ["prober", "web", "udp/5353"],
      ["outside", "web", "tcp/9090"],
      ["web", "prober", "tcp/8080"],
    ],
    denied: [],
  },
  {
    title: "a policy without rules denies what comes in, and lets out",
    policies: [policy("deny", "shop", { podSelector: {}, policyTypes: ["Ingress"] })],
    allowed: [
      ["web", "prober", "tcp/8080"],
      ["web", "web", "tcp/8080"],
    ],
    denied: [
      ["web", "db", "tcp/8080"],
      ["prober", "web", "tcp/8080"],
      ["outside", "web", "tcp/8080"],
      ["prober", "web", "udp/5353"],
    ],
  },
  {
    title: "a policy without egress rules lets nothing out, and in what came in before",
    policies: [policy("deny", "shop", { podSelector: web, policyTypes: ["Egress"] })],
    allowed: [
      ["db", "web", "tcp/8080"],
      ["prober", "web", "tcp/8080"],
      ["outside", "web", "tcp/8080"],
    ],
    denied: [
      ["web", "db", "tcp/8080"],
      ["web", "prober", "tcp/8080"],
      ["web", "outside", "tcp/8080"],
      ["web", "prober", "udp/5353"],
    ],
  },
  {
    title: "an empty rule allows everything",
    policies: [
      policy("all", "shop", { podSelector: {}, ingress: [{}], egress: [{}], policyTypes: ["Ingress", "Egress"] }),
    ],
    allowed: [
      ["web", "db", "tcp/9090"],
      ["outside", "db", "tcp/8080"],
      ["db", "outside", "tcp/8080"],
    ],
    denied: [],
  },
  {
    title: "a pod selector means pods of the policy's namespace",
    policies: [
      policy("from-all-here", "shop", {
        podSelector: db,
        ingress: [{ from: [{ podSelector: {} }] }],
        policyTypes: ["Ingress"],
      }),
    ],
    allowed: [
      ["web", "db", "tcp/8080"],
      ["web", "db", "udp/5353"],
      ["prober", "web", "tcp/8080"],
    ],
    denied: [
      ["prober", "db", "tcp/8080"],
      ["outside", "db", "tcp/8080"],
    ],
  },
  {
    title: "a namespace selector means all pods of those namespaces",
    policies: [
      policy("from-watch", "shop", {
        podSelector: {},
        ingress: [{ from: [{ namespaceSelector: watch }], ports: [{ protocol: "TCP", port: 8080 }] }],
        policyTypes: ["Ingress"],
      }),
    ],
    allowed: [["prober", "web", "tcp/8080"]],
    denied: [
      ["prober", "web", "tcp/9090"],
      ["web", "db", "tcp/8080"],
      ["outside", "db", "tcp/8080"],
    ],
  },
  {
    title: "both selectors in one peer must hold",
    policies: [
      policy("both", "shop", {
        podSelector: db,
        ingress: [{ from: [{ namespaceSelector: watch, podSelector: web }] }],
        policyTypes: ["Ingress"],
      }),
    ],
    allowed: [],
    denied: [
      ["prober", "db", "tcp/8080"],
      ["web", "db", "tcp/8080"],
    ],
  },
  {
    title: "two selectors in two peers mean either",
    policies: [
      policy("either", "shop", {
        podSelector: db,
        ingress: [{ from: [{ namespaceSelector: { matchLabels: { team: "ops" } } }, { podSelector: web }] }],
        policyTypes: ["Ingress"],
      }),
    ],
    allowed: [
      ["prober", "db", "tcp/8080"],
      ["web", "db", "tcp/9090"],
    ],
    denied: [["outside", "db", "tcp/8080"]],
  },
  {
    title: "an ipBlock allows its addresses but for the excepted",
    policies: [
      policy("block", "shop", {
        podSelector: {},
        ingress: [{ from: [{ ipBlock: { cidr: "0.0.0.0/0", except: ["10.244.2.0/24", "10.244.2.2/32"] } }] }],
        policyTypes: ["Ingress"],
      }),
    ],
    allowed: [
      ["outside", "web", "tcp/8080"],
      ["db", "web", "tcp/8080"],
    ],
    denied: [["prober", "web", "tcp/8080"]],
  },
  {
    title: "an egress ipBlock of one machine",
    policies: [
      policy("to-outside", "shop", {
        podSelector: web,
        egress: [{ to: [{ ipBlock: { cidr: "198.18.80.1/32" } }], ports: [{ protocol: "TCP", port: 9090 }] }],
        policyTypes: ["Egress"],
      }),
    ],
    allowed: [["web", "outside", "tcp/9090"]],
    denied: [
      ["web", "outside", "tcp/8080"],
      ["web", "db", "tcp/9090"],
    ],
  },
  {
    title: "a range of ports, overlapping with another",
    policies: [
      policy("range", "shop", {
        podSelector: web,
        ingress: [
          {
            ports: [
              { protocol: "TCP", port: 8000, endPort: 8079 },
              { protocol: "TCP", port: 8050, endPort: 8090 },
            ],
          },
        ],
        policyTypes: ["Ingress"],
      }),
    ],
    allowed: [
      ["outside", "web", "tcp/8080"],
      ["db", "web", "tcp/8080"],
    ],
    denied: [
      ["outside", "web", "tcp/9090"],
      ["db", "web", "udp/5353"],
    ],
  },
  {
    title: "a protocol without a port means all its ports",
    policies: [
      policy("udp", "shop", {
        podSelector: web,
        ingress: [{ ports: [{ protocol: "UDP" }] }],
        policyTypes: ["Ingress"],
      }),
    ],
    allowed: [["db", "web", "udp/5353"]],
    denied: [["db", "web", "tcp/8080"]],
  },
  {
    title: "a named port is another number on another pod",
    policies: [
      policy("named", "shop", {
        podSelector: {},
        ingress: [{ ports: [{ protocol: "TCP", port: "http" }] }],
        policyTypes: ["Ingress"],
      }),
    ],
    allowed: [
      ["prober", "web", "tcp/8080"],
      ["prober", "db", "tcp/9090"],
    ],
    denied: [
      ["prober", "web", "tcp/9090"],
      ["prober", "db", "tcp/8080"],
    ],
  },
  {
    title: "a named port on the way out is the destination's",
    policies: [
      policy("named-out", "watch", {
        podSelector: {},
        egress: [
          {
            to: [{ namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "shop" } } }],
            ports: [{ protocol: "TCP", port: "http" }],
          },
        ],
        policyTypes: ["Egress"],
      }),
    ],
    allowed: [
      ["prober", "web", "tcp/8080"],
      ["prober", "db", "tcp/9090"],
    ],
    denied: [
      ["prober", "db", "tcp/8080"],
      ["prober", "outside", "tcp/8080"],
    ],
  },
  {
    title: "what several policies allow adds up",
    policies: [
      policy("deny", "shop", { podSelector: {}, policyTypes: ["Ingress", "Egress"] }),
      policy("web-in", "shop", {
        podSelector: web,
        ingress: [{ ports: [{ protocol: "TCP", port: 8080 }] }],
        policyTypes: ["Ingress"],
      }),
      policy("web-to-db", "shop", {
        podSelector: web,
        egress: [{ to: [{ podSelector: db }], ports: [{ protocol: "TCP", port: 9090 }] }],
        policyTypes: ["Egress"],
      }),
      policy("db-in", "shop", {
        podSelector: db,
        ingress: [{ from: [{ podSelector: web }], ports: [{ protocol: "TCP", port: 9090 }] }],
        policyTypes: ["Ingress"],
      }),
    ],
    allowed: [
      ["prober", "web", "tcp/8080"],
      ["outside", "web", "tcp/8080"],
      ["web", "db", "tcp/9090"],
    ],
    denied: [
      ["prober", "db", "tcp/9090"],
      ["web", "db", "tcp/8080"],
      ["db", "web", "tcp/8080"],
      ["web", "prober", "tcp/8080"],
    ],
  },
  {
    title: "both ends must allow it",
    policies: [
      policy("out-of-watch", "watch", {
        podSelector: {},
        policyTypes: ["Egress"],
        egress: [{ to: [{ ipBlock: { cidr: "198.18.80.0/24" } }] }],
      }),
      policy("into-web", "shop", {
        podSelector: web,
        policyTypes: ["Ingress"],
        ingress: [{ from: [{ namespaceSelector: {} }] }],
      }),
    ],
    allowed: [
      ["db", "web", "tcp/8080"],
      ["prober", "outside", "tcp/8080"],
    ],
    denied: [
      ["prober", "web", "tcp/8080"],
      ["outside", "web", "tcp/8080"],
    ],
  },
  {
    title: "selectors that nothing has select nothing",
    policies: [
      policy("nobody", "shop", { podSelector: { matchLabels: { app: "absent" } }, policyTypes: ["Ingress"] }),
      policy("from-nobody", "shop", {
        podSelector: db,
        policyTypes: ["Ingress"],
        ingress: [
          { from: [{ podSelector: { matchExpressions: [{ key: "app", operator: "In", values: ["absent"] }] } }] },
        ],
      }),
    ],
    allowed: [["outside", "web", "tcp/8080"]],
    denied: [["web", "db", "tcp/8080"]],
  },
];
