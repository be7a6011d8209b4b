/** Tokens of ServiceAccounts, held against what they are bound to: who comes in, and what a TokenReview says of those that do not. */
import { generateKeyPairSync } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Nodes, Pods, Secrets, ServiceAccounts } from "../../api/resources.ts";
import type { Clock } from "../../base/clock.ts";
import { systemClock } from "../../base/node/system-clock.ts";
import { systemRandom } from "../../base/node/system-random.ts";
import { startTestApiServer, type TestApiServer } from "../../testing/api-server.ts";
import { RegistryReader } from "../object-reader.ts";
import { tokenReview } from "../reviews/identity-reviews.ts";
import { serviceAccountAuthenticator } from "./service-account-authenticator.ts";
import { createTokenAuthority } from "./service-account-tokens.ts";

let api: TestApiServer;
let later = 0;
const clock: Clock = { ...systemClock, now: () => systemClock.now() + later, setTimer: systemClock.setTimer };
const issuer = "https://test";
const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const privateKeyPem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
const authority = createTokenAuthority({ privateKeyPem, issuer, clock, random: systemRandom });
const used: string[] = [];
let uid: string;

beforeAll(async () => {
  let reader: RegistryReader | undefined;
  api = await startTestApiServer({
    authenticators: [
      serviceAccountAuthenticator({
        authority,
        audiences: [issuer],
        objects: () => reader!,
        clock,
        noteUse: ({ metadata }, day) => used.push(`${metadata.name} ${day}`),
      }),
    ],
    admission: (access) => {
      reader = new RegistryReader(access.registry);
      return [];
    },
    virtualResources: (access) => [tokenReview(() => access.pipeline.authenticators, [issuer])],
  });
  const account = await api.client.create(ServiceAccounts, { metadata: { name: "builder", namespace: "default" } });
  uid = account.metadata.uid;
});
afterAll(() => api.close());

const tokenReviews = {
  group: "authentication.k8s.io",
  version: "v1",
  kind: "TokenReview",
  plural: "tokenreviews",
  scope: "Cluster",
} as const;

async function reviewOf(token: string, audiences?: string[]) {
  const spec = { token, ...(audiences ? { audiences } : {}) };
  const { status } = (await api.client.create(tokenReviews, { metadata: {}, spec } as never)) as unknown as {
    status: { authenticated?: boolean; error?: string; user?: { username?: string; extra?: object } };
  };
  return status.authenticated ? status.user?.username : status.error;
}

const me = "system:serviceaccount:default:builder";
const issue = (more: Partial<Parameters<typeof authority.issue>[0]> = {}) =>
  authority.issue({
    subject: { namespace: "default", name: "builder", uid },
    audiences: [issuer],
    expirationSeconds: 600,
    ...more,
  }).token;

test("a review says why a token is none", async () => {
  expect(await reviewOf(issue())).toBe(me);
  expect(await reviewOf("nonsense")).toBe("invalid bearer token");
  const forged = `${issue().split(".").slice(0, 2).join(".")}.AAAA`;
  expect(await reviewOf(forged)).toBe("[invalid bearer token, go-jose/go-jose: error in cryptographic primitive]");
  const subject = { namespace: "default", name: "builder", uid: "another" };
  expect(await reviewOf(issue({ subject }))).toBe(
    `[invalid bearer token, service account UID (${uid}) does not match claim (another)]`,
  );
  expect(await reviewOf(issue({ subject: { ...subject, name: "nobody" } }))).toBe(
    '[invalid bearer token, serviceaccounts "nobody" not found]',
  );
  expect(await reviewOf(issue({ audiences: ["vault"] }))).toBe(
    `[invalid bearer token, token audiences ["vault"] is invalid for the target audiences ["${issuer}"]]`,
  );
  expect(await reviewOf(issue({ audiences: ["vault"] }), ["vault"])).toBe(me);
  const ending = issue();
  later = 601_000;
  expect(await reviewOf(ending)).toBe("[invalid bearer token, service account token has expired]");
  later = 0;
});

test("a token goes with what it is bound to", async () => {
  const made = await api.client.create(Pods, {
    metadata: { name: "web", namespace: "default", finalizers: ["example.com/wait"] },
    spec: { containers: [{ name: "main", image: "nginx" }] },
  });
  const token = issue({ boundObject: { kind: "Pod", name: "web", uid: made.metadata.uid } });
  const other = issue({ boundObject: { kind: "Pod", name: "web", uid: "another" } });
  expect(await reviewOf(token)).toBe(me);
  expect(await reviewOf(other)).toBe(
    `[invalid bearer token, pod UID (${made.metadata.uid}) does not match service account pod ref claim (another)]`,
  );
  const ref = { name: "web", namespace: "default" };
  await api.client.delete(Pods, ref, { gracePeriodSeconds: 0 });
  // What ends may still finish, for a minute.
  expect(await reviewOf(token)).toBe(me);
  later = 120_000;
  expect(await reviewOf(token)).toBe("[invalid bearer token, service account token has been invalidated]");
  later = 0;
  await api.client.patch(Pods, ref, { type: "merge", body: { metadata: { finalizers: null } } });
  await expect.poll(() => reviewOf(token)).toBe("[invalid bearer token, service account token has been invalidated]");
});

test("a token for a node goes with the node, one for a Secret with the Secret", async () => {
  const node = await api.client.create(Nodes, { metadata: { name: "one" }, spec: {} } as never);
  const secret = await api.client.create(Secrets, { metadata: { name: "tied", namespace: "default" } } as never);
  const toNode = issue({ boundObject: { kind: "Node", name: "one", uid: node.metadata.uid } });
  const toSecret = issue({ boundObject: { kind: "Secret", name: "tied", uid: secret.metadata.uid } });
  const other = issue({ boundObject: { kind: "Secret", name: "tied", uid: "another" } });
  expect([await reviewOf(toNode), await reviewOf(toSecret)]).toEqual([me, me]);
  expect(await reviewOf(other)).toBe(
    `[invalid bearer token, secret UID (${secret.metadata.uid}) does not match service account secret ref claim (another)]`,
  );
  await api.client.delete(Nodes, { name: "one" });
  await api.client.delete(Secrets, { name: "tied", namespace: "default" });
  const gone = "[invalid bearer token, service account token has been invalidated]";
  expect([await reviewOf(toNode), await reviewOf(toSecret)]).toEqual([gone, gone]);
});

test("a Secret's token is what the Secret holds; its use is noted, and a mark ends it", async () => {
  const token = authority.issueLegacy({ namespace: "default", name: "builder", uid }, "kept");
  expect(await reviewOf(token)).toBe("[invalid bearer token, service account token has been invalidated]");
  const ref = { name: "kept", namespace: "default" };
  await api.client.create(Secrets, { metadata: ref, stringData: { token } } as never);
  expect(await reviewOf(token)).toBe(me);
  const today = new Date(clock.now()).toISOString().slice(0, 10);
  expect(used).toEqual([`kept ${today}`]);
  const label = (labels: object) => api.client.patch(Secrets, ref, { type: "merge", body: { metadata: { labels } } });
  await label({ "kubernetes.io/legacy-token-last-used": today });
  expect(await reviewOf(token)).toBe(me);
  expect(used).toHaveLength(1);
  await label({ "kubernetes.io/legacy-token-invalid-since": today });
  expect(await reviewOf(token)).toContain(
    "the token in secret default/kept for service account default/builder has been marked invalid. Use tokens from the TokenRequest API",
  );
});
