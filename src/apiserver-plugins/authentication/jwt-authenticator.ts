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
  #keys: Promise<JWTVerifyGetKey> | undefined;

  constructor(configuration: JwtIssuer, clock: Clock) {
    this.url = configuration.issuer.url;
    this.#configuration = configuration;
    this.#clock = clock;
    this.#user = compileMapping(configuration);
  }

  async userOf(token: string): Promise<UserInfo> {
    const { payload } = await jwtVerify(token, await this.keys(), {
      issuer: this.url,
      audience: this.#configuration.issuer.audiences,
      algorithms,
      currentDate: new Date(this.#clock.now()),
      requiredClaims: ["exp"],
    });
    return this.#user(complete(payload));
  }

  keys(): Promise<JWTVerifyGetKey> {
    if (!this.#keys) {
      this.#keys = this.#discover();
      this.#keys.catch(() => (this.#keys = undefined));
    }
    return this.#keys;
  }

  /** Where the keys are, by OpenID Connect Discovery; jose fetches them anew when a token names one that it does not know. */
  async #discover(): Promise<JWTVerifyGetKey> {
    const { url, discoveryURL, certificateAuthority } = this.#configuration.issuer;
    const { Agent, fetch } = loadUndici();
    const dispatcher = new Agent({
      connect: certificateAuthority ? { ca: certificateAuthority } : { secureContext: systemTrust() },
      headersTimeout: answerTimeoutMs,
      bodyTimeout: answerTimeoutMs,
    });
    const get: typeof fetch = (target, options) => fetch(target, { ...options, dispatcher });
    const where = discoveryURL ?? `${url.replace(/\/$/, "")}/.well-known/openid-configuration`;
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

/** Claims that are kept somewhere else (`_claim_names`) are not fetched. */
function complete(payload: JWTPayload): Claims {
  if (payload["_claim_names"] !== undefined) throw new Refusal("distributed claims are not supported");
  return payload;
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
  const nameOf = reader(username);
  const groupsOf = groups && reader(groups);
  const uidOf = uid && reader(uid);
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
    const [name] = nameOf(claims);
    if (!name) throw new Refusal("the token names no user");
    const user: UserInfo = {
      name,
      groups: groupsOf?.(claims).filter(Boolean) ?? [],
      ...(uidOf ? { uid: uidOf(claims)[0] ?? "" } : {}),
      extra: Object.fromEntries(
        extras
          .map(({ key, read }) => [key, read(claims).filter(Boolean)] as const)
          .filter(([, values]) => values.length),
      ),
    };
    const seen = { username: user.name, uid: user.uid ?? "", groups: user.groups, extra: user.extra };
    for (const { program, message } of userRules) {
      if (program.evaluate({ user: seen }).value !== true) throw new Refusal(message || `${program.source} is false`);
    }
    return user;
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
