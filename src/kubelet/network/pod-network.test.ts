import { expect, test } from "vitest";
import { describeChange } from "../../base/node/links.ts";
import { AddressPool, NoFreeAddress, planPod } from "./pod-network.ts";

test("addresses are given out in turn, and one given back comes last", () => {
  const pool = new AddressPool("10.244.1.0/29");
  expect([pool.take(), pool.take()]).toEqual(["10.244.1.2", "10.244.1.3"]);
  pool.release("10.244.1.2");
  expect([pool.take(), pool.take(), pool.take()]).toEqual(["10.244.1.4", "10.244.1.5", "10.244.1.6"]);
  expect(pool.take()).toBe("10.244.1.2");
  expect(() => pool.take()).toThrow(NoFreeAddress);
});

test("addresses of pods found at start are not given out, and the next ones follow them", () => {
  const pool = new AddressPool("10.244.1.0/24");
  pool.reserve("10.244.1.9");
  expect(pool.take()).toBe("10.244.1.10");
});

test("an IPv6 pod CIDR has no end in sight", () => {
  const pool = new AddressPool("fd00:10:244:1::/64");
  expect(pool.take()).toBe("fd00:10:244:1::2");
});

test("a dual-stack pod gets one address, gateway and default route per family", () => {
  const plan = planPod(
    { node: "n", bridge: "cni0", podCIDRs: ["10.244.1.0/24", "fd00:10:244:1::/64"] },
    { podUid: "u", netnsPath: "/run/netns/n_u", ips: ["10.244.1.7", "fd00:10:244:1::7"] },
  );
  expect([...plan.inNode, ...plan.inPod].map(describeChange)).toMatchInlineSnapshot(`
    [
      "link add vethd96f094e master cni0 up type veth peer name eth0 netns n_u address 0a:58:0a:f4:01:07",
      "link set lo up",
      "link set eth0 up",
      "address replace 10.244.1.7/24 dev eth0 noprefixroute",
      "route replace 10.244.1.1 dev eth0 src 10.244.1.7",
      "route replace default via 10.244.1.1 dev eth0",
      "address replace fd00:10:244:1::7/64 dev eth0 noprefixroute",
      "route replace fd00:10:244:1::1 dev eth0 src fd00:10:244:1::7",
      "route replace default via fd00:10:244:1::1 dev eth0",
    ]
  `);
});
