/** Kubernetes' IP addresses, CIDR blocks and URLs. */
import {
  type Cidr,
  cidrContains,
  formatCidr,
  formatIp,
  type IpBytes,
  networkOf,
  parseCidr,
  parseIp,
} from "../../../base/ip.ts";
import { type FunctionTable, globalFunction, memberFunction, type Sizes } from "../environment.ts";
import { Bool, Int, listOf, mapOf, opaque, Text } from "../types.ts";
import { ArrayList, CelError, LiteralMap, OpaqueValue, type Value } from "../values.ts";
import { traversal } from "./standard.ts";

const ipType = opaque("net.IP");
const cidrType = opaque("net.CIDR");
const urlType = opaque("kubernetes.URL");

const reading = { cost: ([text = 0]: Sizes) => traversal(text) };

class IpValue extends OpaqueValue {
  override readonly typeName = "net.IP";
  readonly bytes: IpBytes;
  constructor(bytes: IpBytes) {
    super();
    this.bytes = bytes;
  }
  override equals(other: OpaqueValue): boolean {
    return other instanceof IpValue && Buffer.compare(this.bytes, other.bytes) === 0;
  }
}

class CidrValue extends OpaqueValue {
  override readonly typeName = "net.CIDR";
  readonly block: Cidr;
  constructor(block: Cidr) {
    super();
    this.block = block;
  }
  override equals(other: OpaqueValue): boolean {
    return other instanceof CidrValue && formatCidr(this.block) === formatCidr(other.block);
  }
}

class UrlValue extends OpaqueValue {
  override readonly typeName = "kubernetes.URL";
  readonly text: string;
  readonly parts: UrlParts;
  constructor(text: string, parts: UrlParts) {
    super();
    this.text = text;
    this.parts = parts;
  }
  override equals(other: OpaqueValue): boolean {
    return other instanceof UrlValue && this.text === other.text;
  }
}

/** Upstream wants neither zones nor IPv4 written as IPv6. */
function readIp(text: string): IpBytes | undefined {
  if (text.includes("%")) return undefined;
  const bytes = parseIp(text);
  if (bytes?.length === 16 && isMapped(bytes)) return undefined;
  return bytes;
}

function isMapped(bytes: IpBytes): boolean {
  return bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff;
}

function ip(text: string): IpValue {
  const bytes = readIp(text);
  if (bytes) return new IpValue(bytes);
  const why = text.includes("%")
    ? "IP address with zone value is not allowed"
    : parseIp(text)
      ? "IPv4-mapped IPv6 address is not allowed"
      : `ParseAddr(${JSON.stringify(text)}): unable to parse IP`;
  throw new CelError(`IP Address ${JSON.stringify(text)} parse error during conversion from string: ${why}`);
}

function readCidr(text: string): Cidr | undefined {
  const [address = "", prefix = ""] = text.split("/");
  if (!readIp(address) || !/^(?:0|[1-9]\d{0,2})$/.test(prefix)) return undefined;
  return parseCidr(text);
}

function cidr(text: string): CidrValue {
  const block = readCidr(text);
  if (!block) {
    const why = text.includes("/") ? "invalid address or prefix length" : "no '/'";
    throw new CelError(
      `network address parse error during conversion from string: netip.ParsePrefix(${JSON.stringify(text)}): ${why}`,
    );
  }
  return new CidrValue(block);
}

const isUnspecified = (bytes: IpBytes) => bytes.every((byte) => byte === 0);
const isV4 = (bytes: IpBytes) => bytes.length === 4;
const isLoopback = (bytes: IpBytes) =>
  isV4(bytes) ? bytes[0] === 127 : bytes.subarray(0, 15).every((byte) => byte === 0) && bytes[15] === 1;
const isMulticast = (bytes: IpBytes) => (isV4(bytes) ? (bytes[0]! & 0xf0) === 0xe0 : bytes[0] === 0xff);
const isLinkLocalMulticast = (bytes: IpBytes) =>
  isV4(bytes) ? bytes[0] === 224 && bytes[1] === 0 && bytes[2] === 0 : bytes[0] === 0xff && (bytes[1]! & 0x0f) === 2;
const isLinkLocalUnicast = (bytes: IpBytes) =>
  isV4(bytes) ? bytes[0] === 169 && bytes[1] === 254 : bytes[0] === 0xfe && (bytes[1]! & 0xc0) === 0x80;
const isGlobalUnicast = (bytes: IpBytes) =>
  !isUnspecified(bytes) &&
  !isLoopback(bytes) &&
  !isMulticast(bytes) &&
  !isLinkLocalUnicast(bytes) &&
  !(isV4(bytes) && bytes.every((byte) => byte === 255));

const about = (test: (bytes: IpBytes) => boolean) => [
  memberFunction([ipType], Bool, ({ bytes }: IpValue) => test(bytes)),
];

function containsBlock(outer: Cidr, inner: Cidr): boolean {
  const address = networkOf(inner).address;
  return (
    outer.prefixLength <= inner.prefixLength && outer.address.length === address.length && cidrContains(outer, address)
  );
}

function containsIp({ block }: CidrValue, { bytes }: IpValue): boolean {
  return block.address.length === bytes.length && cidrContains(block, bytes);
}

interface UrlParts {
  scheme: string;
  host: string;
  hostname: string;
  port: string;
  path: string;
  query: ReadonlyMap<string, string[]>;
}

/** As Go's url.ParseRequestURI: an absolute URI or an absolute path. */
function readUrl(text: string): UrlParts | undefined {
  if (text === "" || hasControl(text)) return undefined;
  const match = /^(?:([A-Za-z][A-Za-z0-9+.-]*):)?(?:\/\/([^/?]*))?([^?]*)(?:\?(.*))?$/s.exec(text);
  if (!match) return undefined;
  const [, scheme = "", authority, path = "", query = ""] = match;
  if (!scheme && !path.startsWith("/") && authority === undefined) return undefined;
  if (!scheme && authority !== undefined && !text.startsWith("/")) return undefined;
  if (/%(?![0-9a-fA-F]{2})/.test(path) || (scheme && authority === undefined && !path)) return undefined;
  if (scheme === "" && !text.startsWith("/")) return undefined;
  const host = (authority ?? "").replace(/^.*@/, "");
  const ported = /^(\[[^\]]*\]|[^:]*)(?::(\d*))?$/.exec(host);
  if (!ported || / |[<>"]/.test(host) || / /.test(host)) return undefined;
  return {
    scheme: scheme.toLowerCase(),
    host,
    hostname: ported[1]!.replace(/^\[|\]$/g, ""),
    port: ported[2] ?? "",
    path: escapePath(path),
    query: readQuery(query),
  };
}

function hasControl(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x20 || unit === 0x7f) return true;
  }
  return false;
}

function escapePath(path: string): string {
  return encodeURI(path).replace(/%25([0-9a-fA-F]{2})/g, "%$1");
}

function readQuery(query: string): ReadonlyMap<string, string[]> {
  const values = new Map<string, string[]>();
  for (const [key, value] of new URLSearchParams(query)) values.set(key, [...(values.get(key) ?? []), value]);
  return values;
}

function url(text: string): UrlValue {
  const parts = readUrl(text);
  if (!parts)
    throw new CelError(
      `URL parse error during conversion from string: parse ${JSON.stringify(text)}: invalid URI for request`,
    );
  return new UrlValue(text, parts);
}

const ofUrl = (read: (parts: UrlParts) => string) => [
  memberFunction([urlType], Text, ({ parts }: UrlValue) => read(parts)),
];

function queryOf({ parts }: UrlValue): Value {
  return new LiteralMap(
    new Map([...parts.query].map(([key, values]) => [key, { key, value: new ArrayList(values) }] as const)),
  );
}

export const networkLibrary: FunctionTable = {
  ip: [
    globalFunction([Text], ipType, ip, reading),
    memberFunction([cidrType], ipType, ({ block }: CidrValue) => new IpValue(block.address)),
  ],
  isIP: [globalFunction([Text], Bool, (text: string) => readIp(text) !== undefined, reading)],
  "ip.isCanonical": [globalFunction([Text], Bool, (text: string) => formatIp(ip(text).bytes) === text, reading)],
  family: [memberFunction([ipType], Int, ({ bytes }: IpValue) => (isV4(bytes) ? 4n : 6n))],
  isUnspecified: about(isUnspecified),
  isLoopback: about(isLoopback),
  isLinkLocalMulticast: about(isLinkLocalMulticast),
  isLinkLocalUnicast: about(isLinkLocalUnicast),
  isGlobalUnicast: about(isGlobalUnicast),
  string: [
    globalFunction([ipType], Text, ({ bytes }: IpValue) => formatIp(bytes)),
    globalFunction([cidrType], Text, ({ block }: CidrValue) => formatCidr(block)),
  ],
  cidr: [globalFunction([Text], cidrType, cidr, reading)],
  isCIDR: [globalFunction([Text], Bool, (text: string) => readCidr(text) !== undefined, reading)],
  containsIP: [
    memberFunction([cidrType, ipType], Bool, containsIp),
    memberFunction([cidrType, Text], Bool, (block: CidrValue, text: string) => containsIp(block, ip(text))),
  ],
  containsCIDR: [
    memberFunction([cidrType, cidrType], Bool, (a: CidrValue, b: CidrValue) => containsBlock(a.block, b.block)),
    memberFunction([cidrType, Text], Bool, (a: CidrValue, text: string) => containsBlock(a.block, cidr(text).block)),
  ],
  prefixLength: [memberFunction([cidrType], Int, ({ block }: CidrValue) => BigInt(block.prefixLength))],
  masked: [memberFunction([cidrType], cidrType, ({ block }: CidrValue) => new CidrValue(networkOf(block)))],
  // Its size is the text's where two are compared.
  url: [globalFunction([Text], urlType, url, { ...reading, resultSize: ([text = 0]: Sizes) => text })],
  isURL: [globalFunction([Text], Bool, (text: string) => readUrl(text) !== undefined, reading)],
  getScheme: ofUrl(({ scheme }) => scheme),
  getHost: ofUrl(({ host }) => host),
  getHostname: ofUrl(({ hostname }) => hostname),
  getPort: ofUrl(({ port }) => port),
  getEscapedPath: ofUrl(({ path }) => path),
  getQuery: [memberFunction([urlType], mapOf(Text, listOf(Text)), queryOf)],
};
