import { createHash, webcrypto, X509Certificate } from "node:crypto";
import { expect, it } from "vitest";
import { x509 } from "../../testing/x509.ts";
import { clientCertificateAuthenticator } from "./client-certificate.ts";

async function userOf(name: string) {
  const library = await x509();
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const issued = await library.X509CertificateGenerator.createSelfSigned({ name, keys, signingAlgorithm: algorithm });
  const certificate = new X509Certificate(Buffer.from(issued.rawData));
  const user = clientCertificateAuthenticator().authenticate({ headers: {}, certificate, remoteAddress: "" });
  return { user, hash: createHash("sha256").update(certificate.raw).digest("hex") };
}

it("a certificate says who its holder is, in which groups, with which uid, and which certificate it was", async () => {
  const { user, hash } = await userOf("CN=jane, O=dev, O=ops, 1.3.6.1.4.1.57683.2=u-9");
  expect(user).toEqual({
    name: "jane",
    groups: ["dev", "ops"],
    uid: "u-9",
    extra: { "authentication.kubernetes.io/credential-id": [`X509SHA256=${hash}`] },
  });
});

it("a certificate that names nobody, or several uids, is nobody's", async () => {
  expect((await userOf("O=dev")).user).toBeUndefined();
  expect((await userOf("CN=jane, 1.3.6.1.4.1.57683.2=a, 1.3.6.1.4.1.57683.2=b")).user).toBeUndefined();
  expect((await userOf("CN=jane")).user).not.toHaveProperty("uid");
});
