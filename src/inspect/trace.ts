/** Reads what `nft monitor trace` prints of one packet's way through a node's rules. Pure. */

export interface TraceHop {
  table: string;
  chain: string;
  /** The rule as nft prints it; absent for a chain's policy. */
  rule?: string;
  /** `continue`, `jump services`, `goto endpoints-2`, `accept`, `drop`, `reject`. */
  verdict: string;
}

export interface PacketTrace {
  /** How it came in. */
  before: Addresses;
  /** The last that was seen of it. */
  after: Addresses;
  hops: readonly TraceHop[];
}

interface Addresses {
  source: string;
  destination: string;
  port: number;
  /** Stays when the source address is rewritten, unless another connection has it. */
  sourcePort?: number;
}

/** The packets in order of their first line. Lines of other shapes, and tables in `ignored`, are left out. */
export function readTraces(text: string, ignored: readonly string[] = []): PacketTrace[] {
  const packets = new Map<string, { before?: Addresses; after?: Addresses; hops: TraceHop[] }>();
  for (const line of text.split("\n")) {
    const found = /^trace id (\S+) \S+ (\S+) (\S+) (packet:|rule|verdict|policy) (.*)$/.exec(line.trim());
    if (!found) continue;
    const [, id = "", table = "", chain = "", word, rest = ""] = found;
    let packet = packets.get(id);
    if (!packet) packets.set(id, (packet = { hops: [] }));
    if (word === "packet:") {
      const addresses = addressesIn(rest);
      if (addresses) {
        packet.before ??= addresses;
        packet.after = addresses;
      }
      continue;
    }
    if (ignored.includes(table)) continue;
    if (word === "rule") {
      const rule = /^(.*) \(verdict ([^)]*)\)$/.exec(rest.trim());
      if (rule) packet.hops.push({ table, chain, rule: rule[1]!, verdict: rule[2]! });
    } else packet.hops.push({ table, chain, verdict: rest.trim().split(" meta ")[0]! });
  }
  return [...packets.values()].flatMap(({ before, after, hops }) => (before && after ? [{ before, after, hops }] : []));
}

function addressesIn(text: string): Addresses | undefined {
  const source = /ip6? saddr (\S+)/.exec(text)?.[1];
  const destination = /ip6? daddr (\S+)/.exec(text)?.[1];
  const port = /(?:tcp|udp|sctp|th) dport (\d+)/.exec(text)?.[1];
  const sourcePort = /(?:tcp|udp|sctp|th) sport (\d+)/.exec(text)?.[1];
  if (!source || !destination || !port) return undefined;
  return { source, destination, port: Number(port), ...(sourcePort ? { sourcePort: Number(sourcePort) } : {}) };
}

/** The rule that ended the packet, if one did. */
export function fatalHop({ hops }: PacketTrace): TraceHop | undefined {
  return hops.find(({ rule, verdict }) => verdict === "drop" || verdict === "reject" || rule?.startsWith("reject"));
}

/** The rule that sent the packet to a Service's chain: the verdict map that knew its address. */
export function serviceHop({ hops }: PacketTrace): TraceHop | undefined {
  return hops.find(({ chain, rule }) => chain === "services" && rule?.includes("vmap"));
}

export const isMasqueraded = ({ hops }: PacketTrace): boolean => hops.some(({ rule }) => rule?.includes("masquerade"));
