/** What is asked of `mount.nfs`, and what is made of its answers: the program is played, as most machines have no NFS server. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { mountNfs } from "./nfs.ts";

const { PATH } = process.env;
const source = { server: "10.0.0.9", path: "/exports/a" };
const never = new AbortController().signal;
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "pnt-kubelet-nfs-"));
});
afterEach(() => {
  process.env["PATH"] = PATH;
  rmSync(folder, { recursive: true, force: true });
});

function play(script: string): void {
  writeFileSync(join(folder, "mount.nfs"), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  process.env["PATH"] = `${folder}:${PATH}`;
}

test("the server's folder is mounted with the volume's options, read-only when it says so", async () => {
  play(`echo "$@" >> ${folder}/asked`);
  const at = join(folder, "at");
  expect(await mountNfs(source, [], at, never)).toEqual({ path: at });
  expect(await mountNfs({ ...source, readOnly: true }, ["nfsvers=4.2"], at, never)).toEqual({
    path: at,
    readOnly: true,
  });
  expect(readFileSync(join(folder, "asked"), "utf8")).toBe(
    `10.0.0.9:/exports/a ${at}\n10.0.0.9:/exports/a ${at} -o ro,nfsvers=4.2\n`,
  );
});

test("why it could not be mounted is told in the program's own words", async () => {
  play("echo 'mount.nfs: access denied by server' >&2; exit 32");
  await expect(mountNfs(source, [], join(folder, "at"), never)).rejects.toThrow(
    "mount failed: mount.nfs: access denied by server",
  );
});

test("a server that never answers is waited for no longer than the pod is wanted", async () => {
  play(`echo > ${folder}/began; exec sleep 1000`);
  const unwanted = new AbortController();
  const mounting = mountNfs(source, [], join(folder, "at"), unwanted.signal);
  const began = () => {
    try {
      return readFileSync(join(folder, "began"), "utf8") !== "";
    } catch {
      return false;
    }
  };
  while (!began()) await new Promise((resolve) => setTimeout(resolve, 5));
  unwanted.abort();
  await expect(mounting).rejects.toThrow(/^mount failed: mount.nfs ended with/);
});
