/** Terminal sizes as kubectl sends them: one JSON object after the other, `{"Width":80,"Height":24}`. */
import type { Readable } from "node:stream";
import type { TerminalSize } from "../runtime/container-runtime.ts";

const longestPending = 1024;

/** Yields each complete size. What is not one is passed over: a window's size is no reason to end a session. */
export async function* terminalSizes(source: Readable): AsyncGenerator<TerminalSize> {
  let pending = "";
  try {
    for await (const chunk of source) {
      pending += String(chunk);
      for (let end = pending.indexOf("}"); end >= 0; end = pending.indexOf("}")) {
        const size = parseTerminalSize(pending.slice(0, end + 1));
        pending = pending.slice(end + 1);
        if (size) yield size;
      }
      if (pending.length > longestPending) pending = "";
    }
  } catch {
    // The client is gone, and with it its window: the session's own streams say so.
  }
}

function parseTerminalSize(text: string): TerminalSize | undefined {
  try {
    const { Width: columns, Height: rows } = JSON.parse(text) as { Width?: unknown; Height?: unknown };
    const isSize = (value: unknown): value is number =>
      Number.isInteger(value) && (value as number) > 0 && (value as number) < 65536;
    return isSize(columns) && isSize(rows) ? { columns, rows } : undefined;
  } catch {
    return undefined;
  }
}
