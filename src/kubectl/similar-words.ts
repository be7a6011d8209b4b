/** What a user may have meant by a word that is no command. Pure. */

const mostEdits = 2;

/** In the order of `words`: those that few edits lead to, and those that begin with the word. */
export function similarWords(word: string, words: readonly string[]): string[] {
  const wanted = word.toLowerCase();
  return words.filter((each) => each.startsWith(wanted) || editDistance(wanted, each.toLowerCase()) <= mostEdits);
}

/** How many letters must be put in, taken out or exchanged (Levenshtein). */
function editDistance(from: string, to: string): number {
  let previous = Array.from({ length: to.length + 1 }, (_, i) => i);
  for (let i = 1; i <= from.length; i++) {
    const current = [i];
    for (let j = 1; j <= to.length; j++) {
      const exchange = previous[j - 1]! + (from[i - 1] === to[j - 1] ? 0 : 1);
      current.push(Math.min(exchange, previous[j]! + 1, current[j - 1]! + 1));
    }
    previous = current;
  }
  return previous[to.length]!;
}
