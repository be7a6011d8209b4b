/**
 * How many letters must be put in, taken out or replaced to make one word of another (Levenshtein). With `exchanges`, two neighbours
 * that changed places count as one slip instead of two. Pure.
 */
export function editDistance(from: string, to: string, { exchanges = false } = {}): number {
  const rows = [Array.from({ length: to.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= from.length; i++) {
    const row = [i];
    const [last, before] = [rows[i - 1]!, rows[i - 2]];
    for (let j = 1; j <= to.length; j++) {
      const replacement = last[j - 1]! + (from[i - 1] === to[j - 1] ? 0 : 1);
      const areExchanged = exchanges && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1];
      const exchange = before && areExchanged ? before[j - 2]! + 1 : replacement;
      row.push(Math.min(last[j]! + 1, row[j - 1]! + 1, replacement, exchange));
    }
    rows.push(row);
  }
  return rows[from.length]![to.length]!;
}
