/** Keeps one table of a network namespace as its patchwork says. */
import { printChange, printWhole } from "./diff.ts";
import type { Nft } from "./nft.ts";
import { Patchwork, type StatedPart } from "./patchwork.ts";
import type { Rules, TableName } from "./ruleset.ts";

/** Beyond so many refused owners it is no longer one owner's fault: an nft that is too old, a part that all others need. */
const mostRefused = 8;

/** Parts of a table that the kernel does not take. Everything else is in effect. */
export class PartsRefused extends Error {
  readonly owners: readonly string[];

  constructor(owners: readonly string[], cause: unknown) {
    super(`the kernel refused the rules of ${owners.join(", ")}: ${cause instanceof Error ? cause.message : cause}`, {
      cause,
    });
    this.name = "PartsRefused";
    this.owners = owners;
  }
}

export class Table {
  readonly contents = new Patchwork();
  readonly #nft: Nft;
  readonly #name: TableName;
  /** Set while the kernel may hold something else than this believes: at first, and after a refused change. */
  #mustRestate = true;

  constructor(nft: Nft, name: TableName) {
    this.#nft = nft;
    this.#name = name;
  }

  /**
   * Brings the kernel to what `contents` says now, in one transaction; traffic meets the old rules or the new ones, never a
   * gap. The first time, and after a failure, the whole table is stated again: what is there already is taken over with
   * the elements that packets added.
   *
   * Where the kernel refuses, the owners at fault are searched by halves: everybody else's rules take effect, theirs stay as
   * they were, and this rejects with PartsRefused. They are tried again when they are stated again. Rejects with NftError when
   * nothing could be applied; the old rules then still hold, and the next call repairs.
   */
  async apply(): Promise<void> {
    try {
      await this.#applyChange();
      this.contents.settle();
    } catch (error) {
      this.#mustRestate = true;
      await this.#applyWithoutRefused(error);
    }
  }

  async #applyChange(): Promise<void> {
    const change = this.contents.takeChange();
    if (this.#mustRestate) return this.#restate();
    const script = printChange(this.#name, change);
    if (script !== "") await this.#nft.run(script);
  }

  async #applyWithoutRefused(first: unknown): Promise<void> {
    try {
      // Somebody else may have meddled with the table: then stating it as a whole is all it takes.
      await this.#applyChange();
      this.contents.settle();
      return;
    } catch {
      this.#mustRestate = true;
    }
    const stated = this.contents.takeBack();
    const restore = (owners: Iterable<[string, StatedPart]>) => {
      for (const [owner, { part, rank }] of owners) this.contents.state(owner, part, rank);
    };
    try {
      await this.#applyChange();
      this.contents.settle();
    } catch {
      // Not one owner's fault: without the new parts it is refused, too.
      this.#mustRestate = true;
      restore(stated);
      throw first;
    }
    const refused: string[] = [];
    const tryAll = async (owners: [string, StatedPart][]): Promise<void> => {
      if (owners.length === 0 || refused.length > mostRefused) return;
      restore(owners);
      try {
        await this.#applyChange();
        this.contents.settle();
      } catch {
        // The kernel took nothing of it; believe what was there before.
        this.contents.takeBack();
        this.contents.takeChange();
        if (owners.length === 1) {
          refused.push(owners[0]![0]);
          return;
        }
        const half = owners.length >> 1;
        await tryAll(owners.slice(0, half));
        await tryAll(owners.slice(half));
      }
    };
    await tryAll([...stated]);
    if (refused.length > mostRefused) {
      this.#mustRestate = true;
      restore(stated);
      throw first;
    }
    if (refused.length > 0) throw new PartsRefused(refused, first);
  }

  /** Makes the next `apply` state the whole table, whatever became of it meanwhile. */
  distrust(): void {
    this.#mustRestate = true;
  }

  /** Takes the table away. */
  async remove(): Promise<void> {
    const table = `${this.#name.family} ${this.#name.name}`;
    await this.#nft.run(`add table ${table}\ndelete table ${table}`);
    this.#mustRestate = true;
  }

  async #restate(): Promise<void> {
    const present = await this.#present();
    this.contents.takeChange(); // What was stated while the listing ran is part of the whole.
    const rules = this.contents.rules();
    await this.#nft.run(printRestatement(this.#name, present, rules));
    this.#mustRestate = false;
  }

  async #present(): Promise<Present> {
    const { family, name } = this.#name;
    try {
      return presentIn(await this.#nft.list(`list table ${family} ${name}`, { terse: true }));
    } catch {
      return { sets: new Map(), chains: new Set() };
    }
  }
}

/** Names of what a table holds, by what the kernel lists. */
interface Present {
  sets: Map<string, { kind: "set" | "map"; isDynamic: boolean }>;
  chains: Set<string>;
}

function presentIn(listing: unknown): Present {
  const present: Present = { sets: new Map(), chains: new Set() };
  type Listed = { name: string; flags?: string[] };
  for (const { set, map, chain } of (listing as { nftables: { set?: Listed; map?: Listed; chain?: Listed }[] })
    .nftables) {
    if (chain) present.chains.add(chain.name);
    const collection = set ?? map;
    if (!collection) continue;
    // nft's JSON leaves the flag "dynamic" out; only what packets add times out here.
    const isDynamic = collection.flags?.some((flag) => flag === "dynamic" || flag === "timeout") ?? false;
    present.sets.set(collection.name, { kind: set ? "set" : "map", isDynamic });
  }
  return present;
}

/** Empties the table but for what packets remembered, and fills it again: one transaction. */
function printRestatement(tableName: TableName, present: Present, rules: Rules): string {
  const table = `${tableName.family} ${tableName.name}`;
  const keeps = (set: string) => present.sets.get(set)?.isDynamic && rules.sets?.get(set)?.isDynamic;
  const goingSets = [...present.sets].filter(([set]) => !keeps(set));
  const out = [`add table ${table}`, `flush table ${table}`];
  for (const [set, { kind }] of goingSets) out.push(`flush ${kind} ${table} ${set}`);
  for (const chain of present.chains) out.push(`delete chain ${table} ${chain}`);
  for (const [set, { kind }] of goingSets) out.push(`delete ${kind} ${table} ${set}`);
  const comingSets = new Map([...(rules.sets ?? [])].filter(([set]) => !keeps(set)));
  out.push(printWhole(tableName, { ...rules, sets: comingSets }));
  return out.join("\n");
}
