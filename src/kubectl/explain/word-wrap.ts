/** Breaks text at blanks, as upstream does where it explains fields. Pure. */

/** Lines of at most `width` characters where words allow it; line breaks in the text stay. */
export function wordWrap(text: string, width: number): string {
  return text
    .split("\n")
    .map((line) => wrapLine(line, width))
    .join("\n");
}

function wrapLine(line: string, width: number): string {
  let wrapped = "";
  let column = 0;
  // Blanks belong to the word after them, unless the line is broken there.
  for (const [, blanks = "", word = ""] of line.matchAll(/(\s*)(\S*)/g)) {
    if (word === "") break;
    const isTooLong = column + blanks.length + word.length > width && column > 0;
    wrapped += isTooLong ? `\n${word}` : blanks + word;
    column = isTooLong ? word.length : column + blanks.length + word.length;
  }
  return wrapped;
}

/** Every line, the empty ones too, moved to the right. */
export function indent(text: string, blanks: number): string {
  const margin = " ".repeat(blanks);
  return margin + text.replaceAll("\n", `\n${margin}`);
}
