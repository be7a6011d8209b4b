import { createPrivateKey, generateKeyPairSync, webcrypto, X509Certificate } from "node:crypto";
import { expect, test } from "vitest";
import { x509 } from "../../testing/x509.ts";
import { subjectName } from "./certificate.ts";
import {
  certificateRequestProblem,
  createCertificateRequest,
  readCertificateRequest,
  signCertificateRequest,
} from "./certificate-request.ts";
import { derValues, time, timeOf, unsignedInteger } from "./der.ts";
import { pemBlock, pemBlocks } from "./pem.ts";
import { systemRandom } from "./system-random.ts";

const nowMs = Date.UTC(2026, 0, 1);
const signingAlgorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

/** An authority of the library's making. */
async function foreignAuthority(name: string) {
  const library = await x509();
  const keys = await webcrypto.subtle.generateKey(signingAlgorithm, true, ["sign", "verify"]);
  const certificate = await library.X509CertificateGenerator.createSelfSigned({
    name,
    keys,
    signingAlgorithm,
    notBefore: new Date(nowMs),
    notAfter: new Date(Date.UTC(2055, 5, 1)),
    extensions: [
      new library.BasicConstraintsExtension(true, undefined, true),
      await library.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  const key = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey));
  return {
    caCertificatePem: certificate.toString("pem"),
    caPrivateKeyPem: createPrivateKey({ key, format: "der", type: "pkcs8" })
      .export({ type: "pkcs8", format: "pem" })
      .toString(),
  };
}

test("a request of another's making is answered with a certificate that others understand", async () => {
  const library = await x509();
  const keys = await webcrypto.subtle.generateKey(signingAlgorithm, true, ["sign", "verify"]);
  const request = await library.Pkcs10CertificateRequestGenerator.create({
    name: "O=구름, O=dev, CN=jané",
    keys,
    signingAlgorithm,
    extensions: [
      new library.SubjectAlternativeNameExtension([
        { type: "dns", value: "a.example" },
        { type: "ip", value: "10.0.0.7" },
        { type: "ip", value: "fd00::7" },
        { type: "email", value: "j@example.com" },
        { type: "url", value: "https://example.com/x" },
      ]),
    ],
  });
  const requestPem = `${request.toString("pem")}\n`;
  expect(await readCertificateRequest(requestPem)).toEqual({
    commonName: "jané",
    organizations: ["구름", "dev"],
    dnsNames: ["a.example"],
    ipAddresses: ["10.0.0.7", "fd00::7"],
    emails: ["j@example.com"],
    uris: ["https://example.com/x"],
  });
  const authority = await foreignAuthority("CN=someone's authority");
  const pem = signCertificateRequest({
    ...authority,
    requestPem,
    usages: ["client auth", "digital signature", "decipher only", "no such usage"],
    notBeforeMs: nowMs,
    notAfterMs: Date.UTC(2060, 0, 1),
    random: systemRandom,
  });
  const certificate = new X509Certificate(pem);
  const issuer = new X509Certificate(authority.caCertificatePem);
  expect(certificate.verify(issuer.publicKey)).toBe(true);
  expect(certificate.checkIssued(issuer)).toBe(true);
  expect(certificate.subject).toBe("O=구름\nO=dev\nCN=jané");
  expect(certificate.keyUsage).toEqual(["1.3.6.1.5.5.7.3.2"]);
  expect(certificate.validTo).toBe("Jun  1 00:00:00 2055 GMT");
  const read = new library.X509Certificate(pem);
  const { digitalSignature, decipherOnly } = library.KeyUsageFlags;
  expect(read.getExtension(library.KeyUsagesExtension)?.usages).toBe(digitalSignature | decipherOnly);
  expect(read.getExtension(library.BasicConstraintsExtension)?.ca).toBe(false);
  expect(read.getExtension(library.AuthorityKeyIdentifierExtension)?.keyId).toBe(
    new library.X509Certificate(authority.caCertificatePem).getExtension(library.SubjectKeyIdentifierExtension)?.keyId,
  );
});

test("others understand our requests", async () => {
  const library = await x509();
  const { requestPem, privateKeyPem } = createCertificateRequest({ commonName: "node", organizations: ["one", "two"] });
  const request = new library.Pkcs10CertificateRequest(requestPem);
  expect(await request.verify()).toBe(true);
  expect(request.subject).toBe("O=one, O=two, CN=node");
  expect(createPrivateKey(privateKeyPem).asymmetricKeyType).toBe("ec");
  expect(certificateRequestProblem(requestPem)).toBeUndefined();
});

test("an authority with an RSA key signs as well", async () => {
  const library = await x509();
  const rsa = {
    name: "RSASSA-PKCS1-v1_5",
    hash: "SHA-256",
    publicExponent: new Uint8Array([1, 0, 1]),
    modulusLength: 2048,
  };
  const keys = await webcrypto.subtle.generateKey(rsa, true, ["sign", "verify"]);
  const authority = await library.X509CertificateGenerator.createSelfSigned({
    name: "CN=rsa",
    keys,
    signingAlgorithm: rsa,
  });
  const key = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey));
  const pem = signCertificateRequest({
    caCertificatePem: authority.toString("pem"),
    caPrivateKeyPem: `-----BEGIN PRIVATE KEY-----\n${key.toString("base64")}\n-----END PRIVATE KEY-----\n`,
    requestPem: createCertificateRequest({ commonName: "node" }).requestPem,
    usages: [],
    notBeforeMs: nowMs,
    notAfterMs: nowMs + 1000,
    random: systemRandom,
  });
  expect(new X509Certificate(pem).verify(new X509Certificate(authority.toString("pem")).publicKey)).toBe(true);
});

test("what is no request, or cut short, is refused", async () => {
  const { requestPem } = createCertificateRequest({ commonName: "node" });
  const [{ der } = { der: Buffer.alloc(0) }] = pemBlocks(requestPem);
  for (let length = 0; length < der.length; length += 7) {
    const cut = `-----BEGIN CERTIFICATE REQUEST-----\n${der.subarray(0, length).toString("base64")}\n-----END CERTIFICATE REQUEST-----\n`;
    await expect(readCertificateRequest(cut)).rejects.toThrow();
    expect(certificateRequestProblem(cut)).toBe("asn1: structure error: malformed certificate request");
  }
  await expect(readCertificateRequest("nothing")).rejects.toThrow("there is no PEM block");
});

test("a request that was changed on its way is refused, wherever the change is", () => {
  const { requestPem } = createCertificateRequest({ commonName: "node", organizations: ["system:nodes"] });
  const [{ der } = { der: Buffer.alloc(0) }] = pemBlocks(requestPem);
  for (const [at, byte] of der.entries()) {
    for (const flip of [0x01, 0x80, 0xff]) {
      const changed = Buffer.from(der);
      changed[at] = byte ^ flip;
      expect(certificateRequestProblem(pemBlock("CERTIFICATE REQUEST", changed)), `byte ${at}`).toBeDefined();
    }
  }
});

test("moments and numbers are written as they are read", () => {
  for (const moment of [0, Date.UTC(1999, 11, 31, 23, 59, 59), Date.UTC(2049, 11, 31), Date.UTC(2050, 0, 1)])
    expect(timeOf(derValues(time(moment))[0]!)).toBe(moment);
  expect(unsignedInteger(Buffer.from([0x80])).toString("hex")).toBe("02020080");
  expect(subjectName({ commonName: "a" }).toString("hex")).toBe("300c310a30080603550403130161");
  const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const long = publicKey.export({ type: "spki", format: "der" });
  expect(derValues(long)[0]!.whole).toEqual(long);
});
