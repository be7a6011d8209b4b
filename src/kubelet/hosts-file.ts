/** The /etc/hosts that the kubelet keeps for a pod's containers, and the names that a pod goes by. Pure. */
import type { PodObject } from "./pod-state.ts";

export function hostsFile(pod: PodObject, podIPs: readonly string[], clusterDomain: string): string {
  const lines = [
    "# Kubernetes-managed hosts file.",
    "127.0.0.1\tlocalhost",
    "::1\tlocalhost ip6-localhost ip6-loopback",
    "fe00::0\tip6-localnet",
    "fe00::0\tip6-mcastprefix",
    "fe00::1\tip6-allnodes",
    "fe00::2\tip6-allrouters",
  ];
  const { hostname, domain } = podNames(pod, clusterDomain);
  for (const ip of podIPs) lines.push(domain ? `${ip}\t${hostname}.${domain}\t${hostname}` : `${ip}\t${hostname}`);
  return `${[...lines, ...aliasLines(pod)].join("\n")}\n`;
}

/** On the host's network a pod sees the machine's own file. */
export function hostNetworkHostsFile(pod: PodObject, machineFile: string): string {
  const header = "# Kubernetes-managed hosts file (host network).\n";
  const aliases = aliasLines(pod);
  return `${header}${machineFile}${aliases.length > 0 ? `${aliases.join("\n")}\n` : ""}`;
}

function aliasLines(pod: PodObject): string[] {
  const aliases = pod.spec.hostAliases ?? [];
  if (aliases.length === 0) return [];
  return [
    "",
    "# Entries added by HostAliases.",
    ...aliases.map(({ ip, hostnames }) => [ip, ...(hostnames ?? [])].join("\t")),
  ];
}

const maximumHostnameLength = 63;
/** Of `uname`, by the kernel. */
const maximumKernelNameLength = 64;

/** The host name as uname shows it, and the domain that a subdomain gives. Throws, in upstream's words, for what the kernel will not take. */
export function podNames(pod: PodObject, clusterDomain: string): { hostname: string; domain: string; utsName: string } {
  if (pod.spec.hostnameOverride) {
    const hostname = truncated(pod.spec.hostnameOverride);
    return { hostname, domain: "", utsName: hostname };
  }
  const hostname = pod.spec.hostname || truncated(pod.metadata.name);
  const domain = pod.spec.subdomain ? `${pod.spec.subdomain}.${pod.metadata.namespace}.svc.${clusterDomain}` : "";
  const utsName = pod.spec.setHostnameAsFQDN && domain ? `${hostname}.${domain}` : hostname;
  if (utsName.length > maximumKernelNameLength)
    throw new Error(
      `failed to construct FQDN from pod hostname and cluster domain, FQDN ${utsName} is too long (${maximumKernelNameLength} characters is the max, ${utsName.length} characters requested)`,
    );
  return { hostname, domain, utsName };
}

/** Pod names may be longer than host names. */
function truncated(name: string): string {
  return name.slice(0, maximumHostnameLength).replace(/[-.]+$/, "");
}
