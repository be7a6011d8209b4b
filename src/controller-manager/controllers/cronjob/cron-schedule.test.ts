import { describe, expect, test } from "vitest";
import { isTimeZone, latestDue, nextDueMs, parseCron } from "./cron-schedule.ts";

const next = (line: string, after: string, timeZone?: string) => {
  const due = nextDueMs(parseCron(line), Date.parse(after), timeZone);
  return due === undefined ? undefined : new Date(due).toISOString().slice(0, 16);
};

describe("a cron line is next due", () => {
  test.each([
    ["*/5 * * * *", "2026-01-01T00:02:30Z", "2026-01-01T00:05"],
    ["*/5 * * * *", "2026-01-01T00:05:00Z", "2026-01-01T00:10"],
    ["0 0 * * *", "2026-12-31T00:00:00Z", "2027-01-01T00:00"],
    ["30 9 * * mon-fri", "2026-01-02T10:00:00Z", "2026-01-05T09:30"],
    ["0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00"],
    ["0 12 13 * 5", "2026-01-01T00:00:00Z", "2026-01-02T12:00"],
    ["@monthly", "2026-01-15T00:00:00Z", "2026-02-01T00:00"],
    ["15-45/15 3 * * *", "2026-01-01T03:15:00Z", "2026-01-01T03:30"],
    ["0 0 * * 7", "2026-01-01T00:00:00Z", "2026-01-04T00:00"],
    ["@every 1h30m", "2026-01-01T00:10:00Z", "2026-01-01T01:40"],
    ["@every 90s", "2026-01-01T00:10:30Z", "2026-01-01T00:12"],
  ])("%s after %s", (line, after, expected) => {
    expect(next(line, after)).toBe(expected);
  });

  test("never on 31 February", () => {
    expect(next("0 0 31 2 *", "2026-01-01T00:00:00Z")).toBeUndefined();
  });

  test("by the clocks of its time zone", () => {
    expect(next("0 9 * * *", "2026-01-01T00:00:00Z", "America/New_York")).toBe("2026-01-01T14:00");
    expect(next("0 9 * * *", "2026-07-01T00:00:00Z", "America/New_York")).toBe("2026-07-01T13:00");
  });

  test("not at a time that clocks skip in spring, and both times when they repeat it in autumn", () => {
    // Berlin: 02:00 to 03:00 does not exist on 2026-03-29, and happens twice on 2026-10-25.
    expect(next("30 2 * * *", "2026-03-28T12:00:00Z", "Europe/Berlin")).toBe("2026-03-30T00:30");
    expect(next("30 2 * * *", "2026-10-24T12:00:00Z", "Europe/Berlin")).toBe("2026-10-25T00:30");
    expect(next("30 2 * * *", "2026-10-25T00:30:00Z", "Europe/Berlin")).toBe("2026-10-25T01:30");
    expect(next("30 2 * * *", "2026-10-25T01:30:00Z", "Europe/Berlin")).toBe("2026-10-26T01:30");
  });
});

describe("hourly lines go on through the changes of clocks", () => {
  const dueTimes = (line: string, from: string, timeZone: string, count: number) => {
    const times: string[] = [];
    let at = Date.parse(from);
    for (let i = 0; i < count; i++) {
      at = nextDueMs(parseCron(line), at, timeZone)!;
      times.push(new Date(at).toISOString().slice(11, 16));
    }
    return times;
  };
  test.each([
    ["0 * * * *", "2026-03-28T23:30:00Z", "Europe/Berlin", ["00:00", "01:00", "02:00"]],
    ["0 * * * *", "2026-10-24T23:30:00Z", "Europe/Berlin", ["00:00", "01:00", "02:00"]],
    ["*/30 * * * *", "2026-10-25T00:10:00Z", "Europe/Berlin", ["00:30", "01:00", "01:30", "02:00"]],
    ["0 * * * *", "2026-10-03T15:10:00Z", "Australia/Lord_Howe", ["16:00", "17:00"]],
    ["15 * * * *", "2026-01-01T00:00:00Z", "Asia/Kathmandu", ["00:30", "01:30"]],
  ])("%s from %s in %s", (line, from, timeZone, expected) => {
    expect(dueTimes(line, from, timeZone, expected.length)).toEqual(expected);
  });
});

test("of many missed times the latest counts", () => {
  const from = Date.parse("2026-01-01T00:00:00Z");
  const to = Date.parse("2026-03-01T10:07:30Z");
  const { latestMs, count } = latestDue(parseCron("*/5 * * * *"), from, to, undefined);
  expect(new Date(latestMs!).toISOString()).toBe("2026-03-01T10:05:00.000Z");
  expect(count).toBe(101);
  expect(latestDue(parseCron("0 * * * *"), from, from + 90 * 60_000, undefined)).toEqual({
    latestMs: from + 3_600_000,
    count: 1,
  });
  expect(latestDue(parseCron("@every 20m"), from, from + 90 * 60_000, undefined)).toEqual({
    latestMs: from + 80 * 60_000,
    count: 4,
  });
});

test.each([
  ["* * * *", "expected exactly 5 fields, found 4"],
  ["60 * * * *", "out of range"],
  ["*/0 * * * *", "step of range should be a positive number"],
  ["5-1 * * * *", "beyond end of range"],
  ["x * * * *", "failed to parse int from x"],
  ["@every soon", 'time: invalid duration "soon"'],
])("%s is refused", (line, reason) => {
  expect(() => parseCron(line)).toThrow(reason);
});

test.each([
  ["Asia/Seoul", true],
  ["Etc/UTC", true],
  ["Mars/Olympus", false],
])("%s is a time zone: %s", (name, is) => {
  expect(isTimeZone(name)).toBe(is);
});
