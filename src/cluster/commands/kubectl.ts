/** `pinnace kubectl`: the built-in kubectl on this terminal. */
import { Writable } from "node:stream";
import { systemClock } from "../../base/node/system-clock.ts";
import { commands } from "../../kubectl/commands/catalog.ts";
import { endedByInterrupt, runKubectl } from "../../kubectl/kubectl.ts";

export const kubectlVerbs: ReadonlySet<string> = new Set([...Object.keys(commands), "__complete", "__completeNoDesc"]);

/** What a shell sees of a program that wrote into a closed pipe. */
const brokenPipeExitCode = 141;

/** Resolves to the exit code; an interrupt, or an output that nobody reads, ends what is running as it ends kubectl. */
export async function kubectl(argv: readonly string[]): Promise<number> {
  const interrupted = new AbortController();
  const onSignal = () => {
    interrupted.abort(new Error("interrupted"));
    // Whatever does not heed it must not keep the user waiting.
    if (argv.some((word) => endedByInterrupt.has(word))) process.exit(1);
    // As the signal itself would: a script's shell stops, too.
    process.kill(process.pid, "SIGINT");
  };
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    process.exit(error.code === "EPIPE" ? brokenPipeExitCode : 1);
  });
  process.once("SIGINT", onSignal);
  let said = "";
  let readsInput = false;
  const stderr = new Writable({
    write(chunk: Buffer, _encoding, done) {
      said = chunk.toString();
      process.stderr.write(chunk, done);
    },
  });
  try {
    const exitCode = await runKubectl(argv, {
      // Opening it takes time, and most verbs read nothing.
      get stdin() {
        readsInput = true;
        return process.stdin;
      },
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
    if (readsInput) process.stdin.unref?.();
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
