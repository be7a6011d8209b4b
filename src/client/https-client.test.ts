/** What only a client over a network meets: servers that are away, come back, are somebody else, or stand behind a path. */
import { execFile } from "node:child_process";
import { createSecureServer, type IncomingHttpHeaders } from "node:http2";
import { type AddressInfo, createServer } from "node:net";
import { promisify } from "node:util";
import { afterEach, expect, test } from "vitest";
import { ConfigMaps } from "../api/resources.ts";
import { StatusError } from "../apimachinery/status-error.ts";
import { systemClock } from "../base/node/system-clock.ts";
import { startTestApiServer, type TestApiServer } from "../testing/api-server.ts";
import { HttpsClient } from "./https-client.ts";
import { type Connection, connectionOf, loadKubeconfig } from "./kubeconfig.ts";

const opened: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

async function server(options?: Parameters<typeof startTestApiServer>[0]): Promise<TestApiServer> {
  const started = await startTestApiServer(options);
  opened.push(started.close);
  return started;
}

function clientOf(connection: Connection, onWarning?: (message: string) => void): HttpsClient {
  const client = new HttpsClient({
    connection,
    clock: systemClock,
    userAgent: "tester/1",
    ...(onWarning ? { onWarning } : {}),
  });
  opened.push(() => client.close());
  return client;
}

const connectionTo = async (api: TestApiServer) => connectionOf(await loadKubeconfig([api.kubeconfig]));
const map = (name: string) => ({ metadata: { name, namespace: "default" } });

test("a client outlives its server: the watch ends with an error, later calls find the new one", async () => {
  const first = await startTestApiServer();
  const port = Number(new URL(first.url).port);
  const connection = await connectionTo(first);
  const client = clientOf({ ...connection, insecureSkipTlsVerify: true });
  const handle = await client.watch(ConfigMaps, {}, () => {});
  const ended = handle.closed.then(
    () => "ended",
    (error: Error) => error.message,
  );
  await first.close();
  expect(await ended).toMatch(/ended|broke off/);
  await expect(client.list(ConfigMaps)).rejects.toThrow(
    `GET https://127.0.0.1:${port}/api/v1/configmaps: connect ECONNREFUSED 127.0.0.1:${port}`,
  );
  // Its certificates are new: only that it is found matters here.
  const second = await server({ port });
  await expect(client.list(ConfigMaps)).rejects.toBeInstanceOf(StatusError);
  const renewed = clientOf(await connectionTo(second));
  expect((await renewed.list(ConfigMaps)).items).toEqual([]);
});

test("a server that another authority vouches for is not spoken to", async () => {
  const api = await server();
  const other = await server();
  const connection = { ...(await connectionTo(api)), ca: other.pki.ca.certificatePem };
  await expect(clientOf(connection).list(ConfigMaps)).rejects.toThrow(/certificate/);
});

test("a server that never answers is given up with the signal, while connecting and while waiting", async () => {
  const silent = createServer();
  await new Promise<void>((done) => silent.listen(0, "127.0.0.1", done));
  opened.push(() => void silent.close());
  const { port } = silent.address() as AddressInfo;
  const client = clientOf({ server: `https://127.0.0.1:${port}` });
  await expect(client.list(ConfigMaps, { signal: AbortSignal.timeout(50) })).rejects.toThrow(/timeout/);
});

test("a path before the API, a token and impersonation go with each request", async () => {
  const { pki } = await server();
  const seen: IncomingHttpHeaders[] = [];
  const proxy = createSecureServer({ key: pki.apiServer.privateKeyPem, cert: pki.apiServer.certificatePem });
  proxy.on("stream", (stream, headers) => {
    seen.push(headers);
    stream.respond({ ":status": 200, "content-type": "application/json", warning: '299 - "be \\"careful\\""' });
    stream.end(JSON.stringify({ metadata: { resourceVersion: "1" }, items: [] }));
  });
  await new Promise<void>((done) => proxy.listen(0, "127.0.0.1", done));
  opened.push(() => void proxy.close());
  const warnings: string[] = [];
  const connection: Connection = {
    server: `https://127.0.0.1:${(proxy.address() as AddressInfo).port}/k8s/clusters/one/`,
    ca: pki.ca.certificatePem,
    token: () => "secret",
    impersonate: { user: "jane", groups: ["a", "b"], extra: { "example.com/x": ["1"] } },
  };
  const client = clientOf(connection, (message) => warnings.push(message));
  await client.list(ConfigMaps, { labelSelector: "a in (b, c)" });
  client.close();
  expect(seen[0]).toMatchObject({
    ":path": "/k8s/clusters/one/api/v1/configmaps?labelSelector=a%20in%20(b%2C%20c)",
    authorization: "Bearer secret",
    "user-agent": "tester/1",
    "impersonate-user": "jane",
    "impersonate-group": "a, b",
    "impersonate-extra-example.com%2fx": "1",
  });
  expect(warnings).toEqual(['be "careful"']);
});

test("writes are booked under the program's name, and warnings are told", async () => {
  const api = await server();
  const warnings: string[] = [];
  const client = clientOf(await connectionTo(api), (message) => warnings.push(message));
  const odd = { ...map("a"), dta: {} };
  const created = await client.create(ConfigMaps, { ...odd, data: { x: "1" } });
  expect(created.metadata.managedFields).toMatchObject([{ manager: "tester" }]);
  expect(warnings).toEqual(['unknown field "dta"']);
});

test("a receiver that is slow to come holds the server back, and misses nothing", async () => {
  const api = await server();
  const client = clientOf(await connectionTo(api));
  const names: string[] = [];
  const handle = await client.watch(ConfigMaps, { namespace: "default" }, (events) => {
    for (const event of events) if (event.type === "ADDED") names.push(event.object.metadata.name);
    // Blocks the thread, as a receiver should not.
    const until = performance.now() + 20;
    while (performance.now() < until);
  });
  const data = { x: "y".repeat(50_000) };
  const wanted = Array.from({ length: 100 }, (_, i) => `m-${i}`);
  for (const name of wanted) await api.client.create(ConfigMaps, { ...map(name), data });
  await expect.poll(() => names, { timeout: 10_000 }).toEqual(wanted);
  handle.stop();
});

test("a program waits for its answer, and not for an idle connection", async () => {
  const api = await server();
  const program = `
    import { ConfigMaps } from "./src/api/resources.ts";
    import { StatusError } from "../apimachinery/status-error.ts";
import { systemClock } from "./src/base/node/system-clock.ts";
    import { HttpsClient } from "./src/client/https-client.ts";
    import { connectionOf, loadKubeconfig } from "./src/client/kubeconfig.ts";
    const connection = connectionOf(await loadKubeconfig([${JSON.stringify(api.kubeconfig)}]));
    const client = new HttpsClient({ connection, clock: systemClock, userAgent: "idle" });
    await client.list(ConfigMaps);
    const { items } = await client.list(ConfigMaps);
    console.log(items.length);
  `;
  const { build } = await import("esbuild");
  const { outputFiles } = await build({
    stdin: { contents: program, resolveDir: ".", loader: "ts" },
    bundle: true,
    platform: "node",
    format: "esm",
    packages: "external",
    write: false,
  });
  const args = ["--input-type=module", "--eval", outputFiles[0]!.text];
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 10_000 });
  expect(stdout).toBe("0\n");
});
