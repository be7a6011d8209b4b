/** A host and two nodes on one switch: who answers for an address, seen by the host. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type LinkChange, Links, macOf } from "../../base/node/links.ts";
import { connectIn, createNetns, deleteNetns, inNetns, netnsPath } from "../../base/node/netns.ts";
import { systemClock } from "../../base/node/system-clock.ts";
import { L2Announcer } from "./l2-announcer.ts";

const id = `pnt-l2-${process.pid}`;
const names = { lan: `${id}-lan`, host: `${id}-h`, n1: `${id}-n1`, n2: `${id}-n2` };
const addresses = {
  host: ["198.18.81.1/24", "fd00:81::1/64"],
  n1: ["198.18.81.4/24", "fd00:81::4/64"],
  n2: ["198.18.81.5/24", "fd00:81::5/64"],
};
const macs = { n1: macOf("198.18.81.4"), n2: macOf("198.18.81.5") };
const aborter = new AbortController();

beforeAll(() => {
  const links = Object.values(names).map((name) => createNetns(name, () => new Links()));
  const [lan, ...machines] = links;
  lan!.apply([
    { kind: "bridge", name: "lan" },
    ...(["host", "n1", "n2"] as const).map(
      (name): LinkChange => ({
        kind: "veth",
        name,
        master: "lan",
        peer: { name: "eth0", netns: netnsPath(names[name]), mac: macOf(addresses[name][0]!.split("/")[0]!) },
      }),
    ),
  ]);
  for (const [i, name] of (["host", "n1", "n2"] as const).entries()) {
    machines[i]!.apply([
      { kind: "up", name: "lo" },
      { kind: "up", name: "eth0" },
      ...addresses[name].map((address): LinkChange => ({ kind: "address", link: "eth0", address })),
    ]);
    if (name !== "host")
      for (const setting of ["net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"])
        execFileSync("ip", ["netns", "exec", names[name], "sysctl", "-qw", setting]);
  }
  lan!.settle(["host", "n1", "n2"]);
  for (const each of links) each.close();
});

afterAll(() => {
  aborter.abort();
  for (const name of Object.values(names)) deleteNetns(name);
});

function announcer(node: "n1" | "n2"): L2Announcer {
  return new L2Announcer({
    netnsPath: netnsPath(names[node]),
    link: "eth0",
    mac: macs[node],
    clock: systemClock,
    signal: aborter.signal,
  });
}

/** The hardware address that the host learns for `address` by speaking to it. */
async function ownerOf(address: string): Promise<string | undefined> {
  const socket = connectIn(netnsPath(names.host), address, 80);
  socket.on("error", () => {});
  try {
    for (let i = 0; i < 100; i++) {
      const { stdout } = { stdout: execFileSync("ip", ["-n", names.host, "neigh", "show", address]).toString() };
      const mac = /lladdr (\S+)/.exec(stdout)?.[1];
      if (mac || /FAILED/.test(stdout)) return mac;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return undefined;
  } finally {
    socket.destroy();
  }
}

test("a node answers for an address of either family while it announces it, and nobody else does", async () => {
  const first = announcer("n1");
  first.announce(new Set(["198.18.81.100", "fd00:81::100"]));
  expect(await ownerOf("198.18.81.100")).toBe(macs.n1);
  expect(await ownerOf("fd00:81::100")).toBe(macs.n1);
  first.announce(new Set());
  const kept = inNetns(netnsPath(names.n1), () => new Links());
  expect(kept.neighbourProxies("eth0")).toEqual([]);
  kept.close();
});

test("who takes an address over tells the LAN, and clients follow without asking", async () => {
  const [first, second] = [announcer("n1"), announcer("n2")];
  first.announce(new Set(["198.18.81.101"]));
  expect(await ownerOf("198.18.81.101")).toBe(macs.n1);
  const capture = spawn("ip", [
    "netns",
    "exec",
    names.host,
    "tcpdump",
    "-nli",
    "eth0",
    "-c",
    "2",
    "arp and host 198.18.81.101 and ether src",
    macs.n2,
  ]);
  let seen = "";
  capture.stdout.on("data", (chunk) => (seen += chunk));
  await new Promise<void>((resolve) => {
    capture.stderr.on("data", (chunk) => String(chunk).includes("listening on") && resolve());
  });
  first.announce(new Set());
  second.announce(new Set(["198.18.81.101"]));
  await once(capture, "close");
  expect(seen).toMatch(/Request who-has 198.18.81.101 .*tell 198.18.81.101|Announcement 198.18.81.101/);
  expect(seen).toContain(`198.18.81.101 is-at ${macs.n2}`);
  expect(execFileSync("ip", ["-n", names.host, "neigh", "show", "198.18.81.101"]).toString()).toContain(macs.n2);
  second.announce(new Set());
});

test("what an earlier process announced is known, and taken back when it is no longer wanted", async () => {
  announcer("n1").announce(new Set(["198.18.81.102", "198.18.81.103"]));
  announcer("n1").announce(new Set(["198.18.81.103"]));
  const links = inNetns(netnsPath(names.n1), () => new Links());
  expect(links.neighbourProxies("eth0")).toEqual(["198.18.81.103"]);
  links.close();
});
