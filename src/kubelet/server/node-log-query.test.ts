import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../base/node/system-clock.ts";
import { queryLogs } from "./node-log-query.ts";

const folder = mkdtempSync(join(tmpdir(), "pnt-log-query-"));

beforeAll(() => {
  mkdirSync(join(folder, "deep"));
  writeFileSync(join(folder, "one"), "of one\n");
  writeFileSync(join(folder, "two.log"), "of two\n");
  writeFileSync(join(folder, "deep", "deep.log"), "of deep\n");
});

afterAll(() => rmSync(folder, { recursive: true }));

async function ask(query: string, path = "/"): Promise<[status: number, body: string]> {
  const { signal } = new AbortController();
  const request = { method: "GET", path, query: new URLSearchParams(query), headers: {}, signal };
  const { status, body } = await queryLogs({ folder }, path, request, systemClock);
  return [status, typeof body === "string" ? body : await text(body as AsyncIterable<Buffer>)];
}

test("without a query files are served", async () => {
  expect(await ask("", "/one")).toEqual([200, "of one\n"]);
  expect((await ask(""))[1]).toContain('<a href="deep/">');
});

test("services that the journal does not know are looked for among the files", async () => {
  expect(await ask("query=one&query=two&query=deep&query=none")).toEqual([
    200,
    "of one\nof two\nof deep\n\nlog not found for none\n",
  ]);
  expect(await ask("query=one&tailLines=1")).toEqual([
    200,
    "\noptions present and query resolved to log files for [one]\ntry without specifying options\n",
  ]);
});

test("services of the journal are asked there, with what was asked for", async () => {
  const before = process.env["PATH"];
  const bin = mkdtempSync(join(tmpdir(), "pnt-journal-"));
  const script = '#!/bin/sh\n[ "$1" = --field ] && echo unit.service || { echo "$@"; echo odd >&2; exit 3; }\n';
  writeFileSync(join(bin, "journalctl"), script, { mode: 0o755 });
  process.env["PATH"] = `${bin}:${before}`;
  try {
    const times = "sinceTime=2026-01-01T02:00:00%2B01:00&untilTime=2026-01-02T00:00:00Z";
    expect(await ask(`query=unit&${times}&tailLines=5&pattern=a.*b&boot=-1`)).toEqual([
      200,
      "--utc --no-pager --output=short-precise --since=2026-01-01 01:00:00 UTC --until=2026-01-02 00:00:00 UTC " +
        "--pager-end --lines=5 --grep=a.*b --boot=-1 --unit=unit\nodd\n",
    ]);
    expect((await ask("query=unit&query=one"))[1]).toMatch(/--unit=unit\nodd\nof one\n$/);
  } finally {
    process.env["PATH"] = before;
    rmSync(bin, { recursive: true });
  }
});

test("a query with a slash is one for a file", async () => {
  expect(await ask("query=/deep/deep.log")).toEqual([200, "of deep\n"]);
  expect(await ask("query=deep\\deep.log")).toEqual([200, "of deep\n"]);
  expect((await ask("query=/../../etc/passwd"))[0]).toBe(406);
});

const refusals: [query: string, status: number, message: string][] = [
  ["query=%20", 400, 'query: Invalid value: [" "]: query cannot be empty\n'],
  ["query=a&sinceTime=now", 400, 'sinceTime: Invalid value: "now": invalid time format\n'],
  ["query=a&boot=x", 400, 'boot: Invalid value: "x": strconv.Atoi: parsing "x": invalid syntax\n'],
  ["tailLines=1", 406, "query: Required value: cannot be empty with options\n"],
  ["query=a&query=/b", 406, 'query: Invalid value: "[/b], [a]": cannot specify a file and service\n'],
  ["query=a;b", 406, 'query: Invalid value: "a;b": input contains unsupported characters\n'],
  ["query=a&boot=1", 406, "boot: Invalid value: 1: must be less than 1\n"],
  ["query=a&tailLines=100001", 406, "tailLines: Invalid value: 100001: must be between 0 and 100000, inclusive\n"],
];

for (const [query, status, message] of refusals)
  test(`${query} is refused`, async () => {
    expect(await ask(query)).toEqual([status, message]);
  });

test("a query is one for the root alone", async () => {
  expect(await ask("query=one", "/one")).toEqual([406, "path not allowed in query mode\n"]);
});

test("who goes before all is read leaves nothing behind, also when journalctl has ended by itself", async () => {
  const before = process.env["PATH"];
  const bin = mkdtempSync(join(tmpdir(), "pnt-journal-"));
  const script = `#!/bin/sh\n[ "$1" = --field ] && echo unit.service || { echo first; touch ${bin}/over; }\n`;
  writeFileSync(join(bin, "journalctl"), script, { mode: 0o755 });
  process.env["PATH"] = `${bin}:${before}`;
  try {
    const gone = new AbortController();
    const request = {
      method: "GET",
      path: "/",
      query: new URLSearchParams("query=unit"),
      headers: {},
      signal: gone.signal,
    };
    const { body } = await queryLogs({ folder }, "/", request, systemClock);
    const chunks = (body as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
    expect(String((await chunks.next()).value)).toBe("first\n");
    await expect.poll(() => existsSync(join(bin, "over"))).toBe(true);
    await new Promise((resolve) => setTimeout(resolve, 50));
    gone.abort();
    await chunks.return?.();
  } finally {
    process.env["PATH"] = before;
    rmSync(bin, { recursive: true });
  }
});
