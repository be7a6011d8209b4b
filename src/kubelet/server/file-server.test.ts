import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ServedFolder, serveFile } from "./file-server.ts";

const folder = mkdtempSync(join(tmpdir(), "pnt-file-server-"));
const log = join(folder, "log");
const pods = join(folder, "node", "logs");
const root: ServedFolder = {
  folder: log,
  within: {
    pods: { folder: pods },
    containers: { folder: pods, files: () => new Map([["web.log", join(pods, "web")]]) },
  },
};

beforeAll(() => {
  for (const path of [join(log, "apt"), join(log, "pods"), pods]) mkdirSync(path, { recursive: true });
  writeFileSync(join(folder, "secret"), "secret");
  writeFileSync(join(log, "dpkg.log"), "0123456789");
  writeFileSync(join(log, "empty"), "");
  writeFileSync(join(log, 'a<b>&"c:d#.log'), "odd");
  writeFileSync(join(log, "old.gz"), Buffer.from([0x1f, 0x8b, 8, 0]));
  writeFileSync(join(log, "wtmp"), Buffer.from([0, 1, 2]));
  writeFileSync(join(pods, "web"), "of the pod");
  symlinkSync("../secret", join(log, "out"));
  symlinkSync("dpkg.log", join(log, "in"));
  utimesSync(join(log, "dpkg.log"), 1_000_000, 1_000_000);
});

afterAll(() => rmSync(folder, { recursive: true }));

async function ask(path: string, headers: Record<string, string> = {}, query = "") {
  const { signal } = new AbortController();
  const request = { method: "GET", path, query: new URLSearchParams(query), headers, signal };
  const { body, contentType, ...answer } = await serveFile(root, path, request);
  return {
    ...answer,
    type: contentType,
    body: typeof body === "string" ? body : await text(body as AsyncIterable<Buffer>),
  };
}

test("a folder is a page of links in alphabetical order, pods' and containers' places among them", async () => {
  const { status, type, body } = await ask("/");
  expect([status, type]).toEqual([200, "text/html; charset=utf-8"]);
  expect(body).toBe(
    [
      "<!doctype html>",
      '<meta name="viewport" content="width=device-width">',
      "<pre>",
      '<a href="./a%3Cb%3E&%22c:d%23.log">a&lt;b&gt;&amp;&#34;c:d#.log</a>',
      ...["apt/", "containers/", "dpkg.log", "empty", "in", "old.gz", "out", "pods/", "wtmp"].map(
        (name) => `<a href="${name}">${name}</a>`,
      ),
      "</pre>",
      "",
    ].join("\n"),
  );
  expect((await ask("/a%3Cb%3E&%22c:d%23.log")).body).toBe("odd");
  expect((await ask("/containers/")).body).toContain('<a href="web.log">web.log</a>');
});

test("files have the type of their name or of what they begin with", async () => {
  const types: Record<string, string | undefined> = {};
  for (const name of ["dpkg.log", "empty", "old.gz", "wtmp", "pods/web", "containers/web.log", "in"])
    types[name] = (await ask(`/${name}`)).type;
  const plain = "text/plain; charset=utf-8";
  expect(types).toEqual({
    "dpkg.log": plain,
    empty: plain,
    "old.gz": "application/x-gzip",
    wtmp: "application/octet-stream",
    "pods/web": plain,
    "containers/web.log": plain,
    in: plain,
  });
  expect((await ask("/containers/web.log")).body).toBe("of the pod");
});

test("slashes are put right by relative redirects that keep the query", async () => {
  const location = async (path: string) => (await ask(path, {}, "a=b")).headers?.["location"];
  expect(await location("/apt")).toBe("apt/?a=b");
  expect(await location("/pods")).toBe("pods/?a=b");
  expect(await location("/dpkg.log/")).toBe("../dpkg.log?a=b");
  expect(await location("/apt/index.html")).toBe("./?a=b");
});

test("nothing outside of the folder is served, by whatever path or link", async () => {
  const paths = [
    "/../secret",
    "/%2e%2e/secret",
    "/..%2fsecret",
    "/apt/..%2f..%2fsecret",
    "/pods/../../secret",
    "/none",
  ];
  for (const path of paths) expect([path, (await ask(path)).status]).toEqual([path, 404]);
  expect((await ask("/containers/../../node/logs/web")).status).toBe(404);
  expect((await ask("/out")).status).toBe(403);
  expect((await ask("/%00")).status).toBe(404);
  expect((await ask("/%zz")).status).toBe(400);
});

test("a pipe that nobody writes to is refused at once", async () => {
  execFileSync("mkfifo", [join(log, "apt", "pipe")]);
  expect((await ask("/apt/pipe")).status).toBe(403);
});

test("parts of a file are answered, and that nothing has changed", async () => {
  const part = async (range: string, headers = {}) => {
    const answer = await ask("/dpkg.log", { range, ...headers });
    return [answer.status, answer.headers?.["content-range"], answer.body];
  };
  expect(await part("bytes=2-4")).toEqual([206, "bytes 2-4/10", "234"]);
  expect(await part("bytes=7-")).toEqual([206, "bytes 7-9/10", "789"]);
  expect(await part("bytes=-2")).toEqual([206, "bytes 8-9/10", "89"]);
  expect(await part("bytes=5-99")).toEqual([206, "bytes 5-9/10", "56789"]);
  expect(await part("bytes=10-")).toEqual([416, "bytes */10", "invalid range: failed to overlap\n"]);
  expect(await part("lines=1-2")).toEqual([416, "bytes */10", "invalid range: failed to overlap\n"]);
  expect(await part("bytes=0-1,4-5")).toEqual([200, undefined, "0123456789"]);
  const then = new Date(1_000_000_000).toUTCString();
  expect(await part("bytes=2-4", { "if-range": then })).toEqual([206, "bytes 2-4/10", "234"]);
  expect(await part("bytes=2-4", { "if-range": new Date(0).toUTCString() })).toEqual([200, undefined, "0123456789"]);
  const unchanged = await ask("/dpkg.log", { "if-modified-since": then });
  expect([unchanged.status, unchanged.headers?.["last-modified"], unchanged.body]).toEqual([304, then, ""]);
});
