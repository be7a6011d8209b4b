/**
 * The layer table: what each folder under src/ holds and which folders it may import.
 * scripts/check-layers.mjs enforces it, and writes it into ARCHITECTURE.md.
 */

const kit = ["base", "api", "apimachinery", "client", "controller-runtime"];

/** @type {{ folder: string, kit?: boolean, holds: string, mayImport: string[] | "everything" }[]} */
export const layers = [
  {
    folder: "base",
    kit: true,
    holds: "clock, random, backoff, disposal, IP arithmetic, logger; `base/node/` holds what needs Node",
    mayImport: [],
  },
  {
    folder: "api",
    kit: true,
    holds: "the Kubernetes types and their schema tables per group-version, generated",
    mayImport: ["base"],
  },
  {
    folder: "apimachinery",
    kit: true,
    holds:
      "group-version-kind, quantities, selectors, field errors, Status errors, serializers, patch algorithms, the resource definition",
    mayImport: ["base", "api"],
  },
  {
    folder: "resources",
    holds: "one file a kind: defaults, validation, status strategy, table columns, subresources",
    mayImport: ["base", "api", "apimachinery"],
  },
  {
    folder: "storage",
    holds: "the store contract, its engines (memory, lmdb, etcd), the watch cache, one conformance suite",
    mayImport: ["base", "api", "apimachinery"],
  },
  {
    folder: "client",
    kit: true,
    holds: "one typed client contract, over HTTPS and in process; kubeconfig",
    mayImport: ["base", "api", "apimachinery"],
  },
  {
    folder: "controller-runtime",
    kit: true,
    holds: "reflector, informer, cache, work queue, controller, events, leader election",
    mayImport: kit,
  },
  {
    folder: "apiserver",
    holds:
      "the kind-blind API server: HTTP, negotiation, handlers per verb, discovery, OpenAPI; contracts for authn, authz, admission",
    mayImport: ["storage", ...kit],
  },
  {
    folder: "apiserver-plugins",
    holds: "admission, authentication, authorization, IP and port allocation: one file per upstream plugin",
    mayImport: ["apiserver", ...kit],
  },
  { folder: "nftables", holds: "rule objects, diff, print, apply, trace", mayImport: ["base"] },
  {
    folder: "controller-manager",
    holds: "one file per controller, by upstream's names, and their catalog",
    mayImport: kit,
  },
  { folder: "scheduler", holds: "queue, snapshot, framework, one file per plugin, preemption", mayImport: kit },
  {
    folder: "kubelet",
    holds: "pod worker, runtimes, images, volumes, probes, pod network, streaming",
    mayImport: ["nftables", ...kit],
  },
  {
    folder: "kube-proxy",
    holds: "compiles Services into nft rules, and a thin applier",
    mayImport: ["nftables", ...kit],
  },
  {
    folder: "network-policy",
    holds: "compiles NetworkPolicies into nft rules, and a thin applier",
    mayImport: ["nftables", ...kit],
  },
  { folder: "ingress", holds: "reads Ingresses as one routing table, and has nginx serve it", mayImport: kit },
  { folder: "cluster-dns", holds: "DNS wire format and an ordered chain of plugins", mayImport: kit },
  {
    folder: "load-balancer",
    holds: "address pools, election, L2 announcer, cloud emulation",
    mayImport: ["nftables", ...kit],
  },
  { folder: "kubectl", holds: "the built-in kubectl: one file a verb, and printers", mayImport: kit },
  {
    folder: "dashboard",
    holds: "browser code, a thin client of the API",
    mayImport: ["api", "apimachinery", "client"],
  },
  {
    folder: "inspect",
    holds: "explains a running cluster to people: `why`, `map`, `capture`",
    mayImport: ["nftables", "cluster-dns", ...kit],
  },
  { folder: "learn", holds: "labs in steps, and what a cluster lacks for them", mayImport: ["inspect", ...kit] },
  {
    folder: "cluster",
    holds: "the composition root: configuration, certificates, node namespaces, start order",
    mayImport: "everything",
  },
  { folder: "bin", holds: "the entry file of the `pinnace` command", mayImport: ["cluster", "kubectl"] },
  { folder: "testing", holds: "lab runner, cluster fixture, builders, simulated clock", mayImport: "everything" },
];
