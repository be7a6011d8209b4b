import { execFileSync } from "node:child_process";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createNetns, deleteNetns, inNetns, netnsPath, udpSocketIn } from "../base/node/netns.ts";
import { Conntrack } from "./conntrack.ts";

const name = `pnt-conntrack-${process.pid}`;

beforeAll(() => {
  createNetns(name, () => {});
  execFileSync("ip", ["-n", name, "link", "set", "lo", "up"]);
  // A rule that asks for the connection's state makes the kernel track connections.
  const table = [
    "add table ip tracked",
    "add chain ip tracked output { type filter hook output priority 0; }",
    "add rule ip tracked output ct state new counter",
  ].join("\n");
  execFileSync("ip", ["netns", "exec", name, "nft", "-f", "-"], { input: table });
});

afterAll(() => deleteNetns(name));

test("thousands of connections are forgotten at once, and those to other destinations are kept", async () => {
  const ports = Array.from({ length: 3000 }, (_, i) => 20_000 + i);
  const kept = 40_000;
  const client = await udpSocketIn(netnsPath(name), "127.0.0.1", 0);
  try {
    client.on("error", () => {}); // Nobody listens there.
    await Promise.all(
      [...ports, kept].map((port) => new Promise((resolve) => client.send("?", port, "127.0.0.1", resolve))),
    );
  } finally {
    client.close();
  }
  const conntrack = inNetns(netnsPath(name), () => new Conntrack());
  try {
    const stale = { protocol: "udp", destinations: new Set(ports.map((port) => `127.0.0.1:${port}`)) } as const;
    expect(await conntrack.clear([stale])).toBe(ports.length);
    expect(await conntrack.clear([stale])).toBe(0);
    expect(await conntrack.clear([{ protocol: "udp", destinations: new Set([`127.0.0.1:${kept}`]) }])).toBe(1);
  } finally {
    conntrack.close();
  }
});
