/**
 * Remembers which optional lists and maps of an object a client gave empty. The object is without them, as omitempty has it, and so are
 * its answers; but until it is stored upstream tells an empty list from none, and its messages print the one as `[]`, the other as `null`.
 */

const key = Symbol("given empty");

export type Empties = Readonly<Record<string, [] | Record<string, never>>>;

interface Remembers {
  [key]?: Empties;
}

/** Copies that are spread from `object` remember it too; JSON, comparisons and structured clones know nothing of it. */
export function rememberEmpties(object: object, empties: Empties): void {
  (object as Remembers)[key] = empties;
}

/** The empty list or map that was given for the field, or undefined. */
export function givenEmpty(object: object, field: string): unknown {
  const empties = (object as Remembers)[key];
  return empties && Object.hasOwn(empties, field) ? empties[field] : undefined;
}

/** For a copy whose own `fields` come from elsewhere. */
export function forgetEmpties(object: object, fields: readonly string[]): void {
  const empties = (object as Remembers)[key];
  if (!empties) return;
  (object as Remembers)[key] = Object.fromEntries(Object.entries(empties).filter(([field]) => !fields.includes(field)));
}

/** A copy as storage gives it back: what was given empty is gone. */
export function asStored<T>(object: T): T {
  return structuredClone(object);
}
