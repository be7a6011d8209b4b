/** Volumes that outlive their pods, as a user of kubectl sees them. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { describeCluster, eventually } from "../src/testing/cluster-fixture.ts";

const statefulSet = `
apiVersion: apps/v1
kind: StatefulSet
metadata: { name: db }
spec:
  serviceName: db
  replicas: 2
  podManagementPolicy: Parallel
  selector: { matchLabels: { app: db } }
  template:
    metadata: { labels: { app: db } }
    spec:
      terminationGracePeriodSeconds: 0
      securityContext: { fsGroup: 2000 }
      containers:
      - name: db
        image: busybox
        command: [sh, -c, "echo started >> /data/log; exec sleep 100000"]
        volumeMounts: [{ name: data, mountPath: /data }]
  volumeClaimTemplates:
  - metadata: { name: data }
    spec: { accessModes: [ReadWriteOnce], resources: { requests: { storage: 1Gi } } }
`;

describeCluster("volumes", { nodes: 2 }, (cluster) => {
  const { kubectl } = cluster;
  const linesOf = async (pod: string) => (await kubectl`exec ${pod} -- cat /data/log`).trim().split("\n").length;

  test("a StatefulSet's pods find their data again after they were deleted", async () => {
    await cluster.apply(statefulSet);
    await kubectl`rollout status statefulset/db --timeout=60s`;
    expect(await kubectl`get pvc data-db-0 data-db-1 --no-headers`).toMatch(
      /^data-db-0 +Bound +pvc-\S+ +1Gi +RWO +standard +<unset> .*\ndata-db-1 +Bound/,
    );
    expect(await kubectl`get sc --no-headers`).toMatch(
      /^standard \(default\) +pinnace.local\/local-path +Delete +WaitForFirstConsumer +true/,
    );
    expect(await kubectl`get pv --no-headers`).toMatch(/1Gi +RWO +Delete +Bound +default\/data-db-\d +standard/);
    const node = await kubectl`get pod db-0 -o jsonpath={.spec.nodeName}`;
    await kubectl`delete pod db-0`;
    await kubectl`wait --for=condition=Ready pod/db-0 --timeout=60s`;
    expect(await linesOf("db-0")).toBe(2);
    expect(await kubectl`get pod db-0 -o jsonpath={.spec.nodeName}`).toBe(node);
    expect(await linesOf("db-1")).toBe(1);
  }, 120_000);

  test("data and volumes are still there after the server was killed", async () => {
    const { pid } = JSON.parse(readFileSync(join(cluster.home, "clusters", cluster.name, "server.json"), "utf8"));
    process.kill(pid, "SIGKILL");
    await cluster.pinnace("up");
    expect(await linesOf("db-1")).toBe(1);
    await kubectl`delete pod db-1`;
    await kubectl`wait --for=condition=Ready pod/db-1 --timeout=60s`;
    expect(await linesOf("db-1")).toBe(2);
  }, 120_000);

  test("deleted claims wait for their pods, and take their volumes with them", async () => {
    await kubectl`delete pvc data-db-0 data-db-1 --wait=false`;
    expect(await kubectl`get pvc data-db-0 --no-headers`).toMatch(/^data-db-0 +Terminating/);
    await kubectl`delete statefulset db`;
    await eventually(
      () => kubectl`get pv,pvc --no-headers`,
      (left) => expect(left).toBe(""),
    );
  }, 120_000);
});
