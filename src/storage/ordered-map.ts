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
    return valueAt(this.#leaves, key);
  }

  set(value: V): OrderedMap<V> {
    return this.change((draft) => draft.set(value));
  }

  delete(key: string): OrderedMap<V> {
    return this.change((draft) => draft.delete(key));
  }

  /** As many changes as `make` makes, in one step: what they have in common is copied once. The draft is of no use afterwards. */
  change(make: (draft: OrderedMapDraft<V>) => void): OrderedMap<V> {
    const draft = new OrderedMapDraft(this.#leaves, this.size);
    make(draft);
    return new OrderedMap(draft.leaves, draft.size);
  }

  /** Visits values with `from` <= key < `to` (to the end without `to`) in key order until `visit` returns false. */
  scan(from: string, to: string | undefined, visit: (value: V) => boolean): void {
    for (let at = leafOf(this.#leaves, from); at < this.#leaves.length; at++) {
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
    const at = leafOf(this.#leaves, key);
    let rank = 0;
    for (let i = 0; i < at; i++) rank += this.#leaves[i]!.length;
    const leaf = this.#leaves[at];
    return leaf ? rank + lowerBound(leaf, key) : rank;
  }
}

/** A map while it is being changed. */
export class OrderedMapDraft<V extends Keyed> {
  readonly leaves: Leaf<V>[];
  size: number;
  /** Leaves that no map has seen: these may be changed in place. */
  readonly #own = new Set<Leaf<V>>();

  constructor(leaves: readonly Leaf<V>[], size: number) {
    this.leaves = leaves.slice();
    this.size = size;
  }

  get(key: string): V | undefined {
    return valueAt(this.leaves, key);
  }

  set(value: V): void {
    const at = leafOf(this.leaves, value.key);
    const leaf = this.leaves[at];
    if (!leaf) {
      this.#put(0, 0, [value]);
      this.size = 1;
      return;
    }
    const position = lowerBound(leaf, value.key);
    if (leaf[position]?.key === value.key) {
      this.#ownLeaf(at)[position] = value;
      return;
    }
    this.size++;
    if (leaf.length < maxLeaf) this.#ownLeaf(at).splice(position, 0, value);
    // Keys that arrive in ascending order fill their leaves instead of leaving each half empty.
    else if (position === leaf.length) this.#put(at + 1, 0, [value]);
    else {
      const middle = maxLeaf / 2;
      const low = leaf.slice(0, middle);
      const high = leaf.slice(middle);
      if (position <= middle) low.splice(position, 0, value);
      else high.splice(position - middle, 0, value);
      this.#put(at, 1, low, high);
    }
  }

  delete(key: string): void {
    const at = leafOf(this.leaves, key);
    const leaf = this.leaves[at];
    if (!leaf) return;
    const position = lowerBound(leaf, key);
    if (leaf[position]?.key !== key) return;
    this.size--;
    const changed = this.#ownLeaf(at);
    changed.splice(position, 1);
    const next = this.leaves[at + 1];
    if (changed.length === 0) this.#put(at, 1);
    else if (next && changed.length + next.length <= minLeaf) this.#put(at, 2, changed.concat(next));
  }

  #ownLeaf(at: number): V[] {
    const leaf = this.leaves[at]!;
    // Own leaves are arrays of this draft's making.
    if (this.#own.has(leaf)) return leaf as V[];
    const copy = leaf.slice();
    this.leaves[at] = copy;
    this.#own.add(copy);
    return copy;
  }

  #put(at: number, removed: number, ...by: Leaf<V>[]): void {
    this.leaves.splice(at, removed, ...by);
    for (const leaf of by) this.#own.add(leaf);
  }
}

function valueAt<V extends Keyed>(leaves: readonly Leaf<V>[], key: string): V | undefined {
  const leaf = leaves[leafOf(leaves, key)];
  if (!leaf) return undefined;
  const value = leaf[lowerBound(leaf, key)];
  return value?.key === key ? value : undefined;
}

/** The last leaf whose first key is not greater than `key`; the first leaf when there is none. */
function leafOf<V extends Keyed>(leaves: readonly Leaf<V>[], key: string): number {
  let low = 1;
  let high = leaves.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (leaves[middle]![0]!.key <= key) low = middle + 1;
    else high = middle;
  }
  return low - 1;
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
