/** What the HTTPS door does with clients that are slow, wrong or hostile, and with what well-behaved ones send. */
import type { IncomingMessage } from "node:http";
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { request as httpsRequest } from "node:https";
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import WebSocket from "ws";
import { ConfigMaps } from "../../api/resources.ts";
import { startTestApiServer, type TestApiServer } from "../../testing/api-server.ts";

let api: TestApiServer;
let tls: { ca: string; cert: string; key: string };
const failures: unknown[] = [];
const onFailure = (error: unknown) => failures.push(error);

beforeAll(async () => {
  process.on("unhandledRejection", onFailure);
  api = await startTestApiServer();
  tls = { ca: api.pki.ca.certificatePem, cert: api.pki.admin.certificatePem, key: api.pki.admin.privateKeyPem };
});

afterAll(async () => {
  await api.close();
  process.off("unhandledRejection", onFailure);
  expect(failures).toEqual([]);
});

interface Answer {
  status: number;
  headers: Record<string, unknown>;
  text: string;
  json: { [key: string]: unknown; message?: string; reason?: string; code?: number };
}

const maps = "/api/v1/namespaces/default/configmaps";

/** One request over HTTP/1.1. */
function send(
  method: string,
  path: string,
  body?: string | Buffer,
  headers: Record<string, string> = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpsRequest(api.url + path, { method, ...tls, agent: false, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () => {
        const bytes = Buffer.concat(chunks);
        const text = (response.headers["content-encoding"] === "gzip" ? gunzipSync(bytes) : bytes).toString();
        let json: Answer["json"] = {};
        try {
          json = JSON.parse(text);
        } catch {}
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json });
      });
    });
    request.on("error", reject);
    request.end(body);
  });
}

const json = { "content-type": "application/json" };
const configMap = (name: string, data: Record<string, string> = {}) =>
  JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { name }, data });

test.each([
  ["GET", `${maps}?timeout=soon`, 400, 'invalid timeout specified in the request URL - time: invalid duration "soon"'],
  [
    "GET",
    `${maps}?timeout=5`,
    400,
    'invalid timeout specified in the request URL - time: missing unit in duration "5"',
  ],
  [
    "GET",
    "/version?timeout=1d",
    400,
    'invalid timeout specified in the request URL - time: unknown unit "d" in duration "1d"',
  ],
  ["GET", `${maps}?timeout=1m30s&limit=1`, 200, undefined],
  [
    "POST",
    "/api/v1/watch/namespaces/default/configmaps",
    405,
    "the server does not allow this method on the requested resource",
  ],
  [
    "GET",
    "/api/v1/watch/namespaces/default/configmaps/a?fieldSelector=metadata.name%3Db",
    400,
    "fieldSelector metadata.name doesn't match requested name",
  ],
  ["GET", "/api/v1/namespaces/default?watch=true", 200, undefined],
  ["GET", "/api/v1/proxy/namespaces/default", 404, "the server could not find the requested resource"],
])("%s %s gets a %d", async (method, path, status, message) => {
  const answer = await send(method, path);
  expect([answer.status, answer.json.message]).toEqual([status, message]);
});

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** What is still held once connections have closed and garbage is collected, in bytes, in and beside the heap. */
async function memoryInUse(): Promise<number> {
  for (let i = 0; i < 5; i++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    collectGarbage();
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

describe("bodies", () => {
  test.each([
    ["truncated", '{"apiVersion":"v1",', 400],
    ["not JSON at all", "\u0000\u0001", 400],
    ["a list", "[]", 400],
    ["deeply nested", `{"metadata":${'{"a":'.repeat(20_000)}1${"}".repeat(20_000)}}`, 400],
    ["a number beyond all bounds", '{"metadata":{"name":"x","generation":1e400}}', 400],
    ["a name that climbs", configMap("../../../etc/passwd"), 422],
    ["a key named like a prototype", '{"metadata":{"name":"proto"},"__proto__":{"polluted":true}}', 201],
  ])("%s", async (_, body, status) => {
    const answer = await send("POST", maps, body, json);
    expect(answer.status).toBe(status);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
    if (status >= 400) expect(answer.json).toMatchObject({ kind: "Status", status: "Failure", code: status });
  });

  test("more than 3 MB are refused before they are read, and the server goes on", async () => {
    const answer = await send("POST", maps, Buffer.alloc(4 * 1024 * 1024, 32), json).catch((error: Error) => error);
    // The connection may break while the client still writes; what must not happen is anything else.
    if (!(answer instanceof Error)) expect(answer.status).toBe(413);
    expect((await send("GET", "/healthz")).text).toBe("ok");
  });

  test("invalid UTF-8 is no reason to fail", async () => {
    const broken = Buffer.concat([Buffer.from('{"metadata":{"name":"'), Buffer.from([0xff, 0xfe]), Buffer.from('"}}')]);
    expect((await send("POST", maps, broken, json)).status).toBe(422);
  });

  test("YAML with anchors that multiply is refused", async () => {
    let bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
    for (let i = 1; i < 12; i++)
      bomb += `a${i}: &a${i} [${Array(10)
        .fill(`*a${i - 1}`)
        .join(",")}]\n`;
    const answer = await send("POST", maps, bomb, { "content-type": "application/yaml" });
    expect(answer.status).toBe(400);
  });

  test("an upload that stops half way leaves nothing behind", async () => {
    await new Promise<void>((resolve) => {
      const request = httpsRequest(api.url + maps, {
        method: "POST",
        ...tls,
        agent: false,
        headers: { ...json, "content-length": "1000" },
      });
      request.on("error", () => resolve());
      request.on("socket", (socket) => socket.once("secureConnect", () => setTimeout(() => request.destroy(), 50)));
      request.write('{"metadata":{"name":"half"}');
    });
    expect((await send("GET", `${maps}/half`)).status).toBe(404);
  });

  test("a hundred large uploads that stop half way, and floods of headers, leave no memory behind", async () => {
    const port = Number(new URL(api.url).port);
    const { ca, cert, key } = tls;
    const assault = (start: string, more: Buffer) =>
      new Promise<void>((resolve) => {
        const socket = connectTls({ host: "127.0.0.1", port, ca, cert, key }, () => {
          socket.write(start);
          socket.write(more, () => socket.destroy());
        });
        socket.on("error", () => {});
        socket.once("close", () => resolve());
      });
    const upload = `POST ${maps} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 3000000\r\n\r\n{"metadata":{"name":"`;
    const flood = `GET ${maps} HTTP/1.1\r\nHost: x\r\n`;
    const half = Buffer.alloc(1_000_000, "x");
    const headers = Buffer.from(
      Array.from({ length: 10_000 }, (_, i) => `x-flood-${i}: ${"y".repeat(80)}\r\n`).join(""),
    );
    const round = async () => {
      for (let i = 0; i < 3; i++) {
        await Promise.all(
          Array.from({ length: 12 }, (_, j) => (j % 2 ? assault(upload, half) : assault(flood, headers))),
        );
      }
    };
    await round();
    const before = await memoryInUse();
    await round();
    await round();
    // A sixth of what was sent.
    expect((await memoryInUse()) - before).toBeLessThan(10 * 1024 * 1024);
    expect((await send("GET", "/healthz")).text).toBe("ok");
  });
});

describe("addresses", () => {
  test.each([
    ["GET", "/api/v1/namespaces/default/configmaps/..%2f..%2fsecrets", 404],
    ["GET", "/api/v1/namespaces/default/configmaps/%00", 404],
    ["GET", "/api/v1/namespaces/default/configmaps/%zz", 404],
    ["GET", "/api/v1/../../etc/passwd", 404],
    ["GET", "//api//v1", 404],
    ["GET", "/api/v9/pods", 404],
    ["GET", "/nothing/here", 404],
    ["POST", "/api/v1/namespaces/default/configmaps/x", 405],
    ["PUT", "/api/v1/namespaces/default/configmaps", 405],
    ["BREW", "/api/v1/namespaces/default/configmaps", 405],
    ["GET", "/api/v1/namespaces/default/configmaps?limit=abc", 400],
    ["GET", "/api/v1/namespaces/default/configmaps?continue=%F0%9F%98%80", 400],
  ])("%s %s is answered with %i", async (method, path, status) => {
    expect((await send(method, path)).status).toBe(status);
  });

  test("headers without end are refused", async () => {
    const answer = await send("GET", "/healthz", undefined, { "x-flood": "x".repeat(300_000) }).catch((e: Error) => e);
    if (!(answer instanceof Error)) expect(answer.status).toBe(431);
    expect((await send("GET", "/healthz")).text).toBe("ok");
  });

  test("bytes that are no HTTP get an answer and no more", async () => {
    const text = await new Promise<string>((resolve) => {
      const socket = connectTls({ port: Number(new URL(api.url).port), host: "127.0.0.1", ...tls });
      let seen = "";
      socket.on("secureConnect", () => socket.write("HELO example.com\r\n\r\n"));
      socket.on("data", (chunk: Buffer) => (seen += chunk.toString()));
      socket.on("close", () => resolve(seen));
      socket.on("error", () => resolve(seen));
    });
    expect(text).toMatch(/^HTTP\/1\.1 (400|405)/);
  });
});

describe("who asks", () => {
  test("without a certificate one is nobody, and may ask for health alone", async () => {
    const ask = (path: string) =>
      new Promise<number>((resolve, reject) => {
        httpsRequest(api.url + path, { ca: tls.ca, agent: false }, (response) => {
          response.resume();
          resolve(response.statusCode ?? 0);
        })
          .on("error", reject)
          .end();
      });
    expect(await ask("/readyz")).toBe(200);
    expect(await ask("/livez")).toBe(200);
    expect(await ask(maps)).toBe(403);
  });

  test("a token that nobody issued is refused", async () => {
    const answer = await send("GET", maps, undefined, { authorization: "Bearer zzz" });
    // The certificate proves the user already; the token is not looked at.
    expect([200, 401]).toContain(answer.status);
  });
});

describe("answers", () => {
  test("lists beyond 128 KB come compressed to those who can read that", async () => {
    for (let i = 0; i < 100; i++) {
      const metadata = { name: `big-${i}`, namespace: "default" };
      await api.client.create(ConfigMaps, { metadata, data: { x: "y".repeat(2000) } });
    }
    const plain = await send("GET", maps);
    const zipped = await send("GET", maps, undefined, { "accept-encoding": "gzip" });
    expect(zipped.headers["content-encoding"]).toBe("gzip");
    expect(zipped.json["items"]).toEqual(plain.json["items"]);
    expect(plain.headers["content-encoding"]).toBeUndefined();
  });

  test.each([
    ["as a Table", "application/json;as=Table;v=v1;g=meta.k8s.io"],
    ["as metadata", "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"],
    ["as YAML", "application/yaml"],
    ["as protobuf", "application/vnd.kubernetes.protobuf"],
  ])("a long list %s comes compressed too, and a short one does not", async (_, accept) => {
    const headers = { accept, "accept-encoding": "gzip" };
    // Whole objects in the Table's rows, so that it is long.
    const all = await send("GET", `${maps}?includeObject=Object`, undefined, headers);
    expect([all.status, all.headers["content-encoding"]]).toEqual([
      200,
      accept.includes("Partial") ? undefined : "gzip",
    ]);
    expect(all.text.replace(/ago|\d+s/g, "")).toBe(
      (await send("GET", `${maps}?includeObject=Object`, undefined, { accept })).text.replace(/ago|\d+s/g, ""),
    );
    const few = await send("GET", `${maps}?limit=2`, undefined, headers);
    expect(few.headers["content-encoding"]).toBeUndefined();
  });

  test("one object beyond 128 KB comes compressed too, and a smaller one does not", async () => {
    const gzip = { "accept-encoding": "gzip" };
    await send("POST", maps, configMap("large", { x: "y".repeat(131_072) }), json);
    await send("POST", maps, configMap("less", { x: "y".repeat(130_000) }), json);
    const large = await send("GET", `${maps}/large`, undefined, gzip);
    expect(large.headers).toMatchObject({ "content-encoding": "gzip", vary: "Accept-Encoding" });
    expect(large.json).toEqual((await send("GET", `${maps}/large`)).json);
    const less = await send("GET", `${maps}/less`, undefined, gzip);
    expect(less.headers["content-encoding"]).toBeUndefined();
    for (const name of ["large", "less"]) await send("DELETE", `${maps}/${name}`);
  });

  test("OpenAPI's index leads to documents that may be kept for a year, and from old addresses to new ones", async () => {
    const index = (await send("GET", "/openapi/v3")).json as {
      paths: Record<string, { serverRelativeURL: string }>;
    };
    const address = index.paths["api/v1"]!.serverRelativeURL;
    const document = await send("GET", address);
    expect(document.headers).toMatchObject({
      "cache-control": "public, immutable",
      etag: `"${address.split("hash=")[1]}"`,
      expires: expect.stringMatching(/GMT$/),
    });
    const protobuf = "application/com.github.proto-openapi.spec.v3.v1.0+protobuf";
    const binary = await send("GET", address, undefined, { accept: protobuf });
    expect([binary.headers["content-type"], binary.text.slice(0, 7)]).toEqual([protobuf, "\n\u00053.0.0"]);
    const again = await send("GET", address, undefined, { "if-none-match": document.headers["etag"] as string });
    expect(again.status).toBe(304);
    const old = await send("GET", "/openapi/v3/api/v1?hash=OLD");
    expect([old.status, old.headers["location"]]).toEqual([301, address]);
    expect((await send("GET", "/openapi/v3/api/v1")).headers["expires"]).toBeUndefined();
  });

  test("a Table carries cells and metadata", async () => {
    await send("POST", maps, configMap("tabled", { x: "y" }), json);
    const accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
    const { json: table } = await send("GET", `${maps}/tabled`, undefined, { accept });
    expect(table).toMatchObject({ kind: "Table", rows: [{ object: { kind: "PartialObjectMetadata" } }] });
    expect((table["rows"] as { cells: unknown[] }[])[0]?.cells.slice(0, 2)).toEqual(["tabled", 1]);
  });

  test("HTTP/2 carries many requests at once", async () => {
    const session = await new Promise<ClientHttp2Session>((resolve, reject) => {
      const opened = connectHttp2(api.url, tls);
      opened.once("connect", () => resolve(opened));
      opened.once("error", reject);
    });
    const statuses = await Promise.all(
      Array.from(
        { length: 200 },
        (_, i) =>
          new Promise<number>((resolve, reject) => {
            const stream = session.request({ ":path": `${maps}/none-${i}` });
            stream.once("response", (headers) => resolve(Number(headers[":status"])));
            stream.once("error", reject);
            stream.resume();
          }),
      ),
    );
    expect(new Set(statuses)).toEqual(new Set([404]));
    session.close();
  });
});

describe("watches", () => {
  test("over WebSocket each event is a message", async () => {
    const socket = new WebSocket(
      `${api.url.replace("https", "wss")}${maps}?watch=1&fieldSelector=metadata.name%3Dws`,
      tls,
    );
    const first = new Promise<string>((resolve, reject) => {
      socket.once("message", (data) => resolve(String(data)));
      socket.once("error", reject);
    });
    await new Promise((resolve) => socket.once("open", resolve));
    await send("POST", maps, configMap("ws"), json);
    expect(JSON.parse(await first)).toMatchObject({ type: "ADDED", object: { metadata: { name: "ws" } } });
    socket.close();
  });

  test("watchers that never read do not hold up the others, and are dropped in the end: over HTTP/2, HTTP/1.1 and WebSocket", async () => {
    const session = await new Promise<ClientHttp2Session>((resolve) => {
      const opened = connectHttp2(api.url, { ...tls, settings: { initialWindowSize: 1024 } });
      opened.once("connect", () => resolve(opened));
    });
    const stuck = session.request({ ":path": `${maps}?watch=1` });
    stuck.on("error", () => {});
    await new Promise((resolve) => stuck.once("response", resolve));
    stuck.pause();
    const chunked = await new Promise<IncomingMessage>((resolve) =>
      httpsRequest(`${api.url}${maps}?watch=1`, { ...tls, agent: false }, resolve).end(),
    );
    chunked.pause();
    const socket = new WebSocket(`${api.url.replace("https", "wss")}${maps}?watch=1`, tls);
    await new Promise((resolve) => socket.once("open", resolve));
    socket.pause();
    let seen = 0;
    const all = new Promise<void>((resolve) => {
      void api.client.watch(ConfigMaps, { namespace: "default" }, (events) => {
        seen += events.filter(({ type, object }) => type === "ADDED" && "data" in object && object.data?.["n"]).length;
        if (seen === 300) resolve();
      });
    });
    // Enough to fill what the kernel keeps for those who do not read, and then what the server does.
    const data = { n: "1", x: "y".repeat(3000) };
    for (let i = 0; i < 300; i++)
      await api.client.create(ConfigMaps, { metadata: { name: `flood-${i}`, namespace: "default" }, data });
    await all;
    const dropped = new Promise((resolve) => stuck.once("close", resolve));
    for (let round = 0; round < 30; round++) {
      const patch = { type: "merge", body: { data: { round: String(round) } } } as const;
      const names = Array.from({ length: 300 }, (_, i) => `flood-${i}`);
      await Promise.all(names.map((name) => api.client.patch(ConfigMaps, { name, namespace: "default" }, patch)));
    }
    await dropped;
    session.destroy();
    // These learn of it when they read on: what the kernel had taken comes first, and then the end.
    const ends = [chunked, socket].map((one) => new Promise((resolve) => one.once("close", resolve)));
    for (const one of [chunked, socket]) one.on("error", () => {}).resume();
    chunked.resume();
    await Promise.all(ends);
  });

  test("one that asks for an impossible state is told so", async () => {
    expect((await send("GET", `${maps}?watch=1&resourceVersion=abc`)).status).toBe(500);
    expect((await send("GET", `${maps}?watch=1&resourceVersionMatch=Exact&resourceVersion=5`)).status).toBe(422);
    expect((await send("GET", `${maps}?watch=1`, undefined, { accept: "application/yaml" })).status).toBe(406);
  });
});

describe("crowds", () => {
  test("thousands of idle connections and two thousand idle watches keep nobody else from being served", async () => {
    const idle = await Promise.all(
      Array.from(
        { length: 50 },
        () =>
          new Promise<ReturnType<typeof connectTls>>((resolve, reject) => {
            const socket = connectTls({ host: "127.0.0.1", port: Number(new URL(api.url).port), ca: tls.ca }, () =>
              resolve(socket),
            );
            socket.once("error", reject);
          }),
      ),
    );
    // Those who never say a word are not even owed a handshake.
    const silent = await Promise.all(
      Array.from(
        { length: 2000 },
        () =>
          new Promise<Socket>((resolve, reject) => {
            const socket = connectTcp(Number(new URL(api.url).port), "127.0.0.1", () => resolve(socket));
            socket.on("error", reject);
          }),
      ),
    );
    const sessions = Array.from({ length: 4 }, () => connectHttp2(api.url, tls));
    const heapBefore = process.memoryUsage().heapUsed;
    const path = `${maps}?watch=1&resourceVersion=${api.store.revision}&labelSelector=crowd%3Dyes`;
    const seen: Promise<string>[] = [];
    await Promise.all(
      Array.from({ length: 2000 }, (_, i) => {
        const stream = sessions[i % sessions.length]!.request({ ":path": path });
        stream.setEncoding("utf8");
        seen.push(new Promise((resolve) => stream.once("data", resolve)));
        stream.on("error", () => {});
        return new Promise((resolve) => stream.once("response", resolve));
      }),
    );
    // Both ends of each watch live in this process.
    expect(process.memoryUsage().heapUsed - heapBefore).toBeLessThan(200 * 1024 * 1024);
    const body = JSON.stringify({ metadata: { name: "crowd", labels: { crowd: "yes" } } });
    expect((await send("POST", maps, body, json)).status).toBe(201);
    for (const event of await Promise.all(seen)) expect(event).toContain('"type":"ADDED"');
    for (const session of sessions) session.destroy();
    for (const socket of [...idle, ...silent]) socket.destroy();
    expect((await send("GET", `${maps}/crowd`)).status).toBe(200);
  });
});

describe("/metrics", () => {
  const metrics = async (): Promise<Map<string, number>> => {
    const { text } = await send("GET", "/metrics");
    const samples = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    return new Map(samples.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.split(" ").at(-1))]));
  };
  const labels = (verb: string, scope: string, dryRun = "") =>
    `verb="${verb}",group="",version="v1",resource="configmaps",subresource="",scope="${scope}",dry_run="${dryRun}",component="apiserver"`;

  test("counts what was answered, by verb, resource, scope and status, and how long it took", async () => {
    const before = await metrics();
    const of = async (sample: string) => ((await metrics()).get(sample) ?? 0) - (before.get(sample) ?? 0);
    const body = JSON.stringify({ metadata: { name: "counted" } });
    expect((await send("POST", `${maps}?dryRun=All`, body)).status).toBe(201);
    expect((await send("GET", `${maps}/nobody`)).status).toBe(404);
    expect((await send("GET", `${maps}/nobody`)).status).toBe(404);
    expect((await send("GET", maps)).status).toBe(200);
    expect(await of(`apiserver_request_total{${labels("POST", "resource", "All")},code="201"}`)).toBe(1);
    expect(await of(`apiserver_request_total{${labels("GET", "resource")},code="404"}`)).toBe(2);
    expect(await of(`apiserver_request_total{${labels("LIST", "namespace")},code="200"}`)).toBe(1);
    expect(await of(`apiserver_request_duration_seconds_count{${labels("GET", "resource")}}`)).toBe(2);
    expect(await of(`apiserver_request_duration_seconds_bucket{${labels("GET", "resource")},le="+Inf"}`)).toBe(2);
    const now = await metrics();
    expect(now.get('apiserver_current_inflight_requests{request_kind="readOnly"}')).toBe(1);
    expect(now.get('apiserver_storage_objects{resource="namespaces"}')).toBeGreaterThan(1);
    expect(now.get("process_start_time_seconds")).toBeGreaterThan(1e9);
  });

  test("a name that nobody serves leaves no trace", async () => {
    await send("GET", "/apis/nothing.example/v1/namespaces/default/things");
    await send("GET", "/nothing/at/all");
    expect([...(await metrics()).keys()].filter((name) => name.includes("nothing"))).toEqual([]);
  });

  test("the checks of its health are told apart", async () => {
    const { text } = await send("GET", "/metrics/slis");
    expect(text).toContain('kubernetes_healthcheck{name="etcd",type="livez"} 1\n');
    expect(text).toContain('kubernetes_healthcheck{name="shutdown",type="readyz"} 1\n');
  });
});
