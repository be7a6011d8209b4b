import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { spawnProcess } from "./spawn-process.ts";

test("a program gets its arguments, environment and pipes, and its exit code comes back", async () => {
  const child = spawnProcess({
    file: "/bin/sh",
    args: ["-c", 'read line; echo "$line $GREETING" "$1"; echo oops >&2; exit 7', "sh", "an argument"],
    env: { GREETING: "hello" },
    fds: { 0: "pipe-in", 1: "pipe-out", 2: "pipe-out" },
  });
  child.writers[0]!.end("from stdin\n");
  const [stdout, stderr, exited] = await Promise.all([text(child.readers[1]!), text(child.readers[2]!), child.exited]);
  expect({ stdout, stderr, exited }).toEqual({
    stdout: "from stdin hello an argument\n",
    stderr: "oops\n",
    exited: { code: 7, signal: null },
  });
});

test("a program killed by a signal says which", async () => {
  const child = spawnProcess({ file: "/bin/sh", args: ["-c", "kill -TERM $$"] });
  expect(await child.exited).toEqual({ code: null, signal: "SIGTERM" });
});

test("a program that does not exist is an error with its path", () => {
  expect(() => spawnProcess({ file: "/no/such/program", args: [] })).toThrow(
    "spawn ENOENT: no such file or directory /no/such/program",
  );
});

test("a program inherits no descriptor that was not meant for it, and no ignored signal", async () => {
  const child = spawnProcess({
    file: "/bin/sh",
    args: ["-c", "ls /proc/$$/fd; grep SigIgn /proc/$$/status"],
    fds: { 1: "pipe-out", 3: "pipe-out" },
  });
  child.readers[3]!.resume();
  const lines = (await text(child.readers[1]!)).trim().split("\n");
  const ignored = lines.pop()!;
  expect(lines.map(Number).sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4]);
  expect(ignored.split("\t")[1]).toBe("0000000000000000");
});

test("a program works in the folder that it is given", async () => {
  const { readers, exited } = spawnProcess({ file: "/bin/pwd", args: [], cwd: "/usr/lib", fds: { 1: "pipe-out" } });
  expect(await text(readers[1]!)).toBe("/usr/lib\n");
  await exited;
});

test("fifty programs at once all end", async () => {
  const exits = await Promise.all(
    Array.from({ length: 50 }, (_, i) => spawnProcess({ file: "/bin/sh", args: ["-c", `exit ${i}`] }).exited),
  );
  expect(exits.map((exit) => exit.code)).toEqual(Array.from({ length: 50 }, (_, i) => i));
});
