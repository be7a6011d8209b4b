/** Puts names beside the addresses of tcpdump's lines, and beside a rewritten destination the one that was asked for. Pure. */
import { formatIp, parseIp } from "../base/ip.ts";
import { clusterAddresses, isIpv6, isOver, place, podAddresses, type World } from "./world.ts";

/** A connection as the kernel remembers it: what was sent, and what came of it. */
export interface Translation {
  source: string;
  sourcePort: number;
  destination: string;
  port: number;
  /** Where it was sent instead. */
  newDestination: string;
  newPort: number;
}

/** Who has an address, in a few words: `Service default/web`, `pod default/web-0`, `node worker-1`. */
export function namesOf({ services, pods, nodes, network }: World): Map<string, string> {
  const names = new Map<string, string>([[network.hostAddress, "this machine"]]);
  for (const { metadata, status } of nodes)
    for (const { type, address } of status?.addresses ?? [])
      if (type === "InternalIP") names.set(address, `node ${metadata.name}`);
  for (const pod of pods) {
    if (pod.spec.hostNetwork || isOver(pod)) continue;
    for (const address of podAddresses(pod)) names.set(address, `pod ${short(pod.metadata)}`);
  }
  for (const service of services) {
    const { metadata, spec, status } = service;
    const addresses = [
      ...clusterAddresses(service),
      ...(spec.externalIPs ?? []),
      ...(status?.loadBalancer?.ingress ?? []).map(({ ip }) => ip),
    ];
    for (const address of addresses)
      if (address && !names.has(address)) names.set(address, `Service ${short(metadata)}`);
  }
  return names;
}

const short = ({ namespace, name }: { namespace: string; name: string }): string =>
  namespace === "default" ? name : `${namespace}/${name}`;

/** One line as `tcpdump -n` prints it. What it does not understand comes back as it is. */
export function annotate(
  line: string,
  names: ReadonlyMap<string, string>,
  translations: readonly Translation[],
): string {
  const found = packetLine.exec(line);
  if (!found) return line;
  const [, head = "", source = "", sourcePort, destination = "", port, rest = ""] = found;
  const end = (address: string, number: string | undefined) =>
    `${number ? place(address, Number(number)) : address}${names.has(address) ? ` (${names.get(address)})` : ""}`;
  const rewritten = translations.find(
    (one) =>
      one.newDestination === destination &&
      String(one.newPort) === port &&
      (one.source === source || String(one.sourcePort) === sourcePort),
  );
  const goingTo = translations.find(
    (one) =>
      one.destination === destination &&
      String(one.port) === port &&
      one.source === source &&
      String(one.sourcePort) === sourcePort,
  );
  const note = goingTo
    ? `  → ${end(goingTo.newDestination, String(goingTo.newPort))}`
    : rewritten
      ? `  ← ${end(rewritten.destination, String(rewritten.port))}`
      : "";
  return `${head}${end(source, sourcePort)} > ${end(destination, port)}${note}:${rest}`;
}

/** `IP 10.0.0.1.80 > 10.0.0.2.81: …`, `IP6 fd00::1.80 > fd00::2.81: …`: the port stands behind a dot. */
const packetLine = (() => {
  const end = String.raw`(\d+\.\d+\.\d+\.\d+|[0-9a-f:]*:[0-9a-f:]*)(?:\.(\d+))?`;
  return new RegExp(String.raw`^(.*?\bIP6? )${end} > ${end}:( .*)$`);
})();

/** Of /proc/net/nf_conntrack, or `conntrack -L`: the connections whose destination was rewritten. */
export function readTranslations(text: string): Translation[] {
  return text.split("\n").flatMap((line) => {
    const ends = [...line.matchAll(/src=(\S+) dst=(\S+) sport=(\d+) dport=(\d+)/g)];
    const [sent, answered] = ends;
    if (!sent || !answered) return [];
    const [, source = "", destination = "", sourcePort, port] = sent;
    const [, newDestination = "", , newPort] = answered;
    if (newDestination === destination && newPort === port) return [];
    return [
      {
        source: canonical(source),
        sourcePort: Number(sourcePort),
        destination: canonical(destination),
        port: Number(port),
        newDestination: canonical(newDestination),
        newPort: Number(newPort),
      },
    ];
  });
}

/** The kernel writes out every zero of an IPv6 address. */
function canonical(address: string): string {
  const bytes = isIpv6(address) ? parseIp(address) : undefined;
  return bytes ? formatIp(bytes) : address;
}
