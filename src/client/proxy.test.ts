import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Http1Connection } from "./http1-connection.ts";
import { proxyFromEnvironment } from "./proxy.ts";

const target = createHttpServer((request, response) => response.end(`answer to ${request.url}`));
const seen: string[] = [];

/** CONNECT with a name and password. */
const httpProxy = createServer((socket) => {
  socket.once("data", (head: Buffer) => {
    seen.push(head.toString());
    relay(socket, Number(/^CONNECT \S+:(\d+) /.exec(head.toString())![1]), "HTTP/1.1 200 OK\r\n\r\n");
  });
});
/** SOCKS 5 without authentication. */
const socksProxy = createServer((socket) => {
  socket.once("data", () => {
    socket.write(Buffer.from([5, 0]));
    socket.once("data", (request: Buffer) => {
      const answer = Buffer.from([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
      relay(socket, request.readUInt16BE(request.length - 2), answer);
    });
  });
});
const refusing = createServer((socket) => socket.once("data", () => socket.end("HTTP/1.1 403 Forbidden\r\n\r\n")));

function relay(socket: Socket, port: number, answer: string | Buffer): void {
  const other = connect(port, "127.0.0.1", () => {
    socket.write(answer);
    socket.pipe(other).pipe(socket);
  });
  for (const each of [socket, other]) each.on("error", () => {});
}

const servers: Server[] = [target, httpProxy, socksProxy, refusing];
const portOf = (server: Server) => (server.address() as AddressInfo).port;
beforeAll(async () => {
  for (const server of servers) await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterAll(() => {
  target.closeAllConnections();
  for (const server of servers) server.close();
});

async function askThrough(proxyUrl: string): Promise<string> {
  const connection = new Http1Connection({ server: `http://127.0.0.1:${portOf(target)}/base`, proxyUrl }, "test");
  try {
    return (await connection.request({ method: "GET", path: "/version" })).body.toString();
  } finally {
    connection.close();
  }
}

test("requests go through a proxy's tunnel, with the name and password that its address holds", async () => {
  expect(await askThrough(`http://me:secret@127.0.0.1:${portOf(httpProxy)}`)).toBe("answer to /base/version");
  expect(seen[0]).toContain(`Proxy-Authorization: Basic ${Buffer.from("me:secret").toString("base64")}`);
});

test("requests go through a SOCKS 5 proxy", async () => {
  expect(await askThrough(`socks5://127.0.0.1:${portOf(socksProxy)}`)).toBe("answer to /base/version");
});

test("a proxy that refuses says so", async () => {
  await expect(askThrough(`http://127.0.0.1:${portOf(refusing)}`)).rejects.toThrow("Forbidden");
});

test.each([
  ["https://api.example.com:6443", {}, undefined],
  ["https://api.example.com:6443", { HTTPS_PROXY: "proxy:3128" }, "http://proxy:3128"],
  ["https://api.example.com:6443", { https_proxy: "http://proxy" }, "http://proxy"],
  ["http://api.example.com", { HTTPS_PROXY: "http://proxy" }, undefined],
  ["https://127.0.0.1:6443", { HTTPS_PROXY: "http://proxy" }, undefined],
  ["https://localhost:6443", { HTTPS_PROXY: "http://proxy" }, undefined],
  ["https://api.example.com", { HTTPS_PROXY: "http://proxy", NO_PROXY: "example.com" }, undefined],
  ["https://example.com", { HTTPS_PROXY: "http://proxy", NO_PROXY: ".example.com" }, "http://proxy"],
  ["https://10.1.2.3:6443", { HTTPS_PROXY: "http://proxy", NO_PROXY: "a,10.0.0.0/8" }, undefined],
  ["https://11.1.2.3:6443", { HTTPS_PROXY: "http://proxy", NO_PROXY: "10.0.0.0/8" }, "http://proxy"],
  ["https://a.b:1", { HTTPS_PROXY: "http://proxy", NO_PROXY: "a.b:2" }, "http://proxy"],
  ["https://a.b", { HTTPS_PROXY: "http://proxy", NO_PROXY: "*" }, undefined],
])("%s with %j is reached through %s", (server, environment, expected) => {
  expect(proxyFromEnvironment(server, environment)).toBe(expected);
});
