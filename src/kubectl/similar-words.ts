/** What a user may have meant by a word that is no command. Pure. */
import { editDistance } from "../base/edit-distance.ts";

const mostEdits = 2;

/** In the order of `words`: those that few edits lead to, and those that begin with the word. */
export function similarWords(word: string, words: readonly string[]): string[] {
  const wanted = word.toLowerCase();
  return words.filter((each) => each.startsWith(wanted) || editDistance(wanted, each.toLowerCase()) <= mostEdits);
}
