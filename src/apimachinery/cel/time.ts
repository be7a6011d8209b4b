/** CEL's timestamps and durations as nanoseconds: reading, writing, and the calendar in any time zone. */

const second = 1_000_000_000n;
const units: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1000n,
  µs: 1000n,
  μs: 1000n,
  ms: 1_000_000n,
  s: second,
  m: 60n * second,
  h: 3600n * second,
};
/** Year 1 to 9999. */
const earliest = -62_135_596_800n * second;
const latest = 253_402_300_800n * second - 1n;
const longest = 2n ** 63n - 1n;

export function isTimestampInRange(nanos: bigint): boolean {
  return nanos >= earliest && nanos <= latest;
}

export function isDurationInRange(nanos: bigint): boolean {
  return nanos >= -longest && nanos <= longest;
}

/** Go's form: `1h30m`, `-1.5s`. Undefined when it is none. */
export function parseDuration(text: string): bigint | undefined {
  if (/^[+-]?0$/.test(text)) return 0n;
  const match = /^([+-]?)((?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)$/.exec(text);
  if (!match) return undefined;
  let total = 0n;
  for (const [, whole = "", , fraction = "", unit = ""] of match[2]!.matchAll(
    /(\d*)(\.(\d*))?(ns|us|µs|μs|ms|s|m|h)/g,
  )) {
    const size = units[unit]!;
    total += BigInt(whole || "0") * size;
    if (fraction) total += (BigInt(fraction.slice(0, 18)) * size) / 10n ** BigInt(Math.min(fraction.length, 18));
  }
  const signed = match[1] === "-" ? -total : total;
  return isDurationInRange(signed) ? signed : undefined;
}

/** In seconds: `5400s`, `-1.5s`. */
export function formatDuration(nanos: bigint): string {
  const magnitude = nanos < 0n ? -nanos : nanos;
  return `${nanos < 0n ? "-" : ""}${magnitude / second}${fractionOf(magnitude % second)}s`;
}

/** RFC 3339. Undefined when it is none, or before year 1 or after 9999. */
export function parseTimestamp(text: string): bigint | undefined {
  const match = /^(\d{4})-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(?:\.(\d+))?([Zz]|[+-]\d{2}:\d{2})$/.exec(text);
  if (!match) return undefined;
  const [, year, month, day, hour, minute, seconds, fraction = "", zone = "Z"] = match;
  const parts = [year, month, day, hour, minute, seconds].map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const date = new Date(0);
  date.setUTCFullYear(parts[0], parts[1] - 1, parts[2]);
  if (date.getUTCMonth() !== parts[1] - 1 || date.getUTCDate() !== parts[2]) return undefined;
  if (parts[3] > 23 || parts[4] > 59 || parts[5] > 59) return undefined;
  let total = BigInt(date.getTime() / 1000 + parts[3] * 3600 + parts[4] * 60 + parts[5]) * second;
  total += BigInt(fraction.padEnd(9, "0").slice(0, 9));
  if (!/[Zz]/.test(zone)) {
    const shift = BigInt(Number(zone.slice(1, 3)) * 3600 + Number(zone.slice(4)) * 60) * second;
    total += zone.startsWith("-") ? shift : -shift;
  }
  return isTimestampInRange(total) ? total : undefined;
}

export function formatTimestamp(nanos: bigint): string {
  const fraction = ((nanos % second) + second) % second;
  const milliseconds = Number((nanos - fraction) / 1_000_000n);
  return `${new Date(milliseconds).toISOString().replace(/\.000Z$/, "")}${fractionOf(fraction)}Z`;
}

function fractionOf(nanos: bigint): string {
  return nanos === 0n ? "" : `.${String(nanos).padStart(9, "0").replace(/0+$/, "")}`;
}

/** A date whose UTC fields are the wall clock's in `zone` (`UTC`, `Europe/Berlin`, `+02:00`). Undefined: no such zone. */
export function wallClock(nanos: bigint, zone: string | undefined): Date | undefined {
  const fraction = ((nanos % 1_000_000n) + 1_000_000n) % 1_000_000n;
  const milliseconds = Number((nanos - fraction) / 1_000_000n);
  if (zone === undefined || zone === "UTC" || zone === "") return new Date(milliseconds);
  const offset = /^([+-]?)(\d{1,2}):(\d{2})$/.exec(zone);
  if (offset) {
    const minutes = Number(offset[2]) * 60 + Number(offset[3]);
    return new Date(milliseconds + (offset[1] === "-" ? -minutes : minutes) * 60_000);
  }
  let formatter: Intl.DateTimeFormat;
  try {
    formatter = new Intl.DateTimeFormat("en-US", {
      timeZone: zone,
      hourCycle: "h23",
      era: "short",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
    });
  } catch {
    return undefined;
  }
  const parts: Record<string, string> = {};
  for (const { type, value } of formatter.formatToParts(milliseconds)) parts[type] = value;
  const year = parts["era"] === "BC" ? 1 - Number(parts["year"]) : Number(parts["year"]);
  const date = new Date(0);
  date.setUTCFullYear(year, Number(parts["month"]) - 1, Number(parts["day"]));
  date.setUTCHours(
    Number(parts["hour"]),
    Number(parts["minute"]),
    Number(parts["second"]),
    ((milliseconds % 1000) + 1000) % 1000,
  );
  return date;
}
