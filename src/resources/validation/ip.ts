/** IP addresses and CIDRs as API fields hold them. */
import { type FieldError, type FieldPath, invalid } from "../../apimachinery/field-error.ts";

export const invalidIpMessage = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
export const invalidCidrMessage = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";

export type IpFamily = "IPv4" | "IPv6";

/** Undefined when the text is no IP address. Leading zeros are refused in new fields. */
export function ipFamilyOf(text: string): IpFamily | undefined {
  if (ipv4Pattern.test(text)) return "IPv4";
  return isIpv6(text) ? "IPv6" : undefined;
}

const octet = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
const ipv4Pattern = new RegExp(`^${octet}(?:\\.${octet}){3}$`);

function isIpv6(text: string): boolean {
  if (!text.includes(":") || /[^0-9a-fA-F:.]/.test(text) || text.includes(":::")) return false;
  const halves = text.split("::");
  if (halves.length > 2) return false;
  const groups = halves.flatMap((half) => (half === "" ? [] : half.split(":")));
  const last = groups.at(-1);
  let count = groups.length;
  if (last?.includes(".")) {
    if (!ipv4Pattern.test(last)) return false;
    groups.pop();
    count++;
  }
  if (!groups.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group))) return false;
  return halves.length === 2 ? count < 8 : count === 8;
}

export function validIp(value: string, path: FieldPath): FieldError[] {
  return ipFamilyOf(value) ? [] : [invalid(path, value, invalidIpMessage)];
}

export function isCidr(value: string): boolean {
  const slash = value.indexOf("/");
  if (slash < 0) return false;
  const family = ipFamilyOf(value.slice(0, slash));
  const prefix = value.slice(slash + 1);
  if (!family || !/^(0|[1-9][0-9]*)$/.test(prefix)) return false;
  return Number(prefix) <= (family === "IPv4" ? 32 : 128);
}

export function validCidr(value: string, path: FieldPath): FieldError[] {
  return isCidr(value) ? [] : [invalid(path, value, invalidCidrMessage)];
}

/** Loopback, unspecified and link-local addresses cannot be endpoints or external addresses. */
export function validNonSpecialIp(value: string, path: FieldPath): FieldError[] {
  const family = ipFamilyOf(value);
  if (!family) return [invalid(path, value, invalidIpMessage)];
  const errors: FieldError[] = [];
  const refuse = (detail: string) => errors.push(invalid(path, value, detail));
  if (family === "IPv4") {
    if (value === "0.0.0.0") refuse("may not be unspecified (0.0.0.0)");
    if (value.startsWith("127.")) refuse("may not be in the loopback range (127.0.0.0/8, ::1/128)");
    if (value.startsWith("169.254.")) refuse("may not be in the link-local range (169.254.0.0/16, fe80::/10)");
    if (value.startsWith("224.0.0.")) refuse("may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)");
  } else {
    const lower = value.toLowerCase();
    if (/^[0:]+$/.test(lower)) refuse("may not be unspecified (::)");
    if (/^[0:]*:0*1$/.test(lower)) refuse("may not be in the loopback range (127.0.0.0/8, ::1/128)");
    if (/^fe[89ab]/.test(lower)) refuse("may not be in the link-local range (169.254.0.0/16, fe80::/10)");
    if (lower.startsWith("ff02")) refuse("may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)");
  }
  return errors;
}
