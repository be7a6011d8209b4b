/** Cron lines and when they are due, in a time zone, over changes of daylight saving. Pure. */

export interface CronSchedule {
  minutes: ReadonlySet<number>;
  hours: ReadonlySet<number>;
  days: ReadonlySet<number>;
  months: ReadonlySet<number>;
  weekdays: ReadonlySet<number>;
  /** When both days and weekdays are restricted, either will do. */
  isEitherDay: boolean;
  /** `@every 90m`: due so long after the last time, whatever the clock shows; the rest then says nothing. */
  everyMs?: number;
}

const monthNames = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const weekdayNames = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

const macros: Record<string, string> = {
  "@yearly": "0 0 1 1 *",
  "@annually": "0 0 1 1 *",
  "@monthly": "0 0 1 * *",
  "@weekly": "0 0 * * 0",
  "@daily": "0 0 * * *",
  "@midnight": "0 0 * * *",
  "@hourly": "0 * * * *",
};

/** Throws with the reason when the line is none. */
export function parseCron(line: string): CronSchedule {
  const every = /^@every (.*)$/.exec(line.trim());
  if (every) return { ...parseCron("* * * * *"), everyMs: parseEvery(every[1]!) };
  const text = macros[line.trim().toLowerCase()] ?? line.trim();
  const fields = text.split(/\s+/);
  if (fields.length !== 5) throw new Error(`expected exactly 5 fields, found ${fields.length}: [${line}]`);
  const [minute, hour, day, month, weekday] = fields as [string, string, string, string, string];
  const isRestricted = (field: string) => !field.startsWith("*") && !field.startsWith("?");
  return {
    minutes: parseField(minute, 0, 59),
    hours: parseField(hour, 0, 23),
    days: parseField(day, 1, 31),
    months: parseField(month, 1, 12, monthNames, 1),
    weekdays: parseField(weekday, 0, 6, weekdayNames, 0),
    isEitherDay: isRestricted(day) && isRestricted(weekday),
  };
}

const unitMs: Record<string, number> = { ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** A Go duration in whole seconds, one at least. */
function parseEvery(text: string): number {
  const parts = [...text.matchAll(/([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)/g)];
  if (text === "" || parts.map(([part]) => part).join("") !== text) {
    throw new Error(`failed to parse duration @every ${text}: time: invalid duration "${text}"`);
  }
  const totalMs = parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * unitMs[unit!]!, 0);
  return Math.max(1000, Math.floor(totalMs / 1000) * 1000);
}

function parseField(field: string, min: number, max: number, names: readonly string[] = [], offset = 0): Set<number> {
  const values = new Set<number>();
  const numberOf = (text: string): number => {
    const named = names.indexOf(text.toLowerCase());
    const value = named >= 0 ? named + offset : Number(text);
    if (!/^[0-9]+$/.test(text) && named < 0) throw new Error(`failed to parse int from ${text}`);
    // Sunday may be written 7, too.
    if (names === weekdayNames && value === 7) return 0;
    if (value < min || value > max) throw new Error(`value (${value}) out of range [${min}, ${max}]: ${field}`);
    return value;
  };
  for (const part of field.split(",")) {
    const [range = "", stepText, ...more] = part.split("/");
    if (more.length > 0 || range === "") throw new Error(`too many slashes or an empty part: ${field}`);
    const step = stepText === undefined ? 1 : Number(stepText);
    if (!Number.isInteger(step) || step < 1) throw new Error(`step of range should be a positive number: ${field}`);
    let [from, to] = [min, max];
    if (range !== "*" && range !== "?") {
      const [low = "", high, ...rest] = range.split("-");
      if (rest.length > 0) throw new Error(`too many hyphens: ${field}`);
      from = numberOf(low);
      to = high === undefined ? (stepText === undefined ? from : max) : numberOf(high);
      if (from > to) throw new Error(`beginning of range (${from}) beyond end of range (${to}): ${field}`);
    }
    for (let value = from; value <= to; value += step) values.add(value);
  }
  return values;
}

const minuteMs = 60_000;
const dayMs = 86_400_000;
/** A line that is not due within this many days never is (31 February). */
const horizonDays = 366 * 5;

/** The first time after `afterMs` that the line is due; undefined when it never is. */
export function nextDueMs(schedule: CronSchedule, afterMs: number, timeZone = "UTC"): number | undefined {
  if (schedule.everyMs !== undefined) return Math.floor(afterMs / 1000) * 1000 + schedule.everyMs;
  const local = wallClock(afterMs, timeZone);
  // Days are counted as if they were UTC's: a label for the date, not an instant.
  const firstDay = Date.UTC(local.year, local.month - 1, local.day);
  const hours = [...schedule.hours].sort((a, b) => a - b);
  const minutes = [...schedule.minutes].sort((a, b) => a - b);
  for (let i = 0; i < horizonDays; i++) {
    const date = new Date(firstDay + i * dayMs);
    if (!matchesDay(schedule, date)) continue;
    let best: number | undefined;
    for (const hour of hours) {
      for (const minute of minutes) {
        for (const instant of toInstants(date.getTime() + hour * 60 * minuteMs + minute * minuteMs, timeZone)) {
          if (instant > afterMs && (best === undefined || instant < best)) best = instant;
        }
      }
      if (best !== undefined) break;
    }
    if (best !== undefined) return best;
  }
  return undefined;
}

function matchesDay(schedule: CronSchedule, date: Date): boolean {
  if (!schedule.months.has(date.getUTCMonth() + 1)) return false;
  const isDay = schedule.days.has(date.getUTCDate());
  const isWeekday = schedule.weekdays.has(date.getUTCDay());
  return schedule.isEitherDay ? isDay || isWeekday : isDay && isWeekday;
}

/** The instants at which clocks of the zone show this: two when they repeat it, none when they skip it. */
function toInstants(wallMs: number, timeZone: string): number[] {
  if (timeZone === "UTC") return [wallMs];
  const candidates = [wallMs - dayMs, wallMs + dayMs].map((near) => wallMs - offsetMs(near, timeZone));
  return candidates.filter((instant) => instant + offsetMs(instant, timeZone) === wallMs);
}

function offsetMs(instantMs: number, timeZone: string): number {
  if (timeZone === "UTC") return 0;
  const { year, month, day, hour, minute } = wallClock(instantMs, timeZone);
  const floored = Math.floor(instantMs / minuteMs) * minuteMs;
  return Date.UTC(year, month - 1, day, hour, minute) - floored;
}

/** Whether there is a time zone of that name. */
export function isTimeZone(timeZone: string): boolean {
  try {
    wallClock(0, timeZone);
    return true;
  } catch {
    return false;
  }
}

const formats = new Map<string, Intl.DateTimeFormat>();

function wallClock(instantMs: number, timeZone: string) {
  let format = formats.get(timeZone);
  if (!format) {
    const numeric = "numeric";
    format = new Intl.DateTimeFormat("en-US", {
      timeZone,
      hourCycle: "h23",
      year: numeric,
      month: numeric,
      day: numeric,
      hour: numeric,
      minute: numeric,
    });
    formats.set(timeZone, format);
  }
  const parts = Object.fromEntries(format.formatToParts(instantMs).map(({ type, value }) => [type, Number(value)]));
  const { year = 0, month = 0, day = 0, hour = 0, minute = 0 } = parts;
  return { year, month, day, hour, minute };
}

/**
 * The latest time the line was due in (from, to], and how many there were. Stops counting at `limit`, as a clock that
 * jumped must not cost us years of minutes; the latest is then found from the end.
 */
export function latestDue(
  schedule: CronSchedule,
  fromMs: number,
  toMs: number,
  timeZone: string | undefined,
  limit = 100,
): { latestMs: number | undefined; count: number } {
  if (schedule.everyMs !== undefined) {
    const count = Math.max(0, Math.floor((toMs - fromMs) / schedule.everyMs));
    return { latestMs: count > 0 ? fromMs + count * schedule.everyMs : undefined, count };
  }
  let latestMs: number | undefined;
  let count = 0;
  for (
    let due = nextDueMs(schedule, fromMs, timeZone);
    due !== undefined && due <= toMs;
    due = nextDueMs(schedule, due, timeZone)
  ) {
    latestMs = due;
    if (++count > limit) {
      // Walk on in doubling strides towards the end.
      for (let strideMs = dayMs * 365; strideMs >= minuteMs; strideMs = Math.floor(strideMs / 2)) {
        for (;;) {
          const further = nextDueMs(schedule, Math.min(toMs, latestMs + strideMs) - 1, timeZone);
          if (further === undefined || further > toMs || further === latestMs) break;
          latestMs = further;
        }
      }
      break;
    }
  }
  return { latestMs, count };
}
