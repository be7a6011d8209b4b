/** Tokens of OpenID Connect issuers: verified by the issuer's published keys, then made a user as the configuration says (KEP-3331). */
import { createRequire } from "node:module";
import { createRemoteJWKSet, customFetch, decodeJwt, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from "jose";
import type { Program } from "../../apimachinery/cel/compile.ts";
import { ListValue, type Value } from "../../apimachinery/cel/values.ts";
import type { Authenticator, UserInfo } from "../../apiserver/authentication.ts";
import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/logger.ts";
import { systemTrust } from "../../client/authorities.ts";
import {
  type ClaimOrExpression,
  claimsEnvironment,
  compiled,
  type JwtIssuer,
  type PrefixedClaim,
  userEnvironment,
} from "./authentication-configuration.ts";
import { bearerToken } from "./bearer-token.ts";
import { TokenCache } from "./token-cache.ts";

export interface JwtAuthenticatorOptions {
  /** Found sound before. */
  issuers: readonly JwtIssuer[];
  clock: Clock;
  log: Logger;
}

type Claims = Readonly<Record<string, unknown>>;

/** As upstream remembers them. */
const cacheTtlMs = 10_000;
const algorithms = ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512"];

const answerTimeoutMs = 10_000;
const notBeforeToleranceSeconds = 300;

/** Large, and needed by few: loaded when the first issuer is asked. */
const loadUndici = (): typeof import("undici") => createRequire(import.meta.url)("undici");

/** The token is genuine, and still makes nobody. */
class Refusal extends Error {
  override name = "Refusal";
}

export interface JwtAuthenticator extends Authenticator {
  /** Asks every issuer for its keys. Rejects when one does not give them; they are asked for again when a token comes. */
  fetchKeys(): Promise<void>;
}

export function jwtAuthenticator({ issuers, clock, log }: JwtAuthenticatorOptions): JwtAuthenticator {
  const byUrl = new Map(issuers.map((one) => [one.issuer.url, new Issuer(one, clock)]));
  const cache = new TokenCache(clock, cacheTtlMs);
  return {
    name: "jwt",
    async fetchKeys() {
      await Promise.all([...byUrl.values()].map((issuer) => issuer.keys()));
    },
    async authenticate({ headers }) {
      const token = bearerToken(headers["authorization"]);
      const issuer = token ? byUrl.get(issuerOf(token) ?? "") : undefined;
      if (!token || !issuer) return undefined;
      try {
        return await cache.get(token, () => issuer.userOf(token));
      } catch (error) {
        log.info("a token was refused", { issuer: issuer.url, error: (error as Error).message });
        return undefined;
      }
    },
  };
}

function issuerOf(token: string): string | undefined {
  try {
    return decodeJwt(token).iss;
  } catch {
    return undefined;
  }
}

class Issuer {
  readonly url: string;
  readonly #configuration: JwtIssuer;
  readonly #clock: Clock;
  readonly #user: (claims: Claims) => UserInfo;
  /** By issuer: its own, and those to whose statements its tokens point. */
  readonly #keys = new Map<string, Promise<JWTVerifyGetKey>>();
  #fetch: typeof import("undici").fetch | undefined;

  constructor(configuration: JwtIssuer, clock: Clock) {
    this.url = configuration.issuer.url;
    this.#configuration = configuration;
    this.#clock = clock;
    this.#user = compileMapping(configuration);
  }

  async userOf(token: string): Promise<UserInfo> {
    return this.#user(await this.#complete(await this.#verified(token, this.url)));
  }

  async #verified(token: string, issuer: string): Promise<JWTPayload> {
    const { payload } = await jwtVerify(token, await this.keys(issuer), {
      issuer,
      audience: this.#configuration.issuer.audiences,
      algorithms,
      currentDate: new Date(this.#clock.now()),
      requiredClaims: ["exp"],
      // Clocks differ: what counts from now on does. What has ended has ended.
      clockTolerance: notBeforeToleranceSeconds,
    });
    if (payload.exp! * 1000 <= this.#clock.now()) throw new Refusal("the token has expired");
    return payload;
  }

  keys(issuer = this.url): Promise<JWTVerifyGetKey> {
    const known = this.#keys.get(issuer);
    if (known) return known;
    const keys = this.#discover(issuer);
    this.#keys.set(issuer, keys);
    keys.catch(() => this.#keys.delete(issuer));
    return keys;
  }

  /** Groups that are said somewhere else (distributed claims, OpenID Connect Core 5.6.2) are asked for there. */
  async #complete(payload: JWTPayload): Promise<Claims> {
    const { claim } = this.#configuration.claimMappings.groups ?? {};
    if (!claim || payload[claim] !== undefined) return payload;
    const names = recordOf(payload["_claim_names"]);
    const source = names?.[claim];
    if (typeof source !== "string") return payload;
    const place = recordOf(recordOf(payload["_claim_sources"])?.[source]);
    if (!place) throw new Refusal(`the source ${source} of the claim ${claim} is not among the token's`);
    const { endpoint, access_token: proof } = place;
    if (typeof endpoint !== "string" || !endpoint) return payload;
    const headers = typeof proof === "string" && proof ? { authorization: `Bearer ${proof}` } : {};
    const answer = await this.#get(endpoint, { headers });
    if (!answer.ok) throw new Refusal(`${endpoint} answers ${answer.status}`);
    const token = (await answer.text()).trim();
    const said = await this.#verified(token, issuerOf(token) ?? "");
    if (said[claim] === undefined) throw new Refusal(`${endpoint} says nothing of the claim ${claim}`);
    return { ...payload, [claim]: said[claim] };
  }

  get #get(): typeof import("undici").fetch {
    if (this.#fetch) return this.#fetch;
    const { certificateAuthority } = this.#configuration.issuer;
    const { Agent, fetch } = loadUndici();
    const dispatcher = new Agent({
      connect: certificateAuthority ? { ca: certificateAuthority } : { secureContext: systemTrust() },
      headersTimeout: answerTimeoutMs,
      bodyTimeout: answerTimeoutMs,
    });
    this.#fetch = (target, options) => fetch(target, { ...options, dispatcher });
    return this.#fetch;
  }

  /** Where the keys are, by OpenID Connect Discovery; jose fetches them anew when a token names one that it does not know. */
  async #discover(url: string): Promise<JWTVerifyGetKey> {
    const get = this.#get;
    const elsewhere = url === this.url ? this.#configuration.issuer.discoveryURL : undefined;
    const where = elsewhere ?? `${url.replace(/\/$/, "")}/.well-known/openid-configuration`;
    const answer = await get(where);
    if (!answer.ok) throw new Error(`${where} answers ${answer.status}`);
    const document = (await answer.json()) as { issuer?: string; jwks_uri?: string };
    if (document.issuer !== url) {
      throw new Error(
        `${where} speaks of the issuer ${JSON.stringify(document.issuer)}, not of ${JSON.stringify(url)}`,
      );
    }
    return createRemoteJWKSet(new URL(document.jwks_uri ?? ""), {
      // jose's own types are those of the browser's fetch; undici's is the same function.
      [customFetch]: get as unknown as NonNullable<Parameters<typeof createRemoteJWKSet>[1]>[typeof customFetch],
    });
  }
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : undefined;
}

function compileMapping(configuration: JwtIssuer): (claims: Claims) => UserInfo {
  const { username, groups, uid, extra = [] } = configuration.claimMappings;
  const claimRules = (configuration.claimValidationRules ?? []).map((rule) => ({
    ...rule,
    program: rule.expression ? compiled(rule.expression, claimsEnvironment) : undefined,
  }));
  const userRules = (configuration.userValidationRules ?? []).map((rule) => ({
    ...rule,
    program: compiled(rule.expression, userEnvironment),
  }));
  const nameOf = textReader(username);
  const groupsOf = groups && reader(groups);
  const uidOf = uid && textReader(uid);
  const extras = extra.map(({ key, valueExpression }) => ({ key, read: reader({ expression: valueExpression }) }));

  return (claims) => {
    for (const { claim, requiredValue, program, message } of claimRules) {
      if (program) {
        if (program.evaluate({ claims }).value !== true) throw new Refusal(message || `${program.source} is false`);
      } else if (claims[claim!] !== (requiredValue ?? "")) {
        throw new Refusal(`the claim ${claim} is not ${JSON.stringify(requiredValue)}`);
      }
    }
    if (username.claim === "email" && claims["email_verified"] !== undefined && claims["email_verified"] !== true) {
      throw new Refusal("the e-mail address is not verified");
    }
    const name = nameOf(claims);
    if (!name) throw new Refusal("the token names no user");
    const credential = typeof claims["jti"] === "string" && claims["jti"] ? `JTI=${claims["jti"]}` : undefined;
    const user: UserInfo = {
      name,
      groups: groupsOf?.(claims).filter(Boolean) ?? [],
      ...(uidOf ? { uid: uidOf(claims) } : {}),
      extra: Object.fromEntries([
        ...(credential ? [["authentication.kubernetes.io/credential-id", [credential]] as const] : []),
        ...extras
          .map(({ key, read }) => [key, read(claims).filter(Boolean)] as const)
          .filter(([, values]) => values.length),
      ]),
    };
    const seen = { username: user.name, uid: user.uid ?? "", groups: user.groups, extra: user.extra };
    for (const { program, message } of userRules) {
      if (program.evaluate({ user: seen }).value !== true) throw new Refusal(message || `${program.source} is false`);
    }
    return user;
  };
}

/** Reads the one text that there must be. */
function textReader({ claim, expression, prefix = "" }: ClaimOrExpression & PrefixedClaim): (claims: Claims) => string {
  const program = expression ? compiled(expression, claimsEnvironment) : undefined;
  return (claims) => {
    const value = program ? program.evaluate({ claims }).value : claims[claim!];
    if (typeof value !== "string")
      throw new Refusal(`${expression ?? claim} is ${value === undefined ? "not there" : "no text"}`);
    return prefix + value;
  };
}

/** Reads texts, one or several. */
function reader({ claim, expression, prefix = "" }: ClaimOrExpression & PrefixedClaim): (claims: Claims) => string[] {
  if (expression) {
    const program: Program = compiled(expression, claimsEnvironment);
    return (claims) => textsOf(jsonOf(program.evaluate({ claims }).value), expression);
  }
  return (claims) => textsOf(claims[claim!], claim!).map((text) => prefix + text);
}

function jsonOf(value: Value): unknown {
  return value instanceof ListValue ? value.toArray() : value;
}

function textsOf(value: unknown, where: string): string[] {
  if (value === undefined || value === null) return [];
  const list: unknown[] = Array.isArray(value) ? value : [value];
  for (const item of list) {
    if (typeof item !== "string") throw new Refusal(`${where} holds ${JSON.stringify(item)}, which is not text`);
  }
  return list as string[];
}
