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

/** Everything that parts may state, under one kind of key. What several state counts once; of contradicting statements the lowest rank wins. */
class Claims<T> {
  readonly #claims = new Map<string, Claim<T>[]>();

  effective(key: string): T | undefined {
    return this.#claims.get(key)?.[0]?.value;
  }

  add(key: string, claim: Claim<T>): void {
    const claims = this.#claims.get(key);
    if (!claims) this.#claims.set(key, [claim]);
    else {
      claims.push(claim);
      if (claims.length > 1) claims.sort((a, b) => (a.rank < b.rank ? -1 : a.rank > b.rank ? 1 : 0));
    }
  }

  remove(key: string, owner: string): void {
    const claims = this.#claims.get(key);
    const at = claims?.findIndex((claim) => claim.owner === owner) ?? -1;
    if (at < 0) return;
    if (claims!.length === 1) this.#claims.delete(key);
    else claims!.splice(at, 1);
  }

  all(): Map<string, T> {
    return new Map([...this.#claims].map(([key, claims]) => [key, claims[0]!.value]));
  }
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
      if (after !== undefined) claims.add(key, { owner, rank, value: after });
      pending.set(key, { before, after: claims.effective(key) });
    }
  }
}

function getOrMake<V>(map: Map<string, V>, key: string, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) map.set(key, (value = make()));
  return value;
}
