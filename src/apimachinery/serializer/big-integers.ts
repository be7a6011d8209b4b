/**
 * Integers that no double holds exactly (ids, times in nanoseconds, the largest int64) are bigints in memory and digits in JSON, so that
 * they come back as they were sent. What is beyond 64 bits is a double, as in Go. The types of built-in kinds say number all the same:
 * whoever calculates with a client's int64 takes `Number(...)` of it first.
 */
import { exactNumber, parseWithLiterals } from "./number-literals.ts";

/** As JSON.parse, but with such bigints. `text` is JSON; `value` is what JSON.parse makes of it, where that is known already. */
export function parseExactly(text: string, value: unknown = JSON.parse(text)): unknown {
  return holdsBigIntegers(text) ? parseWithLiterals(text, exactNumber) : value;
}

/** Whether valid JSON text may hold such an integer. It may say so of a string, too. */
export function holdsBigIntegers(text: string): boolean {
  return /[:[,]\s*-?\d{16}/.test(text);
}

/** As JSON.stringify, and takes bigints. */
export function stringifyExactly(value: unknown, space?: number): string {
  try {
    return JSON.stringify(value, null, space);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return stringifyWithBigIntegers(value, space);
  }
}

/** Bigints pass through JSON.stringify as marked texts, which lose their quotes afterwards. */
function stringifyWithBigIntegers(value: unknown, space: number | undefined): string {
  for (let mark = "int64:"; ; mark = `-${mark}`) {
    let marked = 0;
    const text = JSON.stringify(
      value,
      (_, item: unknown) => {
        if (typeof item !== "bigint") return item;
        marked++;
        return mark + item;
      },
      space,
    );
    // A text of the object's own may look like a mark; then another one is taken.
    if (text.split(`"${mark}`).length - 1 === marked) return text.replace(new RegExp(`"${mark}(-?\\d+)"`, "g"), "$1");
  }
}
