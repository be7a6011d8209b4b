/** `pinnace kubectl`: the built-in kubectl on this terminal. */
import { Writable } from "node:stream";
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
  let said = "";
  const stderr = new Writable({
    write(chunk: Buffer, _encoding, done) {
      said = chunk.toString();
      process.stderr.write(chunk, done);
    },
  });
  try {
    const exitCode = await runKubectl(argv, {
      stdin: process.stdin,
      stdout: process.stdout,
      stderr,
      environment: process.env,
      clock: systemClock,
      random: async () => (await import("../../base/node/system-random.ts")).systemRandom,
      signal: interrupted.signal,
    });
    const port = /^The connection to the server 127\.0\.0\.1:(\d+) was refused/.exec(said)?.[1];
    if (port) await adviseOnPort(Number(port));
    return exitCode;
  } finally {
    process.removeListener("SIGINT", onSignal);
    process.stdin.unref?.();
  }
}

/** What kubectl cannot know: which cluster of this machine should answer there, and what brings it back. */
async function adviseOnPort(port: number): Promise<void> {
  const { clusterPaths, listClusters, readPlan, runningServer } = await import("../state-folder.ts");
  for (const name of listClusters()) {
    const paths = clusterPaths(name);
    if (readPlan(paths)?.apiServer.port === port && !runningServer(paths))
      process.stderr.write(`cluster "${name}" does not run; "pinnace up --name ${name}" brings it back\n`);
  }
}
