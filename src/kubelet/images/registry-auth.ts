/** Proves to registries who is pulling: Basic, and the token flow that a Bearer challenge asks for. */
import type { Clock } from "../../base/clock.ts";
import { ImageError, type RegistryCredentials } from "./image-service.ts";

export interface Challenge {
  scheme: string;
  parameters: Record<string, string>;
}

/** Reads WWW-Authenticate. A header may hold several challenges. Pure. */
export function parseChallenges(header: string): Challenge[] {
  const challenges: Challenge[] = [];
  const token = /\s*(?:,\s*)*([\w!#$%&'*+.^`|~-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+)))?/y;
  for (let match = token.exec(header); match; match = token.exec(header)) {
    const [, name, quoted, bare] = match;
    const value = quoted?.replace(/\\(.)/g, "$1") ?? bare;
    if (value === undefined) challenges.push({ scheme: name!.toLowerCase(), parameters: {} });
    else if (challenges.length > 0) challenges.at(-1)!.parameters[name!.toLowerCase()] = value;
  }
  return challenges;
}

export type TokenFetch = (
  url: string,
  init: { method: string; headers: Record<string, string>; body?: string; signal?: AbortSignal },
) => Promise<{
  status: number;
  json(): Promise<unknown>;
}>;

interface Token {
  authorization: string;
  untilMs: number;
}

/** Remembers tokens until they expire. */
export class Authorizer {
  readonly #clock: Clock;
  readonly #fetch: TokenFetch;
  readonly #tokens = new Map<string, Token>();

  constructor(clock: Clock, fetch: TokenFetch) {
    this.#clock = clock;
    this.#fetch = fetch;
  }

  /** What to send to an endpoint that was asked before, without waiting for its challenge. */
  known(endpoint: string, repository: string, credentials: RegistryCredentials | undefined): string | undefined {
    const token = this.#tokens.get(keyOf(endpoint, repository, credentials));
    return token && token.untilMs > this.#clock.now() ? token.authorization : undefined;
  }

  /** The answer to a challenge. Rejects with reason "Unauthorized" when there is none. */
  async answer(
    header: string,
    endpoint: string,
    repository: string,
    credentials: RegistryCredentials | undefined,
    signal?: AbortSignal,
  ): Promise<string> {
    const challenges = parseChallenges(header);
    const bearer = challenges.find((each) => each.scheme === "bearer");
    const key = keyOf(endpoint, repository, credentials);
    if (bearer) {
      if (credentials?.registryToken) return `Bearer ${credentials.registryToken}`;
      const token = await this.#requestToken(bearer.parameters, repository, credentials, signal);
      this.#tokens.set(key, token);
      return token.authorization;
    }
    if (challenges.some((each) => each.scheme === "basic")) {
      if (credentials?.username === undefined) throw new ImageError("Unauthorized", "no basic auth credentials");
      const authorization = basic(credentials);
      this.#tokens.set(key, { authorization, untilMs: Number.POSITIVE_INFINITY });
      return authorization;
    }
    throw new ImageError("Unauthorized", `the registry asks for an authentication that is not supported: ${header}`);
  }

  forget(endpoint: string, repository: string, credentials: RegistryCredentials | undefined): void {
    this.#tokens.delete(keyOf(endpoint, repository, credentials));
  }

  async #requestToken(
    { realm, service, scope }: Record<string, string>,
    repository: string,
    credentials: RegistryCredentials | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Token> {
    if (!realm || !/^https?:\/\//.test(realm))
      throw new ImageError("Unauthorized", "the registry's challenge names no token server");
    const scopes = scope || `repository:${repository}:pull`;
    const url = new URL(realm);
    let response: Awaited<ReturnType<TokenFetch>>;
    if (credentials?.identityToken) {
      const body = new URLSearchParams({
        grant_type: "refresh_token",
        refresh_token: credentials.identityToken,
        client_id: "pinnace",
        service: service ?? "",
        scope: scopes,
      });
      const headers = { "content-type": "application/x-www-form-urlencoded" };
      response = await this.#fetch(url.href, { method: "POST", headers, body: body.toString(), signal });
    } else {
      if (service) url.searchParams.set("service", service);
      for (const each of scopes.split(" ")) url.searchParams.append("scope", each);
      if (credentials?.username !== undefined) url.searchParams.set("account", credentials.username);
      const headers: Record<string, string> =
        credentials?.username === undefined ? {} : { authorization: basic(credentials) };
      response = await this.#fetch(url.href, { method: "GET", headers, signal });
    }
    if (response.status !== 200) {
      const kind = credentials ? "oauth token" : "anonymous token";
      throw new ImageError(
        "Unauthorized",
        `failed to authorize: failed to fetch ${kind}: unexpected status from GET request to ${url.href}: ${response.status}`,
      );
    }
    const answer = (await response.json()) as { token?: string; access_token?: string; expires_in?: number };
    const token = answer.token ?? answer.access_token;
    if (!token) throw new ImageError("Unauthorized", `failed to authorize: ${url.origin} sent no token`);
    // Some seconds early, and no less than the minute that the specification promises.
    const lifetimeSeconds = Math.max(answer.expires_in ?? 60, 60) - 10;
    return { authorization: `Bearer ${token}`, untilMs: this.#clock.now() + lifetimeSeconds * 1000 };
  }
}

function basic({ username, password }: RegistryCredentials): string {
  return `Basic ${Buffer.from(`${username}:${password ?? ""}`).toString("base64")}`;
}

function keyOf(endpoint: string, repository: string, credentials: RegistryCredentials | undefined): string {
  return JSON.stringify([endpoint, repository, credentials ?? null]);
}
