import { expect, test } from "vitest";
import { joined } from "./exchange.ts";
import { type RoundMember, WatchRounds } from "./watch-rounds.ts";

class Member implements RoundMember {
  readonly connection: object | undefined;
  readonly written: Uint8Array[] = [];
  waiting: Buffer[] = [];
  readonly #log: Member[];

  constructor(connection: object | undefined, log: Member[]) {
    this.connection = connection;
    this.#log = log;
  }

  takeParts(): readonly Buffer[] {
    const parts = this.waiting;
    this.waiting = [];
    return parts;
  }

  write(parts: readonly Uint8Array[]): void {
    this.written.push(joined(parts));
    this.#log.push(this);
  }
}

const turn = () => new Promise((resolve) => setImmediate(resolve));
const turns = async () => {
  for (let i = 0; i < 10; i++) await turn();
};

function hundred() {
  const rounds = new WatchRounds();
  const log: Member[] = [];
  const connections = [{}, {}, {}, {}];
  const members = Array.from({ length: 100 }, (_, i) => new Member(connections[i % 4], log));
  const tell = (text: string) => {
    const frame = Buffer.from(text);
    for (const member of members) {
      member.waiting.push(frame);
      rounds.join(member);
    }
  };
  return { tell, members, rounds, log };
}

test("what changes in one turn is one write, whose bytes many streams share", async () => {
  const { tell, members } = hundred();
  tell("a");
  tell("b");
  await turns();
  for (const { written } of members) {
    expect(written.map(String)).toEqual(["ab"]);
  }
  // The first that writes does not know yet that others come with the same.
  for (const { written } of members.slice(1)) expect(written[0]).toBe(members[1]!.written[0]);
});

test("what changes after that is written in its turn, and waits for no timer", async () => {
  const { tell, members } = hundred();
  tell("a");
  await turns();
  tell("b");
  await turns();
  for (const { written } of members) expect(written.map(String)).toEqual(["a", "b"]);
});

test("the streams of a connection write one after the other, and others have their turn in between", async () => {
  const { tell, log } = hundred();
  tell("a");
  await turn();
  expect(log.length).toBeGreaterThan(0);
  expect(log.length).toBeLessThan(100);
  await turns();
  const changes = log.filter((member, i) => i > 0 && member.connection !== log[i - 1]!.connection);
  expect(log).toHaveLength(100);
  expect(changes).toHaveLength(3);
});

test("a stream that has not yet written takes along what comes meanwhile; one that left writes nothing", async () => {
  const { tell, members, rounds } = hundred();
  tell("a");
  await turn();
  const late = members.find(({ written }) => written.length === 0)!;
  tell("b");
  const left = members.findLast(({ written }) => written.length === 0)!;
  left.waiting = [];
  rounds.leave(left);
  await turns();
  expect(late.written.map(String)).toEqual(["ab"]);
  expect(left.written).toEqual([]);
  for (const { written } of members) if (written !== left.written) expect(written.map(String).join("")).toBe("ab");
});
