/** What `pinnace why` says: the steps of a path in order, and at which of them it ends. */

export type StepState =
  /** The request passes. */
  | "ok"
  /** It passes, but something about it is worth a word. */
  | "note"
  /** It ends here. */
  | "lost"
  /** Nothing was found out about it. */
  | "unknown";

export interface Step {
  name: string;
  state: StepState;
  text: string;
  details?: readonly string[];
}

export interface Fault {
  /** A word for scripts and tests: `wrong-target-port`. */
  code: string;
  /** At which step. */
  step: string;
  /** One sentence: what is wrong, and why that loses the request. */
  why: string;
  /** What mends it: commands, or one sentence where no command can. Never empty. */
  remedies: readonly string[];
}

export interface Report {
  /** `default/web, port 80`. */
  target: string;
  /** `pod default/client on worker-1`. Absent for a pod that is asked about itself. */
  from?: string;
  /** `unknown`: nothing wrong was found, and nothing could be sent to prove it. */
  verdict: "works" | "lost" | "unknown";
  steps: readonly Step[];
  fault?: Fault;
}

/** One step's outcome: passing ones may go on, a fault ends the walk. */
export type Finding = Omit<Step, "name"> & { fault?: Omit<Fault, "step"> };

export const ok = (text: string, details?: readonly string[]): Finding => finding("ok", text, details);
export const note = (text: string, details?: readonly string[]): Finding => finding("note", text, details);
export const unknown = (text: string): Finding => finding("unknown", text);

function finding(state: StepState, text: string, details?: readonly string[]): Finding {
  return details && details.length > 0 ? { state, text, details } : { state, text };
}

/** The request ends here: `text` says what was seen, `why` what that means. */
export function lost(
  code: string,
  text: string,
  why: string,
  remedies: string | readonly string[],
  details?: readonly string[],
): Finding {
  return {
    ...finding("lost", text, details),
    fault: { code, why, remedies: typeof remedies === "string" ? [remedies] : remedies },
  };
}

/** Walks the steps in order until one loses the request. A step that has nothing to say yields undefined. */
export function walk(steps: readonly (readonly [name: string, look: () => Finding | undefined])[]): {
  steps: Step[];
  fault?: Fault;
} {
  const seen: Step[] = [];
  for (const [name, look] of steps) {
    const found = look();
    if (!found) continue;
    const { fault, ...step } = found;
    seen.push({ name, ...step });
    if (fault) return { steps: seen, fault: { ...fault, step: name } };
  }
  return { steps: seen };
}

const marks: Record<StepState, string> = { ok: "✓", note: "!", lost: "✗", unknown: "?" };
const colours: Record<StepState, string> = {
  ok: "\u001b[32m",
  note: "\u001b[33m",
  lost: "\u001b[31m",
  unknown: "\u001b[2m",
};

/** The report for people: one line a step, then what is wrong and what mends it. */
export function printReport(report: Report, { isColoured = false }: { isColoured?: boolean } = {}): string {
  const paint = (colour: string, text: string) => (isColoured ? `${colour}${text}\u001b[0m` : text);
  const bold = (text: string) => paint("\u001b[1m", text);
  const width = Math.max(...report.steps.map(({ name }) => name.length));
  const lines = [`${bold(report.target)}${report.from ? `, asked from ${report.from}` : ""}`, ""];
  for (const step of report.steps) {
    lines.push(`  ${paint(colours[step.state], marks[step.state])} ${step.name.padEnd(width)}  ${step.text}`);
    for (const detail of step.details ?? []) lines.push(`    ${" ".repeat(width)}  ${paint("\u001b[2m", detail)}`);
  }
  lines.push("");
  if (!report.fault) {
    lines.push(report.verdict === "works" ? bold("It works.") : "Nothing wrong was found.");
    return lines.join("\n");
  }
  lines.push(`${bold(`Lost at: ${report.fault.step}.`)} ${report.fault.why}`, "", "To mend it:");
  for (const remedy of report.fault.remedies) lines.push(`  ${remedy}`);
  return lines.join("\n");
}
