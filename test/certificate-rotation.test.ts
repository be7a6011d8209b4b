/** Certificates that end soon are renewed by themselves while everything goes on; a new authority puts whoever the old one let in out. */
import { X509Certificate } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect } from "node:tls";
import { beforeAll, expect, test } from "vitest";
import { describeCluster, eventually } from "../src/testing/cluster-fixture.ts";
import { clientCertificate } from "../src/testing/webhook-server.ts";

const config = `
nodes: [{ name: n1, kind: local }]
certificateValidityPeriod: 15s
ingress: none
`;

describeCluster("a cluster whose certificates end soon", { config }, (cluster) => {
  const { kubectl } = cluster;
  const home = (...path: string[]) => join(cluster.home, "clusters", cluster.name, ...path);
  let server: URL;
  let nodeAddress: string;

  /** What serves there, as whoever connects sees it. */
  const served = (host: string, port: number) =>
    new Promise<X509Certificate>((resolve, reject) => {
      const socket = connect({ host, port, rejectUnauthorized: false }, () => {
        const certificate = socket.getPeerX509Certificate()!;
        socket.destroy();
        resolve(certificate);
      });
      socket.once("error", reject);
    });
  const pid = async () => JSON.parse(await cluster.pinnace("status", "-o", "json")).server.pid as number;
  const stored = () =>
    JSON.parse(readFileSync(home("pki", "pki.json"), "utf8")) as {
      ca: { certificatePem: string; privateKeyPem: string };
      admin: { certificatePem: string };
      frontProxy: { client: { certificatePem: string } };
    };
  const endOf = (pem: string) => Date.parse(new X509Certificate(pem).validTo);

  beforeAll(async () => {
    server = new URL(await kubectl`config view --raw -o jsonpath={.clusters[0].cluster.server}`);
    nodeAddress = await kubectl`get node n1 -o jsonpath={.status.addresses[0].address}`;
  });

  test("has every one of them renewed before it ends, without a restart", async () => {
    const process = await pid();
    const port = Number(server.port);
    const before = {
      onMachine: await served(server.hostname, port),
      onNode: await served(nodeAddress, 6443),
      kubelet: await served(nodeAddress, 10250),
      ...stored(),
    };
    await eventually(
      async () => [
        (await served(server.hostname, port)).serialNumber !== before.onMachine.serialNumber,
        (await served(nodeAddress, 6443)).serialNumber !== before.onNode.serialNumber,
        (await served(nodeAddress, 10250)).serialNumber !== before.kubelet.serialNumber,
        stored().admin.certificatePem !== before.admin.certificatePem,
        stored().frontProxy.client.certificatePem !== before.frontProxy.client.certificatePem,
      ],
      (renewed) => expect(renewed).toEqual([true, true, true, true, true]),
      60_000,
    );
    // The first ones have ended: with the user's own kubeconfig everything goes on.
    const firstEnds = Math.max(endOf(before.admin.certificatePem), Date.parse(before.onMachine.validTo));
    await eventually(
      async () => Date.now(),
      (now) => expect(now).toBeGreaterThan(firstEnds),
      60_000,
    );
    await eventually(
      () => kubectl`get nodes -o name`,
      (text) => expect(text).toBe("node/n1\n"),
    );
    expect(await kubectl`get --raw /api/v1/nodes/n1/proxy/healthz`).toBe("ok");
    expect(await pid()).toBe(process);
  }, 180_000);

  test("lets nobody in whom its former authority vouched for", async () => {
    const { ca } = stored();
    const eve = await clientCertificate(ca, "eve", "system:masters");
    writeFileSync(home("eve.crt"), eve.certificatePem);
    writeFileSync(home("eve.key"), eve.privateKeyPem, { mode: 0o600 });
    const asEve = (path: string) =>
      cluster.host(
        "curl",
        ...["-sk", "-o", "/dev/null", "-w", "%{http_code}", "--cert", home("eve.crt"), "--key", home("eve.key")],
        new URL(path, server).href,
      );
    expect(await asEve("/api/v1/secrets")).toBe("200");
    const process = await pid();
    await cluster.pinnace("certs", "rotate-ca");
    await eventually(
      () => asEve("/api/v1/secrets"),
      (code) => expect(code).toBe("403"),
    );
    // Users have it in their kubeconfig, pods in their ConfigMap, joining machines in cluster-info.
    await eventually(
      () => kubectl`get configmap kube-root-ca.crt -o jsonpath={.data}`,
      (text) => expect(JSON.parse(text)["ca.crt"].trim()).toBe(stored().ca.certificatePem.trim()),
    );
    const published = JSON.parse(
      await kubectl`get configmap extension-apiserver-authentication -n kube-system -o jsonpath={.data}`,
    );
    expect(published["client-ca-file"].trim()).toBe(stored().ca.certificatePem.trim());
    expect(published["requestheader-allowed-names"]).toBe('["front-proxy-client"]');
    expect(await cluster.pinnace("certs", "check-expiration")).toMatch(/^apiserver +\d{4}-.*s$/m);
    expect(await pid()).toBe(process);
  }, 60_000);
});
