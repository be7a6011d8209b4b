/** Kubernetes' `find` and `findAll`. */
import { type FunctionTable, memberFunction, type Sizes } from "../environment.ts";
import { compileRegex, findMatch } from "../regex.ts";
import { Int, listOf, Text } from "../types.ts";
import { ArrayList, type Value } from "../values.ts";
import { preparePattern, regexCost } from "./standard.ts";

const finding = { cost: regexCost, prepare: preparePattern, resultSize: ([text = 0]: Sizes) => text };

function find(text: string, pattern: string): string {
  const span = findMatch(compileRegex(pattern), text, 0);
  return span ? text.slice(span.start, span.end) : "";
}

function findAll(text: string, pattern: string, limit = -1n): Value {
  const regex = compileRegex(pattern);
  const found: string[] = [];
  let previousEnd = -1;
  for (let at = 0; at <= text.length && (limit < 0n || BigInt(found.length) < limit); ) {
    const span = findMatch(regex, text, at);
    if (!span) break;
    const { start, end } = span;
    // As in Go, an empty match right after a match does not count.
    if (end > start || start !== previousEnd) found.push(text.slice(start, end));
    previousEnd = end;
    at = end > start ? end : end + ((text.codePointAt(end) ?? 0) > 0xffff ? 2 : 1);
  }
  return new ArrayList(found);
}

export const regexLibrary: FunctionTable = {
  find: [memberFunction([Text, Text], Text, find, finding)],
  findAll: [
    memberFunction([Text, Text], listOf(Text), findAll, finding),
    memberFunction([Text, Text, Int], listOf(Text), findAll, finding),
  ],
};
