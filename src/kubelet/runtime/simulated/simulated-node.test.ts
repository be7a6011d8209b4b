/** A kubelet over the simulated runtime: pods run, and the disk hears nothing of it. */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Volume } from "../../../api/core/v1.ts";
import { ConfigMaps, Events, Namespaces, Pods } from "../../../api/resources.ts";
import { silentLogger } from "../../../base/logger.ts";
import { systemClock } from "../../../base/node/system-clock.ts";
import { systemRandom } from "../../../base/node/system-random.ts";
import { startTestApiServer } from "../../../testing/api-server.ts";
import { SimulatedImages } from "../../images/simulated-images.ts";
import { startKubelet } from "../../kubelet.ts";
import { machineFacts } from "../../machine-facts.ts";
import { SimulatedPodNetwork } from "../../network/simulated-pod-network.ts";
import { simulatedAction } from "../../probes/action.ts";
import { SimulatedRuntime } from "./simulated-runtime.ts";

test("a pod on a simulated node waits for the ConfigMap that it mounts, runs, ends, and no file is written for it", async () => {
  await using api = await startTestApiServer({});
  const { client } = api;
  await client.create(Namespaces, { metadata: { name: "kube-node-lease" }, spec: {} });
  const folder = mkdtempSync(join(tmpdir(), "pnt-simulated-"));
  const stop = new AbortController();
  const surroundings = { clock: systemClock, random: systemRandom };
  const kubelet = startKubelet({
    ...surroundings,
    node: { name: "node", ips: ["10.0.2.4"], podCIDRs: ["10.244.77.0/24"], kubeletVersion: "v1", roles: [] },
    machine: machineFacts("node", folder),
    client,
    runtime: new SimulatedRuntime(surroundings),
    images: new SimulatedImages(),
    network: new SimulatedPodNetwork(["10.244.77.0/24"]),
    log: silentLogger,
    signal: stop.signal,
    folders: { root: join(folder, "root"), volatile: join(folder, "volatile"), logs: join(folder, "logs") },
    cgroupRoot: "/pnt",
    clusterDomain: "cluster.local",
    seccompRoot: folder,
    dns: () => undefined,
    connect: () => {
      throw new Error("a simulated node has no network");
    },
    runAction: simulatedAction,
  });
  try {
    await kubelet.ready;
    const volumes: Volume[] = [
      { name: "settings", configMap: { name: "settings" } },
      { name: "scratch", emptyDir: {} },
    ];
    const containers = [
      { name: "main", image: "app:1", volumeMounts: volumes.map(({ name }) => ({ name, mountPath: `/${name}` })) },
    ];
    const ref = { name: "pod", namespace: "default" };
    await client.create(Pods, { metadata: ref, spec: { nodeName: "node", volumes, containers } });
    const failed = async () => (await client.list(Events, ref)).items.filter(({ reason }) => reason === "FailedMount");
    await expect
      .poll(async () => (await failed()).map(({ message }) => message))
      .toEqual(['MountVolume.SetUp failed for volume "settings" : configmap "settings" not found']);
    await client.create(ConfigMaps, { metadata: { name: "settings", namespace: "default" }, data: { key: "value" } });
    await expect.poll(async () => (await client.get(Pods, ref)).status?.phase, { timeout: 10_000 }).toBe("Running");
    await client.delete(Pods, ref, { gracePeriodSeconds: 1 });
    await expect.poll(async () => (await client.list(Pods, {})).items.length, { timeout: 10_000 }).toBe(0);
    expect(readdirSync(folder, { recursive: true })).toEqual([]);
  } finally {
    stop.abort();
    await kubelet.stopped;
    rmSync(folder, { recursive: true, force: true });
  }
});
