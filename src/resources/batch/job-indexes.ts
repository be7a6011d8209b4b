/** Sets of completion indexes in the text form that Jobs use: `1,3-5`. */

/** First and last index of an interval, both belonging to it. */
export type IndexInterval = readonly [from: number, to: number];

/** The intervals, in order; or what is wrong with the text, in upstream's words. Indexes must be below `completions`. */
export function parseIndexes(text: string, completions: number): IndexInterval[] | { problem: string } {
  const intervals: IndexInterval[] = [];
  let last = -1;
  if (text === "") return intervals;
  for (const interval of text.split(",")) {
    const limits = interval.split("-");
    if (limits.length > 2)
      return {
        problem: `the fragment "${interval}" violates the requirement that an index interval can have at most two parts separated by '-'`,
      };
    const numbers: number[] = [];
    for (const limit of limits) {
      if (!/^[+-]?\d+$/.test(limit)) return { problem: `cannot convert string to integer for index: "${limit}"` };
      const index = Number(limit);
      if (index >= completions) return { problem: `too large index: "${limit}"` };
      numbers.push(index);
    }
    const [from, to = from] = numbers as [number, number?];
    if (from <= last) return { problem: `non-increasing order, previous: ${last}, current: ${from}` };
    if (numbers.length === 2 && to <= from)
      return { problem: `non-increasing order, previous: ${from}, current: ${to}` };
    intervals.push([from, to]);
    last = to;
  }
  return intervals;
}

export function countIndexes(intervals: readonly IndexInterval[]): number {
  return intervals.reduce((sum, [from, to]) => sum + to - from + 1, 0);
}

/** The first index that both have. Both are in order. */
export function firstCommonIndex(one: readonly IndexInterval[], other: readonly IndexInterval[]): number | undefined {
  for (let i = 0, j = 0; i < one.length && j < other.length; ) {
    const [a, b] = [one[i]!, other[j]!];
    const from = Math.max(a[0], b[0]);
    if (from <= Math.min(a[1], b[1])) return from;
    if (a[1] < b[1]) i++;
    else j++;
  }
  return undefined;
}
