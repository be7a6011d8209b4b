/** IP addresses and CIDRs as API fields hold them. */

import { type FieldError, type FieldPath, invalid } from "../../apimachinery/field-error.ts";
import { cidr, cidrContains, formatIp, type IpBytes, parseCidr, parseIp } from "../../base/ip.ts";

export const invalidIpMessage = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
const invalidCidrMessage = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";

export type IpFamily = "IPv4" | "IPv6";

/** Undefined when the text is no IP address. */
export function ipFamilyOf(text: string): IpFamily | undefined {
  const bytes = parseIp(text);
  return bytes && (bytes.length === 4 ? "IPv4" : "IPv6");
}

export function validIp(value: string, path: FieldPath): FieldError[] {
  return parseIp(value) ? [] : [invalid(path, value, invalidIpMessage)];
}

export function validCidr(value: string, path: FieldPath): FieldError[] {
  return parseCidr(value) ? [] : [invalid(path, value, invalidCidrMessage)];
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
  const bytes = parseIp(value);
  if (!bytes) return [invalid(path, value, invalidIpMessage)];
  const errors: FieldError[] = [];
  if (isUnspecified(bytes)) errors.push(invalid(path, value, `may not be unspecified (${formatIp(bytes)})`));
  for (const { ranges, detail } of specialRanges) {
    if (ranges.some((range) => cidrContains(range, bytes))) errors.push(invalid(path, value, detail));
  }
  return errors;
}

function isUnspecified(bytes: IpBytes): boolean {
  return bytes.every((byte) => byte === 0);
}
