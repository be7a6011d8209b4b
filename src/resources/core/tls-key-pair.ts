/** Whether a certificate and a key belong together, in the words of Go's TLS library. */
import { createPrivateKey, createPublicKey, type KeyObject, X509Certificate } from "node:crypto";

/** Undefined when they do. Both are PEM; the first certificate counts. */
export function keyPairProblem(certificate: Buffer, key: Buffer): string | undefined {
  const certificates = blocksOf(certificate);
  const first = certificates.find(({ type }) => type === "CERTIFICATE");
  if (!first) return certificateMissing(certificates.map(({ type }) => type));
  const keys = blocksOf(key);
  const ownKey = keys.find(({ type }) => type === "PRIVATE KEY" || type.endsWith(" PRIVATE KEY"));
  if (!ownKey) return keyMissing(keys.map(({ type }) => type));
  let certified: KeyObject;
  try {
    certified = new X509Certificate(first.text).publicKey;
  } catch {
    return "x509: malformed certificate";
  }
  let held: KeyObject;
  try {
    held = createPublicKey(createPrivateKey(ownKey.text));
  } catch {
    return "tls: failed to parse private key";
  }
  if (held.asymmetricKeyType !== certified.asymmetricKeyType) {
    return "tls: private key type does not match public key type";
  }
  return held.equals(certified) ? undefined : "tls: private key does not match public key";
}

interface Block {
  /** `CERTIFICATE` */
  type: string;
  /** With its first and last line. */
  text: string;
}

function blocksOf(pem: Buffer): Block[] {
  const pattern = /^-----BEGIN ([^\n-]+)-----[ \t]*\r?\n[^-]*^-----END \1-----[ \t]*\r?$/gm;
  return [...pem.toString("latin1").matchAll(pattern)].map(([text, type = ""]) => ({ type, text }));
}

function certificateMissing(types: readonly string[]): string {
  if (types.length === 0) return "tls: failed to find any PEM data in certificate input";
  if (types.length === 1 && types[0]!.endsWith("PRIVATE KEY")) {
    return "tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have been switched";
  }
  return `tls: failed to find "CERTIFICATE" PEM block in certificate input after skipping PEM blocks of the following types: [${types.join(" ")}]`;
}

function keyMissing(types: readonly string[]): string {
  if (types.length === 0) return "tls: failed to find any PEM data in key input";
  if (types.length === 1 && types[0] === "CERTIFICATE") {
    return "tls: found a certificate rather than a key in the PEM for the private key";
  }
  return `tls: failed to find PEM block with type ending in "PRIVATE KEY" in key input after skipping PEM blocks of the following types: [${types.join(" ")}]`;
}
