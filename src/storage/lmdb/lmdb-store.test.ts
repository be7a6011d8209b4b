import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { systemClock } from "../../base/node/system-clock.ts";
import { storeConformance } from "../store.conformance.ts";
import { LmdbStore } from "./lmdb-store.ts";

storeConformance("LmdbStore", async () => {
  const folder = await mkdtemp(`${tmpdir()}/pnt-storage-`);
  const store = await LmdbStore.open({ folder, clock: systemClock });
  const dispose = async () => {
    await store.close();
    await rm(folder, { recursive: true });
  };
  return { store, dispose };
});
