import type { IncomingMessage } from "node:http";
import { createServer, request as httpsRequest, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { APIServices, EndpointSlices, Services } from "../../api/resources.ts";
import { silentLogger } from "../../base/logger.ts";
import { systemClock } from "../../base/node/system-clock.ts";
import { seededRandom } from "../../base/random.ts";
import { InformerCache } from "../../controller-runtime/informer-cache.ts";
import { startTestApiServer, type TestApiServer } from "../../testing/api-server.ts";
import { endpointAddress, loopbackDial } from "../../testing/loopback-dial.ts";
import { newAuthority, serverCertificate } from "../../testing/webhook-server.ts";
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

let isBroken = false;
const path = "/apis/wardle.example.com/v1alpha1";
const openApi3 = {
  "apis/wardle.example.com/v1alpha1": { serverRelativeURL: `/openapi/v3${path}?hash=abc` },
  "apis/apps/v1": { serverRelativeURL: "/openapi/v3/apis/apps/v1?hash=def" },
};
const reference = (name: string) => ({ schema: { $ref: `#/definitions/${name}` } });
const podSpec = "io.k8s.api.core.v1.PodSpec";
const openApi2 = {
  swagger: "2.0",
  paths: {
    [`${path}/flunders`]: { get: { responses: { 200: reference("Flunder") } } },
    "/apis/apps/v1/deployments": { get: { responses: { 200: reference("Stolen") } } },
  },
  definitions: {
    Flunder: { type: "object", properties: { template: { $ref: `#/definitions/${podSpec}` } } },
    // The same name for something else.
    [podSpec]: { type: "object", properties: { masts: { type: "integer" } } },
    Stolen: { type: "object" },
  },
};

beforeAll(async () => {
  api = await startTestApiServer();
  const { pki } = api;
  const leaf = serverCertificate(pki.ca, ["sample.default.svc"]);
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
    if (isBroken) return response.writeHead(500).end("{}");
    if (request.url === "/apis/wardle.example.com/v1alpha1") {
      return response.end(
        JSON.stringify({ kind: "APIResourceList", groupVersion: "wardle.example.com/v1alpha1", resources: [flunders] }),
      );
    }
    if (request.url === "/openapi/v2") return response.end(JSON.stringify(openApi2));
    if (request.url === "/openapi/v3") return response.end(JSON.stringify({ paths: openApi3 }));
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
  backend.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (!request.url?.endsWith("/attach")) return socket.end("HTTP/1.1 418 No\r\ncontent-length: 2\r\n\r\nno");
    const user = request.headers["x-remote-user"];
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: echo\r\n\r\n${user} `);
    socket.write(head);
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => backend.listen(0, "127.0.0.1", resolve));
  const client = api.server.client({ name: "system:kube-aggregator", groups: ["system:masters"] }, "test");
  startAggregator({
    registry: api.server.registry,
    cache: new InformerCache({ client, clock: systemClock, log: silentLogger, signal: stop.signal }),
    client,
    router: endpointRouter(() => new RegistryReader(api.server.registry), seededRandom(1), loopbackDial),
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
    await vi.waitFor(
      async () => expect(await available()).toBe('False ServiceNotFound service/sample in "default" is not present'),
      { timeout: 10_000 },
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
      addressType: "IPv4",
      endpoints: [{ addresses: [endpointAddress] }],
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

  it("is a part of what OpenAPI says of all, and its own documents come from its server", async () => {
    type Index = { paths: Record<string, { serverRelativeURL: string }> };
    const index = (await requests()("/openapi/v3")).json as Index;
    expect(index.paths["apis/wardle.example.com/v1alpha1"]).toEqual({
      serverRelativeURL: `/openapi/v3${path}?hash=abc`,
    });
    expect(index.paths["apis/apps/v1"]?.serverRelativeURL).not.toContain("hash=def");
    const document = (await requests()(`/openapi/v3${path}?hash=abc`)).json;
    expect(document).toMatchObject({ url: `/openapi/v3${path}?hash=abc` });
    expect(seen.at(-1)).toMatchObject({ "x-remote-user": "system:aggregator" });
    const whole = (await requests()("/openapi/v2")).json as unknown as typeof openApi2 & {
      definitions: Record<string, object>;
    };
    expect(whole.paths[`${path}/flunders`]).toBeDefined();
    expect(whole.definitions.Flunder.properties.template.$ref).toBe(`#/definitions/${podSpec}_v2`);
    expect(whole.definitions[`${podSpec}_v2`]).toEqual(openApi2.definitions[podSpec]);
    expect(whole.definitions[podSpec]?.properties).not.toHaveProperty("masts");
    expect(whole.definitions).not.toHaveProperty("Stolen");
  });

  it("may speak another protocol over the connection, as whoever asks", async () => {
    const { pki } = api;
    const upgrade = (what: string) =>
      new Promise<string>((resolve, reject) => {
        const outgoing = httpsRequest(`${api.url}${path}/namespaces/default/flunders/a/${what}`, {
          ca: pki.ca.certificatePem,
          cert: pki.admin.certificatePem,
          key: pki.admin.privateKeyPem,
          headers: { connection: "Upgrade", upgrade: "echo", "x-remote-user": "somebody" },
          agent: false,
        });
        outgoing.on("error", reject).end();
        outgoing.on("response", ({ statusCode }) => resolve(`refused with ${statusCode}`));
        outgoing.on("upgrade", (_, socket, head) => {
          let said = head.toString();
          socket.on("data", (chunk: Buffer) => {
            said += chunk;
            if (said.endsWith("hello")) socket.end();
          });
          socket.on("close", () => resolve(said));
          socket.write("hello");
        });
      });
    expect(await upgrade("attach")).toBe("kubernetes-admin hello");
    expect(await upgrade("nothing")).toBe("refused with 418");
  });

  it("answers the controllers of this process too, as who they are", async () => {
    const foreign = api.server.registry.foreign.get("wardle.example.com/v1alpha1")!;
    const user = { name: "system:kube-controller-manager", groups: ["system:masters"] };
    const path = "/apis/wardle.example.com/v1alpha1/namespaces/default/flunders/a?labelSelector=a%3Db";
    expect(await foreign.read(path, user, stop.signal)).toMatchObject({ kind: "Flunder", method: "GET", url: path });
    expect(seen.at(-1)).toMatchObject({ "x-remote-user": "system:kube-controller-manager" });
  });

  it("is not available while its server fails, or is not whom the bundle vouches for, and unrelated requests go on", async () => {
    const at = "failing or missing response from https://sample.default.svc:443/apis/wardle.example.com/v1alpha1: ";
    const touch = async (spec: object) => api.client.patch(APIServices, { name }, { type: "merge", body: { spec } });
    isBroken = true;
    await touch({ versionPriority: 201 });
    await vi.waitFor(
      async () =>
        expect(await available()).toBe(
          `False FailedDiscoveryCheck ${at}bad status from https://sample.default.svc:443/apis/wardle.example.com/v1alpha1: 500`,
        ),
      { timeout: 10_000 },
    );
    const answer = await requests()(`${path}/namespaces/default/flunders`);
    expect([answer.status, (answer.json as { message: string }).message]).toEqual([503, "service unavailable"]);
    expect((await requests()("/api/v1/namespaces/default")).status).toBe(200);
    isBroken = false;
    const stranger = newAuthority();
    await touch({ versionPriority: 202, caBundle: Buffer.from(stranger.certificatePem).toString("base64") });
    await vi.waitFor(async () => expect(await available()).toMatch(/^False FailedDiscoveryCheck .*certificate/), {
      timeout: 10_000,
    });
    await touch({ versionPriority: 200, caBundle: Buffer.from(api.pki.ca.certificatePem).toString("base64") });
    await vi.waitFor(async () => expect(await available()).toBe("True Passed all checks passed"), { timeout: 10_000 });
  });

  it("says why it is not there as soon as that is so", async () => {
    const slice = { name: "sample", namespace: "default" };
    const standing = await api.client.get(EndpointSlices, slice);
    const endpoints = [{ addresses: [endpointAddress], conditions: { ready: false } }];
    await api.client.update(EndpointSlices, { ...standing, endpoints } as never);
    const missing =
      'False MissingEndpoints endpointslices for service/sample in "default" have no addresses with port name ""';
    await vi.waitFor(async () => expect(await available()).toBe(missing), { timeout: 10_000 });
    await api.client.delete(EndpointSlices, slice);
    await vi.waitFor(
      async () =>
        expect(await available()).toBe(
          'False EndpointsNotFound cannot find endpointslices for service/sample in "default"',
        ),
      { timeout: 10_000 },
    );
    const service = await api.client.get(Services, slice);
    await api.client.update(Services, { ...service, spec: { ...service.spec, ports: [{ port: 80 }] } } as never);
    await vi.waitFor(
      async () =>
        expect(await available()).toBe(
          'False ServicePortError service/sample in "default" is not listening on port 443',
        ),
      { timeout: 10_000 },
    );
  });

  it("is gone with its APIService", async () => {
    await api.client.delete(APIServices, { name });
    await vi.waitFor(
      async () => {
        const { status } = await requests()("/apis/wardle.example.com/v1alpha1");
        expect(status).toBe(404);
      },
      { timeout: 10_000 },
    );
  });
});
