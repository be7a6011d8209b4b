/** RE2 regular expressions: linear in the text, whatever the pattern. The package tells whether; where is found out here on its program. */
import { RE2JS, RE2JSException } from "@bufbuild/re2";
import { CelError } from "./values.ts";

const operation = { alternate: 1, alternateMatch: 2, capture: 3, emptyWidth: 4, match: 6, nothing: 7 } as const;
const empty = { beginLine: 1, endLine: 2, beginText: 4, endText: 8, wordBoundary: 16, noWordBoundary: 32 } as const;
const firstRuneOperation = 8;
const anyRune = 10;
const anyButNewline = 11;

const kept = new Map<string, RE2JS>();
const keptLimit = 500;

/** Compiled once a pattern, as long as it is in use. Throws a CelError. */
export function compileRegex(pattern: string): RE2JS {
  const known = kept.get(pattern);
  if (known) return known;
  let regex: RE2JS;
  try {
    regex = RE2JS.compile(pattern);
  } catch (error) {
    if (!(error instanceof RE2JSException)) throw error;
    throw new CelError(error.message.replace(/^error parsing regexp: /, "error parsing regexp: "));
  }
  if (kept.size >= keptLimit) kept.delete(kept.keys().next().value!);
  kept.set(pattern, regex);
  return regex;
}

export interface Span {
  start: number;
  end: number;
}

interface Thread {
  pc: number;
  start: number;
}

/** The leftmost match at or after `from`, chosen among several as Perl would. */
export function findMatch(regex: RE2JS, text: string, from: number): Span | undefined {
  const { prog } = regex.re2();
  let threads: Thread[] = [];
  let best: Span | undefined;
  for (let at = from; ; ) {
    const next: Thread[] = [];
    const seen = new Uint8Array(prog.numInst());
    const ready: Thread[] = [];
    const conditions = conditionsAt(text, at);
    // Earlier threads come first: they are the preferred ones.
    for (const thread of threads) follow(prog, thread.pc, thread.start, conditions, seen, ready);
    if (!best) follow(prog, prog.start, at, conditions, seen, ready);
    const rune = at < text.length ? text.codePointAt(at)! : -1;
    for (const thread of ready) {
      const instruction = prog.getInst(thread.pc);
      if (instruction.op === operation.match) {
        best = { start: thread.start, end: at };
        break;
      }
      if (rune < 0) continue;
      const fits =
        instruction.op === anyRune || (instruction.op === anyButNewline ? rune !== 10 : instruction.matchRune(rune));
      if (fits) next.push({ pc: instruction.out, start: thread.start });
    }
    if (rune < 0 || (next.length === 0 && best)) return best;
    threads = next;
    at += rune > 0xffff ? 2 : 1;
  }
}

/** Follows what consumes nothing, in order of preference. */
function follow(
  prog: ReturnType<RE2JS["re2"]>["prog"],
  first: number,
  start: number,
  conditions: number,
  seen: Uint8Array,
  ready: Thread[],
): void {
  const stack = [first];
  while (stack.length > 0) {
    const pc = stack.pop()!;
    if (seen[pc]) continue;
    seen[pc] = 1;
    const instruction = prog.getInst(pc);
    switch (instruction.op) {
      case operation.alternate:
      case operation.alternateMatch:
        stack.push(instruction.arg, instruction.out);
        break;
      case operation.emptyWidth:
        if ((instruction.arg & ~conditions) === 0) stack.push(instruction.out);
        break;
      case operation.capture:
      case operation.nothing:
        stack.push(instruction.out);
        break;
      default:
        if (instruction.op === operation.match || instruction.op >= firstRuneOperation) ready.push({ pc, start });
    }
  }
}

function conditionsAt(text: string, at: number): number {
  let conditions = 0;
  if (at === 0) conditions |= empty.beginText | empty.beginLine;
  else if (text[at - 1] === "\n") conditions |= empty.beginLine;
  if (at === text.length) conditions |= empty.endText | empty.endLine;
  else if (text[at] === "\n") conditions |= empty.endLine;
  const before = at > 0 && /\w/.test(text[at - 1]!);
  const after = at < text.length && /\w/.test(text[at]!);
  return conditions | (before === after ? empty.noWordBoundary : empty.wordBoundary);
}
