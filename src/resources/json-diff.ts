/** The difference of two values as upstream shows it in messages: a unified diff of their indented JSON. */
import { stringifyExactly } from "../apimachinery/serializer/big-integers.ts";

const contextLines = 3;

export function jsonDiff(before: unknown, after: unknown): string {
  const hunks = hunksOf(editsOf(lines(before), lines(after)));
  return hunks.map((hunk) => `${hunk}\n`).join("");
}

function lines(value: unknown): string[] {
  return stringifyExactly(value, 1).split("\n");
}

interface Edit {
  mark: " " | "-" | "+";
  text: string;
}

/** The shortest way from one list of lines to the other, by their longest common subsequence. */
function editsOf(before: readonly string[], after: readonly string[]): Edit[] {
  let head = 0;
  while (head < before.length && head < after.length && before[head] === after[head]) head++;
  let tail = 0;
  while (
    tail < before.length - head &&
    tail < after.length - head &&
    before[before.length - 1 - tail] === after[after.length - 1 - tail]
  ) {
    tail++;
  }
  const same = (text: string): Edit => ({ mark: " ", text });
  return [
    ...before.slice(0, head).map(same),
    ...changedLines(before.slice(head, before.length - tail), after.slice(head, after.length - tail)),
    ...before.slice(before.length - tail).map(same),
  ];
}

function changedLines(before: readonly string[], after: readonly string[]): Edit[] {
  const width = after.length + 1;
  const common = new Uint32Array((before.length + 1) * width);
  for (let i = before.length - 1; i >= 0; i--) {
    for (let j = after.length - 1; j >= 0; j--) {
      common[i * width + j] =
        before[i] === after[j]
          ? common[(i + 1) * width + j + 1]! + 1
          : Math.max(common[(i + 1) * width + j]!, common[i * width + j + 1]!);
    }
  }
  const edits: Edit[] = [];
  let [i, j] = [0, 0];
  while (i < before.length || j < after.length) {
    if (i < before.length && j < after.length && before[i] === after[j]) {
      edits.push({ mark: " ", text: before[i]! });
      i++;
      j++;
    } else if (
      i < before.length &&
      (j === after.length || common[(i + 1) * width + j]! >= common[i * width + j + 1]!)
    ) {
      edits.push({ mark: "-", text: before[i++]! });
    } else {
      edits.push({ mark: "+", text: after[j++]! });
    }
  }
  return edits;
}

/** Changes that lie close together share a hunk. */
function hunksOf(edits: readonly Edit[]): string[] {
  const hunks: string[] = [];
  let index = 0;
  while (index < edits.length) {
    while (index < edits.length && edits[index]!.mark === " ") index++;
    if (index === edits.length) break;
    const start = Math.max(0, index - contextLines);
    let end = index;
    for (let quiet = 0; end < edits.length && quiet <= contextLines * 2; end++) {
      quiet = edits[end]!.mark === " " ? quiet + 1 : 0;
    }
    while (end > index && edits[end - 1]!.mark === " ") end--;
    const stop = Math.min(edits.length, end + contextLines);
    hunks.push(hunkText(edits, start, stop));
    index = stop;
  }
  return hunks;
}

function hunkText(edits: readonly Edit[], start: number, stop: number): string {
  const hunk = edits.slice(start, stop);
  const count = (marks: string, part: readonly Edit[]) => part.filter(({ mark }) => marks.includes(mark)).length;
  const before = edits.slice(0, start);
  const heading = `@@ -${count(" -", before) + 1},${count(" -", hunk)} +${count(" +", before) + 1},${count(" +", hunk)} @@`;
  return [heading, ...hunk.map(({ mark, text }) => mark + text)].join("\n");
}
