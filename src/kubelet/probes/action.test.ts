import { createServer, type Server } from "node:http";
import { type AddressInfo, connect, createServer as createTcpServer } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../base/node/system-clock.ts";
import { RuntimeError } from "../runtime/container-runtime.ts";
import { type Action, type ActionTarget, runAction } from "./action.ts";

let server: Server;
let port: number;
const seen: Record<string, unknown>[] = [];

beforeAll(async () => {
  server = createServer((request, response) => {
    seen.push({ ...request.headers });
    if (request.url === "/slow") return;
    if (request.url === "/away") response.writeHead(302, { location: "http://elsewhere.example/" }).end();
    else if (request.url === "/moved") response.writeHead(301, { location: "/fine" }).end();
    else if (request.url === "/fine") response.end("ok");
    else response.writeHead(500).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  port = (server.address() as AddressInfo).port;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

function run(action: Action, exec?: ActionTarget["exec"], timeoutMs = 2000) {
  const target: ActionTarget = {
    podIP: "127.0.0.1",
    container: { name: "main", ports: [{ name: "http", containerPort: port }] },
    clock: systemClock,
    connect: (address, to) => connect(to, address),
    exec: exec ?? (async () => ({ exitCode: 0, stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) })),
  };
  return runAction(action, target, timeoutMs, new AbortController().signal);
}

test("an HTTP answer below 400 is success; ports go by number or name", async () => {
  expect(await run({ httpGet: { path: "/fine", port } })).toEqual({ kind: "success" });
  expect(await run({ httpGet: { path: "/moved", port: "http" } })).toEqual({ kind: "success" });
  expect(seen.at(-1)).toMatchObject({ "user-agent": "kube-probe/1.36", accept: "*/*", connection: "close" });
});

test("headers of the probe replace the defaults", async () => {
  await run({
    httpGet: {
      path: "/fine",
      port,
      httpHeaders: [
        { name: "Host", value: "shop" },
        { name: "user-agent", value: "me" },
      ],
    },
  });
  expect(seen.at(-1)).toMatchObject({ host: "shop", "user-agent": "me" });
});

test("a redirect to another host is success with a warning", async () => {
  expect(await run({ httpGet: { path: "/away", port } })).toMatchObject({ kind: "warning" });
});

test("HTTP failures are worded as upstream's", async () => {
  expect(await run({ httpGet: { path: "/bad", port } })).toEqual({
    kind: "failure",
    output: "HTTP probe failed with statuscode: 500",
  });
  expect(await run({ httpGet: { path: "/slow", port } }, undefined, 50)).toEqual({
    kind: "failure",
    output: `Get "http://127.0.0.1:${port}/slow": context deadline exceeded (Client.Timeout exceeded while awaiting headers)`,
  });
  expect(await run({ httpGet: { path: "/", port: 1 } })).toEqual({
    kind: "failure",
    output: 'Get "http://127.0.0.1:1/": dial tcp 127.0.0.1:1: connect: connection refused',
  });
  expect(await run({ httpGet: { path: "/", port: "nowhere" } })).toEqual({
    kind: "unknown",
    error: `couldn't find port: "nowhere" in container main`,
  });
});

test("a TCP probe asks whether somebody listens", async () => {
  expect(await run({ tcpSocket: { port } })).toEqual({ kind: "success" });
  expect(await run({ tcpSocket: { port: 1 } })).toEqual({
    kind: "failure",
    output: "dial tcp 127.0.0.1:1: connect: connection refused",
  });
});

test("a command's output is its failure", async () => {
  const exec: ActionTarget["exec"] = async () => ({
    exitCode: 1,
    stdout: Buffer.from("out"),
    stderr: Buffer.from("err"),
  });
  expect(await run({ exec: { command: ["x"] } }, exec)).toEqual({ kind: "failure", output: "outerr" });
  const slow: ActionTarget["exec"] = async () => {
    throw new RuntimeError("DeadlineExceeded", "too slow");
  };
  expect(await run({ exec: { command: ["sleep", "9"] } }, slow, 1000)).toEqual({
    kind: "failure",
    output: 'command timed out: "sleep 9" timed out after 1s',
  });
});

test("a gRPC server that is not there or says nothing fails", async () => {
  expect(await run({ grpc: { port: 1 } })).toEqual({
    kind: "failure",
    output: 'timeout: failed to connect service "127.0.0.1:1" within 2s',
  });
  const silent = createTcpServer(() => {});
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  const result = await run({ grpc: { port: (silent.address() as AddressInfo).port } }, undefined, 100);
  expect(result).toEqual({ kind: "failure", output: "timeout: health rpc did not complete within 100ms" });
  silent.close();
});
