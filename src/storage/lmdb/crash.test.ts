/**
 * Kills a writing process at random moments and looks at what it left. A few times by default; `PINNACE_CRASH_KILLS` sets
 * how often, `PINNACE_CRASH_SEED` where the random numbers begin.
 */
import { spawn } from "node:child_process";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, beforeAll, expect, it } from "vitest";
import { systemClock } from "../../base/node/system-clock.ts";
import { seededRandom } from "../../base/random.ts";
import type { Store, StoreEvent } from "../store.ts";
import { LmdbStore } from "./lmdb-store.ts";

const kills = Number(process.env["PINNACE_CRASH_KILLS"] ?? 8);
const firstSeed = Number(process.env["PINNACE_CRASH_SEED"] ?? 1);
// Within the package, so that the bundle finds its dependencies.
const bundles = fileURLToPath(new URL("../../../node_modules/.cache/pinnace/", import.meta.url));
const writerScript = `${bundles}crash-writer-${process.pid}.mjs`;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(`${tmpdir()}/pnt-storage-crash-`);
  await mkdir(bundles, { recursive: true });
  const entry = fileURLToPath(new URL("crash-writer.ts", import.meta.url));
  await build({
    entryPoints: [entry],
    outfile: writerScript,
    bundle: true,
    platform: "node",
    format: "esm",
    packages: "external",
  });
});
afterAll(async () => {
  await rm(folder, { recursive: true });
  await rm(writerScript);
});

it(
  `every acknowledged write is there after each of ${kills} kills, and none is half there`,
  async () => {
    // Key by revision of what was ever acknowledged, over all the lives of this one store.
    const acknowledged = new Map<number, string>();
    let writes = 0;
    for (let life = 0; life < kills; life++) {
      const seed = firstSeed + life;
      const delayMs = seededRandom(seed).float() ** 2 * 120;
      const { opened, acks } = await writeUntilKilled(seed, delayMs);
      for (const [revision, key] of acks) acknowledged.set(revision, key);
      writes += acks.length;
      const store = await LmdbStore.open({ folder, clock: systemClock });
      try {
        await expectWhole(store, acknowledged, `seed ${seed}, killed after ${delayMs} ms, opened at ${opened}`);
        for (const revision of acknowledged.keys())
          if (revision < store.revision - 2_000) acknowledged.delete(revision);
      } finally {
        await store.close();
      }
    }
    console.info(`${kills} kills, ${writes} acknowledged writes`);
    expect(writes).toBeGreaterThan(kills);
  },
  kills * 5_000 + 20_000,
);

/** Starts a writer, lets it write for `delayMs`, kills it, and returns what it had been told is durable. */
function writeUntilKilled(seed: number, delayMs: number): Promise<{ opened: number; acks: [number, string][] }> {
  return new Promise((resolve, reject) => {
    const writer = spawn(process.execPath, [writerScript, folder, String(seed)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let output = "";
    writer.stdout.setEncoding("utf8");
    writer.stdout.on("data", (text: string) => {
      if (output === "") setTimeout(() => writer.kill("SIGKILL"), delayMs);
      output += text;
    });
    writer.on("error", reject);
    writer.on("close", (_, signal) => {
      if (signal !== "SIGKILL") return reject(new Error(`the writer of seed ${seed} ended by itself`));
      // The last line may be half: the kill came while it was being told.
      const [first, ...lines] = output.slice(0, output.lastIndexOf("\n")).split("\n");
      const acks = lines.map((line): [number, string] => {
        const [revision, key] = line.split(" ");
        return [Number(revision), key!];
      });
      resolve({ opened: Number(first?.slice("open ".length)), acks });
    });
  });
}

async function expectWhole(store: LmdbStore, acknowledged: ReadonlyMap<number, string>, hint: string): Promise<void> {
  await store.verify();
  const { values } = await store.range("/", "0");
  for (const { key, value, modRevision } of values) {
    const [revision, size, filling] = Buffer.from(value).toString().split(" ");
    expect([Number(revision), filling?.length], `${key}: ${hint}`).toEqual([modRevision, Number(size)]);
  }
  const history = await keptHistory(store);
  const oldest = history[0]?.revision ?? store.revision;
  expect(
    history.map((event) => event.revision),
    hint,
  ).toEqual(history.map((_, i) => oldest + i));
  expect(history.at(-1)?.revision ?? store.revision, hint).toBe(store.revision);
  const byRevision = new Map(
    history.map((event) => [event.revision, event.kind === "put" ? event.current.key : event.key]),
  );
  for (const [revision, key] of acknowledged) {
    expect(revision, hint).toBeLessThanOrEqual(store.revision);
    if (revision >= oldest) expect(byRevision.get(revision), `revision ${revision}: ${hint}`).toBe(key);
  }
  // The newest change of each key in history is what stands.
  const newest = new Map<string, StoreEvent>();
  for (const event of history) newest.set(event.kind === "put" ? event.current.key : event.key, event);
  for (const [key, event] of newest) {
    const stands = values.find((value) => value.key === key);
    expect(stands?.modRevision, `${key}: ${hint}`).toBe(event.kind === "put" ? event.revision : undefined);
  }
}

/** As much history as the last compaction left. */
async function keptHistory(store: Store): Promise<StoreEvent[]> {
  if (store.revision === 0) return [];
  const after = await oldestKept(store);
  if (after === store.revision) return [];
  return new Promise((resolve) => {
    const events: StoreEvent[] = [];
    const watch = store.watch("/", after, (batch, revision) => {
      events.push(...batch);
      if (revision < store.revision) return;
      watch.stop();
      resolve(events);
    });
  });
}

async function oldestKept(store: Store): Promise<number> {
  try {
    store.watch("/", 0, () => {}).stop();
    return 0;
  } catch (error) {
    return (error as { compactRevision: number }).compactRevision;
  }
}
