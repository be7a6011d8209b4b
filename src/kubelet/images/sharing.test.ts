import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { silentLogger } from "../../base/logger.ts";
import { findProgram } from "../../base/node/find-program.ts";
import { systemClock } from "../../base/node/system-clock.ts";
import { systemRandom } from "../../base/node/system-random.ts";
import { mountRootfs } from "../runtime/oci/rootfs.ts";
import { assembleImage } from "./assemble.ts";
import { ImageStore } from "./image-store.ts";
import { formatReference } from "./reference.ts";
import { tryLock } from "./store-lock.ts";

const isPossible = process.platform === "linux" && process.getuid?.() === 0;

/** Locks and the index are between descriptors and files: two stores of one process are as apart as those of two. */
describe.runIf(isPossible)("processes that share an image store", () => {
  let folder: string;
  let one: ImageStore;
  let other: ImageStore;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "pnt-sharing-"));
    [one, other] = [await openStore(folder), await openStore(folder)];
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const places = (name: string) => ({
    upper: join(folder, name, "upper"),
    work: join(folder, name, "work"),
    merged: join(folder, name, "merged"),
  });
  const layerCount = () => readdirSync(join(folder, "layers")).filter((name) => !name.endsWith(".json")).length;

  test("see at once what another brings, renames and removes", async () => {
    const image = await one.pull("pinnace.local/a:1");
    expect(other.status("pinnace.local/a:1")?.id).toBe(image.id);
    await other.pull("pinnace.local/b:1");
    expect(
      one
        .list()
        .flatMap(({ names }) => names)
        .sort(),
    ).toEqual(["pinnace.local/a:1", "pinnace.local/b:1"]);
    await other.remove("pinnace.local/a:1");
    expect(one.status("pinnace.local/a:1")).toBeUndefined();
    await expect(one.rootfs(image.id)).rejects.toThrow("not found");
    expect(layerCount()).toBe(1);
    expect((await one.pull("pinnace.local/a:1")).id).toBe(image.id);
  });

  test("keep what they bring at the same moment", async () => {
    await Promise.all([
      one.pull("pinnace.local/a:1"),
      other.pull("pinnace.local/a:1"),
      other.pull("pinnace.local/b:1"),
    ]);
    const third = await openStore(folder);
    expect(
      third
        .list()
        .flatMap(({ names }) => names)
        .sort(),
    ).toEqual(["pinnace.local/a:1", "pinnace.local/b:1"]);
    expect(layerCount()).toBe(2);
  });

  test("take no content away while another pulls", async () => {
    await one.pull("pinnace.local/a:1");
    {
      using _pulling = tryLock(join(folder, "content.lock"), "shared");
      await other.remove("pinnace.local/a:1");
      expect(one.status("pinnace.local/a:1")).toBeUndefined();
      expect(layerCount()).toBe(1);
      mkdirSync(join(folder, "ingest", "half"));
      await openStore(folder);
      expect(existsSync(join(folder, "ingest", "half"))).toBe(true);
    }
    await one.pull("pinnace.local/b:1");
    await one.remove("pinnace.local/b:1");
    expect(layerCount()).toBe(0);
    await openStore(folder);
    expect(existsSync(join(folder, "ingest", "half"))).toBe(false);
  });

  test("take no layers from under another's running container", async () => {
    const image = await one.pull("pinnace.local/a:1");
    const { layers } = await one.rootfs(image.id);
    mkdirSync(join(folder, "empty"));
    {
      using _container = mountRootfs({ layers: [...layers, `${folder}/empty`], ...places("container") });
      await other.remove("pinnace.local/a:1");
      expect(other.status("pinnace.local/a:1")).toBeUndefined();
      expect(existsSync(layers[0]!)).toBe(true);
    }
    await other.remove("pinnace.local/a:1");
    expect(layerCount()).toBe(0);
  });
});

async function openStore(folder: string): Promise<ImageStore> {
  const store = new ImageStore({
    folder,
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
    findProgram,
    local: {
      fetch: (reference, target) => {
        const content = formatReference(reference);
        return assembleImage([new Map([["/name", { kind: "text", content }]])], {}, target);
      },
    },
  });
  await store.open();
  return store;
}
