import { expect, it } from "vitest";
import { normalizeMicroTime, normalizeTime } from "./time.ts";

it.each([
  ["2026-01-01T1:02:03Z", "2026-01-01T01:02:03Z"],
  ["2026-01-01T00:00:00,5+01:00", "2025-12-31T23:00:00Z"],
  ["2026-01-01T00:00:00+24:00", "2025-12-31T00:00:00Z"],
])("reads %s as Go does", (text, normal) => {
  expect(normalizeTime(text)).toBe(normal);
});

it.each([
  ["2026-01-01T00:00:00+25:00", 'parsing time "2026-01-01T00:00:00+25:00": time zone offset hour out of range'],
  ["2026-02-29T00:00:00Z", 'parsing time "2026-02-29T00:00:00Z": day out of range'],
])("refuses %s as Go does", (text, message) => {
  expect(() => normalizeTime(text)).toThrow(message);
});

it.each([
  ["2026-01-01T00:00:00Z", 'cannot parse "Z" as ".000000"'],
  ["2026-01-01T00:00:00.12+01:00", 'cannot parse ".12+01:00" as ".000000"'],
  ["2026-01-01T00:00:00.1234567Z", 'cannot parse "7Z" as "Z07:00"'],
])("wants six digits of %s, no more and no less", (text, end) => {
  expect(() => normalizeMicroTime(text)).toThrow(
    `parsing time "${text}" as "2006-01-02T15:04:05.000000Z07:00": ${end}`,
  );
});
