import { expect, test } from "vitest";
import { describeLan, hostLink, nodeNetns, planLan } from "./plan-lan.ts";

const spec = {
  cluster: "lab",
  lan: "10.0.2.0/24",
  hostAddress: "10.0.2.1",
  podCIDR: "10.244.0.0/16",
  nodes: [
    { name: "myserver01", address: "10.0.2.4", podCIDR: "10.244.0.0/24" },
    { name: "myserver02.example.org", address: "10.0.2.5", podCIDR: "10.244.1.0/24" },
  ],
};

test("the plan of a LAN reads as the commands that would make it", () => {
  expect(describeLan(planLan(spec))).toMatchInlineSnapshot(`
    "# pinnace-lab_switch
    sysctl net.bridge.bridge-nf-call-iptables=0
    sysctl net.bridge.bridge-nf-call-ip6tables=0
    sysctl net.bridge.bridge-nf-call-arptables=0
    ip link set lo up
    ip link add lan address 0a:58:0a:00:02:00 up type bridge
    ip link add host master lan up type veth peer name pn-lab netns net address 0a:58:0a:00:02:01
    ip link add to-myserver01 master lan up type veth peer name eth0 netns pinnace-lab.myserver01 address 0a:58:0a:00:02:04
    ip link add to-myserv-6fbb3 master lan up type veth peer name eth0 netns pinnace-lab.myserver02.example.org address 0a:58:0a:00:02:05

    # pinnace-lab.myserver01
    sysctl net.bridge.bridge-nf-call-iptables=0
    sysctl net.bridge.bridge-nf-call-ip6tables=0
    sysctl net.bridge.bridge-nf-call-arptables=0
    sysctl net.ipv4.ip_forward=1
    sysctl net.ipv4.conf.all.rp_filter=0
    sysctl net.ipv4.conf.default.rp_filter=0
    sysctl net.ipv4.conf.all.send_redirects=0
    sysctl net.ipv4.conf.default.send_redirects=0
    sysctl net.ipv4.icmp_ratelimit=0
    sysctl net.ipv6.conf.default.accept_dad=0
    sysctl net.ipv6.conf.default.accept_ra=0
    ip link set lo up
    ip link set eth0 up
    ip link add cni0 address 0a:58:0a:f4:00:01 up type bridge
    ip address replace 10.0.2.4/24 dev eth0
    ip address replace 10.244.0.1/24 dev cni0
    ip route replace default via 10.0.2.1 dev eth0
    ip route replace 10.244.1.0/24 via 10.0.2.5 dev eth0
    add table ip pinnace-node
    add chain ip pinnace-node postrouting { type nat hook postrouting priority srcnat + 10; policy accept; }
    flush chain ip pinnace-node postrouting
    add rule ip pinnace-node postrouting ip saddr 10.244.0.0/16 ip daddr != 10.244.0.0/16 oifname "eth0" masquerade fully-random

    # pinnace-lab.myserver02.example.org
    sysctl net.bridge.bridge-nf-call-iptables=0
    sysctl net.bridge.bridge-nf-call-ip6tables=0
    sysctl net.bridge.bridge-nf-call-arptables=0
    sysctl net.ipv4.ip_forward=1
    sysctl net.ipv4.conf.all.rp_filter=0
    sysctl net.ipv4.conf.default.rp_filter=0
    sysctl net.ipv4.conf.all.send_redirects=0
    sysctl net.ipv4.conf.default.send_redirects=0
    sysctl net.ipv4.icmp_ratelimit=0
    sysctl net.ipv6.conf.default.accept_dad=0
    sysctl net.ipv6.conf.default.accept_ra=0
    ip link set lo up
    ip link set eth0 up
    ip link add cni0 address 0a:58:0a:f4:01:01 up type bridge
    ip address replace 10.0.2.5/24 dev eth0
    ip address replace 10.244.1.1/24 dev cni0
    ip route replace default via 10.0.2.1 dev eth0
    ip route replace 10.244.0.0/24 via 10.0.2.4 dev eth0
    add table ip pinnace-node
    add chain ip pinnace-node postrouting { type nat hook postrouting priority srcnat + 10; policy accept; }
    flush chain ip pinnace-node postrouting
    add rule ip pinnace-node postrouting ip saddr 10.244.0.0/16 ip daddr != 10.244.0.0/16 oifname "eth0" masquerade fully-random

    # host
    sysctl net.ipv4.ip_forward=1
    ip link set pn-lab up
    ip address replace 10.0.2.1/24 dev pn-lab
    add table ip pinnace-lab
    add chain ip pinnace-lab postrouting { type nat hook postrouting priority srcnat; policy accept; }
    flush chain ip pinnace-lab postrouting
    add rule ip pinnace-lab postrouting ip saddr 10.0.2.0/24 ip daddr != 10.0.2.0/24 masquerade fully-random
    "
  `);
});

test("with a second family a node has its addresses, its way to the others' pods, and hides its pods outside", () => {
  const both = {
    ...spec,
    ipv6: { lan: "fd00:2::/64", hostAddress: "fd00:2::1", podCIDR: "fd00:10:244::/56" },
    nodes: spec.nodes.map((node, i) => ({
      ...node,
      ipv6: { address: `fd00:2::${4 + i}`, podCIDR: `fd00:10:244:${i}::/64` },
    })),
  };
  const lines = describeLan(planLan(both)).split("\n");
  const before = new Set(describeLan(planLan(spec)).split("\n"));
  expect(lines.filter((line) => !before.has(line))).toMatchInlineSnapshot(`
    [
      "sysctl net.ipv6.conf.all.forwarding=1",
      "sysctl net.ipv6.icmp.ratelimit=0",
      "ip address replace fd00:2::4/64 dev eth0",
      "ip address replace fd00:10:244::1/64 dev cni0",
      "ip route replace default via fd00:2::1 dev eth0",
      "ip route replace fd00:10:244:1::/64 via fd00:2::5 dev eth0",
      "add table ip6 pinnace-node",
      "add chain ip6 pinnace-node postrouting { type nat hook postrouting priority srcnat + 10; policy accept; }",
      "flush chain ip6 pinnace-node postrouting",
      "add rule ip6 pinnace-node postrouting ip6 saddr fd00:10:244::/56 ip6 daddr != fd00:10:244::/56 oifname "eth0" masquerade fully-random",
      "sysctl net.ipv6.conf.all.forwarding=1",
      "sysctl net.ipv6.icmp.ratelimit=0",
      "ip address replace fd00:2::5/64 dev eth0",
      "ip address replace fd00:10:244:1::1/64 dev cni0",
      "ip route replace default via fd00:2::1 dev eth0",
      "ip route replace fd00:10:244:0::/64 via fd00:2::4 dev eth0",
      "add table ip6 pinnace-node",
      "add chain ip6 pinnace-node postrouting { type nat hook postrouting priority srcnat + 10; policy accept; }",
      "flush chain ip6 pinnace-node postrouting",
      "add rule ip6 pinnace-node postrouting ip6 saddr fd00:10:244::/56 ip6 daddr != fd00:10:244::/56 oifname "eth0" masquerade fully-random",
      "ip address replace fd00:2::1/64 dev pn-lab",
    ]
  `);
});

test("names of links fit the kernel's 15 bytes and differ where the names do", () => {
  const long = hostLink("a-cluster-name-long-1");
  expect(long.length).toBeLessThanOrEqual(15);
  expect(long).not.toBe(hostLink("a-cluster-name-long-2"));
  expect(hostLink("lab")).toBe("pn-lab");
});

test("no two clusters share a namespace name", () => {
  expect(nodeNetns("a", "b-c")).not.toBe(nodeNetns("a-b", "c"));
});
