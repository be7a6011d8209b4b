/** Who somebody is taken for: by a token to join with, and by headers of those who may act for others. */
import { Agent, request } from "node:https";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Secrets } from "../../api/resources.ts";
import { systemClock } from "../../base/node/system-clock.ts";
import { startTestApiServer, type TestApiServer } from "../../testing/api-server.ts";
import { clientCertificate } from "../../testing/webhook-server.ts";
import { RegistryReader } from "../object-reader.ts";
import { selfSubjectReview } from "../reviews/identity-reviews.ts";
import { bootstrapTokenAuthenticator } from "./bootstrap-token-authenticator.ts";
import { clientCertificateAuthenticator } from "./client-certificate.ts";

let api: TestApiServer;
let helper: { certificatePem: string; privateKeyPem: string };
const agent = new Agent({ keepAlive: true });

beforeAll(async () => {
  let reader: RegistryReader | undefined;
  api = await startTestApiServer({
    authenticators: [clientCertificateAuthenticator(), bootstrapTokenAuthenticator(() => reader!, systemClock)],
    authorizers: [
      {
        name: "Test",
        // The helper may be jane, of developers, in her scopes and with her uid; and the builder of the namespace default.
        authorize: ({ user, verb, resource, subresource, name, namespace }) => {
          const may = [
            "users/jane",
            "groups/developers",
            "userextras/scopes/view",
            "uids/u-1",
            "serviceaccounts/default/builder",
          ];
          const what = [resource, subresource, namespace, name].filter(Boolean).join("/");
          const isAsking = !verb.startsWith("impersonate");
          const isAllowed =
            user.groups.includes("system:masters") || isAsking || (verb === "impersonate" && may.includes(what));
          return { kind: isAllowed ? "allow" : "no-opinion", reason: "" };
        },
      },
    ],
    admission: (access) => {
      reader = new RegistryReader(access.registry);
      return [];
    },
    virtualResources: () => [selfSubjectReview(systemClock)],
  });
  helper = clientCertificate(api.pki.ca, "helper", "support");
});
afterAll(async () => {
  agent.destroy();
  await api.close();
});

function whoAmI(headers: Record<string, string | string[]>, isHelper = true): Promise<unknown> {
  const proof = isHelper ? { cert: helper.certificatePem, key: helper.privateKeyPem } : {};
  return new Promise((resolve, reject) => {
    const asking = request(
      `${api.url}/apis/authentication.k8s.io/v1/selfsubjectreviews`,
      {
        method: "POST",
        agent,
        ca: api.pki.ca.certificatePem,
        ...proof,
        headers: { "content-type": "application/json", ...headers },
      },
      async (response) => {
        let text = "";
        for await (const chunk of response) text += chunk;
        const answer = JSON.parse(text) as { status: { userInfo?: object }; code?: number; message?: string };
        resolve(answer.status.userInfo ?? `${answer.code} ${answer.message}`);
      },
    );
    asking.once("error", reject);
    asking.end(JSON.stringify({ apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" }));
  });
}

describe("whoever may act for others", () => {
  test("is them, with groups, uid and extras", async () => {
    expect(
      await whoAmI({
        "Impersonate-User": "jane",
        "Impersonate-Group": "developers",
        "Impersonate-Uid": "u-1",
        "Impersonate-Extra-Scopes": "view",
      }),
    ).toEqual({
      username: "jane",
      uid: "u-1",
      groups: ["developers", "system:authenticated"],
      extra: { scopes: ["view"] },
    });
    expect(await whoAmI({ "Impersonate-User": "system:serviceaccount:default:builder" })).toEqual({
      username: "system:serviceaccount:default:builder",
      groups: ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"],
    });
  });

  test("is nobody whom they may not be, in any part", async () => {
    const cannot = (what: string) => `User "helper" cannot impersonate resource ${what} at the cluster scope`;
    expect(await whoAmI({ "Impersonate-User": "root" })).toBe(
      `403 users "root" is forbidden: ${cannot('"users" in API group ""')}`,
    );
    const asJane = { "Impersonate-User": "jane" };
    expect(await whoAmI({ ...asJane, "Impersonate-Group": ["developers", "system:masters"] })).toBe(
      `403 groups "system:masters" is forbidden: ${cannot('"groups" in API group ""')}`,
    );
    expect(await whoAmI({ ...asJane, "Impersonate-Uid": "0" })).toBe(
      `403 uids.authentication.k8s.io "0" is forbidden: ${cannot('"uids" in API group "authentication.k8s.io"')}`,
    );
    expect(await whoAmI({ ...asJane, "Impersonate-Extra-scopes": "admin" })).toBe(
      `403 userextras.authentication.k8s.io "admin" is forbidden: ${cannot('"userextras/scopes" in API group "authentication.k8s.io"')}`,
    );
    expect(await whoAmI({ ...asJane, "Impersonate-Extra-%zz": "x" })).toContain('"userextras/%zz"');
    expect(await whoAmI({ "Impersonate-Group": "developers" })).toMatch(/^4\d\d .*without impersonating a user name$/);
  });
});

test("a token to join with counts while it is whole, in time, meant for that, and its groups are joiners'", async () => {
  const token = { "token-id": "abcdef", "token-secret": "0123456789abcdef", "usage-bootstrap-authentication": "true" };
  const answers = async (change: Record<string, string>, more: object = {}, given = "abcdef.0123456789abcdef") => {
    const ref = { name: "bootstrap-token-abcdef", namespace: "kube-system" };
    const stringData = { ...token, ...change };
    const type = "bootstrap.kubernetes.io/token";
    await api.client.create(Secrets, { metadata: ref, type, stringData, ...more } as never);
    const answer = await whoAmI({ authorization: `Bearer ${given}` }, false);
    await api.client.delete(Secrets, ref);
    return answer;
  };
  const unauthorized = "401 Unauthorized";
  expect(await answers({ "auth-extra-groups": "system:bootstrappers:workers" })).toEqual({
    username: "system:bootstrap:abcdef",
    groups: ["system:bootstrappers", "system:bootstrappers:workers", "system:authenticated"],
  });
  expect(await answers({ expiration: "2020-01-01T00:00:00Z" })).toBe(unauthorized);
  expect(await answers({ expiration: "soon" })).toBe(unauthorized);
  expect(await answers({ "usage-bootstrap-authentication": "false" })).toBe(unauthorized);
  expect(await answers({ "auth-extra-groups": "system:masters" })).toBe(unauthorized);
  expect(await answers({ "token-id": "abcdeg" })).toBe(unauthorized);
  expect(await answers({}, { type: "Opaque" })).toBe(unauthorized);
  expect(await answers({}, {}, "abcdef.0123456789abcdee")).toBe(unauthorized);
});
