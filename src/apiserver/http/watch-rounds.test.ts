import { expect, test } from "vitest";
import { SteppedClock } from "../../base/stepped-clock.ts";
import { type RoundMember, WatchRounds } from "./watch-rounds.ts";

class Member implements RoundMember {
  readonly written: Buffer[] = [];
  waiting: Buffer[] = [];

  takeParts(): readonly Buffer[] {
    const parts = this.waiting;
    this.waiting = [];
    return parts;
  }

  write(bytes: Buffer): void {
    this.written.push(bytes);
  }
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

function hundred(): { tell(text: string): void; members: Member[]; clock: SteppedClock } {
  const clock = new SteppedClock(0);
  const rounds = new WatchRounds(clock);
  const members = Array.from({ length: 100 }, () => new Member());
  const tell = (text: string) => {
    const frame = Buffer.from(text);
    for (const member of members) {
      member.waiting.push(frame);
      rounds.join(member);
    }
  };
  return { tell, members, clock };
}

test("what many streams are to write is joined once", async () => {
  const { tell, members } = hundred();
  tell("a");
  tell("b");
  await turn();
  expect(members[0]!.written.map(String)).toEqual(["ab"]);
  for (const { written } of members) expect(written[0]).toBe(members[0]!.written[0]);
});

test("a burst is written in few rounds, and what comes after a quiet time at once", async () => {
  const { tell, members, clock } = hundred();
  tell("a");
  await turn();
  tell("b");
  tell("c");
  await turn();
  expect(members[7]!.written.map(String)).toEqual(["a"]);
  await clock.advance(20);
  expect(members[7]!.written.map(String)).toEqual(["a", "bc"]);
  await clock.advance(100);
  tell("d");
  await turn();
  expect(members[7]!.written.map(String)).toEqual(["a", "bc", "d"]);
});

test("a stream that has all it may hold does not wait for the others' rest", async () => {
  const clock = new SteppedClock(0);
  const rounds = new WatchRounds(clock);
  const members = Array.from({ length: 100 }, () => new Member());
  const join = (urgent: boolean) => {
    for (const member of members) {
      member.waiting.push(Buffer.from("x"));
      rounds.join(member, urgent);
    }
  };
  join(false);
  await turn();
  join(false);
  join(true);
  await turn();
  expect(members[0]!.written.map(String)).toEqual(["x", "xx"]);
});
