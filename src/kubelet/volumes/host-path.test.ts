import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { checkHostPath } from "./host-path.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "pnt-kubelet-hostpath-"));
  mkdirSync(join(folder, "dir"));
  writeFileSync(join(folder, "file"), "");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test.each([
  ["dir", "Directory"],
  ["file", "File"],
  ["dir", ""],
  ["new", ""],
  ["new", "DirectoryOrCreate"],
  ["new", "FileOrCreate"],
  ["/dev/null", "CharDevice"],
])("%s as %s will do", (path, type) => {
  const at = path.startsWith("/") ? path : join(folder, path);
  checkHostPath(at, type);
  expect(existsSync(at)).toBe(true);
  if (path === "new") expect(statSync(at).isFile()).toBe(type === "FileOrCreate");
});

test.each([
  ["file", "Directory", "is not a directory"],
  ["none", "Directory", "is not a directory"],
  ["file", "DirectoryOrCreate", "is not a directory"],
  ["dir", "File", "is not a file"],
  ["dir", "FileOrCreate", "is not a file"],
  ["file", "Socket", "is not a socket file"],
  ["file", "CharDevice", "is not a character device"],
  ["file", "BlockDevice", "is not a block device"],
])("%s as %s is refused", (path, type, message) => {
  expect(() => checkHostPath(join(folder, path), type)).toThrow(
    `hostPath type check failed: ${join(folder, path)} ${message}`,
  );
});
