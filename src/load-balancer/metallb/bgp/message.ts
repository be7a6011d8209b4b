/** BGP-4 messages (RFC 4271) as values and bytes: as much as a speaker needs that announces and never learns. Pure. */
import { formatIp, ip, parseCidr } from "../../../base/ip.ts";

export type BgpMessage =
  | { kind: "open"; open: Open }
  | { kind: "update" }
  | { kind: "keepalive" }
  | { kind: "notification"; code: number; subcode: number };

export interface Open {
  asn: number;
  /** 0: neither side watches the other. */
  holdTimeSeconds: number;
  /** As an IPv4 address. */
  routerId: string;
  /** The peer understands AS numbers of four octets (RFC 6793). */
  hasFourOctetAsn: boolean;
}

/** What is said of a prefix besides the prefix itself. */
export interface RouteAttributes {
  nextHop: string;
  localPref?: number;
  /** `65000:100`, `large:65000:1:2`, or one of the well-known names. */
  communities: readonly string[];
}

export interface SessionFacts {
  myAsn: number;
  peerAsn: number;
  hasFourOctetAsn: boolean;
}

const types = { open: 1, update: 2, notification: 3, keepalive: 4 } as const;
const headerLength = 19;
const longest = 4096;
/** Stands for an AS number of four octets where only two fit. */
const asTrans = 23456;

const capability = { multiprotocol: 1, routeRefresh: 2, fourOctetAsn: 65 } as const;
const ipv4Unicast = [0, 1, 0, 1];

export function encodeOpen({ asn, holdTimeSeconds, routerId }: Omit<Open, "hasFourOctetAsn">): Buffer {
  const capabilities = Buffer.from([
    ...[capability.multiprotocol, 4, ...ipv4Unicast],
    ...[capability.fourOctetAsn, 4, ...fourOctets(asn)],
  ]);
  const body = Buffer.alloc(10);
  body[0] = 4;
  body.writeUInt16BE(asn > 0xffff ? asTrans : asn, 1);
  body.writeUInt16BE(holdTimeSeconds, 3);
  body.set(ip(routerId), 5);
  body[9] = capabilities.length + 2;
  return frame(types.open, Buffer.concat([body, Buffer.from([2, capabilities.length]), capabilities]));
}

export function encodeKeepalive(): Buffer {
  return frame(types.keepalive, Buffer.alloc(0));
}

export function encodeNotification(code: number, subcode: number): Buffer {
  return frame(types.notification, Buffer.from([code, subcode]));
}

/** IPv4 prefixes that share their attributes, as few messages as they fit into. */
export function encodeAnnouncements(
  prefixes: readonly string[],
  route: RouteAttributes,
  facts: SessionFacts,
): Buffer[] {
  const attributes = encodeAttributes(route, facts);
  const room = longest - headerLength - 4 - attributes.length;
  return packed(prefixes, room).map((prefixBytes) =>
    frame(types.update, Buffer.concat([twoOctets(0), twoOctets(attributes.length), attributes, prefixBytes])),
  );
}

export function encodeWithdrawals(prefixes: readonly string[]): Buffer[] {
  return packed(prefixes, longest - headerLength - 4).map((withdrawn) =>
    frame(types.update, Buffer.concat([twoOctets(withdrawn.length), withdrawn, twoOctets(0)])),
  );
}

function encodeAttributes({ nextHop, localPref, communities }: RouteAttributes, facts: SessionFacts): Buffer {
  const { myAsn, peerAsn, hasFourOctetAsn } = facts;
  const isInternal = myAsn === peerAsn;
  const asPath = isInternal
    ? []
    : [2, 1, ...(hasFourOctetAsn ? fourOctets(myAsn) : twoOctets(Math.min(myAsn, 0xffff)))];
  if (!isInternal && !hasFourOctetAsn && myAsn > 0xffff) asPath.splice(2, 2, ...twoOctets(asTrans));
  const parts = [attribute(0x40, 1, [0]), attribute(0x40, 2, asPath), attribute(0x40, 3, ip(nextHop))];
  // The preference is a matter within one AS.
  if (isInternal) parts.push(attribute(0x40, 5, fourOctets(localPref ?? 100)));
  const plain = communities.flatMap((text) => parseCommunity(text) ?? []);
  if (plain.length > 0) parts.push(attribute(0xc0, 8, plain));
  const large = communities.flatMap((text) => parseLargeCommunity(text) ?? []);
  if (large.length > 0) parts.push(attribute(0xc0, 32, large));
  return Buffer.concat(parts);
}

function attribute(flags: number, type: number, value: ArrayLike<number>): Buffer {
  const bytes = Buffer.from(Array.from(value));
  if (bytes.length <= 255) return Buffer.concat([Buffer.from([flags, type, bytes.length]), bytes]);
  return Buffer.concat([Buffer.from([flags | 0x10, type]), twoOctets(bytes.length), bytes]);
}

const wellKnown: Readonly<Record<string, number>> = {
  "graceful-shutdown": 0xffff0000,
  "accept-own": 0xffff0001,
  blackhole: 0xffff029a,
  "no-export": 0xffffff01,
  "no-advertise": 0xffffff02,
  "local-AS": 0xffffff03,
  "no-peer": 0xffffff04,
};

/** Four octets, or undefined when the text is no community of this kind. */
export function parseCommunity(text: string): number[] | undefined {
  const known = wellKnown[text];
  if (known !== undefined) return fourOctets(known);
  const parts = /^(\d+):(\d+)$/.exec(text)?.slice(1).map(Number);
  return parts?.every((part) => part <= 0xffff) ? parts.flatMap((part) => [...twoOctets(part)]) : undefined;
}

export function parseLargeCommunity(text: string): number[] | undefined {
  const parts = /^large:(\d+):(\d+):(\d+)$/.exec(text)?.slice(1).map(Number);
  return parts?.every((part) => part <= 0xffffffff) ? parts.flatMap(fourOctets) : undefined;
}

function packed(prefixes: readonly string[], room: number): Buffer[] {
  const groups: Buffer[][] = [[]];
  let length = 0;
  for (const prefix of prefixes) {
    const bytes = encodePrefix(prefix);
    if (length + bytes.length > room) {
      groups.push([]);
      length = 0;
    }
    groups.at(-1)!.push(bytes);
    length += bytes.length;
  }
  return groups.filter((group) => group.length > 0).map((group) => Buffer.concat(group));
}

function encodePrefix(prefix: string): Buffer {
  const block = parseCidr(prefix);
  if (!block) throw new Error(`not a prefix: ${prefix}`);
  return Buffer.from([block.prefixLength, ...block.address.subarray(0, Math.ceil(block.prefixLength / 8))]);
}

function frame(type: number, body: Buffer): Buffer {
  const header = Buffer.alloc(headerLength, 0xff);
  header.writeUInt16BE(headerLength + body.length, 16);
  header[18] = type;
  return Buffer.concat([header, body]);
}

/** What a peer sent that is no BGP; code and subcode go to it in a NOTIFICATION. */
export class BgpError extends Error {
  readonly code: number;
  readonly subcode: number;

  constructor(message: string, code: number, subcode: number) {
    super(message);
    this.name = "BgpError";
    this.code = code;
    this.subcode = subcode;
  }
}

/** Cuts a stream into messages. */
export class MessageReader {
  #rest = Buffer.alloc(0);

  /** The messages that are complete. Throws BgpError. */
  read(chunk: Uint8Array): BgpMessage[] {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    const messages: BgpMessage[] = [];
    while (this.#rest.length >= headerLength) {
      if (this.#rest.subarray(0, 16).some((byte) => byte !== 0xff)) throw new BgpError("no marker", 1, 1);
      const length = this.#rest.readUInt16BE(16);
      if (length < headerLength || length > longest) throw new BgpError(`a message of ${length} bytes`, 1, 2);
      if (this.#rest.length < length) break;
      messages.push(decode(this.#rest[18]!, this.#rest.subarray(headerLength, length)));
      this.#rest = this.#rest.subarray(length);
    }
    return messages;
  }
}

function decode(type: number, body: Buffer): BgpMessage {
  switch (type) {
    case types.open:
      return { kind: "open", open: decodeOpen(body) };
    case types.update:
      return { kind: "update" };
    case types.keepalive:
      return { kind: "keepalive" };
    case types.notification:
      if (body.length < 2) throw new BgpError("a notification without a reason", 1, 2);
      return { kind: "notification", code: body[0]!, subcode: body[1]! };
    default:
      // ROUTE-REFRESH and what comes later: we did not offer it.
      throw new BgpError(`a message of type ${type}`, 1, 3);
  }
}

function decodeOpen(body: Buffer): Open {
  if (body.length < 10) throw new BgpError("an OPEN that is too short", 1, 2);
  if (body[0] !== 4) throw new BgpError(`version ${body[0]}`, 2, 1);
  const holdTimeSeconds = body.readUInt16BE(3);
  if (holdTimeSeconds === 1 || holdTimeSeconds === 2) throw new BgpError("an unacceptable hold time", 2, 6);
  const open: Open = {
    asn: body.readUInt16BE(1),
    holdTimeSeconds,
    routerId: formatIp(body.subarray(5, 9)),
    hasFourOctetAsn: false,
  };
  const end = 10 + body[9]!;
  if (end > body.length) throw new BgpError("an OPEN that lies about its length", 2, 0);
  for (let at = 10; at + 2 <= end; ) {
    const [type, length] = [body[at]!, body[at + 1]!];
    const parameter = body.subarray(at + 2, Math.min(at + 2 + length, end));
    at += 2 + length;
    if (type !== 2) continue;
    for (let i = 0; i + 2 <= parameter.length; i += 2 + parameter[i + 1]!) {
      if (parameter[i] !== capability.fourOctetAsn || i + 6 > parameter.length) continue;
      open.asn = parameter.readUInt32BE(i + 2);
      open.hasFourOctetAsn = true;
    }
  }
  return open;
}

function twoOctets(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

function fourOctets(value: number): number[] {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return [...bytes];
}
