/**
 * A table made of parts that come and go by themselves: each owner states its part, and the patchwork knows at any time what
 * changed since the last transaction, at a cost that grows with the parts that changed and not with the table.
 */
import { type Change, diffRules, noChange, type RulesChange } from "./diff.ts";
import type { Chain, Element, Rules, SetDeclaration } from "./ruleset.ts";

interface Claim<T> {
  owner: string;
  rank: string;
  value: T;
}

/**
 * Everything that parts may state, under one kind of key. What several state counts once; of contradicting statements the
 * lowest rank wins. Nearly every key has one claim, so that one is held without a collection around it.
 */
class Claims<T> {
  readonly #claims = new Map<string, Claim<T> | Contest<T>>();

  effective(key: string): T | undefined {
    return this.#winner(key)?.value;
  }

  add(key: string, claim: Claim<T>): void {
    const known = this.#claims.get(key);
    if (!known) this.#claims.set(key, claim);
    else if (known instanceof Contest) known.add(claim);
    else this.#claims.set(key, new Contest(known, claim));
  }

  remove(key: string, owner: string): void {
    const known = this.#claims.get(key);
    if (known instanceof Contest) {
      known.remove(owner);
      if (known.isEmpty) this.#claims.delete(key);
    } else if (known?.owner === owner) this.#claims.delete(key);
  }

  all(): Map<string, T> {
    const all = new Map<string, T>();
    for (const [key, claim] of this.#claims) all.set(key, (claim instanceof Contest ? claim.winner : claim).value);
    return all;
  }

  #winner(key: string): Claim<T> | undefined {
    const known = this.#claims.get(key);
    return known instanceof Contest ? known.winner : known;
  }
}

/** Several claims to one key. */
class Contest<T> {
  winner: Claim<T>;
  readonly #byOwner: Map<string, Claim<T>>;

  constructor(first: Claim<T>, second: Claim<T>) {
    this.winner = first;
    this.#byOwner = new Map([[first.owner, first]]);
    this.add(second);
  }

  get isEmpty(): boolean {
    return this.#byOwner.size === 0;
  }

  add(claim: Claim<T>): void {
    this.#byOwner.set(claim.owner, claim);
    if (claim.rank < this.winner.rank || claim.owner === this.winner.owner) this.#elect();
  }

  remove(owner: string): void {
    this.#byOwner.delete(owner);
    if (owner === this.winner.owner) this.#elect();
  }

  #elect(): void {
    let lowest: Claim<T> | undefined;
    for (const claim of this.#byOwner.values()) if (!lowest || claim.rank < lowest.rank) lowest = claim;
    if (lowest) this.winner = lowest;
  }
}

export interface StatedPart {
  part: Rules | undefined;
  rank: string | undefined;
}

export class Patchwork {
  readonly #parts = new Map<string, Rules>();
  /** Of the owners whose rank is another than their name. */
  readonly #ranks = new Map<string, string>();
  readonly #sets = new Claims<SetDeclaration>();
  readonly #chains = new Claims<Chain>();
  readonly #elements = new Map<string, Claims<Element>>();
  /** Undefined until somebody asks for changes: at first the table is wanted as a whole. */
  #pending: RulesChange | undefined;
  /** By owner, what it stated when `settle` was called last, for those that stated something else since. */
  readonly #unsettled = new Map<string, StatedPart>();

  /** States an owner's part anew; `undefined` withdraws it. `rank` decides between owners that contradict each other: the lowest wins. */
  state(owner: string, part: Rules | undefined, rank = owner): void {
    const before = this.#parts.get(owner);
    if (!before && !part) return;
    if (!this.#unsettled.has(owner)) this.#unsettled.set(owner, { part: before, rank: this.#ranks.get(owner) });
    const pending = this.#pending;
    if (before || pending) {
      const difference = diffRules(before ?? {}, part ?? {});
      this.#claim(this.#sets, difference.sets, pending?.sets, owner, rank);
      this.#claim(this.#chains, difference.chains, pending?.chains, owner, rank);
      for (const [set, changes] of difference.elements) {
        const pendingOfSet = pending && getOrMake(pending.elements, set, () => new Map());
        this.#claim(this.#elementsOf(set), changes, pendingOfSet, owner, rank);
      }
    } else if (part) this.#add(part, owner, rank);
    if (part) this.#parts.set(owner, part);
    else this.#parts.delete(owner);
    if (part && rank !== owner) this.#ranks.set(owner, rank);
    else this.#ranks.delete(owner);
  }

  /** Everything stated so far holds. */
  settle(): void {
    this.#unsettled.clear();
  }

  /** Takes back what was stated since `settle`, and returns it by owner, to be stated again or not. */
  takeBack(): Map<string, StatedPart> {
    const taken = new Map<string, StatedPart>();
    for (const [owner, { part, rank }] of [...this.#unsettled]) {
      taken.set(owner, { part: this.#parts.get(owner), rank: this.#ranks.get(owner) });
      this.state(owner, part, rank);
    }
    this.#unsettled.clear();
    return taken;
  }

  /** What changed since this was called last. The first time: nothing. */
  takeChange(): RulesChange {
    const change = this.#pending ?? noChange();
    this.#pending = noChange();
    return change;
  }

  /** The table as a whole. */
  rules(): Rules {
    return {
      sets: this.#sets.all(),
      chains: this.#chains.all(),
      elements: new Map([...this.#elements].map(([set, claims]) => [set, claims.all()])),
    };
  }

  /** The same as a claim to everything, by an owner that has claimed nothing yet. */
  #add(part: Rules, owner: string, rank: string): void {
    for (const [key, value] of part.sets ?? []) this.#sets.add(key, { owner, rank, value });
    for (const [key, value] of part.chains ?? []) this.#chains.add(key, { owner, rank, value });
    for (const [set, elements] of part.elements ?? []) {
      const claims = this.#elementsOf(set);
      for (const [key, value] of elements) claims.add(key, { owner, rank, value });
    }
  }

  #elementsOf(set: string): Claims<Element> {
    return getOrMake(this.#elements, set, () => new Claims<Element>());
  }

  #claim<T>(
    claims: Claims<T>,
    changes: Map<string, Change<T>>,
    pending: Map<string, Change<T>> | undefined,
    owner: string,
    rank: string,
  ): void {
    for (const [key, { after }] of changes) {
      const before = pending?.has(key) ? pending.get(key)!.before : claims.effective(key);
      claims.remove(key, owner);
      if (after !== undefined) claims.add(key, { owner, rank, value: after });
      pending?.set(key, { before, after: claims.effective(key) });
    }
  }
}

function getOrMake<V>(map: Map<string, V>, key: string, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) map.set(key, (value = make()));
  return value;
}
