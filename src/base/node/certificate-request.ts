/** Certificate requests (PKCS #10): what they ask for, and the certificates that answer them. */
import { webcrypto } from "node:crypto";
import type { Random } from "../random.ts";
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
    notAfter: new Date(options.notAfterMs),
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
