import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "../../base/node/system-clock.ts";
import { startWebhookServer, type WebhookServer } from "../../testing/webhook-server.ts";
import { plainDial, type ServiceRouter } from "./service-route.ts";
import { WebhookCaller } from "./webhook-caller.ts";

let hook: WebhookServer;
let caller: WebhookCaller;
const answers: Record<string, () => object | "never" | { status: number; text: string }> = {
  "/echo": () => ({ hello: "world" }),
  "/never": () => "never",
  "/garbage": () => ({ status: 200, text: "<html>" }),
  "/broken": () => ({ status: 500, text: "boom" }),
};

beforeAll(async () => {
  hook = await startWebhookServer((_, path) => answers[path]!(), { dnsNames: ["hook.tools.svc"] });
  const router: ServiceRouter = {
    dial: plainDial,
    async route(_, name, port) {
      if (name !== "hook") throw new Error(`service "${name}" not found`);
      expect(port).toBe(8443);
      return { host: "127.0.0.1", port: hook.port };
    },
  };
  caller = new WebhookCaller({ router, clock: systemClock });
});
afterAll(async () => {
  caller.close();
  await hook[Symbol.asyncDispose]();
});

const target = (path: string) => ({ url: `${hook.url}${path}`, caBundle: hook.caBundle });
const call = (where: Parameters<WebhookCaller["call"]>[0], timeoutMs = 10_000) => caller.call(where, {}, { timeoutMs });

describe("a webhook", () => {
  it("is called again over the same connection", async () => {
    await call(target("/echo"));
    const before = hook.connections;
    expect(await call(target("/echo"))).toEqual({ hello: "world" });
    expect(hook.connections).toBe(before);
  });

  it("is called by the name of its Service", async () => {
    const service = { namespace: "tools", name: "hook", path: "/echo", port: 8443 };
    expect(await call({ service, caBundle: hook.caBundle })).toEqual({ hello: "world" });
    await expect(call({ service: { ...service, name: "gone" }, caBundle: hook.caBundle })).rejects.toThrow(
      'Post "https://gone.tools.svc:8443/echo?timeout=10s": service "gone" not found',
    );
    // The certificate does not name this Service.
    await expect(call({ service: { ...service, namespace: "other" }, caBundle: hook.caBundle })).rejects.toThrow(
      "tls: failed to verify certificate: x509: certificate is valid for",
    );
  });

  it("must be signed by whom the bundle names", async () => {
    await expect(call({ url: `${hook.url}/echo` })).rejects.toThrow("certificate signed by unknown authority");
  });

  it("may answer garbage, errors, or never", async () => {
    await expect(call(target("/garbage"))).rejects.toThrow("invalid character '<' looking for beginning of value");
    await expect(call(target("/broken"))).rejects.toThrow(
      'an error on the server ("boom") has prevented the request from succeeding',
    );
    await expect(call(target("/never"), 50)).rejects.toThrow(
      /^Post ".*\/never\?timeout=0.05s": context deadline exceeded$/,
    );
  });

  it("may be away, or speak plain HTTP", async () => {
    const plain = createServer((_, response) => response.end("{}"));
    await new Promise<void>((resolve) => plain.listen(0, "127.0.0.1", resolve));
    const { port } = plain.address() as AddressInfo;
    await expect(call({ url: `https://127.0.0.1:${port}/` })).rejects.toThrow(
      "http: server gave HTTP response to HTTPS client",
    );
    await new Promise((resolve) => plain.close(resolve));
    await expect(call({ url: `https://127.0.0.1:${port}/` })).rejects.toThrow(
      `dial tcp 127.0.0.1:${port}: connect: connection refused`,
    );
  });
});
