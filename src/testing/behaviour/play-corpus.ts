/** Plays a corpus: the cases that must be alone first, the others a few at a time. */
import { systemRandom } from "../../base/node/system-random.ts";
import { nameSuffix } from "../../base/random.ts";
import type { ApiConnection } from "./api-connection.ts";
import type { BehaviourCase } from "./behaviour-case.ts";
import { type PlayedCase, playCase } from "./play-case.ts";

const atOnce = 4;

export async function playCorpus(
  connection: ApiConnection,
  cases: readonly BehaviourCase[],
  report: (one: BehaviourCase, played: PlayedCase) => void,
): Promise<void> {
  const play = async (one: BehaviourCase) =>
    report(one, await playCase(connection, one, `c-${nameSuffix(systemRandom, 8)}`));
  for (const one of cases) if (one.serial) await play(one);
  const rest = cases.filter(({ serial }) => !serial);
  let next = 0;
  const lane = async () => {
    while (next < rest.length) await play(rest[next++]!);
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
}

/** Differences as lines: `id step pointer expected ... got ...`. */
export function differenceLines({ id }: BehaviourCase, { differences }: PlayedCase): string[] {
  return differences.map(
    ({ step, pointer, expected, got }) => `${id} step ${step} ${pointer} expected ${shown(expected)} got ${shown(got)}`,
  );
}

function shown(value: unknown): string {
  if (value === undefined) return "(absent)";
  const text = JSON.stringify(value);
  return text.length > 400 ? `${text.slice(0, 400)}…` : text;
}
