/** Client certificates: the common name is the user, organizations are groups (x509 request authenticator). TLS has verified them already. */
import type { Authenticator, UserInfo } from "../../apiserver/authentication.ts";
import type { TrustedAuthorities } from "./trusted-authorities.ts";

/** The element of a subject that says its user's uid (apimachinery's X509UID). */
const uidElement = "1.3.6.1.4.1.57683.2";

/** Without `authorities`, whatever TLS verified is a user's. */
export function clientCertificateAuthenticator(authorities?: TrustedAuthorities): Authenticator {
  return {
    name: "x509",
    authenticate({ certificate }): UserInfo | undefined {
      if (!certificate) return undefined;
      // Repeated attributes are arrays, which Node's types do not say.
      const subject = certificate.toLegacyObject().subject as unknown as Record<string, string | string[] | undefined>;
      const name = first(subject?.["CN"]);
      if (!name || (authorities && !authorities.vouchFor(certificate))) return undefined;
      const organizations = subject["O"];
      const uid = subject[uidElement];
      // Of several nobody knows which one counts.
      if (uid !== undefined && (Array.isArray(uid) || uid === "")) return undefined;
      const fingerprint = certificate.fingerprint256.replaceAll(":", "").toLowerCase();
      const groups = organizations === undefined ? [] : Array.isArray(organizations) ? organizations : [organizations];
      const extra = { "authentication.kubernetes.io/credential-id": [`X509SHA256=${fingerprint}`] };
      return { name, groups, ...(uid ? { uid } : {}), extra };
    },
  };
}

function first(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}
