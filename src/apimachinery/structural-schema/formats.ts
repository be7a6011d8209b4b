/** The string formats that custom resources are checked by. Formats that are not listed here say nothing. */
import { isIP, isIPv4, isIPv6 } from "node:net";

const patterns: Readonly<Record<string, RegExp>> = {
  bsonobjectid: /^[0-9a-fA-F]{24}$/,
  mac: /^([0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}$/,
  uuid: /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i,
  uuid3: /^[0-9a-f]{8}-?[0-9a-f]{4}-?3[0-9a-f]{3}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i,
  uuid4: /^[0-9a-f]{8}-?[0-9a-f]{4}-?4[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}$/i,
  uuid5: /^[0-9a-f]{8}-?[0-9a-f]{4}-?5[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}$/i,
  isbn: /^(\d[- ]?){9}[\dX]$|^97[89][- ]?(\d[- ]?){9}\d$/,
  isbn10: /^(\d[- ]?){9}[\dX]$/,
  isbn13: /^97[89][- ]?(\d[- ]?){9}\d$/,
  creditcard: /^\d{4}[- ]?\d{4}[- ]?\d{4}[- ]?\d{1,7}$/,
  ssn: /^\d{3}[- ]?\d{2}[- ]?\d{4}$/,
  hexcolor: /^#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$/,
  rgbcolor: /^rgb\(\s*\d{1,3}\s*,\s*\d{1,3}\s*,\s*\d{1,3}\s*\)$/i,
  byte: /^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/,
  email: /^[^\s@<>]+@[^\s@<>]+$/,
  hostname:
    /^(?=.{1,253}\.?$)[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*\.?$/,
  duration:
    /^[-+]?(\d+(\.\d*)?|\.\d+)\s*(ns|us|µs|ms|s|m|h|d|w|hour|hours|minute|minutes|second|seconds|day|days|week|weeks)?((\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h))*$/,
  "k8s-short-name": /^(?=.{1,63}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?$/,
  "k8s-long-name": /^(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/,
};

const checks: Readonly<Record<string, (text: string) => boolean>> = {
  ipv4: isIPv4,
  ipv6: isIPv6,
  cidr: isCidr,
  uri: isUri,
  date: isDate,
  "date-time": isDateTime,
  datetime: isDateTime,
};

/** Formats of texts that say nothing about them, and of numbers. */
const uncheckedFormats = new Set(["password"]);
const numericFormats: Readonly<Record<string, readonly string[]>> = {
  integer: ["int32", "int64"],
  number: ["float", "double"],
};

/** Whether the format means something for values of the type. Of other types' formats nothing is said. */
export function isKnownFormat(type: string | undefined, format: string): boolean {
  if (type !== "string") return numericFormats[type ?? ""]?.includes(format) ?? true;
  return uncheckedFormats.has(format) || formatCheck(format) !== undefined;
}

/** Undefined: any text will do. Formats are named with or without dashes. */
export function formatCheck(format: string): ((text: string) => boolean) | undefined {
  const check = checks[format];
  if (check) return check;
  const pattern = Object.hasOwn(patterns, format) ? patterns[format] : undefined;
  return pattern && ((text) => pattern.test(text));
}

function isCidr(text: string): boolean {
  const match = /^([^/]+)\/(\d{1,3})$/.exec(text);
  if (!match) return false;
  const family = isIP(match[1]!);
  return family !== 0 && Number(match[2]) <= (family === 4 ? 32 : 128);
}

function isUri(text: string): boolean {
  return text.startsWith("/") || URL.canParse(text);
}

function isDate(text: string): boolean {
  const match = /^(\d{4})-(\d{2})-(\d{2})$/.exec(text);
  if (!match) return false;
  const date = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(text);
}

function isDateTime(text: string): boolean {
  const match = /^(\d{4}-\d{2}-\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/.exec(text);
  return !!match && isDate(match[1]!) && Number(match[2]) < 24 && Number(match[3]) < 60 && Number(match[4]) <= 60;
}
