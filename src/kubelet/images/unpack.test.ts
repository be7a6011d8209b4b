import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { type Header, pack } from "tar-stream";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { koffi } from "../../base/node/libc.ts";
import { unpackLayer } from "./unpack.ts";

let outside: string;
let folder: string;

beforeEach(() => {
  outside = mkdtempSync("/var/tmp/pnt-unpack-");
  folder = join(outside, "layer");
  mkdirSync(folder);
  writeFileSync(join(outside, "secret"), "untouched");
});

afterEach(() => {
  // Whatever the layer held, what lies beside it is as it was.
  expect(readFileSync(join(outside, "secret"), "utf8")).toBe("untouched");
  expect(readdirSync(outside).sort()).toEqual(["layer", "secret"]);
  rmSync(outside, { recursive: true, force: true });
});

type TestEntry = Partial<Header> & { name: string; content?: string };

function unpack(entries: TestEntry[], maximumBytes = 1 << 20): Promise<number> {
  const tar = pack();
  for (const { content, ...header } of entries) tar.entry(header, content ?? "");
  tar.finalize();
  return unpackLayer(tar as unknown as Readable, folder, { maximumBytes, maximumEntries: 1000 });
}

/** In getfattr's spelling. */
function attributesOf(path: string): string {
  const list = koffi().load(null).func("intptr_t llistxattr(str path, _Out_ void *list, size_t size)");
  const get = koffi().load(null).func("intptr_t lgetxattr(str path, str name, _Out_ void *value, size_t size)");
  const names = Buffer.alloc(4096);
  const length = list(path, names, names.length);
  return names
    .toString("utf8", 0, length)
    .split("\0")
    .filter(Boolean)
    .map((name) => {
      const value = Buffer.alloc(256);
      return `${name}="${value.toString("utf8", 0, get(path, name, value, value.length))}"`;
    })
    .join("\n");
}

const isRoot = process.getuid?.() === 0;

describe.runIf(isRoot)("an honest layer", () => {
  test("keeps modes, owners, times, links and attributes", async () => {
    await unpack([
      { name: "bin/", type: "directory", mode: 0o750, mtime: new Date(1000), uid: 3, gid: 4 },
      {
        name: "bin/tool",
        content: "#!",
        mode: 0o4755,
        uid: 1,
        gid: 2,
        mtime: new Date(5000),
        pax: { "SCHILY.xattr.user.note": "kept", "SCHILY.xattr.trusted.overlay.redirect": "/etc" },
      } as TestEntry,
      { name: "bin/same", type: "link", linkname: "bin/tool" },
      { name: "bin/elsewhere", type: "symlink", linkname: "/etc/passwd" },
    ]);
    const tool = lstatSync(join(folder, "bin/tool"));
    expect([tool.mode & 0o7777, tool.uid, tool.gid, tool.mtimeMs]).toEqual([0o4755, 1, 2, 5000]);
    expect(lstatSync(join(folder, "bin/same")).ino).toBe(tool.ino);
    expect(readlinkSync(join(folder, "bin/elsewhere"))).toBe("/etc/passwd");
    const bin = lstatSync(join(folder, "bin"));
    expect([bin.mode & 0o7777, bin.uid, bin.gid, bin.mtimeMs]).toEqual([0o750, 3, 4, 1000]);
    const attributes = attributesOf(join(folder, "bin/tool"));
    expect(attributes).toContain('user.note="kept"');
    expect(attributes).not.toContain("overlay");
  });

  test("large files arrive whole", async () => {
    const content = "0123456789".repeat(60_000);
    expect(await unpack([{ name: "big", content }])).toBe(600_000);
    expect(readFileSync(join(folder, "big"), "utf8")).toBe(content);
  });

  test("whiteouts and opaque folders become overlayfs' own", async () => {
    await unpack([
      { name: "etc/.wh.gone" },
      { name: "var/lib/.wh..wh..opq" },
      { name: ".wh..wh.plnk/", type: "directory" },
    ]);
    const gone = lstatSync(join(folder, "etc/gone"));
    expect([gone.isCharacterDevice(), gone.rdev]).toEqual([true, 0]);
    const attributes = attributesOf(join(folder, "var/lib"));
    expect(attributes).toContain('trusted.overlay.opaque="y"');
    expect(readdirSync(folder).sort()).toEqual(["etc", "var"]);
  });

  test("a link inside the layer leads where it would lead in the container", async () => {
    await unpack([
      { name: "usr/lib/", type: "directory" },
      { name: "lib", type: "symlink", linkname: "/usr/lib" },
      { name: "lib/libc.so", content: "x" },
      { name: "deep/a/b", type: "symlink", linkname: "../../../../../usr" },
      { name: "deep/a/b/made", content: "y" },
    ]);
    expect(readFileSync(join(folder, "usr/lib/libc.so"), "utf8")).toBe("x");
    expect(readFileSync(join(folder, "usr/made"), "utf8")).toBe("y");
  });

  test("later entries replace earlier ones of another kind", async () => {
    await unpack([
      { name: "a", content: "file" },
      { name: "a/b", content: "now a folder" },
      { name: "c/d", content: "folder" },
      { name: "c", content: "now a file" },
    ]);
    expect(readFileSync(join(folder, "a/b"), "utf8")).toBe("now a folder");
    expect(readFileSync(join(folder, "c"), "utf8")).toBe("now a file");
  });
});

describe.runIf(isRoot)("a hostile layer", () => {
  test.each([
    [
      "climbing paths",
      [{ name: "../secret", content: "x" }],
      'layer entry "../secret": the path climbs out of its folder',
    ],
    ["climbing in the middle", [{ name: "a/../../secret", content: "x" }], "climbs out of its folder"],
    ["hard links out of it", [{ name: "x", type: "link", linkname: "../secret" }], "climbs out of its folder"],
    [
      "hard links to the machine's files",
      [{ name: "x", type: "link", linkname: "/etc/passwd" }],
      "which is no file of this layer",
    ],
    ["whiteouts of the folder itself", [{ name: "a/.wh..." }], 'layer entry "a/.wh...": not a valid whiteout'],
    ["whiteouts without a name", [{ name: "a/.wh." }], "not a valid whiteout"],
    [
      "links in circles",
      [
        { name: "a", type: "symlink", linkname: "b" },
        { name: "b", type: "symlink", linkname: "a" },
        { name: "a/x", content: "x" },
      ],
      "too many links",
    ],
    ["names that are too long", [{ name: `a/${"n".repeat(300)}`, content: "x" }], "a name is longer than 255 bytes"],
  ] as [string, TestEntry[], string][])("is refused for %s", async (_, entries, complaint) => {
    await expect(unpack(entries)).rejects.toThrow(complaint);
  });

  test("cannot write through a link to the machine's folders", async () => {
    await unpack([
      { name: "out", type: "symlink", linkname: outside },
      { name: "out/secret", content: "overwritten" },
      { name: "up", type: "symlink", linkname: "../.." },
      { name: "up/secret", content: "overwritten" },
      { name: "file", type: "symlink", linkname: `${outside}/secret` },
      { name: "file", content: "overwritten" },
    ]);
    // They went to what these paths mean inside the container.
    expect(readFileSync(join(folder, outside, "secret"), "utf8")).toBe("overwritten");
    expect(readFileSync(join(folder, "secret"), "utf8")).toBe("overwritten");
    expect(lstatSync(join(folder, "file")).isFile()).toBe(true);
  });

  test("cannot overwrite a file through a hard link to it", async () => {
    await unpack([
      { name: "a", content: "first" },
      { name: "b", type: "link", linkname: "a" },
      { name: "b", content: "second" },
    ]);
    expect([readFileSync(join(folder, "a"), "utf8"), readFileSync(join(folder, "b"), "utf8")]).toEqual([
      "first",
      "second",
    ]);
  });

  test("brings no device nodes", async () => {
    await unpack([
      { name: "dev/sda", type: "block-device", devmajor: 8, devminor: 0 },
      { name: "dev/mem", type: "character-device", devmajor: 1, devminor: 1 },
      { name: "dev/pipe", type: "fifo" },
    ]);
    expect(readdirSync(join(folder, "dev"))).toEqual(["pipe"]);
  });

  test("cannot fill the disk, nor promise more than it brings", async () => {
    await expect(
      unpack(
        [
          { name: "a", content: "x".repeat(600) },
          { name: "b", content: "x".repeat(600) },
        ],
        1000,
      ),
    ).rejects.toMatchObject({
      reason: "NoSpace",
    });
    const entries = Array.from({ length: 1001 }, (_, i) => ({ name: `f${i}` }));
    await expect(unpack(entries)).rejects.toThrow("layer has more than 1000 entries");
    await expect(
      unpackLayer(Readable.from([Buffer.alloc(700, "not a tar")]), folder, { maximumBytes: 1, maximumEntries: 1 }),
    ).rejects.toMatchObject({
      reason: "Corrupt",
    });
    expect(existsSync(join(folder, "a"))).toBe(true);
  });
});
