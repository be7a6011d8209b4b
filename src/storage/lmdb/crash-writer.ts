/**
 * The process that crash.test.ts kills: writes to a store as fast as it can, and says on its standard output what was
 * acknowledged. Arguments: folder, seed.
 */
import { writeSync } from "node:fs";
import { systemClock } from "../../base/node/system-clock.ts";
import { seededRandom } from "../../base/random.ts";
import { LmdbStore } from "./lmdb-store.ts";

const [folder = "", seed = "1"] = process.argv.slice(2);
const random = seededRandom(Number(seed));
const store = await LmdbStore.open({ folder, clock: systemClock, history: { maxRevisions: 400 } });
writeSync(1, `open ${store.revision}\n`);

const writer = async () => {
  while (true) {
    const key = `/registry/things/${random.int(40)}`;
    const size = random.int(6_000);
    const result =
      random.int(5) === 0
        ? await store.write({ kind: "delete", key })
        : await store.write({
            kind: "put",
            key,
            // Its own revision and length stand in it, so that a half written value cannot pass for a whole one.
            value: (revision) => Buffer.from(`${revision} ${size} ${"x".repeat(size)}`),
          });
    if (result.ok) writeSync(1, `${result.revision} ${key}\n`);
  }
};
await Promise.all(Array.from({ length: 1 + random.int(24) }, writer));
