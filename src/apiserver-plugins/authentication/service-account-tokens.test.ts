import { generateKeyPairSync } from "node:crypto";
import { expect, test } from "vitest";
import type { Clock } from "../../base/clock.ts";
import { seededRandom } from "../../base/random.ts";
import { createTokenAuthority } from "./service-account-tokens.ts";

const subject = { namespace: "default", name: "builder", uid: "u-1" };

function authorityAt(time: { now: number }, key = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey) {
  const clock: Clock = { now: () => time.now, setTimer: () => ({ [Symbol.dispose]() {} }) };
  return createTokenAuthority({
    privateKeyPem: key.export({ type: "pkcs8", format: "pem" }).toString(),
    issuer: "https://kubernetes.default.svc.cluster.local",
    clock,
    random: seededRandom(1),
  });
}

test("a token says whom it stands for and what it is bound to", () => {
  const authority = authorityAt({ now: 1_800_000_000_000 });
  const { token, expiresAtMs } = authority.issue({
    subject,
    audiences: ["api"],
    expirationSeconds: 3600,
    boundObject: { kind: "Pod", name: "web-0", uid: "p-1" },
    node: { name: "worker-1" },
  });
  expect(expiresAtMs).toBe(1_800_003_600_000);
  expect(authority.verify(token)).toMatchObject({
    subject,
    audiences: ["api"],
    boundObject: { kind: "Pod", name: "web-0", uid: "p-1" },
    node: { name: "worker-1" },
  });
});

test("an expired token is refused, also when it was seen before", () => {
  const time = { now: 1_800_000_000_000 };
  const authority = authorityAt(time);
  const { token } = authority.issue({ subject, audiences: ["api"], expirationSeconds: 600 });
  expect(authority.verify(token)).toBeDefined();
  time.now += 601_000;
  expect(authority.verify(token)).toBeUndefined();
});

test("a token of another cluster, or one that was changed, is refused", () => {
  const time = { now: 1_800_000_000_000 };
  const { token } = authorityAt(time).issue({ subject, audiences: ["api"], expirationSeconds: 600 });
  const authority = authorityAt(time);
  expect(authority.verify(token)).toBeUndefined();
  const own = authority.issue({ subject, audiences: ["api"], expirationSeconds: 600 }).token;
  const [header, , signature] = own.split(".");
  const forged = Buffer.from(JSON.stringify({ sub: "system:serviceaccount:kube-system:admin" })).toString("base64url");
  expect(authority.verify(`${header}.${forged}.${signature}`)).toBeUndefined();
  expect(authority.verify("not.a.token")).toBeUndefined();
  expect(authority.verify("")).toBeUndefined();
});

test("a new signing key takes over: older tokens count while their key is kept, and both keys are published", () => {
  const time = { now: 1_800_000_000_000 };
  const [first, second] = [1, 2].map(() => generateKeyPairSync("ec", { namedCurve: "P-256" }));
  const privatePem = (pair: typeof first) => pair!.privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  const publicPem = (pair: typeof first) => pair!.publicKey.export({ type: "spki", format: "pem" }).toString();
  const authority = authorityAt(time, first!.privateKey);
  const issue = () => authority.issue({ subject, audiences: ["api"], expirationSeconds: 600 }).token;
  const keyIds = () => authority.keySet().keys.map((key) => (key as { kid: string }).kid);
  const keyIdOf = (token: string) => JSON.parse(Buffer.from(token.split(".")[0]!, "base64url").toString()).kid;
  const old = issue();
  expect(authority.verify(old)).toBeDefined();
  authority.replaceKeys({ privateKeyPem: privatePem(second), formerKeys: [publicPem(first)] });
  const fresh = issue();
  expect(authority.verify(old)).toBeDefined();
  expect(authority.verify(fresh)).toBeDefined();
  expect(keyIds()).toEqual([keyIdOf(fresh), keyIdOf(old)]);
  authority.replaceKeys({ privateKeyPem: privatePem(second) });
  expect(authority.verify(old)).toBeUndefined();
  expect(authority.problemOf(old)).toBe("go-jose/go-jose: error in cryptographic primitive");
  expect(authority.verify(fresh)).toBeDefined();
  expect(keyIds()).toEqual([keyIdOf(fresh)]);
});

test("a token for a Secret has upstream's first form: no end, no audience, the Secret's name", () => {
  const authority = authorityAt({ now: 1_800_000_000_000 });
  const token = authority.issueLegacy(subject, "builder-token");
  expect(JSON.parse(Buffer.from(token.split(".")[1]!, "base64url").toString())).toEqual({
    iss: "kubernetes/serviceaccount",
    "kubernetes.io/serviceaccount/namespace": "default",
    "kubernetes.io/serviceaccount/secret.name": "builder-token",
    "kubernetes.io/serviceaccount/service-account.name": "builder",
    "kubernetes.io/serviceaccount/service-account.uid": "u-1",
    sub: "system:serviceaccount:default:builder",
  });
  expect(authority.verify(token)).toMatchObject({ subject, isLegacy: true });
});
