import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Attributes } from "../../apiserver/authorization.ts";
import { silentLogger } from "../../base/logger.ts";
import { systemClock } from "../../base/node/system-clock.ts";
import { startWebhookServer, type WebhookAnswer, type WebhookServer } from "../../testing/webhook-server.ts";
import { plainDial } from "../webhooks/service-route.ts";
import { WebhookCaller } from "../webhooks/webhook-caller.ts";
import {
  type AuthorizationConfiguration,
  authorizationConfigurationErrors,
  type WebhookConfiguration,
} from "./authorization-configuration.ts";
import { WebhookAuthorizer } from "./webhook-authorizer.ts";

const webhook: WebhookConfiguration = {
  timeout: "3s",
  subjectAccessReviewVersion: "v1",
  failurePolicy: "NoOpinion",
  connectionInfo: { type: "KubeConfigFile", kubeConfigFile: "/etc/hook" },
};

const attributes: Attributes = {
  user: { name: "ada", groups: ["dev"], uid: "1", extra: { scope: ["a"] } },
  verb: "list",
  isResource: true,
  group: "apps",
  version: "v1",
  resource: "deployments",
  subresource: "",
  namespace: "blue",
  name: "",
  path: "/apis/apps/v1/namespaces/blue/deployments",
};

describe("an authorization webhook", () => {
  let hook: WebhookServer;
  let caller: WebhookCaller;
  let answer: WebhookAnswer;

  beforeAll(async () => {
    hook = await startWebhookServer(() => answer);
    const route = () => Promise.reject(new Error("there are no Services here"));
    caller = new WebhookCaller({ router: { dial: plainDial, route }, clock: systemClock });
  });
  afterAll(async () => {
    caller.close();
    await hook[Symbol.asyncDispose]();
  });
  beforeEach(() => void (hook.received.length = 0));

  const authorizer = (change: Partial<WebhookConfiguration> = {}, url = hook.url) =>
    new WebhookAuthorizer({
      name: "hook",
      configuration: { ...webhook, ...change },
      target: { url, caBundle: hook.caBundle },
      caller,
      clock: systemClock,
      log: silentLogger,
    });

  it("is told who wants to do what to which selection", async () => {
    answer = { status: { allowed: true, reason: "why not" } };
    const asked = { ...attributes, labelSelector: "app in (a,b),!old", fieldSelector: "metadata.name=web" };
    expect(await authorizer().authorize(asked)).toEqual({ kind: "allow", reason: "why not" });
    expect(hook.received[0]!.body).toEqual({
      apiVersion: "authorization.k8s.io/v1",
      kind: "SubjectAccessReview",
      metadata: {},
      spec: {
        resourceAttributes: {
          namespace: "blue",
          verb: "list",
          group: "apps",
          version: "v1",
          resource: "deployments",
          labelSelector: {
            requirements: [
              { key: "app", operator: "In", values: ["a", "b"] },
              { key: "old", operator: "DoesNotExist" },
            ],
          },
          fieldSelector: { requirements: [{ key: "metadata.name", operator: "In", values: ["web"] }] },
        },
        user: "ada",
        groups: ["dev"],
        uid: "1",
        extra: { scope: ["a"] },
      },
    });
  });

  it("may allow, deny, or have no opinion", async () => {
    answer = { status: { allowed: false, denied: true, reason: "never" } };
    expect(await authorizer().authorize(attributes)).toEqual({ kind: "deny", reason: "never" });
    answer = { status: { allowed: false } };
    expect(await authorizer().authorize(attributes)).toEqual({ kind: "no-opinion", reason: "" });
  });

  it("is not asked the same again while its answer holds", async () => {
    answer = { status: { allowed: true } };
    const one = authorizer();
    for (let i = 0; i < 3; i++) await one.authorize(attributes);
    await one.authorize({ ...attributes, namespace: "green" });
    expect(hook.received).toHaveLength(2);
  });

  it("is asked only about what its conditions match", async () => {
    answer = { status: { allowed: true } };
    const matchConditions = [
      { expression: "has(request.resourceAttributes)" },
      { expression: "request.resourceAttributes.namespace == 'blue'" },
      { expression: "!('system:masters' in request.groups)" },
    ];
    const one = authorizer({ matchConditions, matchConditionSubjectAccessReviewVersion: "v1" });
    expect(await one.authorize(attributes)).toMatchObject({ kind: "allow" });
    expect(await one.authorize({ ...attributes, namespace: "green" })).toMatchObject({ kind: "no-opinion" });
    expect(await one.authorize({ ...attributes, isResource: false, path: "/metrics" })).toMatchObject({
      kind: "no-opinion",
    });
    expect(hook.received).toHaveLength(1);
  });

  it.each<[string, WebhookAnswer]>([
    ["says nothing of use", { hello: "world" }],
    ["contradicts itself", { status: { allowed: true, denied: true } }],
    ["fails", { status: 500, text: "boom" }],
    ["answers garbage", { status: 200, text: "<html>" }],
  ])("that %s decides by its failure policy", async (_, said) => {
    answer = said;
    expect(await authorizer().authorize(attributes)).toEqual({ kind: "no-opinion", reason: "" });
    expect(await authorizer({ failurePolicy: "Deny" }).authorize(attributes)).toMatchObject({ kind: "deny" });
  });

  it("that never answers decides by its failure policy, in time", async () => {
    answer = "never";
    const slow = authorizer({ timeout: "100ms", failurePolicy: "Deny" });
    expect(await slow.authorize(attributes)).toMatchObject({
      kind: "deny",
      reason: expect.stringContaining("context deadline exceeded"),
    });
  });
});

describe("a configuration of authorizers", () => {
  const errorsOf = (...authorizers: object[]) =>
    authorizationConfigurationErrors({
      apiVersion: "apiserver.config.k8s.io/v1",
      kind: "AuthorizationConfiguration",
      authorizers,
    } as AuthorizationConfiguration).map(({ field, message }) => `${field}: ${message}`);
  const hook = (change: object) => ({ type: "Webhook", name: "hook", webhook: { ...webhook, ...change } });

  it.each<[string, object[], string]>([
    ["nobody", [], "authorizers: Required value: at least one authorization mode must be defined"],
    ["an unknown type", [{ type: "Magic", name: "a" }], 'authorizers[0].type: Unsupported value: "Magic"'],
    ["no name", [{ type: "RBAC", name: "" }], "authorizers[0].name: Required value"],
    [
      "a name twice",
      [
        { type: "RBAC", name: "a" },
        { type: "Node", name: "a" },
      ],
      'authorizers[1].name: Duplicate value: "a"',
    ],
    [
      "RBAC twice",
      [
        { type: "RBAC", name: "a" },
        { type: "RBAC", name: "b" },
      ],
      'authorizers[1].type: Duplicate value: "RBAC"',
    ],
    [
      "no webhook",
      [{ type: "Webhook", name: "a" }],
      "authorizers[0].webhook: Required value: required when type=Webhook",
    ],
    ["a webhook too many", [{ type: "RBAC", name: "a", webhook }], "may only be specified when type=Webhook"],
    [
      "a long wait",
      [hook({ timeout: "31s" })],
      'authorizers[0].webhook.timeout: Invalid value: "31s": must be > 0s and <= 30s',
    ],
    ["no policy", [hook({ failurePolicy: undefined })], "authorizers[0].webhook.failurePolicy: Required value"],
    ["an unknown policy", [hook({ failurePolicy: "Allow" })], 'supported values: "NoOpinion", "Deny"'],
    [
      "no file",
      [hook({ connectionInfo: { type: "KubeConfigFile" } })],
      "connectionInfo.kubeConfigFile: Required value",
    ],
    [
      "a condition that does not compile",
      [hook({ matchConditionSubjectAccessReviewVersion: "v1", matchConditions: [{ expression: "request.who" }] })],
      "undefined field 'who'",
    ],
  ])("with %s is refused", (_, authorizers, expected) => {
    expect(errorsOf(...authorizers)).toEqual([expect.stringContaining(expected)]);
  });

  it("that is sound is not", () => {
    expect(errorsOf({ type: "Node", name: "node" }, hook({}), { type: "RBAC", name: "rbac" })).toEqual([]);
  });
});
