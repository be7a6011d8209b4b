/** Who is asking: the contract that every way of proving it fulfils (authenticator.Request upstream). */
import type { X509Certificate } from "node:crypto";

export interface UserInfo {
  /** `system:anonymous` when nobody proved anything. */
  name: string;
  uid?: string;
  groups: readonly string[];
  extra?: Readonly<Record<string, readonly string[]>>;
}

/** What a request offers as proof. */
export interface Credentials {
  /** Lower-case names. */
  headers: Readonly<Record<string, string | string[] | undefined>>;
  /** The client certificate, when TLS verified it against an authority that the listener knows. */
  certificate: X509Certificate | undefined;
  /** The peer's address. */
  remoteAddress: string;
  /** For whom a token must be meant; absent: for the API server. */
  audiences?: readonly string[];
}

export interface Authenticator {
  name: string;
  /** Heeds `audiences`. What others accept is meant for the API server alone. */
  knowsAudiences?: boolean;
  /** Whether requests of many users come over a connection with this certificate: then each is asked about anew. */
  speaksForMany?(credentials: Credentials): boolean;
  /**
   * The user; or undefined when the request holds nothing that this authenticator understands, so that the next one is asked.
   * Throws (a StatusError 401) when proof was offered and is wrong.
   */
  authenticate(credentials: Credentials): UserInfo | undefined | Promise<UserInfo | undefined>;
}

export const anonymousUser: UserInfo = { name: "system:anonymous", groups: ["system:unauthenticated"] };
export const mastersGroup = "system:masters";

/** A user who proved who they are also belongs to `system:authenticated`. */
export function authenticated(user: UserInfo): UserInfo {
  if (user.groups.includes("system:authenticated") || user.groups.includes("system:unauthenticated")) return user;
  return { ...user, groups: [...user.groups, "system:authenticated"] };
}
