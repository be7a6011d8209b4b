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

export interface TokenAuthority {
  issue(request: IssueRequest): { token: string; expiresAtMs: number };
  /** Undefined for anything that is not a valid, current token of this authority. Answers for tokens seen before come from memory. */
  verify(token: string): VerifiedToken | undefined;
  /** The public keys as a JSON Web Key Set, for OIDC discovery. */
  keySet(): { keys: object[] };
  readonly issuer: string;
}

export interface TokenAuthorityOptions {
  /** A P-256 key in PKCS #8. */
  privateKeyPem: string;
  issuer: string;
  clock: Clock;
  random: Random;
}

// Enough for every pod of a large cluster; beyond it the oldest is checked anew.
const rememberedTokens = 10_000;

export function createTokenAuthority({ privateKeyPem, issuer, clock, random }: TokenAuthorityOptions): TokenAuthority {
  const privateKey = createPrivateKey(privateKeyPem);
  const publicKey = createPublicKey(privateKey);
  const keyId = keyIdOf(publicKey);
  const header = encode({ alg: "ES256", kid: keyId });
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
    const signedPart = `${header}.${encode(claims)}`;
    const signature = sign("sha256", Buffer.from(signedPart), { key: privateKey, dsaEncoding: "ieee-p1363" });
    return { token: `${signedPart}.${signature.toString("base64url")}`, expiresAtMs: claims.exp * 1000 };
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
    const parts = token.split(".");
    if (parts.length !== 3) return undefined;
    const [tokenHeader = "", payload = "", signature = ""] = parts;
    const parsedHeader = decode<{ alg?: string; kid?: string }>(tokenHeader);
    if (parsedHeader?.alg !== "ES256" || parsedHeader.kid !== keyId) return undefined;
    const isGenuine = verify(
      "sha256",
      Buffer.from(`${tokenHeader}.${payload}`),
      { key: publicKey, dsaEncoding: "ieee-p1363" },
      Buffer.from(signature, "base64url"),
    );
    // Signed by us, hence of the shape that `issue` writes.
    const claims = isGenuine ? decode<Claims>(payload) : undefined;
    if (!claims || claims.iss !== issuer) return undefined;
    const nowSeconds = clock.now() / 1000;
    if (claims.exp <= nowSeconds || claims.nbf > nowSeconds + 60) return undefined;
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

  return {
    issuer,
    issue,
    verify: verifyToken,
    keySet: () => ({
      keys: [{ ...publicKey.export({ format: "jwk" }), use: "sig", kid: keyId, alg: "ES256" }],
    }),
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
