/**
 * When watch streams write: together, in the turn of the event loop after the one in which something changed.
 *
 * Answers to writers go out before, and what changes in one turn becomes one write a stream. Streams of one connection write
 * one after the other, so that their frames leave in one piece; after some streams the rest waits for the next turn, while
 * the first clients already read and other requests have theirs. Nothing waits for a timer: under a burst a stream gathers
 * by itself what comes before its turn, or before its socket has taken what it was given.
 */

/** A stream with something to write. */
export interface RoundMember {
  /** What carries it: its members write one after the other. */
  readonly connection: object | undefined;
  /** The bytes that wait, in order, each made once for all streams that want the same. Nothing when it has been forgotten. */
  takeParts(): readonly Uint8Array[];
  /** Writes what was taken, joined when others write the same. */
  write(parts: readonly Uint8Array[]): void;
}

/** At two or three microseconds each. More are written only to have all frames of a connection in one piece. */
const streamsPerTurn = 32;
const mostStreamsPerTurn = 128;

export class WatchRounds {
  /** Those who have something to write since the round under way began. */
  #members = new Set<RoundMember>();
  /** Those of the round under way, and how many of them have written. */
  #round: readonly RoundMember[] = [];
  #written = 0;
  #scheduled = false;
  /** What the last stream wrote: streams of one selection come with the very same parts. */
  #parts: readonly Uint8Array[] = [];
  /** That in one piece, once a second stream comes with it. */
  #joined: readonly Uint8Array[] | undefined;
  readonly #turn = () => this.#writeSome();

  /** The member writes soon, once, however often it joins before. */
  join(member: RoundMember): void {
    this.#members.add(member);
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#turn);
  }

  leave(member: RoundMember): void {
    this.#members.delete(member);
  }

  #writeSome(): void {
    if (this.#written === this.#round.length) {
      this.#round = byConnection(this.#members);
      this.#members = new Set();
      this.#written = 0;
    }
    const end = this.#endOfTurn();
    while (this.#written < end) this.#write(this.#round[this.#written++]!);
    this.#scheduled = this.#written < this.#round.length || this.#members.size > 0;
    if (this.#scheduled) {
      setImmediate(this.#turn);
      return;
    }
    this.#round = [];
    this.#written = 0;
    this.#parts = [];
    this.#joined = undefined;
  }

  #endOfTurn(): number {
    const round = this.#round;
    const last = Math.min(this.#written + mostStreamsPerTurn, round.length);
    let end = Math.min(this.#written + streamsPerTurn, last);
    while (end < last && round[end]!.connection === round[end - 1]!.connection) end++;
    return end;
  }

  #write(member: RoundMember): void {
    const parts = member.takeParts();
    if (parts.length === 0) return;
    if (!areSame(parts, this.#parts)) {
      this.#parts = parts;
      this.#joined = undefined;
      member.write(parts);
      return;
    }
    this.#joined ??= parts.length === 1 ? parts : [Buffer.concat(parts)];
    member.write(this.#joined);
  }
}

function byConnection(members: ReadonlySet<RoundMember>): RoundMember[] {
  if (members.size <= 2) return [...members];
  const groups = new Map<object | undefined, RoundMember[]>();
  for (const member of members) {
    const group = groups.get(member.connection);
    if (group) group.push(member);
    else groups.set(member.connection, [member]);
  }
  return groups.size === 1 ? [...members] : [...groups.values()].flat();
}

function areSame(a: readonly Uint8Array[], b: readonly Uint8Array[]): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
