/**
 * A configuration that is read again while the server runs: at once when its folder changes, and once a minute besides. A new text that
 * does not serve leaves the old one in force (upstream: the reload controllers of kube-apiserver).
 */
import { createHash } from "node:crypto";
import { watch } from "node:fs";
import { readFile } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname } from "node:path";
import type { MetricFamily } from "../base/exposition.ts";
import type { Surroundings } from "./surroundings.ts";

export interface ConfigurationFileOptions extends Pick<Surroundings, "clock" | "log" | "signal"> {
  path: string;
  /** As upstream's metrics call it. */
  kind: "authentication" | "authorization" | "encryption";
  /** The text that is in force. */
  text: string;
  /** Puts another text in force. Throws when it does not serve: then nothing has changed. */
  apply(text: string): void | Promise<void>;
  /** Heeds changes of the file's folder too. Upstream does so for all but the encryption's. Default: yes. */
  watchesFolder?: boolean;
}

export interface ConfigurationFile {
  metrics(): MetricFamily[];
}

const pollMs = 60_000;
/** A file that is being written is left alone for so long after its last change. */
const settleMs = 50;

export function followConfigurationFile(options: ConfigurationFileOptions): ConfigurationFile {
  const { path, kind, clock, signal, apply, watchesFolder = true } = options;
  const log = options.log.with({ file: path });
  let [inForce, lastRead] = [options.text, options.text];
  const outcomes = new Map<"success" | "failure", { count: number; atMs: number }>();
  const note = (status: "success" | "failure") =>
    outcomes.set(status, { count: (outcomes.get(status)?.count ?? 0) + 1, atMs: clock.now() });

  const look = async (): Promise<void> => {
    if (signal.aborted) return;
    try {
      const text = await readFile(path, "utf8");
      if (text === lastRead) return;
      lastRead = text;
      await apply(text);
      inForce = text;
      note("success");
      log.info(`reloaded ${kind} config`);
    } catch (error) {
      note("failure");
      log.error(`the ${kind} config was not reloaded; what was in force stays`, { error: (error as Error).message });
    }
  };
  // One look after another: a later text must not be overtaken by an earlier one.
  let looking = Promise.resolve();
  const lookSoon = () => {
    looking = looking.then(look);
  };

  const poll = () => {
    lookSoon();
    next = clock.setTimer(pollMs, poll, { background: true });
  };
  let next: Disposable | undefined;
  let settling: Disposable | undefined;
  signal.addEventListener("abort", () => {
    next?.[Symbol.dispose]();
    settling?.[Symbol.dispose]();
  });
  next = clock.setTimer(pollMs, poll, { background: true });
  if (watchesFolder) {
    try {
      const watcher = watch(dirname(path), { persistent: false, signal }, () => {
        settling?.[Symbol.dispose]();
        settling = clock.setTimer(settleMs, lookSoon, { background: true });
      });
      watcher.on("error", () => watcher.close());
    } catch (error) {
      log.warn(`changes of the ${kind} config are seen once a minute only`, { error: (error as Error).message });
    }
  }

  const server = { apiserver_id_hash: sha256(serverId()) };
  const family = (name: string, type: MetricFamily["type"], help: string, read: (of: Outcome) => number) => ({
    name: `apiserver_${kind}_config_controller_${name}`,
    help,
    type,
    samples: [...outcomes].map(([status, of]) => ({ labels: { status, ...server }, value: read(of) })),
  });
  return {
    metrics: () => [
      family(
        "automatic_reloads_total",
        "counter",
        `Automatic reloads of the ${kind} configuration, by what came of them.`,
        ({ count }) => count,
      ),
      family(
        "automatic_reload_last_timestamp_seconds",
        "gauge",
        `When the ${kind} configuration was last reloaded, by what came of it.`,
        ({ atMs }) => atMs / 1000,
      ),
      {
        name: `apiserver_${kind}_config_controller_last_config_info`,
        help: `The ${kind} configuration in force, by its hash.`,
        type: "gauge",
        samples: [{ labels: { ...server, hash: sha256(inForce) }, value: 1 }],
      },
    ],
  };
}

interface Outcome {
  count: number;
  atMs: number;
}

const sha256 = (text: string) => `sha256:${createHash("sha256").update(text).digest("hex")}`;

/** As upstream names a server: by a part of the hash of its machine's name, in base 32. */
function serverId(): string {
  const hash = createHash("sha256").update(hostname()).digest().subarray(0, 16);
  let bits = [...hash].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  bits = bits.padEnd(Math.ceil(bits.length / 5) * 5, "0");
  const letters = bits.match(/.{5}/g)!.map((five) => "abcdefghijklmnopqrstuvwxyz234567"[Number.parseInt(five, 2)]);
  return `apiserver-${letters.join("")}`;
}
