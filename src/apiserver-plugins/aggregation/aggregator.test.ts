import type { IncomingMessage } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import type { TLSSocket } from "node:tls";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { APIServices, EndpointSlices, Services } from "../../api/resources.ts";
import { silentLogger } from "../../base/logger.ts";
import { systemClock } from "../../base/node/system-clock.ts";
import { seededRandom } from "../../base/random.ts";
import { InformerCache } from "../../controller-runtime/informer-cache.ts";
import { startTestApiServer, type TestApiServer } from "../../testing/api-server.ts";
import { serverCertificate } from "../../testing/webhook-server.ts";
import { RegistryReader } from "../object-reader.ts";
import { endpointRouter } from "../webhooks/service-route.ts";
import { startAggregator } from "./aggregator.ts";

let api: TestApiServer;
let backend: Server;
const stop = new AbortController();
const seen: IncomingMessage["headers"][] = [];

const flunders = {
  name: "flunders",
  singularName: "flunder",
  namespaced: true,
  kind: "Flunder",
  verbs: ["get", "list", "create"],
};

beforeAll(async () => {
  api = await startTestApiServer();
  const { pki } = api;
  const leaf = await serverCertificate(pki.ca, ["sample.default.svc"]);
  const tls = {
    key: leaf.privateKeyPem,
    cert: leaf.certificatePem,
    requestCert: true,
    rejectUnauthorized: false,
    ca: pki.frontProxy!.caCertificatePem,
  };
  backend = createServer(tls, async (request, response) => {
    const { authorized } = request.socket as TLSSocket;
    seen.push(request.headers);
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    response.setHeader("content-type", "application/json");
    if (!authorized) return response.writeHead(401).end("{}");
    if (request.url === "/apis/wardle.example.com/v1alpha1") {
      return response.end(
        JSON.stringify({ kind: "APIResourceList", groupVersion: "wardle.example.com/v1alpha1", resources: [flunders] }),
      );
    }
    response.end(
      JSON.stringify({
        apiVersion: "wardle.example.com/v1alpha1",
        kind: "Flunder",
        metadata: { name: "a" },
        body: Buffer.concat(chunks).toString(),
        method: request.method,
        url: request.url,
      }),
    );
  });
  await new Promise<void>((resolve) => backend.listen(0, "localhost", resolve));
  const client = api.server.client({ name: "system:kube-aggregator", groups: ["system:masters"] }, "test");
  startAggregator({
    registry: api.server.registry,
    cache: new InformerCache({ client, clock: systemClock, log: silentLogger, signal: stop.signal }),
    client,
    router: endpointRouter(() => new RegistryReader(api.server.registry), seededRandom(1)),
    frontProxy: () => pki.frontProxy!.client,
    clock: systemClock,
    log: silentLogger,
    signal: stop.signal,
  });
});
afterAll(async () => {
  stop.abort();
  backend.closeAllConnections();
  await new Promise((resolve) => backend.close(resolve));
  await api.close();
});

const name = "v1alpha1.wardle.example.com";
const available = async () => {
  const { status } = await api.client.get(APIServices, { name });
  return status?.conditions?.map((condition) => `${condition.status} ${condition.reason} ${condition.message}`)[0];
};

function requests() {
  const { pki } = api;
  return (path: string, init: { method?: string; body?: string; headers?: Record<string, string> } = {}) => {
    return new Promise<{ status: number; json: never }>((resolve, reject) => {
      import("node:https").then(({ request }) => {
        const outgoing = request(`${api.url}${path}`, {
          method: init.method ?? "GET",
          ca: pki.ca.certificatePem,
          cert: pki.admin.certificatePem,
          key: pki.admin.privateKeyPem,
          headers: init.headers ?? {},
        });
        outgoing.on("error", reject);
        outgoing.on("response", async (response) => {
          const chunks: Buffer[] = [];
          for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
          resolve({ status: response.statusCode ?? 0, json: parsed(Buffer.concat(chunks).toString()) });
        });
        outgoing.end(init.body);
      }, reject);
    });
  };
}

function parsed(text: string): never {
  return (text.startsWith("{") ? JSON.parse(text) : text) as never;
}

describe("an aggregated API", () => {
  it("is not available without its Service, and says so", async () => {
    const caBundle = Buffer.from(api.pki.ca.certificatePem).toString("base64");
    await api.client.create(APIServices, {
      metadata: { name },
      spec: {
        group: "wardle.example.com",
        version: "v1alpha1",
        service: { namespace: "default", name: "sample" },
        groupPriorityMinimum: 2000,
        versionPriority: 200,
        caBundle,
      },
    } as never);
    await vi.waitFor(async () =>
      expect(await available()).toBe('False ServiceNotFound service/sample in "default" is not present'),
    );
    const { status, json } = await requests()("/apis/wardle.example.com/v1alpha1/namespaces/default/flunders");
    expect([status, (json as { message: string }).message]).toEqual([503, "service unavailable"]);
  });

  it("answers once its server does, is discovered, and hears who asks", async () => {
    await api.client.create(Services, {
      metadata: { name: "sample", namespace: "default" },
      spec: { ports: [{ port: 443 }], clusterIP: "None", clusterIPs: ["None"] },
    } as never);
    await api.client.create(EndpointSlices, {
      metadata: { name: "sample", namespace: "default", labels: { "kubernetes.io/service-name": "sample" } },
      addressType: "FQDN",
      endpoints: [{ addresses: ["localhost"] }],
      ports: [{ name: "", port: (backend.address() as AddressInfo).port }],
    } as never);
    await vi.waitFor(async () => expect(await available()).toBe("True Passed all checks passed"), { timeout: 10_000 });
    const path = "/apis/wardle.example.com/v1alpha1/namespaces/default/flunders";
    const { status, json } = await requests()(path, {
      method: "POST",
      body: '{"a":1}',
      headers: { "x-remote-user": "system:admin", "x-remote-group": "system:masters" },
    }).catch((error) => ({ status: 0, json: String(error) as never }));
    expect([status, json]).toEqual([200, expect.objectContaining({ method: "POST", url: path, body: '{"a":1}' })]);
    expect(seen.at(-1)).toMatchObject({ "x-remote-user": "kubernetes-admin" });
    const groups = (await requests()("/apis")).json as { groups: { name: string }[] };
    expect(groups.groups.map((group) => group.name)).toContain("wardle.example.com");
    const discovery = (
      await requests()("/apis", {
        headers: { accept: "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList" },
      })
    ).json as { items: { metadata: { name: string }; versions: { resources: { resource: string }[] }[] }[] };
    const found = discovery.items.find(({ metadata }) => metadata.name === "wardle.example.com");
    expect(found?.versions[0]?.resources.map(({ resource }) => resource)).toEqual(["flunders"]);
  });

  it("answers the controllers of this process too, as who they are", async () => {
    const foreign = api.server.registry.foreign.get("wardle.example.com/v1alpha1")!;
    const user = { name: "system:kube-controller-manager", groups: ["system:masters"] };
    const path = "/apis/wardle.example.com/v1alpha1/namespaces/default/flunders/a?labelSelector=a%3Db";
    expect(await foreign.read(path, user, stop.signal)).toMatchObject({ kind: "Flunder", method: "GET", url: path });
    expect(seen.at(-1)).toMatchObject({ "x-remote-user": "system:kube-controller-manager" });
  });

  it("is gone with its APIService", async () => {
    await api.client.delete(APIServices, { name });
    await vi.waitFor(async () => {
      const { status } = await requests()("/apis/wardle.example.com/v1alpha1");
      expect(status).toBe(404);
    });
  });
});
