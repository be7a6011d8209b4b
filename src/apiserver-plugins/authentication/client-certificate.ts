/** Client certificates: the common name is the user, organizations are groups (x509 request authenticator). TLS has verified them already. */
import type { Authenticator, UserInfo } from "../../apiserver/authentication.ts";

export const clientCertificateAuthenticator: Authenticator = {
  name: "x509",
  authenticate({ certificate }): UserInfo | undefined {
    // Repeated attributes are arrays, which Node's types do not say.
    const subject = certificate?.subject as unknown as Record<string, string | string[] | undefined> | undefined;
    const name = first(subject?.["CN"]);
    if (!name) return undefined;
    const organizations = subject?.["O"];
    const groups = organizations === undefined ? [] : Array.isArray(organizations) ? organizations : [organizations];
    return { name, groups };
  },
};

function first(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}
