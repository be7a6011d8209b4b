/** Forgets tracked connections whose Service endpoint is gone, so that clients are sent to another one at once. */
import { formatIp, ip } from "../base/ip.ts";
import {
  type Attributes,
  decodeAttributes,
  type NetlinkReply,
  NetlinkSocket,
  nlmDump,
  u8,
  u32,
} from "../base/node/netlink.ts";

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

  /** Forgets all that is stale; resolves to how many connections that were. The kernel walks its whole table for it, some 10 ms: call it for many at once. */
  async clear(stale: readonly StaleConnections[]): Promise<number> {
    if (stale.length === 0) return 0;
    const filter = stale.length === 1 ? filterFor(stale[0]!) : { family: afUnspecified, attributes: [] };
    const byEndpoint = new Map<string, StaleConnections[]>();
    for (const each of stale) {
      const key = each.endpoint ? `${each.protocol} ${each.endpoint.ip}:${each.endpoint.port}` : each.protocol;
      byEndpoint.set(key, [...(byEndpoint.get(key) ?? []), each]);
    }
    const replies = await this.#socket.requestInBackground([
      { type: ctGet, flags: nlmDump, header: header(filter.family), attributes: filter.attributes },
    ]);
    const found = replies.flatMap(decodeTracked).filter((tracked) => isStale(tracked, byEndpoint));
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
}

function decodeTracked({ body }: NetlinkReply): Tracked[] {
  const attributes = decodeAttributes(body, 4);
  const original = attributes.get(ctaTupleOrig);
  const reply = attributes.get(ctaTupleReply);
  if (!original || !reply) return [];
  return [{ family: body[0]!, original, from: decodeTuple(original), back: decodeTuple(reply) }];
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

/** Lets the kernel pick out the connections to one endpoint. */
function filterFor({ protocol, endpoint }: StaleConnections): { family: number; attributes: Attributes } {
  if (!endpoint) return { family: afUnspecified, attributes: [] };
  const address = ip(endpoint.ip);
  const port = Buffer.alloc(2);
  port.writeUInt16BE(endpoint.port);
  const number = protocolNumbers[protocol];
  const attributes: Attributes = [
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
  return { family: address.length === 4 ? afInet : afInet6, attributes };
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
const afUnspecified = 0;
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
