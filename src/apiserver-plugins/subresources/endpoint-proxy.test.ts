import { execFile } from "node:child_process";
import { createServer, type IncomingMessage, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { EndpointSlices, Pods, Services } from "../../api/resources.ts";
import { systemRandom } from "../../base/node/system-random.ts";
import { startTestApiServer, type TestApiServer } from "../../testing/api-server.ts";
import { RegistryReader } from "../object-reader.ts";
import { isProxyable, nameParts, podProxy, serviceProxy } from "./endpoint-proxy.ts";
import { rewriteLinks, rewriteLocation } from "./proxied-links.ts";

const run = promisify(execFile);
let api: TestApiServer;
let web: Server;
const seen: { request: IncomingMessage; body: string }[] = [];

/** Stands where the pods' network would be: every address of it leads to the one server here. */
const dial = () => connect({ host: "127.0.0.1", port: (web.address() as AddressInfo).port });

beforeAll(async () => {
  web = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    seen.push({ request, body });
    if (request.url === "/page") {
      response.setHeader("content-type", "text/html; charset=utf-8");
      response.end('<a href="/docs">docs</a> <a href="near">near</a> <p>"/docs"</p>');
    } else if (request.url === "/moved") response.writeHead(302, { location: "/login?next=1" }).end();
    else {
      response.writeHead(request.url === "/teapot" ? 418 : 200, {
        "x-served": "yes",
        "access-control-allow-origin": "*",
      });
      response.end(`${request.method} ${request.url} ${body}`);
    }
  });
  const sockets = new WebSocketServer({ server: web });
  sockets.on("connection", (socket) => socket.on("message", (text) => socket.send(`echo ${text}`)));
  await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));
  let reader: RegistryReader | undefined;
  api = await startTestApiServer({
    admission: ({ registry }) => {
      reader = new RegistryReader(registry);
      return [];
    },
    subresources: new Map([
      ["pods/proxy", podProxy(dial)],
      ["services/proxy", serviceProxy({ objects: () => reader!, random: systemRandom, dial })],
    ]),
  });
  const metadata = { namespace: "default" };
  const spec = { containers: [{ name: "web", image: "web", ports: [{ containerPort: 8080 }] }] };
  for (const name of ["web", "nowhere", "sly"]) {
    const pod = await api.client.create(Pods, { metadata: { ...metadata, name }, spec });
    const podIP = { web: "10.9.8.7", sly: "127.0.0.1" }[name];
    if (podIP) await api.client.updateStatus(Pods, { ...pod, status: { phase: "Running", podIP } });
  }
  const ports = [
    { name: "http", port: 80, targetPort: 8080 },
    { name: "other", port: 81 },
  ];
  const headless = { clusterIP: "None", clusterIPs: ["None"], ipFamilies: ["IPv4"], ipFamilyPolicy: "SingleStack" };
  await api.client.create(Services, { metadata: { ...metadata, name: "web" }, spec: { ...headless, ports } });
  await api.client.create(EndpointSlices, {
    metadata: { ...metadata, name: "web-1", labels: { "kubernetes.io/service-name": "web" } },
    addressType: "IPv4",
    ports: [{ name: "http", port: 8080 }],
    endpoints: [{ addresses: ["10.9.8.7"], conditions: { ready: true } }],
  });
});
afterAll(async () => {
  web.closeAllConnections();
  web.close();
  await api[Symbol.asyncDispose]();
});

const raw = (path: string) =>
  run("kubectl", ["--kubeconfig", api.kubeconfig, "get", "--raw", `/api/v1/namespaces/default/${path}`], {
    timeout: 20_000,
  }).then(
    ({ stdout }) => stdout,
    ({ stderr }) => stderr as string,
  );

describe("the real kubectl", () => {
  it("reads through Services by number and name of the port, and through Pods", async () => {
    expect(await raw("services/web:80/proxy/a/b?c=d")).toBe("GET /a/b?c=d ");
    expect(await raw("services/http:web:http/proxy/")).toBe("GET / ");
    expect(await raw("pods/web/proxy/x/")).toBe("GET /x/ ");
    expect(await raw("pods/web:8080/proxy/teapot")).toContain("418");
  });

  it("hears why there is no way", async () => {
    expect(await raw("services/none/proxy/")).toContain('services "none" not found');
    expect(await raw("services/web:82/proxy/")).toContain('no service port 82 found for service "web"');
    expect(await raw("services/web:81/proxy/")).toContain('no endpoints available for service "web"');
    expect(await raw("pods/nowhere/proxy/")).toContain("address not allowed");
    expect(await raw("pods/sly/proxy/")).toContain("address not allowed");
    expect(await raw("services/ftp:web:80/proxy/")).toContain('invalid service request "ftp:web:80"');
  });

  it("lets a browser read pages, follow redirects, post and open WebSockets through kubectl proxy", async () => {
    const proxy = execFile("kubectl", ["--kubeconfig", api.kubeconfig, "proxy", "--port=0"]);
    try {
      const port = await new Promise<string>((resolve, reject) => {
        proxy.stdout!.on("data", (text: string) => resolve(/:(\d+)/.exec(text)![1]!));
        proxy.once("exit", () => reject(new Error("kubectl proxy ended")));
      });
      const prefix = "/api/v1/namespaces/default/services/web:http/proxy";
      const at = `http://127.0.0.1:${port}${prefix}`;
      const page = await (await fetch(`${at}/page`)).text();
      expect(page).toBe(`<a href="${prefix}/docs">docs</a> <a href="near">near</a> <p>"/docs"</p>`);
      const moved = await fetch(`${at}/moved`, { redirect: "manual" });
      expect([moved.status, moved.headers.get("location")]).toEqual([302, `${prefix}/login?next=1`]);
      const bare = await fetch(at, { redirect: "manual" });
      expect([bare.status, bare.headers.get("location")]).toEqual([301, `${prefix}/`]);
      const posted = await fetch(`${at}/form`, { method: "POST", body: "hello" });
      expect(await posted.text()).toBe("POST /form hello");
      expect(posted.headers.get("x-served")).toBe("yes");
      expect(posted.headers.get("access-control-allow-origin")).toBeNull();
      const { request } = seen.at(-1)!;
      expect(request.headers["x-forwarded-uri"]).toBe(`${prefix}/form`);
      expect(request.headers["authorization"]).toBeUndefined();
      for (const method of ["OPTIONS", "PATCH", "PUT", "DELETE"])
        expect(await (await fetch(`${at}/any`, { method })).text()).toBe(`${method} /any `);
      const socket = new WebSocket(`ws://127.0.0.1:${port}${prefix}/ws`);
      const heard = await new Promise((resolve, reject) => {
        socket.once("open", () => socket.send("hi")).once("error", reject);
        socket.once("message", (text) => resolve(`${text}`));
      });
      socket.terminate();
      expect(heard).toBe("echo hi");
    } finally {
      proxy.removeAllListeners("exit");
      proxy.kill();
    }
  });
});

it("names of proxied objects are a name, a name and port, or a scheme, name and port", () => {
  expect(nameParts("a", "pod")).toEqual({ scheme: "http", name: "a", port: "" });
  expect(nameParts("https:a:", "service")).toEqual({ scheme: "https", name: "a", port: "" });
  for (const bad of ["", ":80", "a:b:c", "a:99999", "http:a:1:2", "a:-"]) {
    expect(() => nameParts(bad, "service")).toThrow("invalid service request");
  }
  expect(() => nameParts("a:http", "pod")).toThrow("invalid pod request");
});

it("addresses of the machine itself are never proxied to", () => {
  const refused = ["", "127.0.0.1", "127.9.9.9", "169.254.169.254", "0.0.0.0", "224.0.0.1", "::1", "fe80::1", "x"];
  expect(refused.filter(isProxyable)).toEqual([]);
  expect(["10.0.0.1", "192.168.1.1", "fd00::1"].filter((each) => !isProxyable(each))).toEqual([]);
});

it("links that lead elsewhere, or already through the proxy, stay as they are", () => {
  const rewritten = (location: string) => rewriteLocation(location, "10.0.0.1:80", "/p");
  expect(["/a", "http://10.0.0.1:80/a?b#c", "//10.0.0.1:80"].map(rewritten)).toEqual(["/p/a", "/p/a?b#c", "/p/"]);
  const kept = ["near/by", "?q", "#here", "http://other/a", "mailto:a@b", "/p/a"];
  expect(kept.map(rewritten)).toEqual(kept);
  expect(rewriteLinks("<script src='/s.js'>x = '<a href=\"/a\">'</script><!-- <a href=\"/b\"> -->", "h", "/p")).toBe(
    "<script src='/p/s.js'>x = '<a href=\"/a\">'</script><!-- <a href=\"/b\"> -->",
  );
});
