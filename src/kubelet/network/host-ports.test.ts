import { afterAll, describe, expect, test } from "vitest";
import { createNetns, deleteNetns, netnsPath } from "../../base/node/netns.ts";
import { openNft } from "../../nftables/nft.ts";
import type { PodObject } from "../pod-state.ts";
import { compileHostPorts, HostPorts } from "./host-ports.ts";

const name = `pnt-kubelet-ports-${process.pid}`;

function pod(uid: string, ports: object[], spec: object = {}): PodObject {
  return {
    metadata: { name: uid, namespace: "default", uid },
    spec: { containers: [{ name: "c", ports }], ...spec },
  } as unknown as PodObject;
}

test("a pod without host ports, or on the node's own network, needs no rules", () => {
  expect(compileHostPorts(pod("a", [{ containerPort: 80 }]), ["10.244.0.2"])).toBeUndefined();
  const ports = [{ containerPort: 80, hostPort: 80 }];
  expect(compileHostPorts(pod("a", ports, { hostNetwork: true }), ["10.244.0.2"])).toBeUndefined();
});

describe.skipIf(process.getuid?.() !== 0)("the kernel", () => {
  afterAll(() => deleteNetns(name));

  test("takes the rules, and lets go of one pod's at a time", async () => {
    createNetns(name, () => {});
    const hostPorts = new HostPorts(netnsPath(name));
    const nft = openNft(netnsPath(name));
    const listed = async () => JSON.stringify(await nft.list("list table ip pinnace-host-ports"));
    const first = pod("a", [{ containerPort: 80, hostPort: 8080 }]);
    const second = pod("b", [{ containerPort: 53, hostPort: 5353, protocol: "UDP", hostIP: "10.0.0.1" }]);
    await Promise.all([hostPorts.open(first, ["10.244.0.2"]), hostPorts.open(second, ["10.244.0.3"])]);
    expect(await listed()).toMatch(/8080.*10\.244\.0\.2/);
    expect(await listed()).toMatch(/10\.0\.0\.1.*5353.*10\.244\.0\.3/);
    await hostPorts.close(first);
    expect(await listed()).not.toContain("8080");
    expect(await listed()).toContain("5353");
    hostPorts.release();
    nft.close();
  });
});
