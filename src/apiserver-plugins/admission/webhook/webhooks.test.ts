import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { AdmissionRequest } from "../../../api/admission/v1.ts";
import type { MutatingWebhook, ValidatingWebhook } from "../../../api/admissionregistration/v1.ts";
import {
  ConfigMaps,
  EndpointSlices,
  MutatingWebhookConfigurations,
  Namespaces,
  Services,
  ValidatingWebhookConfigurations,
} from "../../../api/resources.ts";
import { systemClock } from "../../../base/node/system-clock.ts";
import { HttpsClient } from "../../../client/https-client.ts";
import type { TestApiServer } from "../../../testing/api-server.ts";
import { endpointAddress } from "../../../testing/loopback-dial.ts";
import { startPolicyServer } from "../../../testing/policy-server.ts";
import { startWebhookServer, type WebhookAnswer, type WebhookServer } from "../../../testing/webhook-server.ts";
import { policyAuditor } from "../../audit/policy-auditor.ts";

let api: TestApiServer;
let hook: WebhookServer;
const recorded: { verb: string; objectRef?: { resource: string }; annotations?: Record<string, string> }[] = [];
const serve: Record<string, (request: AdmissionRequest) => object | WebhookAnswer> = {};

beforeEach(async () => {
  recorded.length = 0;
  api = await startPolicyServer({
    auditor: policyAuditor({
      policy: { apiVersion: "audit.k8s.io/v1", kind: "Policy", rules: [{ level: "Request" }] },
      clock: systemClock,
      logs: [{ plugin: "log", lostEvents: 0, append: (line) => void recorded.push(JSON.parse(line)) }],
    }),
  });
  hook = await startWebhookServer(
    ({ request }: { request: AdmissionRequest }, path) => {
      const said = serve[path]!(request);
      if (said === "never" || "text" in said) return said as WebhookAnswer;
      return { apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview", response: { uid: request.uid, ...said } };
    },
    { dnsNames: ["hook.default.svc"] },
  );
});
afterEach(async () => {
  await api.close();
  await hook[Symbol.asyncDispose]();
});

const onConfigMaps = {
  apiGroups: [""],
  apiVersions: ["v1"],
  resources: ["configmaps"],
  operations: ["CREATE", "UPDATE"],
};

function webhook(name: string, path: string, more: Partial<MutatingWebhook> = {}): ValidatingWebhook & MutatingWebhook {
  return {
    name,
    clientConfig: { url: `${hook.url}${path}`, caBundle: hook.caBundle },
    rules: [onConfigMaps],
    sideEffects: "None",
    admissionReviewVersions: ["v1"],
    ...more,
  };
}

const validating = (...webhooks: ValidatingWebhook[]) =>
  api.client.create(ValidatingWebhookConfigurations, { metadata: { name: "checks" }, webhooks });
const mutating = (name: string, ...webhooks: MutatingWebhook[]) =>
  api.client.create(MutatingWebhookConfigurations, { metadata: { name }, webhooks });
const configMap = (name: string, data: Record<string, string> = {}, namespace = "default") => ({
  metadata: { name, namespace },
  data,
});
const create = (...args: Parameters<typeof configMap>) => api.client.create(ConfigMaps, configMap(...args));
const patch = (...operations: object[]) => ({
  allowed: true,
  patchType: "JSONPatch",
  patch: Buffer.from(JSON.stringify(operations)).toString("base64"),
});

describe("a validating webhook", () => {
  it("refuses with its own words, code and details", async () => {
    serve["/deny"] = ({ object }) =>
      (object as { data?: Record<string, string> }).data?.["bad"]
        ? { allowed: false, status: { code: 418, reason: "Forbidden", message: "bad data" } }
        : { allowed: true, warnings: ["looked at it"] };
    await validating(webhook("deny.example.com", "/deny"));
    await create("good");
    await expect(create("bad", { bad: "1" })).rejects.toMatchObject({
      code: 418,
      reason: "Forbidden",
      message: 'admission webhook "deny.example.com" denied the request: bad data',
    });
    const { body } = hook.received.at(-1)! as unknown as { body: { request: AdmissionRequest } };
    expect(body.request).toMatchObject({
      kind: { group: "", version: "v1", kind: "ConfigMap" },
      resource: { group: "", version: "v1", resource: "configmaps" },
      name: "bad",
      namespace: "default",
      operation: "CREATE",
      userInfo: { username: "kubernetes-admin" },
      oldObject: null,
      dryRun: false,
      options: { kind: "CreateOptions", apiVersion: "meta.k8s.io/v1" },
      object: { apiVersion: "v1", kind: "ConfigMap", data: { bad: "1" } },
    });
  });

  it("that answers garbage, or for another request, fails the request unless its failures are ignored", async () => {
    serve["/garbage"] = () => ({ status: 200, text: "<html>" });
    serve["/uid"] = () => ({ uid: "other", allowed: true });
    await validating(webhook("uid.example.com", "/uid"));
    await expect(create("a")).rejects.toMatchObject({
      code: 500,
      message: expect.stringMatching(
        /^Internal error occurred: failed calling webhook "uid\.example\.com": received invalid webhook response: expected response\.uid=".+", got "other"$/,
      ),
    });
    await api.client.delete(ValidatingWebhookConfigurations, { name: "checks" });
    await validating(webhook("garbage.example.com", "/garbage", { failurePolicy: "Ignore" }));
    await create("a");
  });

  it("that never answers is waited for no longer than its timeout", async () => {
    serve["/never"] = () => "never";
    await validating(webhook("never.example.com", "/never", { timeoutSeconds: 1 }));
    await expect(create("a")).rejects.toThrow(
      `Internal error occurred: failed calling webhook "never.example.com": failed to call webhook: Post "${hook.url}/never?timeout=1s": context deadline exceeded`,
    );
  });

  it("is asked only about what its selectors and conditions want", async () => {
    serve["/deny"] = () => ({ allowed: false });
    await api.client.create(Namespaces, { metadata: { name: "watched", labels: { watched: "yes" } }, spec: {} });
    await validating(
      webhook("deny.example.com", "/deny", {
        namespaceSelector: { matchLabels: { watched: "yes" } },
        matchConditions: [
          { name: "not-exempt", expression: "!object.metadata.name.startsWith('exempt-')" },
          { name: "not-nodes", expression: "!('system:nodes' in request.userInfo.groups)" },
        ],
      }),
    );
    await create("a");
    await create("exempt-a", {}, "watched");
    await expect(create("a", {}, "watched")).rejects.toThrow(
      'admission webhook "deny.example.com" denied the request without explanation',
    );
  });

  it("whose conditions cannot be evaluated refuses, or is passed over, by its failure policy", async () => {
    const matchConditions = [{ name: "green", expression: "object.data.color == 'green'" }];
    await validating(webhook("open.example.com", "/deny", { matchConditions, failurePolicy: "Ignore" }));
    await create("a", { size: "1" });
    const closed = webhook("closed.example.com", "/deny", { matchConditions });
    await api.client.create(ValidatingWebhookConfigurations, { metadata: { name: "more" }, webhooks: [closed] });
    await expect(create("b", { size: "1" })).rejects.toThrow(
      /^configmaps "b" is forbidden: expression 'object.data.color == 'green'' resulted in error: no such key: color$/,
    );
  });

  it("is reached by its Service", async () => {
    serve["/deny"] = () => ({ allowed: false, status: { message: "no" } });
    await api.client.create(Services, {
      metadata: { name: "hook", namespace: "default" },
      spec: { ports: [{ port: 443 }], clusterIP: "None", clusterIPs: ["None"] },
    });
    await api.client.create(EndpointSlices, {
      metadata: { name: "hook", namespace: "default", labels: { "kubernetes.io/service-name": "hook" } },
      addressType: "IPv4",
      endpoints: [{ addresses: [endpointAddress] }],
      ports: [{ name: "", port: hook.port }],
    });
    const service = { namespace: "default", name: "hook", path: "/deny" };
    await validating(webhook("deny.example.com", "", { clientConfig: { service, caBundle: hook.caBundle } }));
    await expect(create("a")).rejects.toThrow('admission webhook "deny.example.com" denied the request: no');
  });

  it("cannot stand in the way of its own removal", async () => {
    serve["/deny"] = () => ({ allowed: false });
    const rules = [{ apiGroups: ["*"], apiVersions: ["*"], resources: ["*"], operations: ["*"] }];
    await validating(webhook("deny.example.com", "/deny", { rules }));
    await expect(create("a")).rejects.toThrow("denied the request");
    await api.client.delete(ValidatingWebhookConfigurations, { name: "checks" });
    await create("a");
  });
});

describe("mutating webhooks", () => {
  it("see what those before them did, and again when later ones changed it", async () => {
    serve["/first"] = ({ object }) => {
      const { data } = object as { data?: Record<string, string> };
      return data?.["second"]
        ? patch({ op: "add", path: "/data/first-again", value: "1" })
        : patch({ op: "add", path: "/data/first", value: "1" });
    };
    serve["/second"] = () => patch({ op: "add", path: "/data/second", value: "1" });
    await mutating("a", webhook("first.example.com", "/first", { reinvocationPolicy: "IfNeeded" }));
    await mutating("b", webhook("second.example.com", "/second"));
    expect((await create("a", { given: "1" })).data).toEqual({
      given: "1",
      first: "1",
      second: "1",
      "first-again": "1",
    });
    expect(hook.received.map(({ path }) => path)).toEqual(["/first", "/second", "/first"]);
  });

  it("are asked about what those before them made of the object, and each tells the audit log", async () => {
    serve["/label"] = () => patch({ op: "add", path: "/metadata/labels", value: { stage: "two" } });
    serve["/late"] = () => patch({ op: "add", path: "/data/late", value: "1" });
    serve["/same"] = () => ({ ...patch(), auditAnnotations: { seen: "yes" } });
    await mutating("a", webhook("label.example.com", "/label"));
    const objectSelector = { matchLabels: { stage: "two" } };
    await mutating("b", webhook("late.example.com", "/late", { objectSelector }));
    await mutating("c", webhook("none.example.com", "/none", { objectSelector: { matchLabels: { never: "so" } } }));
    await mutating("d", webhook("same.example.com", "/same"));
    const clientConfig = { url: "https://127.0.0.1:1/away", caBundle: hook.caBundle };
    await mutating("e", webhook("away.example.com", "", { failurePolicy: "Ignore", clientConfig }));
    await validating(webhook("gone.example.com", "", { failurePolicy: "Ignore", clientConfig }));
    const { ca, admin } = api.pki;
    const connection = {
      server: api.url,
      ca: ca.certificatePem,
      certificate: admin.certificatePem,
      key: admin.privateKeyPem,
    };
    const client = new HttpsClient({ connection, clock: systemClock, userAgent: "test/1" });
    const made = await client.create(ConfigMaps, configMap("a", { given: "1" }));
    client.close();
    expect(made).toMatchObject({ metadata: { labels: { stage: "two" } }, data: { given: "1", late: "1" } });
    const said = recorded.find(({ annotations = {} }) =>
      Object.keys(annotations).some((key) => key.includes("round_0")),
    );
    const mutated = (configuration: string, name: string, mutated: boolean) =>
      JSON.stringify({ configuration, webhook: `${name}.example.com`, mutated });
    expect(said?.annotations).toMatchObject({
      "mutation.webhook.admission.k8s.io/round_0_index_0": mutated("a", "label", true),
      "mutation.webhook.admission.k8s.io/round_0_index_1": mutated("b", "late", true),
      "mutation.webhook.admission.k8s.io/round_0_index_3": mutated("d", "same", false),
      "mutation.webhook.admission.k8s.io/round_0_index_4": mutated("e", "away", false),
      "patch.webhook.admission.k8s.io/round_0_index_1":
        '{"configuration":"b","webhook":"late.example.com","patch":[{"op":"add","path":"/data/late","value":"1"}],"patchType":"JSONPatch"}',
      "failed-open.mutation.webhook.admission.k8s.io/round_0_index_4": "away.example.com",
      "failed-open.validating.webhook.admission.k8s.io/round_0_index_0": "gone.example.com",
      "same.example.com/seen": "yes",
    });
    expect(Object.keys(said?.annotations ?? {}).filter((key) => key.includes("index_2"))).toEqual([]);
  });

  it.each<[string, object, string]>([
    ["that is no JSON", { patchType: "JSONPatch", patch: "e30-" }, "received undecodable patch in webhook response: "],
    ["of another type", { patchType: "Merge", patch: "e30=" }, 'unsupported patch type "Merge"'],
    ["without its type", { patch: "e30=" }, "received invalid webhook response: webhook returned response.patch but"],
    ["that is not there", { patchType: "JSONPatch" }, "webhook returned response.patchType but not response.patch"],
  ])("may not answer with a patch %s", async (_what, answer, words) => {
    serve["/odd"] = () => ({ allowed: true, ...answer });
    await mutating("a", webhook("odd.example.com", "/odd"));
    await expect(create("a")).rejects.toThrow(words);
  });

  it("may not answer with a patch where they only judge, nor where there is nothing to change", async () => {
    serve["/patch"] = () => patch({ op: "add", path: "/data", value: {} });
    await validating(webhook("judge.example.com", "/patch"));
    await expect(create("a")).rejects.toThrow("validating webhook may not return response.patch");
    await api.client.delete(ValidatingWebhookConfigurations, { name: "checks" });
    await create("a");
    const rules = [{ ...onConfigMaps, operations: ["DELETE"] }];
    await mutating("a", webhook("late.example.com", "/patch", { rules }));
    await expect(api.client.delete(ConfigMaps, { name: "a", namespace: "default" })).rejects.toThrow(
      'admission webhook "late.example.com" attempted to modify the object, which is not supported for this operation',
    );
  });

  it("may not break the object", async () => {
    serve["/break"] = () => patch({ op: "add", path: "/metadata/labels", value: { "not/a/label": "x" } });
    serve["/nowhere"] = () => patch({ op: "remove", path: "/data/missing" });
    await mutating("a", webhook("break.example.com", "/break"));
    await expect(create("a")).rejects.toMatchObject({ code: 422 });
    await api.client.delete(MutatingWebhookConfigurations, { name: "a" });
    await mutating("a", webhook("nowhere.example.com", "/nowhere"));
    await expect(create("a", { a: "1" })).rejects.toMatchObject({ code: 500 });
  });

  it("change nothing in a dry run that is stored, and are not called when they have side effects", async () => {
    serve["/add"] = () => patch({ op: "add", path: "/data", value: { added: "1" } });
    await mutating("a", webhook("add.example.com", "/add", { sideEffects: "NoneOnDryRun" }));
    const made = await api.client.create(ConfigMaps, configMap("a"), { dryRun: true });
    expect(made.data).toEqual({ added: "1" });
    await expect(api.client.get(ConfigMaps, { name: "a", namespace: "default" })).rejects.toThrow("not found");
  });
});
