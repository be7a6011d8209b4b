import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import { claim, lockPlanning, readClaims } from "./cluster-lock.ts";

test("what is claimed is seen until it is released", async () => {
  const mine = await claim({ lan: "192.0.2.0/24", port: 6999 });
  expect(readClaims().lans).toContain("192.0.2.0/24");
  expect(readClaims().ports).toContain(6999);
  await mine.release();
  expect(readClaims().lans).not.toContain("192.0.2.0/24");
  expect(readClaims().ports).not.toContain(6999);
});

test("another process' claim is seen, and goes with the process however it ends", async () => {
  const listen = `require("node:net").createServer().listen("\\0pinnace-lan-198.51.100.0/24;", () => console.log("claimed"))`;
  const other = spawn(process.execPath, ["-e", listen], { stdio: ["ignore", "pipe", "inherit"] });
  await once(other.stdout, "data");
  expect(readClaims().lans).toContain("198.51.100.0/24");
  other.kill("SIGKILL");
  await once(other, "exit");
  expect(readClaims().lans).not.toContain("198.51.100.0/24");
});

test("one plans at a time", async () => {
  let planning = 0;
  const most: number[] = [];
  await Promise.all(
    Array.from({ length: 5 }, async () => {
      const turn = await lockPlanning();
      most.push(++planning);
      await new Promise(setImmediate);
      planning--;
      await turn.release();
    }),
  );
  expect(most).toEqual([1, 1, 1, 1, 1]);
});
