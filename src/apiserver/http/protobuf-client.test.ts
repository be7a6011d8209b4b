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
        resolve([response.statusCode ?? 0, decodeProtobuf<object>(bytes, schemaOf(apiVersion, kind))]);
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
