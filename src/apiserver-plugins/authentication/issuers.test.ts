/** Tokens of a real issuer over HTTPS, of a webhook, and from a list, at a real API server's door. */
import { type CryptoKey, exportJWK, generateKeyPair, type JWTPayload, SignJWT } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { silentLogger } from "../../base/logger.ts";
import { systemClock } from "../../base/node/system-clock.ts";
import { systemRandom } from "../../base/node/system-random.ts";
import { startWebhookServer, type WebhookServer } from "../../testing/webhook-server.ts";
import { endpointRouter } from "../webhooks/service-route.ts";
import { WebhookCaller } from "../webhooks/webhook-caller.ts";
import {
  type AuthenticationConfiguration,
  authenticationConfigurationErrors,
  type JwtIssuer,
} from "./authentication-configuration.ts";
import { jwtAuthenticator } from "./jwt-authenticator.ts";
import { staticTokenAuthenticator } from "./static-tokens.ts";
import { tokenWebhookAuthenticator } from "./token-webhook.ts";

const credentials = (token: string) => ({
  headers: { authorization: `Bearer ${token}` },
  certificate: undefined,
  remoteAddress: "127.0.0.1",
});

describe("an OpenID Connect issuer", () => {
  let server: WebhookServer;
  let url: string;
  let ca: string;
  let sign: (claims: JWTPayload, options?: { key?: CryptoKey; expires?: string }) => Promise<string>;
  let foreignKey: CryptoKey;
  let keyRequests = 0;
  /** What says in which groups somebody is, where tokens point to. */
  let groupsToken = "";

  beforeAll(async () => {
    const { privateKey, publicKey } = await generateKeyPair("ES256");
    foreignKey = (await generateKeyPair("ES256")).privateKey;
    const jwk = { ...(await exportJWK(publicKey)), kid: "one", alg: "ES256", use: "sig" };
    server = await startWebhookServer((_, path) => {
      if (path === "/keys") keyRequests++;
      if (path === "/groups") return { status: groupsToken ? 200 : 503, text: groupsToken };
      return path === "/keys" ? { keys: [jwk] } : { issuer: url, jwks_uri: `${url}/keys` };
    });
    url = server.url;
    ca = Buffer.from(server.caBundle, "base64").toString();
    sign = (claims, { key = privateKey, expires = "5m" } = {}) =>
      new SignJWT({ iss: url, aud: "pinnace", ...claims })
        .setProtectedHeader({ alg: "ES256", kid: "one" })
        .setIssuedAt()
        .setExpirationTime(expires)
        .sign(key);
  });
  afterAll(() => server[Symbol.asyncDispose]());

  const issuer = (change: Partial<JwtIssuer> = {}): JwtIssuer => ({
    issuer: { url, certificateAuthority: ca, audiences: ["pinnace"] },
    claimMappings: { username: { claim: "sub", prefix: "corp:" } },
    ...change,
  });
  const userOf = async (token: string, configuration = issuer()) =>
    jwtAuthenticator({ issuers: [configuration], clock: systemClock, log: silentLogger }).authenticate(
      credentials(token),
    );

  it("vouches for a user by claims", async () => {
    const configuration = issuer({
      claimMappings: {
        username: { claim: "sub", prefix: "corp:" },
        groups: { claim: "roles", prefix: "corp:" },
        uid: { claim: "oid" },
        extra: [{ key: "example.com/tenant", valueExpression: "claims.tenant" }],
      },
    });
    const token = await sign({ sub: "ada", roles: ["dev", "ops"], oid: "17", tenant: "blue" });
    expect(await userOf(token, configuration)).toEqual({
      name: "corp:ada",
      groups: ["corp:dev", "corp:ops"],
      uid: "17",
      extra: { "example.com/tenant": ["blue"] },
    });
  });

  it("vouches for a user by expressions", async () => {
    const configuration = issuer({
      claimMappings: {
        username: { expression: "claims.username + ':external'" },
        groups: { expression: "claims.roles.split(',')" },
        uid: { expression: "claims.sub" },
      },
    });
    expect(await userOf(await sign({ sub: "1", username: "ada", roles: "a,b" }), configuration)).toMatchObject({
      name: "ada:external",
      groups: ["a", "b"],
      uid: "1",
    });
  });

  it("says which token a user came with, and what is no text names nobody", async () => {
    const withUid = issuer({ claimMappings: { username: { claim: "sub", prefix: "" }, uid: { claim: "oid" } } });
    expect(await userOf(await sign({ sub: "ada", oid: "1", jti: "t-7" }), withUid)).toMatchObject({
      uid: "1",
      extra: { "authentication.kubernetes.io/credential-id": ["JTI=t-7"] },
    });
    expect(await userOf(await sign({ sub: "ada" }), withUid)).toBeUndefined();
    expect(await userOf(await sign({ sub: "ada", oid: 1 }), withUid)).toBeUndefined();
    const byName = issuer({ claimMappings: { username: { claim: "names", prefix: "" } } });
    expect(await userOf(await sign({ names: ["root", "ada"] }), byName)).toBeUndefined();
    const byExpression = issuer({ claimMappings: { username: { expression: "claims.names" } } });
    expect(await userOf(await sign({ names: ["root"] }), byExpression)).toBeUndefined();
    expect(await userOf(await sign({ names: "ada" }), byExpression)).toMatchObject({ name: "ada" });
    // Its issuer's clock is ahead of ours.
    const soon = Math.floor(Date.now() / 1000);
    expect(await userOf(await sign({ sub: "ada", nbf: soon + 60 }))).toMatchObject({ name: "corp:ada" });
    expect(await userOf(await sign({ sub: "ada", nbf: soon + 600 }))).toBeUndefined();
  });

  it("may say somewhere else in which groups a user is", async () => {
    const configuration = issuer({
      claimMappings: { username: { claim: "sub", prefix: "" }, groups: { claim: "groups", prefix: "" } },
    });
    const elsewhere = (endpoint: string) => ({
      sub: "ada",
      _claim_names: { groups: "there", address: "nowhere" },
      _claim_sources: { there: { endpoint, access_token: "t" } },
    });
    groupsToken = await sign({ groups: ["dev", "ops"] });
    expect(await userOf(await sign(elsewhere(`${url}/groups`)), configuration)).toMatchObject({
      groups: ["dev", "ops"],
    });
    groupsToken = await sign({ groups: ["root"] }, { key: foreignKey });
    expect(await userOf(await sign(elsewhere(`${url}/groups`)), configuration)).toBeUndefined();
    groupsToken = "";
    expect(await userOf(await sign(elsewhere(`${url}/groups`)), configuration)).toBeUndefined();
    // Nobody wants to know.
    expect(await userOf(await sign(elsewhere(`${url}/groups`)))).toMatchObject({ name: "corp:ada" });
    const said = { ...elsewhere(`${url}/groups`), groups: "qa" };
    expect(await userOf(await sign(said), configuration)).toMatchObject({ groups: ["qa"] });
  });

  it("is asked for its keys once", async () => {
    const before = keyRequests;
    const authenticator = jwtAuthenticator({ issuers: [issuer()], clock: systemClock, log: silentLogger });
    for (const sub of ["a", "b", "c"]) await authenticator.authenticate(credentials(await sign({ sub })));
    expect(keyRequests - before).toBe(1);
  });

  it("vouches for nobody whose token another key signed, is over, is for others, or is of another issuer", async () => {
    expect(await userOf(await sign({ sub: "ada" }, { key: foreignKey }))).toBeUndefined();
    expect(await userOf(await sign({ sub: "ada" }, { expires: "-1s" }))).toBeUndefined();
    expect(await userOf(await sign({ sub: "ada", aud: "bank" }))).toBeUndefined();
    expect(await userOf(await sign({ sub: "ada", iss: "https://elsewhere.example" }))).toBeUndefined();
    expect(await userOf("not.a.token")).toBeUndefined();
    const [head, body] = (await sign({ sub: "ada" })).split(".");
    const unsigned = Buffer.from(JSON.stringify({ alg: "none" })).toString("base64url");
    expect(await userOf(`${unsigned}.${body}.`)).toBeUndefined();
    expect(await userOf(`${head}.${body}.`)).toBeUndefined();
  });

  it("vouches for nobody whom the rules refuse", async () => {
    const employees = issuer({ claimValidationRules: [{ claim: "hd", requiredValue: "example.com" }] });
    expect(await userOf(await sign({ sub: "ada" }), employees)).toBeUndefined();
    expect(await userOf(await sign({ sub: "ada", hd: "example.com" }), employees)).toMatchObject({ name: "corp:ada" });
    const short = issuer({
      claimValidationRules: [{ expression: "claims.exp - claims.iat <= 600", message: "it lives too long" }],
    });
    expect(await userOf(await sign({ sub: "ada" }, { expires: "1h" }), short)).toBeUndefined();
    const noSystem = issuer({
      claimMappings: { username: { claim: "sub", prefix: "" } },
      userValidationRules: [{ expression: "!user.username.startsWith('system:')", message: "reserved" }],
    });
    expect(await userOf(await sign({ sub: "system:admin" }), noSystem)).toBeUndefined();
    expect(await userOf(await sign({ sub: "ada" }), noSystem)).toMatchObject({ name: "ada" });
    const mail = issuer({ claimMappings: { username: { claim: "email", prefix: "" } } });
    expect(await userOf(await sign({ email: "a@example.com", email_verified: false }), mail)).toBeUndefined();
  });

  it("that nobody can trust vouches for nobody", async () => {
    const untrusted = issuer({ issuer: { url, audiences: ["pinnace"] } });
    expect(await userOf(await sign({ sub: "ada" }), untrusted)).toBeUndefined();
  });
});

describe("a configuration of issuers", () => {
  const sound: JwtIssuer = {
    issuer: { url: "https://issuer.example", audiences: ["a"] },
    claimMappings: { username: { claim: "sub", prefix: "" } },
  };
  const errorsOf = (jwt: object, rest: object = {}) =>
    authenticationConfigurationErrors(
      {
        apiVersion: "apiserver.config.k8s.io/v1",
        kind: "AuthenticationConfiguration",
        jwt: [jwt as JwtIssuer],
        ...rest,
      } as AuthenticationConfiguration,
      undefined,
      ["https://own.example"],
    ).map(({ field, message }) => `${field}: ${message}`);
  const issuer = (change: object) => ({ ...sound, issuer: { ...sound.issuer, ...change } });
  const mapping = (claimMappings: object) => ({ ...sound, claimMappings });

  it.each<[string, object, string]>([
    ["no URL", issuer({ url: "" }), "jwt[0].issuer.url: Required value"],
    [
      "plain HTTP",
      issuer({ url: "http://x" }),
      'jwt[0].issuer.url: Invalid value: "http://x": URL scheme must be https',
    ],
    ["a query", issuer({ url: "https://x?a=b" }), "URL must not contain a query"],
    [
      "no audience",
      issuer({ audiences: [] }),
      "jwt[0].issuer.audiences: Required value: at least one jwt[0].issuer.audiences is required",
    ],
    ["two audiences", issuer({ audiences: ["a", "b"] }), "audienceMatchPolicy must be MatchAny for multiple audiences"],
    [
      "no user",
      mapping({ username: {} }),
      "jwt[0].claimMappings.username: Required value: claim or expression is required",
    ],
    ["no prefix", mapping({ username: { claim: "sub" } }), "jwt[0].claimMappings.username.prefix: Required value"],
    ["nonsense", mapping({ username: { expression: "claims." } }), "compilation failed"],
    ["a number", mapping({ username: { expression: "1" } }), "must evaluate to string"],
    [
      "an unverified address",
      mapping({ username: { expression: "claims.email" } }),
      "claims.email_verified must be used",
    ],
    [
      "a reserved key",
      mapping({ ...sound.claimMappings, extra: [{ key: "k8s.io/x", valueExpression: "'a'" }] }),
      "are reserved for Kubernetes use",
    ],
    [
      "another's token",
      issuer({ url: "https://own.example" }),
      "must not overlap with disallowed issuers: [https://own",
    ],
    [
      "no URL at all",
      issuer({ url: "https://x:y" }),
      'Invalid value: "https://x:y": parse "https://x:y": invalid port',
    ],
    [
      "itself to find it at",
      issuer({ discoveryURL: "https://issuer.example/" }),
      "discoveryURL must be different from URL",
    ],
    ["a policy of its own", issuer({ audienceMatchPolicy: "All" }), "must be empty or MatchAny for single audience"],
    ["an unknown way out", issuer({ egressSelectorType: "etcd" }), "egress selector must be either controlplane or"],
    [
      "a key without a domain",
      mapping({ ...sound.claimMappings, extra: [{ key: "x", valueExpression: "'a'" }] }),
      'extra[0].key: Invalid value: "x": must be a domain-prefixed path (such as "acme.io/foo")',
    ],
    [
      "a key in capitals",
      mapping({ ...sound.claimMappings, extra: [{ key: "acme.io/X", valueExpression: "'a'" }] }),
      'extra[0].key: Invalid value: "acme.io/X": must be lowercase',
    ],
    [
      "a claim asked for twice",
      { ...sound, claimValidationRules: [{ claim: "a" }, { claim: "a" }] },
      'jwt[0].claimValidationRules[1].claim: Duplicate value: "a"',
    ],
    [
      "a user's rule twice",
      { ...sound, userValidationRules: [{ expression: "true" }, { expression: "true" }] },
      'jwt[0].userValidationRules[1].expression: Duplicate value: "true"',
    ],
    [
      "a message to a claim",
      { ...sound, claimValidationRules: [{ claim: "a", message: "m" }] },
      "may not be specified when claim is set",
    ],
    [
      "a rule that is two",
      { ...sound, claimValidationRules: [{ claim: "a", expression: "true" }] },
      "claim and expression can't both be set",
    ],
  ])("with %s is refused", (_, jwt, expected) => {
    expect(errorsOf(jwt)).toEqual([expect.stringContaining(expected)]);
  });

  it("that is sound is not", () => {
    expect(errorsOf({ ...sound, issuer: { ...sound.issuer, egressSelectorType: "cluster" } })).toEqual([]);
  });
});

describe("a token webhook", () => {
  it("says whose token it is, and is not asked again for a while", async () => {
    await using hook = await startWebhookServer((review) => {
      const { token } = (review as { spec: { token: string } }).spec;
      const user = { username: "ada", groups: ["dev"], uid: "1", extra: { k: ["v"] } };
      return { status: token === "good" ? { authenticated: true, user } : { authenticated: false } };
    });
    const caller = new WebhookCaller({
      router: endpointRouter(() => undefined as never, systemRandom),
      clock: systemClock,
    });
    const options = { caller, cacheTtlMs: 60_000, clock: systemClock, log: silentLogger };
    const target = { url: `${hook.url}/authenticate`, caBundle: hook.caBundle };
    const authenticator = tokenWebhookAuthenticator({ ...options, target });
    const user = { name: "ada", groups: ["dev"], uid: "1", extra: { k: ["v"] } };
    expect(await authenticator.authenticate(credentials("good"))).toEqual(user);
    expect(await authenticator.authenticate(credentials("good"))).toEqual(user);
    expect(await authenticator.authenticate(credentials("bad"))).toBeUndefined();
    expect(hook.received).toHaveLength(2);
    const nobody = tokenWebhookAuthenticator({ ...options, target: { url: "https://127.0.0.1:1/" } });
    expect(await nobody.authenticate(credentials("good"))).toBeUndefined();
    caller.close();
  });
});

describe("a list of tokens", () => {
  it("says whose token it is", () => {
    const authenticator = staticTokenAuthenticator([{ token: "s3cret", user: "ci", uid: "7", groups: ["robots"] }]);
    expect(authenticator.authenticate(credentials("s3cret"))).toEqual({ name: "ci", uid: "7", groups: ["robots"] });
    expect(authenticator.authenticate(credentials("s3cre"))).toBeUndefined();
    expect(authenticator.authenticate({ headers: {}, certificate: undefined, remoteAddress: "" })).toBeUndefined();
  });
});
