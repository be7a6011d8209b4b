/** Aligns columns as kubectl does: each as wide as its widest cell and some blanks. */
export class TabWriter {
  readonly #padding: number;
  readonly #smallestWidth: number;

  /** Kept between flushes, so that what a watch adds stays in line. */
  readonly #widths: number[] = [];

  /** Without arguments as tables are written. */
  constructor({ padding = 3, smallestWidth = 6 } = {}) {
    this.#padding = padding;
    this.#smallestWidth = smallestWidth;
  }

  /** The last cell of a row is not padded. */
  format(rows: readonly (readonly string[])[]): string {
    for (const row of rows) {
      for (const [i, cell] of row.slice(0, -1).entries()) {
        this.#widths[i] = Math.max(this.#widths[i] ?? 0, this.#smallestWidth, widthOf(cell) + this.#padding);
      }
    }
    return rows.map((row) => `${row.map((cell, i) => this.#pad(cell, i, row.length)).join("")}\n`).join("");
  }

  #pad(cell: string, column: number, count: number): string {
    return column === count - 1 ? cell : cell + " ".repeat(this.#widths[column]! - widthOf(cell));
  }
}

/** Go's tabwriter counts characters, whatever room they take on the screen. */
function widthOf(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}
