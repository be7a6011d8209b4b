/** Whom to believe where nobody names an authority: the ones that the machine trusts, found as Go's programs find them (crypto/x509). */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createSecureContext, rootCertificates, type SecureContext } from "node:tls";

/** Where distributions keep them in one file; the first that there is counts. */
const files = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
  "/etc/pki/tls/cacert.pem",
  "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
  "/etc/ssl/cert.pem",
];

let read: string[] | undefined;

/** Those of this process's environment, read once. */
export const systemAuthorities = (): string[] => (read ??= authoritiesIn(process.env));

let trust: SecureContext | undefined;

/** The same, taken apart once, for connections on which this process shows no certificate of its own. */
export const systemTrust = (): SecureContext => (trust ??= createSecureContext({ ca: systemAuthorities() }));

/**
 * PEM texts: the file of $SSL_CERT_FILE, or else the machine's; the folders of $SSL_CERT_DIR where that is set; without any of them
 * those that Node brings along. What $NODE_EXTRA_CA_CERTS names is among them in any case.
 */
export function authoritiesIn(environment: NodeJS.ProcessEnv): string[] {
  const file = environment["SSL_CERT_FILE"];
  const folders = environment["SSL_CERT_DIR"]?.split(":").filter(Boolean) ?? [];
  const bundle = (file ? [file] : files).map(readIfThere).find((text) => text !== undefined);
  const isNew = (text: string) => !bundle?.includes(text.trim());
  const trusted = [...(bundle === undefined ? [] : [bundle]), ...folders.flatMap(filesIn).filter(isNew)];
  const extra = environment["NODE_EXTRA_CA_CERTS"];
  return [
    ...(trusted.length > 0 ? trusted : rootCertificates),
    ...(extra && extra !== file ? [readIfThere(extra)] : []),
  ].filter((text): text is string => text?.includes("-----BEGIN CERTIFICATE-----") === true);
}

function filesIn(folder: string): string[] {
  try {
    return readdirSync(folder).flatMap((name) => readIfThere(join(folder, name)) ?? []);
  } catch {
    return [];
  }
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}
