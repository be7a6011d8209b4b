/** Ways in that must be closed, tried over HTTPS; and who may do what, asked by review and tried by the act. */
import { Agent, request as httpsRequest } from "node:https";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { SubjectAccessReview } from "../../api/authorization/v1.ts";
import { ClusterRoleBindings, ClusterRoles, ConfigMaps, RoleBindings, Roles, Secrets } from "../../api/resources.ts";
import { silentLogger } from "../../base/logger.ts";
import { systemClock } from "../../base/node/system-clock.ts";
import { InformerCache } from "../../controller-runtime/informer-cache.ts";
import { startTestApiServer, type TestApiServer } from "../../testing/api-server.ts";
import { clientCertificate } from "../../testing/webhook-server.ts";
import { policyAuditor } from "../audit/policy-auditor.ts";
import { RegistryReader } from "../object-reader.ts";
import { accessReviews } from "../reviews/access-reviews.ts";
import { alwaysAllowPathsAuthorizer } from "./always-allow-paths.ts";
import { mastersAuthorizer } from "./masters.ts";
import { NodeAuthorizer } from "./node-authorizer.ts";
import { NodeGraph } from "./node-graph.ts";
import { RbacAuthorizer, RbacIndex } from "./rbac.ts";
import { escalationCheck } from "./rbac-escalation.ts";
import { followRoles } from "./rbac-source.ts";

interface AuditEvent {
  userAgent: string;
  responseStatus?: { code: number };
}

let api: TestApiServer;
const stop = new AbortController();
const index = new RbacIndex();
type Identity = { certificatePem: string; privateKeyPem: string };
const people: Record<string, Identity | undefined> = {};
const agents = new Map<string, Agent>();
/** What the audit log has: by the program that the asker says it is, the codes of its answers. */
const logged = new Map<string, number[]>();

beforeAll(async () => {
  const cache = (): InformerCache =>
    new InformerCache({ client: api.client, clock: systemClock, log: silentLogger, signal: stop.signal });
  const auditLog = {
    plugin: "log",
    lostEvents: 0,
    append(line: string) {
      const { userAgent, responseStatus } = JSON.parse(line) as AuditEvent;
      logged.set(userAgent, [...(logged.get(userAgent) ?? []), responseStatus?.code ?? 0]);
    },
  };
  api = await startTestApiServer({
    auditor: policyAuditor({
      policy: {
        apiVersion: "audit.k8s.io/v1",
        kind: "Policy",
        omitStages: ["RequestReceived", "ResponseStarted"],
        rules: [{ level: "Metadata" }],
      },
      clock: systemClock,
      logs: [auditLog],
    }),
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
  people["bob"] = clientCertificate(pki.ca, "bob", "dev");
  people["ada"] = clientCertificate(pki.ca, "ada", "ops");
  people["nobody"] = clientCertificate(pki.ca, "nobody");
  people["node"] = clientCertificate(pki.ca, "system:node:one", "system:nodes");
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
  await client.create(ClusterRoles, {
    metadata: { name: "operators" },
    rules: [
      { verbs: ["get", "patch"], apiGroups: ["apps"], resources: ["deployments/scale"] },
      { verbs: ["get"], apiGroups: [""], resources: ["pods/log"] },
      { verbs: ["create"], apiGroups: [""], resources: ["*/eviction"] },
      { verbs: ["get"], nonResourceURLs: ["/metrics", "/logs/*"] },
      // Of these names alone: what has no name is not among them, whatever the verb.
      {
        verbs: ["list", "watch", "deletecollection", "create", "delete"],
        apiGroups: [""],
        resources: ["configmaps"],
        resourceNames: ["mine"],
      },
    ],
  });
  await client.create(ClusterRoleBindings, {
    metadata: { name: "operators" },
    roleRef: { ...binding, name: "operators" },
    subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "Group", name: "ops" }],
  });
  for (const name of ["mine", "other"]) await client.create(ConfigMaps, { metadata: { name, namespace: "default" } });
  await client.create(Secrets, { metadata: { name: "s", namespace: "default" } });
  await vi.waitFor(() => expect([...index.rulesFor({ name: "bob", groups: [] }, "default")]).toHaveLength(3), {
    timeout: 10_000,
  });
  await vi.waitFor(() => expect([...index.rulesFor({ name: "ada", groups: ["ops"] }, "default")]).toHaveLength(5), {
    timeout: 10_000,
  });
});
afterAll(async () => {
  stop.abort();
  for (const agent of agents.values()) agent.destroy();
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
  const proof = identity ? { cert: identity.certificatePem, key: identity.privateKeyPem } : {};
  const agent =
    agents.get(who) ?? new Agent({ keepAlive: true, maxSockets: 2, ca: api.pki.ca.certificatePem, ...proof });
  agents.set(who, agent);
  return new Promise((resolve, reject) => {
    const outgoing = httpsRequest(
      {
        host: "127.0.0.1",
        port: new URL(api.url).port,
        path,
        method,
        agent,
        headers: { ...(body ? { "content-type": "application/json" } : {}), ...headers },
      },
      async (response) => {
        // Whether a watch is let begin is all that is asked.
        if (path.includes("watch=1")) {
          outgoing.destroy();
          return resolve({ status: response.statusCode ?? 0, text: "" });
        }
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
  ])("%s", async (what, who, method, path, headers, body) => {
    const { status, text } = await call(who, method, path, { "user-agent": what, ...headers }, body);
    expect([400, 401, 403, 404, 405]).toContain(status);
    expect(text).not.toContain('"kind":"Secret"');
    expect(text).not.toContain('"kind":"SecretList"');
    // What the parser does not take for a request never was one.
    if (method !== "BREW") await vi.waitFor(() => expect(logged.get(what)).toEqual([status]), { timeout: 10_000 });
  });
});

describe("what a review says is what happens", () => {
  const inDefault = "/api/v1/namespaces/default";
  const apps = "/apis/apps/v1/namespaces/default";
  const resources: [path: string, group: string, resource: string, subresource?: string][] = [
    [`${inDefault}/pods`, "", "pods"],
    [`${inDefault}/configmaps`, "", "configmaps"],
    [`${inDefault}/secrets`, "", "secrets"],
    [`${apps}/deployments`, "apps", "deployments"],
    [`${inDefault}/pods`, "", "pods", "log"],
    [`${inDefault}/pods`, "", "pods", "status"],
    [`${inDefault}/pods`, "", "pods", "eviction"],
    [`${apps}/deployments`, "apps", "deployments", "scale"],
    [`${inDefault}/configmaps`, "", "configmaps", "nothing"],
  ];
  const methods: Record<string, string> = {
    get: "GET",
    list: "GET",
    watch: "GET",
    create: "POST",
    update: "PUT",
    patch: "PATCH",
    delete: "DELETE",
    deletecollection: "DELETE",
  };
  const named = ["get", "update", "patch", "delete"];
  const ofCollections = ["list", "watch", "deletecollection"];

  interface Try {
    verb: string;
    url: string;
    attributes: { resourceAttributes: object } | { nonResourceAttributes: object };
    label: string;
  }

  function tries(): Try[] {
    const all: Try[] = [];
    for (const [path, group, resource, subresource] of resources) {
      for (const verb of Object.keys(methods)) {
        if (subresource && ofCollections.includes(verb)) continue;
        for (const name of verb === "create" && !subresource ? [""] : ["mine", "other", ...(subresource ? [] : [""])]) {
          if (name === "" && named.includes(verb)) continue;
          // Of a collection a name is chosen by a field selector; that of a deletion counts as no name.
          const selects = ofCollections.includes(verb) && name ? `&fieldSelector=metadata.name%3D${name}` : "";
          const inPath = !ofCollections.includes(verb) && name ? `/${name}` : "";
          const part = subresource ? `/${subresource}` : "";
          const url = `${path}${inPath}${part}?dryRun=All${verb === "watch" ? "&watch=1" : ""}${selects}`;
          const requirements = [{ key: "metadata.name", operator: "In", values: [name] }];
          const counted = verb === "deletecollection" ? "" : name;
          const attributes = {
            ...{ namespace: "default", verb, group, resource, subresource: subresource ?? "", name: counted },
            ...(selects ? { fieldSelector: { requirements } } : {}),
          };
          const label = `${verb} ${resource}${part}${name && ` ${name}`}`;
          all.push({ verb, url, attributes: { resourceAttributes: attributes }, label });
        }
      }
    }
    for (const path of ["/metrics", "/logs/a/b", "/logs", "/version", "/livez", "/nothing"]) {
      for (const verb of ["get", "post", "delete"]) {
        const attributes = { nonResourceAttributes: { path, verb } };
        all.push({ verb, url: path, attributes, label: `${verb} ${path}` });
      }
    }
    return all;
  }

  const health = ["get", "post", "delete"].map((verb) => `${verb} /livez`);
  it.each<[who: string, groups: string[], mayDo: string[]]>([
    [
      "bob",
      ["dev", "system:authenticated"],
      [
        ...["get pods mine", "get pods other", "list pods mine", "list pods other", "list pods"],
        ...["get configmaps mine", "update configmaps mine"],
        ...health,
      ],
    ],
    [
      "ada",
      ["ops", "system:authenticated"],
      [
        ...["list configmaps mine", "watch configmaps mine", "delete configmaps mine"],
        ...["get pods/log mine", "get pods/log other", "create pods/eviction mine", "create pods/eviction other"],
        ...["get", "patch"].flatMap((verb) => ["mine", "other"].map((name) => `${verb} deployments/scale ${name}`)),
        ...["get /metrics", "get /logs/a/b"],
        ...health,
      ],
    ],
    ["nobody", ["system:authenticated"], health],
    ["anonymous", ["system:unauthenticated"], health],
    ["node", ["system:nodes", "system:authenticated"], ["get /version", ...health]],
  ])("%s: users by verbs by resources by names", async (who, groups, mayDo) => {
    const user = { anonymous: "system:anonymous", node: "system:node:one" }[who] ?? who;
    const reviews = {
      group: "authorization.k8s.io",
      version: "v1",
      kind: "SubjectAccessReview",
      plural: "subjectaccessreviews",
      scope: "Cluster",
    } as const;
    const outcomes = await Promise.all(
      tries().map(async ({ verb, url, attributes, label }) => {
        const type = verb === "patch" ? "application/merge-patch+json" : "application/json";
        const body = ["create", "update", "patch", "post"].includes(verb) ? {} : undefined;
        const headers: Record<string, string> = body ? { "content-type": type } : {};
        const { status } = await call(who, methods[verb] ?? verb.toUpperCase(), url, headers, body);
        const spec = { user, groups, ...attributes };
        const review = (await api.client.create(reviews, {
          metadata: {},
          spec,
        } as never)) as unknown as SubjectAccessReview;
        return { label, isDone: status !== 403, isAllowed: review.status?.allowed === true };
      }),
    );
    expect(outcomes.filter(({ isDone, isAllowed }) => isDone !== isAllowed)).toEqual([]);
    const allowed = outcomes.filter(({ isAllowed }) => isAllowed).map(({ label }) => label);
    // A kubelet reads pods of its own, and what those need.
    expect(allowed.filter((label) => who !== "node" || !/ pods|\/scale/.test(label)).sort()).toEqual([...mayDo].sort());
  });
});
