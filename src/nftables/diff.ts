/** The smallest script that turns one state of a table into another, as one transaction. Pure. */
import { printElement, printHook, printRules, printSet } from "./print.ts";
import type { Chain, Element, Rules, SetDeclaration, TableName } from "./ruleset.ts";

/** What changes between two states: by name, what was there before (or not) and what is there after (or not). */
export interface RulesChange {
  sets: Map<string, Change<SetDeclaration>>;
  chains: Map<string, Change<Chain>>;
  elements: Map<string, Map<string, Change<Element>>>;
}

export interface Change<T> {
  before: T | undefined;
  after: T | undefined;
}

export function noChange(): RulesChange {
  return { sets: new Map(), chains: new Map(), elements: new Map() };
}

/** All differences between two states. */
export function diffRules(before: Rules, after: Rules): RulesChange {
  const change = noChange();
  diffMaps(before.sets, after.sets, change.sets);
  diffMaps(before.chains, after.chains, change.chains);
  for (const set of new Set([...(before.elements?.keys() ?? []), ...(after.elements?.keys() ?? [])])) {
    const elements = new Map<string, Change<Element>>();
    diffMaps(before.elements?.get(set), after.elements?.get(set), elements);
    change.elements.set(set, elements);
  }
  return change;
}

function diffMaps<T>(
  before: ReadonlyMap<string, T> | undefined,
  after: ReadonlyMap<string, T> | undefined,
  into: Map<string, Change<T>>,
): void {
  for (const [name, value] of before ?? []) {
    const next = after?.get(name);
    if (next !== value) into.set(name, { before: value, after: next });
  }
  for (const [name, value] of after ?? []) if (!before?.has(name)) into.set(name, { before: undefined, after: value });
}

/**
 * The change as nft commands, empty when nothing differs. What goes is unhooked before it is deleted, what comes is
 * declared before it is used; the kernel takes all of it or nothing.
 */
export function printChange({ family, name }: TableName, change: RulesChange): string {
  const table = `${family} ${name}`;
  const out: string[] = [];
  const sets = [...change.sets].filter(
    ([, { before, after }]) => before?.body !== after?.body || before?.kind !== after?.kind,
  );
  const chains = [...change.chains].filter(([, { before, after }]) => !isSameChain(before, after));
  const elements = [...change.elements].map(([set, changes]) => ({
    set,
    changed: [...changes].filter(([, { before, after }]) => !isSameElement(before, after)),
  }));

  for (const [chain, { before }] of chains) if (before) out.push(`flush chain ${table} ${chain}`);
  for (const { set, changed } of elements) {
    // A set that goes takes its elements along.
    if (change.sets.get(set)?.before && !change.sets.get(set)?.after) continue;
    pushElements(
      out,
      `delete element ${table} ${set}`,
      changed.flatMap(([key, { before }]) => (before ? [key] : [])),
    );
  }
  for (const [chain, { before, after }] of chains)
    if (before && (!after || isRehooked(before, after))) out.push(`delete chain ${table} ${chain}`);
  for (const [set, { before }] of sets) if (before) out.push(`delete ${before.kind} ${table} ${set}`);

  for (const [set, { after }] of sets) if (after) out.push(`add ${after.kind} ${table} ${set} ${printSet(after)}`);
  for (const [chain, { before, after }] of chains) {
    if (after && (!before || isRehooked(before, after)))
      out.push(`add chain ${table} ${chain}${after.hook ? ` ${printHook(after.hook)}` : ""}`);
  }
  for (const [chain, { after }] of chains) {
    if (after) for (const rule of printRules(after)) out.push(`add rule ${table} ${chain} ${rule}`);
  }
  for (const { set, changed } of elements) {
    pushElements(
      out,
      `add element ${table} ${set}`,
      changed.flatMap(([key, { after }]) => (after ? [printElement(key, after)] : [])),
    );
  }
  return out.join("\n");
}

/** All of a table that is empty yet, as nft commands. */
export function printWhole({ family, name }: TableName, { sets, chains, elements }: Rules): string {
  const table = `${family} ${name}`;
  const out: string[] = [];
  for (const [set, declaration] of sets ?? [])
    out.push(`add ${declaration.kind} ${table} ${set} ${printSet(declaration)}`);
  for (const [chain, { hook }] of chains ?? [])
    out.push(`add chain ${table} ${chain}${hook ? ` ${printHook(hook)}` : ""}`);
  for (const [chain, contents] of chains ?? [])
    for (const rule of printRules(contents)) out.push(`add rule ${table} ${chain} ${rule}`);
  for (const [set, contents] of elements ?? []) {
    const printed: string[] = [];
    for (const [key, element] of contents) printed.push(printElement(key, element));
    pushElements(out, `add element ${table} ${set}`, printed);
  }
  return out.join("\n");
}

function pushElements(out: string[], command: string, elements: readonly string[]): void {
  if (elements.length > 0) out.push(`${command} { ${elements.join(", ")} }`);
}

function isSameElement(a: Element | undefined, b: Element | undefined): boolean {
  return a === b || (a !== undefined && b !== undefined && a.value === b.value && a.comment === b.comment);
}

function isSameChain(a: Chain | undefined, b: Chain | undefined): boolean {
  if (a === b) return true;
  if (!a || !b || isRehooked(a, b)) return false;
  const [left, right] = [printRules(a), printRules(b)];
  return left.length === right.length && left.every((rule, i) => rule === right[i]);
}

function isRehooked(a: Chain, b: Chain): boolean {
  return (a.hook && printHook(a.hook)) !== (b.hook && printHook(b.hook));
}
