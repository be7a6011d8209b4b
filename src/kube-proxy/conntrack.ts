/** Forgets tracked connections whose Service endpoint is gone, so that clients are sent to another one at once. */
import { formatIp, ip } from "../base/ip.ts";
import { type Attributes, decodeAttributes, NetlinkSocket, nlmDump, u8, u32 } from "../base/node/netlink.ts";

export type Protocol = "tcp" | "udp" | "sctp";

/** The connections that one change of a Service leaves without a purpose. */
export interface StaleConnections {
  protocol: Protocol;
  /** Where clients sent to, as `ip:port`, and `:port` for a port of any of the node's addresses. */
  destinations: ReadonlySet<string>;
  /** The endpoint that is gone. Without one: connections that no rule rewrote, for until now there was none. */
  endpoint?: { ip: string; port: number };
}

/** The connection table of one network namespace. */
export class Conntrack {
  readonly #socket: NetlinkSocket;

  /** Opens the table of the calling thread's namespace. */
  constructor() {
    this.#socket = new NetlinkSocket(netlinkNetfilter);
  }

  /** Forgets all that is stale; returns how many connections that were. */
  clear(stale: readonly StaleConnections[]): number {
    if (stale.length === 0) return 0;
    const found: Tracked[] = [];
    for (const family of [afInet, afInet6]) {
      const ofFamily = stale.filter((each) => (familyNumber(each) ?? family) === family);
      if (ofFamily.length === 0) continue;
      // The kernel filters for one endpoint; for many, one walk over the table is cheaper than one each.
      const filter = ofFamily.length === 1 ? filterFor(ofFamily[0]!) : [];
      const byEndpoint = new Map<string, StaleConnections[]>();
      for (const each of ofFamily) {
        const key = each.endpoint ? `${each.protocol} ${each.endpoint.ip}:${each.endpoint.port}` : each.protocol;
        byEndpoint.set(key, [...(byEndpoint.get(key) ?? []), each]);
      }
      for (const tracked of this.#dump(family, filter)) if (isStale(tracked, byEndpoint)) found.push(tracked);
    }
    this.#socket.request(
      found.map(({ family, original }) => ({
        type: ctDelete,
        flags: 0,
        header: header(family),
        attributes: [[ctaTupleOrig | nested, original]],
        tolerate: ["ENOENT"], // It ended by itself.
      })),
    );
    return found.length;
  }

  close(): void {
    this.#socket.close();
  }

  #dump(family: number, filter: Attributes): Tracked[] {
    const replies = this.#socket.request([{ type: ctGet, flags: nlmDump, header: header(family), attributes: filter }]);
    return replies.flatMap(({ body }) => {
      const attributes = decodeAttributes(body, 4);
      const original = attributes.get(ctaTupleOrig);
      const reply = attributes.get(ctaTupleReply);
      return original && reply ? [{ family, original, from: decodeTuple(original), back: decodeTuple(reply) }] : [];
    });
  }
}

interface Tracked {
  family: number;
  /** The tuple as the kernel wrote it: by it the kernel finds the connection again. */
  original: Buffer;
  from: Tuple;
  back: Tuple;
}

interface Tuple {
  protocol: number;
  source: string;
  destination: string;
  destinationPort: number;
}

function isStale({ from, back }: Tracked, byEndpoint: ReadonlyMap<string, readonly StaleConnections[]>): boolean {
  const protocol = protocolNames.get(from.protocol);
  const isRewritten = back.source !== from.destination;
  const candidates = byEndpoint.get(isRewritten ? `${protocol} ${back.source}` : `${protocol}`);
  return (
    candidates?.some(
      ({ destinations }) => destinations.has(from.destination) || destinations.has(`:${from.destinationPort}`),
    ) ?? false
  );
}

function familyNumber({ endpoint, destinations }: StaleConnections): number | undefined {
  const address = endpoint?.ip ?? [...destinations].find((destination) => !destination.startsWith(":"));
  if (address === undefined) return undefined;
  return endpoint ? (address.includes(":") ? afInet6 : afInet) : address.split(":").length > 2 ? afInet6 : afInet;
}

function filterFor({ protocol, endpoint }: StaleConnections): Attributes {
  if (!endpoint) return [];
  const address = ip(endpoint.ip);
  const port = Buffer.alloc(2);
  port.writeUInt16BE(endpoint.port);
  const number = protocolNumbers[protocol];
  return [
    [
      ctaTupleReply,
      [
        [ctaTupleIp, [[address.length === 4 ? ctaIpV4Src : ctaIpV6Src, address]]],
        [
          ctaTupleProto,
          [
            [ctaProtoNum, u8(number)],
            [ctaProtoSrcPort, port],
          ],
        ],
      ],
    ],
    [
      ctaFilter,
      [
        [ctaFilterOrigFlags, u32(0)],
        [ctaFilterReplyFlags, u32(filterIpSrc | filterProtoNum | filterProtoSrcPort)],
      ],
    ],
  ];
}

function decodeTuple(bytes: Buffer): Tuple {
  const tuple = decodeAttributes(bytes, 0);
  const addresses = decodeAttributes(tuple.get(ctaTupleIp) ?? Buffer.alloc(0), 0);
  const protocol = decodeAttributes(tuple.get(ctaTupleProto) ?? Buffer.alloc(0), 0);
  const address = (...types: number[]) => {
    const found = types.flatMap((type) => addresses.get(type) ?? [])[0];
    return found ? formatIp(new Uint8Array(found)) : "";
  };
  const port = (type: number) => protocol.get(type)?.readUInt16BE(0) ?? 0;
  return {
    protocol: protocol.get(ctaProtoNum)?.[0] ?? 0,
    source: `${address(ctaIpV4Src, ctaIpV6Src)}:${port(ctaProtoSrcPort)}`,
    destination: `${address(ctaIpV4Dst, ctaIpV6Dst)}:${port(ctaProtoDstPort)}`,
    destinationPort: port(ctaProtoDstPort),
  };
}

/** An `nfgenmsg`. */
function header(family: number): Uint8Array {
  return Uint8Array.of(family, 0, 0, 0);
}

const protocolNumbers = { tcp: 6, udp: 17, sctp: 132 } as const;
const protocolNames = new Map(Object.entries(protocolNumbers).map(([name, number]) => [number as number, name]));

const netlinkNetfilter = 12;
const nested = 0x8000;
const afInet = 2;
const afInet6 = 10;
const ctGet = (1 << 8) | 1;
const ctDelete = (1 << 8) | 2;
const ctaTupleOrig = 1;
const ctaTupleReply = 2;
const ctaFilter = 25;
const ctaFilterOrigFlags = 1;
const ctaFilterReplyFlags = 2;
const filterIpSrc = 1 << 0;
const filterProtoNum = 1 << 3;
const filterProtoSrcPort = 1 << 4;
const ctaTupleIp = 1;
const ctaTupleProto = 2;
const ctaIpV4Src = 1;
const ctaIpV4Dst = 2;
const ctaIpV6Src = 3;
const ctaIpV6Dst = 4;
const ctaProtoNum = 1;
const ctaProtoSrcPort = 2;
const ctaProtoDstPort = 3;
