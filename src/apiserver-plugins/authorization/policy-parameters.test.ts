import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import {
  ClusterRoleBindings,
  ClusterRoles,
  MutatingAdmissionPolicyBindings,
  RoleBindings,
  ValidatingAdmissionPolicies,
  ValidatingAdmissionPolicyBindings,
} from "../../api/resources.ts";
import { silentLogger } from "../../base/logger.ts";
import { systemClock } from "../../base/node/system-clock.ts";
import { InformerCache } from "../../controller-runtime/informer-cache.ts";
import { startTestApiServer, type TestApiServer } from "../../testing/api-server.ts";
import { RegistryReader } from "../object-reader.ts";
import { mastersAuthorizer } from "./masters.ts";
import { policyParametersCheck } from "./policy-parameters.ts";
import { RbacAuthorizer, RbacIndex } from "./rbac.ts";
import { followRoles } from "./rbac-source.ts";

let api: TestApiServer;
const stop = new AbortController();
const index = new RbacIndex();

beforeAll(async () => {
  api = await startTestApiServer({
    authorizers: [mastersAuthorizer, new RbacAuthorizer(index)],
    admission: ({ pipeline, registry }) => [
      policyParametersCheck({
        authorizers: () => pipeline.authorizers,
        objects: new RegistryReader(registry),
        registry,
      }),
    ],
  });
  const cache = new InformerCache({ client: api.client, clock: systemClock, log: silentLogger, signal: stop.signal });
  await followRoles(index, cache);
  const { client } = api;
  const group = "rbac.authorization.k8s.io";
  const roles = {
    "policy-writer": { verbs: ["*"], apiGroups: ["admissionregistration.k8s.io"], resources: ["*"] },
    "configmaps-reader": { verbs: ["get"], apiGroups: [""], resources: ["configmaps"] },
  };
  for (const [name, rule] of Object.entries(roles)) {
    await client.create(ClusterRoles, { metadata: { name }, rules: [rule] });
  }
  const subject = (name: string) => ({ apiGroup: group, kind: "User", name });
  const roleRef = (name: string) => ({ apiGroup: group, kind: "ClusterRole", name });
  await client.create(ClusterRoleBindings, {
    metadata: { name: "writers" },
    roleRef: roleRef("policy-writer"),
    subjects: [subject("bob"), subject("eve")],
  });
  await client.create(ClusterRoleBindings, {
    metadata: { name: "readers" },
    roleRef: roleRef("configmaps-reader"),
    subjects: [subject("eve")],
  });
  await client.create(RoleBindings, {
    metadata: { name: "readers", namespace: "default" },
    roleRef: roleRef("configmaps-reader"),
    subjects: [subject("bob")],
  });
  // The index follows a moment later.
  await vi.waitFor(
    () => expect([...index.rulesFor({ name: "bob", groups: [] }, "default")].length).toBeGreaterThanOrEqual(2),
    { timeout: 10_000 },
  );
});
afterAll(async () => {
  stop.abort();
  await api.close();
});

const as = (name: string) => api.server.client({ name, groups: ["system:authenticated"] }, "test");
const rule = { operations: ["CREATE"], apiGroups: [""], apiVersions: ["v1"], resources: ["pods"] };
const policy = (name: string, kind?: string) => ({
  metadata: { name },
  spec: {
    matchConstraints: { resourceRules: [rule] },
    validations: [{ expression: "true" }],
    ...(kind ? { paramKind: { apiVersion: "v1", kind } } : {}),
  },
});
const parameter = (namespace: string) => ({ name: "limits", namespace, parameterNotFoundAction: "Deny" });
const bobText = "&{bob  [system:authenticated] map[]}";

describe("who writes a policy", () => {
  it("needs nothing for one without parameters", async () => {
    await as("bob").create(ValidatingAdmissionPolicies, policy("plain"));
  });

  it("reads all of its parameters", async () => {
    await as("eve").create(ValidatingAdmissionPolicies, policy("read", "ConfigMap"));
  });

  it("is refused one whose parameters they may not read everywhere", async () => {
    await expect(as("bob").create(ValidatingAdmissionPolicies, policy("blind", "ConfigMap"))).rejects.toThrow(
      `ValidatingAdmissionPolicy.admissionregistration.k8s.io "blind" is invalid: spec.paramKind: Forbidden: user ${bobText} must have "get" permission on all objects of the referenced paramKind (kind=ConfigMap, apiVersion=v1)`,
    );
  });

  it("changes one as long as its parameters stay of that kind", async () => {
    const standing = await as("bob").get(ValidatingAdmissionPolicies, { name: "read", namespace: "" });
    const next = structuredClone(standing) as typeof standing & { spec: { validations: object[] } };
    next.spec.validations.push({ expression: "false" });
    await as("bob").update(ValidatingAdmissionPolicies, next as never);
  });
});

describe("who binds a policy", () => {
  const binding = (name: string, namespace: string) => ({
    metadata: { name },
    spec: { policyName: "read", validationActions: ["Deny"], paramRef: parameter(namespace) },
  });

  it("reads the parameter", async () => {
    await as("bob").create(ValidatingAdmissionPolicyBindings, binding("here", "default"));
  });

  it("is refused a parameter that they may not read", async () => {
    await expect(as("bob").create(ValidatingAdmissionPolicyBindings, binding("there", "kube-system"))).rejects.toThrow(
      `spec.paramRef: Forbidden: user ${bobText} does not have "get" permission on the object referenced by paramRef`,
    );
  });

  it("must be able to read anything while nobody knows which kind it is of", async () => {
    const selector = {};
    await expect(
      as("eve").create(MutatingAdmissionPolicyBindings, {
        metadata: { name: "early" },
        spec: { policyName: "none", paramRef: { selector, parameterNotFoundAction: "Deny" } },
      }),
    ).rejects.toThrow(
      'spec.paramRef: Forbidden: user list does not have "&{eve  [system:authenticated] map[]}" permission on the object referenced by paramRef',
    );
  });

  it("is asked nothing when they are a master", async () => {
    await api.client.create(ValidatingAdmissionPolicyBindings, binding("master", "kube-system"));
  });
});
