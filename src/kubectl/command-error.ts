/** A command that ends with a sentence and an exit code instead of a result. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  readonly exitCode: number;
  /** Printed as it is, without `error: ` before it. */
  readonly isVerbatim: boolean;
  /** What was printed until it failed. */
  readonly output: string;

  constructor(message: string, { exitCode = 1, isVerbatim = false, output = "" } = {}) {
    super(message);
    this.output = output;
    this.exitCode = exitCode;
    this.isVerbatim = isVerbatim;
  }
}

/** An object has no name, and cannot be asked for. */
export const nameless = (): CommandError => new CommandError("resource name may not be empty");

/** Wrong usage: the sentence, and where the right usage is told. */
export function usageError(command: string, message: string): CommandError {
  return new CommandError(`${message}\nSee 'kubectl ${command} -h' for help and examples`);
}
