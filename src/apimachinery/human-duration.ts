/** Ages as kubectl prints them: `42s`, `3m5s`, `2d4h`, `400d` (duration.HumanDuration upstream). */

const minuteSeconds = 60;
const hourSeconds = 3600;
const daySeconds = 86400;

/** At most two units, the second only while the first is small. A clock that is up to two seconds ahead is forgiven. */
export function humanDuration(durationMs: number): string {
  const seconds = Math.trunc(durationMs / 1000);
  if (seconds < -1) return "<invalid>";
  if (seconds < 0) return "0s";
  if (seconds < 2 * minuteSeconds) return `${seconds}s`;
  const minutes = Math.floor(seconds / minuteSeconds);
  if (minutes < 10) return withRest(minutes, "m", seconds % minuteSeconds, "s");
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.floor(seconds / hourSeconds);
  if (hours < 8) return withRest(hours, "h", minutes % 60, "m");
  if (hours < 48) return `${hours}h`;
  const days = Math.floor(seconds / daySeconds);
  if (days < 8) return withRest(days, "d", hours % 24, "h");
  if (days < 365 * 2) return `${days}d`;
  const years = Math.floor(days / 365);
  if (years < 8) return withRest(years, "y", days % 365, "d");
  return `${years}y`;
}

function withRest(amount: number, unit: string, rest: number, restUnit: string): string {
  return rest === 0 ? `${amount}${unit}` : `${amount}${unit}${rest}${restUnit}`;
}
