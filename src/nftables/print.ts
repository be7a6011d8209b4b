/** Prints rules as nft reads them. */
import type { Chain, ChainHook, Element, Field, MapReference, Rule, SetDeclaration, Statement } from "./ruleset.ts";

function printRule(rule: Rule): string {
  return rule.map(printStatement).join(" ");
}

/** A chain's rules, one a line. Equal text means equal effect. */
export function printRules(chain: Chain): readonly string[] {
  let lines = printed.get(chain);
  if (!lines) printed.set(chain, (lines = chain.rules.map(printRule)));
  return lines;
}

export function printHook(hook: ChainHook): string {
  return `{ type ${hook.type} hook ${hook.hook} priority ${hook.priority}; policy accept; }`;
}

export function printSet(set: SetDeclaration): string {
  return `{ ${set.body} }`;
}

export function printElement(key: string, { value, comment }: Element): string {
  return `${key}${comment ? ` comment ${quote(comment)}` : ""}${value && ` : ${value}`}`;
}

/** Chains are immutable and many services share one: each is printed once. */
const printed = new WeakMap<Chain, readonly string[]>();

function printStatement(statement: Statement): string {
  switch (statement.kind) {
    case "match":
      return `${printKey(statement.key)} ${statement.not ? "!= " : ""}${printValues(statement.values)}`;
    case "in-set":
      return `${printKey(statement.key)} ${statement.not ? "!= " : ""}@${statement.set}`;
    case "verdict-map":
      return `${printKey(statement.key)} vmap ${printMap(statement.map)}`;
    case "verdict":
      return statement.verdict;
    case "dnat":
      return `dnat ${statement.family} to ${printKey(statement.key)} map ${printMap(statement.map)}`;
    case "masquerade":
      return "masquerade fully-random";
    case "reject":
      return statement.with ? `reject with ${statement.with}` : "reject";
    case "draw":
      return `meta mark set numgen random mod ${statement.among}`;
    case "mark":
      return `ct mark set ct mark | ${hex(statement.bit)}`;
    case "is-marked":
      return `ct mark & ${hex(statement.bit)} != 0`;
    case "remember":
      return `update @${statement.set} { ${printKey(statement.key)} }`;
  }
}

function printKey(key: readonly Field[]): string {
  return key.join(" . ");
}

function printValues(values: readonly string[]): string {
  return values.length === 1 ? values[0]! : `{ ${values.join(", ")} }`;
}

function printMap(map: MapReference): string {
  return "named" in map ? `@${map.named}` : `{ ${map.entries.map(([key, value]) => `${key} : ${value}`).join(", ")} }`;
}

function hex(bit: number): string {
  return `0x${bit.toString(16)}`;
}

/** nft has no escapes inside quotes, and 128 bytes for a comment. */
function quote(text: string): string {
  return `"${text.replaceAll(/["\n]/g, "'").slice(0, 127)}"`;
}
