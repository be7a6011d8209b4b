import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { exposition } from "../base/exposition.ts";
import { silentLogger } from "../base/logger.ts";
import { systemClock } from "../base/node/system-clock.ts";
import { SteppedClock } from "../base/stepped-clock.ts";
import { eventually } from "../testing/cluster-fixture.ts";
import { followConfigurationFile } from "./configuration-file.ts";

let folder: string;
let path: string;
let stop: AbortController;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "pnt-config-"));
  path = join(folder, "config.yaml");
  stop = new AbortController();
});
afterEach(() => {
  stop.abort();
  rmSync(folder, { recursive: true, force: true });
});

function follow(apply: (text: string) => void, options: { watchesFolder: boolean; clock?: SteppedClock }) {
  writeFileSync(path, "one");
  const { watchesFolder, clock = systemClock } = options;
  return followConfigurationFile({
    path,
    kind: "encryption",
    text: "one",
    apply,
    watchesFolder,
    clock,
    log: silentLogger,
    signal: stop.signal,
  });
}

const samplesOf = (file: ReturnType<typeof follow>) =>
  exposition(file.metrics())
    .split("\n")
    .filter((line) => line && !line.startsWith("#"))
    .map((line) => line.replace(/apiserver_id_hash="sha256:[0-9a-f]{64}"/, "ID"));

it("a file that takes another's place counts at once", async () => {
  const applied: string[] = [];
  follow((text) => void applied.push(text), { watchesFolder: true });
  writeFileSync(`${path}.next`, "two");
  renameSync(`${path}.next`, path);
  await eventually(
    async () => applied,
    (texts) => expect(texts).toEqual(["two"]),
  );
});

it("a file that nobody watches is read once a minute; what does not serve changes nothing, and is told once", async () => {
  const clock = new SteppedClock(1_000_000);
  const applied: string[] = [];
  const file = follow(
    (text) => {
      if (text === "bad") throw new Error("no keys");
      applied.push(text);
    },
    { watchesFolder: false, clock },
  );
  const minute = (text: string) => {
    writeFileSync(path, text);
    return clock.advance(60_000);
  };
  await minute("one");
  await minute("bad");
  await eventually(
    async () => samplesOf(file),
    (samples) =>
      expect(samples).toEqual([
        'apiserver_encryption_config_controller_automatic_reloads_total{status="failure",ID} 1',
        expect.stringMatching(
          /^apiserver_encryption_config_controller_automatic_reload_last_timestamp_seconds.* 1120$/,
        ),
        expect.stringContaining("last_config_info{ID,hash="),
      ]),
  );
  expect(applied).toEqual([]);
  await minute("bad");
  await minute("two");
  await eventually(
    async () => applied,
    (texts) => expect(texts).toEqual(["two"]),
  );
  const [failed, done] = samplesOf(file);
  expect(failed).toBe('apiserver_encryption_config_controller_automatic_reloads_total{status="failure",ID} 1');
  expect(done).toBe('apiserver_encryption_config_controller_automatic_reloads_total{status="success",ID} 1');
});
