import { expect, test } from "vitest";
import type { ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding } from "../../api/rbac/v1.ts";
import type { Attributes } from "../../apiserver/authorization.ts";
import { RbacAuthorizer, RbacIndex } from "./rbac.ts";

const meta = (name: string, namespace?: string) => ({
  name,
  ...(namespace ? { namespace } : {}),
  uid: "",
  resourceVersion: "",
  creationTimestamp: "",
});

function clusterRole(name: string, ...rules: PolicyRule[]): ClusterRole {
  return { apiVersion: "rbac.authorization.k8s.io/v1", kind: "ClusterRole", metadata: meta(name), rules };
}
function role(namespace: string, name: string, ...rules: PolicyRule[]): Role {
  return { apiVersion: "rbac.authorization.k8s.io/v1", kind: "Role", metadata: { ...meta(name), namespace }, rules };
}
function clusterBinding(
  name: string,
  roleName: string,
  subject: { kind: string; name: string; namespace?: string },
): ClusterRoleBinding {
  const roleRef = { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: roleName };
  return {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRoleBinding",
    metadata: meta(name),
    roleRef,
    subjects: [subject],
  };
}
function binding(
  namespace: string,
  name: string,
  kind: "Role" | "ClusterRole",
  roleName: string,
  subject: { kind: string; name: string },
): RoleBinding {
  const roleRef = { apiGroup: "rbac.authorization.k8s.io", kind, name: roleName };
  return {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "RoleBinding",
    metadata: { ...meta(name), namespace },
    roleRef,
    subjects: [subject],
  };
}

function asks(text: string, user: { name?: string; groups?: string[] } = {}): Attributes {
  const [verb = "", target = "", namespace = "", name = ""] = text.split(" ");
  const isResource = !target.startsWith("/");
  const [resource = "", subresource = ""] = target.split("/");
  return {
    user: { name: user.name ?? "jane", groups: user.groups ?? [] },
    verb,
    isResource,
    group: "",
    version: "v1",
    resource: isResource ? resource : "",
    subresource: isResource ? subresource : "",
    namespace,
    name,
    path: isResource ? "" : target,
  };
}

const reads: PolicyRule = { apiGroups: [""], resources: ["pods"], verbs: ["get", "list"] };

test("a binding in a namespace grants there and nowhere else", () => {
  const index = new RbacIndex();
  index.setRole(role("dev", "reader", reads));
  index.setBinding(binding("dev", "jane-reads", "Role", "reader", { kind: "User", name: "jane" }));
  const rbac = new RbacAuthorizer(index);
  expect(rbac.authorize(asks("list pods dev")).kind).toBe("allow");
  expect(rbac.authorize(asks("list pods prod")).kind).toBe("no-opinion");
  expect(rbac.authorize(asks("delete pods dev")).kind).toBe("no-opinion");
  expect(rbac.authorize(asks("get pods/log dev")).kind).toBe("no-opinion");
});

test("a cluster role bound in a namespace reaches no further", () => {
  const index = new RbacIndex();
  index.setRole(clusterRole("view", reads));
  index.setBinding(binding("dev", "b", "ClusterRole", "view", { kind: "Group", name: "team" }));
  const rbac = new RbacAuthorizer(index);
  expect(rbac.authorize(asks("get pods dev", { groups: ["team"] })).kind).toBe("allow");
  expect(rbac.authorize(asks("get pods  ", { groups: ["team"] })).kind).toBe("no-opinion");
});

test("a ServiceAccount is found under its user name", () => {
  const index = new RbacIndex();
  index.setRole(clusterRole("all", { apiGroups: ["*"], resources: ["*"], verbs: ["*"] }));
  index.setBinding(clusterBinding("b", "all", { kind: "ServiceAccount", name: "bot", namespace: "ops" }));
  const rbac = new RbacAuthorizer(index);
  expect(rbac.authorize(asks("delete nodes", { name: "system:serviceaccount:ops:bot" })).kind).toBe("allow");
});

test("resource names, subresources and paths narrow a rule", () => {
  const index = new RbacIndex();
  index.setRole(
    clusterRole(
      "narrow",
      { apiGroups: [""], resources: ["configmaps"], verbs: ["get"], resourceNames: ["one"] },
      { apiGroups: [""], resources: ["*/status"], verbs: ["patch"] },
      { nonResourceURLs: ["/healthz", "/metrics/*"], verbs: ["get"] },
    ),
  );
  index.setBinding(clusterBinding("b", "narrow", { kind: "User", name: "jane" }));
  const decide = (text: string) => new RbacAuthorizer(index).authorize(asks(text)).kind;
  expect(
    ["get configmaps dev one", "patch pods/status dev x", "get /healthz", "get /metrics/cadvisor"].map(decide),
  ).toEqual(Array(4).fill("allow"));
  expect(["get configmaps dev two", "list configmaps dev", "patch pods dev x", "get /version"].map(decide)).toEqual(
    Array(4).fill("no-opinion"),
  );
});

test("a changed or deleted binding no longer grants, and a missing role is named", () => {
  const index = new RbacIndex();
  index.setRole(clusterRole("view", reads));
  const granted = clusterBinding("b", "view", { kind: "User", name: "jane" });
  index.setBinding(granted);
  index.setBinding(clusterBinding("b", "view", { kind: "User", name: "joe" }));
  const rbac = new RbacAuthorizer(index);
  expect(rbac.authorize(asks("get pods dev")).kind).toBe("no-opinion");
  expect(rbac.authorize(asks("get pods dev", { name: "joe" })).kind).toBe("allow");
  index.deleteRole(clusterRole("view"));
  expect(rbac.authorize(asks("get pods dev", { name: "joe" }))).toEqual({
    kind: "no-opinion",
    reason: 'RBAC: clusterrole.rbac.authorization.k8s.io "view" not found',
  });
  index.deleteBinding(granted);
});
