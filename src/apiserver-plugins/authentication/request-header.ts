/** Proxies that have looked at who asks and say so in headers; their own certificate makes that believable (upstream: `--requestheader-*`). */
import type { X509Certificate } from "node:crypto";
import type { Authenticator, Credentials, UserInfo } from "../../apiserver/authentication.ts";
import type { TrustedAuthorities } from "./trusted-authorities.ts";

export interface RequestHeaderOptions {
  /** Who signs proxies' certificates: never the authority of users, who could otherwise be anybody. */
  authorities: TrustedAuthorities;
  /** Common names of proxies. Empty: whoever the authorities vouch for. */
  allowedNames: readonly string[];
  /** Of each, the first header that is there counts; of groups and extras all do. */
  usernameHeaders: readonly string[];
  uidHeaders: readonly string[];
  groupHeaders: readonly string[];
  extraHeadersPrefixes: readonly string[];
}

export const defaultRequestHeaders = {
  usernameHeaders: ["X-Remote-User"],
  uidHeaders: ["X-Remote-Uid"],
  groupHeaders: ["X-Remote-Group"],
  extraHeadersPrefixes: ["X-Remote-Extra-"],
};

export function requestHeaderAuthenticator(options: RequestHeaderOptions): Authenticator {
  const lower = (names: readonly string[]) => names.map((name) => name.toLowerCase());
  const usernames = lower(options.usernameHeaders);
  const uids = lower(options.uidHeaders);
  const groupNames = lower(options.groupHeaders);
  const prefixes = lower(options.extraHeadersPrefixes);
  const isProxy = (certificate: X509Certificate | undefined): boolean =>
    certificate !== undefined &&
    options.authorities.vouchFor(certificate) &&
    (options.allowedNames.length === 0 || options.allowedNames.includes(commonNameOf(certificate)));
  return {
    name: "requestheader",
    speaksForMany: ({ certificate }) => isProxy(certificate),
    authenticate({ headers, certificate }): UserInfo | undefined {
      const name = usernames.map((header) => valuesOf(headers, header)[0]).find(Boolean);
      if (!name || !isProxy(certificate)) return undefined;
      const uid = uids.map((header) => valuesOf(headers, header)[0]).find(Boolean);
      const extra: Record<string, string[]> = {};
      for (const header in headers) {
        const prefix = prefixes.find((each) => header.startsWith(each));
        if (prefix === undefined) continue;
        const key = decoded(header.slice(prefix.length));
        extra[key] = [...(extra[key] ?? []), ...valuesOf(headers, header)];
      }
      return {
        name,
        groups: groupNames.flatMap((header) => valuesOf(headers, header)),
        ...(uid ? { uid } : {}),
        ...(Object.keys(extra).length > 0 ? { extra } : {}),
      };
    },
  };
}

function commonNameOf(certificate: X509Certificate): string {
  const { CN } = certificate.toLegacyObject().subject as unknown as Record<string, string | string[] | undefined>;
  return (Array.isArray(CN) ? CN[0] : CN) ?? "";
}

function valuesOf(headers: Credentials["headers"], name: string): string[] {
  const value = headers[name];
  if (value === undefined) return [];
  // Node joins repeated headers that it does not know with a comma and a space.
  return Array.isArray(value) ? value : value.split(", ");
}

/** A key that is not well encoded is taken as it stands. */
function decoded(key: string): string {
  try {
    return decodeURIComponent(key);
  } catch {
    return key;
  }
}
