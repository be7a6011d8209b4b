/** `npm run compare`'s program: plays a corpus against the server of a kubeconfig. Exit code 1 when an answer differs. */
import { parseArgs } from "node:util";
import { ApiConnection } from "./api-connection.ts";
import { type BehaviourCase, readCorpus, writeCorpusFile } from "./behaviour-case.ts";
import type { PlayedCase } from "./play-case.ts";
import { differenceLines, playCorpus } from "./play-corpus.ts";

const { values } = parseArgs({
  options: {
    kubeconfig: { type: "string" },
    corpus: { type: "string" },
    only: { type: "string" },
    /** Writes what the server answers into the corpus, to be read before it is believed. */
    record: { type: "boolean" },
  },
});
const { kubeconfig, corpus, record = false } = values;
if (!kubeconfig || !corpus) throw new Error("--kubeconfig and --corpus are needed");
void main(kubeconfig, corpus, new RegExp(values.only ?? ""));

async function main(kubeconfig: string, corpus: string, only: RegExp): Promise<void> {
  using connection = ApiConnection.fromFile(kubeconfig);
  const files = readCorpus(corpus);
  const cases = files.flatMap((file) => file.cases).filter(({ id }) => only.test(id));
  let failed = 0;
  await playCorpus(connection, cases, (one, played) => {
    if (record) recordAnswers(one, played);
    else if (played.differences.length > 0) failed++;
    if (!record) for (const line of differenceLines(one, played)) console.log(line);
  });
  if (record) for (const file of files) writeCorpusFile(file);
  console.log(record ? `${cases.length} recorded` : `${cases.length - failed} passed, ${failed} failed`);
  if (failed > 0) process.exitCode = 1;
}

function recordAnswers({ steps }: BehaviourCase, { answers }: PlayedCase): void {
  for (const [i, step] of steps.entries()) {
    delete step.expect;
    const answer = answers[i];
    if (answer) step.expect = answer;
  }
}
