/** Certificate requests (PKCS #10): what they ask for, and the certificates that answer them. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, verify } from "node:crypto";
import { formatIp } from "../ip.ts";
import type { Random } from "../random.ts";
import {
  attributeIds,
  authorityKeyIdentifier,
  basicConstraints,
  type Extension,
  extendedKeyUsage,
  extensionIds,
  extensionsOf,
  generalNames,
  isKeyUsage,
  isPurpose,
  keyUsage,
  readCertificate,
  type Subject,
  signCertificate,
  signed,
  subjectName,
} from "./certificate.ts";
import {
  type DerValue,
  der,
  derSequence,
  derValues,
  explicitTag,
  objectIdentifier,
  sequence,
  stringOf,
  tags,
  unsignedInteger,
} from "./der.ts";
import { pemBlock, pemBlocks } from "./pem.ts";

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
export function createCertificateRequest(subject: Subject): { requestPem: string; privateKeyPem: string } {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const body = sequence(
    unsignedInteger(Buffer.from([0])),
    subjectName(subject),
    publicKey.export({ type: "spki", format: "der" }),
    der(explicitTag(0)),
  );
  return {
    requestPem: pemBlock("CERTIFICATE REQUEST", signed(body, privateKey)),
    privateKeyPem: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}

/** Rejects when the text is no certificate request. */
export async function readCertificateRequest(pem: string): Promise<CertificateRequestFacts> {
  const { subject, extensions } = partsOf(pem);
  const names = alternativeNamesIn(extensions).flatMap(({ value }) => derValues(value.content));
  const of = (tag: number) => names.filter((name) => name.tag === tag).map(({ content }) => content);
  const texts = (tag: number) => of(tag).map((content) => content.toString());
  const [commonName = ""] = attributesOf(subject, attributeIds.commonName);
  return {
    commonName,
    organizations: attributesOf(subject, attributeIds.organization),
    dnsNames: texts(generalNames.dns),
    ipAddresses: of(generalNames.ip).map(formatIp),
    emails: texts(generalNames.email),
    uris: texts(generalNames.uri),
  };
}

interface RequestParts {
  subject: DerValue;
  /** SubjectPublicKeyInfo. */
  publicKey: DerValue;
  extensions: Extension[];
  /** What the signature is over, and by which algorithm. */
  signed: DerValue;
  algorithm: DerValue;
  signature: Buffer;
}

function partsOf(pem: string): RequestParts {
  const block = pemBlocks(pem)[0];
  if (!block) throw new Error("there is no PEM block");
  const [asked, algorithm, signature, ...others] = derSequence(block.der);
  // A bit string begins with the number of bits that its last byte leaves unused.
  if (signature?.tag !== tags.bitString || signature.content[0] !== 0 || others.length > 0)
    throw new RangeError("this is not a request and its signature");
  const [, subject, publicKey, attributes] = derSequence(asked!.whole);
  const parts = (attributes ? derValues(attributes.content) : []).map(({ content }) => derValues(content));
  return {
    subject: subject!,
    publicKey: publicKey!,
    extensions: parts.flatMap(([id, values]) => (id!.whole.equals(extensionRequest) ? extensionsOf(values) : [])),
    signed: asked!,
    algorithm: algorithm!,
    signature: signature.content.subarray(1),
  };
}

const extensionRequest = objectIdentifier("1.2.840.113549.1.9.14");

const alternativeNamesIn = (extensions: readonly Extension[]): Extension[] =>
  extensions.filter(({ id }) => id.equals(extensionIds.subjectAltName));

function attributesOf(name: DerValue, wanted: Buffer): string[] {
  const attributes = derValues(name.content).flatMap(({ content }) => derValues(content));
  return attributes.flatMap(({ content }) => {
    const [id, value] = derValues(content);
    return id!.whole.equals(wanted) ? [stringOf(value!)] : [];
  });
}

/** Why nobody could sign this: undefined when it is a request, signed by the key that it names. */
export function certificateRequestProblem(pem: string): string | undefined {
  if (pemBlocks(pem)[0]?.type !== "CERTIFICATE REQUEST") return "PEM block type must be CERTIFICATE REQUEST";
  try {
    const { signed, algorithm, signature, publicKey } = partsOf(pem);
    const hash = signatureHashes[derSequence(algorithm.whole)[0]!.whole.toString("hex")];
    if (hash === undefined) return "x509: cannot verify signature: algorithm unimplemented";
    const key = createPublicKey({ key: publicKey.whole, format: "der", type: "spki" });
    if (verify(hash, signed.whole, key, signature)) return undefined;
    return key.asymmetricKeyType === "rsa"
      ? "crypto/rsa: verification error"
      : `x509: ${verificationNames[key.asymmetricKeyType ?? ""] ?? ""} verification failure`;
  } catch {
    return "asn1: structure error: malformed certificate request";
  }
}

const verificationNames: Readonly<Record<string, string>> = { ec: "ECDSA", ed25519: "Ed25519" };

/** By the DER of the algorithm's name: ECDSA and RSA with SHA-2, and Ed25519, which hashes by itself. */
const signatureHashes: Readonly<Record<string, string | null>> = Object.fromEntries(
  (
    [
      ["1.2.840.10045.4.3.2", "sha256"],
      ["1.2.840.10045.4.3.3", "sha384"],
      ["1.2.840.10045.4.3.4", "sha512"],
      ["1.2.840.113549.1.1.11", "sha256"],
      ["1.2.840.113549.1.1.12", "sha384"],
      ["1.2.840.113549.1.1.13", "sha512"],
      ["1.3.101.112", null],
    ] as const
  ).map(([name, hash]) => [objectIdentifier(name).toString("hex"), hash]),
);

/** A certificate for the request's key, subject and alternative names. Throws when the request is not signed by its own key. */
export function signCertificateRequest(options: SignOptions): string {
  const { caCertificatePem, caPrivateKeyPem, requestPem, usages, notBeforeMs, notAfterMs, random } = options;
  if (certificateRequestProblem(requestPem)) throw new Error("the certificate request's signature does not verify");
  const { subject, publicKey, extensions } = partsOf(requestPem);
  const issuer = readCertificate(caCertificatePem);
  const keyUsages = usages.map(keyUsageCalled).filter(isKeyUsage);
  const purposes = usages.filter(isPurpose);
  const asked = {
    subject: subject.whole,
    publicKey: publicKey.whole,
    notBeforeMs,
    // Nothing outlives its authority.
    notAfterMs: Math.min(notAfterMs, issuer.notAfterMs),
    extensions: [
      basicConstraints(false),
      ...(keyUsages.length > 0 ? [keyUsage(keyUsages)] : []),
      ...(purposes.length > 0 ? [extendedKeyUsage(purposes)] : []),
      authorityKeyIdentifier(issuer.keyId),
      ...alternativeNamesIn(extensions).map(({ whole }) => whole),
    ],
  };
  return signCertificate(asked, { subject: issuer.subject, privateKey: createPrivateKey(caPrivateKeyPem) }, random);
}

/** `signing` is another word for it. */
const keyUsageCalled = (usage: string): string => (usage === "signing" ? "digital signature" : usage);
