/** Whether a schedule can be read: five fields or a macro. The words are those of the parser that upstream uses. */

interface FieldBounds {
  minimum: number;
  maximum: number;
  names: readonly string[];
}

const months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const weekdays = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const fields: readonly FieldBounds[] = [
  { minimum: 0, maximum: 59, names: [] },
  { minimum: 0, maximum: 23, names: [] },
  { minimum: 1, maximum: 31, names: [] },
  { minimum: 1, maximum: 12, names: months },
  { minimum: 0, maximum: 6, names: weekdays },
];
const macros = new Set(["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"]);

/** Undefined when the schedule is fine. */
export function scheduleProblem(schedule: string): string | undefined {
  const text = schedule.replace(/^(TZ|CRON_TZ)=\S+\s*/, "");
  if (text === "") return "empty spec string";
  if (text.startsWith("@")) {
    if (macros.has(text)) return undefined;
    const every = /^@every (.*)$/.exec(text);
    if (!every) return `unrecognized descriptor: ${text}`;
    return /^([0-9.]+(ns|us|µs|ms|s|m|h))+$/.test(every[1]!)
      ? undefined
      : `failed to parse duration ${text}: time: invalid duration "${every[1]}"`;
  }
  const parts = text.split(/\s+/).filter(Boolean);
  if (parts.length !== fields.length) return `expected exactly 5 fields, found ${parts.length}: [${parts.join(" ")}]`;
  for (const [index, part] of parts.entries()) {
    for (const range of part.split(",")) {
      const problem = rangeProblem(range, fields[index]!);
      if (problem) return problem;
    }
  }
  return undefined;
}

/** `number`, `first-last`, `*`, each with `/step`. */
function rangeProblem(text: string, bounds: FieldBounds): string | undefined {
  const [span = "", step, ...tooMany] = text.split("/");
  if (tooMany.length > 0) return `too many slashes: ${text}`;
  const ends = span.split("-");
  let [start, end] = [bounds.minimum, bounds.maximum];
  if (ends[0] !== "*" && ends[0] !== "?") {
    if (ends.length > 2) return `too many hyphens: ${text}`;
    for (const [index, one] of ends.entries()) {
      const number = parseNumber(one, bounds.names, bounds.minimum);
      if (typeof number === "string") return number;
      if (index === 0) start = number;
      if (index === 1 || step === undefined) end = number;
    }
  } else if (ends.length > 1) return `too many hyphens: ${text}`;
  if (step !== undefined) {
    const number = parseNumber(step, [], 0);
    if (typeof number === "string") return number;
    if (number === 0) return `step of range should be a positive number: ${text}`;
  }
  if (start < bounds.minimum) return `beginning of range (${start}) below minimum (${bounds.minimum}): ${text}`;
  if (end > bounds.maximum) return `end of range (${end}) above maximum (${bounds.maximum}): ${text}`;
  if (start > end) return `beginning of range (${start}) beyond end of range (${end}): ${text}`;
  return undefined;
}

/** The number, or why the text is none. */
function parseNumber(text: string, names: readonly string[], first: number): number | string {
  const named = names.indexOf(text.toLowerCase());
  if (named >= 0) return named + first;
  if (!/^[+-]?\d+$/.test(text))
    return `failed to parse int from ${text}: strconv.Atoi: parsing "${text}": invalid syntax`;
  const number = Number(text);
  return number < 0 ? `negative number (${number}) not allowed: ${text}` : number;
}
