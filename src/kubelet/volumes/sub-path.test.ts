import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { unmount } from "./mount.ts";
import { bindSubPath } from "./sub-path.ts";

describe.skipIf(process.getuid?.() !== 0)("a subPath", () => {
  let folder: string;
  let volume: string;
  let target: string;
  beforeEach(() => {
    folder = mkdtempSync("/var/tmp/pnt-kubelet-subpath-");
    volume = join(folder, "volume");
    target = join(folder, "target");
    mkdirSync(volume);
  });
  afterEach(() => {
    unmount(target);
    rmSync(folder, { recursive: true, force: true });
  });

  test("is created when it is missing, and bound", () => {
    bindSubPath(volume, "a/b", target);
    writeFileSync(join(target, "file"), "x");
    expect(readFileSync(join(volume, "a/b/file"), "utf8")).toBe("x");
  });

  test("may be a file, and a link that stays in the volume", () => {
    writeFileSync(join(volume, "file"), "x");
    symlinkSync("file", join(volume, "link"));
    bindSubPath(volume, "link", target);
    expect(readFileSync(target, "utf8")).toBe("x");
  });

  test.each([
    ["/etc/passwd", "link"],
    ["../outside", "link"],
    ["/etc", "link/passwd"],
    ["..", "link/outside/new"],
  ])("that leads out of the volume through a link to %s is refused", (to, subPath) => {
    mkdirSync(join(folder, "outside"));
    symlinkSync(to, join(volume, "link"));
    expect(() => bindSubPath(volume, subPath, target)).toThrow("leads out of its volume");
  });
});
