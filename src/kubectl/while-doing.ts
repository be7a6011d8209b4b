/** Failures with what was being done when they came: `error when creating "web.yaml": …`. */
import { StatusError } from "../apimachinery/status-error.ts";
import { CommandError } from "./command-error.ts";

/** A failure that says what was being done. */
class DoingError extends CommandError {
  /** As it came. */
  readonly failure: unknown;

  constructor(message: string, failure: unknown, isVerbatim: boolean) {
    super(message, { isVerbatim });
    this.failure = failure;
  }
}

/** The same failure in kubectl's words. What is neither the server's nor kubectl's own is left as it is. */
export function whileDoing(doing: string, error: unknown): unknown {
  if (error instanceof StatusError) return new DoingError(fromServer(error, doing), error, true);
  if (!(error instanceof CommandError) || error.isVerbatim) return error;
  return new DoingError(`${doing}: ${error.message}`, error, false);
}

function fromServer({ reason, message }: StatusError, doing = ""): string {
  return `Error from server${reason ? ` (${reason})` : ""}: ${doing ? `${doing}: ` : ""}${message}`;
}

/** What to throw for failures of one command, of which there is at least one. An invalid object is told at length when it is the only one. */
export function together(failures: readonly unknown[]): unknown {
  if (failures.length > 1) {
    return new AggregateError(
      failures.map((each) => (isInvalid(each) ? new DoingError(fromServer(each), each, true) : each)),
    );
  }
  const [only] = failures;
  return only instanceof DoingError && isInvalid(only.failure) ? only.failure : only;
}

const isInvalid = (error: unknown): error is StatusError => error instanceof StatusError && error.reason === "Invalid";
