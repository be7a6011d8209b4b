/** The letters that stand for control characters behind a backslash, as C has them and Go, CEL and many others after it. */

/** What each stands for; the backslash for itself. */
export const escapes: Readonly<Record<string, string>> = {
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
  "\\": "\\",
};

/** The other way: `\n` for a line feed, with its backslash. */
export const escaped: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(escapes).map(([letter, character]) => [character, `\\${letter}`]),
);
