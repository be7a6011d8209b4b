import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { containerLogPath, type PodFolders } from "./paths.ts";
import type { PodObject } from "./pod-state.ts";
import type { ContainerStatus } from "./runtime/container-runtime.ts";
import { terminationMessage } from "./termination-message.ts";

let folders: PodFolders;
beforeEach(() => {
  const root = mkdtempSync(join(tmpdir(), "pnt-kubelet-message-"));
  folders = { root, logs: join(root, "logs"), volatile: join(root, "volatile") } as PodFolders;
});
afterEach(() => rmSync(folders.root, { recursive: true, force: true }));

const pod = {
  metadata: { name: "p", namespace: "default", uid: "u" },
  spec: { containers: [{ name: "main", terminationMessagePolicy: "FallbackToLogsOnError" }] },
} as unknown as PodObject;
const failed = {
  config: { name: "main", attempt: 0 },
  state: { kind: "exited", exitCode: 1 },
} as unknown as ContainerStatus;

/** Each entry as the runtime writes it: a tag, and what was written. */
async function messageAfter(...entries: [tag: "F" | "P", text: string][]): Promise<string | undefined> {
  const path = containerLogPath(folders, "main", 0);
  mkdirSync(dirname(path), { recursive: true });
  const lines = entries.map(([tag, text]) => `2026-01-01T00:00:01.000000001Z stdout ${tag} ${text}\n`);
  writeFileSync(path, lines.join(""));
  return terminationMessage(pod, folders, failed);
}

test("a message from the log ends as the container's output did, with a newline or without", async () => {
  expect(await messageAfter(["P", "DONE"])).toBe("DONE");
  expect(await messageAfter(["P", "DO"], ["P", "NE"])).toBe("DONE");
  expect(await messageAfter(["F", "why"], ["F", "DONE"])).toBe("why\nDONE\n");
});

test("a message from the log is its last 80 lines, and of these the last 2048 bytes", async () => {
  const lines = Array.from({ length: 100 }, (_, n): ["F", string] => ["F", `line ${n}`]);
  expect((await messageAfter(...lines))?.split("\n").slice(0, 2)).toEqual(["line 20", "line 21"]);
  expect(await messageAfter(["F", "x".repeat(3000)])).toBe(`${"x".repeat(2047)}\n`);
  expect(await messageAfter()).toBeUndefined();
});
