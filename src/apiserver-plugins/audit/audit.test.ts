import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { ConfigMaps } from "../../api/resources.ts";
import { schemaForKind } from "../../api/schema.ts";
import { encodeProtobuf } from "../../apimachinery/serializer/protobuf.ts";
import { silentLogger } from "../../base/logger.ts";
import { systemClock } from "../../base/node/system-clock.ts";
import { SteppedClock } from "../../base/stepped-clock.ts";
import { HttpsClient } from "../../client/https-client.ts";
import { startTestApiServer, type TestApiServer } from "../../testing/api-server.ts";
import { startWebhookServer } from "../../testing/webhook-server.ts";
import { plainDial } from "../webhooks/service-route.ts";
import { WebhookCaller } from "../webhooks/webhook-caller.ts";
import { type AuditPolicy, decide } from "./policy.ts";
import { policyAuditor } from "./policy-auditor.ts";
import { RotatedLog } from "./rotated-log.ts";
import { WebhookLog } from "./webhook-log.ts";

const policy: AuditPolicy = {
  apiVersion: "audit.k8s.io/v1",
  kind: "Policy",
  omitStages: ["RequestReceived"],
  rules: [
    { level: "None", nonResourceURLs: ["/healthz*", "/api*", "/openapi*"] },
    { level: "Metadata", resources: [{ group: "", resources: ["secrets"] }] },
    {
      level: "RequestResponse",
      resources: [{ group: "", resources: ["configmaps"] }],
      verbs: ["create"],
      omitManagedFields: true,
    },
    { level: "None" },
  ],
};

let api: TestApiServer;
const events: never[] = [];
beforeAll(async () => {
  const log = {
    plugin: "log",
    lostEvents: 0,
    append: (line: string) => void events.push(JSON.parse(line) as never),
  };
  api = await startTestApiServer({ auditor: policyAuditor({ policy, clock: systemClock, logs: [log] }) });
});
afterAll(() => api.close());

it("requests are recorded as the policy's first fitting rule asks", async () => {
  const { pki } = api;
  const connection = {
    server: api.url,
    ca: pki.ca.certificatePem,
    certificate: pki.admin.certificatePem,
    key: pki.admin.privateKeyPem,
  };
  const client = new HttpsClient({ connection, clock: systemClock, userAgent: "test/1" });
  await client.create(ConfigMaps, { metadata: { name: "a", namespace: "default" }, data: { a: "1" } });
  await client.get(ConfigMaps, { name: "a", namespace: "default" });
  expect(events).toEqual([
    expect.objectContaining({
      kind: "Event",
      level: "RequestResponse",
      stage: "ResponseComplete",
      verb: "create",
      user: {
        username: "kubernetes-admin",
        groups: ["system:masters", "system:authenticated"],
        extra: { "authentication.kubernetes.io/credential-id": [expect.stringMatching(/^X509SHA256=[0-9a-f]{64}$/)] },
      },
      objectRef: { resource: "configmaps", namespace: "default", name: "a", apiVersion: "v1" },
      responseStatus: { metadata: {}, code: 201 },
      requestObject: expect.objectContaining({ data: { a: "1" } }),
      responseObject: expect.objectContaining({ kind: "ConfigMap" }),
      annotations: { "authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": "" },
    }),
  ]);
  client.close();
});

it("bodies are recorded as JSON however they came, lists without managed fields, and who stands behind a proxy", async () => {
  const everything: AuditPolicy = {
    apiVersion: "audit.k8s.io/v1",
    kind: "Policy",
    omitManagedFields: true,
    rules: [{ level: "RequestResponse", resources: [{ group: "*" }] }],
  };
  interface Recorded {
    stage: string;
    verb: string;
    userAgent: string;
    sourceIPs: string[];
    objectRef: object;
    requestObject?: { data: object };
    responseObject?: { kind: string; items?: { metadata: object }[] };
    responseStatus: object;
  }
  const recorded: Recorded[] = [];
  const log = { plugin: "log", lostEvents: 0, append: (line: string) => void recorded.push(JSON.parse(line)) };
  await using server = await startTestApiServer({
    auditor: policyAuditor({ policy: everything, clock: systemClock, logs: [log] }),
  });
  const { ca, admin } = server.pki;
  const ask = (method: string, path: string, headers: Record<string, string> = {}, body?: Uint8Array | string) =>
    new Promise<number>((resolve, reject) => {
      const url = new URL(`/api/v1/namespaces/default/configmaps${path}`, server.url);
      const tls = { ca: ca.certificatePem, cert: admin.certificatePem, key: admin.privateKeyPem, agent: false };
      const asking = request(url, { method, headers, ...tls }, (response) => {
        if (path.includes("watch")) response.destroy();
        response.resume().once("close", () => resolve(response.statusCode!));
      });
      asking.once("error", reject).end(body);
    });
  const ended = (verb: string, stage = "ResponseComplete") =>
    vi.waitFor(
      () => {
        const found = recorded.findLast((event) => event.verb === verb && event.stage === stage);
        expect(found).toBeDefined();
        return found!;
      },
      { timeout: 10_000 },
    );
  const message = encodeProtobuf(
    { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "wire" }, data: { a: "1" } },
    schemaForKind("", "v1", "ConfigMap")!,
  );
  const protobuf = "application/vnd.kubernetes.protobuf";
  expect(await ask("POST", "", { "content-type": protobuf, accept: protobuf }, message)).toBe(201);
  expect(await ended("create")).toMatchObject({
    objectRef: { resource: "configmaps", namespace: "default", name: "wire", apiVersion: "v1" },
    requestObject: { kind: "ConfigMap", data: { a: "1" } },
    responseObject: { kind: "ConfigMap", metadata: { name: "wire" } },
  });
  const yaml = { "content-type": "application/apply-patch+yaml", "x-forwarded-for": "10.1.1.1, nobody, 10.1.1.2" };
  const applied = "apiVersion: v1\nkind: ConfigMap\ndata: {b: '2'}\n";
  await ask("PATCH", "/wire?fieldManager=t", { ...yaml, "user-agent": "x".repeat(2000) }, applied);
  const patch = await ended("patch");
  expect(patch.requestObject?.data).toEqual({ b: "2" });
  expect(patch.sourceIPs).toEqual(["10.1.1.1", "10.1.1.2", "127.0.0.1"]);
  expect(patch.userAgent).toBe(`${"x".repeat(1024)}...TRUNCATED`);
  await ask("GET", "", { "accept-encoding": "gzip" });
  const { responseObject } = await ended("list");
  expect(responseObject?.kind).toBe("ConfigMapList");
  expect(responseObject?.items?.map(({ metadata }) => "managedFields" in metadata)).toEqual([false]);
  await ask("GET", "?watch=1");
  expect((await ended("watch", "ResponseStarted")).responseStatus).toEqual({ metadata: {}, code: 200 });
  expect(recorded.filter(({ stage }) => stage === "ResponseStarted").map(({ verb }) => verb)).toEqual(["watch"]);
  await ask("GET", "/nothing");
  expect((await ended("get")).responseStatus).toEqual({
    metadata: {},
    status: "Failure",
    message: 'configmaps "nothing" not found',
    reason: "NotFound",
    details: { name: "nothing", kind: "configmaps" },
    code: 404,
  });
});

it("rules match users, subresources, names and URLs", () => {
  const asked = {
    user: { name: "bob", groups: ["dev"] },
    verb: "get",
    isResource: true,
    group: "",
    version: "v1",
    resource: "pods",
    subresource: "log",
    namespace: "a",
    name: "x",
    path: "",
  };
  const level = (rule: object, more: object = {}) =>
    decide({ ...policy, rules: [{ level: "Metadata", ...rule }] }, { ...asked, ...more }).level;
  expect(level({ resources: [{ resources: ["pods"] }] })).toBe("None");
  expect(level({ resources: [{ resources: ["pods/*"] }] })).toBe("Metadata");
  expect(level({ resources: [{ resources: ["*/log"], resourceNames: ["x"] }] })).toBe("Metadata");
  expect(level({ userGroups: ["ops"] })).toBe("None");
  expect(level({ namespaces: ["a"], verbs: ["get"] })).toBe("Metadata");
  expect(level({ nonResourceURLs: ["/metrics"] }, { isResource: false, path: "/metrics" })).toBe("Metadata");
});

it("the log is put aside when it is full, and old ones go", async () => {
  const folder = mkdtempSync(join(tmpdir(), "pnt-policy-audit-"));
  const path = join(folder, "audit.log");
  const log = new RotatedLog({ path, maximumSize: 100, maximumBackups: 2, clock: systemClock, log: silentLogger });
  for (let i = 0; i < 8; i++) {
    const line = `${i}${"x".repeat(60)}`;
    log.append(line);
    await vi.waitFor(() => expect(readFileSync(path, "utf8")).toContain(line), { timeout: 10_000 });
  }
  expect(readdirSync(folder)).toHaveLength(3);
  log.close();
  rmSync(folder, { recursive: true });
});

it("a full disk loses events and counts them, requests go on, and the log too when there is room", async () => {
  const folder = mkdtempSync(join(tmpdir(), "pnt-policy-audit-full-"));
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", folder]);
  const path = join(folder, "audit.log");
  const log = new RotatedLog({ path, maximumSize: 1 << 20, maximumBackups: 2, clock: systemClock, log: silentLogger });
  try {
    const everything: AuditPolicy = { apiVersion: "audit.k8s.io/v1", kind: "Policy", rules: [{ level: "Metadata" }] };
    const auditor = policyAuditor({ policy: everything, clock: systemClock, logs: [log] });
    await using full = await startTestApiServer({ auditor });
    const { pki } = full;
    const connection = {
      server: full.url,
      ca: pki.ca.certificatePem,
      certificate: pki.admin.certificatePem,
      key: pki.admin.privateKeyPem,
    };
    const client = new HttpsClient({ connection, clock: systemClock, userAgent: "test/1" });
    const lost = () => Number(/apiserver_audit_error_total\{plugin="log"\} (\d+)/.exec(auditor.metrics!())?.[1]);
    for (let i = 0; lost() === 0 && i < 1000; i++) await client.list(ConfigMaps, { namespace: "default" });
    for (let i = 0; i < 20; i++) await client.list(ConfigMaps, { namespace: "default" });
    expect(lost()).toBeGreaterThan(0);
    truncateSync(path, 0);
    await client.create(ConfigMaps, { metadata: { name: "room", namespace: "default" } });
    await vi.waitFor(
      () => {
        const last = readFileSync(path, "utf8").trim().split("\n").at(-1)!;
        expect(JSON.parse(last)).toMatchObject({ verb: "create", stage: "ResponseComplete" });
      },
      { timeout: 10_000 },
    );
    client.close();
  } finally {
    log.close();
    execFileSync("umount", [folder]);
    rmSync(folder, { recursive: true });
  }
});

it("events go to a webhook many at a time, again when it fails, and nobody waits for it", async () => {
  const batches: string[][] = [];
  let fails = 1;
  await using hook = await startWebhookServer((list: { items: { auditID: string }[] }) => {
    if (fails-- > 0) return { status: 503, text: "later" };
    batches.push(list.items.map(({ auditID }) => auditID));
    return { status: 200, text: "" };
  });
  const clock = new SteppedClock();
  const route = () => Promise.reject(new Error("there are no Services here"));
  const caller = new WebhookCaller({ router: { dial: plainDial, route }, clock: systemClock });
  const target = { url: `${hook.url}/audit`, caBundle: hook.caBundle };
  const log = new WebhookLog({ target, caller, clock, log: silentLogger });
  for (let i = 0; i < 450; i++) log.append(JSON.stringify({ auditID: String(i) }));
  // The first attempt fails; the second comes after a pause, which the clock holds until then.
  await vi.waitFor(() => expect(hook.received).toHaveLength(1), { timeout: 10_000 });
  await vi.waitFor(
    async () => {
      await clock.advance(10_000);
      expect(batches.map((batch) => batch.length)).toEqual([400]);
    },
    { timeout: 10_000 },
  );
  await log.close();
  expect(batches.flat()).toEqual(Array.from({ length: 450 }, (_, i) => String(i)));
  caller.close();
});
