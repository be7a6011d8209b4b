import { describe, expect, it } from "vitest";
import type { UserInfo } from "../authentication.ts";
import { type Attributes, forbiddenRequest } from "../authorization.ts";
import { ImpersonationModes, type WantedUser } from "./impersonation-modes.ts";

const bob: UserInfo = { name: "bob", groups: [] };
const onNode = (node: string): UserInfo => ({
  name: "system:serviceaccount:kube-system:agent",
  groups: [],
  extra: {
    "authentication.kubernetes.io/node-name": [node],
    "authentication.kubernetes.io/pod-name": ["agent-x"],
  },
});

/** Tries it with these grants: `verb group/resource[/subresource]/name`. */
async function attempt(
  wanted: Partial<WantedUser> & { name: string },
  grants: readonly string[],
  { user = bob, modes = new ImpersonationModes(true) } = {},
) {
  const asked: Attributes = {
    user,
    verb: "list",
    isResource: true,
    group: "",
    version: "v1",
    resource: "pods",
    subresource: "",
    namespace: "default",
    name: "",
    path: "/api/v1/namespaces/default/pods",
  };
  const seen: string[] = [];
  const authorize = (attributes: Attributes) => {
    const { verb, group, resource, subresource, namespace, name, user } = attributes;
    const what = [group, resource, subresource, namespace, name].filter(Boolean).join("/");
    seen.push(`${verb} ${what}${user.extra ? ` by ${Object.keys(user.extra)}` : ""}`);
    if (!grants.includes(`${verb} ${what}`)) throw forbiddenRequest(attributes, "");
  };
  const rest = { uid: "", groups: [], extra: {} };
  const outcome = await modes.impersonate({ ...rest, ...wanted }, asked, authorize).then(
    ({ user, constraint }) => ({ ...user, constraint }),
    (error: Error) => error.message,
  );
  return { outcome, seen };
}

const listing = "pods/default";

describe("acting as another within bounds", () => {
  it("takes leave for the user and for what is done as that user", async () => {
    const grants = [
      `impersonate-on:user-info:list ${listing}`,
      "impersonate:user-info authentication.k8s.io/users/jane",
      "impersonate:user-info authentication.k8s.io/groups/dev",
      "impersonate:user-info authentication.k8s.io/uids/7",
      "impersonate:user-info authentication.k8s.io/userextras/example.com/scope/view",
    ];
    const jane = { name: "jane", groups: ["dev"], uid: "7", extra: { "example.com/scope": ["view"] } };
    expect((await attempt(jane, grants)).outcome).toEqual({
      ...jane,
      groups: ["dev", "system:authenticated"],
      constraint: "impersonate:user-info",
    });
    for (const missing of grants) {
      const { outcome } = await attempt(
        jane,
        grants.filter((grant) => grant !== missing),
      );
      expect(outcome).toContain(`User "bob" cannot ${missing.split(" ")[0]} resource`);
    }
    expect((await attempt({ ...jane, extra: { scope: ["view"] } }, grants)).outcome).toBe(
      'userextras.authentication.k8s.io is forbidden: User "bob" cannot impersonate:user-info resource "userextras" in API group "authentication.k8s.io" at the cluster scope: impersonating an invalid key in extra is not allowed: extra.key: Invalid value: "scope": must be a domain-prefixed path (such as "acme.io/foo")',
    );
  });

  it("never leads to the masters", async () => {
    const grants = [
      `impersonate-on:user-info:list ${listing}`,
      "impersonate:user-info authentication.k8s.io/users/jane",
      "impersonate:user-info authentication.k8s.io/groups/system:masters",
    ];
    expect((await attempt({ name: "jane", groups: ["system:masters"] }, grants)).outcome).toContain(
      'groups.authentication.k8s.io "system:masters" is forbidden: User "bob" cannot impersonate:user-info resource "groups" in API group "authentication.k8s.io" at the cluster scope: impersonating the system:masters group is not allowed',
    );
    const unbounded = ["impersonate users/jane", "impersonate groups/system:masters"];
    const { outcome } = await attempt({ name: "jane", groups: ["system:masters"] }, [...grants, ...unbounded]);
    expect(outcome).toEqual({
      name: "jane",
      groups: ["system:masters", "system:authenticated"],
      constraint: undefined,
    });
  });

  it("asks for leave for all, where there are many groups", async () => {
    const grants = [
      `impersonate-on:user-info:list ${listing}`,
      "impersonate:user-info authentication.k8s.io/users/jane",
      "impersonate:user-info authentication.k8s.io/groups/*",
    ];
    const { seen } = await attempt({ name: "jane", groups: ["a", "b", "c", "d"] }, grants);
    expect(seen.slice(2)).toEqual(["impersonate:user-info authentication.k8s.io/groups/*"]);
    expect((await attempt({ name: "jane", groups: ["a", "b", "c"] }, grants)).outcome).toContain("cannot");
  });

  it("is a ServiceAccount or a node by its name alone, with the groups that those have", async () => {
    const account = { name: "system:serviceaccount:ci:builder" };
    const accountGrants = [
      `impersonate-on:serviceaccount:list ${listing}`,
      "impersonate:serviceaccount authentication.k8s.io/serviceaccounts/ci/builder",
    ];
    expect((await attempt(account, accountGrants)).outcome).toMatchObject({
      groups: ["system:serviceaccounts", "system:serviceaccounts:ci", "system:authenticated"],
      constraint: "impersonate:serviceaccount",
    });
    expect((await attempt({ ...account, groups: ["dev"] }, accountGrants)).outcome).toContain("cannot impersonate");
    const nodeGrants = [
      `impersonate-on:arbitrary-node:list ${listing}`,
      "impersonate:arbitrary-node authentication.k8s.io/nodes/n1",
    ];
    expect((await attempt({ name: "system:node:n1" }, nodeGrants)).outcome).toMatchObject({
      groups: ["system:nodes", "system:authenticated"],
      constraint: "impersonate:arbitrary-node",
    });
    expect((await attempt({ name: "system:node:n2" }, nodeGrants)).outcome).toContain(
      'nodes.authentication.k8s.io "n2"',
    );
    // Without the bounds it is a user like any other.
    expect((await attempt({ name: "system:node:n2" }, ["impersonate users/system:node:n2"])).outcome).toMatchObject({
      groups: ["system:authenticated"],
      constraint: undefined,
    });
  });

  it("is the node that a ServiceAccount's pod runs on, wherever that is", async () => {
    const grants = [
      `impersonate-on:associated-node:list ${listing}`,
      "impersonate:associated-node authentication.k8s.io/nodes/*",
    ];
    const { outcome, seen } = await attempt({ name: "system:node:n1" }, grants, { user: onNode("n1") });
    expect(outcome).toMatchObject({ name: "system:node:n1", constraint: "impersonate:associated-node" });
    expect(seen.map((one) => one.split(" by ")[1])).toEqual(
      Array(2).fill("authentication.kubernetes.io/associated-node-keys"),
    );
    expect((await attempt({ name: "system:node:n2" }, grants, { user: onNode("n1") })).outcome).toContain(
      "cannot impersonate-on:arbitrary-node:list",
    );
  });

  it("goes first the way that led there last, and tells why that one does not", async () => {
    const modes = new ImpersonationModes(true);
    const grants = ["impersonate users/jane"];
    const first = await attempt({ name: "root" }, grants, { modes });
    expect(first.outcome).toBe(
      'pods is forbidden: User "bob" cannot impersonate-on:user-info:list resource "pods" in API group "" in the namespace "default"',
    );
    await attempt({ name: "jane" }, grants, { modes });
    const then = await attempt({ name: "root" }, grants, { modes });
    expect(then.outcome).toBe(
      'users "root" is forbidden: User "bob" cannot impersonate resource "users" in API group "" at the cluster scope',
    );
    expect((await attempt({ name: "jane" }, grants, { modes })).seen).toEqual(["impersonate users/jane"]);
    const old = await attempt({ name: "root" }, [], { modes: new ImpersonationModes(false) });
    expect(old.seen).toEqual(["impersonate users/root"]);
  });
});
