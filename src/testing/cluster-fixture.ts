/** A real cluster for a test: made with the built command, driven with the real kubectl, taken down with nothing left. */
import { execFile } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { findProgram } from "../base/node/find-program.ts";
import { type Lock, lockFile } from "../cluster/cluster-lock.ts";
import { checkPrerequisites, missing } from "../cluster/prerequisites.ts";
import { type MachineState, machineState, newSince } from "./leftovers.ts";
import { makeTestHome } from "./test-homes.ts";

const run = promisify(execFile);
const command = resolve("dist/bin/pinnace.mjs");

export interface CommandOutput {
  stdout: string;
  stderr: string;
  exitCode: number;
}

export interface TestCluster {
  name: string;
  home: string;
  kubeconfig: string;
  /** Runs `pinnace` with this cluster's home and name. Rejects when it exits with anything but 0. */
  pinnace(...args: string[]): Promise<string>;
  /** Runs the real kubectl; resolves with its standard output. Rejects, with its standard error as message, when it fails. */
  kubectl(strings: TemplateStringsArray, ...values: unknown[]): Promise<string>;
  /** Runs the real kubectl with `input` on its standard input, whatever its exit code. */
  kubectlRaw(args: readonly string[], input?: string): Promise<CommandOutput>;
  /** `kubectl apply -f -`. */
  apply(manifest: string): Promise<string>;
  /** Runs a command on the machine, as someone outside the cluster. */
  host(program: string, ...args: string[]): Promise<string>;
}

/** Why whole-cluster tests cannot run here; undefined when they can. */
export function whyNoCluster(): string | undefined {
  const lacking = missing(checkPrerequisites()).map((item) => item.name);
  if (!findProgram("kubectl")) lacking.push("kubectl");
  return lacking.length === 0 ? undefined : `this machine lacks ${lacking.join(", ")}`;
}

export interface ClusterSuiteOptions {
  /** The configuration file's text; `name` is added. */
  config?: string;
  nodes?: number;
  /** Further options of `pinnace up`. */
  upOptions?: readonly string[];
  /** The cluster's home is a disk of its own, of this size. Default: a folder for temporary files. */
  diskMiB?: number;
}

/**
 * A describe block with one cluster for all its tests. Skips, saying why, where the machine cannot run one.
 * After the last test the cluster goes down and nothing of it may be left.
 */
export function describeCluster(
  title: string,
  options: ClusterSuiteOptions,
  tests: (cluster: TestCluster) => void,
): void {
  const why = whyNoCluster();
  describe.skipIf(why !== undefined)(why ? `${title} (skipped: ${why})` : title, () => {
    const home = makeTestHome();
    const cluster = clusterAt(home, `t${process.pid}`);
    // Files run side by side: those that want the same LAN take turns.
    const lan = /\blan: ([\d./]+)/.exec(options.config ?? "")?.[1];
    let turn: Lock | undefined;
    let before: MachineState;
    beforeAll(async () => {
      if (lan) turn = await lockFile(`the LAN ${lan} of a test`);
      before = machineState();
      if (options.diskMiB) await run("mount", ["-t", "tmpfs", "-o", `size=${options.diskMiB}m`, "tmpfs", home]);
      const config = join(home, "cluster.yaml");
      const text = options.config ?? "";
      // While a test has killed its server nobody else may take the port, and the default is anybody's.
      const port = /^apiServer:/m.test(text) ? "" : `apiServer: { port: ${20_000 + (process.pid % 9_000)} }\n`;
      writeFileSync(config, `apiVersion: pinnace.local/v1alpha1\nkind: Cluster\n${port}${text}`);
      await cluster.pinnace(
        "up",
        "--config",
        config,
        ...(options.nodes === undefined ? [] : ["--nodes", String(options.nodes)]),
        ...(options.upOptions ?? []),
      );
    }, 300_000);
    afterAll(async () => {
      await cluster.pinnace("down");
      await turn?.release();
      if (options.diskMiB) await run("umount", [home]);
      rmSync(home, { recursive: true, force: true });
      expect(newSince(before, machineState(), [cluster.name, home])).toEqual({});
    }, 120_000);
    tests(cluster);
  });
}

function clusterAt(home: string, name: string): TestCluster {
  const kubeconfig = join(home, "user-kubeconfig");
  const environment = { ...process.env, PINNACE_HOME: home, KUBECONFIG: kubeconfig };
  const kubectlRaw = async (args: readonly string[], input = ""): Promise<CommandOutput> => {
    try {
      const child = run("kubectl", [...args], { env: environment, maxBuffer: 64 << 20 });
      // A kubectl that ends without reading says why by itself.
      child.child.stdin?.on("error", () => {}).end(input);
      return { ...(await child), exitCode: 0 };
    } catch (error) {
      const failure = error as Error & { stdout?: string; stderr?: string; code?: number };
      return { stdout: failure.stdout ?? "", stderr: failure.stderr ?? failure.message, exitCode: failure.code ?? 1 };
    }
  };
  const kubectlOk = async (args: readonly string[], input?: string) => {
    const output = await kubectlRaw(args, input);
    if (output.exitCode !== 0) throw new Error(`kubectl ${args.join(" ")}: ${output.stderr || output.stdout}`);
    return output.stdout;
  };
  return {
    name,
    home,
    kubeconfig,
    async pinnace(...args) {
      const { stdout } = await run(process.execPath, [command, ...args, "--name", name], { env: environment });
      return stdout;
    },
    kubectl: (strings, ...values) => kubectlOk(words(strings, values)),
    kubectlRaw,
    apply: (manifest) => kubectlOk(["apply", "-f", "-"], manifest),
    async host(program, ...args) {
      return (await run(program, args, { maxBuffer: 64 << 20 })).stdout;
    },
  };
}

/** Splits at blanks as a shell would, without quoting: an interpolated value stays one word. */
function words(strings: TemplateStringsArray, values: readonly unknown[]): string[] {
  const result: string[] = [];
  let open = false;
  for (const [i, text] of strings.entries()) {
    const parts = text.split(/\s+/);
    for (const [j, part] of parts.entries()) {
      if (j > 0) open = false;
      if (part === "") continue;
      if (open) result[result.length - 1] += part;
      else result.push(part);
      open = true;
    }
    if (i < values.length) {
      if (open && !/\s$/.test(text)) result[result.length - 1] += String(values[i]);
      else result.push(String(values[i]));
      open = true;
    }
  }
  return result;
}

/**
 * Asks again until the assertions hold; fails with the last failure after `timeoutMs`. It pauses as long as asking took: what is
 * waited for needs the processor as well.
 */
export async function eventually<T>(ask: () => Promise<T>, check: (value: T) => void, timeoutMs = 30_000): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const askedAt = performance.now();
    try {
      const value = await ask();
      check(value);
      return value;
    } catch (error) {
      if (performance.now() > deadline) throw error;
      const pause = Math.min(Math.max(performance.now() - askedAt, 50), 1000);
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
}
