/**
 * Sets of fields in the form that managedFields stores them (FieldsV1): nested objects keyed by path elements, `f:name` for a field or a
 * map's key, `k:{"name":"web"}` for a list's item by its keys, `v:"x"` for a set's item. A node is a member of the set when it is empty
 * or holds ".". Nothing here changes its arguments; results share parts with them.
 */
export type FieldSet = { readonly [element: string]: FieldSet };

/** A node that is a member and has nothing below. */
export const member: FieldSet = Object.freeze({});

export function isEmptySet(set: FieldSet): boolean {
  for (const _ in set) return false;
  return true;
}

/** Asked of a node, not of a whole set, whose root is never a member. */
export function isMember(node: FieldSet): boolean {
  return "." in node || isEmptySet(node);
}

/** A node from its parts; undefined when nothing is left. */
function node(isMember: boolean, children: Record<string, FieldSet> | undefined): FieldSet | undefined {
  if (!children) return isMember ? member : undefined;
  if (isMember) children["."] = member;
  return children;
}

/**
 * The same set with every node's elements in the order of their text, which is how upstream stores it: a client that decodes an object
 * into maps and writes it again gets the same bytes. Frozen, and shared: what one program makes of one kind has mostly the same fields,
 * and thousands of objects then keep one set between them.
 */
export function inOrder(set: FieldSet): FieldSet {
  for (let i = 0; i < recent.length; i++) if (isSameSet(set, recent[i]!)) return recent[i]!;
  const ordered = orderedNode(set);
  if (ordered === member) return member;
  recent[turn] = ordered;
  turn = (turn + 1) % recentSets;
  return ordered;
}

/** The sets that were put in order last; which of them are here changes nothing but who shares with whom. */
const recent: FieldSet[] = [];
const recentSets = 16;
let turn = 0;

function orderedNode(set: FieldSet): FieldSet {
  if (isEmptySet(set)) return member;
  const ordered: Record<string, FieldSet> = {};
  for (const element of sortedText(Object.keys(set))) ordered[element] = orderedNode(set[element]!);
  return Object.freeze(ordered);
}

/** Whether both hold the same, in whatever order. */
function isSameSet(a: FieldSet, b: FieldSet): boolean {
  if (a === b) return true;
  let more = 0;
  for (const element in a) {
    const other = b[element];
    if (other === undefined || !isSameSet(a[element]!, other)) return false;
    more++;
  }
  for (const _ in b) more--;
  return more === 0;
}

/** In place. Sets are small and nearly in order, as objects are written: sorted by insertion, they need no memory. */
function sortedText(elements: string[]): string[] {
  if (elements.length > 32) return elements.sort();
  for (let i = 1; i < elements.length; i++) {
    const element = elements[i]!;
    let at = i;
    for (; at > 0 && elements[at - 1]! > element; at--) elements[at] = elements[at - 1]!;
    elements[at] = element;
  }
  return elements;
}

/** The set of both. Undefined stands for the empty set throughout. */
export function union(a: FieldSet | undefined, b: FieldSet | undefined): FieldSet | undefined {
  if (!a || a === b) return b;
  if (!b) return a;
  return unionNodes(a, b, false);
}

function unionNodes(a: FieldSet, b: FieldSet, eitherMember: boolean): FieldSet {
  const children: Record<string, FieldSet> = {};
  for (const element in a) if (element !== ".") children[element] = a[element]!;
  for (const element in b) {
    if (element === ".") continue;
    const mine = children[element];
    const theirs = b[element]!;
    children[element] =
      !mine || mine === theirs ? theirs : unionNodes(mine, theirs, isMember(mine) || isMember(theirs));
  }
  if (isEmptySet(children)) return member;
  if (eitherMember) children["."] = member;
  return children;
}

/** What is in `a` and not in `b`, path by path: a field below a removed one stays. The same object as `a` when nothing goes. */
export function difference(a: FieldSet | undefined, b: FieldSet | undefined): FieldSet | undefined {
  if (!a || !b) return a;
  return differenceNodes(a, b, false, false, false);
}

/** As difference, but everything below a field in `b` goes too. */
export function differenceBelow(a: FieldSet | undefined, b: FieldSet | undefined): FieldSet | undefined {
  if (!a || !b) return a;
  return differenceNodes(a, b, false, false, true);
}

function differenceNodes(
  a: FieldSet,
  b: FieldSet,
  aMember: boolean,
  bMember: boolean,
  below: boolean,
): FieldSet | undefined {
  if (below && bMember) return undefined;
  let changed = aMember && bMember;
  let children: Record<string, FieldSet> | undefined;
  for (const element in a) {
    if (element === ".") continue;
    const mine = a[element]!;
    const theirs = b[element];
    const left = theirs ? differenceNodes(mine, theirs, isMember(mine), isMember(theirs), below) : mine;
    if (left !== mine) changed = true;
    if (left) (children ??= {})[element] = left;
  }
  return changed ? node(aMember && !bMember, children) : a;
}

export function intersection(a: FieldSet | undefined, b: FieldSet | undefined): FieldSet | undefined {
  if (!a || !b) return undefined;
  return intersectNodes(a, b, false);
}

function intersectNodes(a: FieldSet, b: FieldSet, bothMembers: boolean): FieldSet | undefined {
  let children: Record<string, FieldSet> | undefined;
  for (const element in a) {
    if (element === ".") continue;
    const mine = a[element]!;
    const theirs = b[element];
    if (!theirs) continue;
    const both = intersectNodes(mine, theirs, isMember(mine) && isMember(theirs));
    if (both) (children ??= {})[element] = both;
  }
  return node(bothMembers, children);
}

/** From paths of element names: `fieldSetOf(["f:status"], ["f:metadata", "f:labels"])`. */
export function fieldSetOf(...paths: readonly string[][]): FieldSet {
  const root: Record<string, FieldSet> = {};
  for (const path of paths) {
    let at = root;
    path.forEach((element, i) => {
      const known = at[element];
      if (i === path.length - 1) at[element] = known ? unionNodes(known, member, true) : member;
      else
        at = (at[element] = known ? { ...(isMember(known) ? { ".": member } : {}), ...known } : {}) as Record<
          string,
          FieldSet
        >;
    });
  }
  return root;
}

/** Every member as upstream prints it, `.spec.ports[port=80,protocol="TCP"].name`, those of a node before those below it. */
export function* fieldPaths(set: FieldSet, prefix = ""): Generator<string> {
  const elements = Object.keys(set)
    .filter((element) => element !== ".")
    .sort();
  for (const element of elements) if (isMember(set[element]!)) yield prefix + printElement(element);
  for (const element of elements) yield* fieldPaths(set[element]!, prefix + printElement(element));
}

export function printElement(element: string): string {
  const value = element.slice(2);
  switch (element[0]) {
    case "f":
      return `.${value}`;
    case "k": {
      const keys = Object.entries(JSON.parse(value) as object).map(([name, key]) => `${name}=${JSON.stringify(key)}`);
      return `[${keys.join(",")}]`;
    }
    case "v":
      return `[=${value}]`;
    default:
      return `[${value}]`;
  }
}
