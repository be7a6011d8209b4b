import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { writeAtomically } from "./atomic-writer.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "pnt-kubelet-atomic-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const files = (entries: Record<string, string>, mode = 0o644) =>
  new Map(Object.entries(entries).map(([path, text]) => [path, { content: Buffer.from(text), mode }]));

test("files are seen through one link, which is swapped as a whole", () => {
  expect(writeAtomically(folder, files({ a: "1", "deep/b": "2" }, 0o600))).toBe(true);
  expect(readFileSync(join(folder, "a"), "utf8")).toBe("1");
  expect(readFileSync(join(folder, "deep/b"), "utf8")).toBe("2");
  expect(readlinkSync(join(folder, "a"))).toBe("..data/a");
  expect(statSync(join(folder, "a")).mode & 0o777).toBe(0o600);
  const before = readlinkSync(join(folder, "..data"));
  expect(writeAtomically(folder, files({ a: "3", c: "4" }))).toBe(true);
  expect(readlinkSync(join(folder, "..data"))).not.toBe(before);
  expect(
    readdirSync(folder)
      .filter((name) => !name.startsWith(".."))
      .sort(),
  ).toEqual(["a", "c"]);
  expect(readdirSync(folder).filter((name) => name.startsWith(".."))).toHaveLength(2);
});

test("what has not changed is not written again", () => {
  writeAtomically(folder, files({ a: "1" }));
  const before = readlinkSync(join(folder, "..data"));
  expect(writeAtomically(folder, files({ a: "1" }))).toBe(false);
  expect(readlinkSync(join(folder, "..data"))).toBe(before);
});

test.each(["../x", "/x", "a/../../x", "..x"])("the path %s is refused", (path) => {
  expect(() => writeAtomically(folder, files({ [path]: "" }))).toThrow("invalid path");
});
