/**
 * Certificates that end soon are renewed by themselves while everything goes on; users ask for their own, approve and use them with the
 * real kubectl; a new authority puts whoever the old one let in out; the server's doors and files are closed to others.
 */
import { webcrypto, X509Certificate } from "node:crypto";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { type AddressInfo, BlockList } from "node:net";
import { join } from "node:path";
import { type ConnectionOptions, connect, createServer } from "node:tls";
import { beforeAll, expect, test } from "vitest";
import { describeCluster, eventually } from "../src/testing/cluster-fixture.ts";
import { clientCertificate } from "../src/testing/webhook-server.ts";
import { x509 } from "../src/testing/x509.ts";

const config = `
nodes: [{ name: n1, kind: local }]
certificateValidityPeriod: 15s
featureGates: { ClusterTrustBundle: true, ClusterTrustBundleProjection: true }
runtimeConfig: { certificates.k8s.io/v1beta1: "true" }
`;

const door = `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: { name: door }
spec:
  tls: [{ hosts: [door.example.com] }]
  defaultBackend: { service: { name: kubernetes, port: { number: 443 } } }
`;

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
      apiServer: { certificatePem: string; privateKeyPem: string };
      frontProxy: {
        caCertificatePem: string;
        caPrivateKeyPem: string;
        client: { certificatePem: string; privateKeyPem: string };
      };
    };
  /** Whether a server that knows this authority alone takes a client for who it says it is. */
  const believes = (authority: string, client: { certificatePem: string; privateKeyPem: string }) =>
    new Promise<boolean>((resolve, reject) => {
      const { certificatePem: cert, privateKeyPem: key } = stored().apiServer;
      const own = createServer({ cert, key, ca: authority, requestCert: true, rejectUnauthorized: false }, (socket) => {
        resolve(socket.authorized);
        socket.destroy();
        own.close();
      });
      own.once("error", reject).listen(0, "127.0.0.1", () => {
        const { port } = own.address() as AddressInfo;
        const identity = { cert: client.certificatePem, key: client.privateKeyPem };
        connect({ host: "127.0.0.1", port, rejectUnauthorized: false, ...identity }).on("error", () => {});
      });
    });
  const endOf = (pem: string) => Date.parse(new X509Certificate(pem).validTo);

  let before: Awaited<ReturnType<typeof now>>;
  let startedBy: number;
  const now = async () => ({
    onMachine: await served(server.hostname, Number(server.port)),
    onNode: await served(nodeAddress, 6443),
    kubelet: await served(nodeAddress, 10250),
    ingress: await served(nodeAddress, 443),
    ...stored(),
  });

  beforeAll(async () => {
    server = new URL(await kubectl`config view --raw -o jsonpath={.clusters[0].cluster.server}`);
    nodeAddress = await kubectl`get node n1 -o jsonpath={.status.addresses[0].address}`;
    await cluster.apply(door);
    before = await eventually(now, () => {});
    startedBy = await pid();
  });

  /** The authority's certificate as it would be, had it been made so long ago. */
  const agedAuthority = async (
    pair: { certificatePem: string; privateKeyPem: string },
    ageMs: number,
    leftMs: number,
  ): Promise<string> => {
    const library = await x509();
    const former = new library.X509Certificate(pair.certificatePem);
    const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
    const der = Buffer.from(pair.privateKeyPem.replace(/-----[^-]+-----/g, ""), "base64");
    const next = await library.X509CertificateGenerator.create({
      serialNumber: "42",
      subject: former.subject,
      issuer: former.subject,
      notBefore: new Date(Date.now() - ageMs),
      notAfter: new Date(Date.now() + leftMs),
      signingKey: await webcrypto.subtle.importKey("pkcs8", der, algorithm, false, ["sign"]),
      publicKey: former.publicKey,
      signingAlgorithm: algorithm,
      extensions: former.extensions,
    });
    return next.toString("pem");
  };

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

  test("speaks TLS 1.2 and 1.3 with modern suites at every door, and nothing older", async () => {
    const speaks = (host: string, port: number, options: ConnectionOptions) =>
      new Promise<string>((resolve) => {
        const socket = connect({ host, port, rejectUnauthorized: false, ...options }, () => {
          resolve(`${socket.getProtocol()} ${socket.getCipher().name}`);
          socket.destroy();
        });
        socket.once("error", () => resolve("refused"));
      });
    const doors: [host: string, port: number][] = [
      [server.hostname, Number(server.port)],
      [nodeAddress, 6443],
      [nodeAddress, 10250],
    ];
    const lax = "@SECLEVEL=0";
    for (const [host, port] of doors) {
      expect(await speaks(host, port, {})).toMatch(/^TLSv1\.3 TLS_/);
      const to12 = { minVersion: "TLSv1.2", maxVersion: "TLSv1.2" } as const;
      expect(await speaks(host, port, to12)).toMatch(/^TLSv1\.2 ECDHE-.*(GCM|POLY1305)/);
      for (const ciphers of ["ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384", "AES128-GCM-SHA256", "NULL"])
        expect(await speaks(host, port, { ...to12, ciphers: `${ciphers}:${lax}` }), ciphers).toBe("refused");
      for (const old of ["TLSv1", "TLSv1.1"] as const)
        expect(await speaks(host, port, { minVersion: old, maxVersion: old, ciphers: `ALL:${lax}` }), old).toBe(
          "refused",
        );
    }
  });

  test("listens on loopback and on the cluster's LAN alone", async () => {
    const { network } = JSON.parse(readFileSync(home("plan.json"), "utf8")) as { network: { lan: string } };
    const lan = new BlockList();
    const [address = "", length] = network.lan.split("/");
    lan.addSubnet(address, Number(length));
    lan.addSubnet("127.0.0.0", 8);
    for (const sort of ["-Hltnp", "-Hlunp"]) {
      const lines = (await cluster.host("ss", sort)).split("\n").filter((line) => line.includes(`pid=${startedBy},`));
      if (sort === "-Hltnp") expect(lines).not.toEqual([]);
      for (const line of lines) {
        const [, host = ""] = /(\S+):\d+\s+\S+:\*/.exec(line) ?? [];
        expect(lan.check(host.replace(/%.*/, "")), line).toBe(true);
      }
    }
  });

  test("keeps its files to itself", () => {
    const open: string[] = [];
    // What is gone by now was a draft that has taken its file's place.
    const modeOf = (path: string) => statSync(path, { throwIfNoEntry: false })?.mode ?? 0;
    const walk = (folder: string) => {
      for (const one of readdirSync(folder, { withFileTypes: true })) {
        const path = join(folder, one.name);
        // What pods see of their images and volumes is theirs; nobody who may not pass a folder reads what lies in it.
        if (one.isDirectory()) {
          if ((modeOf(path) & 0o011) !== 0) walk(path);
        } else if (one.isFile() && (modeOf(path) & 0o077) !== 0) open.push(path.slice(home().length + 1));
      }
    };
    walk(home());
    expect(open).toEqual([]);
    for (const file of ["pki/pki.json", "pki/ca.key", "kubeconfig", "server.log"])
      expect((statSync(home(file)).mode & 0o777).toString(8), file).toBe("600");
  });

  test("has every one of them renewed before it ends, without a restart", async () => {
    const port = Number(server.port);
    await eventually(
      async () => [
        (await served(server.hostname, port)).serialNumber !== before.onMachine.serialNumber,
        (await served(nodeAddress, 6443)).serialNumber !== before.onNode.serialNumber,
        (await served(nodeAddress, 10250)).serialNumber !== before.kubelet.serialNumber,
        (await served(nodeAddress, 443)).serialNumber !== before.ingress.serialNumber,
        stored().admin.certificatePem !== before.admin.certificatePem,
        stored().frontProxy.client.certificatePem !== before.frontProxy.client.certificatePem,
      ],
      (renewed) => expect(renewed).toEqual(Array(6).fill(true)),
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
    expect(await pid()).toBe(startedBy);
  }, 180_000);

  test("lets nobody in whom its former authority vouched for", async () => {
    const { ca } = stored();
    const eve = clientCertificate(ca, "eve", "system:masters");
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
    await cluster.pinnace("certs", "rotate-ca", "--revoke");
    await eventually(
      () => asEve("/api/v1/secrets"),
      (code) => expect(code).toBe("403"),
    );
    // Users have it in their kubeconfig, pods in their ConfigMap, joining machines in cluster-info.
    await eventually(
      () => kubectl`get configmap kube-root-ca.crt -o jsonpath={.data}`,
      (text) => expect(JSON.parse(text)["ca.crt"].trim()).toBe(stored().ca.certificatePem.trim()),
    );
    const bundles = async () => JSON.parse(await kubectl`get clustertrustbundles -o json`).items;
    await eventually(bundles, (items) => {
      expect(items).toHaveLength(1);
      expect(items[0].spec.signerName).toBe("kubernetes.io/kube-apiserver-serving");
      expect(items[0].spec.trustBundle.trim()).toBe(stored().ca.certificatePem.trim());
    });
    const published = JSON.parse(
      await kubectl`get configmap extension-apiserver-authentication -n kube-system -o jsonpath={.data}`,
    );
    expect(published["client-ca-file"].trim()).toBe(stored().ca.certificatePem.trim());
    expect(published["requestheader-allowed-names"]).toBe('["front-proxy-client"]');
    expect(await cluster.pinnace("certs", "check-expiration")).toMatch(/^apiserver +\d{4}-.*s$/m);
    expect(await pid()).toBe(process);
  }, 60_000);

  test("has its authority itself replaced before its end, and who was let in stays so until the former one is forgotten", async () => {
    const old = stored();
    const dave = clientCertificate(old.ca, "dave", "system:masters");
    writeFileSync(home("dave.crt"), dave.certificatePem);
    writeFileSync(home("dave.key"), dave.privateKeyPem, { mode: 0o600 });
    // Whoever knows the former authority alone, as programs that read their kubeconfig once.
    writeFileSync(home("old-ca.crt"), old.ca.certificatePem);
    const asDave = () =>
      cluster
        .host(
          "curl",
          ...["-s", "--cacert", home("old-ca.crt"), "-o", "/dev/null", "-w", "%{http_code}"],
          ...["--cert", home("dave.crt"), "--key", home("dave.key"), new URL("/api/v1/secrets", server).href],
        )
        .catch((error: Error) => error.message);
    expect(await asDave()).toBe("200");
    // The same authority and key, nine tenths of whose time are over.
    const ca = { ...old.ca, certificatePem: await agedAuthority(old.ca, 9 * 3_600_000, 3_600_000) };
    const proxyCa = { certificatePem: old.frontProxy.caCertificatePem, privateKeyPem: old.frontProxy.caPrivateKeyPem };
    const aged = await agedAuthority(proxyCa, 9 * 3_600_000, 3_600_000);
    const frontProxy = { ...old.frontProxy, caCertificatePem: aged };
    writeFileSync(home("pki", "pki.json"), JSON.stringify({ ...old, ca, frontProxy }), { mode: 0o600 });
    await eventually(
      async () => [stored().ca.certificatePem, stored().frontProxy.caCertificatePem],
      (authorities) => {
        for (const pem of authorities) expect(new X509Certificate(pem).subject).toMatch(/^CN=pinnace-.*@\d+$/);
      },
      60_000,
    );
    const published = () => kubectl`get configmap kube-root-ca.crt -o jsonpath={.data}`;
    await eventually(published, (text) => {
      const bundle = JSON.parse(text)["ca.crt"] as string;
      expect(bundle.match(/BEGIN/g)).toHaveLength(2);
      expect(bundle.startsWith(stored().ca.certificatePem.trim())).toBe(true);
    });
    const issuer = async () => (await served(server.hostname, Number(server.port))).issuer;
    await eventually(issuer, (text) => expect(text).toMatch(/@\d+$/));
    expect(await asDave()).toBe("200");
    // Aggregated servers are told of both, and one that has not looked since believes what the new one signed.
    const proxyAuthorities = async () => {
      const told = await kubectl`get configmap extension-apiserver-authentication -n kube-system -o jsonpath={.data}`;
      return JSON.parse(told)["requestheader-client-ca-file"] as string;
    };
    const renewed = stored().frontProxy;
    await eventually(proxyAuthorities, (bundle) => {
      expect(bundle.match(/BEGIN/g)).toHaveLength(2);
      expect(bundle.startsWith(renewed.caCertificatePem.trim())).toBe(true);
    });
    expect(new X509Certificate(renewed.client.certificatePem).issuer).toMatch(/front-proxy@\d+$/);
    for (const authority of [renewed.caCertificatePem, aged, proxyCa.certificatePem])
      expect(await believes(authority, renewed.client)).toBe(true);
    expect(await believes(stored().ca.certificatePem, renewed.client)).toBe(false);
    expect(await kubectl`get --raw /api/v1/nodes/n1/proxy/healthz`).toBe("ok");
    expect(await cluster.pinnace("certs", "check-expiration")).toMatch(/^former ca +\d{4}-/m);
    await cluster.pinnace("certs", "forget-former-ca");
    await eventually(asDave, (code) => expect(code).not.toBe("200"));
    await eventually(published, (text) => expect(JSON.parse(text)["ca.crt"].match(/BEGIN/g)).toHaveLength(1));
    await eventually(proxyAuthorities, (bundle) => expect(bundle.match(/BEGIN/g)).toHaveLength(1));
    expect(await believes(proxyCa.certificatePem, stored().frontProxy.client)).toBe(false);
    expect(await kubectl`get nodes -o name`).toBe("node/n1\n");
    expect(await pid()).toBe(startedBy);
  }, 120_000);

  test("takes up a new key for ServiceAccounts' tokens, and forgets the former one when told to", async () => {
    const reads = async (token: string) =>
      cluster.host(
        "curl",
        "-sk",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
        "-H",
        `Authorization: Bearer ${token}`,
        `${server.href}apis`,
      );
    const keys = async () => JSON.parse(await kubectl`get --raw /openid/v1/jwks`).keys.length;
    const old = await kubectl`create token default`;
    expect([await reads(old), await keys()]).toEqual(["200", 1]);
    await cluster.pinnace("certs", "rotate-sa-key");
    await eventually(keys, (count) => expect(count).toBe(2));
    const fresh = await kubectl`create token default`;
    expect([await reads(old), await reads(fresh)]).toEqual(["200", "200"]);
    await cluster.pinnace("certs", "rotate-sa-key", "--revoke");
    await eventually(
      () => Promise.all([reads(old), reads(fresh), keys()]),
      (answers) => expect(answers).toEqual(["401", "401", 1]),
    );
    expect(await reads(await kubectl`create token default`)).toBe("200");
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
