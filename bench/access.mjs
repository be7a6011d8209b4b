// What it costs to be asked who one is, whether one may, and whether it will do: authentication, authorization and admission, each
// measured by itself in process, on the API server's own parts.
import { generateKeyPairSync } from "node:crypto";
import { bundledParts } from "./parts.mjs";

const repeats = 20_000;
// Enough for the compiler to have seen everything before it is measured.
const pods = 1500;

export async function benchAccess(results, { runs }) {
  const { parts, remove } = await bundledParts({
    "apiserver-plugins/authorization/rbac.ts": ["RbacAuthorizer", "RbacIndex"],
    "apiserver-plugins/authentication/service-account-authenticator.ts": ["serviceAccountAuthenticator"],
    "apiserver-plugins/authentication/service-account-tokens.ts": ["createTokenAuthority"],
    "testing/policy-server.ts": ["startPolicyServer"],
    "api/resources.ts": ["Pods", "ServiceAccounts", "ValidatingAdmissionPolicies", "ValidatingAdmissionPolicyBindings"],
    "base/node/system-clock.ts": ["systemClock"],
    "base/node/system-random.ts": ["systemRandom"],
  });
  try {
    for (let run = 0; run < runs; run++) {
      decisions(parts, results);
      await tokens(parts, results);
      await admission(parts, results);
    }
  } finally {
    remove();
  }
}

/** 1,000 roles and 2,000 bindings, each of ten users and groups; the one who asks is in twenty groups. */
function decisions({ RbacAuthorizer, RbacIndex }, results) {
  const index = new RbacIndex();
  const rule = (n) => ({ verbs: ["get", "list"], apiGroups: [`group-${n % 7}`], resources: [`things-${n}`] });
  for (let n = 0; n < 1000; n++) {
    const namespace = n % 2 ? `ns-${n % 50}` : undefined;
    index.setRole({ metadata: { name: `role-${n}`, namespace }, rules: [rule(n), rule(n + 1), rule(n + 2)] });
  }
  for (let n = 0; n < 2000; n++) {
    const role = n % 1000;
    const namespace = role % 2 ? `ns-${role % 50}` : undefined;
    const subjects = Array.from({ length: 10 }, (_, i) =>
      i % 2 ? { kind: "User", name: `user-${(n + i) % 400}` } : { kind: "Group", name: `team-${(n * 3 + i) % 200}` },
    );
    const roleRef = { apiGroup: "", kind: namespace ? "Role" : "ClusterRole", name: `role-${role}` };
    index.setBinding({ metadata: { name: `binding-${n}`, namespace }, subjects, roleRef });
  }
  const authorizer = new RbacAuthorizer(index);
  const user = { name: "user-7", groups: Array.from({ length: 20 }, (_, i) => `team-${i * 7}`) };
  const asked = { user, verb: "get", isResource: true, version: "v1", subresource: "", name: "x", path: "" };
  const allowed = { ...asked, group: "group-0", resource: "things-14", namespace: "ns-1" };
  const refused = { ...asked, group: "nowhere", resource: "nothing", namespace: "ns-1" };
  for (const [name, attributes] of [
    ["RBAC decides, granted", allowed],
    ["RBAC decides, refused", refused],
  ]) {
    const perCall = timed(() => authorizer.authorize(attributes));
    results.add(`${name}, 1,000 roles and 2,000 bindings`, perCall, { unit: "µs", target: "< 20" });
  }
}

async function tokens(parts, results) {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const authority = parts.createTokenAuthority({
    privateKeyPem: privateKey.export({ type: "pkcs8", format: "pem" }),
    issuer: "https://bench",
    clock: parts.systemClock,
    random: parts.systemRandom,
  });
  const account = { metadata: { uid: "u" } };
  const authenticator = parts.serviceAccountAuthenticator({
    authority,
    audiences: ["api"],
    objects: () => ({ get: () => account }),
  });
  const subject = { namespace: "default", name: "builder", uid: "u" };
  const { token } = authority.issue({ subject, audiences: ["api"], expirationSeconds: 3600 });
  const credentials = { headers: { authorization: `Bearer ${token}` }, certificate: undefined, remoteAddress: "" };
  if (!(await authenticator.authenticate(credentials))) throw new Error("the token was refused");
  const begun = process.hrtime.bigint();
  for (let n = 0; n < repeats; n++) await authenticator.authenticate(credentials);
  const perCall = Number(process.hrtime.bigint() - begun) / 1000 / repeats;
  results.add("a ServiceAccount's token that was seen before", perCall, { unit: "µs", target: "< 10" });
}

/** The same pods created without admission, with all of its plugins, and with ten policies in CEL on top. */
async function admission(parts, results) {
  const none = await podCreates(parts, { admission: [] });
  const plugins = await podCreates(parts, {});
  const policies = await podCreates(parts, {}, 10);
  results.add("admission plugins, added to a pod's create", plugins - none, { unit: "µs", target: "< 100" });
  results.add("ten policies in CEL, added to a pod's create", policies - plugins, { unit: "µs", target: "< 500" });
}

async function podCreates(parts, options, policies = 0) {
  const api = await parts.startPolicyServer(options);
  try {
    await api.client.create(parts.ServiceAccounts, { metadata: { name: "default", namespace: "default" } });
    for (let n = 0; n < policies; n++) await addPolicy(parts, api.client, n);
    const create = (n) =>
      api.client.create(parts.Pods, {
        metadata: { name: `pod-${n}`, namespace: "default", labels: { app: "web", tier: "front" } },
        spec: { containers: [{ name: "main", image: "nginx:1.27", resources: { limits: { memory: "64Mi" } } }] },
      });
    for (let n = 0; n < pods; n++) await create(n);
    const begun = process.hrtime.bigint();
    for (let n = pods; n < 2 * pods; n++) await create(n);
    return Number(process.hrtime.bigint() - begun) / 1000 / pods;
  } finally {
    await api.close();
  }
}

async function addPolicy({ ValidatingAdmissionPolicies, ValidatingAdmissionPolicyBindings }, client, n) {
  const rules = [{ apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE"], resources: ["pods"] }];
  await client.create(ValidatingAdmissionPolicies, {
    metadata: { name: `policy-${n}` },
    spec: {
      failurePolicy: "Fail",
      matchConstraints: { resourceRules: rules },
      variables: [{ name: "containers", expression: "object.spec.containers" }],
      validations: [
        { expression: `variables.containers.all(c, c.image != 'forbidden-${n}')` },
        { expression: "has(object.metadata.labels) && 'app' in object.metadata.labels", message: "an app is missing" },
      ],
    },
  });
  await client.create(ValidatingAdmissionPolicyBindings, {
    metadata: { name: `binding-${n}` },
    spec: { policyName: `policy-${n}`, validationActions: ["Deny"] },
  });
}

/** Microseconds a call, after a warm-up. */
function timed(call) {
  for (let n = 0; n < repeats; n++) call();
  const begun = process.hrtime.bigint();
  for (let n = 0; n < repeats; n++) call();
  return Number(process.hrtime.bigint() - begun) / 1000 / repeats;
}
