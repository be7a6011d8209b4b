/** `kubectl plugin`, and verbs that programs on the PATH add: `kubectl foo` runs `kubectl-foo`. */
import { spawn } from "node:child_process";
import { accessSync, constants, readdirSync, statSync } from "node:fs";
import { basename, delimiter, join } from "node:path";
import type { CommandGroup } from "../command.ts";
import { CommandError } from "../command-error.ts";
import type { Terminal } from "../session.ts";
import { commands } from "./catalog.ts";

const prefix = "kubectl-";

export const plugin: CommandGroup = {
  summary: "Provides utilities for interacting with plugins",
  subcommands: {
    list: {
      summary: "List all visible plugin executables on a user's PATH",
      usage: "[flags]",
      examples: ["plugin list", "plugin list --name-only"],
      flags: [{ name: "name-only", kind: "bool", help: "names without folders" }],
      run({ session, flags }) {
        const found = pluginsOn(session.terminal.environment, (folder) =>
          session.printError(
            `Unable to read directory ${JSON.stringify(folder)} from your PATH: open ${folder}: no such file or directory. Skipping...\n`,
          ),
        );
        if (found.length === 0) throw new CommandError("unable to find any kubectl plugins in your PATH");
        session.print("The following compatible plugins are available:\n\n");
        const seen = new Map<string, string>();
        let warnings = 0;
        for (const file of found) {
          const name = basename(file);
          session.print(`${flags.bool("name-only") ? name : file}\n`);
          const problem = problemOf(file, seen.get(name));
          seen.set(name, seen.get(name) ?? file);
          if (!problem) continue;
          warnings++;
          session.printError(`  - warning: ${problem}\n`);
        }
        if (warnings > 0) {
          throw new CommandError(
            warnings === 1 ? "one plugin warning was found" : `${warnings} plugin warnings were found`,
          );
        }
        return Promise.resolve(0);
      },
    },
  },
};

/** In the PATH's order. `unreadable` hears of folders that are not there. */
function pluginsOn(environment: NodeJS.ProcessEnv, unreadable: (folder: string) => void): string[] {
  const folders = new Set((environment["PATH"] ?? "").split(delimiter).filter(Boolean));
  return [...folders].flatMap((folder) => {
    try {
      return readdirSync(folder)
        .filter((name) => name.startsWith(prefix) && !statSync(join(folder, name)).isDirectory())
        .sort()
        .map((name) => join(folder, name));
    } catch {
      unreadable(folder);
      return [];
    }
  });
}

function problemOf(file: string, shadowing: string | undefined): string | undefined {
  if (shadowing) return `${file} is overshadowed by a similarly named plugin: ${shadowing}`;
  const verb = basename(file).slice(prefix.length).split("-")[0]!;
  if (commands[verb] && verb !== "create") return `${basename(file)} overwrites existing command: "kubectl ${verb}"`;
  return isExecutable(file) ? undefined : `${file} identified as a kubectl plugin, but it is not executable`;
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

/** Runs the plugin whose name takes most of the words: `kubectl foo bar` tries kubectl-foo-bar, then kubectl-foo. Undefined: there is none. */
export async function runPlugin(argv: readonly string[], { environment }: Terminal): Promise<number | undefined> {
  const end = argv.findIndex((arg) => arg.startsWith("-"));
  const words = (end < 0 ? argv : argv.slice(0, end)).map((word) => word.replaceAll("-", "_"));
  const folders = (environment["PATH"] ?? "").split(delimiter).filter(Boolean);
  for (let count = words.length; count > 0; count--) {
    const name = prefix + words.slice(0, count).join("-");
    const file = folders.map((folder) => join(folder, name)).find(isExecutable);
    if (!file) continue;
    const child = spawn(file, argv.slice(count), { stdio: "inherit", env: environment });
    return new Promise((resolve, reject) => {
      child.once("error", (error) => reject(new CommandError(error.message)));
      child.once("exit", (code) => resolve(code ?? 1));
    });
  }
  return undefined;
}
