/** Tokens that the configuration lists, with the users they stand for (upstream: `--token-auth-file`). */
import { createHash } from "node:crypto";
import type { Authenticator, UserInfo } from "../../apiserver/authentication.ts";
import { bearerToken } from "./bearer-token.ts";

export interface StaticToken {
  token: string;
  user: string;
  uid?: string;
  groups?: readonly string[];
}

export function staticTokenAuthenticator(tokens: readonly StaticToken[]): Authenticator {
  // By hash: how long a look-up takes then tells nothing about the tokens themselves.
  const users = new Map<string, UserInfo>();
  for (const { token, user, uid, groups = [] } of tokens) {
    users.set(hashOf(token), { name: user, groups, ...(uid ? { uid } : {}) });
  }
  return {
    name: "tokenfile",
    authenticate({ headers }): UserInfo | undefined {
      const token = bearerToken(headers["authorization"]);
      return token === undefined ? undefined : users.get(hashOf(token));
    },
  };
}

function hashOf(token: string): string {
  return createHash("sha256").update(token).digest("base64");
}
