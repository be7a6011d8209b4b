/**
 * Remembers which optional lists and maps of an object a client gave empty. The object is without them, as omitempty has it, and so are
 * its answers; but until it is stored upstream tells an empty list from none, and its messages print the one as `[]`, the other as `null`.
 */

export type Empties = Readonly<Record<string, [] | Record<string, never>>>;

const remembered = new WeakMap<object, Empties>();

export function rememberEmpties(object: object, empties: Empties): void {
  remembered.set(object, empties);
}

/** The empty list or map that was given for the field, or undefined. */
export function givenEmpty(object: object, field: string): unknown {
  const empties = remembered.get(object);
  return empties && Object.hasOwn(empties, field) ? empties[field] : undefined;
}

/** Makes `copy` remember what its original does, besides `others`, which it has from elsewhere. Answers with the copy. */
export function withEmptiesOf<T extends object>(copy: T, original: object, others: readonly string[] = []): T {
  const empties = remembered.get(original);
  if (!empties) return copy;
  remembered.set(copy, Object.fromEntries(Object.entries(empties).filter(([field]) => !others.includes(field))));
  return copy;
}

/** A copy as storage gives it back: what was given empty is gone. */
export function asStored<T>(object: T): T {
  return structuredClone(object);
}
