/** The server's log: one JSON object a line, the same fields everywhere. */
import type { Writable } from "node:stream";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";

const levels = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof levels)[number];

/**
 * Lines below `level` are dropped before anything is formatted. Lines that cannot be written, because the disk is full,
 * are dropped and counted, and the count is logged when there is room again; `output` must not end the process for it.
 */
export function lineLogger(output: Writable, clock: Clock, level: LogLevel = "info"): Logger {
  const least = levels.indexOf(level);
  let lost = 0;
  const put = (line: Record<string, unknown>) =>
    output.write(`${JSON.stringify(line, printable)}\n`, (error) => {
      if (error) lost++;
      else if (lost > 0) {
        const missing = lost;
        lost = 0;
        put({
          time: new Date(clock.now()).toISOString(),
          level: "warn",
          message: "lines of this log could not be written",
          missing,
        });
      }
    });
  const withFields = (fields: Record<string, unknown>): Logger => {
    const write = (lineLevel: LogLevel) => (message: string, more?: Record<string, unknown>) => {
      if (levels.indexOf(lineLevel) < least) return;
      put({ time: new Date(clock.now()).toISOString(), level: lineLevel, message, ...fields, ...more });
    };
    return {
      debug: write("debug"),
      info: write("info"),
      warn: write("warn"),
      error: write("error"),
      with: (more) => withFields({ ...fields, ...more }),
    };
  };
  return withFields({});
}

/** Errors have no enumerable fields; what they say and where they come from is what one looks for. */
function printable(_key: string, value: unknown): unknown {
  if (value instanceof Error)
    return { message: value.message, stack: value.stack, ...(value.cause ? { cause: value.cause } : {}) };
  if (typeof value === "bigint") return String(value);
  return value;
}
