/**
 * Objects, patches, bytes, paths and queries changed at random, sent through the HTTPS door: whatever comes, the answer is
 * not a failure of the server. `PINNACE_FUZZ_RUNS` sets how many requests, `PINNACE_FUZZ_SEED` where they begin.
 */
import { type ClientHttp2Session, connect } from "node:http2";
import { afterAll, beforeAll, expect, test } from "vitest";
import { schemaForKind } from "../../api/schema.ts";
import { parseApiVersion } from "../../apimachinery/group-version.ts";
import { encodeEnvelope, encodeMessage } from "../../apimachinery/serializer/protobuf.ts";
import { encodeYaml } from "../../apimachinery/serializer/yaml.ts";
import { admissionPlugins } from "../../apiserver-plugins/admission/catalog.ts";
import { RegistryReader } from "../../apiserver-plugins/object-reader.ts";
import { silentLogger } from "../../base/logger.ts";
import { type Random, seededRandom } from "../../base/random.ts";
import { startTestApiServer, type TestApiServer } from "../api-server.ts";
import { mutateBytes, mutateObject } from "./mutate.ts";
import { seeds } from "./seeds.ts";

const runs = Number(process.env["PINNACE_FUZZ_RUNS"] ?? 600);
const firstSeed = Number(process.env["PINNACE_FUZZ_SEED"] ?? 1);
const atOnce = 8;

let api: TestApiServer;
let session: ClientHttp2Session;
const complaints: string[] = [];
const failures: unknown[] = [];
const onFailure = (error: unknown) => failures.push(error);

beforeAll(async () => {
  process.on("unhandledRejection", onFailure);
  api = await startTestApiServer({
    // Shown with a failing request, to be found out with PINNACE_FUZZ_SEED.
    log: { ...silentLogger, error: (_, fields) => complaints.push(String(fields?.["error"] ?? "")) },
    admission: ({ registry }) => admissionPlugins({ objects: new RegistryReader(registry), random: seededRandom(2) }),
  });
  const accounts = {
    group: "",
    version: "v1",
    kind: "ServiceAccount",
    plural: "serviceaccounts",
    scope: "Namespaced",
  } as const;
  await api.client.create(accounts, { metadata: { name: "default", namespace: "default" } });
  const { pki } = api;
  session = connect(api.url, {
    ca: pki.ca.certificatePem,
    cert: pki.admin.certificatePem,
    key: pki.admin.privateKeyPem,
  });
  session.on("error", onFailure);
});

afterAll(async () => {
  session.destroy();
  await api.close();
  process.off("unhandledRejection", onFailure);
  expect(failures).toEqual([]);
});

test(
  `${runs} requests that nobody should send get an answer that is no failure of the server`,
  async () => {
    for (const { path, object } of seeds) {
      const { status, text } = await send({
        method: "POST",
        path,
        body: JSON.stringify(object),
        type: "application/json",
      });
      expect(status, `${path} ${text}`).toBe(201);
    }
    const broken = new Map<string, string>();
    for (let run = 0; run < runs; run += atOnce) {
      await Promise.all(
        Array.from({ length: atOnce }, async (_, i) => {
          const seed = firstSeed + run + i;
          const request = randomRequest(seededRandom(seed));
          const { status, text } = await send(request);
          // Some requests get a 500 with upstream's words; "Internal error occurred" is what nobody foresaw.
          if (text.includes('"reason":"InternalError"') || status === 0) {
            const { message } = JSON.parse(text || '{"message":"no answer"}');
            if (!broken.has(message)) broken.set(message, `seed ${seed}: ${request.method} ${request.path}`);
          }
        }),
      );
    }
    expect(Object.fromEntries(broken), complaints.join("\n")).toEqual({});
    expect((await send({ method: "GET", path: "/livez" })).text).toBe("ok");
  },
  60_000 + runs * 20,
);

test.each([
  ["a PriorityClass without a name", "POST", "/apis/scheduling.k8s.io/v1/priorityclasses", { value: 1 }, 422],
  [
    "a CronJob without a name",
    "POST",
    "/apis/batch/v1/namespaces/default/cronjobs",
    { spec: { schedule: "@daily" } },
    422,
  ],
  [
    "a merge patch with a number for apiVersion",
    "PATCH",
    "/api/v1/namespaces/default/secrets/found",
    { apiVersion: 5 },
    422,
  ],
  ["a merge patch with a list for kind", "PATCH", "/api/v1/namespaces/default/secrets/found", { kind: ["x"] }, 422],
] as const)("%s is refused: found by fuzzing", async (_, method, path, object, status) => {
  const secrets = "/api/v1/namespaces/default/secrets";
  await send({
    method: "POST",
    path: secrets,
    body: JSON.stringify({ metadata: { name: "found" } }),
    type: "application/json",
  });
  const type = method === "PATCH" ? "application/merge-patch+json" : "application/json";
  expect(await send({ method, path, body: JSON.stringify(object), type })).toMatchObject({ status });
});

interface FuzzRequest {
  method: string;
  path: string;
  body?: string | Buffer;
  type?: string;
}

const pick = <T>(random: Random, list: readonly T[]): T => list[random.int(list.length)]!;
const queries = ["", "", "", "?dryRun=All", "?dryRun=x", "?fieldValidation=Strict", "?pretty=1", "?fieldManager=%01"];
const reads = [
  "limit=1",
  "limit=-1",
  "limit=x",
  "continue=abc",
  "continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEifQ",
  "labelSelector=a%20in%20(b,",
  "labelSelector=!!",
  "fieldSelector=x=y",
  "fieldSelector=metadata.name",
  "resourceVersion=-1",
  "resourceVersion=99999999999999999999",
  "resourceVersion=x",
  "resourceVersionMatch=Exact",
  "resourceVersionMatch=NotOlderThan&resourceVersion=0",
  "timeoutSeconds=x",
  "sendInitialEvents=true",
  "%",
  "a=%ff",
  "watch=true&timeoutSeconds=1&resourceVersion=x",
];

function randomRequest(random: Random): FuzzRequest {
  const seed = pick(random, seeds);
  const one = `${seed.path}/${seed.object.metadata.name}`;
  switch (random.int(9)) {
    case 0:
      return {
        method: "GET",
        path: `${random.int(2) ? seed.path : one}?${pick(random, reads)}&${pick(random, reads)}`,
      };
    case 1:
      return {
        method: pick(random, ["GET", "PUT", "DELETE", "POST", "PATCH", "OPTIONS", "HEAD", "TRACE"]),
        path: oddPath(one, random),
        body: "{}",
        type: "application/json",
      };
    case 2:
      return { method: "POST", path: seed.path + pick(random, queries), ...mutatedBytes(seed.object, random) };
    case 3:
    case 4:
      return { method: "PATCH", path: pathOf(one, random), ...mutatedPatch(seed.object, random) };
    case 5:
      return {
        method: "PUT",
        path: pathOf(one, random),
        body: text(mutateObject(seed.object, random)),
        type: "application/json",
      };
    case 6:
      return { method: "PUT", path: pathOf(one, random), ...mutatedBytes(seed.object, random) };
    default: {
      const mutated = mutateObject(seed.object, random);
      const metadata = (mutated as typeof seed.object | null)?.metadata;
      // So that more than the name is looked at.
      if (metadata?.name === seed.object.metadata.name && typeof metadata === "object")
        metadata.name = `fuzz-${random.int(1e9)}`;
      return { method: "POST", path: seed.path + pick(random, queries), body: text(mutated), type: "application/json" };
    }
  }
}

function pathOf(one: string, random: Random): string {
  return one + pick(random, ["", "", "", "/status", "/scale", "/x"]) + pick(random, queries);
}

function oddPath(path: string, random: Random): string {
  const parts = path.split("/");
  parts[random.int(parts.length)] = pick(random, [
    "",
    "..",
    ".",
    "%2e%2e",
    "%2F",
    "%",
    "%00",
    "a".repeat(2000),
    "__proto__",
    "constructor",
    "-",
    "*",
    "~",
  ]);
  return parts
    .join("/")
    .replaceAll("//", "/")
    .replace(/^(?!\/)/, "/");
}

const text = (value: unknown) => JSON.stringify(value) ?? "";

function mutatedBytes(
  object: object & { apiVersion: string; kind: string },
  random: Random,
): { body: Buffer; type: string } {
  switch (random.int(3)) {
    case 0:
      return { body: mutateBytes(Buffer.from(text(object)), random), type: "application/json" };
    case 1:
      return { body: mutateBytes(Buffer.from(encodeYaml(object)), random), type: "application/yaml" };
    default: {
      const { group, version } = parseApiVersion(object.apiVersion)!;
      const schema = schemaForKind(group, version, object.kind)!;
      const body = mutateBytes(encodeEnvelope(object, encodeMessage(object, schema)), random);
      return { body, type: "application/vnd.kubernetes.protobuf" };
    }
  }
}

function mutatedPatch(
  object: object & { metadata: { name: string } },
  random: Random,
): { body: string | Buffer; type: string } {
  const mutated = mutateObject(object, random);
  switch (random.int(4)) {
    case 0:
      return { body: text(mutated), type: "application/merge-patch+json" };
    case 1:
      return { body: text(withDirectives(mutated, random)), type: "application/strategic-merge-patch+json" };
    case 2:
      return { body: text(mutated), type: "application/apply-patch+yaml" };
    default: {
      const operations = Array.from({ length: 1 + random.int(3) }, () => ({
        op: pick(random, ["add", "remove", "replace", "move", "copy", "test", "x"]),
        path: pick(random, [
          "",
          "/",
          "/metadata/name",
          "/spec",
          "/spec/-",
          "/metadata/labels/a~1b",
          "/spec/template/spec/containers/0",
          "/a/b/c",
          "x",
          "/metadata/labels/__proto__",
        ]),
        from: pick(random, ["/metadata", "/spec", "/spec/template", "", "/x"]),
        value: mutated,
      }));
      const bytes = Buffer.from(text(operations));
      return { body: random.int(3) ? bytes : mutateBytes(bytes, random), type: "application/json-patch+json" };
    }
  }
}

function withDirectives(value: unknown, random: Random): unknown {
  if (Array.isArray(value))
    return [
      ...value.map((item) => withDirectives(item, random)),
      ...(random.int(4) ? [] : [{ $patch: "delete", name: "main" }]),
    ];
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([key, field]) => [key, withDirectives(field, random)] as const);
  const directive = pick(random, [
    ["$patch", "replace"],
    ["$patch", "delete"],
    ["$patch", "merge"],
    ["$patch", "x"],
    ["$retainKeys", ["a"]],
    ["$retainKeys", 1],
    ["$deleteFromPrimitiveList/finalizers", ["a"]],
    ["$setElementOrder/containers", [{ name: "main" }]],
    ["$setElementOrder/ports", "x"],
  ] as const);
  return Object.fromEntries(random.int(5) ? entries : [...entries, directive]);
}

function send({ method, path, body, type }: FuzzRequest): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const hasBody = body !== undefined && method !== "GET" && method !== "HEAD";
    const headers = { ":method": method, ":path": path, ...(type ? { "content-type": type } : {}) };
    const stream = session.request(headers, { endStream: !hasBody });
    let status = 0;
    let answer = "";
    stream.setEncoding("utf8");
    stream.on("response", (headers) => {
      status = headers[":status"] ?? 0;
    });
    stream.on("data", (chunk) => (answer += chunk));
    stream.on("error", (error) => reject(new Error(`${method} ${path}: ${error.message}`)));
    stream.on("close", () => resolve({ status, text: answer }));
    if (hasBody) stream.end(body);
  });
}
