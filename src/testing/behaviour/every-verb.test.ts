/**
 * Every resource that the release serves by default, with every verb that its discovery lists: each works in each form, or is
 * refused as upstream refuses it. What a body must hold is taken from the corpus of recorded behaviour.
 */
import { type ClientHttp2Session, connect } from "node:http2";
import { resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { resources as discovered } from "../../api/discovery.ts";
import type { DiscoveredResource } from "../../api/discovery-types.ts";
import { accessReviews } from "../../apiserver-plugins/reviews/access-reviews.ts";
import { selfSubjectReview, tokenReview } from "../../apiserver-plugins/reviews/identity-reviews.ts";
import { selfSubjectRulesReview } from "../../apiserver-plugins/reviews/rules-review.ts";
import { bindings } from "../../apiserver-plugins/virtual/bindings.ts";
import { componentStatuses } from "../../apiserver-plugins/virtual/component-statuses.ts";
import { startTestApiServer, type TestApiServer } from "../api-server.ts";
import { readCorpus } from "./behaviour-case.ts";

interface Body {
  apiVersion: string;
  kind: string;
  metadata: { name: string; generateName?: string; namespace?: string; labels?: Record<string, string> };
  [field: string]: unknown;
}

interface Answer {
  status: number;
  type: string;
  warnings: string;
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: whatever the server said
  json: any;
}

const namespace = "every";
/** Of the form that is asked for; what stands in it is for its signer to read. */
/** Of a key of P-256, for CN=jane. */
const signingRequest =
  "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlISU1IRUNBUUF3RHpFTk1Bc0dBMVVFQXd3RWFtRnVaVEJaTUJNR0J5cUdTTTQ5QWdFR0NDcUdTTTQ5QXdFSApBMElBQkphby83WmYveFRTVnhOSWdsRCsrZDhyRDRRa1Z1TDNXZUJlL2JscGZjZGdtb3ZMSDVqcGRFcVQ4YlhyCmxMV2tBbytUZkd4OWlMQXlqbHJVYnJNRnRGMmdBREFLQmdncWhrak9QUVFEQWdOSEFEQkVBaUFSMnVKZ29pdVMKZE1nbTlUZ1VhRjcvNjQ0Vnd2RU16QjZQMHU3QnFjZmZkUUlnVHBWUlc3c0J3cVBaUVJMd0Z3V2swMERERDdRNgplbm91c21kQ29IN2M0OEE9Ci0tLS0tRU5EIENFUlRJRklDQVRFIFJFUVVFU1QtLS0tLQo=";
let api: TestApiServer;
let session: ClientHttp2Session;

beforeAll(async () => {
  api = await startTestApiServer({
    virtualResources: (access) => [
      bindings(access),
      componentStatuses({ "etcd-0": () => "ok" }),
      selfSubjectReview(access.clock),
      tokenReview(() => access.pipeline.authenticators, []),
      ...accessReviews(() => access.pipeline.authorizers),
      selfSubjectRulesReview(() => []),
    ],
  });
  session = connect(api.url, {
    ca: api.pki.ca.certificatePem,
    cert: api.pki.admin.certificatePem,
    key: api.pki.admin.privateKeyPem,
  });
  const body = { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } };
  expect((await send("POST", "/api/v1/namespaces", body)).status).toBe(201);
});

afterAll(async () => {
  session.destroy();
  await api.close();
});

/** With `lines`, leaves the answer after so many of them: a watch. */
function send(
  method: string,
  path: string,
  body?: object,
  { accept = "application/json", type = "application/json", lines = 0 } = {},
): Promise<Answer> {
  return new Promise((done, failed) => {
    const bytes = body === undefined ? undefined : JSON.stringify(body);
    const stream = session.request(
      { ":method": method, ":path": path, accept, ...(bytes === undefined ? {} : { "content-type": type }) },
      { endStream: bytes === undefined },
    );
    let head: Record<string, unknown> = {};
    const chunks: Buffer[] = [];
    const finish = () => {
      const text = Buffer.concat(chunks).toString("latin1");
      let json: unknown;
      try {
        json = JSON.parse(lines > 0 ? text.slice(0, text.indexOf("\n")) : text);
      } catch {}
      const { ":status": status, "content-type": contentType, warning } = head;
      done({ status: Number(status), type: String(contentType), warnings: String(warning ?? ""), text, json });
    };
    stream.on("response", (headers) => (head = headers));
    stream.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      if (lines > 0 && chunk.includes(10)) {
        finish();
        stream.close();
      }
    });
    stream.on("end", finish);
    stream.on("error", failed);
    if (bytes !== undefined) stream.end(bytes);
  });
}

/** The first object of each resource that the corpus creates, by the collection's path. */
const recorded = new Map<string, Body>();
for (const { cases } of readCorpus(resolve("test/compare"))) {
  for (const { steps } of cases) {
    for (const { method, path, body, expect: expected } of steps) {
      if (method !== "POST" || expected?.status !== 201 || typeof body !== "object" || !body) continue;
      const [at, own] = [path, JSON.stringify(body)].map((text) => text.replaceAll("{{ns}}", namespace)) as [
        string,
        string,
      ];
      if (!recorded.has(at)) recorded.set(at, JSON.parse(own));
    }
  }
}

const everything = Object.entries(discovered).flatMap(([apiVersion, all]) =>
  all.map((resource) => [`${apiVersion} ${resource.name}`, apiVersion, resource] as const),
);

const table = "application/json;as=Table;v=v1;g=meta.k8s.io";
const partial = (list = "") => `application/json;as=PartialObjectMetadata${list};v=v1;g=meta.k8s.io`;

function pathOf(apiVersion: string, { name, namespaced }: DiscoveredResource): string {
  const root = apiVersion === "v1" ? "/api/v1" : `/apis/${apiVersion}`;
  return namespaced ? `${root}/namespaces/${namespace}/${name}` : `${root}/${name}`;
}

/** Bodies of what the corpus has none of. */
const others: Record<string, object> = {
  "apiregistration.k8s.io/v1 apiservices": {
    metadata: { name: "v1.every.example.com" },
    spec: { group: "every.example.com", version: "v1", groupPriorityMinimum: 100, versionPriority: 10 },
  },
  "certificates.k8s.io/v1 certificatesigningrequests": {
    metadata: { name: "every" },
    spec: { request: signingRequest, signerName: "example.com/any", usages: ["client auth"] },
  },
  "networking.k8s.io/v1 ipaddresses": {
    metadata: { name: "192.0.2.7" },
    spec: { parentRef: { resource: "services", namespace, name: "any" } },
  },
  "apiextensions.k8s.io/v1 customresourcedefinitions": {
    metadata: { name: "evers.every.example.com" },
    spec: {
      group: "every.example.com",
      scope: "Namespaced",
      names: { plural: "evers", kind: "Ever" },
      versions: [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: { type: "object" } } }],
    },
  },
};

/** Kinds whose names say something: none can be drawn. */
const namedByContent = ["apiservices", "customresourcedefinitions", "ipaddresses"];

function bodyOf(apiVersion: string, resource: DiscoveredResource): Body {
  const id = `${apiVersion} ${resource.name}`;
  const body = recorded.get(pathOf(apiVersion, resource));
  const own = { apiVersion, kind: resource.kind, ...(others[id] ?? body) } as Body;
  if (!own.metadata) throw new Error(`there is no body for ${id}`);
  return own;
}

const stored = everything.filter(([, , { verbs }]) => verbs.includes("create") && verbs.includes("get"));
const asked = everything.filter(([, , { verbs }]) => verbs.join() === "create");

describe.each(stored)("%s", (_, apiVersion, resource) => {
  const collection = pathOf(apiVersion, resource);
  const body = bodyOf(apiVersion, resource);
  const { name } = body.metadata;
  const item = `${collection}/${name}`;
  const isThere = async () => (await send("GET", item)).status === 200;
  const has = (verb: string) => resource.verbs.includes(verb);

  test("a dry run creates nothing, and unknown fields are refused, warned of or ignored", async () => {
    const { name: _name, ...unnamed } = body.metadata;
    const drawn = await send("POST", `${collection}?dryRun=All`, {
      ...body,
      metadata: { ...unnamed, generateName: "drawn-" },
    });
    if (namedByContent.includes(resource.name)) expect(drawn.status).toBe(422);
    else {
      expect([drawn.status, drawn.text]).toEqual([201, expect.anything()]);
      expect(drawn.json.metadata.name).toMatch(/^drawn-[a-z0-9]{5}$/);
      expect((await send("GET", `${collection}/${drawn.json.metadata.name}`)).status).toBe(404);
    }
    const wrong = { ...body, bogus: 1, metadata: { ...body.metadata, wrong: "x" } };
    const strict = await send("POST", `${collection}?fieldValidation=Strict`, wrong);
    expect(strict.json).toMatchObject({ code: 400, reason: "BadRequest" });
    for (const field of ["bogus", "metadata.wrong"]) expect(strict.json.message).toContain(`unknown field "${field}"`);
    const warned = await send("POST", `${collection}?fieldValidation=Warn&dryRun=All`, wrong);
    expect([warned.status, warned.warnings]).toEqual([201, expect.stringContaining('unknown field \\"bogus\\"')]);
    const ignored = await send("POST", `${collection}?fieldValidation=Ignore&dryRun=All`, wrong);
    expect([ignored.status, ignored.warnings]).toEqual([201, expect.not.stringContaining("unknown field")]);
    expect(ignored.json).not.toHaveProperty("bogus");
    expect(await isThere()).toBe(false);
  });

  test("it is created once, read in every form, and found by lists and watches", async () => {
    const created = await send("POST", collection, body);
    expect([created.status, created.text]).toEqual([201, expect.anything()]);
    expect(created.json).toMatchObject({
      apiVersion,
      kind: resource.kind,
      metadata: {
        name,
        uid: expect.any(String),
        resourceVersion: expect.any(String),
        creationTimestamp: expect.any(String),
      },
    });
    expect((await send("POST", collection, body)).json).toMatchObject({ code: 409, reason: "AlreadyExists" });
    expect((await send("GET", item)).json).toEqual(created.json);
    const listed = await send("GET", `${collection}?fieldSelector=metadata.name%3D${name}`);
    expect(listed.json).toMatchObject({
      kind: `${resource.kind}List`,
      apiVersion,
      items: [{ metadata: created.json.metadata }],
    });
    expect((await send("GET", `${collection}?labelSelector=no%3Dsuch`)).json.items).toEqual([]);

    const watch = `${collection}?watch=1&fieldSelector=metadata.name%3D${name}`;
    for (const suffix of ["", "List"]) {
      const where = suffix ? `${collection}?fieldSelector=metadata.name%3D${name}` : item;
      const asTable = await send("GET", where, undefined, { accept: table });
      expect(asTable.json).toMatchObject({
        kind: "Table",
        rows: [{ object: { kind: "PartialObjectMetadata", metadata: { name } } }],
      });
      expect(asTable.json.rows[0].cells).toHaveLength(asTable.json.columnDefinitions.length);
      expect(asTable.json.rows[0].cells[0]).toContain(resource.name === "events" ? "" : name);
      const metadataAlone = await send("GET", where, undefined, { accept: partial(suffix) });
      expect(metadataAlone.json.kind).toBe(`PartialObjectMetadata${suffix}`);
      const yaml = await send("GET", where, undefined, { accept: "application/yaml" });
      expect([yaml.type, yaml.text]).toEqual([
        "application/yaml",
        expect.stringContaining(`name: ${JSON.stringify(name)}`.replaceAll('"', "").slice(0, 12)),
      ]);
      const protobuf = await send("GET", where, undefined, { accept: "application/vnd.kubernetes.protobuf" });
      expect([protobuf.type, protobuf.text.slice(0, 4)]).toEqual(["application/vnd.kubernetes.protobuf", "k8s\0"]);
    }
    expect((await send("GET", watch, undefined, { lines: 1 })).json).toEqual({ type: "ADDED", object: created.json });
    expect((await send("GET", watch, undefined, { lines: 1, accept: table })).json).toMatchObject({
      type: "ADDED",
      object: { kind: "Table" },
    });
    expect((await send("GET", watch, undefined, { lines: 1, accept: partial() })).json).toMatchObject({
      type: "ADDED",
      object: { kind: "PartialObjectMetadata", metadata: { name } },
    });
    for (const accept of ["text/html", "application/cbor"])
      expect((await send("GET", item, undefined, { accept })).status).toBe(406);
  });

  test("it is replaced and patched in every way, and a dry run changes nothing", async () => {
    await changes(item, "", apiVersion, resource, body);
  });

  const statuses = resource.subresources.filter(({ name: sub }) => ["status", "approval", "scale"].includes(sub));
  if (statuses.length > 0)
    test(`${statuses.map(({ name: sub }) => sub)} are read, replaced and patched`, async () => {
      for (const { name: sub, verbs, kind } of statuses) {
        expect(verbs).toEqual(["get", "patch", "update"]);
        expect((await send("GET", `${item}/${sub}`)).json.kind).toBe(kind.kind);
        await changes(item, `/${sub}`, apiVersion, resource, body);
      }
    });

  test("it is deleted, alone and with its collection, but not by a dry run", async () => {
    expect((await send("DELETE", `${item}?dryRun=All`)).status).toBe(200);
    expect(await isThere()).toBe(true);
    const uid = { kind: "DeleteOptions", apiVersion: "v1", preconditions: { uid: "somebody-elses" } };
    expect((await send("DELETE", item, uid)).json).toMatchObject({ code: 409, reason: "Conflict" });
    await remove(item);
    if (!has("deletecollection")) return;
    const again = { ...body, metadata: { ...body.metadata, labels: { sweep: "yes" } } };
    expect((await send("POST", collection, again)).status).toBe(201);
    const some = `${collection}?labelSelector=sweep%3Dyes`;
    expect((await send("DELETE", `${some}&dryRun=All`)).status).toBe(200);
    expect(await isThere()).toBe(true);
    expect((await send("DELETE", some)).status).toBe(200);
    await remove(item);
  });

  test("what it has no verb for is not allowed", async () => {
    const refusals = [
      ["PUT", collection],
      ["PATCH", collection],
      ["POST", item],
      ...(has("deletecollection") ? [] : [["DELETE", collection]]),
    ] as const;
    for (const [method, path] of refusals)
      expect((await send(method, path, method === "DELETE" ? undefined : body)).json).toMatchObject({
        code: 405,
        reason: "MethodNotAllowed",
      });
  });
});

const questions: Record<string, object> = {
  bindings: { metadata: { name: "nobody" }, target: { kind: "Node", name: "nowhere" } },
  selfsubjectreviews: {},
  tokenreviews: { spec: { token: "zzz" } },
  localsubjectaccessreviews: {
    metadata: { namespace },
    spec: { user: "nobody", resourceAttributes: { namespace, verb: "get", resource: "pods" } },
  },
  selfsubjectaccessreviews: { spec: { resourceAttributes: { verb: "get", resource: "pods" } } },
  selfsubjectrulesreviews: { spec: { namespace } },
  subjectaccessreviews: { spec: { user: "nobody", nonResourceAttributes: { path: "/x", verb: "get" } } },
};

test.each(asked)("%s answers what is asked, and can do nothing else", async (_, apiVersion, resource) => {
  const path = pathOf(apiVersion, resource);
  const body = { apiVersion, kind: resource.kind, ...questions[resource.name] };
  const answer = (await send("POST", path, body)).json;
  if (resource.name === "bindings") expect(answer).toMatchObject({ code: 404, message: 'pods "nobody" not found' });
  else expect(answer).toMatchObject({ apiVersion, kind: resource.kind, status: expect.anything() });
  const strict = await send("POST", `${path}?fieldValidation=Strict`, { ...body, bogus: 1 });
  expect(strict.json).toMatchObject({ code: 400, message: expect.stringContaining('unknown field "bogus"') });
  for (const method of ["GET", "DELETE", "PUT"])
    expect((await send(method, path)).json).toMatchObject({ code: 405, reason: "MethodNotAllowed" });
});

const further = everything.flatMap(([, apiVersion, resource]) =>
  resource.subresources
    .filter(({ name }) => !["status", "approval", "scale"].includes(name))
    .map(
      ({ name, verbs }) => [`${resource.name}/${name}`, `${pathOf(apiVersion, resource)}/any/${name}`, verbs] as const,
    ),
);

test.each(further)("%s knows its verbs and no others", async (_, path, verbs) => {
  const methods = { get: "GET", create: "POST", update: "PUT", patch: "PATCH", delete: "DELETE" };
  for (const [verb, method] of Object.entries(methods)) {
    const { status, json } = await send(method, path, method === "GET" || method === "DELETE" ? undefined : {});
    // What it says to an empty body, or of an object that is not there, is another matter.
    if (verbs.includes(verb)) expect([verb, status]).not.toEqual([verb, 405]);
    else expect([verb, json]).toMatchObject([verb, { code: 405, reason: "MethodNotAllowed" }]);
  }
});

test("component statuses are read and nothing else", async () => {
  const path = "/api/v1/componentstatuses";
  expect((await send("GET", path)).json).toMatchObject({
    kind: "ComponentStatusList",
    items: [{ metadata: { name: "etcd-0" } }],
  });
  expect((await send("GET", `${path}/etcd-0`)).json).toMatchObject({ kind: "ComponentStatus" });
  expect((await send("GET", path, undefined, { accept: table })).json).toMatchObject({ kind: "Table" });
  expect((await send("POST", path, {})).status).toBe(405);
});

test.each(Object.entries(discovered))("discovery tells of %s what upstream's tells", async (apiVersion, all) => {
  const { json } = await send("GET", apiVersion === "v1" ? "/api/v1" : `/apis/${apiVersion}`);
  const told = json.resources as {
    name: string;
    singularName: string;
    kind: string;
    namespaced: boolean;
    verbs: string[];
    shortNames?: string[];
    categories?: string[];
  }[];
  const expected = all.flatMap(({ subresources, ...resource }) => [
    resource,
    ...subresources.map(({ name, kind, verbs }) => ({
      name: `${resource.name}/${name}`,
      singularName: "",
      kind: kind.kind,
      namespaced: resource.namespaced,
      verbs,
      shortNames: [],
      categories: [],
    })),
  ]);
  const plain = told.map(({ name, singularName, kind, namespaced, verbs, shortNames = [], categories = [] }) => ({
    name,
    singularName,
    kind,
    namespaced,
    verbs,
    shortNames,
    categories,
  }));
  expect(sorted(plain)).toEqual(sorted(expected));
});

function sorted<T extends { name: string }>(some: readonly T[]): T[] {
  return [...some].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** PUT and every type of patch at `item` and below; each first without effect. */
async function changes(item: string, sub: string, apiVersion: string, resource: DiscoveredResource, body: Body) {
  const read = async () => (await send("GET", item + sub)).json;
  const label = (by: string) => ({ metadata: { labels: { by } } });
  const isScale = sub === "/scale";
  const patches: [type: string, patch: object, query?: string][] = [
    ["application/merge-patch+json", isScale ? { spec: { replicas: 3 } } : label("merge")],
    ["application/strategic-merge-patch+json", isScale ? { spec: { replicas: 4 } } : label("strategic")],
    [
      "application/json-patch+json",
      isScale
        ? [{ op: "replace", path: "/spec/replicas", value: 5 }]
        : [{ op: "add", path: "/metadata/annotations", value: { by: "json" } }],
    ],
    [
      "application/apply-patch+yaml",
      isScale
        ? { apiVersion: "autoscaling/v1", kind: "Scale", metadata: { name: body.metadata.name }, spec: { replicas: 6 } }
        : {
            ...(sub ? { apiVersion, kind: resource.kind } : body),
            metadata: { name: body.metadata.name, labels: { by: "apply" } },
          },
      "fieldManager=sweep&force=true",
    ],
  ];
  for (const [type, patch, query = ""] of patches) {
    const before = await read();
    const dry = await send("PATCH", `${item}${sub}?dryRun=All&${query}`, patch, { type });
    expect([type, dry.status, dry.text]).toEqual([type, 200, expect.anything()]);
    expect(await read()).toEqual(before);
    const real = await send("PATCH", `${item}${sub}?${query}`, patch, { type });
    expect([type, real.status]).toEqual([type, 200]);
    const after = await read();
    expect(real.json).toEqual(after);
    if (isScale)
      expect(after.spec.replicas).toBe(
        before.spec.replicas === 0 ? after.spec.replicas : Number(dry.json.spec.replicas),
      );
    else if (sub === "") {
      expect(after.metadata.resourceVersion).not.toBe(before.metadata.resourceVersion);
      if (query === "") continue;
      const unnamed = await send("PATCH", item, patch, { type });
      expect([unnamed.status, unnamed.json.message]).toEqual([
        422,
        expect.stringContaining("is required for apply patch"),
      ]);
    }
  }
  expect((await send("PATCH", item + sub, {}, { type: "application/cbor" })).status).toBe(415);
  const before = await read();
  const next = isScale
    ? { ...before, spec: { replicas: 2 } }
    : { ...before, metadata: { ...before.metadata, labels: { by: "put" } } };
  expect((await send("PUT", `${item}${sub}?dryRun=All`, next)).status).toBe(200);
  expect(await read()).toEqual(before);
  const put = await send("PUT", item + sub, next);
  expect([put.status, put.text]).toEqual([200, expect.anything()]);
  expect(put.json).toEqual(await read());
  // A second time it is out of date, unless the first changed nothing.
  if (put.json.metadata.resourceVersion !== before.metadata.resourceVersion)
    expect((await send("PUT", item + sub, next)).json).toMatchObject({ code: 409, reason: "Conflict" });
}

/** Deletes, and plays whoever must let go of it first. */
async function remove(item: string) {
  const { status } = await send("DELETE", item);
  expect([200, 202, 404]).toContain(status);
  const left = await send("GET", item);
  if (left.status === 404) return;
  expect(left.json.metadata.deletionTimestamp).toEqual(expect.any(String));
  const { finalizers: _finalizers, ...metadata } = left.json.metadata;
  if (left.json.kind === "Namespace") await send("PUT", `${item}/finalize`, { ...left.json, spec: { finalizers: [] } });
  else await send("PUT", item, { ...left.json, metadata });
  expect((await send("GET", item)).status).toBe(404);
}
