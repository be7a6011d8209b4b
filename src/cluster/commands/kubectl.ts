/** `pinnace kubectl`: the built-in kubectl on this terminal. */
import { systemClock } from "../../base/node/system-clock.ts";
import { runKubectl } from "../../kubectl/kubectl.ts";

/** Resolves to the exit code; an interrupt ends what is running with kubectl's 130. */
export async function kubectl(argv: readonly string[]): Promise<number> {
  const interrupted = new AbortController();
  const onSignal = () => {
    interrupted.abort(new Error("interrupted"));
    // Whatever does not heed it must not keep the user waiting.
    process.exit(130);
  };
  process.once("SIGINT", onSignal);
  try {
    return await runKubectl(argv, {
      stdin: process.stdin,
      stdout: process.stdout,
      stderr: process.stderr,
      environment: process.env,
      clock: systemClock,
      random: async () => (await import("../../base/node/system-random.ts")).systemRandom,
      signal: interrupted.signal,
    });
  } finally {
    process.removeListener("SIGINT", onSignal);
    process.stdin.unref?.();
  }
}
