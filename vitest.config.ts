import { defineConfig } from "vitest/config";

/** A second, which is the default, passes on a busy machine while nothing has happened yet. */
const patient = { poll: { timeout: 10_000 } };

/** Unit tests stand beside the code; whole-cluster tests stand under test/ and come after them. */
export default defineConfig({
  test: {
    // Much of a test's time is waiting; two cores are enough for two.
    maxWorkers: 2,
    projects: [
      {
        // Files share what they import: with `isolate` most of the time would go into importing it again for each.
        test: {
          name: "unit",
          expect: patient,
          include: ["src/**/*.test.ts"],
          exclude: ["src/testing/*.test.ts"],
          testTimeout: 20_000,
          hookTimeout: 20_000,
          pool: "forks",
          isolate: false,
          sequence: { groupOrder: 0 },
        },
      },
      {
        // API server, controllers and scheduler over a memory store.
        test: {
          name: "control-plane",
          expect: patient,
          include: ["src/testing/*.test.ts"],
          testTimeout: 20_000,
          hookTimeout: 20_000,
          pool: "forks",
          isolate: false,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: "simulation",
          include: ["test/simulation/**/*.test.ts"],
          testTimeout: 120_000,
          pool: "forks",
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: "cluster",
          expect: patient,
          globalSetup: "src/testing/build-command.ts",
          // The real kubectl, started a thousand times, is over before Go's collector is worth its time.
          env: { GOGC: "800" },
          include: ["test/**/*.test.ts"],
          exclude: ["test/simulation/**"],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          pool: "forks",
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
