/** What a node tells about itself: statistics and metrics, through the API server and at its own port. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { PodList } from "../src/api/core/v1.ts";
import { describeCluster, eventually } from "../src/testing/cluster-fixture.ts";

interface Summary {
  pods: {
    podRef: { name: string };
    containers: { name: string; cpu: { usageNanoCores: number }; memory: { workingSetBytes: number } }[];
    "ephemeral-storage": { usedBytes: number };
    network: { rxBytes: number };
  }[];
}

describeCluster("a node's own words", { nodes: 1 }, (cluster) => {
  const nodeName = async () => (await cluster.kubectl`get nodes -o ${"jsonpath={.items[0].metadata.name}"}`).trim();

  test("a busy pod's usage is in the summary and in the metrics", async () => {
    const script = "dd if=/dev/zero of=/big bs=1M count=8; while true; do :; done";
    await cluster.kubectl`run busy --image=busybox --restart=Never -- sh -c ${script}`;
    await cluster.kubectl`wait --for=condition=Ready pod/busy --timeout=60s`;
    const node = await nodeName();
    await eventually(
      async () => JSON.parse(await cluster.kubectl`get --raw /api/v1/nodes/${node}/proxy/stats/summary`) as Summary,
      ({ pods }) => {
        const busy = pods.find(({ podRef }) => podRef.name === "busy");
        expect(busy?.containers[0]?.cpu.usageNanoCores).toBeGreaterThan(50_000_000);
        expect(busy?.containers[0]?.memory.workingSetBytes).toBeGreaterThan(0);
        expect(busy?.["ephemeral-storage"].usedBytes).toBeGreaterThan(8 * 1024 * 1024 - 1);
        expect(busy?.network.rxBytes).toBeGreaterThanOrEqual(0);
      },
    );
    const metrics = await cluster.kubectl`get --raw /api/v1/nodes/${node}/proxy/metrics/resource`;
    expect(metrics).toMatch(
      /^container_cpu_usage_seconds_total\{container="busy",namespace="default",pod="busy"\} [\d.]+ \d+$/m,
    );
  });

  test("how a pod's probes went is in the metrics", async () => {
    await cluster.apply(`
apiVersion: v1
kind: Pod
metadata: { name: probed }
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: busybox
    command: [sleep, "1000"]
    readinessProbe: { exec: { command: ["true"] }, periodSeconds: 1 }
    livenessProbe: { exec: { command: ["false"] }, periodSeconds: 1, failureThreshold: 100 }`);
    const of = 'container="main",namespace="default",pod="probed"';
    await eventually(
      async () => cluster.kubectl`get --raw /api/v1/nodes/${await nodeName()}/proxy/metrics/probes`,
      (text) => {
        expect(text).toMatch(
          new RegExp(`^prober_probe_total{${of},pod_uid=".+",probe_type="Readiness",result="successful"} \\d+$`, "m"),
        );
        expect(text).toMatch(
          new RegExp(`^prober_probe_total{${of},pod_uid=".+",probe_type="Liveness",result="failed"} \\d+$`, "m"),
        );
        expect(text).toMatch(
          new RegExp(`^prober_probe_duration_seconds_count{${of},probe_type="Readiness"} \\d+$`, "m"),
        );
      },
    );
  });

  test("a node is asked at its kubelet's port, and at any other of its ports, by way of the API server", async () => {
    const node = await nodeName();
    const at = (id: string, path: string) => cluster.kubectl`get --raw /api/v1/nodes/${id}/proxy/${path}`;
    const { items } = JSON.parse(await at(`https:${node}:10250`, "runningpods")) as PodList;
    expect(items.map(({ metadata, spec }) => [metadata.name, spec.containers[0]?.name])).toContainEqual([
      "busy",
      "busy",
    ]);
    expect(JSON.parse(await at(`${node}:10256`, "healthz"))).toMatchObject({ nodeEligible: true });
    await expect(at(`${node}:1`, "")).rejects.toThrow("connection refused");
    await expect(at(`${node}:x`, "")).rejects.toThrow(`invalid node request "${node}:x"`);
  });

  test("the node's log folder is served, and the logs of its pods in it", async () => {
    const node = await nodeName();
    const at = (path: string) => cluster.kubectl`get --raw /api/v1/nodes/${node}/proxy/logs/${path}`;
    expect(await at("")).toMatch(
      /<pre>[\s\S]*<a href="containers\/">containers\/<\/a>[\s\S]*<a href="pods\/">pods\/<\/a>/,
    );
    await cluster.kubectl`run speaker --image=busybox --restart=Never -- echo heard`;
    await cluster.kubectl`wait --for=jsonpath={.status.phase}=Succeeded pod/speaker --timeout=60s`;
    const uid = (await cluster.kubectl`get pod speaker -o ${"jsonpath={.metadata.uid}"}`).trim();
    expect(await at(`pods/default_speaker_${uid}/speaker/0.log`)).toMatch(/ stdout F heard\n$/);
    const name = /speaker_default_speaker-\w+\.log/.exec(await at("containers/"))?.[0];
    expect(await at(`containers/${name}`)).toMatch(/ stdout F heard\n$/);
    expect(await at("pods")).toContain(`default_speaker_${uid}/`); // By way of the redirect to pods/.
    await expect(at("none")).rejects.toThrow("could not find the requested resource");
    await expect(at("..%2f..%2fetc/passwd")).rejects.toThrow("could not find the requested resource");
  });

  test("the node's port answers those who may ask, and nobody else", async () => {
    const node = await nodeName();
    const address = (await cluster.kubectl`get node ${node} -o ${"jsonpath={.status.addresses[0].address}"}`).trim();
    const url = `https://${address}:10250/metrics/cadvisor`;
    expect(await cluster.host("curl", "-sk", url)).toBe("Unauthorized");
    const token = (await cluster.kubectl`create token default`).trim();
    expect(await cluster.host("curl", "-sk", "-H", `Authorization: Bearer ${token}`, url)).toContain(
      "Forbidden (user=system:serviceaccount:default:default, verb=get, resource=nodes, subresource(s)=[metrics])",
    );
    for (const [file, field] of [
      ["cert.pem", "client-certificate-data"],
      ["key.pem", "client-key-data"],
    ] as const) {
      const text = await cluster.kubectl`config view --raw -o ${`jsonpath={.users[0].user.${field}}`}`;
      writeFileSync(join(cluster.home, file), Buffer.from(text, "base64"));
    }
    const files = ["--cert", join(cluster.home, "cert.pem"), "--key", join(cluster.home, "key.pem")];
    expect(await cluster.host("curl", "-sk", ...files, url)).toContain("container_memory_working_set_bytes");
    expect(await cluster.host("curl", "-sk", ...files, `https://${address}:10250/healthz`)).toBe("ok");
    expect(await cluster.host("curl", "-sk", ...files, `https://${address}:10250/pods`)).toContain('"PodList"');
    const logs = `https://${address}:10250/logs/`;
    expect(await cluster.host("curl", "-sk", "-H", `Authorization: Bearer ${token}`, logs)).toContain(
      "subresource(s)=[log])",
    );
    const redirect = await cluster.host("curl", "-ski", ...files, `${logs}pods`);
    expect(redirect).toMatch(/^HTTP\/1.1 301 [\s\S]*^location: pods\/\r$/im);
  });
});
