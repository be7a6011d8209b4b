/** Authorities that a webhook's certificate is checked by. */
import { X509Certificate } from "node:crypto";

/** Why `bundle`, base64 of PEM, holds no authority, in upstream's words. One good certificate is enough; none at all means the system's. */
export function caBundleProblem(bundle: string): string | undefined {
  const text = Buffer.from(bundle, "base64").toString("latin1");
  if (text === "") return undefined;
  const blocks = [...text.matchAll(/-----BEGIN ([^-]+)-----([^-]*)-----END \1-----\s*/g)];
  const certificates = blocks.filter(([, type, body]) => type === "CERTIFICATE" && !body!.includes(":"));
  const readable = certificates.map(([block]) => isCertificate(block));
  if (readable.includes(true)) return undefined;
  if (readable.length > 0) return "failed to parse certificate: x509: malformed certificate";
  const last = blocks.at(-1);
  const isAllBlocks = last && last.index + last[0].length === text.length;
  return isAllBlocks ? "no valid certificate authority data seen" : "unable to parse bytes as PEM block";
}

function isCertificate(pem: string): boolean {
  try {
    new X509Certificate(pem);
    return true;
  } catch {
    return false;
  }
}
