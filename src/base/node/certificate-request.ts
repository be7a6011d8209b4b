/** Certificate requests (PKCS #10): what they ask for, and the certificates that answer them. */
import { createPublicKey, verify, webcrypto } from "node:crypto";
import type { Random } from "../random.ts";
import { pemBlocks } from "./pem.ts";
import { x509 } from "./x509.ts";

export interface CertificateRequestFacts {
  commonName: string;
  organizations: string[];
  dnsNames: string[];
  ipAddresses: string[];
  emails: string[];
  uris: string[];
}

export interface SignOptions {
  caCertificatePem: string;
  caPrivateKeyPem: string;
  requestPem: string;
  /** As CertificateSigningRequests name them: `client auth`, `digital signature`. */
  usages: readonly string[];
  notBeforeMs: number;
  notAfterMs: number;
  random: Random;
}

/** A new key (P-256), and the request for a certificate of it. */
export async function createCertificateRequest({
  commonName,
  organizations = [],
}: {
  commonName: string;
  organizations?: readonly string[];
}): Promise<{ requestPem: string; privateKeyPem: string }> {
  const library = await x509();
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const name = [...organizations.map((organization) => `O=${organization}`), `CN=${commonName}`].join(", ");
  const request = await library.Pkcs10CertificateRequestGenerator.create({ name, keys, signingAlgorithm: algorithm });
  const der = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey)).toString("base64");
  const body = der.replace(/.{64}/g, "$&\n").trimEnd();
  return {
    requestPem: `${request.toString("pem")}\n`,
    privateKeyPem: `-----BEGIN PRIVATE KEY-----\n${body}\n-----END PRIVATE KEY-----\n`,
  };
}

/** Rejects when the text is no certificate request. */
export async function readCertificateRequest(pem: string): Promise<CertificateRequestFacts> {
  const library = await x509();
  const request = new library.Pkcs10CertificateRequest(pem);
  const names = request.extensions.flatMap((extension) =>
    extension instanceof library.SubjectAlternativeNameExtension ? extension.names.items : [],
  );
  const of = (type: string) => names.flatMap((name) => (name.type === type ? [name.value] : []));
  return {
    commonName: request.subjectName.getField("CN")[0] ?? "",
    organizations: request.subjectName.getField("O"),
    dnsNames: of("dns"),
    ipAddresses: of("ip"),
    emails: of("email"),
    uris: of("url"),
  };
}

/** Why nobody could sign this: undefined when it is a request, signed by the key that it names. */
export function certificateRequestProblem(pem: string): string | undefined {
  const block = pemBlocks(pem)[0];
  if (block?.type !== "CERTIFICATE REQUEST") return "PEM block type must be CERTIFICATE REQUEST";
  try {
    const [asked, algorithm, signature] = derParts(derParts(block.der)[0]!.content);
    const [, , publicKey] = derParts(asked!.content);
    const hash = signatureHashes[derParts(algorithm!.content)[0]!.content.toString("hex")];
    if (hash === undefined) return "x509: cannot verify signature: algorithm unimplemented";
    const key = createPublicKey({ key: publicKey!.whole, format: "der", type: "spki" });
    // A bit string begins with the number of bits that its last byte leaves unused.
    if (verify(hash, asked!.whole, key, signature!.content.subarray(1))) return undefined;
    return key.asymmetricKeyType === "rsa"
      ? "crypto/rsa: verification error"
      : `x509: ${verificationNames[key.asymmetricKeyType ?? ""] ?? ""} verification failure`;
  } catch {
    return "asn1: structure error: malformed certificate request";
  }
}

const verificationNames: Readonly<Record<string, string>> = { ec: "ECDSA", ed25519: "Ed25519" };

/** By the DER of the algorithm's name: ECDSA and RSA with SHA-2, and Ed25519, which hashes by itself. */
const signatureHashes: Readonly<Record<string, string | null>> = {
  "2a8648ce3d040302": "sha256",
  "2a8648ce3d040303": "sha384",
  "2a8648ce3d040304": "sha512",
  "2a864886f70d01010b": "sha256",
  "2a864886f70d01010c": "sha384",
  "2a864886f70d01010d": "sha512",
  "2b6570": null,
};

/** The values that stand one after another. Throws when a length leads beyond the end. */
function derParts(bytes: Buffer): { whole: Buffer; content: Buffer }[] {
  const parts: { whole: Buffer; content: Buffer }[] = [];
  for (let at = 0; at < bytes.length; ) {
    const first = bytes.readUInt8(at + 1);
    const lengthBytes = first < 0x80 ? 0 : first & 0x7f;
    const length = lengthBytes === 0 ? first : bytes.readUIntBE(at + 2, lengthBytes);
    const begin = at + 2 + lengthBytes;
    if (begin + length > bytes.length) throw new RangeError("a value ends beyond its surroundings");
    parts.push({ whole: bytes.subarray(at, begin + length), content: bytes.subarray(begin, begin + length) });
    at = begin + length;
  }
  return parts;
}

/** A certificate for the request's key, subject and alternative names. Rejects when the request is not signed by its own key. */
export async function signCertificateRequest(options: SignOptions): Promise<string> {
  const library = await x509();
  const request = new library.Pkcs10CertificateRequest(options.requestPem);
  if (!(await request.verify())) throw new Error("the certificate request's signature does not verify");
  const issuer = new library.X509Certificate(options.caCertificatePem);
  const { KeyUsageFlags, ExtendedKeyUsage } = library;
  const flags: Readonly<Record<string, number>> = {
    "digital signature": KeyUsageFlags.digitalSignature,
    signing: KeyUsageFlags.digitalSignature,
    "content commitment": KeyUsageFlags.nonRepudiation,
    "key encipherment": KeyUsageFlags.keyEncipherment,
    "data encipherment": KeyUsageFlags.dataEncipherment,
    "key agreement": KeyUsageFlags.keyAgreement,
    "cert sign": KeyUsageFlags.keyCertSign,
    "crl sign": KeyUsageFlags.cRLSign,
    "encipher only": KeyUsageFlags.encipherOnly,
    "decipher only": KeyUsageFlags.decipherOnly,
  };
  const extended: Readonly<Record<string, string>> = {
    "client auth": ExtendedKeyUsage.clientAuth,
    "server auth": ExtendedKeyUsage.serverAuth,
    "code signing": ExtendedKeyUsage.codeSigning,
    "email protection": ExtendedKeyUsage.emailProtection,
    "s/mime": ExtendedKeyUsage.emailProtection,
    timestamping: ExtendedKeyUsage.timeStamping,
    "ocsp signing": ExtendedKeyUsage.ocspSigning,
    any: "2.5.29.37.0",
  };
  const keyUsage = options.usages.reduce((sum, usage) => sum | (flags[usage] ?? 0), 0);
  const purposes = options.usages.flatMap((usage) => extended[usage] ?? []);
  const names = request.extensions.filter((extension) => extension instanceof library.SubjectAlternativeNameExtension);
  const der = Buffer.from(options.caPrivateKeyPem.replace(/-----[^-]+-----/g, ""), "base64");
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
  const certificate = await library.X509CertificateGenerator.create({
    // Positive and at most 20 bytes, as RFC 5280 wants it.
    serialNumber: `4${options.random.uuid().replaceAll("-", "").slice(1)}`,
    subject: request.subject,
    issuer: issuer.subject,
    notBefore: new Date(options.notBeforeMs),
    // Nothing outlives its authority.
    notAfter: new Date(Math.min(options.notAfterMs, issuer.notAfter.getTime())),
    signingKey: await webcrypto.subtle.importKey("pkcs8", der, algorithm, false, ["sign"]),
    publicKey: request.publicKey,
    signingAlgorithm: algorithm,
    extensions: [
      new library.BasicConstraintsExtension(false, undefined, true),
      ...(keyUsage ? [new library.KeyUsagesExtension(keyUsage, true)] : []),
      ...(purposes.length > 0 ? [new library.ExtendedKeyUsageExtension(purposes)] : []),
      await library.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      ...names,
    ],
  });
  return `${certificate.toString("pem")}\n`;
}
