/** ServiceAccount tokens (KEP-1205): issued by the TokenRequest subresource, verified on every request that carries one. */
import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import type { Clock } from "../../base/clock.ts";
import type { Random } from "../../base/random.ts";

export interface TokenSubject {
  namespace: string;
  name: string;
  uid: string;
}

/** What a token is tied to: when that object is gone, the token is worth nothing. */
export interface BoundObject {
  kind: "Pod" | "Secret" | "Node";
  name: string;
  uid: string;
}

export interface IssueRequest {
  subject: TokenSubject;
  audiences: readonly string[];
  expirationSeconds: number;
  boundObject?: BoundObject;
  /** Carried for pods that are bound to a node. */
  node?: { name: string; uid?: string };
}

/** A token's content, once its signature and times were found good. */
export interface VerifiedToken {
  subject: TokenSubject;
  audiences: readonly string[];
  id: string;
  expiresAtMs: number;
  boundObject: BoundObject | undefined;
  node: { name: string; uid?: string } | undefined;
  /** Of the first sort: for the API server, whoever that is, and for as long as the Secret holds it. */
  isLegacy?: boolean;
}

interface Claims {
  aud: string[];
  exp: number;
  iat: number;
  iss: string;
  jti: string;
  nbf: number;
  sub: string;
  "kubernetes.io": {
    namespace: string;
    serviceaccount: { name: string; uid: string };
    pod?: { name: string; uid: string };
    secret?: { name: string; uid: string };
    node?: { name: string; uid?: string };
  };
}

/** Keys in PEM: a private one (P-256, PKCS #8) that signs, and the public ones of those that signed before and still count. */
export interface TokenKeys {
  privateKeyPem: string;
  formerKeys?: readonly string[];
}

export interface TokenAuthority {
  issue(request: IssueRequest): { token: string; expiresAtMs: number };
  /** A token of the first sort, for a Secret: it has no end and no audience, and goes with its Secret. */
  issueLegacy(subject: TokenSubject, secretName: string): string;
  /** Undefined for anything that is not a valid, current token of this authority. Answers for tokens seen before come from memory. */
  verify(token: string): VerifiedToken | undefined;
  /** Why a token is none, in upstream's words; undefined when it does not say that it is of this authority. */
  problemOf(token: string): string | undefined;
  /** What was signed by neither the new key nor a former one counts no more. */
  replaceKeys(keys: TokenKeys): void;
  /** The public keys as a JSON Web Key Set, for OIDC discovery. */
  keySet(): { keys: object[] };
  readonly issuer: string;
}

export interface TokenAuthorityOptions extends TokenKeys {
  issuer: string;
  clock: Clock;
  random: Random;
}

// Enough for every pod of a large cluster; beyond it the oldest is checked anew.
const rememberedTokens = 10_000;

const legacyIssuer = "kubernetes/serviceaccount";
const legacyClaim = (name: string) => `kubernetes.io/serviceaccount/${name}`;

interface Keys {
  signing: KeyObject;
  header: string;
  /** By their identifiers: the signing key's first. */
  verifying: ReadonlyMap<string, KeyObject>;
}

function keysOf({ privateKeyPem, formerKeys = [] }: TokenKeys): Keys {
  const signing = createPrivateKey(privateKeyPem);
  const publicKeys = [createPublicKey(signing), ...formerKeys.map((pem) => createPublicKey(pem))];
  const verifying = new Map(publicKeys.map((key) => [keyIdOf(key), key]));
  return { signing, header: encode({ alg: "ES256", kid: keyIdOf(publicKeys[0]!) }), verifying };
}

export function createTokenAuthority({ issuer, clock, random, ...given }: TokenAuthorityOptions): TokenAuthority {
  let keys = keysOf(given);
  const remembered = new Map<string, VerifiedToken>();

  function issue({ subject, audiences, expirationSeconds, boundObject, node }: IssueRequest) {
    const nowSeconds = Math.floor(clock.now() / 1000);
    const reference = boundObject && { name: boundObject.name, uid: boundObject.uid };
    const claims: Claims = {
      aud: [...audiences],
      exp: nowSeconds + expirationSeconds,
      iat: nowSeconds,
      iss: issuer,
      jti: random.uuid(),
      nbf: nowSeconds,
      sub: `system:serviceaccount:${subject.namespace}:${subject.name}`,
      "kubernetes.io": {
        namespace: subject.namespace,
        serviceaccount: { name: subject.name, uid: subject.uid },
        ...(boundObject?.kind === "Pod" && reference ? { pod: reference } : {}),
        ...(boundObject?.kind === "Secret" && reference ? { secret: reference } : {}),
        ...(boundObject?.kind === "Node" && reference ? { node: reference } : node ? { node } : {}),
      },
    };
    return { token: signed(claims), expiresAtMs: claims.exp * 1000 };
  }

  function signed(claims: object): string {
    const signedPart = `${keys.header}.${encode(claims)}`;
    const signature = sign("sha256", Buffer.from(signedPart), { key: keys.signing, dsaEncoding: "ieee-p1363" });
    return `${signedPart}.${signature.toString("base64url")}`;
  }

  function issueLegacy({ namespace, name, uid }: TokenSubject, secretName: string): string {
    return signed({
      iss: legacyIssuer,
      [legacyClaim("namespace")]: namespace,
      [legacyClaim("secret.name")]: secretName,
      [legacyClaim("service-account.name")]: name,
      [legacyClaim("service-account.uid")]: uid,
      sub: `system:serviceaccount:${namespace}:${name}`,
    });
  }

  function verifyToken(token: string): VerifiedToken | undefined {
    const known = remembered.get(token);
    if (known) return known.expiresAtMs > clock.now() ? known : undefined;
    const verified = verifyAnew(token);
    if (verified) {
      if (remembered.size >= rememberedTokens) remembered.delete(remembered.keys().next().value!);
      remembered.set(token, verified);
    }
    return verified;
  }

  function verifyAnew(token: string): VerifiedToken | undefined {
    const claims = genuineClaims(token);
    if (!claims || timeProblem(claims)) return undefined;
    if (claims.iss === legacyIssuer) return legacyToken(claims as unknown as Record<string, string>);
    const bound = claims["kubernetes.io"];
    return {
      subject: { namespace: bound.namespace, ...bound.serviceaccount },
      audiences: claims.aud,
      id: claims.jti,
      expiresAtMs: claims.exp * 1000,
      boundObject: boundObjectOf(bound),
      node: bound.node,
    };
  }

  /** Signed by us, hence of the shape that `issue` or `issueLegacy` writes. */
  function genuineClaims(token: string): Claims | undefined {
    const parts = token.split(".");
    if (parts.length !== 3) return undefined;
    const [tokenHeader = "", payload = "", signature = ""] = parts;
    const parsedHeader = decode<{ alg?: string; kid?: string }>(tokenHeader);
    const key = parsedHeader?.alg === "ES256" ? keys.verifying.get(parsedHeader.kid ?? "") : undefined;
    if (!key) return undefined;
    const isGenuine = verify(
      "sha256",
      Buffer.from(`${tokenHeader}.${payload}`),
      { key, dsaEncoding: "ieee-p1363" },
      Buffer.from(signature, "base64url"),
    );
    const claims = isGenuine ? decode<Claims>(payload) : undefined;
    return claims && (claims.iss === issuer || claims.iss === legacyIssuer) ? claims : undefined;
  }

  function timeProblem({ iss, exp, nbf }: Claims): string | undefined {
    if (iss === legacyIssuer) return undefined;
    const nowSeconds = clock.now() / 1000;
    if (exp <= nowSeconds) return "service account token has expired";
    return nbf > nowSeconds + 60 ? "service account token is not valid yet" : undefined;
  }

  function problemOf(token: string): string | undefined {
    const said = decode<{ iss?: string }>(token.split(".")[1] ?? "");
    if (said?.iss !== issuer && said?.iss !== legacyIssuer) return undefined;
    const claims = genuineClaims(token);
    return claims ? timeProblem(claims) : "go-jose/go-jose: error in cryptographic primitive";
  }

  return {
    issuer,
    issue,
    issueLegacy,
    verify: verifyToken,
    problemOf,
    replaceKeys(next) {
      keys = keysOf(next);
      remembered.clear();
    },
    keySet: () => ({
      keys: [...keys.verifying].map(([keyId, key]) => ({
        ...key.export({ format: "jwk" }),
        use: "sig",
        kid: keyId,
        alg: "ES256",
      })),
    }),
  };
}

function legacyToken(claims: Readonly<Record<string, string>>): VerifiedToken {
  const of = (name: string) => claims[legacyClaim(name)] ?? "";
  return {
    subject: { namespace: of("namespace"), name: of("service-account.name"), uid: of("service-account.uid") },
    audiences: [],
    id: "",
    expiresAtMs: Number.POSITIVE_INFINITY,
    boundObject: { kind: "Secret", name: of("secret.name"), uid: "" },
    node: undefined,
    isLegacy: true,
  };
}

function boundObjectOf(claims: Claims["kubernetes.io"]): BoundObject | undefined {
  if (claims.pod) return { kind: "Pod", ...claims.pod };
  if (claims.secret) return { kind: "Secret", ...claims.secret };
  // A pod's token tells of its node as well, but is not tied to it.
  if (claims.node?.uid) return { kind: "Node", name: claims.node.name, uid: claims.node.uid };
  return undefined;
}

/** Upstream's way: the hash of the public key's DER form. */
function keyIdOf(publicKey: KeyObject): string {
  return createHash("sha256")
    .update(publicKey.export({ type: "spki", format: "der" }))
    .digest("base64url");
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

function decode<T>(part: string): T | undefined {
  try {
    return JSON.parse(Buffer.from(part, "base64url").toString("utf8")) as T;
  } catch {
    return undefined;
  }
}
