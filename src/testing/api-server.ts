/** A whole API server over a memory store, for tests: HTTPS on a free loopback port, and clients for both doors. */
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ResourceDefinition } from "../apimachinery/resource-definition.ts";
import { isAlreadyExists } from "../apimachinery/status-error.ts";
import { ApiServer, type ApiServerOptions } from "../apiserver/server.ts";
import { clientCertificateAuthenticator } from "../apiserver-plugins/authentication/client-certificate.ts";
import { alwaysAllowPathsAuthorizer } from "../apiserver-plugins/authorization/always-allow-paths.ts";
import { mastersAuthorizer } from "../apiserver-plugins/authorization/masters.ts";
import { namespaceFinalize } from "../apiserver-plugins/subresources/namespace-finalize.ts";
import { podBinding } from "../apiserver-plugins/subresources/pod-binding.ts";
import { systemClock } from "../base/node/system-clock.ts";
import { systemRandom } from "../base/node/system-random.ts";
import type { Client } from "../client/client.ts";
import { type ClusterPki, createPki } from "../cluster/certificates.ts";
import { definitionsWith } from "../resources/catalog.ts";
import type { FeatureSwitches } from "../resources/feature-switches.ts";
import { MemoryStore } from "../storage/memory.ts";
import type { Store } from "../storage/store.ts";
import { makeTestFolder } from "./test-homes.ts";

export interface TestApiServer extends AsyncDisposable {
  server: ApiServer;
  store: Store;
  /** In process, as a member of system:masters. */
  client: Client;
  url: string;
  pki: ClusterPki;
  /** A kubeconfig file of the admin; removed at the end. */
  kubeconfig: string;
  close(): Promise<void>;
}

export interface TestApiServerOptions extends Partial<Omit<ApiServerOptions, "store">> {
  store?: Store;
  definitions?: readonly ResourceDefinition[];
  /** What is turned on of that which is off by default. */
  switches?: FeatureSwitches;
  port?: number;
}

export const admin = { name: "kubernetes-admin", groups: ["system:masters", "system:authenticated"] };

/** Namespaces `default` and `kube-system` exist when it resolves. */
export async function startTestApiServer(options: TestApiServerOptions = {}): Promise<TestApiServer> {
  const clock = options.clock ?? systemClock;
  const random = options.random ?? systemRandom;
  const store = options.store ?? new MemoryStore({ clock });
  const server = new ApiServer({
    authenticators: [clientCertificateAuthenticator()],
    authorizers: [mastersAuthorizer, alwaysAllowPathsAuthorizer],
    definitions: definitionsWith(options.switches ?? {}),
    subresources: new Map([
      ["namespaces/finalize", namespaceFinalize],
      ["pods/binding", podBinding],
    ]),
    ...options,
    store,
    clock,
    random,
  });
  const pki = createPki({
    clusterName: "test",
    dnsNames: ["localhost"],
    ipAddresses: ["127.0.0.1"],
    nowMs: clock.now(),
    random,
  });
  const { port } = await server.listen({
    key: pki.apiServer.privateKeyPem,
    cert: pki.apiServer.certificatePem,
    clientCa: pki.ca.certificatePem,
    host: "127.0.0.1",
    port: options.port ?? 0,
  });
  const url = `https://127.0.0.1:${port}`;
  const folder = makeTestFolder("api");
  const kubeconfig = join(folder, "kubeconfig");
  writeFileSync(kubeconfig, kubeconfigText(url, pki), { mode: 0o600 });
  const client = server.client(admin, "test");
  if (server.registry.find("", "v1", "namespaces")) {
    const namespaces = { group: "", version: "v1", kind: "Namespace", plural: "namespaces", scope: "Cluster" } as const;
    for (const name of ["default", "kube-system"]) {
      await client.create(namespaces, { metadata: { name } }).catch((error) => {
        if (!isAlreadyExists(error)) throw error; // The store was another server's before.
      });
    }
  }
  const close = async () => {
    await server.close();
    if (!options.store) await store.close();
    rmSync(folder, { recursive: true, force: true });
  };
  return { server, store, client, url, pki, kubeconfig, close, [Symbol.asyncDispose]: close };
}

/** A server that has state, and no memory of how it came about: whoever asks for old revisions is told that they are gone. */
export async function startForgetfulApiServer(): Promise<TestApiServer> {
  const store = new MemoryStore({ clock: systemClock });
  const before = await startTestApiServer({ store });
  await before.close();
  await store.compact(store.revision);
  const server = await startTestApiServer({ store });
  const close = async () => {
    await server.close();
    await store.close();
  };
  return { ...server, close, [Symbol.asyncDispose]: close };
}

function kubeconfigText(server: string, pki: ClusterPki): string {
  const data = (pem: string) => Buffer.from(pem).toString("base64");
  return `apiVersion: v1
kind: Config
current-context: test
clusters:
- name: test
  cluster:
    server: ${server}
    certificate-authority-data: ${data(pki.ca.certificatePem)}
users:
- name: admin
  user:
    client-certificate-data: ${data(pki.admin.certificatePem)}
    client-key-data: ${data(pki.admin.privateKeyPem)}
contexts:
- name: test
  context:
    cluster: test
    user: admin
`;
}
