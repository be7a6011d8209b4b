/** A cluster's state in a file and back, with the real kubectl; damage is found and named. */
import { closeSync, openSync, statSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { describeCluster, eventually } from "../src/testing/cluster-fixture.ts";

describeCluster("a cluster's store", { config: "nodes: [{ name: n1, kind: simulated }]" }, (cluster) => {
  const file = () => join(cluster.home, "state.snapshot");
  const storeFile = () => join(cluster.home, "clusters", cluster.name, "store", "data.mdb");

  test("what was saved comes back, in a cluster that goes on working", async () => {
    await cluster.kubectl`create configmap kept --from-literal=a=1`;
    await cluster.kubectl`create deployment web --image=nowhere.invalid/any:1 --replicas=2`;
    await cluster.kubectl`rollout status deployment/web --timeout=30s`;
    expect(await cluster.pinnace("store", "save", file())).toMatch(/^\d+ objects of cluster .* at revision \d+, /);
    await cluster.kubectl`delete configmap kept`;
    await cluster.kubectl`create configmap later`;
    await cluster.kubectl`delete deployment web`;
    const newest = Number(await cluster.kubectl`get configmap later -o jsonpath={.metadata.resourceVersion}`);

    await cluster.pinnace("store", "restore", file());
    expect(await cluster.kubectl`get configmap kept -o jsonpath={.data.a}`).toBe("1");
    await expect(cluster.kubectl`get configmap later`).rejects.toThrow("not found");
    await cluster.kubectl`rollout status deployment/web --timeout=30s`;
    await cluster.kubectl`create configmap again`;
    const again = Number(await cluster.kubectl`get configmap again -o jsonpath={.metadata.resourceVersion}`);
    expect(again).toBeGreaterThan(newest);
    await cluster.kubectl`scale deployment web --replicas=3`;
    await eventually(
      () => cluster.kubectl`get deployment web -o jsonpath={.status.readyReplicas}`,
      (ready) => expect(ready).toBe("3"),
    );
  });

  test("defragmentation takes no more room than before and loses nothing", async () => {
    const before = await cluster.kubectl`get configmaps,deployments,pods -A -o name`;
    const size = statSync(storeFile()).size;
    expect(await cluster.pinnace("store", "defragment")).toContain("took");
    // The server that came back has written a few pages since.
    expect(statSync(storeFile()).size).toBeLessThan(size + 64 * 1024);
    expect(await cluster.kubectl`get configmaps,deployments,pods -A -o name`).toBe(before);
    expect(await cluster.pinnace("store", "verify")).toContain("are whole");
  });

  test("a damaged snapshot is refused before anything is touched", async () => {
    const damaged = join(cluster.home, "damaged.snapshot");
    writeFileSync(damaged, "this is no snapshot, though long enough to be one");
    await expect(cluster.pinnace("store", "restore", damaged)).rejects.toThrow("is not a snapshot");
    expect(await cluster.kubectl`get configmap kept -o name`).toBe("configmap/kept\n");
  });

  test("a store that was overwritten is named by verify and by up, and a restore heals it", async () => {
    process.kill(
      JSON.parse(await cluster.pinnace("status", "-o", "json").catch((error) => error.stdout)).server.pid,
      "SIGKILL",
    );
    const disk = openSync(storeFile(), "r+");
    const garbage = Buffer.alloc(statSync(storeFile()).size - 8192, 0xa5);
    writeSync(disk, garbage, 0, garbage.length, 8192);
    closeSync(disk);
    await expect(cluster.pinnace("store", "verify")).rejects.toThrow("is damaged");
    await expect(cluster.pinnace("up")).rejects.toThrow("is damaged");
    await cluster.pinnace("store", "restore", file());
    await cluster.pinnace("up");
    expect(await cluster.kubectl`get configmap kept -o jsonpath={.data.a}`).toBe("1");
  });
});
