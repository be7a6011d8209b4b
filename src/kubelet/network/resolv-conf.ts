/** What a pod reads in /etc/resolv.conf: its dnsPolicy and dnsConfig worked out (upstream's kubelet/network/dns). Pure. */
import type { PodSpec } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";

export interface ResolvConf {
  nameservers: string[];
  searches: string[];
  /** As they are written: `ndots:5`, `edns0`. */
  options: string[];
}

export interface DnsFacts {
  namespace: string;
  /** `cluster.local`. */
  clusterDomain: string;
  /** Of the kube-dns Service. Empty where there is none: pods then get the host's. */
  clusterDNS: readonly string[];
  /** The host's own resolv.conf. */
  host: ResolvConf;
}

/** glibc reads no more than three, and the API allows no more searches than these. */
const mostNameservers = 3;
const mostSearches = 32;
const longestSearchLine = 2048;

export function resolvConfOf(
  spec: DeepReadonly<Pick<PodSpec, "dnsPolicy" | "dnsConfig" | "hostNetwork">>,
  facts: DnsFacts,
): ResolvConf {
  const { namespace, clusterDomain, clusterDNS, host } = facts;
  const isClusterFirst =
    spec.dnsPolicy === "ClusterFirstWithHostNet" ||
    ((spec.dnsPolicy ?? "ClusterFirst") === "ClusterFirst" && !spec.hostNetwork);
  const base: ResolvConf =
    spec.dnsPolicy === "None"
      ? { nameservers: [], searches: [], options: [] }
      : isClusterFirst && clusterDNS.length > 0
        ? {
            nameservers: [...clusterDNS],
            searches: [`${namespace}.svc.${clusterDomain}`, `svc.${clusterDomain}`, clusterDomain, ...host.searches],
            options: ["ndots:5"],
          }
        : host;
  const { nameservers = [], searches = [], options = [] } = spec.dnsConfig ?? {};
  return {
    nameservers: unique([...base.nameservers, ...nameservers]).slice(0, mostNameservers),
    searches: fitting(unique([...base.searches, ...searches])),
    options: mergeOptions(base.options, options),
  };
}

export function printResolvConf({ nameservers, searches, options }: ResolvConf): string {
  const lines = [
    ...(searches.length > 0 ? [`search ${searches.join(" ")}`] : []),
    ...nameservers.map((address) => `nameserver ${address}`),
    ...(options.length > 0 ? [`options ${options.join(" ")}`] : []),
  ];
  return lines.map((line) => `${line}\n`).join("");
}

/** Of several `search` lines the last counts, as resolvers have it; of `options` all do. */
export function parseResolvConf(text: string): ResolvConf {
  const conf: ResolvConf = { nameservers: [], searches: [], options: [] };
  for (const line of text.split("\n")) {
    const [keyword, ...values] = line.trim().split(/\s+/);
    if (keyword === "nameserver" && values[0]) conf.nameservers.push(values[0]);
    else if (keyword === "search" || keyword === "domain") conf.searches = values.filter((value) => value !== ".");
    else if (keyword === "options") conf.options.push(...values);
  }
  return conf;
}

/** A pod's option takes the place of one of the same name. */
function mergeOptions(
  base: readonly string[],
  options: readonly { readonly name?: string; readonly value?: string }[],
): string[] {
  const merged = new Map(base.map((option) => [option.split(":")[0]!, option]));
  for (const { name, value } of options) if (name) merged.set(name, value ? `${name}:${value}` : name);
  return [...merged.values()];
}

function fitting(searches: readonly string[]): string[] {
  const kept: string[] = [];
  let length = -1;
  for (const search of searches.slice(0, mostSearches)) {
    length += search.length + 1;
    if (length > longestSearchLine) break;
    kept.push(search);
  }
  return kept;
}

function unique(values: readonly string[]): string[] {
  return [...new Set(values)];
}
