import { appendFileSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { rotateLog } from "./log-rotation.ts";
import { type LogOptions, readLogs } from "./logs.ts";

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "pnt-kubelet-logs-"));
  path = join(folder, "0.log");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const line = (second: number, text: string, stream = "stdout", tag = "F") =>
  `2026-01-01T00:00:0${second}.000000001Z ${stream} ${tag} ${text}\n`;
const over = AbortSignal.abort();
const never = new AbortController().signal;

async function read(options: LogOptions = {}): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of readLogs(path, options, over, never)) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

test("prefixes are taken off, and lines that were cut are joined", async () => {
  writeFileSync(path, line(1, "one") + line(2, "tw", "stdout", "P") + line(2, "o") + line(3, "three", "stderr"));
  expect(await read()).toBe("one\ntwo\nthree\n");
  expect(await read({ stream: "stderr" })).toBe("three\n");
  expect(await read({ timestamps: true })).toContain("2026-01-01T00:00:02.000000001Z two\n");
});

test("a last line that nobody ended gets no newline", async () => {
  writeFileSync(path, line(1, "one") + line(2, "DONE", "stdout", "P"));
  expect(await read()).toBe("one\nDONE");
  expect(await read({ tailLines: 1 })).toBe("DONE");
});

test("the tail, a time and a limit choose what is read", async () => {
  writeFileSync(path, [1, 2, 3, 4].map((n) => line(n, `line ${n}`)).join(""));
  expect(await read({ tailLines: 2 })).toBe("line 3\nline 4\n");
  expect(await read({ tailLines: 0 })).toBe("");
  expect(await read({ tailLines: 9 })).toBe("line 1\nline 2\nline 3\nline 4\n");
  expect(await read({ sinceMs: Date.parse("2026-01-01T00:00:03Z") })).toBe("line 3\nline 4\n");
  expect(await read({ limitBytes: 10 })).toBe("line 1\nlin");
});

test("the tail of a long log is found from its end", async () => {
  writeFileSync(path, Array.from({ length: 5000 }, (_, n) => line(1, `line ${n} ${"x".repeat(60)}`)).join(""));
  expect((await read({ tailLines: 3000 })).split("\n")).toHaveLength(3001);
  expect((await read({ tailLines: 1 })).slice(0, 9)).toBe("line 4999");
});

test("following goes on through writes and rotation, and ends with the container", async () => {
  writeFileSync(path, line(1, "one"));
  const ended = new AbortController();
  const seen: string[] = [];
  const reading = (async () => {
    for await (const chunk of readLogs(path, { follow: true }, ended.signal, never)) seen.push(String(chunk));
  })();
  await reaches(() => seen.join("") === "one\n");
  appendFileSync(path, line(2, "two"));
  await reaches(() => seen.join("") === "one\ntwo\n");
  renameSync(path, `${path}.20260101-000000`);
  writeFileSync(path, line(3, "three"));
  await reaches(() => seen.join("") === "one\ntwo\nthree\n");
  appendFileSync(path, line(4, "last"));
  ended.abort();
  await reading;
  expect(seen.join("")).toBe("one\ntwo\nthree\nlast\n");
});

test("following loses no line when the log is rotated, and rotated again, before the reader comes to it", async () => {
  writeFileSync(path, line(1, "one"));
  const ended = new AbortController();
  const reader = readLogs(path, { follow: true }, ended.signal, never);
  expect(String((await reader.next()).value)).toBe("one\n");
  // The reader is slow: it asks for nothing while all this happens.
  appendFileSync(path, line(2, "two"));
  for (let n = 3; n < 6; n++) {
    // The runtime writes to the file it holds until it makes the next.
    const reopen = async () => {
      appendFileSync(`${path}.20260101-00000${n}`, line(n, `still ${n}`));
      writeFileSync(path, line(n, `new ${n}`));
    };
    expect(await rotateLog(path, { maximumBytes: 1, maximumFiles: 5 }, Date.UTC(2026, 0, 1, 0, 0, n), reopen)).toBe(
      true,
    );
  }
  ended.abort();
  const seen: string[] = [];
  for await (const chunk of reader) seen.push(String(chunk));
  expect(seen.join("")).toBe("two\nstill 3\nnew 3\nstill 4\nnew 4\nstill 5\nnew 5\n");
});

test("of a log that is rotated more often than files are kept, a reader who is slower still gets all that is kept", async () => {
  writeFileSync(path, line(1, "one"));
  const ended = new AbortController();
  const reader = readLogs(path, { follow: true }, ended.signal, never);
  expect(String((await reader.next()).value)).toBe("one\n");
  appendFileSync(path, line(1, "more"));
  for (let n = 2; n < 9; n++) {
    const reopen = async () => writeFileSync(path, line(n, `new ${n}`));
    await rotateLog(path, { maximumBytes: 1, maximumFiles: 5 }, Date.UTC(2026, 0, 1, 0, 0, n), reopen);
  }
  ended.abort();
  const seen: string[] = [];
  for await (const chunk of reader) seen.push(String(chunk));
  expect(seen.join("")).toBe("more\nnew 4\nnew 5\nnew 6\nnew 7\nnew 8\n");
});

test("a log that is too large is set aside, older ones are compressed, the oldest goes", async () => {
  const limits = { maximumBytes: 10, maximumFiles: 3 };
  let reopened = 0;
  for (let n = 0; n < 4; n++) {
    writeFileSync(path, `generation ${n}`);
    const rotated = await rotateLog(path, limits, Date.UTC(2026, 0, 1, 0, 0, n), async () => {
      reopened++;
    });
    expect(rotated).toBe(true);
  }
  expect(reopened).toBe(4);
  expect(readdirSync(folder).sort()).toEqual(["0.log.20260101-000002.gz", "0.log.20260101-000003"]);
  writeFileSync(path, "small");
  expect(await rotateLog(path, limits, 0, async () => {})).toBe(false);
  expect(readFileSync(path, "utf8")).toBe("small");
});

async function reaches(done: () => boolean): Promise<void> {
  const deadline = performance.now() + 5000;
  while (!done()) {
    if (performance.now() > deadline) throw new Error("not reached");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
