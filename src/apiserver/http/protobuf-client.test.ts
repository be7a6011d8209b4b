/** A client that speaks protobuf alone, as controller-runtime does for built-in kinds. */
import { request } from "node:https";
import { afterAll, beforeAll, expect, test } from "vitest";
import { schemaForKind } from "../../api/schema.ts";
import { decodeProtobuf, encodeProtobuf, readEnvelope } from "../../apimachinery/serializer/protobuf.ts";
import { startTestApiServer, type TestApiServer } from "../../testing/api-server.ts";

const protobuf = "application/vnd.kubernetes.protobuf";
const maps = "/api/v1/namespaces/default/configmaps";
let api: TestApiServer;

type Typed = { apiVersion: string; kind: string; [field: string]: unknown };

beforeAll(async () => {
  api = await startTestApiServer();
});
afterAll(() => api.close());

function send(method: string, path: string, object?: Typed): Promise<[number, object]> {
  const { ca, admin } = api.pki;
  const tls = { ca: ca.certificatePem, cert: admin.certificatePem, key: admin.privateKeyPem, agent: false };
  const body = object && encodeProtobuf(object, schemaOf(object.apiVersion, object.kind));
  const headers = { accept: protobuf, "content-type": protobuf, "content-length": body?.length ?? 0 };
  return new Promise((resolve, reject) => {
    const sent = request(api.url + path, { method, ...tls, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () => {
        expect(response.headers["content-type"]).toBe(protobuf);
        const bytes = Buffer.concat(chunks);
        const { apiVersion, kind } = readEnvelope(bytes);
        resolve([response.statusCode ?? 0, decodeProtobuf<object>(bytes, schemaOf(apiVersion || "v1", kind))]);
      });
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

function schemaOf(apiVersion: string, kind: string) {
  const schema = schemaForKind("", apiVersion, kind);
  if (!schema) throw new Error(`no schema for ${kind} in ${apiVersion}`);
  return schema;
}

test("creates, reads, lists, replaces and deletes in protobuf", async () => {
  const map = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "p" }, data: { a: "1" } };
  expect(await send("POST", maps, map)).toMatchObject([201, { metadata: { name: "p" }, data: { a: "1" } }]);
  const [, read] = await send("GET", `${maps}/p`);
  expect(await send("PUT", `${maps}/p`, { ...(read as Typed), data: { a: "2" } })).toMatchObject([
    200,
    { data: { a: "2" } },
  ]);
  expect(await send("GET", maps)).toMatchObject([200, { kind: "ConfigMapList", items: [{ data: { a: "2" } }] }]);
  await send("DELETE", `${maps}/p`, { apiVersion: "v1", kind: "DeleteOptions" }).then(([status]) =>
    expect(status).toBe(200),
  );
});

/** The frames of a watch that ends by itself: each four bytes of length and a WatchEvent. */
function watch(path: string, accept: string): Promise<[type: string | undefined, Buffer[]]> {
  const { ca, admin } = api.pki;
  const tls = { ca: ca.certificatePem, cert: admin.certificatePem, key: admin.privateKeyPem, agent: false };
  return new Promise((resolve, reject) => {
    const sent = request(api.url + path, { ...tls, headers: { accept } }, async (response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of response) chunks.push(chunk as Buffer);
      const frames: Buffer[] = [];
      for (let rest = Buffer.concat(chunks); rest.length >= 4; ) {
        const end = 4 + rest.readUInt32BE(0);
        frames.push(rest.subarray(4, end));
        rest = rest.subarray(end);
      }
      resolve([response.headers["content-type"], frames]);
    });
    sent.on("error", reject);
    sent.end();
  });
}

test("a watch of the metadata alone, as clients that keep no more ask for it", async () => {
  await send("POST", maps, { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "seen" }, data: { a: "hidden" } });
  const accept = `${protobuf};as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json`;
  const query =
    "watch=1&timeoutSeconds=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
  const [type, frames] = await watch(`${maps}?${query}`, accept);
  expect(type).toBe(`${protobuf};stream=watch`);
  const schema = schemaForKind("meta.k8s.io", "v1", "PartialObjectMetadata")!;
  // The type, then the object in its envelope, to the end.
  const events = frames.map((frame) => [
    frame.subarray(2, 2 + frame[1]!).toString(),
    decodeProtobuf<object>(frame.subarray(frame.indexOf("k8s\0")), schema),
  ]);
  expect(events.slice(0, 2)).toMatchObject([
    ["ADDED", { metadata: { name: "seen" } }],
    ["BOOKMARK", { metadata: { annotations: { "k8s.io/initial-events-end": "true" } } }],
  ]);
  expect(JSON.stringify(events)).not.toContain("hidden");
});

test("what has no protobuf form comes as the next best that the client takes", async () => {
  const [type] = await watch("/version", `${protobuf},application/json`);
  expect(type).toBe("application/json");
});

test.each([
  ["/api", { versions: ["v1"] }],
  ["/apis/apps", { name: "apps", preferredVersion: { groupVersion: "apps/v1", version: "v1" } }],
  ["/apis/apps/v1", { groupVersion: "apps/v1" }],
])("what there is at %s is told in protobuf", async (path, expected) => {
  expect(await send("GET", path)).toEqual([200, expect.objectContaining(expected)]);
});
