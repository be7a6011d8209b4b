/**
 * Follows one packet through rules in memory, as the kernel would (knftables' fake upstream). It is how a ruleset is tried
 * over hundreds of cases without a kernel; the kernel then gets the same cases.
 */
import { cidrContains, parseCidr, parseIp } from "../base/ip.ts";
import type { Chain, Field, Rule, Rules } from "./ruleset.ts";

/** The first packet of a connection, or a later one (`ctState`). */
export interface Packet {
  saddr: string;
  daddr: string;
  protocol: "tcp" | "udp" | "sctp" | "icmp";
  /** 0 where the protocol has none. */
  dport: number;
  ctState?: "new" | "established" | "related";
  /** Whether the addresses are the node's own. */
  fromHere?: boolean;
  toHere?: boolean;
}

export interface TraceOutcome {
  verdict: "accept" | "drop" | "reject";
  /** The packet as it leaves the hooks. */
  packet: Packet;
  masqueraded: boolean;
  /** The chains that were entered, in order. */
  path: string[];
}

export interface TraceOptions {
  rules: Rules;
  /** In the order in which the packet meets them. */
  hooks: readonly ("prerouting" | "input" | "forward" | "output" | "postrouting")[];
  packet: Packet;
  /** Which of so many endpoints is drawn; the first when left out. */
  draw?: (among: number) => number;
}

export function trace({ rules, hooks, packet, draw = () => 0 }: TraceOptions): TraceOutcome {
  const walk = new Walk(rules, { ...packet }, draw);
  for (const hook of hooks) {
    // A connection's translation is decided by its first packet, and by the first chain that decides it.
    let isDecided = (packet.ctState ?? "new") !== "new";
    for (const [name, chain] of chainsAt(rules, hook)) {
      const isNat = chain.hook?.type === "nat";
      if (isNat && isDecided) continue;
      const end = walk.enter(name);
      isDecided ||= isNat && end === "accept";
      if (end === "drop" || end === "reject") return walk.outcome(end);
    }
  }
  return walk.outcome("accept");
}

function chainsAt(rules: Rules, hook: string): [string, Chain][] {
  return [...(rules.chains ?? [])]
    .filter(([, chain]) => chain.hook?.hook === hook)
    .sort(([, a], [, b]) => priorityOf(a) - priorityOf(b));
}

const namedPriorities: Readonly<Record<string, number>> = { dstnat: -100, filter: 0, srcnat: 100 };

function priorityOf({ hook }: Chain): number {
  const [base = "0", sign, offset] = hook!.priority.split(" ");
  const start = namedPriorities[base] ?? Number(base);
  return start + (offset ? Number(`${sign}${offset}`) : 0);
}

type End = "accept" | "drop" | "reject" | "return";

class Walk {
  readonly #rules: Rules;
  readonly #draw: (among: number) => number;
  readonly #packet: Packet;
  readonly #path: string[] = [];
  #mark = 0;
  #connectionMark = 0;
  #masqueraded = false;

  constructor(rules: Rules, packet: Packet, draw: (among: number) => number) {
    this.#rules = rules;
    this.#packet = packet;
    this.#draw = draw;
  }

  outcome(verdict: TraceOutcome["verdict"]): TraceOutcome {
    return { verdict, packet: this.#packet, masqueraded: this.#masqueraded, path: this.#path };
  }

  enter(name: string): End {
    const chain = this.#rules.chains?.get(name);
    if (!chain) throw new Error(`the rules lead to chain "${name}", which is not there`);
    this.#path.push(name);
    for (const rule of chain.rules) {
      const end = this.#rule(rule);
      if (end !== undefined) return end;
    }
    return "return";
  }

  /** Undefined: the next rule is asked. */
  #rule(rule: Rule): End | undefined {
    for (const statement of rule) {
      switch (statement.kind) {
        case "match": {
          const is = statement.values.some((value) => this.#matches(statement.key, value));
          if (is === (statement.not ?? false) || !this.#hasFields(statement.key)) return undefined;
          break;
        }
        case "in-set": {
          const elements = this.#rules.elements?.get(statement.set);
          const is = elements?.has(this.#key(statement.key)) ?? false;
          if (is === (statement.not ?? false) || !this.#hasFields(statement.key)) return undefined;
          break;
        }
        case "verdict-map": {
          const value = this.#lookUp(statement.key, statement.map);
          if (value === undefined) return undefined;
          return this.#verdict(value);
        }
        case "verdict":
          return this.#verdict(statement.verdict);
        case "dnat": {
          const value = this.#lookUp(statement.key, statement.map);
          if (value === undefined) return undefined;
          const [address, port] = value.split(" . ");
          this.#packet.daddr = address!;
          if (port) this.#packet.dport = Number(port);
          return "accept";
        }
        case "masquerade":
          this.#masqueraded = true;
          return "accept";
        case "reject":
          return "reject";
        case "draw":
          this.#mark = this.#draw(statement.among);
          break;
        case "mark":
          this.#connectionMark |= statement.bit;
          break;
        case "is-marked":
          if ((this.#connectionMark & statement.bit) === 0) return undefined;
          break;
        case "remember":
          break;
      }
    }
    return undefined;
  }

  #verdict(verdict: string): End | undefined {
    const [word, chain] = verdict.split(" ") as [string, string?];
    if (word === "jump") {
      const end = this.enter(chain!);
      return end === "return" ? undefined : end;
    }
    if (word === "goto") return this.enter(chain!);
    return word as End;
  }

  #lookUp(
    key: readonly Field[],
    map: { readonly named: string } | { readonly entries: readonly (readonly [string, string])[] },
  ): string | undefined {
    if (!this.#hasFields(key)) return undefined;
    const text = this.#key(key);
    if ("named" in map) return this.#rules.elements?.get(map.named)?.get(text)?.value;
    return map.entries.find(([each]) => each === text)?.[1];
  }

  /** nft asks of its own accord that a packet has what a rule looks at: the family, and a transport with ports. */
  #hasFields(key: readonly Field[]): boolean {
    const isIpv6 = this.#packet.saddr.includes(":");
    return key.every((field) => {
      if (field.startsWith("ip6 ")) return isIpv6;
      if (field.startsWith("ip ")) return !isIpv6;
      return field !== "th dport" || this.#packet.protocol !== "icmp";
    });
  }

  #key(key: readonly Field[]): string {
    return key.map((field) => this.#field(field)).join(" . ");
  }

  #matches(key: readonly Field[], value: string): boolean {
    const wanted = key.length === 1 ? [value] : value.split(" . ");
    return key.every((field, i) => isWithin(this.#field(field), wanted[i]!));
  }

  #field(field: Field): string {
    const packet = this.#packet;
    switch (field) {
      case "ip saddr":
      case "ip6 saddr":
        return packet.saddr;
      case "ip daddr":
      case "ip6 daddr":
        return packet.daddr;
      case "meta l4proto":
        return packet.protocol;
      case "th dport":
        return String(packet.dport);
      case "meta mark":
        return String(this.#mark);
      case "ct state":
        return packet.ctState ?? "new";
      case "fib saddr type":
        return packet.fromHere ? "local" : "unicast";
      case "fib daddr type":
        return packet.toHere ? "local" : "unicast";
      case "ct status":
      case "iifname":
      case "oifname":
        return "";
      default:
        return String(this.#draw(Number(field.slice(field.lastIndexOf(" ") + 1))));
    }
  }
}

/** A value as a rule writes it: itself, a block of addresses or a range of ports. */
function isWithin(actual: string, wanted: string): boolean {
  if (actual === wanted) return true;
  const block = parseCidr(wanted);
  if (block) {
    const address = parseIp(actual);
    return address !== undefined && address.length === block.address.length && cidrContains(block, address);
  }
  const range = /^(\d+)-(\d+)$/.exec(wanted);
  return range !== null && Number(actual) >= Number(range[1]) && Number(actual) <= Number(range[2]);
}
