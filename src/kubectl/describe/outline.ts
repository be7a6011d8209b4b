/** Indented `Name:  value` lines whose columns align as Go's tabwriter aligns them (elastic tabstops, two blanks between). */

export class Outline {
  #text = "";

  /** One line; tabs separate its columns. */
  line(level: number, text: string): void {
    this.#text += `${"  ".repeat(level)}${text}\n`;
  }

  /** `Name:\tvalue` */
  field(level: number, name: string, value: unknown): void {
    this.line(level, `${name}:\t${value === undefined || value === null || value === "" ? "" : String(value)}`);
  }

  /** A map, one `key=value` a line under one another; `<none>` for an empty one. */
  map(level: number, name: string, map: Readonly<Record<string, string>> | undefined, separator = "="): void {
    const entries = Object.entries(map ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
    if (entries.length === 0) this.field(level, name, "<none>");
    for (const [i, [key, value]] of entries.entries()) {
      const head = i === 0 ? `${"  ".repeat(level)}${name}:` : "";
      this.line(0, `${head}\t${key}${separator}${value}`);
    }
  }

  /** Its tabs left as they are. */
  unaligned(): string {
    return this.#text;
  }

  toString(): string {
    return alignTabs(this.#text);
  }
}

/** Go's text/tabwriter with padding 2: a column is as wide as its widest cell in the block of lines that have it. */
export function alignTabs(text: string, padding = 2): string {
  const lines = text.split("\n").map((line) => line.split("\t"));
  const widths: number[] = [];
  let result = "";
  const write = (from: number, to: number) => {
    for (let i = from; i < to; i++) {
      result += lines[i]!.map((cell, j) => (j < widths.length ? cell.padEnd(widths[j]!) : cell)).join("");
      if (i < lines.length - 1) result += "\n";
    }
  };
  const format = (start: number, end: number) => {
    const column = widths.length;
    let from = start;
    for (let i = start; i < end; i++) {
      if (column >= lines[i]!.length - 1) continue;
      write(from, i);
      from = i;
      let width = 0;
      while (i < end && column < lines[i]!.length - 1) width = Math.max(width, lines[i++]![column]!.length + padding);
      widths.push(width);
      format(from, i);
      widths.pop();
      from = i;
      i--;
    }
    write(from, end);
  };
  format(0, lines.length);
  return result;
}
