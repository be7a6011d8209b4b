/** A persistent map in key order: every change yields a new map, and the old one stays as it was at no cost. */

interface Keyed {
  readonly key: string;
}

/** A full leaf splits. Two levels with leaves of this size copy a few hundred pointers a change, for up to some 100,000 keys. */
const maxLeaf = 128;
/** Neighbours that together are no larger are joined. */
const minLeaf = 48;

type Leaf<V> = readonly V[];

/**
 * Sorted leaves under one root array. Keys compare as JavaScript strings do, which is byte order for all of the Basic
 * Multilingual Plane.
 */
export class OrderedMap<V extends Keyed> {
  readonly size: number;
  readonly #leaves: readonly Leaf<V>[];

  private constructor(leaves: readonly Leaf<V>[], size: number) {
    this.#leaves = leaves;
    this.size = size;
  }

  static empty<V extends Keyed>(): OrderedMap<V> {
    return new OrderedMap<V>([], 0);
  }

  /** From values in ascending key order, without duplicates. */
  static fromSorted<V extends Keyed>(values: readonly V[]): OrderedMap<V> {
    const leaves: Leaf<V>[] = [];
    for (let i = 0; i < values.length; i += maxLeaf) leaves.push(values.slice(i, i + maxLeaf));
    return new OrderedMap(leaves, values.length);
  }

  get(key: string): V | undefined {
    const leaf = this.#leaves[this.#leafOf(key)];
    if (!leaf) return undefined;
    const value = leaf[lowerBound(leaf, key)];
    return value?.key === key ? value : undefined;
  }

  set(value: V): OrderedMap<V> {
    if (this.#leaves.length === 0) return new OrderedMap([[value]], 1);
    const at = this.#leafOf(value.key);
    const leaf = this.#leaves[at]!;
    const position = lowerBound(leaf, value.key);
    if (leaf[position]?.key === value.key) {
      const changed = leaf.slice();
      changed[position] = value;
      return new OrderedMap(replaced(this.#leaves, at, 1, changed), this.size);
    }
    if (leaf.length < maxLeaf) {
      return new OrderedMap(replaced(this.#leaves, at, 1, inserted(leaf, position, value)), this.size + 1);
    }
    // Keys that arrive in ascending order fill their leaves instead of leaving each half empty.
    if (position === leaf.length) return new OrderedMap(replaced(this.#leaves, at + 1, 0, [value]), this.size + 1);
    const middle = maxLeaf / 2;
    const low = leaf.slice(0, middle);
    const high = leaf.slice(middle);
    if (position <= middle) low.splice(position, 0, value);
    else high.splice(position - middle, 0, value);
    return new OrderedMap(replaced(this.#leaves, at, 1, low, high), this.size + 1);
  }

  delete(key: string): OrderedMap<V> {
    const at = this.#leafOf(key);
    const leaf = this.#leaves[at];
    if (!leaf) return this;
    const position = lowerBound(leaf, key);
    if (leaf[position]?.key !== key) return this;
    const changed = leaf.slice(0, position).concat(leaf.slice(position + 1));
    const size = this.size - 1;
    if (changed.length === 0) return new OrderedMap(replaced(this.#leaves, at, 1), size);
    const next = this.#leaves[at + 1];
    if (next && changed.length + next.length <= minLeaf) {
      return new OrderedMap(replaced(this.#leaves, at, 2, changed.concat(next)), size);
    }
    return new OrderedMap(replaced(this.#leaves, at, 1, changed), size);
  }

  /** Visits values with `from` <= key < `to` (to the end without `to`) in key order until `visit` returns false. */
  scan(from: string, to: string | undefined, visit: (value: V) => boolean): void {
    for (let at = this.#leafOf(from); at < this.#leaves.length; at++) {
      const leaf = this.#leaves[at]!;
      for (let i = lowerBound(leaf, from); i < leaf.length; i++) {
        const value = leaf[i]!;
        if (to !== undefined && value.key >= to) return;
        if (!visit(value)) return;
      }
    }
  }

  /** How many keys lie in [`from`, `to`). */
  count(from: string, to: string | undefined): number {
    return (to === undefined ? this.size : this.#rank(to)) - this.#rank(from);
  }

  /** How many keys are less than `key`. */
  #rank(key: string): number {
    const at = this.#leafOf(key);
    let rank = 0;
    for (let i = 0; i < at; i++) rank += this.#leaves[i]!.length;
    const leaf = this.#leaves[at];
    return leaf ? rank + lowerBound(leaf, key) : rank;
  }

  /** The last leaf whose first key is not greater than `key`; the first leaf when there is none. */
  #leafOf(key: string): number {
    let low = 1;
    let high = this.#leaves.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#leaves[middle]![0]!.key <= key) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}

/** The least key that is greater than every key starting with `prefix`. Undefined for the empty prefix. */
export function prefixEnd(prefix: string): string | undefined {
  if (prefix === "") return undefined;
  const last = prefix.charCodeAt(prefix.length - 1);
  return prefix.slice(0, -1) + String.fromCharCode(last + 1);
}

function lowerBound<V extends Keyed>(leaf: Leaf<V>, key: string): number {
  let low = 0;
  let high = leaf.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (leaf[middle]!.key < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

function replaced<V>(leaves: readonly Leaf<V>[], at: number, removed: number, ...by: Leaf<V>[]): Leaf<V>[] {
  const copy = leaves.slice();
  copy.splice(at, removed, ...by);
  return copy;
}

function inserted<V>(leaf: Leaf<V>, position: number, value: V): V[] {
  const copy = leaf.slice();
  copy.splice(position, 0, value);
  return copy;
}
