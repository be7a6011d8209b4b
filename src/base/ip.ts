/** IP addresses and CIDR blocks as values: parsed strictly, printed canonically (RFC 5952), both families alike. */

/** 4 bytes for IPv4, 16 for IPv6, in network order. */
export type IpBytes = Uint8Array;

export interface Cidr {
  /** The address as written; host bits may be set. */
  address: IpBytes;
  prefixLength: number;
}

/** The bytes of an address, or undefined when the text is not one. Leading zeros in IPv4 are refused, as Kubernetes refuses them. */
export function parseIp(text: string): IpBytes | undefined {
  return text.includes(":") ? parseIpv6(text) : parseIpv4(text);
}

export function formatIp(bytes: IpBytes): string {
  return bytes.length === 4 ? bytes.join(".") : formatIpv6(bytes);
}

/** For text that was validated before: throws where `parseIp` returns undefined. */
export function ip(text: string): IpBytes {
  const bytes = parseIp(text);
  if (!bytes) throw new Error(`not an IP address: ${JSON.stringify(text)}`);
  return bytes;
}

export function familyOf(address: string): "ipv4" | "ipv6" {
  return address.includes(":") ? "ipv6" : "ipv4";
}

export function parseCidr(text: string): Cidr | undefined {
  const slash = text.indexOf("/");
  if (slash < 0) return undefined;
  const address = parseIp(text.slice(0, slash));
  const lengthText = text.slice(slash + 1);
  if (!address || !/^(0|[1-9]\d{0,2})$/.test(lengthText)) return undefined;
  const prefixLength = Number(lengthText);
  return prefixLength <= address.length * 8 ? { address, prefixLength } : undefined;
}

/** For text that was validated before: throws where `parseCidr` returns undefined. */
export function cidr(text: string): Cidr {
  const block = parseCidr(text);
  if (!block) throw new Error(`not a CIDR block: ${JSON.stringify(text)}`);
  return block;
}

export function formatCidr(block: Cidr): string {
  return `${formatIp(block.address)}/${block.prefixLength}`;
}

/** The block with its host bits cleared: the network address. */
export function networkOf(block: Cidr): Cidr {
  const address = Uint8Array.from(block.address, (byte, i) => byte & maskByte(block.prefixLength, i));
  return { address, prefixLength: block.prefixLength };
}

export function cidrContains(block: Cidr, address: IpBytes): boolean {
  if (block.address.length !== address.length) return false;
  return address.every((byte, i) => ((byte ^ block.address[i]!) & maskByte(block.prefixLength, i)) === 0);
}

export function cidrsOverlap(a: Cidr, b: Cidr): boolean {
  return a.prefixLength <= b.prefixLength ? cidrContains(a, b.address) : cidrContains(b, a.address);
}

/** How many addresses the block spans, network and broadcast included. */
export function cidrSize(block: Cidr): bigint {
  return 1n << BigInt(block.address.length * 8 - block.prefixLength);
}

/** The address `offset` places after the network address. */
export function addressAt(block: Cidr, offset: number | bigint): IpBytes {
  return ipFromBigInt(ipToBigInt(networkOf(block).address) + BigInt(offset), block.address.length);
}

/** How many places after the network address `address` stands. */
export function offsetIn(block: Cidr, address: IpBytes): bigint {
  return ipToBigInt(address) - ipToBigInt(networkOf(block).address);
}

function ipToBigInt(bytes: IpBytes): bigint {
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  return value;
}

function ipFromBigInt(value: bigint, length: number): IpBytes {
  const bytes = new Uint8Array(length);
  for (let i = length - 1; i >= 0; i--, value >>= 8n) bytes[i] = Number(value & 255n);
  return bytes;
}

function maskByte(prefixLength: number, index: number): number {
  const bits = Math.min(8, Math.max(0, prefixLength - index * 8));
  return (0xff << (8 - bits)) & 0xff;
}

function parseIpv4(text: string): IpBytes | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  const bytes = new Uint8Array(4);
  for (const [i, part] of parts.entries()) {
    if (!/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return undefined;
    bytes[i] = Number(part);
  }
  return bytes;
}

function parseIpv6(text: string): IpBytes | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const head = parseGroups(halves[0]!, halves.length === 1);
  const tail = halves.length === 2 ? parseGroups(halves[1]!, true) : [];
  if (!head || !tail) return undefined;
  const missing = 16 - head.length - tail.length;
  if (halves.length === 2 ? missing < 2 : missing !== 0) return undefined;
  return Uint8Array.from([...head, ...new Array<number>(missing).fill(0), ...tail]);
}

function parseGroups(text: string, mayEndInIpv4: boolean): number[] | undefined {
  if (text === "") return [];
  const bytes: number[] = [];
  const groups = text.split(":");
  for (const [i, group] of groups.entries()) {
    if (mayEndInIpv4 && i === groups.length - 1 && group.includes(".")) {
      const ipv4 = parseIpv4(group);
      if (!ipv4) return undefined;
      bytes.push(...ipv4);
    } else if (/^[0-9a-fA-F]{1,4}$/.test(group)) {
      const value = Number.parseInt(group, 16);
      bytes.push(value >> 8, value & 255);
    } else return undefined;
  }
  return bytes;
}

function formatIpv6(bytes: IpBytes): string {
  const isMapped = bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 255 && bytes[11] === 255;
  if (isMapped) return `::ffff:${bytes.subarray(12).join(".")}`;
  const groups = Array.from({ length: 8 }, (_, i) => (bytes[i * 2]! << 8) | bytes[i * 2 + 1]!);
  let longest = { start: -1, length: 1 };
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === 0) length++;
    if (length > longest.length) longest = { start, length };
  }
  const hex = (part: number[]) => part.map((group) => group.toString(16)).join(":");
  if (longest.start < 0) return hex(groups);
  return `${hex(groups.slice(0, longest.start))}::${hex(groups.slice(longest.start + longest.length))}`;
}
