/** IP addresses and CIDRs as API fields hold them. */

import { type FieldError, type FieldPath, invalid } from "../../apimachinery/field-error.ts";
import {
  type Cidr,
  cidr,
  cidrContains,
  formatCidr,
  formatIp,
  type IpBytes,
  networkOf,
  parseCidr,
  parseIp,
} from "../../base/ip.ts";

export const invalidIpMessage = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
const invalidCidrMessage = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";

export type IpFamily = "IPv4" | "IPv6";

/** Undefined when the text is no IP address. */
export function ipFamilyOf(text: string): IpFamily | undefined {
  const bytes = parseIp(text);
  return bytes && (bytes.length === 4 ? "IPv4" : "IPv6");
}

/** Any way of writing an address is fine, but those that programs read differently: leading zeros, IPv4 inside IPv6. */
export function validIp(value: string, path: FieldPath): FieldError[] {
  const bytes = parseIp(value);
  if (bytes) return isMapped(bytes) ? [invalid(path, value, "must not be an IPv4-mapped IPv6 address")] : [];
  return [invalid(path, value, parseIp(withoutLeadingZeros(value)) ? "must not have leading 0s" : invalidIpMessage)];
}

/** As validIp, and no bits may be set that the prefix leaves out. */
export function validCidr(value: string, path: FieldPath): FieldError[] {
  const block = parseCidr(value);
  if (!block) {
    const isReadable = parseCidr(withoutLeadingZeros(value).replace(/\/0+(?=\d)/, "/"));
    return [invalid(path, value, isReadable ? "must not have leading 0s in IP or prefix length" : invalidCidrMessage)];
  }
  if (isMapped(block.address)) return [invalid(path, value, "must not have an IPv4-mapped IPv6 address")];
  return isNetwork(block) ? [] : [invalid(path, value, "must not have bits set beyond the prefix length")];
}

/** As validCidr, in the one way of writing it that RFC 5952 knows: for fields that were never laxer. */
export function validCanonicalCidr(value: string, path: FieldPath): FieldError[] {
  const errors = validCidr(value, path);
  const block = parseCidr(value);
  if (!block || errors.length > 0 || formatCidr(block) === value) return errors;
  return [invalid(path, value, `must be in canonical form ("${formatCidr(block)}")`)];
}

function isNetwork(block: Cidr): boolean {
  return formatCidr(networkOf(block)) === formatCidr(block);
}

/** `::ffff:10.0.0.1` */
function isMapped(bytes: IpBytes): boolean {
  return bytes.length === 16 && bytes.every((byte, i) => i >= 12 || byte === (i < 10 ? 0 : 255));
}

function withoutLeadingZeros(text: string): string {
  return text.replace(/(^|\.)0+(?=\d)/g, "$1");
}

/** Of an address that is valid, but not written as RFC 5952 says. */
export function ipWarnings(value: string | undefined, path: FieldPath): string[] {
  const bytes = value ? parseIp(value) : undefined;
  if (!bytes) return [];
  const canonical = formatIp(bytes);
  if (bytes.length === 4 || value === canonical) return [];
  return [`${path}: IPv6 address "${value}" should be in RFC 5952 canonical format ("${canonical}")`];
}

/** As ipWarnings. */
export function cidrWarnings(value: string | undefined, path: FieldPath): string[] {
  const block = value ? parseCidr(value) : undefined;
  if (!block) return [];
  const canonical = formatCidr(block);
  if (block.address.length === 4 || value === canonical) return [];
  return [`${path}: IPv6 CIDR value "${value}" should be in RFC 5952 canonical format ("${canonical}")`];
}

const specialRanges = [
  { ranges: ["127.0.0.0/8", "::1/128"], detail: "may not be in the loopback range (127.0.0.0/8, ::1/128)" },
  { ranges: ["169.254.0.0/16", "fe80::/10"], detail: "may not be in the link-local range (169.254.0.0/16, fe80::/10)" },
  {
    ranges: ["224.0.0.0/24", "ff02::/10"],
    detail: "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)",
  },
].map(({ ranges, detail }) => ({ ranges: ranges.map(cidr), detail }));

/** Unspecified, loopback and link-local addresses cannot be endpoints or external addresses. */
export function validNonSpecialIp(value: string, path: FieldPath): FieldError[] {
  const errors = validIp(value, path);
  const bytes = parseIp(value);
  if (!bytes || errors.length > 0) return errors;
  if (isUnspecified(bytes)) errors.push(invalid(path, value, `may not be unspecified (${formatIp(bytes)})`));
  for (const { ranges, detail } of specialRanges) {
    if (ranges.some((range) => cidrContains(range, bytes))) errors.push(invalid(path, value, detail));
  }
  return errors;
}

function isUnspecified(bytes: IpBytes): boolean {
  return bytes.every((byte) => byte === 0);
}
