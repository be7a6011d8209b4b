/** The server's log: one JSON object a line, the same fields everywhere. */
import type { Writable } from "node:stream";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";

const levels = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof levels)[number];

/** Lines below `level` are dropped before anything is formatted. */
export function lineLogger(
  output: Writable,
  clock: Clock,
  level: LogLevel = "info",
  fields: Record<string, unknown> = {},
): Logger {
  const least = levels.indexOf(level);
  const write = (lineLevel: LogLevel) => (message: string, more?: Record<string, unknown>) => {
    if (levels.indexOf(lineLevel) < least) return;
    const line = { time: new Date(clock.now()).toISOString(), level: lineLevel, message, ...fields, ...more };
    output.write(`${JSON.stringify(line, printable)}\n`);
  };
  return {
    debug: write("debug"),
    info: write("info"),
    warn: write("warn"),
    error: write("error"),
    with: (more) => lineLogger(output, clock, level, { ...fields, ...more }),
  };
}

/** Errors have no enumerable fields; what they say and where they come from is what one looks for. */
function printable(_key: string, value: unknown): unknown {
  if (value instanceof Error)
    return { message: value.message, stack: value.stack, ...(value.cause ? { cause: value.cause } : {}) };
  if (typeof value === "bigint") return String(value);
  return value;
}
