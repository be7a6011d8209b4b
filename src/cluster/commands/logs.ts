/** `pinnace logs`: the server's own log. */
import { createReadStream, existsSync, readFileSync, statSync, watch } from "node:fs";
import { clusterPaths } from "../state-folder.ts";
import { defaultClusterName } from "./up.ts";

export interface LogsOptions {
  name?: string;
  follow: boolean;
  /** Only this many lines of what is there already. */
  tail?: number;
}

/** Resolves at the end of the log, or never with `follow`. */
export async function logs({ name = defaultClusterName, follow, tail }: LogsOptions): Promise<void> {
  const file = clusterPaths(name).serverLog;
  if (!existsSync(file))
    throw new Error(`there is no cluster "${name}" on this machine; "pinnace up --name ${name}" makes one`);
  const text = readFileSync(file, "utf8");
  process.stdout.write(tail === undefined ? text : lastLines(text, tail));
  if (!follow) return;
  let position = Buffer.byteLength(text);
  for (;;) {
    await changeOf(file);
    const { size } = statSync(file);
    if (size < position) position = 0; // Begun anew.
    if (size === position) continue;
    await new Promise<void>((resolve, reject) => {
      const stream = createReadStream(file, { start: position, end: size - 1 });
      stream.pipe(process.stdout, { end: false });
      stream.once("end", resolve);
      stream.once("error", reject);
    });
    position = size;
  }
}

function lastLines(text: string, count: number): string {
  const lines = text.trimEnd().split("\n").slice(-count);
  return count === 0 || text === "" ? "" : `${lines.join("\n")}\n`;
}

function changeOf(file: string): Promise<void> {
  return new Promise((resolve) => {
    const watcher = watch(file, () => {
      watcher.close();
      resolve();
    });
  });
}
