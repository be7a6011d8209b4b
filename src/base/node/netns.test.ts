import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { readlinkSync } from "node:fs";
import { createServer } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  connectIn,
  createNetns,
  deleteNetns,
  inNetns,
  listenIn,
  listNetns,
  netnsPath,
  spawnIn,
  udpSocketIn,
} from "./netns.ts";

const name = `pnt-netns-${process.pid}`;
const path = netnsPath(name);

beforeAll(() => {
  createNetns(name, () => {});
  execFileSync("ip", ["-n", name, "link", "set", "lo", "up"]);
});
afterAll(() => deleteNetns(name));

const interfaces = () => execFileSync("ip", ["-br", "link"]).toString();

test("a created namespace is one that ip netns knows, and creating it again keeps it", () => {
  expect(execFileSync("ip", ["netns"]).toString()).toContain(name);
  const inode = () => execFileSync("stat", ["-L", "-c", "%i", path]).toString();
  const before = inode();
  expect(createNetns(name, (created) => created)).toBe(false);
  expect(inode()).toBe(before);
  expect(listNetns("pnt-netns-")).toContain(name);
});

test("a file that an interrupted creation left is replaced by a real namespace, and deleting twice is no error", () => {
  const torn = `${name}-torn`;
  execFileSync("touch", [netnsPath(torn)]);
  expect(createNetns(torn, (created) => created)).toBe(true);
  expect(inNetns(netnsPath(torn), interfaces)).not.toContain("eth0");
  deleteNetns(torn);
  deleteNetns(torn);
  expect(listNetns(torn)).toEqual([]);
});

test("a namespace entered from inside another leads back to that one", () => {
  const inner = `${name}-inner`;
  createNetns(inner, () => {});
  const where = () => readlinkSync("/proc/thread-self/ns/net");
  const [outside, inside] = [where(), inNetns(path, where)];
  const seen = inNetns(path, () => [inNetns(netnsPath(inner), where) !== inside, where()]);
  deleteNetns(inner);
  expect([...seen, where()]).toEqual([true, inside, outside]);
});

test("work that throws inside a namespace leaves the thread outside again", () => {
  const before = interfaces();
  expect(() =>
    inNetns(path, () => {
      throw new Error("inside");
    }),
  ).toThrow("inside");
  expect(interfaces()).toBe(before);
});

test("a server and a connection made inside meet there, and nowhere else", async () => {
  const server = createServer((socket) => socket.end("hello from inside"));
  await listenIn(server, path, "127.0.0.1", 18080);
  const socket = connectIn(path, "127.0.0.1", 18080);
  const [data] = await once(socket, "data");
  expect(String(data)).toBe("hello from inside");
  await expect(fetch("http://127.0.0.1:18080")).rejects.toThrow();
  server.close();
});

test("an address in use is refused with the code and words that Node uses", async () => {
  const server = createServer();
  await listenIn(server, path, "127.0.0.1", 18081);
  await expect(listenIn(createServer(), path, "127.0.0.1", 18081)).rejects.toThrow(
    /EADDRINUSE: address already in use 127.0.0.1:18081/,
  );
  server.close();
});

test("a refused connection is an error event", async () => {
  const socket = connectIn(path, "127.0.0.1", 1);
  const [error] = await once(socket, "error");
  expect(error).toMatchObject({ code: "ECONNREFUSED" });
});

test("datagrams travel inside the namespace, IPv4 and IPv6", async () => {
  for (const address of ["127.0.0.1", "::1"]) {
    const receiver = await udpSocketIn(path, address, 18082);
    const sender = await udpSocketIn(path, address, 0);
    sender.send("ping", 18082, address);
    const [message] = await once(receiver, "message");
    expect(String(message)).toBe("ping");
    receiver.close();
    sender.close();
  }
});

test("a child started inside sees the namespace's interfaces", async () => {
  const child = spawnIn(path, "ip", ["-br", "link"], { stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  child.stdout?.on("data", (chunk) => (output += chunk));
  await once(child, "close");
  expect(output).toMatch(/^lo /m);
  expect(output).not.toContain("eth0");
});
