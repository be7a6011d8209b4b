/** A disk that fills under a running cluster: writes are refused in words, everything else goes on, nothing acknowledged is lost. */
import { statfsSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { describeCluster, eventually, type TestCluster } from "../src/testing/cluster-fixture.ts";

describeCluster("a cluster whose disk fills", { nodes: 1, diskMiB: 48 }, (cluster) => {
  const { kubectlRaw } = cluster;
  const acknowledged: string[] = [];
  const ballast = join(cluster.home, "ballast");
  let serverPid: number;

  const configMaps = async () =>
    (await cluster.kubectl`get configmaps -l app=full-disk -o name`).trim().split("\n").filter(Boolean).sort();

  test("a write that does not fit gets an error that names the cause", async () => {
    serverPid = await serverOf(cluster);
    const { bavail, bsize } = statfsSync(cluster.home);
    writeFileSync(ballast, Buffer.alloc(bavail * bsize - 1_000_000));
    const refusal = await fill(cluster, acknowledged);
    expect(refusal).toMatch(
      /Internal error occurred: write \S+: not durable, nothing was changed: no space left on device/,
    );
    expect(acknowledged.length).toBeGreaterThan(0);
  });

  test("it goes on answering reads, and shows what was acknowledged and nothing else", async () => {
    // Both the log of the server and the store stand on the full disk.
    for (let i = 0; i < 5; i++) expect((await kubectlRaw(["create", "configmap", `more-${i}`, bulk])).exitCode).toBe(1);
    expect(await configMaps()).toEqual([...acknowledged].sort());
    expect(await cluster.kubectl`get nodes --no-headers`).toContain(" Ready ");
    expect(await cluster.kubectl`get --raw /livez`).toBe("ok");
    expect(await serverOf(cluster)).toBe(serverPid);
  });

  test("with room again it takes writes without a restart, and its controllers catch up", async () => {
    truncateSync(ballast, 0);
    await cluster.kubectl`create configmap with-room`;
    await cluster.kubectl`label configmap with-room app=full-disk`;
    acknowledged.push("configmap/with-room");
    await cluster.kubectl`create deployment later --image=nowhere.invalid/any:1`;
    await eventually(
      () => cluster.kubectl`get pods -l app=later -o name`,
      (pods) => expect(pods).toMatch(/^pod\/later-/),
    );
    expect(await serverOf(cluster)).toBe(serverPid);
  });

  test("a server that is killed on the full disk comes back with everything when there is room", async () => {
    writeFileSync(ballast, Buffer.alloc(64));
    const { bavail, bsize } = statfsSync(cluster.home);
    writeFileSync(ballast, Buffer.alloc(bavail * bsize - 500_000));
    await fill(cluster, acknowledged);
    process.kill(serverPid, "SIGKILL");
    truncateSync(ballast, 0);
    await cluster.pinnace("up");
    expect(await configMaps()).toEqual([...acknowledged].sort());
  });
});

const bulk = `--from-literal=bulk=${"x".repeat(60_000)}`;
let created = 0;

/** Creates labelled ConfigMaps until one is refused; resolves with what was said. */
async function fill(cluster: TestCluster, acknowledged: string[]): Promise<string> {
  for (;;) {
    const name = `bulk-${created++}`;
    const manifest = {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name, labels: { app: "full-disk" } },
      data: { bulk },
    };
    const { exitCode, stderr } = await cluster.kubectlRaw(["create", "-f", "-"], JSON.stringify(manifest));
    if (exitCode !== 0) return stderr;
    acknowledged.push(`configmap/${name}`);
  }
}

async function serverOf(cluster: TestCluster): Promise<number> {
  return JSON.parse(await cluster.pinnace("status", "-o", "json")).server.pid;
}
