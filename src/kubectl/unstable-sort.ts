/**
 * Pattern-defeating quicksort (https://arxiv.org/abs/2106.05123) with the thresholds of Go's `sort.Sort`: it leaves what counts as equal
 * in the order in which kubectl leaves it, which a stable sort does not. Pure.
 */

/** Sorts in place. `isLess` need not be consistent. */
export function sortUnstably<T>(items: T[], isLess: (a: T, b: T) => boolean): void {
  new Sorting(items, isLess).run(0, items.length, bitsOf(items.length));
}

/** Parts up to this long are sorted by insertion. */
const shortPart = 12;
/** From here on a pivot is the median of three medians, and a few misplaced elements are worth shifting. */
const longPart = 50;
const shiftsAtMost = 5;

const bitsOf = (count: number): number => (count === 0 ? 0 : Math.floor(Math.log2(count)) + 1);

class Sorting<T> {
  readonly #items: T[];
  readonly #isLess: (a: T, b: T) => boolean;
  /** Of the comparisons that chose the pivot, how many found a pair in the wrong order. */
  #exchanges = 0;

  constructor(items: T[], isLess: (a: T, b: T) => boolean) {
    this.#items = items;
    this.#isLess = isLess;
  }

  /** Sorts `[from, to)`; after `patience` bad pivots with a heap. */
  run(from: number, to: number, patience: number): void {
    let wasBalanced = true;
    let wasPartitioned = true;
    for (let left = patience; ; ) {
      const length = to - from;
      if (length <= shortPart || left === 0) {
        if (length <= shortPart) this.#byInsertion(from, to);
        else this.#byHeap(from, to);
        return;
      }
      if (!wasBalanced) {
        this.#scatter(from, to);
        left--;
      }
      let pivot = this.#pivot(from, to);
      let seemsSorted = this.#exchanges === 0;
      if (this.#exchanges === 12) {
        this.#reverse(from, to);
        pivot = to - 1 - (pivot - from);
        seemsSorted = true;
      }
      if (wasBalanced && wasPartitioned && seemsSorted && this.#byFewShifts(from, to)) return;
      if (from > 0 && !this.#less(from - 1, pivot)) {
        from = this.#partitionEqual(from, to, pivot);
        continue;
      }
      const { middle, wasInOrder } = this.#partition(from, to, pivot);
      wasPartitioned = wasInOrder;
      const [before, after] = [middle - from, to - middle];
      wasBalanced = Math.min(before, after) >= Math.floor(length / 8);
      if (before < after) {
        this.run(from, middle, left);
        from = middle + 1;
      } else {
        this.run(middle + 1, to, left);
        to = middle;
      }
    }
  }

  #less(a: number, b: number): boolean {
    return this.#isLess(this.#items[a]!, this.#items[b]!);
  }

  #swap(a: number, b: number): void {
    const held = this.#items[a]!;
    this.#items[a] = this.#items[b]!;
    this.#items[b] = held;
  }

  #byInsertion(from: number, to: number): void {
    for (let i = from + 1; i < to; i++) for (let j = i; j > from && this.#less(j, j - 1); j--) this.#swap(j, j - 1);
  }

  #byHeap(from: number, to: number): void {
    const size = to - from;
    const sink = (start: number, end: number) => {
      for (let root = start, child = 2 * root + 1; child < end; child = 2 * root + 1) {
        if (child + 1 < end && this.#less(from + child, from + child + 1)) child++;
        if (!this.#less(from + root, from + child)) return;
        this.#swap(from + root, from + child);
        root = child;
      }
    };
    for (let i = Math.floor((size - 1) / 2); i >= 0; i--) sink(i, size);
    for (let i = size - 1; i >= 0; i--) {
      this.#swap(from, from + i);
      sink(0, i);
    }
  }

  /** Breaks a pattern that makes pivots bad; the same way each time. */
  #scatter(from: number, to: number): void {
    const length = to - from;
    const mask = (1n << 64n) - 1n;
    let random = BigInt(length);
    const middle = from + Math.floor(length / 4) * 2;
    for (let i = middle - 1; i <= middle + 1; i++) {
      random ^= (random << 13n) & mask;
      random ^= random >> 7n;
      random ^= (random << 17n) & mask;
      const other = Number(random & ((1n << BigInt(bitsOf(length))) - 1n));
      this.#swap(i, from + (other >= length ? other - length : other));
    }
  }

  /** The middle one of three, or of three medians. */
  #pivot(from: number, to: number): number {
    this.#exchanges = 0;
    const length = to - from;
    const quarters = [1, 2, 3].map((i) => from + Math.floor(length / 4) * i);
    const [a, b, c] = length < longPart ? quarters : quarters.map((at) => this.#median(at - 1, at, at + 1));
    return this.#median(a!, b!, c!);
  }

  #median(a: number, b: number, c: number): number {
    const ordered = (x: number, y: number): [number, number] => {
      if (!this.#less(y, x)) return [x, y];
      this.#exchanges++;
      return [y, x];
    };
    const [low, high] = ordered(a, b);
    const [middle] = ordered(high, c);
    return ordered(low, middle)[1];
  }

  #reverse(from: number, to: number): void {
    for (let i = from, j = to - 1; i < j; i++, j--) this.#swap(i, j);
  }

  /** Whether it is sorted after a few elements have been moved to their places. */
  #byFewShifts(from: number, to: number): boolean {
    let i = from + 1;
    for (let tries = 0; tries < shiftsAtMost; tries++) {
      while (i < to && !this.#less(i, i - 1)) i++;
      if (i === to) return true;
      if (to - from < longPart) return false;
      this.#swap(i, i - 1);
      if (i - from >= 2) for (let j = i - 1; j >= 1 && this.#less(j, j - 1); j--) this.#swap(j, j - 1);
      if (to - i >= 2) for (let j = i + 1; j < to && this.#less(j, j - 1); j++) this.#swap(j, j - 1);
    }
    return false;
  }

  /** What is less than the pivot before it, the rest behind it. */
  #partition(from: number, to: number, pivot: number): { middle: number; wasInOrder: boolean } {
    this.#swap(from, pivot);
    let [i, j] = [from + 1, to - 1];
    for (let wasInOrder = true; ; wasInOrder = false) {
      while (i <= j && this.#less(i, from)) i++;
      while (i <= j && !this.#less(j, from)) j--;
      if (i > j) {
        this.#swap(j, from);
        return { middle: j, wasInOrder };
      }
      this.#swap(i++, j--);
    }
  }

  /** Where nothing is less than the pivot: its equals first. Returns where the rest begins. */
  #partitionEqual(from: number, to: number, pivot: number): number {
    this.#swap(from, pivot);
    for (let [i, j] = [from + 1, to - 1]; ; ) {
      while (i <= j && !this.#less(from, i)) i++;
      while (i <= j && this.#less(from, j)) j--;
      if (i > j) return i;
      this.#swap(i++, j--);
    }
  }
}
