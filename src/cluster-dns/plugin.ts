/** The chain of plugins that answers questions, in the manner of CoreDNS: each answers, or passes on to the next. */
import { type Answer, type Question, Rcode } from "./message.ts";

export interface Query extends Question {
  /** The client set CD: it checks signatures itself. */
  checkingDisabled: boolean;
  dnssecOk: boolean;
}

export type Next = (query: Query) => Answer | Promise<Answer>;

export interface Plugin {
  readonly name: string;
  /** At once where nothing must be waited for: the cluster's own names. Never rejects; failures are answers. */
  answer(query: Query, next: Next): Answer | Promise<Answer>;
}

/** One function of the plugins in their order. What none of them answers is refused. */
export function chain(plugins: readonly Plugin[]): Next {
  return plugins.reduceRight<Next>(
    (next, plugin) => (query) => plugin.answer(query, next),
    () => failure(Rcode.REFUSED),
  );
}

export function failure(rcode: number): Answer {
  return { rcode, authoritative: false, answers: [], authority: [], additional: [] };
}
