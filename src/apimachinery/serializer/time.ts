/** RFC 3339 times as upstream reads and writes them: any offset in, UTC out. */
import { DecodeError } from "./decode-error.ts";

const seconds = /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8])T([01]\d|2[0-3]):[0-5]\d:[0-5]\dZ$/;
const micros = /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{6}Z$/;

/** To whole seconds in UTC. Throws Go's message when the text is no time. */
export function normalizeTime(text: string): string {
  if (seconds.test(text)) return text;
  const { date } = parse(text, "2006-01-02T15:04:05Z07:00", false);
  return date.toISOString().replace(/\.\d+Z$/, "Z");
}

/** To microseconds in UTC; all six digits must be given. */
export function normalizeMicroTime(text: string): string {
  if (micros.test(text)) return text;
  const { date, fraction } = parse(text, "2006-01-02T15:04:05.000000Z07:00", true);
  return date.toISOString().replace(/\.\d+Z$/, `.${fraction}Z`);
}

/** Go's parsing, step by step, so that its errors can be given. */
function parse(text: string, layout: string, micro: boolean): { date: Date; fraction: string } {
  let rest = text;
  const take = (pattern: RegExp, piece: string): string => {
    const match = pattern.exec(rest);
    if (!match)
      throw new DecodeError(
        `parsing time ${JSON.stringify(text)} as ${JSON.stringify(layout)}: cannot parse ${JSON.stringify(rest)} as ${JSON.stringify(piece)}`,
      );
    rest = rest.slice(match[0].length);
    return match[0];
  };
  const within = (value: string, least: number, most: number, what: string): number => {
    const number = Number(value);
    if (number < least || number > most)
      throw new DecodeError(`parsing time ${JSON.stringify(text)}: ${what} out of range`);
    return number;
  };
  const year = Number(take(/^\d{4}/, "2006"));
  take(/^-/, "-");
  const month = within(take(/^\d\d/, "01"), 1, 12, "month");
  take(/^-/, "-");
  const day = Number(take(/^\d\d/, "02"));
  take(/^T/, "T");
  const hour = within(take(/^\d\d?/, "15"), 0, 23, "hour");
  take(/^:/, ":");
  const minute = within(take(/^\d\d/, "04"), 0, 59, "minute");
  take(/^:/, ":");
  const second = within(take(/^\d\d/, "05"), 0, 59, "second");
  let fraction = "000000";
  if (micro) fraction = take(/^[.,]\d{6}/, ".000000").slice(1);
  else if (/^[.,]\d/.test(rest)) rest = rest.replace(/^[.,]\d+/, "");
  const zone = take(/^(Z|[+-]\d\d:\d\d)/, "Z07:00");
  // As Go, who lets a day of 24 hours and an hour of 60 minutes pass.
  const offsetHour = within(zone.slice(1, 3), 0, 24, "time zone offset hour");
  const offsetMinute = within(zone.slice(4), 0, 60, "time zone offset minute");
  if (rest) throw new DecodeError(`parsing time ${JSON.stringify(text)}: extra text: ${JSON.stringify(rest)}`);
  within(String(day), 1, new Date(Date.UTC(2000 + (year % 400), month, 0)).getUTCDate(), "day");
  const offsetMinutes = zone === "Z" ? 0 : (zone[0] === "-" ? -1 : 1) * (offsetHour * 60 + offsetMinute);
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute - offsetMinutes, second);
  return { date, fraction };
}
