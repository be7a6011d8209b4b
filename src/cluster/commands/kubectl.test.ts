/** What the command says beside kubectl's own words. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { kubectl } from "./kubectl.ts";

afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

test("a cluster that is down gets kubectl's message, and a line that says which command starts it", async () => {
  const home = mkdtempSync(join(tmpdir(), "pinnace-down-"));
  const port = await closedPort();
  mkdirSync(join(home, "clusters", "lab"), { recursive: true });
  writeFileSync(
    join(home, "clusters", "lab", "plan.json"),
    JSON.stringify({ name: "lab", apiServer: { address: "127.0.0.1", port }, nodes: [] }),
  );
  const kubeconfig = join(home, "kubeconfig");
  writeFileSync(
    kubeconfig,
    `{ apiVersion: v1, kind: Config, clusters: [{ name: c, cluster: { server: "https://127.0.0.1:${port}" } }], contexts: [{ name: c, context: { cluster: c } }], current-context: c }`,
  );
  vi.stubEnv("PINNACE_HOME", home);
  vi.stubEnv("KUBECONFIG", kubeconfig);
  let said = "";
  vi.spyOn(process.stderr, "write").mockImplementation((chunk, ...rest) => {
    said += chunk.toString();
    (rest.at(-1) as (() => void) | undefined)?.();
    return true;
  });
  try {
    expect(await kubectl(["get", "pods"])).toBe(1);
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
  expect(said.trimEnd().split("\n").slice(-2)).toEqual([
    `The connection to the server 127.0.0.1:${port} was refused - did you specify the right host or port?`,
    'cluster "lab" does not run; "pinnace up --name lab" brings it back',
  ]);
});

function closedPort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
