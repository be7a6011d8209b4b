/** The corpus of recorded behaviour: requests, and the answers that an API server gives to them. One case a line (JSONL). */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface BehaviourCase {
  id: string;
  title: string;
  /** Runs alone, before the others. */
  serial?: boolean;
  /** JSON pointers left out of every answer; `*` stands for any one member, `**` for any depth. */
  drop?: string[];
  steps: Step[];
}

export interface Step {
  method: string;
  path: string;
  query?: string | Record<string, string | number | boolean>;
  /** Null takes a header away that would be sent otherwise. */
  headers?: Record<string, string | null>;
  body?: unknown;
  bodyText?: string;
  /** Sent without credentials. */
  anonymous?: boolean;
  /** Keeps values of the answer, by pointer, for `{{name}}` in later steps. */
  capture?: Record<string, string>;
  /** The answer is a stream of events, read until so many came or so long passed. */
  watch?: boolean;
  until?: { events?: number; ms?: number };
  /** Milliseconds to wait before. */
  sleep?: number;
  /** Asks again until the status, or these members of the answer, are so. */
  waitStatus?: number;
  waitFor?: Record<string, unknown>;
  compare?: "status" | "keys" | "shape" | "none";
  drop?: string[];
  pick?: string[];
  expect?: Expectation;
}

export interface Expectation {
  status: number;
  headers: { "content-type": string | null; warning?: string[] };
  body?: unknown;
}

/** The cases of one file, in their order. */
export interface CorpusFile {
  path: string;
  cases: BehaviourCase[];
}

export function readCorpus(folder: string): CorpusFile[] {
  const names = readdirSync(folder)
    .filter((name) => name.endsWith(".jsonl"))
    .sort();
  return names.map((name) => {
    const path = join(folder, name);
    const lines = readFileSync(path, "utf8").split("\n");
    return { path, cases: lines.filter((line) => line.trim() !== "").map((line) => JSON.parse(line) as BehaviourCase) };
  });
}

export function writeCorpusFile({ path, cases }: CorpusFile): void {
  writeFileSync(path, cases.map((one) => `${JSON.stringify(one)}\n`).join(""));
}
