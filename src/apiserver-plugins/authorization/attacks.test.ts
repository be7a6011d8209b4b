/** Ways in that must be closed, tried over HTTPS; and who may do what, asked by review and tried by the act. */
import { request as httpsRequest } from "node:https";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { SubjectAccessReview } from "../../api/authorization/v1.ts";
import { ClusterRoleBindings, ClusterRoles, ConfigMaps, RoleBindings, Roles, Secrets } from "../../api/resources.ts";
import { silentLogger } from "../../base/logger.ts";
import { systemClock } from "../../base/node/system-clock.ts";
import { InformerCache } from "../../controller-runtime/informer-cache.ts";
import { startTestApiServer, type TestApiServer } from "../../testing/api-server.ts";
import { clientCertificate } from "../../testing/webhook-server.ts";
import { RegistryReader } from "../object-reader.ts";
import { accessReviews } from "../reviews/access-reviews.ts";
import { alwaysAllowPathsAuthorizer } from "./always-allow-paths.ts";
import { mastersAuthorizer } from "./masters.ts";
import { NodeAuthorizer } from "./node-authorizer.ts";
import { NodeGraph } from "./node-graph.ts";
import { RbacAuthorizer, RbacIndex } from "./rbac.ts";
import { escalationCheck } from "./rbac-escalation.ts";
import { followRoles } from "./rbac-source.ts";

let api: TestApiServer;
const stop = new AbortController();
const index = new RbacIndex();
type Identity = { certificatePem: string; privateKeyPem: string };
const people: Record<string, Identity | undefined> = {};

beforeAll(async () => {
  const cache = (): InformerCache =>
    new InformerCache({ client: api.client, clock: systemClock, log: silentLogger, signal: stop.signal });
  api = await startTestApiServer({
    authorizers: [
      alwaysAllowPathsAuthorizer,
      mastersAuthorizer,
      new NodeAuthorizer(new NodeGraph(cache)),
      new RbacAuthorizer(index),
    ],
    admission: (access) => [
      escalationCheck({
        rulesOf: (user, namespace) => [...index.rulesFor(user, namespace)].map(({ rule }) => rule),
        authorizers: () => access.pipeline.authorizers,
        objects: new RegistryReader(access.registry),
      }),
    ],
    virtualResources: (access) => [...accessReviews(() => access.pipeline.authorizers)],
  });
  const { client, pki } = api;
  await followRoles(index, cache());
  people["bob"] = await clientCertificate(pki.ca, "bob", "dev");
  people["nobody"] = await clientCertificate(pki.ca, "nobody");
  people["node"] = await clientCertificate(pki.ca, "system:node:one", "system:nodes");
  people["anonymous"] = undefined;
  const binding = { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole" };
  const user = { apiGroup: "rbac.authorization.k8s.io", kind: "User", name: "bob" };
  await client.create(ClusterRoles, {
    metadata: { name: "readers" },
    rules: [{ verbs: ["get", "list"], apiGroups: [""], resources: ["pods", "namespaces"] }],
  });
  await client.create(ClusterRoleBindings, {
    metadata: { name: "readers" },
    roleRef: { ...binding, name: "readers" },
    subjects: [user],
  });
  await client.create(Roles, {
    metadata: { name: "one-map", namespace: "default" },
    rules: [
      { verbs: ["get", "update"], apiGroups: [""], resources: ["configmaps"], resourceNames: ["mine"] },
      { verbs: ["create"], apiGroups: ["rbac.authorization.k8s.io"], resources: ["roles", "rolebindings"] },
    ],
  });
  await client.create(RoleBindings, {
    metadata: { name: "one-map", namespace: "default" },
    roleRef: { ...binding, kind: "Role", name: "one-map" },
    subjects: [user],
  });
  for (const name of ["mine", "other"]) await client.create(ConfigMaps, { metadata: { name, namespace: "default" } });
  await client.create(Secrets, { metadata: { name: "s", namespace: "default" } });
  await vi.waitFor(() => expect([...index.rulesFor({ name: "bob", groups: [] }, "default")]).toHaveLength(3));
});
afterAll(async () => {
  stop.abort();
  await api.close();
});

function call(
  who: string,
  method: string,
  path: string,
  headers: Record<string, string> = {},
  body?: object,
): Promise<{ status: number; text: string }> {
  const identity = people[who];
  return new Promise((resolve, reject) => {
    const outgoing = httpsRequest(
      {
        host: "127.0.0.1",
        port: new URL(api.url).port,
        path,
        method,
        agent: false,
        ca: api.pki.ca.certificatePem,
        ...(identity ? { cert: identity.certificatePem, key: identity.privateKeyPem } : {}),
        headers: { ...(body ? { "content-type": "application/json" } : {}), ...headers },
      },
      async (response) => {
        const chunks: Buffer[] = [];
        for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() });
      },
    );
    outgoing.on("error", reject);
    outgoing.end(body && JSON.stringify(body));
  });
}

const secrets = "/api/v1/namespaces/default/secrets";
const role = (rules: object[]) => ({
  apiVersion: "rbac.authorization.k8s.io/v1",
  kind: "Role",
  metadata: { name: "x" },
  rules,
});
const everything = role([{ verbs: ["*"], apiGroups: ["*"], resources: ["*"] }]);
const bindAdmin = {
  apiVersion: "rbac.authorization.k8s.io/v1",
  kind: "RoleBinding",
  metadata: { name: "x" },
  roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "nowhere" },
  subjects: [{ kind: "User", name: "bob", apiGroup: "rbac.authorization.k8s.io" }],
};

describe("an attack is refused", () => {
  it.each<[what: string, who: string, method: string, path: string, headers?: Record<string, string>, body?: object]>([
    ["a secret by name", "bob", "GET", `${secrets}/s`],
    ["a secret by a doubled slash", "bob", "GET", "/api/v1/namespaces/default//secrets/s"],
    ["a secret by dots", "bob", "GET", "/api/v1/namespaces/default/pods/../secrets/s"],
    ["a secret by encoded dots", "bob", "GET", "/api/v1/namespaces/default/pods/%2e%2e/secrets/s"],
    ["a secret by an encoded slash", "bob", "GET", "/api/v1/namespaces/default/secrets%2Fs"],
    ["a secret by another case", "bob", "GET", "/api/v1/namespaces/default/Secrets/s"],
    ["a secret by HEAD", "bob", "HEAD", `${secrets}/s`],
    ["a secret by watch in the path", "bob", "GET", "/api/v1/watch/namespaces/default/secrets"],
    ["all secrets by an empty namespace", "bob", "GET", "/api/v1/namespaces//secrets"],
    ["a list where a name is granted", "bob", "GET", "/api/v1/namespaces/default/configmaps"],
    ["another name than the granted one", "bob", "GET", "/api/v1/namespaces/default/configmaps/other"],
    ["a deletion where reading is granted", "bob", "DELETE", "/api/v1/namespaces/default/pods/x"],
    [
      "a deletion by a method header",
      "bob",
      "POST",
      "/api/v1/namespaces/default/pods/x",
      { "x-http-method-override": "DELETE" },
    ],
    ["exec where reading is granted", "bob", "GET", "/api/v1/namespaces/default/pods/x/exec?command=sh&stdout=1"],
    ["logs where pods are granted", "bob", "GET", "/api/v1/namespaces/default/pods/x/log"],
    ["an unknown method", "bob", "BREW", `${secrets}/s`],
    [
      "impersonation of an administrator",
      "bob",
      "GET",
      secrets,
      { "impersonate-user": "kubernetes-admin", "impersonate-group": "system:masters" },
    ],
    ["impersonation of a group alone", "bob", "GET", secrets, { "impersonate-group": "system:masters" }],
    [
      "a front proxy's header",
      "bob",
      "GET",
      secrets,
      { "x-remote-user": "kubernetes-admin", "x-remote-group": "system:masters" },
    ],
    [
      "a made-up token beside no certificate",
      "anonymous",
      "GET",
      secrets,
      { authorization: "Bearer abcdef.0123456789abcdef" },
    ],
    [
      "a token that says none",
      "anonymous",
      "GET",
      secrets,
      { authorization: "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJzeXN0ZW06YWRtaW4ifQ." },
    ],
    ["a password", "anonymous", "GET", secrets, { authorization: "Basic YWRtaW46YWRtaW4=" }],
    ["nobody at all", "anonymous", "GET", secrets],
    [
      "escalation by a role",
      "bob",
      "POST",
      "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles",
      {},
      everything,
    ],
    [
      "escalation by a binding",
      "bob",
      "POST",
      "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings",
      {},
      bindAdmin,
    ],
    ["a kubelet that lists secrets", "node", "GET", secrets],
    ["a kubelet that reads a secret of no pod of its", "node", "GET", `${secrets}/s`],
    ["a kubelet that reads another node", "node", "GET", "/api/v1/nodes/two"],
    [
      "a kubelet that makes a role",
      "node",
      "POST",
      "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles",
      {},
      everything,
    ],
    ["metrics", "nobody", "GET", "/metrics"],
  ])("%s", async (_, who, method, path, headers, body) => {
    const { status, text } = await call(who, method, path, headers, body);
    expect([400, 401, 403, 404, 405]).toContain(status);
    expect(text).not.toContain('"kind":"Secret"');
    expect(text).not.toContain('"kind":"SecretList"');
  });
});

describe("what a review says is what happens", () => {
  const resources: [resource: string, name: string][] = [
    ["pods", ""],
    ["configmaps", "mine"],
    ["configmaps", "other"],
    ["configmaps", ""],
    ["secrets", "s"],
    ["secrets", ""],
  ];
  const cases = ["bob", "nobody", "anonymous"].flatMap((who) =>
    resources.map(([resource, name]) => [who, resource, name] as const),
  );
  it.each(cases)("%s, %s %s", async (who, resource, name) => {
    const { status } = await call(who, "GET", `/api/v1/namespaces/default/${resource}${name && `/${name}`}`);
    const user = who === "anonymous" ? "system:anonymous" : who;
    const groups = who === "anonymous" ? ["system:unauthenticated"] : ["system:authenticated"];
    const reviews = {
      group: "authorization.k8s.io",
      version: "v1",
      kind: "SubjectAccessReview",
      plural: "subjectaccessreviews",
      scope: "Cluster",
    } as const;
    const review = (await api.client.create(reviews, {
      metadata: {},
      spec: { user, groups, resourceAttributes: { namespace: "default", verb: name ? "get" : "list", resource, name } },
    } as never)) as unknown as SubjectAccessReview;
    expect(status === 200).toBe(review.status?.allowed);
  });
});
