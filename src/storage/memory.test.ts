import { describe, expect, it } from "vitest";
import { systemClock } from "../base/node/system-clock.ts";
import { MemoryStore } from "./memory.ts";
import { storeConformance } from "./store.conformance.ts";

storeConformance("MemoryStore", async () => {
  const store = new MemoryStore({ clock: systemClock });
  return { store, dispose: () => store.close() };
});

describe("MemoryStore", () => {
  it("forgets what exceeds the number of revisions it was told to keep", async () => {
    const store = new MemoryStore({ clock: systemClock, history: { maxRevisions: 50 } });
    for (let i = 0; i < 200; i++) await store.write({ kind: "put", key: "/a", value: new Uint8Array([i]) });
    await expect(store.range("/", "0", { revision: 100 })).rejects.toThrow("compacted; the oldest kept is");
    expect((await store.range("/", "0", { revision: 160 })).values[0]?.value).toEqual(new Uint8Array([159]));
    await store.close();
  });
});
