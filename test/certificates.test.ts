/** Certificates that users ask for, approve and use with the real kubectl; and controllers turned off. */
import { webcrypto } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { x509 } from "../src/base/node/x509.ts";
import { describeCluster, eventually } from "../src/testing/cluster-fixture.ts";

const manifest = (name: string, request: string) => `
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: { name: ${name} }
spec:
  request: ${request}
  signerName: kubernetes.io/kube-apiserver-client
  expirationSeconds: 3600
  usages: [client auth]
`;

describeCluster("certificates", { nodes: 0 }, (cluster) => {
  const { kubectl } = cluster;
  const requestFor = async (subject: string): Promise<string> => {
    const { Pkcs10CertificateRequestGenerator } = await x509();
    const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
    const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
    const der = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey)).toString("base64");
    const key = `-----BEGIN PRIVATE KEY-----\n${der.replace(/.{64}/g, "$&\n").trimEnd()}\n-----END PRIVATE KEY-----\n`;
    writeFileSync(join(cluster.home, "user.key"), key);
    const request = await Pkcs10CertificateRequestGenerator.create({
      name: subject,
      keys,
      signingAlgorithm: algorithm,
    });
    return Buffer.from(`${request.toString("pem")}\n`).toString("base64");
  };

  test("an approved request becomes a certificate that its holder can use", async () => {
    await cluster.apply(manifest("jane", await requestFor("O=developers, CN=jane")));
    expect(await kubectl`get csr jane --no-headers`).toMatch(
      /^jane +\S+ +kubernetes.io\/kube-apiserver-client +kubernetes-admin +60m +Pending/,
    );
    await kubectl`certificate approve jane`;
    await eventually(
      () => kubectl`get csr jane --no-headers`,
      (text) => expect(text).toMatch(/Approved,Issued/),
    );
    const certificate = join(cluster.home, "user.crt");
    writeFileSync(certificate, Buffer.from(await kubectl`get csr jane -o jsonpath={.status.certificate}`, "base64"));
    await kubectl`config set-credentials jane --client-certificate=${certificate} --client-key=${join(cluster.home, "user.key")}`;
    expect(await kubectl`auth whoami --user=jane -o jsonpath={.status.userInfo}`).toContain('"username":"jane"');
    await expect(kubectl`get pods --user=jane`).rejects.toThrow('User "jane" cannot list resource "pods"');
  }, 60_000);

  test("a denied request gets nothing, and nobody signs for masters", async () => {
    await cluster.apply(manifest("joe", await requestFor("CN=joe")));
    await kubectl`certificate deny joe`;
    expect(await kubectl`get csr joe --no-headers`).toMatch(/Denied$/m);
    await expect(cluster.apply(manifest("root", await requestFor("O=system:masters, CN=root")))).rejects.toThrow(
      "use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed",
    );
  }, 60_000);

  test("controllers are turned off by upstream's flag, and a misspelt one is named", async () => {
    const stop = () => {
      const state = join(cluster.home, "clusters", cluster.name, "server.json");
      process.kill(JSON.parse(readFileSync(state, "utf8")).pid, "SIGKILL");
    };
    stop();
    await expect(cluster.pinnace("up", "--controllers=*,-jobs")).rejects.toThrow("unknown controllers: jobs");
    await cluster.pinnace("up", "--controllers=*,-root-ca-certificate-publisher-controller");
    await kubectl`create namespace bare`;
    await eventually(
      () => kubectl`get serviceaccount default -n bare`,
      () => {},
    );
    expect(await kubectl`get configmaps -n bare --no-headers`).toBe("");
  }, 60_000);
});
