/** X.509 certificates: what is read of them, and how new ones are signed (RFC 5280). */
import { createHash, type KeyObject, sign, X509Certificate } from "node:crypto";
import { ip } from "../ip.ts";
import type { Random } from "../random.ts";
import {
  bitString,
  type DerValue,
  der,
  derValues,
  directoryString,
  explicitTag,
  implicitTag,
  isTrue,
  objectIdentifier,
  octetString,
  sequence,
  set,
  time,
  timeOf,
  unsignedInteger,
} from "./der.ts";
import { certificatePem } from "./pem.ts";

export interface CertificateFacts {
  /** DER, as it stands there: who takes it over changes no bit of it. */
  subject: Buffer;
  /** SubjectPublicKeyInfo, DER. */
  publicKey: Buffer;
  /** How certificates that this one's key signed name the key. */
  keyId: Buffer;
  notBeforeMs: number;
  notAfterMs: number;
}

/** Of the first certificate of a PEM text. Throws when there is none. */
export function readCertificate(pem: string): CertificateFacts {
  const [body] = derValues(derValues(new X509Certificate(pem).raw)[0]!.content);
  const fields = derValues(body!.content);
  // The version stands first only where it is not the oldest.
  const [, , , , validity, subject, publicKey] = fields[0]!.tag === explicitTag(0) ? fields : [undefined, ...fields];
  const [notBefore, notAfter] = derValues(validity!.content).map(timeOf);
  const stated = extensionsOf(fields.find(({ tag }) => tag === explicitTag(3))).find(({ id }) =>
    id.equals(extensionIds.subjectKeyIdentifier),
  )?.value.content;
  return {
    subject: subject!.whole,
    publicKey: publicKey!.whole,
    keyId: stated ?? keyIdOf(publicKey!.whole),
    notBeforeMs: notBefore!,
    notAfterMs: notAfter!,
  };
}

export interface Extension {
  /** The DER of its name. */
  id: Buffer;
  value: DerValue;
  /** As it stands there. */
  whole: Buffer;
}

/** `list`: the value around the sequence of extensions. */
export function extensionsOf(list: DerValue | undefined): Extension[] {
  if (!list) return [];
  return derValues(derValues(list.content)[0]!.content).map(({ whole, content }) => {
    const parts = derValues(content);
    return { id: parts[0]!.whole, value: derValues(parts.at(-1)!.content)[0]!, whole };
  });
}

/** What a name is made of. */
export const attributeIds = { commonName: objectIdentifier("2.5.4.3"), organization: objectIdentifier("2.5.4.10") };

export interface Subject {
  commonName: string;
  organizations?: readonly string[];
}

/** The DER of a name: the organizations first. */
export function subjectName({ commonName, organizations = [] }: Subject): Buffer {
  const part = (id: Buffer, text: string) => set(sequence(id, directoryString(text)));
  return sequence(
    ...organizations.map((organization) => part(attributeIds.organization, organization)),
    part(attributeIds.commonName, commonName),
  );
}

export interface CertificateOptions {
  /** DER. */
  subject: Buffer;
  /** SubjectPublicKeyInfo, DER. */
  publicKey: Buffer;
  notBeforeMs: number;
  notAfterMs: number;
  /** DER, each. */
  extensions: readonly Buffer[];
}

/** Who signs: the name that the certificates bear as their issuer's, and the key. */
export interface Signer {
  subject: Buffer;
  privateKey: KeyObject;
}

/** A signed certificate, as PEM. Throws when the signer's key is of a kind that signs no certificates. */
export function signCertificate(options: CertificateOptions, signer: Signer, random: Random): string {
  const { subject, publicKey, notBeforeMs, notAfterMs, extensions } = options;
  const { algorithm } = signatureOf(signer.privateKey);
  const body = sequence(
    der(explicitTag(0), unsignedInteger(Buffer.from([2]))),
    // Positive and at most 20 bytes.
    unsignedInteger(Buffer.from(`4${random.uuid().replaceAll("-", "").slice(1)}`, "hex")),
    algorithm,
    signer.subject,
    sequence(time(notBeforeMs), time(notAfterMs)),
    subject,
    publicKey,
    der(explicitTag(3), sequence(...extensions)),
  );
  return certificatePem(signed(body, signer.privateKey));
}

/** What is signed, by which algorithm, and the signature: as certificates and requests have it. */
export function signed(body: Buffer, privateKey: KeyObject): Buffer {
  const { algorithm, hash } = signatureOf(privateKey);
  return sequence(body, algorithm, bitString(sign(hash, body, privateKey)));
}

function signatureOf({ asymmetricKeyType }: KeyObject): (typeof signatures)[keyof typeof signatures] {
  const signature = signatures[asymmetricKeyType as keyof typeof signatures];
  if (!signature) throw new Error(`a key of type ${asymmetricKeyType} signs no certificates`);
  return signature;
}

const signatures = {
  ec: { hash: "sha256", algorithm: sequence(objectIdentifier("1.2.840.10045.4.3.2")) },
  rsa: { hash: "sha256", algorithm: sequence(objectIdentifier("1.2.840.113549.1.1.11"), der(0x05)) },
  ed25519: { hash: null, algorithm: sequence(objectIdentifier("1.3.101.112")) },
} as const;

/** The hash of a public key that names it. */
export function keyIdOf(publicKey: Buffer): Buffer {
  const [, key] = derValues(derValues(publicKey)[0]!.content);
  return createHash("sha1").update(key!.content.subarray(1)).digest();
}

export const extensionIds = {
  subjectKeyIdentifier: objectIdentifier("2.5.29.14"),
  keyUsage: objectIdentifier("2.5.29.15"),
  subjectAltName: objectIdentifier("2.5.29.17"),
  basicConstraints: objectIdentifier("2.5.29.19"),
  authorityKeyIdentifier: objectIdentifier("2.5.29.35"),
  extendedKeyUsage: objectIdentifier("2.5.29.37"),
};

const extension = (id: Buffer, value: Buffer): Buffer => sequence(id, octetString(value));
const criticalExtension = (id: Buffer, value: Buffer): Buffer => sequence(id, isTrue, octetString(value));

export const basicConstraints = (isAuthority: boolean): Buffer =>
  criticalExtension(extensionIds.basicConstraints, isAuthority ? sequence(isTrue) : sequence());

export const subjectKeyIdentifier = (keyId: Buffer): Buffer =>
  extension(extensionIds.subjectKeyIdentifier, octetString(keyId));

export const authorityKeyIdentifier = (keyId: Buffer): Buffer =>
  extension(extensionIds.authorityKeyIdentifier, sequence(der(implicitTag(0), keyId)));

/** In the order of their bits. */
const keyUsages = [
  "digital signature",
  "content commitment",
  "key encipherment",
  "data encipherment",
  "key agreement",
  "cert sign",
  "crl sign",
  "encipher only",
  "decipher only",
] as const;

export type KeyUsage = (typeof keyUsages)[number];

export const isKeyUsage = (usage: string): usage is KeyUsage => (keyUsages as readonly string[]).includes(usage);

/** At least one. */
export function keyUsage(usages: readonly KeyUsage[]): Buffer {
  const all = keyUsages.map((usage) => usages.includes(usage));
  const bits = all.slice(0, all.lastIndexOf(true) + 1);
  const bytes = Buffer.alloc(Math.ceil(bits.length / 8));
  for (const [i, isSet] of bits.entries()) if (isSet) bytes[i >> 3]! |= 0x80 >> (i & 7);
  return criticalExtension(extensionIds.keyUsage, bitString(bytes, bytes.length * 8 - bits.length));
}

const purposes = {
  "server auth": "1.3.6.1.5.5.7.3.1",
  "client auth": "1.3.6.1.5.5.7.3.2",
  "code signing": "1.3.6.1.5.5.7.3.3",
  "email protection": "1.3.6.1.5.5.7.3.4",
  "s/mime": "1.3.6.1.5.5.7.3.4",
  timestamping: "1.3.6.1.5.5.7.3.8",
  "ocsp signing": "1.3.6.1.5.5.7.3.9",
  any: "2.5.29.37.0",
  "ipsec end system": "1.3.6.1.5.5.7.3.5",
  "ipsec tunnel": "1.3.6.1.5.5.7.3.6",
  "ipsec user": "1.3.6.1.5.5.7.3.7",
  "microsoft sgc": "1.3.6.1.4.1.311.10.3.3",
  "netscape sgc": "2.16.840.1.113730.4.1",
} as const;

export type Purpose = keyof typeof purposes;

export const isPurpose = (usage: string): usage is Purpose => Object.hasOwn(purposes, usage);

/** At least one. */
export const extendedKeyUsage = (wanted: readonly Purpose[]): Buffer =>
  extension(extensionIds.extendedKeyUsage, sequence(...wanted.map((purpose) => objectIdentifier(purposes[purpose]))));

/** At least one name or address. */
export const subjectAltName = (dnsNames: readonly string[], ipAddresses: readonly string[]): Buffer =>
  extension(
    extensionIds.subjectAltName,
    sequence(
      ...dnsNames.map((name) => der(generalNames.dns, Buffer.from(name))),
      ...ipAddresses.map((address) => der(generalNames.ip, ip(address))),
    ),
  );

/** The tags of alternative names. */
export const generalNames = {
  email: implicitTag(1),
  dns: implicitTag(2),
  uri: implicitTag(6),
  ip: implicitTag(7),
} as const;
