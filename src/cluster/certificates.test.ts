import { createPrivateKey, X509Certificate } from "node:crypto";
import { expect, test } from "vitest";
import { systemRandom } from "../base/node/system-random.ts";
import { createPki, issueLeaf } from "./certificates.ts";

const nowMs = Date.UTC(2026, 0, 1);

test("every leaf is signed by the cluster's authority and names what it serves", async () => {
  const pki = createPki({
    clusterName: "demo",
    dnsNames: ["kubernetes.default.svc"],
    ipAddresses: ["10.96.0.1", "127.0.0.1"],
    nowMs,
    random: systemRandom,
  });
  const ca = new X509Certificate(pki.ca.certificatePem);
  const server = new X509Certificate(pki.apiServer.certificatePem);
  const admin = new X509Certificate(pki.admin.certificatePem);

  expect(ca.ca).toBe(true);
  expect(server.verify(ca.publicKey)).toBe(true);
  expect(admin.verify(ca.publicKey)).toBe(true);
  expect(server.subjectAltName).toBe("DNS:kubernetes.default.svc, IP Address:10.96.0.1, IP Address:127.0.0.1");
  expect(admin.subject).toBe("O=system:masters\nCN=kubernetes-admin");
  expect(admin.checkPrivateKey(createPrivateKey(pki.admin.privateKeyPem))).toBe(true);
});

test("an authority read back from PEM can sign another leaf", async () => {
  const pki = createPki({ clusterName: "demo", dnsNames: [], ipAddresses: [], nowMs, random: systemRandom });
  const leaf = issueLeaf(
    pki.ca,
    { subject: { commonName: "system:node:worker-1", organizations: ["system:nodes"] }, usage: "client" },
    nowMs,
    systemRandom,
  );
  const certificate = new X509Certificate(leaf.certificatePem);
  expect(certificate.verify(new X509Certificate(pki.ca.certificatePem).publicKey)).toBe(true);
  expect(certificate.subject).toBe("O=system:nodes\nCN=system:node:worker-1");
});
