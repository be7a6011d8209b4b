import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { ClusterRoleBindings, ClusterRoles, RoleBindings, Roles } from "../../api/resources.ts";
import { silentLogger } from "../../base/logger.ts";
import { systemClock } from "../../base/node/system-clock.ts";
import { InformerCache } from "../../controller-runtime/informer-cache.ts";
import { startTestApiServer, type TestApiServer } from "../../testing/api-server.ts";
import { RegistryReader } from "../object-reader.ts";
import { mastersAuthorizer } from "./masters.ts";
import { RbacAuthorizer, RbacIndex } from "./rbac.ts";
import { escalationCheck } from "./rbac-escalation.ts";
import { followRoles } from "./rbac-source.ts";

let api: TestApiServer;
const stop = new AbortController();
const index = new RbacIndex();
const rule = (verbs: string[], resources: string[], apiGroups = [""]) => ({ verbs, apiGroups, resources });
const roleRef = (kind: string, name: string) => ({ apiGroup: "rbac.authorization.k8s.io", kind, name });
const user = (name: string) => ({ apiGroup: "rbac.authorization.k8s.io", kind: "User", name });

beforeAll(async () => {
  api = await startTestApiServer({
    authorizers: [mastersAuthorizer, new RbacAuthorizer(index)],
    admission: (access) => [
      escalationCheck({
        rulesOf: (who, namespace) => [...index.rulesFor(who, namespace)].map((grant) => grant.rule),
        authorizers: () => access.pipeline.authorizers,
        objects: new RegistryReader(access.registry),
      }),
    ],
  });
  const cache = new InformerCache({ client: api.client, clock: systemClock, log: silentLogger, signal: stop.signal });
  await followRoles(index, cache);
  const { client } = api;
  await client.create(ClusterRoles, {
    metadata: { name: "secrets-reader" },
    rules: [rule(["get", "list"], ["secrets"])],
  });
  await client.create(ClusterRoles, { metadata: { name: "pods-reader" }, rules: [rule(["get"], ["pods"])] });
  await client.create(ClusterRoles, {
    metadata: { name: "role-writer" },
    rules: [
      rule(
        ["create", "update"],
        ["roles", "rolebindings", "clusterroles", "clusterrolebindings"],
        ["rbac.authorization.k8s.io"],
      ),
      rule(["get"], ["pods"]),
    ],
  });
  await client.create(ClusterRoles, {
    metadata: { name: "binder" },
    rules: [{ ...rule(["bind"], ["clusterroles"], ["rbac.authorization.k8s.io"]), resourceNames: ["secrets-reader"] }],
  });
  for (const [name, role] of [
    ["bob", "role-writer"],
    ["eve", "role-writer"],
    ["eve", "binder"],
  ] as const) {
    await client.create(ClusterRoleBindings, {
      metadata: { name: `${name}-${role}` },
      roleRef: roleRef("ClusterRole", role),
      subjects: [user(name)],
    });
  }
  // The index follows a moment later.
  await vi.waitFor(() => expect([...index.rulesFor({ name: "eve", groups: [] }, "")]).toHaveLength(3), {
    timeout: 10_000,
  });
});
afterAll(async () => {
  stop.abort();
  await api.close();
});

const as = (name: string) => api.server.client({ name, groups: ["system:authenticated"] }, "test");

describe("somebody who writes roles", () => {
  it("grants what they have", async () => {
    await as("bob").create(Roles, { metadata: { name: "ok", namespace: "default" }, rules: [rule(["get"], ["pods"])] });
    await as("bob").create(RoleBindings, {
      metadata: { name: "ok", namespace: "default" },
      roleRef: roleRef("ClusterRole", "pods-reader"),
      subjects: [user("mallory")],
    });
  });

  it("does not grant what they lack, by a role or by binding one", async () => {
    const rules = [rule(["get", "delete"], ["pods"]), rule(["*"], ["*"], ["*"])];
    await expect(
      as("bob").create(Roles, { metadata: { name: "more", namespace: "default" }, rules }),
    ).rejects.toMatchObject({
      code: 403,
      message: `roles.rbac.authorization.k8s.io "more" is forbidden: user "bob" (groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently held:
{APIGroups:[""], Resources:["pods"], Verbs:["delete"]}
{APIGroups:["*"], Resources:["*"], Verbs:["*"]}`,
    });
    const binding = {
      metadata: { name: "more" },
      roleRef: roleRef("ClusterRole", "secrets-reader"),
      subjects: [user("bob")],
    };
    await expect(as("bob").create(ClusterRoleBindings, binding)).rejects.toThrow(
      '{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list"]}',
    );
    // Eve may bind exactly this role.
    await as("eve").create(ClusterRoleBindings, binding);
  });

  it("does not gain by aggregation", async () => {
    const role = {
      metadata: { name: "gather" },
      rules: [],
      aggregationRule: { clusterRoleSelectors: [{ matchLabels: { a: "b" } }] },
    };
    await expect(as("bob").create(ClusterRoles, role)).rejects.toThrow(
      "must have cluster-admin privileges to use an aggregationRule",
    );
  });

  it("does not bind a role that is not there yet", async () => {
    const binding = { metadata: { name: "later" }, roleRef: roleRef("ClusterRole", "later"), subjects: [user("bob")] };
    await expect(as("bob").create(ClusterRoleBindings, binding)).rejects.toThrow(
      'clusterroles.rbac.authorization.k8s.io "later" not found',
    );
  });
});
