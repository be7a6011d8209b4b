/**
 * A table made of parts that come and go by themselves: each owner states its part, and the patchwork knows at any time what
 * changed since the last transaction, at a cost that grows with the parts that changed and not with the table.
 */
import { type Change, diffRules, noChange, type RulesChange } from "./diff.ts";
import type { Chain, Element, Rules, SetDeclaration } from "./ruleset.ts";

interface Claim<T> {
  rank: string;
  value: T;
}

/** Everything that parts may state, under one kind of key. What several state counts once; of contradicting statements the lowest rank wins. */
class Claims<T> {
  readonly #claims = new Map<string, { byOwner: Map<string, Claim<T>>; winner: string }>();

  effective(key: string): T | undefined {
    const claims = this.#claims.get(key);
    return claims?.byOwner.get(claims.winner)?.value;
  }

  add(key: string, owner: string, claim: Claim<T>): void {
    const claims = this.#claims.get(key);
    if (!claims) this.#claims.set(key, { byOwner: new Map([[owner, claim]]), winner: owner });
    else {
      claims.byOwner.set(owner, claim);
      if (claim.rank < claims.byOwner.get(claims.winner)!.rank) claims.winner = owner;
    }
  }

  remove(key: string, owner: string): void {
    const claims = this.#claims.get(key);
    if (!claims?.byOwner.delete(owner)) return;
    if (claims.byOwner.size === 0) this.#claims.delete(key);
    else if (claims.winner === owner) claims.winner = lowestRank(claims.byOwner);
  }

  all(): Map<string, T> {
    return new Map([...this.#claims].map(([key, { byOwner, winner }]) => [key, byOwner.get(winner)!.value]));
  }
}

function lowestRank(claims: Map<string, Claim<unknown>>): string {
  let lowest: [owner: string, rank: string] | undefined;
  for (const [owner, { rank }] of claims) if (!lowest || rank < lowest[1]) lowest = [owner, rank];
  return lowest![0];
}

export class Patchwork {
  readonly #parts = new Map<string, Rules>();
  readonly #sets = new Claims<SetDeclaration>();
  readonly #chains = new Claims<Chain>();
  readonly #elements = new Map<string, Claims<Element>>();
  #pending = noChange();

  /** States an owner's part anew; `undefined` withdraws it. `rank` decides between owners that contradict each other: the lowest wins. */
  state(owner: string, part: Rules | undefined, rank = owner): void {
    const before = this.#parts.get(owner);
    if (!before && !part) return;
    const difference = diffRules(before ?? {}, part ?? {});
    this.#claim(this.#sets, difference.sets, this.#pending.sets, owner, rank);
    this.#claim(this.#chains, difference.chains, this.#pending.chains, owner, rank);
    for (const [set, changes] of difference.elements) {
      this.#claim(
        getOrMake(this.#elements, set, () => new Claims<Element>()),
        changes,
        getOrMake(this.#pending.elements, set, () => new Map()),
        owner,
        rank,
      );
    }
    if (part) this.#parts.set(owner, part);
    else this.#parts.delete(owner);
  }

  /** What changed since this was called last. */
  takeChange(): RulesChange {
    const change = this.#pending;
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

  #claim<T>(
    claims: Claims<T>,
    changes: Map<string, Change<T>>,
    pending: Map<string, Change<T>>,
    owner: string,
    rank: string,
  ): void {
    for (const [key, { after }] of changes) {
      const before = pending.has(key) ? pending.get(key)!.before : claims.effective(key);
      claims.remove(key, owner);
      if (after !== undefined) claims.add(key, owner, { rank, value: after });
      pending.set(key, { before, after: claims.effective(key) });
    }
  }
}

function getOrMake<V>(map: Map<string, V>, key: string, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) map.set(key, (value = make()));
  return value;
}
