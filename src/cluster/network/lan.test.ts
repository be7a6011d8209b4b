import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectIn, listenIn, netnsPath } from "../../base/node/netns.ts";
import { BridgePodNetwork, type PodAttachment } from "../../kubelet/network/pod-network.ts";
import { buildLan, clusterNamespaces, nodeNetnsPath, takeDownLan } from "./lan.ts";
import { hostLink, hostTable, nodeNetns, podBridge } from "./plan-lan.ts";

const cluster = `pnt-lan-${process.pid}`;
const spec = {
  cluster,
  lan: "198.18.77.0/24",
  hostAddress: "198.18.77.1",
  podCIDR: "10.244.0.0/16",
  nodes: [
    { name: "control-plane", address: "198.18.77.4", podCIDR: "10.244.0.0/24" },
    { name: "worker-1", address: "198.18.77.5", podCIDR: "10.244.1.0/24" },
    { name: "a-worker-with-a-long-name.example", address: "198.18.77.6", podCIDR: "10.244.2.0/24" },
  ],
};
const forwarding = () => readFileSync("/proc/sys/net/ipv4/ip_forward", "utf8");
const forwardingBefore = forwarding();
const podNetworks = spec.nodes.map(
  ({ name, podCIDR }) =>
    new BridgePodNetwork({ node: nodeNetns(cluster, name), bridge: podBridge, podCIDRs: [podCIDR] }),
);
const pods: PodAttachment[] = [];

/** Answers every connection with the address that it came from. */
async function serveIn(path: string, address: string) {
  const server = createServer((socket) => socket.end(String(socket.remoteAddress)));
  await listenIn(server, path, address, 8080);
  servers.push(server);
}
const servers: ReturnType<typeof createServer>[] = [];

async function answer(socket: Socket): Promise<string> {
  const [data] = await once(socket, "data", { signal: AbortSignal.timeout(2000) });
  socket.destroy();
  return String(data);
}

beforeAll(async () => {
  await buildLan(spec);
  for (const network of podNetworks) {
    pods.push(await network.attach("pod-a"), await network.attach("pod-b"));
  }
  for (const pod of pods) await serveIn(pod.netnsPath, pod.ips[0]!);
  for (const node of spec.nodes) await serveIn(nodeNetnsPath(cluster, node.name), node.address);
});

afterAll(async () => {
  for (const server of servers) server.close();
  for (const network of podNetworks) network.close();
  await takeDownLan(cluster);
  await takeDownLan(cluster);
  expect(clusterNamespaces(cluster)).toEqual([]);
  expect(execFileSync("ip", ["-br", "link"]).toString()).not.toContain(hostLink(cluster));
  expect(execFileSync("nft", ["list", "tables"]).toString()).not.toContain(hostTable(cluster));
  // Another cluster on this machine may want it meanwhile.
  if (!execFileSync("nft", ["list", "tables"]).toString().includes("pinnace-"))
    expect(forwarding()).toBe(forwardingBefore);
});

test("every pod reaches every pod, and is seen with its own address", async () => {
  for (const from of pods) {
    for (const to of pods) expect(await answer(connectIn(from.netnsPath, to.ips[0]!, 8080))).toBe(from.ips[0]);
  }
});

test("a node reaches its own and others' pods", async () => {
  const node = nodeNetnsPath(cluster, "worker-1");
  expect(await answer(connectIn(node, pods[2]!.ips[0]!, 8080))).toBe("10.244.1.1");
  expect(await answer(connectIn(node, pods[0]!.ips[0]!, 8080))).toBe("198.18.77.5");
});

test("the host reaches the nodes but not the pods", async () => {
  for (const node of spec.nodes) expect(await answer(connect(8080, node.address))).toBe("198.18.77.1");
});

test("a pod that speaks to the host is seen as its node", async () => {
  const server = createServer((socket) => socket.end(String(socket.remoteAddress)));
  await new Promise<void>((resolve) => server.listen(0, spec.hostAddress, resolve));
  const { port } = server.address() as { port: number };
  expect(await answer(connectIn(pods[2]!.netnsPath, spec.hostAddress, port))).toBe("198.18.77.5");
  server.close();
});

test("building again disturbs no connection and repairs what is missing", async () => {
  const socket = connectIn(pods[0]!.netnsPath, pods[2]!.ips[0]!, 8080);
  await once(socket, "connect");
  execFileSync("ip", ["-n", nodeNetns(cluster, "worker-1"), "route", "delete", "10.244.2.0/24"]);
  await buildLan(spec);
  expect(await answer(socket)).toBe(pods[0]!.ips[0]);
  expect(await answer(connectIn(pods[2]!.netnsPath, pods[4]!.ips[0]!, 8080))).toBe(pods[2]!.ips[0]);
});

test("another server finds the pods that the first attached, and gives their addresses to nobody else", async () => {
  const network = new BridgePodNetwork({
    node: nodeNetns(cluster, "worker-1"),
    bridge: podBridge,
    podCIDRs: ["10.244.1.0/24"],
  });
  expect((await network.list()).sort((a, b) => a.podUid.localeCompare(b.podUid))).toEqual([pods[2], pods[3]]);
  const third = await network.attach("pod-c");
  expect(third).toEqual({
    podUid: "pod-c",
    netnsPath: netnsPath(`${nodeNetns(cluster, "worker-1")}_pod-c`),
    ips: ["10.244.1.4"],
  });
  expect(await network.attach("pod-c")).toEqual(third);
  await network.detach("pod-c");
  await network.detach("pod-c");
  expect((await network.list()).length).toBe(2);
  network.close();
});

test("a pod's address can be taken over by the next pod at once", async () => {
  const network = new BridgePodNetwork({
    node: nodeNetns(cluster, "worker-1"),
    bridge: podBridge,
    podCIDRs: ["10.244.1.0/29"],
  });
  await network.list();
  for (let i = 0; i < 6; i++) {
    const pod = await network.attach(`short-${i}`);
    await serveIn(pod.netnsPath, pod.ips[0]!);
    expect(await answer(connectIn(pods[0]!.netnsPath, pod.ips[0]!, 8080))).toBe(pods[0]!.ips[0]);
    await network.detach(`short-${i}`);
  }
  network.close();
});
