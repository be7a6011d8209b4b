/** One nft table as immutable data: sets, maps, their elements, and chains of rules whose statements print as nft writes them. */

export type Family = "ip" | "ip6" | "inet";

/** What a packet is looked at for. Each prints as itself. */
export type Field =
  | "ip saddr"
  | "ip daddr"
  | "ip6 saddr"
  | "ip6 daddr"
  | "meta l4proto"
  | "meta mark"
  | "th dport"
  | "ct state"
  | "ct status"
  | "fib saddr type"
  | "fib daddr type"
  | "iifname"
  | "oifname"
  | `numgen random mod ${number}`;

export type Verdict = "accept" | "drop" | "return" | `jump ${string}` | `goto ${string}`;

/** Entries written in the rule itself, or the name of a map of the table. */
export type MapReference =
  | { readonly named: string }
  | { readonly entries: readonly (readonly [key: string, value: string])[] };

export type Statement =
  | {
      readonly kind: "match";
      readonly key: readonly Field[];
      readonly not?: boolean;
      readonly values: readonly string[];
    }
  | { readonly kind: "in-set"; readonly key: readonly Field[]; readonly not?: boolean; readonly set: string }
  | { readonly kind: "verdict-map"; readonly key: readonly Field[]; readonly map: MapReference }
  | { readonly kind: "verdict"; readonly verdict: Verdict }
  | { readonly kind: "dnat"; readonly family: "ip" | "ip6"; readonly key: readonly Field[]; readonly map: MapReference }
  | { readonly kind: "masquerade" }
  | { readonly kind: "reject"; readonly with?: "tcp reset" }
  /** Draws a number below `among` at random into the packet's mark. */
  | { readonly kind: "draw"; readonly among: number }
  /** Marks the connection. */
  | { readonly kind: "mark"; readonly bit: number }
  | { readonly kind: "is-marked"; readonly bit: number }
  | { readonly kind: "remember"; readonly key: readonly Field[]; readonly set: string };

export type Rule = readonly Statement[];

export interface Chain {
  /** Where the kernel calls it; without, other chains do. */
  readonly hook?: ChainHook;
  readonly rules: readonly Rule[];
}

export interface ChainHook {
  readonly type: "filter" | "nat";
  readonly hook: "prerouting" | "input" | "forward" | "output" | "postrouting";
  /** As nft writes it: `dstnat`, `-110`, `srcnat + 10`. */
  readonly priority: string;
}

export interface SetDeclaration {
  readonly kind: "set" | "map";
  /** The declaration's body: `type ipv4_addr . inet_proto : verdict;`. */
  readonly body: string;
  /** Packets add its elements: a full rewrite leaves them. */
  readonly isDynamic?: boolean;
}

/** An element's value in a map, and a word for people. In a set the value is empty. */
export interface Element {
  readonly value: string;
  readonly comment?: string;
}

/** Part or whole of a table's contents. Names are of the table. */
export interface Rules {
  readonly sets?: ReadonlyMap<string, SetDeclaration>;
  readonly chains?: ReadonlyMap<string, Chain>;
  /** By set or map, then by key. */
  readonly elements?: ReadonlyMap<string, ReadonlyMap<string, Element>>;
}

export interface TableName {
  readonly family: Family;
  readonly name: string;
}

export function match(field: Field | readonly Field[], ...values: string[]): Statement {
  return { kind: "match", key: fields(field), values };
}

export function matchNot(field: Field | readonly Field[], ...values: string[]): Statement {
  return { kind: "match", key: fields(field), not: true, values };
}

export function inSet(field: Field | readonly Field[], set: string): Statement {
  return { kind: "in-set", key: fields(field), set };
}

export function verdict(verdict: Verdict): Statement {
  return { kind: "verdict", verdict };
}

export function verdictMap(key: readonly Field[], map: MapReference): Statement {
  return { kind: "verdict-map", key, map };
}

function fields(field: Field | readonly Field[]): readonly Field[] {
  return typeof field === "string" ? [field] : field;
}
